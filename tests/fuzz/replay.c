/* Feeds every file of the folders named on the command line to a fuzzer's function: a corpus
 * becomes a test that needs no fuzzer. Each file is also fed cut to half and to one byte less. */
#include "fuzz_input.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole file in memory of just its size, so that a sanitizer sees a read behind its end. */
static uint8_t *load(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    uint8_t *bytes = length >= 0 ? malloc((size_t)length + (length == 0)) : NULL;
    if (bytes && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    *size = (size_t)length;
    return bytes;
}

static int replay_folder(const char *name) {
    DIR *folder = opendir(name);
    if (!folder) {
        perror(name);
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(folder));) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        size_t size;
        uint8_t *bytes = load(path, &size);
        if (!bytes) {
            perror(path);
            count = -1;
            break;
        }
        LLVMFuzzerTestOneInput(bytes, size);
        LLVMFuzzerTestOneInput(bytes, size / 2);
        LLVMFuzzerTestOneInput(bytes, size - (size > 0));
        free(bytes);
        count++;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv) {
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);
        if (count < 0) return EXIT_FAILURE;
        total += count;
    }
    printf("%d files replayed\n", total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
