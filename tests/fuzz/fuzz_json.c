/* .json and .jsonl with any bytes. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_container(data, size, "json");
    fuzz_container(data, size, "jsonl");
    return 0;
}
