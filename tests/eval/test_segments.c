/* Recordings of several segments against double loops. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "core/base.h"
#include "core/rng.h"
#include "naive.h"

enum { COUNT = 30, MOST = 4, DIM = 5, ROWS = COUNT * (MOST + 2) };
static float vectors[ROWS * DIM], query_vectors[ROWS * DIM];
static int64_t offsets[COUNT + 1], query_offsets[COUNT + 1];
static uint8_t padding[ROWS], query_padding[ROWS];
static int32_t cliques[COUNT], query_cliques[COUNT];

/* Small whole numbers in 1, 2 or 4 segments, so that sums and means are exact and distances tie;
 * padded rows hold NaN, which nobody may look at. */
static void fill_side(uint64_t seed, float *rows, int64_t *starts, uint8_t *padded, int32_t *of) {
    vx_rng rng = vx_rng_seed(seed, 1);
    int64_t row = 0;
    for (int i = 0; i < COUNT; i++) {
        starts[i] = row;
        uint64_t count = 1u << vx_rng_below(&rng, 3), wasted = vx_rng_below(&rng, 3);
        for (uint64_t s = 0; s < count + wasted; s++, row++) {
            padded[row] = s >= count;
            for (int j = 0; j < DIM; j++)
                rows[row * DIM + j] =
                    padded[row] ? NAN : (float)vx_rng_below(&rng, 5) - 1.5f * (float)(j == 2);
        }
        of[i] = (int32_t)vx_rng_below(&rng, 9);
    }
    starts[COUNT] = row;
}

static vindex_eval_recordings candidates(void) {
    return (vindex_eval_recordings){vectors, offsets, padding, cliques, COUNT, DIM};
}
static vindex_eval_recordings queries(void) {
    return (vindex_eval_recordings){query_vectors, query_offsets, query_padding,
                                    query_cliques, COUNT,         DIM};
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One reduction, written out over a matrix of at most MOST x MOST. */
static double reduce(const char *how, double m[MOST][MOST], int rows, int columns) {
    if (how[0] == 's') {
        double turned[MOST][MOST];
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) turned[j][i] = m[i][j];
        return (reduce(how + 1, m, rows, columns) + reduce(how + 1, turned, columns, rows)) / 2;
    }
    double all[MOST * MOST], least = INFINITY, sum = 0, mean_of_least = 0, least_mean = INFINITY;
    int count = 0;
    for (int i = 0; i < rows; i++) {
        double row_least = INFINITY, row_sum = 0;
        for (int j = 0; j < columns; j++) {
            all[count++] = m[i][j];
            sum += m[i][j];
            row_sum += m[i][j];
            row_least = fmin(row_least, m[i][j]);
        }
        least = fmin(least, row_least);
        mean_of_least += row_least / rows;
        least_mean = fmin(least_mean, row_sum / columns);
    }
    qsort(all, (size_t)count, sizeof *all, compare_numbers);
    if (!strcmp(how, "min")) return least;
    if (!strcmp(how, "max")) return all[count - 1];
    if (!strcmp(how, "mean")) return sum / count;
    if (!strcmp(how, "minmean")) return least_mean;
    if (!strcmp(how, "meanmin") || !strcmp(how, "maxmean")) return mean_of_least;
    int asked = strchr(how, '-') ? atoi(strchr(how, '-') + 1) : how[1] == 'e' ? 1 : 1000;
    double best = 0;
    if (how[1] == 'e') {
        asked = asked < count ? asked : count;
        for (int i = 0; i < asked; i++) best += all[i];
        return best / asked;
    }
    bool used_row[MOST] = {0}, used_column[MOST] = {0};
    int pairs = rows < columns ? rows : columns;
    pairs = asked < pairs ? asked : pairs;
    for (int p = 0; p < pairs; p++) {
        int row = -1, column = -1;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                if (!used_row[i] && !used_column[j] && (row < 0 || m[i][j] < m[row][column]))
                    row = i, column = j;
        used_row[row] = used_column[column] = true;
        best += m[row][column];
    }
    return best / pairs;
}

/* The distances of all recordings, for vindex_eval_from_matrix. */
typedef struct table {
    float values[COUNT][COUNT];
} table;

static int gather(const float *rows, const int64_t *starts, const uint8_t *padded, int i,
                  const float *found[MOST]) {
    int count = 0;
    for (int64_t r = starts[i]; r < starts[i + 1]; r++)
        if (!padded[r]) found[count++] = rows + r * DIM;
    return count;
}

static void fill_table(const char *how, vindex_metric metric, bool square, table *t) {
    for (int q = 0; q < COUNT; q++)
        for (int c = 0; c < COUNT; c++) {
            const float *a[MOST], *b[MOST];
            int rows = square ? gather(vectors, offsets, padding, q, a)
                              : gather(query_vectors, query_offsets, query_padding, q, a);
            int columns = gather(vectors, offsets, padding, c, b);
            double m[MOST][MOST];
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < columns; j++) m[i][j] = naive_key(metric, a[i], b[j], DIM);
            t->values[q][c] = (float)reduce(how, m, rows, columns);
        }
}

static vindex_status read_rows(void *context, int64_t first, int64_t count, float *values) {
    const table *t = context;
    memcpy(values, t->values[first], (size_t)count * sizeof t->values[0]);
    return VINDEX_OK;
}

static void check(const char *how, vindex_metric metric, bool square, int threads) {
    static table t;
    fill_table(how, metric, square, &t);
    const int32_t *of = square ? cliques : query_cliques;
    vindex_eval_matrix matrix = {read_rows, &t, false, of, COUNT, cliques, COUNT, square};
    vindex_eval_recordings asked = queries(), held = candidates();
    vindex_eval_reduction reduction;
    ck_assert_msg(vindex_eval_reduction_parse(how, &reduction), "%s", how);
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    params.metric = metric;
    params.threads = threads;
    params.knn = 3;
    params.top = 4;
    vindex_eval_report found, expected;
    vindex_eval_detail detail, other;
    ck_ok(vindex_eval_from_matrix(&matrix, &params, &expected, &other));
    ck_ok(
        vindex_eval_segments(square ? NULL : &asked, &held, &reduction, &params, &found, &detail));
    naive_compare(&found, &expected, 1e-12);
    ck_assert_int_eq(detail.top, 4);
    for (int i = 0; i < COUNT * 4; i++) {
        ck_assert_int_eq(detail.nearest[i], other.nearest[i]);
        double shown = metric == VINDEX_L2 ? other.distances[i] : -other.distances[i];
        ck_assert_double_eq_tol(detail.distances[i], shown, 1e-5);
    }
    vindex_eval_detail_free(&detail);
    vindex_eval_detail_free(&other);
}

static const char *const reductions[] = {
    "min",  "max",    "mean", "minmean",  "meanmin",  "best",     "best-3",  "best-99",
    "bpwr", "bpwr-2", "smin", "smeanmin", "sminmean", "smaxmean", "maxmean", "sbpwr-3"};

START_TEST(every_reduction) {
    for (size_t i = 0; i < VX_COUNT(reductions); i++) {
        fill_side(i, vectors, offsets, padding, cliques);
        fill_side(100 + i, query_vectors, query_offsets, query_padding, query_cliques);
        check(reductions[i], VINDEX_L2, true, 1);
        check(reductions[i], VINDEX_INNER_PRODUCT, false, 3);
    }
}
END_TEST

START_TEST(names) {
    static const char *const wrong[] = {"",        "s",       "ssmin",  "least",
                                        "min-3",   "best-0",  "best-x", "bpwr-",
                                        "bpwr-+2", "best-1x", "mean ",  "smeanminx"};
    vindex_eval_reduction r = {.count = 77};
    for (size_t i = 0; i < VX_COUNT(wrong); i++)
        ck_assert_msg(!vindex_eval_reduction_parse(wrong[i], &r), "%s", wrong[i]);
    ck_assert_int_eq(r.count, 77);
    ck_assert(vindex_eval_reduction_parse("sbpwr-12", &r));
    ck_assert(r.kind == VINDEX_EVAL_BPWR && r.count == 12 && r.symmetric);
    ck_assert(vindex_eval_reduction_parse("best", &r));
    ck_assert(r.kind == VINDEX_EVAL_BEST && r.count == 1 && !r.symmetric);
}
END_TEST

/* One segment each is what vindex_eval does. */
START_TEST(single_segments) {
    fill_side(7, vectors, offsets, padding, cliques);
    for (int i = 0; i <= COUNT; i++) offsets[i] = i;
    for (int i = 0; i < COUNT * DIM; i++)
        if (isnan(vectors[i])) vectors[i] = 2;
    vindex_eval_recordings held = {vectors, offsets, NULL, cliques, COUNT, DIM};
    for (int metric = 0; metric < 4; metric++) {
        vindex_eval_reduction reduction = {.kind = VINDEX_EVAL_MEANMIN};
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.metric = (vindex_metric)metric;
        vindex_eval_report found, expected;
        ck_ok(vindex_eval_segments(NULL, &held, &reduction, &params, &found, NULL));
        ck_ok(vindex_eval(vectors, cliques, COUNT, DIM, &params, &expected, NULL));
        naive_compare(&found, &expected, 0);
    }
}
END_TEST

static int stop_at_once(void *context, const char *phase, double fraction) {
    ck_assert_str_eq(phase, "rank");
    (void)context;
    return fraction >= 0;
}

START_TEST(errors) {
    fill_side(8, vectors, offsets, padding, cliques);
    fill_side(9, query_vectors, query_offsets, query_padding, query_cliques);
    vindex_eval_reduction how = {.kind = VINDEX_EVAL_MIN};
    vindex_eval_report report = {.map = 7};
    vindex_eval_recordings held = candidates(), asked = queries();
    asked.dim = DIM - 1;
    ck_fails(VINDEX_ERR_DIMENSION, "4 dimensions",
             vindex_eval_segments(&asked, &held, &how, NULL, &report, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL; give all",
             vindex_eval_segments(NULL, &held, NULL, NULL, &report, NULL));
    how.kind = (vindex_eval_reduce)9;
    ck_fails(VINDEX_ERR_ARGUMENT, "reduction 9",
             vindex_eval_segments(NULL, &held, &how, NULL, &report, NULL));
    how = (vindex_eval_reduction){.kind = VINDEX_EVAL_BEST};
    ck_fails(VINDEX_ERR_ARGUMENT, "count 0",
             vindex_eval_segments(NULL, &held, &how, NULL, &report, NULL));
    how.kind = VINDEX_EVAL_MIN;
    int64_t kept = offsets[4];
    offsets[4] = offsets[3] - 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "offset 4",
             vindex_eval_segments(NULL, &held, &how, NULL, &report, NULL));
    offsets[4] = kept;
    offsets[0] = 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "begin with 1",
             vindex_eval_segments(NULL, &held, &how, NULL, &report, NULL));
    offsets[0] = 0;
    uint8_t was = padding[offsets[2]];
    memset(padding + offsets[2], 1, (size_t)(offsets[3] - offsets[2]));
    ck_fails(VINDEX_ERR_DATA, "recording 2",
             vindex_eval_segments(NULL, &held, &how, NULL, &report, NULL));
    padding[offsets[2]] = was;
    vectors[offsets[2] * DIM + 1] = INFINITY;
    ck_fails(VINDEX_ERR_DATA, "column 1",
             vindex_eval_segments(NULL, &held, &how, NULL, &report, NULL));
    vectors[offsets[2] * DIM + 1] = 0;
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    params.progress = stop_at_once;
    ck_fails(VINDEX_ERR_CANCELLED, "rank",
             vindex_eval_segments(NULL, &held, &how, &params, &report, NULL));
    ck_assert_double_eq(report.map, 7);
}
END_TEST

START_TEST(memory_runs_out) {
    fill_side(10, vectors, offsets, padding, cliques);
    fill_side(11, query_vectors, query_offsets, query_padding, query_cliques);
    vindex_eval_recordings held = candidates(), asked = queries();
    vindex_eval_reduction how = {.kind = VINDEX_EVAL_BPWR};
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    params.threads = 1;
    params.top = 3;
    vindex_status status = VINDEX_ERR_MEMORY;
    for (long after = 0; status; after++) {
        vindex_eval_report report = {.map = 7};
        vindex_eval_detail detail;
        vx_alloc_fail_after(after);
        status = vindex_eval_segments(&asked, &held, &how, &params, &report, &detail);
        vx_alloc_fail_after(-1);
        ck_assert(after < 1000);
        if (!status) {
            vindex_eval_detail_free(&detail);
            continue;
        }
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
        ck_assert_double_eq(report.map, 7);
        ck_assert_ptr_null(detail.nearest);
    }
}
END_TEST

TEST_MAIN("eval/segments", every_reduction, names, single_segments, errors, memory_runs_out)
