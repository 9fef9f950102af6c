/* vindex bench: measures this machine. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vindex/io.h>

#include "bench/kernels.h"
#include "bench_recall.h"
#include "report.h"
#include "rows.h"

static const struct cli_usage usage = {
    .verb = "bench",
    .form = "kernels [--dim D] [--megabytes N] [-o DIR] | recall SPEC... [--input X --queries Q]",
    .does =
        "kernels: GB/s and GFLOP/s of every kernel at every instruction-set level this machine "
        "has,\n"
        "beside the read bandwidth and the arithmetic peak measured in the same run. With -o, "
        "writes\n"
        "kernels.json and kernels.csv there.\n"
        "recall: recall@K against queries per second for each index SPEC, over the values of its\n"
        "parameters (--sweep, or else those that tuning finds on half of the queries, measured\n"
        "with the others), beside an exact search; bytes per vector and build time. On files, or\n"
        "on simulated vectors. With -o, writes recall.json, recall.csv and recall.svg there.",
    .example =
        "  vindex bench kernels\n  vindex bench kernels --dim 1536 -o results\n"
        "  vindex bench recall IVF1024,Flat --rows 100000 --threads 1 --plot curve.svg\n"
        "  vindex bench recall IVF256,Flat IVF1024,Flat --input songs.npy --queries q.npy \\\n"
        "    --sweep nprobe=1,2,4,8,16,32",
    .words = "kernels|recall",
    .word_count = 1,
    .more_words = true,
};

static int dim = 128, megabytes = 512;
static char *folder;
static struct bench_recall recall = {.rows = 100000, .count = 1000, .k = 10};

static struct poptOption options[] = {
    {"dim", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &dim, 0, "numbers per vector", "D"},
    {"megabytes", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &megabytes, 0,
     "size of the rows scanned; far more than the caches hold", "N"},
    {"output", 'o', POPT_ARG_STRING, &folder, 0, "also write JSON and CSV into this folder", "DIR"},
    {"input", 0, POPT_ARG_ARGV, &recall.inputs, 0, "recall: embeddings to index", "FILE"},
    {"queries", 0, POPT_ARG_ARGV, &recall.queries, 0, "recall: embeddings to search for", "FILE"},
    {"data", 0, POPT_ARG_STRING, &recall.data, 0,
     "recall: without --input, simulated vectors: clustered (the default) or sift-like", "SET"},
    {"rows", 0, POPT_ARG_LONGLONG | POPT_ARGFLAG_SHOW_DEFAULT, &recall.rows, 0,
     "recall: how many of them", "N"},
    {"count", 0, POPT_ARG_LONGLONG | POPT_ARGFLAG_SHOW_DEFAULT, &recall.count, 0,
     "recall: simulated queries", "N"},
    {"metric", 0, POPT_ARG_STRING, &recall.metric, 0,
     "recall: l2 (the default), ip, cosine or pearson", "METRIC"},
    {NULL, 'k', POPT_ARG_LONGLONG | POPT_ARGFLAG_SHOW_DEFAULT, &recall.k, 0,
     "recall: neighbours per query", "K"},
    {"sweep", 0, POPT_ARG_ARGV, &recall.sweeps, 0,
     "recall: a parameter of the search and its values, as in nprobe=1,2,4,8; of several, all "
     "combinations",
     "NAME=V,..."},
    {"batch", 0, POPT_ARG_LONGLONG, &recall.batch, 0,
     "recall: queries per call; 0 (the default): all", "N"},
    {"csv", 0, POPT_ARG_NONE, &recall.csv, 0, "recall: print CSV", NULL},
    {"plot", 0, POPT_ARG_STRING, &recall.plot, 0, "recall: draw the curves, .svg or .png", "FILE"},
    {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
    {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
    POPT_TABLEEND,
};

static json_t *to_json(const bench_machine *machine, const bench_row *rows, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "kernel", rows[i].kernel, "level",
                            rows[i].level, "dtype", rows[i].dtype, "gb_per_second",
                            cli_json_real(rows[i].gbs), "gflop_per_second",
                            cli_json_real(rows[i].gflops), "share", cli_json_real(rows[i].share)));
    return json_pack("{s:i, s:i, s:f, s:f, s:i, s:f, s:o}", "dim", dim, "megabytes", megabytes,
                     "read_gb_per_second", machine->read_gbs, "read_gb_per_second_all_threads",
                     machine->read_all_gbs, "threads", machine->threads, "peak_gflop_per_second",
                     machine->peak_gflops, "kernels", list);
}

static void print_table(FILE *out, const bench_machine *machine, const bench_row *rows,
                        size_t count) {
    fprintf(out,
            "memory     %.1f GB/s read by one thread, %.1f GB/s by %d\n"
            "arithmetic %.0f GFLOP/s on registers, one thread, best level\n"
            "kernels    one thread, dim %d, %d MB of rows (settle: rows in the cache)\n\n",
            machine->read_gbs, machine->read_all_gbs, machine->threads, machine->peak_gflops, dim,
            megabytes);
    fprintf(out, "%-12s %-8s %-6s %10s %10s   %s\n", "kernel", "level", "dtype", "GB/s", "GFLOP/s",
            "share");
    for (size_t i = 0; i < count; i++) {
        char gbs[16] = "-", share[48] = "";
        if (rows[i].gbs > 0) snprintf(gbs, sizeof gbs, "%.1f", rows[i].gbs);
        if (isfinite(rows[i].share))
            snprintf(share, sizeof share, "%3.0f%% of %s", 100 * rows[i].share,
                     rows[i].gbs > 0 ? "the read bandwidth" : "the level's peak");
        fprintf(out, "%-12s %-8s %-6s %10s %10.1f   %s\n", rows[i].kernel, rows[i].level,
                rows[i].dtype, gbs, rows[i].gflops, share);
    }
}

int bench_write(const char *into, const char *name, const char *text) {
    char path[4096];
    if (mkdir(into, 0777) && errno != EEXIST)
        return cli_fail("-o %s: the folder cannot be made, %s; choose another", into,
                        strerror(errno));
    if (snprintf(path, sizeof path, "%s/%s", into, name) >= (int)sizeof path)
        return cli_fail("-o: the path is longer than %zu bytes; choose a shorter one", sizeof path);
    vindex_output *file;
    int answer = cli_status(vindex_output_create(path, &file));
    if (answer != CLI_DONE) return answer;
    answer = cli_status(vindex_output_write(file, text, strlen(text)));
    if (answer == CLI_DONE) return cli_status(vindex_output_finish(file));
    vindex_output_abort(file);
    return answer;
}

/* The rows as CSV, to be freed; NULL when memory is out. */
static char *to_csv(const bench_row *rows, size_t count) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out) return NULL;
    fprintf(out, "kernel,level,dtype,gb_per_second,gflop_per_second\n");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s,%s,%s,%.3f,%.3f\n", rows[i].kernel, rows[i].level, rows[i].dtype,
                rows[i].gbs, rows[i].gflops);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static int write_files(const json_t *json, const bench_row *rows, size_t count) {
    char *text = json_dumps(json, JSON_INDENT(2)), *csv = to_csv(rows, count);
    int answer = text && csv ? bench_write(folder, "kernels.json", text)
                             : cli_fail("kernels: no memory for the report; free some");
    if (answer == CLI_DONE) answer = bench_write(folder, "kernels.csv", csv);
    free(text);
    free(csv);
    return answer;
}

static int run_kernels(void) {
    bench_machine machine;
    bench_row rows[BENCH_ROWS];
    vindex_call call = cli_call(NULL);
    bench_options bench = {.dim = (size_t)dim,
                           .bytes = (size_t)megabytes << 20,
                           .threads = call.threads,
                           .progress = call.progress,
                           .progress_context = call.progress_context};
    size_t count = bench_kernels(&bench, &machine, rows);
    cli_progress_end();
    if (!count && cli_signal()) return cli_status(VINDEX_ERR_CANCELLED);
    if (!count) return cli_fail("%s", vindex_last_error());
    json_t *json = to_json(&machine, rows, count);
    int answer = json ? CLI_DONE : cli_fail("kernels: no memory for the report; free some");
    if (answer == CLI_DONE && folder) answer = write_files(json, rows, count);
    if (answer == CLI_DONE && cli_common.json) {
        json_dumpf(json, stdout, JSON_REAL_PRECISION(15));
        putchar('\n');
    } else if (answer == CLI_DONE) {
        print_table(stdout, &machine, rows, count);
    }
    json_decref(json);
    return answer;
}

int cmd_bench(int argc, const char **argv) {
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) {
        bool kernels = strcmp(parsed.words[0], "kernels") == 0;
        recall.dim = dim;
        recall.folder = folder;
        recall.specs = parsed.words + 1;
        if (strcmp(parsed.words[0], "recall") == 0)
            answer = bench_recall_run(&recall);
        else if (!kernels)
            answer = cli_words("'%s': it is no benchmark that is known; use kernels or recall",
                               parsed.words[0]);
        else if (parsed.words[1] != NULL)
            answer = cli_words("'%s': one word too many; `vindex bench --help` shows the form",
                               parsed.words[1]);
        else if (dim < 1 || dim > 65536 || megabytes < 1 || megabytes > 1 << 20)
            answer = cli_words(
                "--dim %d --megabytes %d: that is out of range; give --dim 1 to 65536 and "
                "--megabytes 1 to 1048576",
                dim, megabytes);
        else
            answer = run_kernels();
    }
    cli_release(options, &parsed);
    return answer;
}
