/* .safetensors with any bytes. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_container(data, size, "safetensors");
    return 0;
}
