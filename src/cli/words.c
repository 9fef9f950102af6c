/* Flags and words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

struct cli_common cli_common = {.seed = 1};

struct poptOption cli_common_options[] = {
    {"threads", 0, POPT_ARG_INT, &cli_common.threads, 0,
     "threads to use; 0 (the default): every core", "N"},
    {"seed", 0, POPT_ARG_LONGLONG, &cli_common.seed, 0, "of what is random (default 1)", "S"},
    {"quiet", 'q', POPT_ARG_NONE, &cli_common.quiet, 0, "no progress bar and no notes", NULL},
    {"json", 0, POPT_ARG_NONE, &cli_common.json, 0, "the result as one JSON object", NULL},
    {"help", 'h', POPT_ARG_NONE, &cli_common.help, 0, "this help", NULL},
    POPT_TABLEEND,
};

static int print_help(const struct cli_usage *usage, poptContext context) {
    poptSetOtherOptionHelp(context, usage->form);
    poptPrintHelp(context, stdout, 0);
    printf("\n%s\n\nExample:\n%s\n", usage->does, usage->example);
    return CLI_DONE;
}

/* popt names the bad value where it stands apart from its flag. */
static const char *flag_before(const char *word, int argc, const char **argv) {
    for (int i = 1; i < argc && word[0] != '-'; i++)
        if (strcmp(argv[i], word) == 0 && argv[i - 1][0] == '-') return argv[i - 1];
    return word;
}

static int bad_flag(const struct cli_usage *usage, poptContext context, int problem, int argc,
                    const char **argv) {
    const char *flag = flag_before(poptBadOption(context, 0), argc, argv);
    const char *found = problem == POPT_ERROR_BADOPT  ? "no such flag"
                        : problem == POPT_ERROR_NOARG ? "no value follows"
                        : problem == POPT_ERROR_BADNUMBER || problem == POPT_ERROR_OVERFLOW
                            ? "the value is not a number in range"
                            : poptStrerror(problem);
    return cli_words("%s: %s; `vindex %s --help` lists the flags", flag, found, usage->verb);
}

static int take_words(const struct cli_usage *usage, struct cli_parsed *parsed) {
    int count = 0;
    parsed->words = poptGetArgs(parsed->context);
    while (parsed->words != NULL && parsed->words[count] != NULL) count++;
    if (count < usage->word_count)
        return cli_words("%s: %s; `vindex %s --help` shows the form", usage->words,
                         count == 0 ? "nothing was given" : "too few words", usage->verb);
    if (count > usage->word_count && !usage->more_words)
        return cli_words("'%s': one word too many; `vindex %s --help` shows the form",
                         parsed->words[usage->word_count], usage->verb);
    return CLI_PROCEED;
}

int cli_parse(const struct cli_usage *usage, const struct poptOption *options, int argc,
              const char **argv, struct cli_parsed *parsed) {
    char name[64];
    snprintf(name, sizeof name, "vindex %s", usage->verb);
    argv[0] = name;
    parsed->words = NULL;
    parsed->context = poptGetContext(NULL, argc, argv, options, 0);
    if (parsed->context == NULL) return cli_fail("flags: no memory to read them; free some");
    int problem = poptGetNextOpt(parsed->context);
    int answer;
    if (cli_common.help)
        answer = print_help(usage, parsed->context);
    else if (problem != -1)
        answer = bad_flag(usage, parsed->context, problem, argc, argv);
    else if (cli_common.threads < 0)
        answer =
            cli_words("--threads: %d was given; give 0 (every core) or more", cli_common.threads);
    else if (cli_common.seed < 0)
        answer = cli_words("--seed: %lld was given; give 0 or more", cli_common.seed);
    else
        answer = take_words(usage, parsed);
    argv[0] = usage->verb;
    return answer;
}

static void release_options(const struct poptOption *options) {
    for (const struct poptOption *o = options; o->longName || o->shortName || o->arg; o++) {
        unsigned kind = o->argInfo & POPT_ARG_MASK;
        if (kind == POPT_ARG_INCLUDE_TABLE) {
            release_options(o->arg);
        } else if (kind == POPT_ARG_STRING) {
            free(*(char **)o->arg);
            *(char **)o->arg = NULL;
        } else if (kind == POPT_ARG_ARGV && *(char ***)o->arg != NULL) {
            for (char **word = *(char ***)o->arg; *word != NULL; word++) free(*word);
            free(*(char ***)o->arg);
            *(char ***)o->arg = NULL;
        }
    }
}

void cli_release(const struct poptOption *options, struct cli_parsed *parsed) {
    release_options(options);
    if (parsed->context != NULL) poptFreeContext(parsed->context);
    parsed->context = NULL;
}

int cli_metric(const char *text, vindex_metric *metric) {
    if (text == NULL || vindex_metric_parse(text, metric)) return CLI_DONE;
    return cli_words("--metric: '%s' is not known; use l2, ip, cosine or pearson", text);
}

int cli_dtype(const char *text, vindex_dtype *dtype) {
    char known[128] = "";
    for (int i = 0; vindex_dtype_name((vindex_dtype)i) != NULL; i++) {
        const char *name = vindex_dtype_name((vindex_dtype)i);
        if (strcmp(text, name) == 0) {
            *dtype = (vindex_dtype)i;
            return CLI_DONE;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? " " : "", name);
    }
    return cli_words("--dtype: '%s' is not known; use one of %s", text, known);
}

bool cli_ends(const char *path, const char *ending) {
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcasecmp(path + length - tail, ending) == 0;
}
