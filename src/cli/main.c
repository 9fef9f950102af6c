/* The program: finds the verb, runs it, prints the one line of an error. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "model.h"

static const struct verb {
    const char *name, *does;
    int (*run)(int argc, const char **argv);
} verbs[] = {
    {"info", "say what a file is and whether it is sound", cmd_info},
    {"convert", "write an embedding file in another format", cmd_convert},
    {"fit", "learn a projection", cmd_fit},
    {"import", "make a model of a layer that was trained elsewhere", cmd_import},
    {"apply", "project embeddings by a model", cmd_apply},
    {"build", "build an index from embeddings", cmd_build},
    {"tune", "measure which parameters of an index give which recall", cmd_tune},
    {"search", "find the nearest neighbours of queries", cmd_search},
    {"eval", "measure retrieval: MAP, MR1 and friends", cmd_eval},
    {"simulate", "make simulated embeddings", cmd_simulate},
    {"bench", "measure this machine", cmd_bench},
};

enum { VERB_COUNT = sizeof verbs / sizeof *verbs };

static int help(void) {
    printf("Usage: vindex VERB ...\n\nVector search and retrieval evaluation. The verbs:\n\n");
    for (int i = 0; i < VERB_COUNT; i++) printf("  %-10s %s\n", verbs[i].name, verbs[i].does);
    printf("\n`vindex VERB --help` explains one. Example:\n\n"
           "  vindex eval --input embeddings.npy --labels labels.csv --metric cosine\n");
    return CLI_DONE;
}

static int unknown_verb(const char *word) {
    char known[256] = "";
    for (int i = 0; i < VERB_COUNT; i++) {
        if (i > 0) strcat(known, i + 1 < VERB_COUNT ? ", " : " or ");
        strcat(known, verbs[i].name);
    }
    return word == NULL ? cli_words("verb: none was given; use %s", known)
                        : cli_words("verb: '%s' is not one; use %s", word, known);
}

static int run(int argc, const char **argv, const struct verb **verb) {
    if (argc < 2) return unknown_verb(NULL);
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help();
    if (strcmp(word, "--version") == 0) {
        printf("vindex %s\n", vindex_version());
        return CLI_DONE;
    }
    for (int i = 0; i < VERB_COUNT && *verb == NULL; i++)
        if (strcmp(word, verbs[i].name) == 0) *verb = &verbs[i];
    if (*verb == NULL) return unknown_verb(word);
    return (*verb)->run(argc - 1, argv + 1);
}

int main(int argc, char **argv) {
    cli_catch_signals();
    cli_keep_words(argv);
    const struct verb *verb = NULL;
    int status = run(argc, (const char **)(void *)argv, &verb);
    cli_progress_end();
    if (status == CLI_DONE && (fflush(stdout) != 0 || ferror(stdout)))
        status = cli_fail("standard output: cannot be written; check where it leads");
    if (status == CLI_DONE) return status;
    /* Whatever the library's sentence holds (a file name, say), the error stays one line. */
    fprintf(stderr, "vindex%s%s: ", verb ? " " : "", verb ? verb->name : "");
    for (const char *c = cli_error(); *c; c++) fputc(*c == '\n' || *c == '\r' ? ' ' : *c, stderr);
    fputc('\n', stderr);
    return status;
}
