/* Every way to make embeddings smaller, on SIMULATED Da-TACOS, beside what the papers measured on
 * the real one: F. Yesiler, J. Serra and E. Gomez, "Less is more", ISMIR 2020, Table 1; X. Du et
 * al., "ByteCover2", ICASSP 2022, Table 1.
 *
 *     bench_reductions [--quick] [--csv] [--only WORD]
 *
 * Seed and settings are the same in every cell of a paper. MOVE's simulated embeddings (16,000
 * numbers) have rank 256, and so do ByteCover2's: what learns from the whole training split sees
 * its distance-preserving projection to that rank, fitted on some of its rows; ICA learns from
 * 8,192 rows. --quick trains on a fifth of the cliques, for 6 epochs instead of 4, and leaves out
 * what takes long at 16,000 numbers. --only measures the methods whose name has that word in it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vindex/eval.h>
#include <vindex/transform.h>

enum { RANK = 256, BLOCK = 512 };

static bool csv, quick;
static const char *only;

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_reductions: %s\n", vindex_last_error());
    exit(1);
}

static float *numbers(int64_t rows, int64_t dim) {
    float *memory = malloc((size_t)rows * (size_t)dim * sizeof *memory);
    if (memory) return memory;
    fprintf(stderr, "bench_reductions: no memory for %lld x %lld numbers\n", (long long)rows,
            (long long)dim);
    exit(1);
}

/* ---- data ---- */

typedef struct set {
    int64_t rows, dim;
    const int32_t *cliques;
    float *vectors;
    vindex_simulator *simulator;
} set;

/* A model's embeddings: simulated, then projected to their rank. */
typedef struct world {
    set whole; /* the benchmark at the model's own size */
    set train, test;
    vindex_simulator *training; /* at the model's own size */
} world;

static vindex_status read_rows(void *context, int64_t first, int64_t count, float *vectors) {
    return vindex_simulator_read(context, first, count, 0, vectors);
}

static vindex_fit_data rows_of(vindex_simulator *simulator, int64_t count) {
    vindex_fit_data data;
    vindex_fit_data_init(&data);
    data.rows = (vindex_rows){.count = count,
                              .dim = vindex_simulator_dim(simulator),
                              .read = read_rows,
                              .context = simulator};
    return data;
}

/* All rows of a simulator through a projection, piece by piece. */
static set project(vindex_simulator *simulator, const vindex_transform *projection) {
    set result = {.rows = vindex_simulator_rows(simulator),
                  .dim = vindex_transform_output_dim(projection),
                  .cliques = vindex_simulator_cliques(simulator)};
    float *block = numbers(BLOCK, vindex_simulator_dim(simulator));
    result.vectors = numbers(result.rows, result.dim);
    for (int64_t first = 0; first < result.rows; first += BLOCK) {
        int64_t count = result.rows - first < BLOCK ? result.rows - first : BLOCK;
        check(vindex_simulator_read(simulator, first, count, 0, block));
        check(vindex_transform_apply(projection, block, count, result.vectors + first * result.dim,
                                     NULL));
    }
    free(block);
    return result;
}

static world open_world(vindex_simulated_model model) {
    world w;
    vindex_simulate_params params;
    vindex_simulate_params_init(&params);
    params.model = model;
    check(vindex_simulator_create(&params, NULL, 0, &w.whole.simulator));
    params.training = true;
    params.scale = quick ? 0.2 : 1;
    check(vindex_simulator_create(&params, NULL, 0, &w.training));
    /* As many rows as show the rank, and some to spare. */
    vindex_fit_data data = rows_of(w.training, 4 * RANK);
    vindex_fit_params fit;
    vindex_transform *projection;
    vindex_fit_params_init(&fit);
    fit.dim = RANK;
    check(vindex_fit("pca", &data, &fit, &projection));
    w.train = project(w.training, projection);
    w.test = project(w.whole.simulator, projection);
    w.whole.rows = vindex_simulator_rows(w.whole.simulator);
    w.whole.dim = vindex_simulator_dim(w.whole.simulator);
    w.whole.cliques = vindex_simulator_cliques(w.whole.simulator);
    vindex_transform_free(projection);
    return w;
}

static void close_world(world *w) {
    free(w->train.vectors);
    free(w->test.vectors);
    vindex_simulator_free(w->whole.simulator);
    vindex_simulator_free(w->training);
}

/* ---- cells ---- */

enum { SETTINGS_MOST = 4 };

typedef struct cell {
    const char *what, *method;
    vindex_setting settings[SETTINGS_MOST]; /* beside those of all */
    vindex_metric metric;
    int64_t dims[4];
    double published[4];
    int64_t rows; /* to learn from, the first of them; 0: all */
} cell;

static const cell move_cells[] = {
    {"PCA", "pca", {{NULL}}, VINDEX_L2, {128, 256}, {.494, .507}},
    {"ICA", "ica", {{NULL}}, VINDEX_L2, {128, 256, 512}, {.456, .425, NAN}, 8192},
    {"distance matching + triplet", "distill", {{NULL}}, VINDEX_L2, {128, 256}, {.492, .499}},
    {"cluster matching + triplet",
     "distill",
     {{"match", "clusters"}},
     VINDEX_L2,
     {128, 256},
     {.424, .471}},
    {"reconfiguration, Triplet", "lsr", {{"loss", "triplet"}}, VINDEX_L2, {128, 256}, {.485, .491}},
    {"reconfiguration, ProxyNCA",
     "lsr",
     {{"loss", "proxy-nca"}},
     VINDEX_L2,
     {128, 256},
     {.424, .465}},
    {"reconfiguration, NormalizedSoftmax",
     "lsr",
     {{"loss", "normalized-softmax"}},
     VINDEX_COSINE,
     {128, 256},
     {.513, .524}},
    {"reconfiguration, Group",
     "lsr",
     {{"loss", "group"}},
     VINDEX_PEARSON,
     {128, 256},
     {.465, .483}},
};

/* At the model's own size, from some training rows: what a smaller rank would hide. */
static const cell whole_cells[] = {
    {"PCA, fitted at full size", "pca", {{NULL}}, VINDEX_L2, {512, 2048}, {.507, .507}},
    {"Gaussian random projection",
     "grp",
     {{NULL}},
     VINDEX_L2,
     {128, 256, 512, 2048},
     {.429, .465, .485, .502}},
};

static const cell bytecover2_cells[] = {
    {"ByteCover PCA", "pca", {{NULL}}, VINDEX_COSINE, {128}, {.682}},
    {"ByteCover FC", "fc", {{NULL}}, VINDEX_COSINE, {128}, {.615}},
    {"ByteCover2, PCA-FC", "pca-fc", {{NULL}}, VINDEX_COSINE, {128}, {.718}},
};

/* How the cells of a paper are trained: all alike. ByteCover2 names its rate and batch (section
 * 3.1); "Less is more" found its own by a grid for each cell, which this does not. */
typedef struct protocol {
    const char *batch, *rate;
} protocol;

static const protocol less_is_more = {"128", "0.02"}, bytecover2 = {"64", "0.0001"};

/* values: MAP, the published one, seconds; failure: in place of the MAP, or NULL. */
static void print_cell(const char *what, int64_t dim, vindex_metric metric, const double values[3],
                       const char *failure) {
    char map[64], published[16] = "-";
    snprintf(map, sizeof map, "%.4f", values[0]);
    if (failure) snprintf(map, sizeof map, "%s", failure);
    if (!isnan(values[1])) snprintf(published, sizeof published, "%.3f", values[1]);
    printf(csv ? "\"%s\",%lld,%s,%s,%s,%.1f\n" : "%-36s %6lld  %-8s %9s %10s %10.1f\n", what,
           (long long)dim, vindex_metric_name(metric), map, published, values[2]);
    fflush(stdout);
}

static double map_of(const float *vectors, const set *shape, int64_t dim, vindex_metric metric) {
    vindex_eval_params params;
    vindex_eval_report report;
    vindex_eval_params_init(&params);
    params.metric = metric;
    check(vindex_eval(vectors, shape->cliques, shape->rows, dim, &params, &report, NULL));
    return report.map;
}

static bool trains(const char *method) {
    return strcmp(method, "pca") != 0 && strcmp(method, "ica") != 0 && strcmp(method, "grp") != 0;
}

/* Fits a cell. It may be refused, as ICA must be above the rank, or diverge. */
static vindex_status fit_cell(const cell *c, int64_t dim, const vindex_fit_data *data,
                              const protocol *p, vindex_transform **transform) {
    vindex_setting settings[SETTINGS_MOST + 3];
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    params.dim = dim;
    params.settings = settings;
    for (int i = 0; i < SETTINGS_MOST && c->settings[i].name; i++)
        settings[params.setting_count++] = c->settings[i];
    if (trains(c->method)) {
        settings[params.setting_count++] = (vindex_setting){"epochs", quick ? "6" : "4"};
        settings[params.setting_count++] = (vindex_setting){"batch", p->batch};
        settings[params.setting_count++] = (vindex_setting){"rate", p->rate};
    }
    vindex_status status = vindex_fit(c->method, data, &params, transform);
    if (status != VINDEX_OK)
        fprintf(stderr, "%s at %lld: %s\n", c->what, (long long)dim, vindex_last_error());
    return status;
}

/* The cells of one method, learned from data and measured on a set. */
static void run_cell(const cell *c, const vindex_fit_data *all, const set *test,
                     const protocol *p) {
    vindex_fit_data some = *all, *data = &some;
    if (only && !strstr(c->what, only)) return;
    if (c->rows && c->rows < all->rows.count) some.rows.count = some.second.count = c->rows;
    for (int i = 0; i < 4 && c->dims[i]; i++) {
        clock_t start = clock();
        double values[3] = {NAN, c->published[i], 0};
        vindex_transform *transform = NULL;
        vindex_status status = fit_cell(c, c->dims[i], data, p, &transform);
        const char *failure = status == VINDEX_ERR_DATA ? "diverged" : status ? "refused" : NULL;
        values[2] = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (transform) {
            set mapped = *test;
            if (test->vectors) {
                mapped.vectors = numbers(test->rows, c->dims[i]);
                check(vindex_transform_apply(transform, test->vectors, test->rows, mapped.vectors,
                                             NULL));
            } else
                mapped = project(test->simulator, transform);
            values[0] = map_of(mapped.vectors, test, c->dims[i], c->metric);
            free(mapped.vectors);
            vindex_transform_free(transform);
        }
        print_cell(c->what, c->dims[i], c->metric, values, failure);
    }
}

static void run_original(const char *what, const set *test, vindex_metric metric,
                         double published) {
    double values[3] = {map_of(test->vectors, test, test->dim, metric), published, 0};
    print_cell(what, test->dim, metric, values, NULL);
}

static vindex_fit_data training_data(const world *w) {
    vindex_fit_data data;
    vindex_fit_data_init(&data);
    data.rows =
        (vindex_rows){.count = w->train.rows, .dim = w->train.dim, .vectors = w->train.vectors};
    data.second = data.rows; /* the teacher is the model itself */
    data.labels = w->train.cliques;
    return data;
}

static void run_move(void) {
    world w = open_world(VINDEX_SIMULATED_MOVE);
    vindex_fit_data data = training_data(&w);
    if (!quick) {
        w.whole.vectors = numbers(w.whole.rows, w.whole.dim);
        check(vindex_simulator_read(w.whole.simulator, 0, w.whole.rows, 0, w.whole.vectors));
        run_original("MOVE", &w.whole, VINDEX_L2, .507);
        free(w.whole.vectors);
        w.whole.vectors = NULL;
    }
    run_original("MOVE, projected to its rank", &w.test, VINDEX_L2, NAN);
    run_original("the same by cosine", &w.test, VINDEX_COSINE, NAN);
    for (size_t i = 0; i < sizeof move_cells / sizeof *move_cells; i++)
        run_cell(&move_cells[i], &data, &w.test, &less_is_more);
    if (!quick) {
        vindex_fit_data whole = rows_of(w.training, 2560);
        for (size_t i = 0; i < sizeof whole_cells / sizeof *whole_cells; i++)
            run_cell(&whole_cells[i], &whole, &w.whole, &less_is_more);
    }
    close_world(&w);
}

static void run_bytecover2(void) {
    world w = open_world(VINDEX_SIMULATED_BYTECOVER2);
    vindex_fit_data data = training_data(&w);
    run_original("ByteCover2, projected to its rank", &w.test, VINDEX_COSINE, NAN);
    for (size_t i = 0; i < sizeof bytecover2_cells / sizeof *bytecover2_cells; i++)
        run_cell(&bytecover2_cells[i], &data, &w.test, &bytecover2);
    close_world(&w);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        csv = csv || !strcmp(argv[i], "--csv");
        quick = quick || !strcmp(argv[i], "--quick");
        if (!strcmp(argv[i], "--only") && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--csv") != 0 && strcmp(argv[i], "--quick") != 0) {
            fprintf(stderr, "usage: bench_reductions [--quick] [--csv] [--only WORD]\n");
            return 2;
        }
    }
    const char *core = vindex_blas_advice();
    if (core && setenv("OPENBLAS_CORETYPE", core, 1) == 0)
        execv("/proc/self/exe", argv); /* OpenBLAS looks when it is loaded; else it is slow */
    if (csv)
        printf("method,dim,metric,map_simulated,map_published,fit_cpu_seconds\n");
    else
        printf("SIMULATED embeddings; published numbers are of the real ones\n"
               "%-36s %6s  %-8s %9s %10s %10s\n",
               "method", "dim", "metric", "MAP", "published", "fit, CPU s");
    run_move();
    run_bytecover2();
    return 0;
}
