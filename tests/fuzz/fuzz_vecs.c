/* .fvecs .bvecs .ivecs with any bytes; the same bytes as each, for they differ in the size alone.
 */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_embeddings(data, size, "fvecs", NULL, NULL);
    fuzz_embeddings(data, size, "bvecs", NULL, NULL);
    fuzz_embeddings(data, size, "ivecs", NULL, NULL);
    return 0;
}
