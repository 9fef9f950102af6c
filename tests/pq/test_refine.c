/* Product codes before a finer form: what the factor chooses is settled there. */
#include "cases.h"

enum { COUNT = 600, DIM = 16, QUERIES = 12, ALL = 1 << 20 };

static const char *const specs[] = {
    "PQ8x4,Refine",       "PQ4x8,Refine(f16)",          "IVF6,PQ8x4,Refine(f16)",
    "IVF6,PQ16x6,Refine", "IVF6,PQ8x4,Refine(SQ8)",     "PQ4x8,Refine(PQ8x4)",
    "PQ8x4,Refine(SQ6v)", "IVF6,PQ4x6,Refine(RaBitQ5)", "OPQ8,IVF6,PQ8x4,Refine"};

static flat_case make_case(const char *spec, vindex_metric metric, vectors_kind kind) {
    vectors rows = {.kind = kind, .dtype = VINDEX_F16, .dim = DIM, .count = COUNT, .seed = 2};
    vindex_index *index;
    float *numbers = vectors_make(&rows);
    ck_ok(vindex_create(spec, DIM, metric, &index));
    ck_assert_str_eq(vindex_spec(index), spec);
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    free(numbers);
    flat_case c = flat_case_fill(index, &rows, metric, NULL);
    if (strstr(spec, "Refine(") && !strstr(spec, "f16")) flat_case_decode(&c);
    return c;
}

static vindex_search_params rerank_params(int64_t k, int32_t threads, int64_t rerank) {
    vindex_search_params params = search_params(k, threads);
    params.nprobe = ALL;
    params.rerank = rerank;
    return params;
}

/* With all rows as candidates the answer is the exact one over the finer form; so is that of a
 * range search, for which codes choose nothing. */
START_TEST(all_candidates_give_the_exact_answer) {
    for (size_t s = 0; s + 1 < VX_COUNT(specs); s++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
            flat_case c = make_case(specs[s], (vindex_metric)metric,
                                    metric % 2 ? VECTORS_NORMAL : VECTORS_CLUSTERED);
            float *queries = flat_case_queries(&c, QUERIES);
            oracle_ranking *rankings = flat_case_rank(&c, queries, QUERIES, NULL, 0);
            for (int32_t threads = 1; threads <= 3; threads += 2) {
                vindex_search_params params = rerank_params(10, threads, COUNT);
                flat_case_search(&c, queries, QUERIES, rankings, &params, specs[s]);
                flat_case_search(&c, queries, 1, rankings, &params, specs[s]);
                double key = rankings[0].hits[40].key;
                flat_case_range(&c, queries, QUERIES, rankings, &params,
                                (float)(metric == VINDEX_L2 ? key : -key));
            }
            rankings_free(rankings, QUERIES);
            free(queries);
            flat_case_free(&c);
        }
}
END_TEST

static int64_t found_by(const flat_case *c, const float *queries, const oracle_ranking *rankings,
                        int64_t rerank) {
    int64_t ids[QUERIES * 10], found = 0;
    vindex_search_params params = rerank_params(10, 1, rerank);
    ck_ok(vindex_search(c->index, queries, QUERIES, &params, ids, NULL));
    for (size_t i = 0; i < QUERIES * 10; i++)
        for (size_t j = 0; j < 10; j++) found += ids[i] == rankings[i / 10].hits[j].id;
    return found;
}

START_TEST(more_candidates_find_no_less) {
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        flat_case c = make_case(specs[s], VINDEX_L2, VECTORS_NORMAL);
        float *queries = flat_case_queries(&c, QUERIES);
        oracle_ranking *rankings = flat_case_rank(&c, queries, QUERIES, NULL, 0);
        int64_t before = 0;
        for (int64_t rerank = 1; rerank <= 60; rerank *= 2) {
            int64_t found = found_by(&c, queries, rankings, rerank);
            ck_assert_int_ge(found, before);
            before = found;
        }
        ck_assert_int_eq(found_by(&c, queries, rankings, 60), QUERIES * 10);
        ck_assert_int_ge(found_by(&c, queries, rankings, 0), QUERIES * 9); /* the codec's own */
        rankings_free(rankings, QUERIES);
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

START_TEST(threads_and_batches_change_nothing) {
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        flat_case c = make_case(specs[s], VINDEX_COSINE, VECTORS_CLUSTERED);
        float *queries = flat_case_queries(&c, QUERIES);
        int64_t ids[2][QUERIES * 10];
        float distances[2][QUERIES * 10];
        vindex_search_params params = rerank_params(10, 1, 2);
        params.nprobe = 3;
        ck_ok(vindex_search(c.index, queries, QUERIES, &params, ids[0], distances[0]));
        params.threads = 4;
        for (size_t step = 1; step <= QUERIES; step += QUERIES - 1) {
            for (size_t q = 0; q < QUERIES; q += step)
                ck_ok(vindex_search(c.index, queries + q * DIM, (int64_t)step, &params,
                                    ids[1] + q * 10, distances[1] + q * 10));
            ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
            ck_assert_mem_eq(distances[0], distances[1], sizeof distances[0]);
        }
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

TEST_MAIN("pq/refine", all_candidates_give_the_exact_answer, more_candidates_find_no_less,
          threads_and_batches_change_nothing)
