/* What every verb of the program uses: words, errors, progress, results. */
#ifndef CLI_H
#define CLI_H

#include <popt.h>
#include <stdbool.h>
#include <stdint.h>

#include <vindex/status.h>
#include <vindex/types.h>

/* Exit statuses. */
enum {
    CLI_DONE = 0,
    CLI_FAILED = 1, /* the work failed */
    CLI_WORDS = 2,  /* the words are wrong */
    CLI_SIGNAL = 128
};

/* One of these per verb, listed in main.c. */
int cmd_info(int argc, const char **argv);
int cmd_convert(int argc, const char **argv);
int cmd_fit(int argc, const char **argv);
int cmd_import(int argc, const char **argv);
int cmd_apply(int argc, const char **argv);
int cmd_build(int argc, const char **argv);
int cmd_tune(int argc, const char **argv);
int cmd_search(int argc, const char **argv);
int cmd_eval(int argc, const char **argv);
int cmd_simulate(int argc, const char **argv);
int cmd_bench(int argc, const char **argv);

/* ---- errors: noted once, printed as one line by main ---- */

/* Notes "what was asked: what was found; what to do" and answers CLI_FAILED or CLI_WORDS. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_words(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The exit status for a library call, its sentence noted when it failed. */
int cli_status(vindex_status status);

/* The same where a bad argument came from the user's words. */
int cli_status_words(vindex_status status);

/* The sentence noted last. */
const char *cli_error(void);

/* A line on stderr, unless --quiet. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc and realloc that note the failure and answer NULL; count may be 0. */
void *cli_alloc(int64_t count, int64_t bytes_each, const char *what);

/* ---- words ---- */

/* What --help says about a verb, and how many words it takes besides its flags. */
struct cli_usage {
    const char *verb;
    const char *form;    /* "SPEC --input X -o INDEX" */
    const char *does;    /* a sentence or two */
    const char *example; /* whole command lines */
    const char *words;   /* the words it takes, as an error names them */
    int word_count;
    bool more_words; /* or more of them */
};

/* The flags that all verbs take. */
struct cli_common {
    int threads; /* 0: every core */
    long long seed;
    int quiet;
    int json;
    int help;
};
extern struct cli_common cli_common;
extern struct poptOption cli_common_options[];

struct cli_parsed {
    poptContext context;
    const char **words; /* usage->word_count of them, NULL behind the last */
};

enum { CLI_PROCEED = -1 };

/* Parses flags and words. CLI_PROCEED to go on, otherwise the exit status (--help included).
 * cli_release is due afterwards in any case. */
int cli_parse(const struct cli_usage *usage, const struct poptOption *options, int argc,
              const char **argv, struct cli_parsed *parsed);

/* Frees what parsing put into the options' variables. */
void cli_release(const struct poptOption *options, struct cli_parsed *parsed);

/* The metric of that name; text NULL leaves *metric alone. */
int cli_metric(const char *text, vindex_metric *metric);
int cli_dtype(const char *text, vindex_dtype *dtype);

/* Whether path ends in that ending (".npz"), whatever the case. */
bool cli_ends(const char *path, const char *ending);

/* ---- progress ---- */

/* Ctrl-C asks running calls to stop through their progress callback; a second one ends the program
 * at once. Nothing partial is left in either case, since unfinished files have no name. */
void cli_catch_signals(void);

/* The signal that asked to stop, or 0. */
int cli_signal(void);

/* The part of the whole work that one library call is. NULL as a context: all of it. */
struct cli_span {
    const char *phase; /* NULL: as the library calls it */
    double from, to;
};

/* A vindex_progress_fn: draws the bar; its context is a struct cli_span or NULL. */
int cli_progress(void *span, const char *phase, double fraction);

/* Takes the bar away before anything else is written. */
void cli_progress_end(void);

/* The way long calls run here: threads, progress over that span. */
vindex_call cli_call(struct cli_span *span);

/* Seconds on a clock that only goes forward. */
double cli_clock(void);

#endif
