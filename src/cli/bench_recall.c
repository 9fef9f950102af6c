#include "bench_recall.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vindex/fields.h>
#include <vindex/tune.h>

#include "bench/curve.h"
#include "bench/simulated.h"
#include "model.h"
#include "picture.h"

enum { REPEATS = 3, SWEEPS_MOST = 4, POINTS_MOST = 4096 };

/* What is searched: rows, queries, and the neighbours that an exact search finds. */
struct set {
    const char *name;
    vindex_metric metric;
    int64_t dim, row_count, query_count;
    float *rows, *queries;
    int64_t *truth;
    double exact_qps;
};

/* One choice of parameters. */
struct measured {
    char settings[96]; /* "nprobe=8" */
    bench_point point;
};

/* What came of one index. */
struct curve {
    char spec[128];
    double train_seconds, add_seconds, bytes_each;
    struct measured *measured;
    int64_t count, room;
};

struct run {
    const struct bench_recall *words;
    struct set set;
    struct curve *curves;
    int64_t count, done;
    int64_t *found; /* of one pass over the queries */
    int64_t first;  /* of the queries that measure; those before tune */
};

/* ---- what is searched ---- */

static int read_set(const struct bench_recall *words, struct set *set) {
    struct cli_rows rows, queries;
    if (words->queries == NULL)
        return cli_words("--queries: nothing was given; add --queries FILE to --input");
    set->name = words->inputs[0];
    int answer = cli_rows_open(words->inputs, "--input", 1, &rows);
    if (answer != CLI_DONE) return answer;
    set->dim = rows.dim;
    set->row_count = rows.rows;
    answer = cli_rows_load(&rows, &set->rows);
    cli_rows_close(&rows);
    if (answer != CLI_DONE) return answer;
    answer = cli_rows_open(words->queries, "--queries", 2, &queries);
    if (answer != CLI_DONE) return answer;
    set->query_count = queries.rows;
    if (queries.dim != set->dim)
        answer = cli_fail("--queries %s: they have %lld numbers and --input %lld; they must agree",
                          queries.paths[0], (long long)queries.dim, (long long)set->dim);
    else
        answer = cli_rows_load(&queries, &set->queries);
    cli_rows_close(&queries);
    return answer;
}

/* The queries are the rows that would come next. */
static int simulate_set(const struct bench_recall *words, struct set *set) {
    set->name = words->data != NULL ? words->data : "clustered";
    set->dim = words->dim;
    set->row_count = words->rows;
    set->query_count = words->count;
    int64_t bytes = set->dim * (int64_t)sizeof(float);
    set->rows = cli_alloc(set->row_count, bytes, "--rows");
    set->queries = cli_alloc(set->query_count, bytes, "--count");
    if (set->rows == NULL || set->queries == NULL) return CLI_FAILED;
    uint64_t seed = (uint64_t)cli_common.seed;
    if (bench_simulate(set->name, 0, set->row_count, set->dim, seed, cli_common.threads,
                       set->rows) &&
        bench_simulate(set->name, set->row_count, set->query_count, set->dim, seed,
                       cli_common.threads, set->queries))
        return CLI_DONE;
    return cli_fail("--data %s: no memory to simulate it; give a smaller --dim", set->name);
}

static int check_words(const struct bench_recall *words, struct set *set) {
    if (words->specs[0] == NULL)
        return cli_words("SPEC: nothing was given; name indexes, as in IVF1024,Flat");
    if (words->data != NULL && !bench_simulated_known(words->data))
        return cli_words("--data %s: no such simulated set; known are %s", words->data,
                         bench_simulated_names);
    if (words->data != NULL && words->inputs != NULL)
        return cli_words("--data: --input was given as well; give one of them");
    if (words->rows < 1 || words->count < 2 || words->dim < 1 || words->k < 1 || words->batch < 0 ||
        words->rows > INT32_MAX || words->count > INT32_MAX || words->k > INT32_MAX ||
        words->dim > 65536)
        return cli_words(
            "--rows %lld --count %lld --dim %d -k %lld --batch %lld: that is out of range; give "
            "at least 1, of --count 2, and no more than memory holds",
            words->rows, words->count, words->dim, words->k, words->batch);
    if (words->plot != NULL && !cli_ends(words->plot, ".svg") && !cli_ends(words->plot, ".png"))
        return cli_words("--plot %s: the picture is drawn as .svg or .png; give such a name",
                         words->plot);
    return cli_metric(words->metric, &set->metric);
}

/* ---- measuring ---- */

/* Searches for the queries from `first` on, `batch` to a call; *seconds is the best of a few. */
static int search_all(const struct run *run, const vindex_index *index,
                      const vindex_search_params *params, int64_t first, double *seconds) {
    const struct set *set = &run->set;
    *seconds = (double)INFINITY;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        int64_t batch = run->words->batch > 0 ? run->words->batch : set->query_count;
        double start = cli_clock();
        for (int64_t at = first; at < set->query_count; at += batch) {
            int64_t count = set->query_count - at < batch ? set->query_count - at : batch;
            int answer = cli_status_words(vindex_search(index, set->queries + at * set->dim, count,
                                                        params, run->found + at * params->k, NULL));
            if (answer != CLI_DONE) return answer;
        }
        *seconds = fmin(*seconds, cli_clock() - start);
        if (cli_signal() != 0) return cli_status(VINDEX_ERR_CANCELLED);
    }
    return CLI_DONE;
}

static vindex_search_params common_params(const struct run *run) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = run->words->k;
    params.threads = cli_common.threads;
    return params;
}

static int find_truth(struct run *run) {
    vindex_index *flat = NULL;
    struct set *set = &run->set;
    double seconds = 0;
    vindex_call call = cli_call(&(struct cli_span){"exact search", 0, 1});
    vindex_search_params params = common_params(run);
    int answer = cli_status(vindex_create("Flat", set->dim, set->metric, &flat));
    if (answer == CLI_DONE) answer = cli_status(vindex_add(flat, set->rows, set->row_count, &call));
    if (answer == CLI_DONE) answer = search_all(run, flat, &params, 0, &seconds);
    set->exact_qps = (double)set->query_count / seconds;
    if (answer == CLI_DONE)
        memcpy(set->truth, run->found, (size_t)(set->query_count * params.k) * sizeof *set->truth);
    vindex_free(flat);
    return answer;
}

static int measure(struct run *run, const vindex_index *index, const vindex_search_params *params,
                   const char *settings) {
    struct curve *curve = &run->curves[run->done];
    const struct set *set = &run->set;
    double seconds;
    if (curve->count == POINTS_MOST)
        return cli_words("--sweep: more than %d combinations; give fewer values", POINTS_MOST);
    if (curve->count == curve->room) {
        int64_t room = curve->room ? 2 * curve->room : 16;
        void *grown = realloc(curve->measured, (size_t)room * sizeof *curve->measured);
        if (grown == NULL) return cli_fail("recall: no memory for the points; free some");
        curve->measured = grown;
        curve->room = room;
    }
    int answer = search_all(run, index, params, run->first, &seconds);
    if (answer != CLI_DONE) return answer;
    struct measured *m = &curve->measured[curve->count++];
    int64_t count = set->query_count - run->first;
    snprintf(m->settings, sizeof m->settings, "%s", settings);
    m->point.qps = (double)count / seconds;
    m->point.recall = bench_recall(set->truth + run->first * params->k,
                                   run->found + run->first * params->k, count, params->k);
    return CLI_DONE;
}

/* Every combination of the values of --sweep, from word `sweep` on. */
static int measure_sweep(struct run *run, const vindex_index *index,
                         const vindex_search_params *params, int sweep, const char *settings) {
    const char *word = run->words->sweeps[sweep];
    if (word == NULL) return measure(run, index, params, settings);
    const char *values = strchr(word, '=');
    if (values == NULL || sweep == SWEEPS_MOST)
        return cli_words("--sweep %s: that is no NAME=V,V,..., or the fifth of them; give up to %d",
                         word, SWEEPS_MOST);
    int answer = CLI_DONE;
    for (const char *at = values; answer == CLI_DONE && at != NULL; at = strchr(at + 1, ',')) {
        char name[32], value[32], all[96];
        vindex_search_params with = *params;
        snprintf(name, sizeof name, "%.*s", (int)(values - word), word);
        snprintf(value, sizeof value, "%.*s", (int)strcspn(at + 1, ","), at + 1);
        if (snprintf(all, sizeof all, "%s%s%s=%s", settings, *settings ? " " : "", name, value) >=
            (int)sizeof all)
            return cli_words("--sweep %s: the settings together are too long; give fewer", word);
        answer = cli_status_words(vindex_fields_set(vindex_search_fields(), &with, name, value));
        if (answer == CLI_DONE) answer = measure_sweep(run, index, &with, sweep + 1, all);
    }
    return answer;
}

/* The operating points that half of the queries give, on the other half. */
static int measure_points(struct run *run, vindex_index *index) {
    enum { MOST = 64 };
    struct set *set = &run->set;
    vindex_operating_point points[MOST];
    vindex_search_params params = common_params(run);
    vindex_tune_params tuning;
    int64_t count = 0;
    vindex_call call = cli_call(&(struct cli_span){"tuning", 0, 1});
    vindex_tune_params_init(&tuning);
    tuning.k = tuning.truth_k = params.k;
    tuning.truth = set->truth;
    int answer = cli_status(vindex_tune(index, set->queries, run->first, &tuning, &call));
    if (answer == CLI_DONE)
        answer = cli_status(vindex_operating_points(index, points, MOST, &count));
    for (int64_t i = 0; answer == CLI_DONE && i < count && i < MOST; i++) {
        char settings[96] = "";
        size_t used = 0;
        for (int64_t j = 0; j < points[i].setting_count && used < sizeof settings; j++)
            used += (size_t)snprintf(settings + used, sizeof settings - used, "%s%s=%lld",
                                     j ? " " : "", points[i].settings[j].name,
                                     (long long)points[i].settings[j].value);
        params.recall = points[i].recall;
        answer = measure(run, index, &params, settings);
    }
    return answer;
}

static int measure_index(struct run *run, const char *spec) {
    struct set *set = &run->set;
    struct curve *curve = &run->curves[run->done];
    vindex_index *index = NULL;
    vindex_call training = cli_call(&(struct cli_span){"training", 0, 1});
    vindex_call adding = cli_call(&(struct cli_span){"adding", 0, 1});
    int answer = cli_status_words(vindex_create(spec, set->dim, set->metric, &index));
    double start = cli_clock();
    if (answer == CLI_DONE && !vindex_is_trained(index))
        answer = cli_status(vindex_train(index, set->rows, set->row_count, &training));
    curve->train_seconds = cli_clock() - start;
    start = cli_clock();
    if (answer == CLI_DONE)
        answer = cli_status(vindex_add(index, set->rows, set->row_count, &adding));
    curve->add_seconds = cli_clock() - start;
    if (answer == CLI_DONE) {
        vindex_search_params params = common_params(run);
        snprintf(curve->spec, sizeof curve->spec, "%s", vindex_spec(index));
        curve->bytes_each = (double)vindex_memory(index) / (double)set->row_count;
        answer = run->words->sweeps != NULL ? measure_sweep(run, index, &params, 0, "")
                                            : measure_points(run, index);
    }
    vindex_free(index);
    return answer;
}

/* ---- telling ---- */

static double qps_at(const struct curve *curve, double recall) {
    bench_point points[POINTS_MOST];
    for (int64_t i = 0; i < curve->count; i++) points[i] = curve->measured[i].point;
    return bench_qps_at(points, (size_t)curve->count, recall);
}

static json_t *curve_json(const struct curve *curve) {
    json_t *points = json_array(), *levels = json_object();
    for (int64_t i = 0; i < curve->count; i++)
        json_array_append_new(points,
                              json_pack("{s:s, s:o, s:o}", "settings", curve->measured[i].settings,
                                        "recall", cli_json_real(curve->measured[i].point.recall),
                                        "qps", cli_json_real(curve->measured[i].point.qps)));
    for (int l = 0; l < BENCH_LEVELS; l++) {
        char name[8];
        snprintf(name, sizeof name, "%.2f", bench_levels[l]);
        json_object_set_new(levels, name, cli_json_real(qps_at(curve, bench_levels[l])));
    }
    return json_pack("{s:s, s:f, s:f, s:f, s:o, s:o}", "spec", curve->spec, "train_seconds",
                     curve->train_seconds, "add_seconds", curve->add_seconds, "bytes_per_vector",
                     curve->bytes_each, "points", points, "qps_at", levels);
}

static json_t *to_json(const struct run *run) {
    const struct set *set = &run->set;
    json_t *curves = json_array();
    for (int64_t c = 0; c < run->done; c++)
        json_array_append_new(curves, curve_json(&run->curves[c]));
    /* A path need not be UTF-8, JSON must be. */
    return json_pack("{s:s*, s:b, s:s, s:I, s:I, s:I, s:I, s:i, s:I, s:s, s:f, s:o}", "data",
                     set->name, "simulated", run->words->inputs == NULL, "metric",
                     vindex_metric_name(set->metric), "rows", (json_int_t)set->row_count, "dim",
                     (json_int_t)set->dim, "queries", (json_int_t)(set->query_count - run->first),
                     "k", (json_int_t)run->words->k, "threads", cli_common.threads, "batch",
                     (json_int_t)run->words->batch, "simd", vindex_simd_level(), "exact_qps",
                     set->exact_qps, "curves", curves);
}

static void put_csv(FILE *out, const struct run *run) {
    const struct set *set = &run->set;
    fprintf(out, "spec,data,metric,rows,dim,queries,k,threads,batch,settings,recall,qps,"
                 "train_seconds,add_seconds,bytes_per_vector\n");
    for (int64_t c = 0; c < run->done; c++)
        for (int64_t i = 0; i < run->curves[c].count; i++) {
            const struct curve *curve = &run->curves[c];
            fprintf(
                out,
                "\"%s\",\"%s\",%s,%lld,%lld,%lld,%lld,%d,%lld,\"%s\",%.5f,%.1f,%.3f,%.3f,%.2f\n",
                curve->spec, set->name, vindex_metric_name(set->metric), (long long)set->row_count,
                (long long)set->dim, (long long)(set->query_count - run->first), run->words->k,
                cli_common.threads, run->words->batch, curve->measured[i].settings,
                curve->measured[i].point.recall, curve->measured[i].point.qps, curve->train_seconds,
                curve->add_seconds, curve->bytes_each);
        }
}

static void put_table(FILE *out, const struct run *run) {
    const struct set *set = &run->set;
    char threads[32] = "every core";
    if (cli_common.threads > 0) snprintf(threads, sizeof threads, "%d threads", cli_common.threads);
    fprintf(out,
            "data     %s%s, %lld x %lld, %s\n"
            "queries  %lld, k = %lld, %s, %s a call, %s\n"
            "exact    %.0f queries per second\n",
            set->name, run->words->inputs == NULL ? " (simulated)" : "", (long long)set->row_count,
            (long long)set->dim, vindex_metric_name(set->metric),
            (long long)(set->query_count - run->first), run->words->k, threads,
            run->words->batch == 1 ? "one"
            : run->words->batch    ? "some"
                                   : "all",
            vindex_simd_level(), set->exact_qps);
    for (int64_t c = 0; c < run->done; c++) {
        const struct curve *curve = &run->curves[c];
        fprintf(out, "\n%s: trained in %.2f s, filled in %.2f s, %.1f bytes per vector\n",
                curve->spec, curve->train_seconds, curve->add_seconds, curve->bytes_each);
        for (int64_t i = 0; i < curve->count; i++)
            fprintf(out, "  recall %.4f  %10.0f queries per second  %s\n",
                    curve->measured[i].point.recall, curve->measured[i].point.qps,
                    curve->measured[i].settings);
        fputs(" ", out);
        for (int l = 0; l < BENCH_LEVELS; l++) {
            double qps = qps_at(curve, bench_levels[l]);
            fprintf(out, " at %.2f: %.0f%s", bench_levels[l], isfinite(qps) ? qps : 0.0,
                    l + 1 < BENCH_LEVELS ? "," : "\n");
        }
    }
}

static int draw(const struct run *run, const char *path) {
    struct cli_picture p;
    int answer = cli_picture_begin("--plot", path, 760, &p);
    if (answer != CLI_DONE) return cli_picture_finish(&p, answer);
    for (int64_t c = 0; c < run->done; c++) {
        fprintf(p.script, "$curve%lld << EOD\n", (long long)c);
        for (int64_t i = 0; i < run->curves[c].count; i++)
            fprintf(p.script, "%.6g %.6g\n", run->curves[c].measured[i].point.recall,
                    run->curves[c].measured[i].point.qps);
        fputs("EOD\n", p.script);
    }
    fprintf(p.script,
            "set logscale y\nset key outside right noenhanced\nset xlabel 'recall@%lld'\n"
            "set ylabel 'queries per second'\nset title noenhanced ",
            run->words->k);
    char title[256];
    snprintf(title, sizeof title, "%.120s%s, %lld x %lld", run->set.name,
             run->words->inputs == NULL ? " (simulated)" : "", (long long)run->set.row_count,
             (long long)run->set.dim);
    cli_picture_quote(p.script, title);
    fputs("\nplot ", p.script);
    for (int64_t c = 0; c < run->done; c++) {
        fprintf(p.script, "%s$curve%lld with linespoints pt 7 ps 0.5 lw 2 title ", c ? ", " : "",
                (long long)c);
        cli_picture_quote(p.script, run->curves[c].spec);
    }
    fputs("\nunset output\n", p.script);
    return cli_picture_finish(&p, answer);
}

/* The rows as CSV, to be freed; NULL when memory is out. */
static char *csv_text(const struct run *run) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) return NULL;
    put_csv(out, run);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static int write_files(const struct run *run, const json_t *json) {
    const char *folder = run->words->folder;
    char path[4096];
    char *text = json_dumps(json, JSON_INDENT(2)), *csv = csv_text(run);
    int answer = text && csv ? bench_write(folder, "recall.json", text)
                             : cli_fail("recall: no memory for the report; free some");
    if (answer == CLI_DONE) answer = bench_write(folder, "recall.csv", csv);
    if (answer == CLI_DONE) {
        snprintf(path, sizeof path, "%s/recall.svg", folder);
        answer = draw(run, path);
    }
    free(text);
    free(csv);
    return answer;
}

static int tell(const struct run *run) {
    json_t *json = to_json(run);
    int answer = json ? CLI_DONE : cli_fail("recall: no memory for the report; free some");
    cli_progress_end();
    if (answer == CLI_DONE && run->words->folder) answer = write_files(run, json);
    if (answer == CLI_DONE && run->words->plot) answer = draw(run, run->words->plot);
    if (answer == CLI_DONE && cli_common.json) {
        json_dumpf(json, stdout, JSON_REAL_PRECISION(15));
        putchar('\n');
    } else if (answer == CLI_DONE && run->words->csv) {
        put_csv(stdout, run);
    } else if (answer == CLI_DONE) {
        put_table(stdout, run);
    }
    json_decref(json);
    return answer;
}

static int run_all(struct run *run) {
    const struct bench_recall *words = run->words;
    struct set *set = &run->set;
    int answer = words->inputs != NULL ? read_set(words, set) : simulate_set(words, set);
    if (answer != CLI_DONE) return answer;
    int64_t ids = words->k * (int64_t)sizeof *set->truth;
    set->truth = cli_alloc(set->query_count, ids, "true neighbours");
    run->found = cli_alloc(set->query_count, ids, "neighbours");
    if (set->truth == NULL || run->found == NULL) return CLI_FAILED;
    answer = find_truth(run);
    run->first = words->sweeps == NULL ? set->query_count / 2 : 0;
    for (; answer == CLI_DONE && run->done < run->count; run->done++) {
        answer = measure_index(run, words->specs[run->done]);
        if (answer != CLI_DONE) break;
    }
    return answer == CLI_DONE ? tell(run) : answer;
}

int bench_recall_run(struct bench_recall *bench) {
    struct run run = {.words = bench};
    int answer = check_words(bench, &run.set);
    if (answer != CLI_DONE) return answer;
    cli_tune_blas();
    while (bench->specs[run.count] != NULL) run.count++;
    run.curves = calloc((size_t)run.count, sizeof *run.curves);
    answer = run.curves != NULL ? run_all(&run) : cli_fail("recall: no memory; free some");
    for (int64_t c = 0; run.curves != NULL && c < run.count; c++) free(run.curves[c].measured);
    free(run.curves);
    free(run.found);
    free(run.set.rows);
    free(run.set.queries);
    free(run.set.truth);
    return answer;
}
