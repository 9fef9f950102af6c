/* Errors, notes and memory. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static char sentence[2048];

static void note_error(const char *format, va_list words) {
    vsnprintf(sentence, sizeof sentence, format, words);
}

int cli_fail(const char *format, ...) {
    va_list words;
    va_start(words, format);
    note_error(format, words);
    va_end(words);
    return CLI_FAILED;
}

int cli_words(const char *format, ...) {
    va_list words;
    va_start(words, format);
    note_error(format, words);
    va_end(words);
    return CLI_WORDS;
}

int cli_status(vindex_status status) {
    if (status == VINDEX_OK) return CLI_DONE;
    if (status == VINDEX_ERR_CANCELLED && cli_signal() != 0) {
        cli_fail("interrupted: stopped on request; nothing was written");
        return CLI_SIGNAL + cli_signal();
    }
    return cli_fail("%s", vindex_last_error());
}

int cli_status_words(vindex_status status) {
    int answer = cli_status(status);
    return status == VINDEX_ERR_ARGUMENT || status == VINDEX_ERR_UNSUPPORTED ? CLI_WORDS : answer;
}

const char *cli_error(void) {
    return sentence;
}

void cli_note(const char *format, ...) {
    if (cli_common.quiet) return;
    cli_progress_end();
    va_list words;
    va_start(words, format);
    vfprintf(stderr, format, words);
    va_end(words);
    fputc('\n', stderr);
}

void *cli_alloc(int64_t count, int64_t bytes_each, const char *what) {
    size_t bytes;
    void *memory = NULL;
    if (!__builtin_mul_overflow(count, bytes_each, &bytes)) memory = calloc(1, bytes ? bytes : 1);
    if (memory == NULL)
        cli_fail("%s: %lld x %lld bytes cannot be had; use a smaller set or a larger machine", what,
                 (long long)count, (long long)bytes_each);
    return memory;
}
