/* Finding operating points, on an index that is only said to be one: how many of a query's
 * neighbours it finds is a formula, so that what must come out can be counted. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/points.h"

#include "../harness.h"
#include "scratch.h"

enum { QUERIES = 200, K = 10, MOST = 1000, DIM = 2 };

/* Query q finds all its neighbours from this nprobe on, and fewer in proportion before. */
static int64_t need_of(size_t q) {
    return (int64_t)(q * q * 7919 % 977) + 1;
}

static size_t hits_of(size_t q, int64_t nprobe) {
    int64_t hits = K * nprobe / need_of(q);
    return (size_t)VX_MIN(hits, (int64_t)K);
}

/* A second parameter, in a field that this index has no other use for. */
static int second_most;

/* The pace at which the fake is fastest; 0: it has none. */
static int best_pace;

static size_t fake_count(const vindex_index *index) {
    (void)index;
    return 5000;
}

static vindex_status fake_search(const vindex_index *index, const vx_request *request) {
    (void)index;
    size_t second = second_most ? request->weight_rows : 2;
    for (size_t q = 0; q < request->query_count; q++) {
        vx_hit hits[K];
        size_t count = hits_of(q, (int64_t)request->nprobe);
        if (second < 2) count /= 2; /* it takes two, four are no better */
        for (size_t i = 0; i < count; i++) hits[i] = (vx_hit){(double)i, (int64_t)(q * 100 + i)};
        if (count < K && q % 2) { /* some that are not neighbours */
            hits[count] = (vx_hit){(double)count, (int64_t)(q * 100 + 50)};
            count++;
        }
        request->answer(request->answer_context, q, hits, count);
    }
    if (second > 2) usleep(20000);
    if (best_pace) usleep(2000 * (1 + (unsigned)abs((int)request->walkers - best_pace)));
    return VINDEX_OK;
}

static size_t fake_knobs(const vindex_index *index, vx_knob *knobs) {
    (void)index;
    knobs[0] = (vx_knob){
        "nprobe", offsetof(vindex_search_params, nprobe), offsetof(vx_request, nprobe), 1, MOST,
        16};
    knobs[1] = (vx_knob){"second",
                         offsetof(vindex_search_params, weight_rows),
                         offsetof(vx_request, weight_rows),
                         1,
                         second_most,
                         1};
    if (!best_pace) return second_most ? 2 : 1;
    knobs[1] = (vx_knob){"walkers",
                         offsetof(vindex_search_params, walkers),
                         offsetof(vx_request, walkers),
                         1,
                         VX_WALKERS_MOST,
                         VX_WALKERS,
                         true};
    return 2;
}

static size_t no_knobs(const vindex_index *index, vx_knob *knobs) {
    (void)index;
    (void)knobs;
    return 0;
}

static const vx_index_ops fake_ops = {
    .word = "Fake", .count = fake_count, .search = fake_search, .knobs = fake_knobs};
static const vx_index_ops bare_ops = {
    .word = "Fake", .count = fake_count, .search = fake_search, .knobs = no_knobs};

static vindex_index make(const vx_index_ops *ops) {
    return (vindex_index){.ops = ops, .dim = DIM, .spec = "Fake"};
}

static float queries[QUERIES * DIM];
static int64_t truth[QUERIES * (K + 3)];

/* As a caller that knows the neighbours; a row of the truth may be longer than k. */
static vindex_tune_params with_truth(void) {
    vindex_tune_params params;
    vindex_tune_params_init(&params);
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < K + 3; i++)
            truth[q * (K + 3) + i] = (int64_t)(q * 100 + (i < K ? K - 1 - i : 90 + i));
    params.k = K;
    params.truth = truth;
    params.truth_k = K + 3;
    return params;
}

/* Mean, and the mean less 1.645 standard errors. */
static double naive_recall(int64_t nprobe, double *measured) {
    double mean = 0, variance = 0;
    for (size_t q = 0; q < QUERIES; q++) mean += (double)hits_of(q, nprobe) / K / QUERIES;
    for (size_t q = 0; q < QUERIES; q++)
        variance += pow((double)hits_of(q, nprobe) / K - mean, 2) / (QUERIES - 1);
    *measured = mean;
    return fmax(0, mean - 1.645 * sqrt(variance / QUERIES));
}

START_TEST(points_are_the_smallest_that_reach_a_recall) {
    const double recalls[] = {0.95, 0.5, 0.8, 0.99, 0.3}; /* in any order */
    vindex_index index = make(&fake_ops);
    vindex_tune_params params = with_truth();
    vindex_operating_point points[8];
    int64_t count;
    params.recalls = recalls;
    params.recall_count = 5;
    ck_ok(vindex_operating_points(&index, NULL, 0, &count));
    ck_assert_int_eq(count, 0);
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, points, 8, &count));
    ck_assert_int_eq(count, 5);
    const double sorted[] = {0.3, 0.5, 0.8, 0.95, 0.99};
    for (int i = 0; i < 5; i++) {
        double measured, unused;
        int64_t nprobe = points[i].settings[0].value;
        ck_assert_int_eq(points[i].setting_count, 1);
        ck_assert_str_eq(points[i].settings[0].name, "nprobe");
        ck_assert_double_eq_tol(points[i].recall, naive_recall(nprobe, &measured), 1e-12);
        ck_assert_double_eq_tol(points[i].measured, measured, 1e-12);
        ck_assert_double_ge(points[i].recall, sorted[i]);
        ck_assert_double_lt(naive_recall(nprobe - 1 - nprobe / 64, &unused), sorted[i]);
        ck_assert_int_eq(points[i].k, K);
        ck_assert_int_eq(points[i].queries, QUERIES);
        ck_assert_int_eq(points[i].vectors, 5000);
        ck_assert_int_eq(points[i].changed, 0);
    }
    vx_points_drop(&index);
}
END_TEST

/* Queries without a true neighbour, as a filtered or nearly empty set has, do not count. */
START_TEST(queries_without_neighbours_are_left_out) {
    const double recall = 0.5;
    vindex_index index = make(&fake_ops);
    vindex_tune_params params = with_truth();
    vindex_operating_point point;
    int64_t count;
    for (size_t q = 1; q < QUERIES; q += 2)
        for (size_t i = 0; i < K; i++) truth[q * (K + 3) + i] = -1;
    params.recalls = &recall;
    params.recall_count = 1;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, &point, 1, &count));
    double mean = 0, variance = 0, n = QUERIES / 2;
    for (size_t q = 0; q < QUERIES; q += 2)
        mean += (double)hits_of(q, point.settings[0].value) / K / n;
    for (size_t q = 0; q < QUERIES; q += 2)
        variance += pow((double)hits_of(q, point.settings[0].value) / K - mean, 2) / (n - 1);
    ck_assert_double_eq_tol(point.measured, mean, 1e-12);
    ck_assert_double_eq_tol(point.recall, mean - 1.645 * sqrt(variance / n), 1e-12);
    vx_points_drop(&index);
}
END_TEST

START_TEST(usual_recalls_end_with_the_best_there_is) {
    vindex_index index = make(&fake_ops);
    vindex_tune_params params = with_truth();
    vindex_operating_point points[32];
    int64_t count;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, points, 32, &count));
    ck_assert_int_ge(count, 10);
    ck_assert_double_eq(points[count - 1].recall, 1);
    ck_assert_int_le(points[count - 1].settings[0].value, 1000);
    for (int64_t i = 1; i < count; i++) {
        ck_assert_double_gt(points[i].recall, points[i - 1].recall);
        ck_assert_int_ge(points[i].settings[0].value, points[i - 1].settings[0].value);
    }
    /* Neighbours that are never found: the last point is the largest parameter. */
    for (size_t q = 0; q < QUERIES; q += 2) truth[q * (K + 3)] = 1000000;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, points, 32, &count));
    ck_assert_double_eq_tol(points[count - 1].measured, 0.95, 1e-12);
    ck_assert_int_eq(points[count - 1].settings[0].value, MOST);
    const double out_of_reach = 0.97;
    params.recalls = &out_of_reach;
    params.recall_count = 1;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "0.97 was asked for",
             vindex_tune(&index, queries, QUERIES, &params, NULL));
    int64_t kept;
    ck_ok(vindex_operating_points(&index, NULL, 0, &kept));
    ck_assert_int_eq(kept, count);
    vx_points_drop(&index);
}
END_TEST

START_TEST(the_fastest_of_several_parameters_is_taken) {
    const double recalls[] = {0.9};
    vindex_index index = make(&fake_ops);
    vindex_tune_params params = with_truth();
    vindex_operating_point point;
    int64_t count;
    second_most = 5;
    params.recalls = recalls;
    params.recall_count = 1;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, &point, 1, &count));
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(point.setting_count, 2);
    ck_assert_str_eq(point.settings[1].name, "second");
    ck_assert_int_eq(point.settings[1].value, 2); /* 1 reaches half, 4 and 5 take longer */
    second_most = 0;
    vx_points_drop(&index);
}
END_TEST

/* The pace changes no point but says how fast it is searched for: one that is best at its place in
 * the row of those that are tried, and the first where no other is faster. */
START_TEST(the_fastest_pace_is_taken) {
    static const int paces[] = {1, 2, VX_WALKERS, 5, VX_WALKERS_MOST};
    const double recalls[] = {0.5, 0.9};
    vindex_tune_params params = with_truth();
    vindex_operating_point points[2][2];
    int64_t count;
    params.recalls = recalls;
    params.recall_count = 2;
    for (size_t p = 0; p <= VX_COUNT(paces); p++) {
        vindex_index index = make(&fake_ops);
        best_pace = p ? paces[p - 1] : 0;
        ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
        ck_ok(vindex_operating_points(&index, points[p > 0], 2, &count));
        ck_assert_int_eq(count, 2);
        for (int i = 0; p && i < 2; i++) {
            const vindex_operating_point *point = &points[1][i];
            ck_assert_int_eq(point->setting_count, 2);
            ck_assert_str_eq(point->settings[1].name, "walkers");
            ck_assert_int_eq(point->settings[1].value, best_pace);
            ck_assert_int_eq(point->settings[0].value, points[0][i].settings[0].value);
            ck_assert_double_eq(point->measured, points[0][i].measured);
        }
        vx_points_drop(&index);
    }
    best_pace = 0;
}
END_TEST

START_TEST(an_index_without_parameters_has_one_point) {
    vindex_index index = make(&bare_ops);
    vindex_tune_params params = with_truth();
    vindex_operating_point point;
    int64_t count;
    double measured; /* nprobe is 0: nothing is found */
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, &point, 1, &count));
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(point.setting_count, 0);
    ck_assert_double_eq(point.recall, naive_recall(0, &measured));
    vx_points_drop(&index);
}
END_TEST

START_TEST(points_for_several_k_live_side_by_side) {
    const double recalls[] = {0.5, 0.9};
    vindex_index index = make(&fake_ops);
    vindex_tune_params params = with_truth();
    vindex_operating_point points[8];
    int64_t count;
    params.recalls = recalls;
    params.recall_count = 2;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    params.k = 3;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    params.k = 7;
    params.recall_count = 1;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    params.k = 3;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, NULL));
    ck_ok(vindex_operating_points(&index, points, 8, &count));
    ck_assert_int_eq(count, 4);
    const int64_t ks[] = {3, 7, 10, 10};
    for (int i = 0; i < 4; i++) ck_assert_int_eq(points[i].k, ks[i]);
    vx_points_drop(&index);
}
END_TEST

/* What a search would be told. */
static vindex_status nprobe_for(const vindex_index *index, int64_t k, double recall,
                                size_t *nprobe) {
    vindex_search_params params;
    vx_request request = {0};
    vindex_search_params_init(&params);
    params.k = k;
    params.recall = recall;
    vindex_status status = vx_points_apply(index, &params, &request);
    *nprobe = request.nprobe;
    return status;
}

START_TEST(searches_take_the_next_higher_point) {
    vindex_index index = make(&fake_ops);
    size_t nprobe;
    ck_ok(nprobe_for(&index, 5, 0, &nprobe));
    ck_assert_uint_eq(nprobe, 16);
    ck_fails(VINDEX_ERR_STATE, "never tuned", nprobe_for(&index, 5, 0.5, &nprobe));
    vx_point points[] = {{.k = 5, .recall = 0.5, .values = {10}},
                         {.k = 5, .recall = 0.9, .values = {50}}};
    vx_point more[] = {{.k = 20, .recall = 0.7, .values = {30}}};
    ck_ok(vx_points_set(&index, 20, more, 1));
    ck_ok(vx_points_set(&index, 5, points, 2));
    static const struct {
        int64_t k;
        double recall;
        size_t nprobe;
    } cases[] = {{5, 0.01, 10}, {5, 0.5, 10},  {5, 0.51, 50}, {1, 0.9, 50},
                 {6, 0.5, 30},  {20, 0.7, 30}, {20, 0.1, 30}};
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        ck_ok(nprobe_for(&index, cases[i].k, cases[i].recall, &nprobe));
        ck_assert_uint_eq(nprobe, cases[i].nprobe);
    }
    ck_fails(VINDEX_ERR_UNSUPPORTED, "the best operating point gives 0.9",
             nprobe_for(&index, 5, 0.91, &nprobe));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "gives 0.7", nprobe_for(&index, 6, 0.8, &nprobe));
    ck_fails(VINDEX_ERR_STATE, "tuned for k up to 20", nprobe_for(&index, 21, 0.5, &nprobe));
    vindex_search_params params;
    vx_request request;
    vindex_search_params_init(&params);
    params.recall = 0.5;
    params.nprobe = 3;
    ck_fails(VINDEX_ERR_ARGUMENT, "nprobe 3 were both given",
             vx_points_apply(&index, &params, &request));
    index.capabilities = VINDEX_IS_EXACT;
    ck_ok(nprobe_for(&index, 21, 1, &nprobe));
    vx_points_drop(&index);
}
END_TEST

START_TEST(what_is_refused) {
    vindex_index index = make(&fake_ops), exact = make(&fake_ops), other;
    vindex_tune_params params = with_truth();
    double recall = 0.5;
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_tune(NULL, queries, QUERIES, &params, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "no queries", vindex_tune(&index, queries, 0, &params, NULL));
    params.recalls = &recall;
    ck_fails(VINDEX_ERR_ARGUMENT, "0 recalls", vindex_tune(&index, queries, 1, &params, NULL));
    params.recall_count = 101;
    ck_fails(VINDEX_ERR_ARGUMENT, "101 recalls", vindex_tune(&index, queries, 1, &params, NULL));
    params.recall_count = 1;
    for (int i = 0; i < 3; i++) {
        recall = i == 0 ? 0 : i == 1 ? 1.5 : (double)NAN;
        ck_fails(VINDEX_ERR_ARGUMENT, "above 0", vindex_tune(&index, queries, 1, &params, NULL));
    }
    recall = 0.5;
    params.truth_k = K - 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "9 true neighbours",
             vindex_tune(&index, queries, 1, &params, NULL));
    params.truth_k = K;
    params.exact = &exact;
    ck_fails(VINDEX_ERR_ARGUMENT, "given twice", vindex_tune(&index, queries, 1, &params, NULL));
    params.truth = NULL;
    ck_fails(VINDEX_ERR_ARGUMENT, "is not exact", vindex_tune(&index, queries, 1, &params, NULL));
    exact.capabilities = VINDEX_IS_EXACT;
    other = exact;
    other.dim = 3;
    params.exact = &other;
    ck_fails(VINDEX_ERR_DIMENSION, "must agree", vindex_tune(&index, queries, 1, &params, NULL));
    other.dim = DIM;
    other.metric = VINDEX_COSINE;
    ck_fails(VINDEX_ERR_DIMENSION, "cosine", vindex_tune(&index, queries, 1, &params, NULL));
    params.k = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "k is 0", vindex_tune(&index, queries, 1, &params, NULL));
    float wrong[DIM] = {0, NAN};
    ck_fails(VINDEX_ERR_DATA, "NaN", vindex_tune(&index, wrong, 1, NULL, NULL));
    int64_t count;
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_operating_points(&index, NULL, 1, &count));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_operating_points(NULL, NULL, 0, &count));
    ck_ok(vindex_operating_points(&index, NULL, 0, &count));
    ck_assert_int_eq(count, 0);
}
END_TEST

static int stop(void *context, const char *phase, double fraction) {
    int *left = context;
    ck_assert_str_eq(phase, "tune");
    ck_assert(fraction >= 0 && fraction <= 1);
    return (*left)-- == 0;
}

START_TEST(a_failure_keeps_the_points_there_were) {
    vindex_index index = make(&fake_ops);
    vindex_tune_params params = with_truth();
    vindex_call call;
    int64_t before, after;
    vindex_call_init(&call);
    call.threads = 1;
    ck_ok(vindex_tune(&index, queries, QUERIES, &params, &call));
    ck_ok(vindex_operating_points(&index, NULL, 0, &before));
    const double one = 0.5;
    params.recalls = &one;
    params.recall_count = 1;
    int failures = 0;
    for (vindex_status status = VINDEX_ERR_MEMORY; status != VINDEX_OK; failures++) {
        vx_alloc_fail_after(failures);
        status = vindex_tune(&index, queries, QUERIES, &params, &call);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
        ck_ok(vindex_operating_points(&index, NULL, 0, &after));
        ck_assert_int_eq(before, after);
    }
    ck_assert_int_ge(failures, 5);
    ck_ok(vindex_operating_points(&index, NULL, 0, &before));
    call.progress = stop;
    for (int stops = 0; stops < 4; stops++) {
        int left = stops;
        call.progress_context = &left;
        ck_assert_int_eq(vindex_tune(&index, queries, QUERIES, &params, &call),
                         VINDEX_ERR_CANCELLED);
        ck_ok(vindex_operating_points(&index, NULL, 0, &after));
        ck_assert_int_eq(before, after);
    }
    vx_points_drop(&index);
}
END_TEST

TEST_MAIN("core/tune", points_are_the_smallest_that_reach_a_recall,
          queries_without_neighbours_are_left_out, usual_recalls_end_with_the_best_there_is,
          the_fastest_of_several_parameters_is_taken, the_fastest_pace_is_taken,
          an_index_without_parameters_has_one_point, points_for_several_k_live_side_by_side,
          searches_take_the_next_higher_point, what_is_refused,
          a_failure_keeps_the_points_there_were)
