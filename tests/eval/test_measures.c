/* The measures against numbers worked out by hand, fed through a matrix so that no distance
 * computation stands between. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "naive.h"

/* Six songs: a clique of three, a pair, and one alone. Not symmetric, so that every row can hold
 * the case it is for; the diagonal is not looked at. */
static const float distances[6][6] = {
    {NAN, 1, 3, 1, 2, 3}, /* order 1 3 4 2 5: relevant 1 and 2 at ranks 1, 4; both tied */
    {1, NAN, 2, 0, 2, 4}, /* order 3 0 2 4 5: relevant 0 and 2 at ranks 2, 3; 2 tied with 4 */
    {3, 2, NAN, 5, 1, 1}, /* order 4 5 1 0 3: relevant 1 and 0 at ranks 3, 4 */
    {1, 0, 5, NAN, 7, 2}, /* order 1 0 5 2 4: relevant 4 at rank 5, the last */
    {2, 2, 1, 1, NAN, 9}, /* order 2 3 0 1 5: relevant 3 at rank 2, tied with 2 */
    {4, 5, 6, 7, 8, NAN}, /* alone: no query */
};
static const int32_t cliques[6] = {70, 70, 70, 4, 4, 0};

typedef struct rows {
    const float *values;
    size_t width;
    float factor; /* -1 makes similarities of distances */
    int calls, stop_at;
} rows;

static vindex_status read_rows(void *context, int64_t first, int64_t count, float *values) {
    rows *r = context;
    if (r->stop_at && ++r->calls == r->stop_at) return VINDEX_ERR_IO;
    for (size_t i = 0; i < (size_t)count * r->width; i++)
        values[i] = r->factor * r->values[(size_t)first * r->width + i];
    return VINDEX_OK;
}

static vindex_eval_matrix square_matrix(rows *r, const int32_t *of, int64_t n) {
    return (vindex_eval_matrix){.rows = read_rows,
                                .context = r,
                                .query_cliques = of,
                                .query_count = n,
                                .candidate_cliques = of,
                                .candidate_count = n,
                                .square = true};
}

static void check_by_hand(const vindex_eval_report *r, double knn_accuracy) {
    double arp = (100.0 / 3 + 100.0 / 3 + 200.0 / 3 + 100 + 25) / 5;
    double squares = 2 * pow(100.0 / 3 - arp, 2) + pow(200.0 / 3 - arp, 2) + pow(100 - arp, 2) +
                     pow(25 - arp, 2);
    vindex_eval_report expected = {
        .queries = 5,
        .candidates = 6,
        .noise = 1,
        .relevant = 8,
        .tied = 4,
        .map =
            ((1 + 2. / 4) / 2 + (1. / 2 + 2. / 3) / 2 + (1. / 3 + 2. / 4) / 2 + 1. / 5 + 1. / 2) /
            5,
        .mr1 = (1 + 2 + 3 + 5 + 2) / 5.,
        .mrr = (1 + 1. / 2 + 1. / 3 + 1. / 5 + 1. / 2) / 5,
        .mdr = 2,
        .top1 = 1,
        .top10 = 5,
        .recall_at = {1. / 5, 3. / 5, 4. / 5, 1},
        .precision_at = (1. / 2 + 1. / 2 + 0 + 0 + 1. / 2) / 5,
        .arp = arp,
        .arp_interval = 1.96 * sqrt(squares / 4) / sqrt(5),
        .knn_accuracy = knn_accuracy,
    };
    naive_compare(r, &expected, 1e-12);
    ck_assert(r->seconds >= 0);
}

START_TEST(by_hand) {
    for (int similarity = 0; similarity < 2; similarity++) {
        rows r = {.values = distances[0], .width = 6, .factor = similarity ? -1 : 1};
        vindex_eval_matrix matrix = square_matrix(&r, cliques, 6);
        matrix.similarity = similarity;
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.precision_at = 2;
        vindex_eval_report report;
        ck_ok(vindex_eval_from_matrix(&matrix, &params, &report, NULL));
        check_by_hand(&report, NAN);
        /* Nearest: right for song 0 alone; of three: for song 1 alone (song 2 sees three cliques,
         * one vote each, and its nearest is of another). */
        params.knn = 1;
        ck_ok(vindex_eval_from_matrix(&matrix, &params, &report, NULL));
        check_by_hand(&report, 1. / 6);
        params.knn = 3;
        ck_ok(vindex_eval_from_matrix(&matrix, &params, &report, NULL));
        check_by_hand(&report, 1. / 6);
    }
}
END_TEST

START_TEST(each_query) {
    rows r = {.values = distances[0], .width = 6, .factor = 1};
    vindex_eval_matrix matrix = square_matrix(&r, cliques, 6);
    vindex_eval_report report;
    vindex_eval_detail detail;
    ck_ok(vindex_eval_from_matrix(&matrix, NULL, &report, &detail));
    ck_assert_int_eq(detail.query_rows, 6);
    const double precisions[] = {3. / 4, 7. / 12, 5. / 12, 1. / 5, 1. / 2};
    const int64_t firsts[] = {1, 2, 3, 5, 2, 0}, relevant[] = {2, 2, 2, 1, 1, 0};
    for (int q = 0; q < 6; q++) {
        if (q < 5) ck_assert_double_eq_tol(detail.average_precision[q], precisions[q], 1e-15);
        ck_assert_int_eq(detail.first_rank[q], firsts[q]);
        ck_assert_int_eq(detail.relevant[q], relevant[q]);
    }
    ck_assert_double_nan(detail.average_precision[5]);
    vindex_eval_detail_free(&detail);
    ck_assert_ptr_null(detail.average_precision);
    vindex_eval_detail_free(&detail);
    vindex_eval_detail_free(NULL);
}
END_TEST

/* A vote of two against two goes to the clique whose nearest member is closer, whatever its number
 * or row. */
START_TEST(vote_ties) {
    const float values[1][5] = {{3, 1, 2, 4, 9}};
    const int32_t of[5] = {2, 8, 2, 8, 5}; /* order: 8 2 2 8 5 */
    const struct {
        int64_t knn;
        int32_t winner;
    } cases[] = {{1, 8}, {2, 8}, {3, 2}, {4, 8}, {5, 8}, {1000, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int32_t clique = 0; clique < 10; clique++) {
            rows r = {.values = values[0], .width = 5, .factor = 1};
            vindex_eval_matrix matrix = {read_rows, &r, false, &clique, 1, of, 5, false};
            vindex_eval_params params;
            vindex_eval_params_init(&params);
            params.knn = cases[i].knn;
            vindex_eval_report report;
            ck_ok(vindex_eval_from_matrix(&matrix, &params, &report, NULL));
            ck_assert_double_eq(report.knn_accuracy, clique == cases[i].winner);
        }
}
END_TEST

/* Infinities are numbers to rank by; rows that are no queries are not even read. */
START_TEST(infinities) {
    const float values[3][3] = {{NAN, INFINITY, -INFINITY}, {INFINITY, 0, 7}, {NAN, NAN, NAN}};
    const int32_t of[3] = {1, 1, 0};
    rows r = {.values = values[0], .width = 3, .factor = 1};
    vindex_eval_matrix matrix = square_matrix(&r, of, 3);
    vindex_eval_report report;
    ck_ok(vindex_eval_from_matrix(&matrix, NULL, &report, NULL));
    ck_assert_double_eq(report.mr1, 2);
    ck_assert_int_eq(report.noise, 1);
}
END_TEST

START_TEST(matrix_errors) {
    float values[3][3] = {{0, 1, 2}, {1, 0, NAN}, {2, 1, 0}};
    const int32_t of[3] = {1, 1, 1}, other[3] = {1, 1, 2};
    rows r = {.values = values[0], .width = 3, .factor = 1};
    vindex_eval_matrix matrix = square_matrix(&r, of, 3);
    vindex_eval_report report = {.map = 7};
    vindex_eval_detail detail;
    ck_fails(VINDEX_ERR_DATA, "row 1, column 2 of the matrix is NaN",
             vindex_eval_from_matrix(&matrix, NULL, &report, &detail));
    ck_assert_double_eq(report.map, 7);
    ck_assert_ptr_null(detail.first_rank);
    matrix.candidate_cliques = other;
    ck_fails(VINDEX_ERR_ARGUMENT, "row 2",
             vindex_eval_from_matrix(&matrix, NULL, &report, &detail));
    matrix.candidate_count = 2;
    ck_fails(VINDEX_ERR_DIMENSION, "3 queries and 2 candidates",
             vindex_eval_from_matrix(&matrix, NULL, &report, &detail));
    matrix.candidate_count = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "candidates is 0",
             vindex_eval_from_matrix(&matrix, NULL, &report, &detail));
    matrix = square_matrix(&r, of, 3);
    r.stop_at = 1;
    ck_assert_int_eq(vindex_eval_from_matrix(&matrix, NULL, &report, &detail), VINDEX_ERR_IO);
    ck_assert_int_eq(r.calls, 1);
}
END_TEST

TEST_MAIN("eval/measures", by_hand, each_query, vote_ties, infinities, matrix_errors)
