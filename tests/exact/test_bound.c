/* The bound that exact search rests on: a filter key lies between the limits of its row's true key.
 * Run once per instruction set. */
#include "filtering.h"

/* Every pair: within the limits, or not a number, which no limit rejects. */
static void check_limits(const filtering *f, const char *what) {
    for (size_t q = 0; q < f->queries; q++)
        for (size_t r = 0; r < f->rows; r++) {
            float low, high, key = f->keys[q * f->rows + r];
            double truth = f->truth[q * f->rows + r];
            vx_group_limits(&f->group, filtering_pass(f), q, truth, f->largest_aux, &low, &high);
            ck_each(!(key < low) && !(key > high),
                    "%s, query %zu, row %zu: filter key %.9g of %.17g is not in %.9g ... %.9g",
                    what, q, r, (double)key, truth, (double)low, (double)high);
        }
}

static void check_kind(const vectors *set, vindex_metric metric, size_t queries) {
    char what[200];
    filtering f = filtering_make(set, metric, queries);
    snprintf(what, sizeof what, "%s %s %s, dim %zu, %s", vindex_metric_name(metric),
             vindex_dtype_name(set->dtype), vectors_name(set->kind), set->dim,
             f.group.panels ? "tiles" : "scans");
    check_limits(&f, what);
    filtering_free(&f);
}

START_TEST(filter_keys_lie_within_their_limits) {
    static const size_t dims[] = {1, 2, 3, 15, 16, 17, 64, 129, 513, 1100};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride())
                for (size_t d = 0; d < VX_COUNT(dims); d++) {
                    vectors set = {.kind = (vectors_kind)kind,
                                   .dtype = (vindex_dtype)dtype,
                                   .dim = dims[d],
                                   .count = 40,
                                   .seed = d};
                    check_kind(&set, (vindex_metric)metric, 2);
                    check_kind(&set, (vindex_metric)metric, 13);
                }
}
END_TEST

/* How many rows nearer than each query's nearest-but-nine a filter would drop whose limits are that
 * much closer to the keys. */
static size_t count_dropped(const filtering *f, double share) {
    size_t dropped = 0;
    for (size_t q = 0; q < f->queries; q++) {
        const float *keys = f->keys + q * f->rows;
        const double *truth = f->truth + q * f->rows;
        for (size_t r = 0; r < f->rows; r++) {
            float low, high;
            vx_group_limits(&f->group, filtering_pass(f), q, truth[r], f->largest_aux, &low, &high);
            double middle = truth[r];
            if (f->space.metric == VINDEX_L2 && f->group.panels)
                middle -= f->group.norms[q] * f->group.norms[q];
            high = (float)(middle + ((double)high - middle) * share);
            for (size_t other = 0; other < f->rows; other++)
                dropped += truth[other] < truth[r] && keys[other] > high;
        }
    }
    return dropped;
}

/* A bound that is a thousandth of what it must be loses neighbours on these sets, so that a search
 * with a broken bound cannot pass for exact here; the true one loses none. */
START_TEST(a_tighter_bound_would_lose_neighbours) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (size_t queries = 4; queries <= 13; queries += 9) {
            size_t dropped = 0;
            for (uint64_t seed = 1; seed <= 8; seed++) {
                vectors set = {.kind = VECTORS_DRIFT, .dim = 2000, .count = 40, .seed = seed};
                filtering f = filtering_make(&set, (vindex_metric)metric, queries);
                ck_assert_uint_eq(count_dropped(&f, 1), 0);
                dropped += count_dropped(&f, 1e-3);
                filtering_free(&f);
            }
            ck_assert_msg(dropped > 0, "%s, %zu queries: nothing was lost",
                          vindex_metric_name((vindex_metric)metric), queries);
        }
}
END_TEST

START_TEST(rows_beyond_single_precision_are_left_to_settling) {
    float tiny[2] = {1e-31f, 0}, huge[2] = {3e38f, 3e38f}, zero[2] = {0}, flat[2] = {7, 7}, aux[1];
    vx_space cosine = {VINDEX_COSINE, VINDEX_F32, 2, NULL},
             pearson = {VINDEX_PEARSON, VINDEX_F32, 2, NULL};
    vx_space product = {VINDEX_INNER_PRODUCT, VINDEX_F32, 2, NULL},
             l2 = {VINDEX_L2, VINDEX_F32, 2, NULL};
    const vx_kernels *kernels = vx_kernels_get();
    const float *unclear[] = {tiny, huge};
    for (size_t i = 0; i < 2; i++) {
        vx_aux_fill(&cosine, kernels, unclear[i], 1, aux);
        ck_assert_float_nan(aux[0]);
    }
    vx_aux_fill(&cosine, kernels, zero, 1, aux);
    ck_assert_float_eq(aux[0], 0);
    vx_aux_fill(&pearson, kernels, flat, 1, aux);
    ck_assert_float_eq(aux[0], 0);
    vx_aux_fill(&l2, kernels, huge, 1, aux);
    ck_assert_float_infinite(aux[0]);
    vx_aux_fill(&product, kernels, huge, 1, aux);
    ck_assert_float_infinite(aux[0]);
}
END_TEST

START_TEST(rounding_up_finds_the_next_float) {
    static const double values[] = {
        0,      -0.0,    1,    -1,    0.1,      -0.1,      1e-50,   -1e-50,   1e-42,    -1e-42,
        3.4e38, -3.4e38, 1e39, -1e39, 0x1p-149, -0x1p-149, 1.0 / 3, -1.0 / 3, 16777217, -16777217};
    for (size_t i = 0; i < VX_COUNT(values); i++) {
        float near = (float)values[i];
        float up = (double)near < values[i] ? nextafterf(near, INFINITY) : near;
        float found = vx_round_up(values[i]);
        ck_each(!memcmp(&found, &up, sizeof up), "%g became %g", values[i], (double)found);
    }
    ck_assert_float_nan(vx_round_up(NAN));
}
END_TEST

START_TEST(the_largest_aux_knows_nan) {
    static const float sets[][4] = {
        {NAN, 1, 2, 0}, {1, NAN, 2, 3}, {1, 2, 3, NAN}, {0, NAN, NAN, 1}};
    static const float plain[] = {1, 4, 0, 3};
    for (size_t i = 0; i < VX_COUNT(sets); i++)
        ck_assert_float_infinite(vx_aux_largest(sets[i], 4));
    ck_assert_float_eq(vx_aux_largest(plain, 4), 4);
    ck_assert_float_eq(vx_aux_largest(plain, 0), 0);
}
END_TEST

TEST_MAIN_PER_LEVEL("exact/bound", filter_keys_lie_within_their_limits,
                    a_tighter_bound_would_lose_neighbours,
                    rows_beyond_single_precision_are_left_to_settling,
                    rounding_up_finds_the_next_float, the_largest_aux_knows_nan)
