/* Searching lists: all of them gives what a flat search gives, some of them what a flat search over
 * these gives. Run once per instruction set. */
#include <math.h>

#include "cases.h"

enum { QUERIES = 21 };

/* Few queries, more than a tile, one; few and many neighbours; one thread and several. */
static void check_all_lists(const flat_case *c) {
    static const size_t counts[] = {QUERIES, 3, 1};
    static const int64_t ks[] = {1, 10, 1000};
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    for (size_t i = 0; i < 9; i++) {
        vindex_search_params params = probe_params(ks[i / 3], 1 + (int32_t)i % 4, IVF_ALL);
        flat_case_search(c, queries, counts[i % 3], rankings, &params, "");
    }
    size_t middle = rankings[0].count / 3;
    double key = rankings[0].count ? rankings[0].hits[middle].key : 0;
    float radius = (float)(c->metric == VINDEX_L2 ? key : -key);
    vindex_search_params params = probe_params(1, 1, IVF_ALL);
    flat_case_range(c, queries, QUERIES, rankings, &params, radius);
    params.threads = 3;
    flat_case_range(c, queries, 2, rankings, &params, radius);
    rankings_free(rankings, QUERIES);
    free(queries);
}

START_TEST(all_lists_give_the_exact_answer) {
    static const size_t dims[] = {1, 17, 64, 600};
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride()) {
            vectors rows = {.kind = (vectors_kind)kind,
                            .dtype = (vindex_dtype)((metric + kind) % VX_STORED_TYPES),
                            .dim = dims[kind % 4],
                            .count = 150,
                            .seed = (uint64_t)kind};
            flat_case c = ivf_case_make(NULL, &rows, (vindex_metric)metric, NULL);
            check_all_lists(&c);
            flat_case_free(&c);
        }
}
END_TEST

static double true_key(const flat_case *c, const float *query, const float *row) {
    return oracle_key(c->metric, c->rows.dim, query, row, NULL).key;
}

/* Marks the lists that a query should look at, nearest first by a plain loop. */
static void nearest_lists(const flat_case *c, const float *query, size_t nprobe, bool *wanted) {
    const vx_ivf *ivf = (const vx_ivf *)c->index;
    double keys[IVF_LISTS];
    float centroid[64];
    memset(wanted, 0, IVF_LISTS * sizeof *wanted);
    for (int64_t l = 0; l < IVF_LISTS; l++) {
        ck_ok(vindex_reconstruct(ivf->coarse, &l, 1, centroid));
        keys[l] = true_key(c, query, centroid);
    }
    for (size_t i = 0; i < nprobe; i++) {
        size_t best = IVF_LISTS;
        for (size_t l = 0; l < IVF_LISTS; l++)
            if (!wanted[l] && (best == IVF_LISTS || keys[l] < keys[best])) best = l;
        wanted[best] = true;
    }
}

/* Rows are hidden from the oracle unless their list is one of these. */
static void hide_others(const flat_case *c, const bool *wanted, bool *hidden) {
    const vx_ivf *ivf = (const vx_ivf *)c->index;
    for (size_t row = 0; row < c->truth.count; row++) hidden[row] = true;
    for (size_t l = 0; l < IVF_LISTS; l++)
        for (size_t i = 0; i < ivf->lists[l].run.count; i++)
            hidden[ivf->lists[l].rows[i]] = !wanted[l];
}

START_TEST(some_lists_give_what_is_best_in_them) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 13, .count = 400, .seed = 5};
        flat_case c = ivf_case_make(NULL, &rows, (vindex_metric)metric, NULL);
        float *queries = flat_case_queries(&c, QUERIES);
        bool hidden[400], wanted[IVF_LISTS];
        c.truth.hidden = hidden;
        for (size_t nprobe = 1; nprobe <= IVF_LISTS; nprobe += 2) {
            int64_t ids[QUERIES * 20];
            float distances[QUERIES * 20];
            vindex_search_params params = probe_params(20, 2, (int64_t)nprobe);
            ck_ok(vindex_search(c.index, queries, QUERIES, &params, ids, distances));
            for (size_t q = 0; q < QUERIES; q++) {
                nearest_lists(&c, queries + q * 13, nprobe, wanted);
                hide_others(&c, wanted, hidden);
                oracle_ranking ranking = oracle_rank(&c.truth, queries + q * 13, NULL);
                oracle_answer answer = {ids + q * 20, distances + q * 20, 20};
                oracle_check(&c.truth, &ranking, &answer, c.name);
                flat_case_search(&c, queries + q * 13, 1, &ranking, &params, "alone");
                flat_case_range(&c, queries + q * 13, 1, &ranking, &params, distances[q * 20 + 3]);
                oracle_ranking_free(&ranking);
            }
        }
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

/* Far blobs, one list each: the bound leaves all lists but one alone. */
START_TEST(lists_that_cannot_matter_are_left_out) {
    enum { COUNT = IVF_LISTS * 30, DIM = 4 };
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 6};
    float *numbers = vectors_make(&rows);
    for (size_t i = 0; i < COUNT; i++) numbers[i * DIM] += 1000 * (float)(i % IVF_LISTS);
    vindex_ivf_params make;
    vindex_index *index;
    vindex_ivf_params_init(&make);
    make.dim = DIM;
    make.lists = IVF_LISTS;
    make.iterations = 30;
    make.balance = 0.5;
    ck_ok(vindex_ivf_create(&make, &index));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    ck_ok(vindex_add(index, numbers, COUNT, NULL));
    vindex_search_stats stats;
    for (int64_t count = 1; count < 20; count += 18) {
        vindex_search_params params = probe_params(5, 1, IVF_ALL);
        int64_t ids[19 * 5];
        params.stats = &stats;
        ck_ok(vindex_search(index, numbers, count, &params, ids, NULL));
        ck_assert_int_le(stats.plain, count * COUNT / 3);
        ck_assert_int_ge(stats.settled, count * 5);
        if (count == 1) ck_assert_int_eq(stats.bytes, stats.plain * DIM * (int64_t)sizeof(float));
        for (int64_t q = 0; q < count; q++) ck_assert_int_eq(ids[q * 5], q);
    }
    vindex_free(index);
    free(numbers);
}
END_TEST

TEST_MAIN_PER_LEVEL("ivf/search", all_lists_give_the_exact_answer,
                    some_lists_give_what_is_best_in_them, lists_that_cannot_matter_are_left_out)
