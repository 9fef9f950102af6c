/* vindex bench recall: recall against speed. */
#ifndef CLI_BENCH_RECALL_H
#define CLI_BENCH_RECALL_H

/* The words, as given. */
struct bench_recall {
    const char **specs; /* NULL-ended */
    const char **inputs, **queries, **sweeps;
    char *data, *metric, *plot;
    const char *folder; /* NULL: nothing is written */
    long long rows, count, k, batch;
    int dim, csv;
};

int bench_recall_run(struct bench_recall *bench);

/* Writes a text file into a folder, which is made where it is missing. cmd_bench.c has it. */
int bench_write(const char *into, const char *name, const char *text);

#endif
