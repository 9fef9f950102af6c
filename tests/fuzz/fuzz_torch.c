/* .pt with any bytes. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_container(data, size, "pt");
    return 0;
}
