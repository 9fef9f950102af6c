/* .csv and .tsv with any bytes, with and without columns of ids and labels. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_embeddings(data, size, "csv", NULL, NULL);
    fuzz_embeddings(data, size, "csv", "id", "1");
    fuzz_embeddings(data, size, "tsv", "0", "0");
    return 0;
}
