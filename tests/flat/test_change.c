/* Adding, removing, compacting: what is in the index is what is searched. */
#include <math.h>

#include "cases.h"
#include "core/rng.h"

enum { QUERIES = 7, DIM = 12 };

static void check_all(const flat_case *c, const char *what) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    for (int64_t k = 1; k <= 1000; k *= 10) {
        vindex_search_params params = search_params(k, 1);
        flat_case_search(c, queries, QUERIES, rankings, &params, what);
        flat_case_search(c, queries, 1, rankings, &params, what);
    }
    rankings_free(rankings, QUERIES);
    free(queries);
}

/* Each living id gives its vector, each other one an error. */
static void check_reconstruct(const flat_case *c) {
    float *found = malloc(c->rows.dim * sizeof *found);
    for (size_t row = 0; row < c->truth.count; row++) {
        int64_t id = c->truth.ids ? c->truth.ids[row] : (int64_t)row;
        if (c->truth.hidden && c->truth.hidden[row]) {
            ck_fails(VINDEX_ERR_NOT_FOUND, "is not in the index",
                     vindex_reconstruct(c->index, &id, 1, found));
            continue;
        }
        ck_ok(vindex_reconstruct(c->index, &id, 1, found));
        ck_each(!memcmp(found, c->numbers + row * c->rows.dim, c->rows.dim * sizeof *found),
                "%s: id %lld is another vector", c->name, (long long)id);
    }
    free(found);
}

START_TEST(ids_reach_to_the_largest_number) {
    enum { COUNT = 300 };
    int64_t ids[COUNT];
    vx_rng rng = vx_rng_seed(11, 0);
    for (size_t i = 0; i < COUNT; i++) ids[i] = (int64_t)(vx_rng_next(&rng) >> 1);
    ids[17] = INT64_MAX;
    ids[200] = 0;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_TIED, .dim = DIM, .count = COUNT, .seed = 3};
        flat_case c = flat_case_make(&rows, (vindex_metric)metric, ids);
        check_all(&c, "ids up to 2^63-1");
        check_reconstruct(&c);
        ck_fails(VINDEX_ERR_ARGUMENT, "2^63-1", vindex_add(c.index, c.numbers, 1, NULL));
        ck_assert_int_eq(vindex_count(c.index), COUNT);
        flat_case_free(&c);
    }
}
END_TEST

START_TEST(refused_additions_change_nothing) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = 100, .seed = 4};
    flat_case c = flat_case_make(&rows, VINDEX_L2, NULL);
    const int64_t negative[] = {200, -1, 201}, twice[] = {200, 201, 200},
                  present[] = {200, 99, 201};
    float bad[3 * DIM];
    memcpy(bad, c.numbers, sizeof bad);
    ck_fails(VINDEX_ERR_ARGUMENT, "-1 at position 1",
             vindex_add_with_ids(c.index, c.numbers, 3, negative, NULL));
    ck_fails(VINDEX_ERR_EXISTS, "200 at position 2",
             vindex_add_with_ids(c.index, c.numbers, 3, twice, NULL));
    ck_fails(VINDEX_ERR_EXISTS, "99 at position 1",
             vindex_add_with_ids(c.index, c.numbers, 3, present, NULL));
    bad[2 * DIM + 5] = NAN;
    ck_fails(VINDEX_ERR_DATA, "vector 2 has NaN in dimension 5", vindex_add(c.index, bad, 3, NULL));
    bad[DIM + 11] = -INFINITY;
    ck_fails(VINDEX_ERR_DATA, "vector 1 has infinity in dimension 11",
             vindex_add(c.index, bad, 3, NULL));
    ck_assert_int_eq(vindex_count(c.index), 100);
    check_all(&c, "after refusals");
    check_reconstruct(&c);
    const int64_t next = 100; /* the next id is what it would have been */
    float found[DIM];
    ck_ok(vindex_add(c.index, c.numbers, 1, NULL));
    ck_ok(vindex_reconstruct(c.index, &next, 1, found));
    flat_case_free(&c);
}
END_TEST

static void check_limit(const char *spec, float most, const char *type) {
    vindex_index *index;
    float numbers[4] = {0, 1, most, -most}, back[4];
    const int64_t ids[] = {0, 1};
    ck_ok(vindex_create(spec, 2, VINDEX_L2, &index));
    ck_ok(vindex_add(index, numbers, 2, NULL));
    ck_ok(vindex_reconstruct(index, ids, 2, back));
    for (size_t i = 0; i < 4; i++) ck_assert_float_finite(back[i]);
    numbers[3] = nextafterf(-most, -INFINITY);
    ck_fails(VINDEX_ERR_DATA, type, vindex_add(index, numbers, 2, NULL));
    ck_fails(VINDEX_ERR_DATA, "vector 1", vindex_add(index, numbers, 2, NULL));
    ck_fails(VINDEX_ERR_DATA, "dimension 1", vindex_add(index, numbers, 2, NULL));
    ck_assert_int_eq(vindex_count(index), 2);
    vindex_free(index);
}

/* The largest float that rounds to a finite half, and the one after it. */
START_TEST(what_storage_cannot_hold_is_refused) {
    check_limit("Flat,f16", nextafterf(65520, 0), "f16");
    check_limit("Flat,bf16", nextafterf(0x1.ffp127f, 0), "bf16");
}
END_TEST

static void check_removal(const vectors *rows, vindex_metric metric, const int64_t *ids) {
    flat_case c = flat_case_make(rows, metric, ids);
    bool *hidden = calloc(rows->count, sizeof *hidden);
    int64_t *gone = malloc((rows->count + 2) * sizeof *gone), count = 0, removed;
    vx_rng rng = vx_rng_seed(12, rows->seed);
    for (size_t row = 0; row < rows->count; row++) {
        hidden[row] = vx_rng_below(&rng, 3) == 0;
        if (hidden[row]) gone[count++] = ids ? ids[row] : (int64_t)row;
    }
    int64_t expected = count;
    gone[count++] = INT64_MAX - 1; /* not there: passed over */
    gone[count++] = gone[0];       /* twice: counted once */
    ck_ok(vindex_remove(c.index, gone, count, &removed));
    ck_assert_int_eq(removed, expected);
    ck_assert_int_eq(vindex_count(c.index), (int64_t)rows->count - expected);
    c.truth.hidden = hidden;
    check_all(&c, "after remove");
    check_reconstruct(&c);
    ck_ok(vindex_compact(c.index, NULL));
    ck_assert_int_eq(vindex_count(c.index), (int64_t)rows->count - expected);
    check_all(&c, "after compact");
    check_reconstruct(&c);
    for (size_t row = 0; row < rows->count; row++) { /* the removed come back under their ids */
        if (!hidden[row]) continue;
        int64_t id = ids ? ids[row] : (int64_t)row;
        ck_ok(vindex_add_with_ids(c.index, c.numbers + row * rows->dim, 1, &id, NULL));
        hidden[row] = false;
    }
    check_all(&c, "after adding again");
    check_reconstruct(&c);
    flat_case_free(&c);
    free(hidden);
    free(gone);
}

START_TEST(removed_vectors_are_gone_and_may_come_back) {
    enum { COUNT = 500 };
    int64_t rising[COUNT], mixed[COUNT];
    for (int64_t i = 0; i < COUNT; i++) rising[i] = 3 * i + 7, mixed[i] = (i * 77 + 5) % COUNT;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = metric % 2 ? VECTORS_CLUSTERED : VECTORS_TIED,
                        .dtype = (vindex_dtype)(metric % 3),
                        .dim = DIM,
                        .count = COUNT,
                        .seed = (uint64_t)metric};
        check_removal(&rows, (vindex_metric)metric, NULL);
        check_removal(&rows, (vindex_metric)metric, rising);
        check_removal(&rows, (vindex_metric)metric, mixed);
    }
    vectors blocks = {.kind = VECTORS_NORMAL, .dim = 16384, .count = 140, .seed = 5};
    check_removal(&blocks, VINDEX_L2, NULL);
}
END_TEST

START_TEST(compacting_gives_memory_back) {
    static const size_t dims[] = {20, 16384};
    static const size_t counts[] = {20000, 300};
    for (size_t i = 0; i < 2; i++) {
        vectors rows = {.kind = VECTORS_UNIFORM, .dim = dims[i], .count = counts[i]};
        float *numbers = vectors_make(&rows);
        vindex_index *index;
        int64_t removed, id;
        size_t estimate;
        ck_ok(vindex_create("Flat", (int64_t)rows.dim, VINDEX_L2, &index));
        ck_ok(vindex_add(index, numbers, (int64_t)rows.count, NULL));
        for (id = 10; id < (int64_t)rows.count; id++) ck_ok(vindex_remove(index, &id, 1, &removed));
        ck_ok(vindex_compact(index, NULL));
        ck_ok(vindex_memory_estimate("Flat", (int64_t)rows.dim, 10, &estimate));
        ck_assert_uint_le(vindex_memory(index), estimate + 4096);
        vindex_free(index);
        free(numbers);
    }
}
END_TEST

START_TEST(memory_is_as_estimated) {
    static const char *const specs[] = {"Flat", "Flat,f16", "Flat,bf16"};
    static const int64_t dims[] = {1, 100, 16384}, counts[] = {0, 1, 64, 65, 200, 700};
    vectors rows = {.kind = VECTORS_UNIFORM, .dim = 16384, .count = 700};
    float *numbers = vectors_make(&rows);
    for (size_t s = 0; s < 3; s++)
        for (size_t d = 0; d < 3; d++)
            for (size_t n = 0; n < 6; n++) {
                vindex_index *index;
                size_t estimate;
                ck_ok(vindex_create(specs[s], dims[d], VINDEX_L2, &index));
                ck_ok(vindex_add(index, numbers, counts[n] / 2, NULL));
                ck_ok(vindex_add(index, numbers, counts[n] - counts[n] / 2, NULL));
                ck_ok(vindex_memory_estimate(specs[s], dims[d], counts[n], &estimate));
                double ratio = (double)estimate / (double)vindex_memory(index);
                ck_assert_msg(ratio > 0.95 && ratio < 1.05, "%s %lld x %lld: %zu bytes, not %zu",
                              specs[s], (long long)counts[n], (long long)dims[d],
                              vindex_memory(index), estimate);
                vindex_free(index);
            }
    free(numbers);
}
END_TEST

TEST_MAIN("flat/change", ids_reach_to_the_largest_number, refused_additions_change_nothing,
          what_storage_cannot_hold_is_refused, removed_vectors_are_gone_and_may_come_back,
          compacting_gives_memory_back, memory_is_as_estimated)
