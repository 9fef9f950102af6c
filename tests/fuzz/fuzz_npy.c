/* .npy with any bytes. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_embeddings(data, size, "npy", NULL, NULL);
    return 0;
}
