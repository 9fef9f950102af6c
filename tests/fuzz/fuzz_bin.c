/* .fbin .u8bin .i8bin .ibin with any bytes; the same bytes as each. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_embeddings(data, size, "fbin", NULL, NULL);
    fuzz_embeddings(data, size, "u8bin", NULL, NULL);
    fuzz_embeddings(data, size, "i8bin", NULL, NULL);
    fuzz_embeddings(data, size, "ibin", NULL, NULL);
    return 0;
}
