/* What fuzzers of readers share: readers take paths, so the input becomes a file in memory. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* The function libFuzzer calls, and replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that holds the bytes; *path is room for its path. Close it with close(). Aborts when the
 * system gives none, for then nothing is tested. */
enum { FUZZ_PATH = 64 };
int fuzz_file(const uint8_t *data, size_t size, char path[FUZZ_PATH]);

/* Reads the bytes as that format ("npy", ...) through every function an open file has. The columns
 * of ids and labels may be NULL. Aborts where an answer contradicts itself. */
void fuzz_embeddings(const uint8_t *data, size_t size, const char *format, const char *id_column,
                     const char *label_column);

/* The same for a container: its members, each of the first by its key, and its labels. */
void fuzz_container(const uint8_t *data, size_t size, const char *format);

#endif
