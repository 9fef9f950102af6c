/* Adding, removing, compacting, filtering; and what an IVF index refuses. */
#include "cases.h"

enum { COUNT = 300, DIM = 11, QUERIES = 15 };

static void check_search(const flat_case *c, const vindex_filter *filter, const char *what) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    for (int32_t threads = 1; threads < 4; threads++)
        for (size_t count = 1; count <= QUERIES; count += QUERIES - 1) {
            vindex_search_params params = probe_params(12, threads, IVF_ALL);
            params.filter = filter;
            flat_case_search(c, queries, count, rankings, &params, what);
            flat_case_range(c, queries, count, rankings, &params,
                            c->metric == VINDEX_L2 ? 10 : 0.1f);
        }
    rankings_free(rankings, QUERIES);
    free(queries);
}

static void check_vectors(const flat_case *c) {
    float *found = malloc(COUNT * DIM * sizeof *found);
    int64_t ids[COUNT];
    size_t rows[COUNT], count = 0;
    for (size_t row = COUNT; row-- > 0;) { /* backwards: places differ from rows */
        if (c->truth.hidden && c->truth.hidden[row]) continue;
        rows[count] = row;
        ids[count++] = c->truth.ids ? c->truth.ids[row] : (int64_t)row;
    }
    ck_ok(vindex_reconstruct(c->index, ids, (int64_t)count, found));
    for (size_t i = 0; i < count; i++)
        ck_each(!memcmp(found + i * DIM, c->numbers + rows[i] * DIM, DIM * sizeof *found),
                "%s: id %lld is another vector", c->name, (long long)ids[i]);
    free(found);
}

START_TEST(removed_rows_are_gone) {
    static int64_t ids[COUNT];
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 77 + 5) % COUNT * 3;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 2};
        flat_case c = ivf_case_make(NULL, &rows, (vindex_metric)metric, metric % 2 ? ids : NULL);
        bool hidden[COUNT] = {false};
        c.truth.hidden = hidden;
        check_search(&c, NULL, "all there");
        for (size_t row = 1; row < COUNT; row += 3) {
            int64_t id = c.truth.ids ? ids[row] : (int64_t)row, removed;
            hidden[row] = true;
            ck_ok(vindex_remove(c.index, &id, 1, &removed));
            ck_assert_int_eq(removed, 1);
            ck_fails(VINDEX_ERR_NOT_FOUND, "is not in the index",
                     vindex_reconstruct(c.index, &id, 1, c.numbers));
        }
        check_search(&c, NULL, "removed");
        check_vectors(&c);
        size_t before = vindex_memory(c.index);
        ck_ok(vindex_compact(c.index, NULL));
        ck_assert_uint_lt(vindex_memory(c.index), before);
        ck_assert_int_eq(vindex_count(c.index), COUNT - COUNT / 3);
        check_search(&c, NULL, "compacted");
        check_vectors(&c);
        flat_case_free(&c);
    }
}
END_TEST

static bool third(void *context, int64_t id) {
    (void)context;
    return id % 3 == 0;
}

START_TEST(filters_hold) {
    uint64_t bits[COUNT / 64] = {0}; /* ids behind it are not allowed */
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_TIED, .dim = DIM, .count = COUNT, .seed = 9};
        flat_case c = ivf_case_make(NULL, &rows, (vindex_metric)metric, NULL);
        bool hidden[COUNT];
        c.truth.hidden = hidden;
        vindex_filter call = {.allow = third}, set = {.bits = bits, .bit_count = 64 * (COUNT / 64)};
        for (int64_t id = 0; id < COUNT; id++) hidden[id] = !third(NULL, id);
        check_search(&c, &call, "a callback");
        for (int64_t id = 0; id < COUNT; id++) hidden[id] = id >= set.bit_count || id % 7;
        for (int64_t id = 0; id < set.bit_count; id += 7) bits[id / 64] |= 1ull << (id % 64);
        check_search(&c, &set, "a bitset");
        flat_case_free(&c);
    }
}
END_TEST

/* However vectors come, one by one or all at once, the answer is the same. */
START_TEST(additions_come_in_any_portions) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 4};
    flat_case c = ivf_case_make(NULL, &rows, VINDEX_L2, NULL);
    vindex_index *other;
    ck_ok(vindex_create("IVF9,Flat", DIM, VINDEX_L2, &other));
    ck_ok(vindex_train(other, c.numbers, COUNT, NULL));
    for (int64_t i = 0; i < COUNT; i++) ck_ok(vindex_add(other, c.numbers + i * DIM, 1, NULL));
    int64_t a[COUNT * 5], b[COUNT * 5];
    vindex_search_params params = probe_params(5, 1, 2);
    ck_ok(vindex_search(c.index, c.numbers, COUNT, &params, a, NULL));
    ck_ok(vindex_search(other, c.numbers, COUNT, &params, b, NULL));
    ck_assert_mem_eq(a, b, sizeof a);
    vindex_ivf_stats stats;
    ck_ok(vindex_ivf_stats_get(other, &stats));
    ck_assert_int_eq(stats.lists, 9);
    ck_assert_double_ge(stats.unevenness, 1);
    ck_assert_double_gt(stats.loss, 0);
    ck_assert_double_eq(stats.bytes_each, DIM * 4 + 8);
    vindex_free(other);
    flat_case_free(&c);
}
END_TEST

/* What the statistics say, counted plainly. Centroids are means of what was nearest before, so that
 * the loss told is a little above that of the lists. */
START_TEST(statistics_are_what_is_there) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 6};
    flat_case c = ivf_case_make("IVF60,Flat", &rows, VINDEX_L2, NULL);
    const vx_ivf *ivf = (const vx_ivf *)c.index;
    vindex_ivf_stats stats;
    for (int portion = 0; portion < 2; portion++) {
        double loss = 0, squares = 0, all = 0;
        int64_t empty = 0, largest = 0;
        for (int64_t l = 0; l < 60; l++) {
            const vx_list *list = &ivf->lists[l];
            int64_t size = (int64_t)vx_list_size(list);
            float centroid[DIM];
            ck_ok(vindex_reconstruct(ivf->coarse, &l, 1, centroid));
            for (size_t i = list->first; !portion && i < list->run.count; i++)
                loss += oracle_key(VINDEX_L2, DIM, c.numbers + list->rows[i] * DIM, centroid, NULL)
                            .key /
                        COUNT;
            empty += size == 0;
            largest = VX_MAX(largest, size);
            squares += (double)(size * size);
            all += (double)size;
        }
        ck_ok(vindex_ivf_stats_get(c.index, &stats));
        ck_assert_int_eq(stats.empty, empty);
        ck_assert_int_eq(stats.largest, largest);
        ck_assert_double_eq_tol(stats.unevenness, squares / all / (all / 60), 1e-9);
        if (portion) break;
        ck_assert_msg(stats.loss >= loss * 0.999 && stats.loss < loss * 1.3, "%g, said %g", loss,
                      stats.loss);
        for (int64_t id = 4; id < COUNT; id++) ck_ok(vindex_remove(c.index, &id, 1, NULL));
        ck_ok(vindex_compact(c.index, NULL));
    }
    ck_assert_int_ge(stats.empty, 56);
    flat_case_free(&c);
}
END_TEST

START_TEST(the_memory_estimate_is_close) {
    vectors rows = {.kind = VECTORS_UNIFORM, .dim = 32, .count = 6000, .seed = 1};
    float *numbers = vectors_make(&rows);
    static const char *const specs[] = {"IVF9,Flat",
                                        "IVF40,Flat,f16",
                                        "IVF40,SQ8",
                                        "IVF9,RaBitQ4",
                                        "IVF9,SQ4,Refine(f16)",
                                        "IVF9,SQ6v,Refine",
                                        "IVF9,PQ8x4,Refine(SQ8)"};
    for (size_t i = 0; i < VX_COUNT(specs); i++) {
        vindex_index *index;
        size_t bytes;
        ck_ok(vindex_create(specs[i], 32, VINDEX_L2, &index));
        ck_ok(vindex_train(index, numbers, 6000, NULL));
        ck_ok(vindex_add(index, numbers, 6000, NULL));
        ck_ok(vindex_memory_estimate(specs[i], 32, 6000, &bytes));
        ck_assert_double_eq_tol((double)bytes, (double)vindex_memory(index),
                                0.05 * (double)vindex_memory(index));
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

START_TEST(what_is_refused) {
    vindex_index *index;
    float numbers[20 * DIM] = {0};
    for (int i = 0; i < 20 * DIM; i++) numbers[i] = (float)(i % 7);
    static const char *const bad[] = {"IVF",        "IVF0,Flat",        "IVFx,Flat",
                                      "IVF9",       "IVF9,Flat,f64",    "IVF9,Flat,f16,Flat",
                                      "IVF9x,Flat", "IVF99999999,Flat", "IVF9,Flut"};
    for (size_t i = 0; i < VX_COUNT(bad); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "factory string",
                 vindex_create(bad[i], DIM, VINDEX_L2, &index));
    ck_ok(vindex_create("IVF10,Flat,f16", DIM, VINDEX_L2, &index));
    ck_assert(!vindex_is_trained(index));
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_add(index, numbers, 1, NULL));
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_search(index, numbers, 1, NULL, NULL, NULL));
    ck_fails(VINDEX_ERR_DATA, "give at least 10", vindex_train(index, numbers, 9, NULL));
    ck_assert(!vindex_is_trained(index));
    ck_ok(vindex_train(index, numbers, 20, NULL));
    ck_ok(vindex_train(index, numbers, 10, NULL));              /* again, while it is empty */
    ck_ok(vindex_search(index, numbers, 20, NULL, NULL, NULL)); /* nothing to find */
    ck_ok(vindex_add(index, numbers, 5, NULL));
    ck_fails(VINDEX_ERR_STATE, "holds 5 vectors", vindex_train(index, numbers, 20, NULL));
    numbers[3] = 1e6f;
    ck_fails(VINDEX_ERR_DATA, "more than f16 can hold", vindex_add(index, numbers, 1, NULL));
    vindex_search_params params = probe_params(1, 1, -1);
    ck_fails(VINDEX_ERR_ARGUMENT, "nprobe is -1",
             vindex_search(index, numbers, 1, &params, NULL, NULL));
    float weights[DIM] = {0};
    params = probe_params(1, 1, 1);
    params.weights = weights;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "subspace",
             vindex_search(index, numbers, 1, &params, NULL, NULL));
    ck_assert_int_eq(vindex_count(index), 5);
    vindex_ivf_stats stats;
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_ivf_stats_get(index, NULL));
    vindex_free(index);
    ck_ok(vindex_create("Flat", DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "no IVF index", vindex_ivf_stats_get(index, &stats));
    vindex_free(index);
}
END_TEST

/* A program built before nprobe was there gets its default. */
START_TEST(older_search_params_are_taken) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 4};
    flat_case c = ivf_case_make("IVF40,Flat", &rows, VINDEX_L2, NULL);
    vindex_search_params old, new;
    int64_t a[COUNT * 10], b[COUNT * 10];
    memset(&old, 0xff, sizeof old);
    vindex_search_params_init_sized(&old, offsetof(vindex_search_params, nprobe));
    vindex_search_params_init(&new);
    ck_ok(vindex_search(c.index, c.numbers, COUNT, &old, a, NULL));
    ck_ok(vindex_search(c.index, c.numbers, COUNT, &new, b, NULL));
    ck_assert_mem_eq(a, b, sizeof a);
    flat_case_free(&c);
}
END_TEST

TEST_MAIN("ivf/change", removed_rows_are_gone, filters_hold, additions_come_in_any_portions,
          statistics_are_what_is_there, the_memory_estimate_is_close, what_is_refused,
          older_search_params_are_taken)
