/* Every codec in lists: a search over all of them is the exact search over what is reconstructed,
 * whatever is filtered out, removed, saved, mapped or compacted, and with any number of threads.
 * Run once per instruction set. */
#include "../core/scratch.h"
#include "cases.h"

enum { QUERIES = 15, COUNT = 150 };

static const char *const codecs[] = {
    "Flat,f16",
    "SQ8",
    "SQ6",
    "SQ4",
    "SQ8v",
    "SQ4v",
    "RaBitQ1",
    "RaBitQ3",
    "RaBitQ4",
    "RaBitQ7",
    "RaBitQ8",
    "SQ8,Refine",
    "SQ4,Refine(f16)",
    "SQ6v,Refine(bf16)",
    "RaBitQ1,Refine",
    "RaBitQ4,Refine",
    "RaBitQ8,Refine(f16)",
    "SQ8,Refine(SQ8)",
    "SQ4,Refine(RaBitQ4)",
    "RaBitQ1,Refine(SQ6v)",
    "RaBitQ4,Refine(PQ1x4)",
};

/* Whether a codec keeps the numbers themselves behind its codes. */
static bool keeps_numbers(const char *codec) {
    const char *refine = strstr(codec, ",Refine");
    return refine && (!refine[7] || strstr(refine, "f16"));
}

/* The oracle knows the rows as they are reconstructed. */
static flat_case coded_case(const char *codec, const vectors *rows, vindex_metric metric,
                            const int64_t *ids) {
    char spec[64];
    snprintf(spec, sizeof spec, "IVF%d,%s", IVF_LISTS, codec);
    flat_case c = ivf_case_make(spec, rows, metric, ids);
    ck_assert_str_eq(vindex_spec(c.index), spec);
    flat_case_decode(&c);
    char name[200];
    snprintf(name, sizeof name, "%.40s: %.110s", codec, c.name);
    memcpy(c.name, name, sizeof c.name - 1);
    return c;
}

static void check_search(const flat_case *c, const float *queries, const oracle_ranking *rankings,
                         const vindex_filter *filter) {
    static const size_t counts[] = {QUERIES, 3, 1};
    static const int64_t ks[] = {1, 10, 1000};
    for (size_t i = 0; i < 9; i++) {
        vindex_search_params params = probe_params(ks[i / 3], 1 + (int32_t)i % 3, IVF_ALL);
        params.filter = filter;
        flat_case_search(c, queries, counts[i % 3], rankings, &params, "");
    }
    double key = rankings[0].count ? rankings[0].hits[rankings[0].count / 3].key : 0;
    float radius = (float)(c->metric == VINDEX_L2 ? key : -key);
    vindex_search_params params = probe_params(1, 1 + (int32_t)c->rows.seed % 3, IVF_ALL);
    params.filter = filter;
    flat_case_range(c, queries, QUERIES, rankings, &params, radius);
}

static void check_all(const flat_case *c, const vindex_filter *filter) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    check_search(c, queries, rankings, filter);
    rankings_free(rankings, QUERIES);
    free(queries);
}

START_TEST(all_lists_give_the_exact_answer) {
    static const size_t dims[] = {1, 17, 64, 200};
    for (size_t s = 0; s < VX_COUNT(codecs); s++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
            for (int kind = (int)s % 2; kind < VECTORS_KINDS; kind += 2 * test_stride()) {
                vectors rows = {.kind = (vectors_kind)kind,
                                .dtype = (vindex_dtype)((size_t)(metric + kind) % VX_STORED_TYPES),
                                .dim = dims[(size_t)(kind / 2 + metric) % 4],
                                .count = COUNT,
                                .seed = (uint64_t)kind};
                if (!strncmp(codecs[s], "Flat", 4)) rows.dtype = VINDEX_F16;
                if (strstr(codecs[s], "f16")) rows.dtype = VINDEX_F16;
                flat_case c = coded_case(codecs[s], &rows, (vindex_metric)metric, NULL);
                check_all(&c, NULL);
                flat_case_free(&c);
            }
}
END_TEST

static bool third(void *context, int64_t id) {
    (void)context;
    return id % 3 == 0;
}

/* Ids in any order, some removed, some filtered out by a set or a call; what was removed is gone
 * from files and after compaction, too. */
START_TEST(nothing_hidden_is_answered) {
    static int64_t ids[COUNT];
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 77 + 5) % COUNT * 2;
    uint64_t bits[5] = {0x123456789abcdef0, 0xfedcba9876543210, ~0ull, 0, 0x5555};
    vindex_filter filters[2] = {{.bits = bits, .bit_count = 300}, {.allow = third}};
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(codecs); s++) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 24, .count = COUNT, .seed = s};
        if (strstr(codecs[s], "f16")) rows.dtype = VINDEX_F16;
        flat_case c = coded_case(codecs[s], &rows, (vindex_metric)(s % 4), ids);
        bool hidden[COUNT] = {false}, removed[COUNT] = {false};
        c.truth.hidden = hidden;
        for (size_t row = 4; row < COUNT; row += 9) {
            removed[row] = true;
            ck_ok(vindex_remove(c.index, &ids[row], 1, NULL));
        }
        for (int form = 0; form < 4; form++) {
            for (int f = -1; f < 2; f++) {
                for (size_t row = 0; row < COUNT; row++)
                    hidden[row] = removed[row] ||
                                  (f == 0 && !(bits[ids[row] / 64] >> (ids[row] % 64) & 1)) ||
                                  (f == 1 && ids[row] % 3 != 0);
                check_all(&c, f < 0 ? NULL : &filters[f]);
            }
            if (form == 2) ck_ok(vindex_compact(c.index, NULL));
            if (form > 1) continue;
            ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
            vindex_free(c.index);
            ck_ok(vindex_load(scratch_path("index"), form ? VINDEX_LOAD_MAP : 0, &c.index));
        }
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

/* With a finer form the vectors settle that were added, in their storage type. */
START_TEST(refined_rows_are_the_rows) {
    for (size_t s = 0; s < VX_COUNT(codecs); s++) {
        if (!keeps_numbers(codecs[s])) continue;
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 24, .count = COUNT, .seed = s};
        if (strstr(codecs[s], "(f16)")) rows.dtype = VINDEX_F16;
        if (strstr(codecs[s], "(bf16)")) rows.dtype = VINDEX_BF16;
        flat_case c = coded_case(codecs[s], &rows, (vindex_metric)(s % 4), NULL);
        float *numbers = vectors_make(&rows);
        ck_assert_mem_eq(numbers, c.numbers, COUNT * 24 * sizeof *numbers);
        free(numbers);
        flat_case_free(&c);
    }
}
END_TEST

/* Two shards that were trained alike are one index, which answers as one that took all vectors. */
START_TEST(shards_merge) {
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(codecs); s++) {
        enum { DIM = 24, K = 7 };
        vindex_index *shards[2], *whole;
        vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = s};
        if (strstr(codecs[s], "f16")) rows.dtype = VINDEX_F16;
        flat_case c = coded_case(codecs[s], &rows, VINDEX_L2, NULL);
        int64_t all[COUNT], half = COUNT / 2, removed, a[COUNT * K], b[COUNT * K];
        float near[2][COUNT * K];
        for (int64_t i = 0; i < COUNT; i++) all[i] = i;
        ck_ok(vindex_remove(c.index, all, COUNT, &removed));
        ck_ok(vindex_compact(c.index, NULL));
        ck_ok(vindex_save(c.index, scratch_path("trained"), NULL));
        for (int i = 0; i < 2; i++) {
            ck_ok(vindex_load(scratch_path("trained"), 0, &shards[i]));
            ck_ok(vindex_add_with_ids(shards[i], c.numbers + i * half * DIM, half, all + i * half,
                                      NULL));
        }
        ck_ok(vindex_load(scratch_path("trained"), 0, &whole));
        ck_ok(vindex_add_with_ids(whole, c.numbers, COUNT, all, NULL));
        ck_ok(vindex_merge(shards[0], shards[1], NULL));
        vindex_search_params params = probe_params(K, 1, 4);
        ck_ok(vindex_search(shards[0], c.numbers, COUNT, &params, a, near[0]));
        ck_ok(vindex_search(whole, c.numbers, COUNT, &params, b, near[1]));
        ck_assert_mem_eq(a, b, sizeof a);
        ck_assert_mem_eq(near[0], near[1], sizeof near[0]);
        vindex_free(shards[0]);
        vindex_free(shards[1]);
        vindex_free(whole);
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

static int64_t *true_ids_of(const flat_case *c, const float *queries, size_t k) {
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    int64_t *ids = malloc(QUERIES * k * sizeof *ids);
    for (size_t i = 0; i < QUERIES * k; i++) ids[i] = rankings[i / k].hits[i % k].id;
    rankings_free(rankings, QUERIES);
    return ids;
}

/* More lists never find less, and with all of them a refined index finds what a scan of what it
 * gives back does. */
START_TEST(recall_rises_to_the_whole) {
    for (size_t s = 0; s < VX_COUNT(codecs); s++) {
        enum { DIM = 24, K = 5 };
        if (!strstr(codecs[s], "Refine")) continue;
        vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = s};
        if (strstr(codecs[s], "(f16)")) rows.dtype = VINDEX_F16;
        if (strstr(codecs[s], "(bf16)")) rows.dtype = VINDEX_BF16;
        flat_case c = coded_case(codecs[s], &rows, VINDEX_L2, NULL);
        float *queries = flat_case_queries(&c, QUERIES);
        int64_t *true_ids = true_ids_of(&c, queries, K), ids[QUERIES * K];
        vindex_search_params params = probe_params(K, 1, 1);
        int before = 0, found = 0;
        for (params.nprobe = 1; params.nprobe <= IVF_LISTS; params.nprobe++, before = found) {
            ck_ok(vindex_search(c.index, queries, QUERIES, &params, ids, NULL));
            found = 0;
            for (int i = 0; i < QUERIES * K; i++)
                for (int j = 0; j < K; j++) found += ids[i] == true_ids[i / K * K + j];
            ck_assert_int_ge(found, before);
        }
        ck_assert_int_eq(found, QUERIES * K);
        ck_assert_mem_eq(ids, true_ids, sizeof ids);
        free(true_ids);
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

/* By factor: more candidates never find less, enough of them find all that the bound does, with any
 * number of threads the same. Product codes know no bound. */
START_TEST(recall_rises_with_candidates) {
    static const char *const specs[] = {
        "SQ4,Refine",         "RaBitQ1,Refine(f16)", "RaBitQ2,Refine",      "PQ6x4,Refine",
        "PQ4x6,Refine(bf16)", "PQ6x4,Refine(SQ8)",   "PQ4x6,Refine(PQ8x4)", "SQ4,Refine(RaBitQ3)"};
    for (size_t s = 0; s < 4 * VX_COUNT(specs); s++) {
        enum { DIM = 24, K = 5 };
        const char *spec = specs[s % VX_COUNT(specs)];
        vindex_metric metric = (vindex_metric)(s / VX_COUNT(specs));
        vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = s};
        if (strstr(spec, "f16")) rows.dtype = VINDEX_F16;
        if (strstr(spec, "bf16")) rows.dtype = VINDEX_BF16;
        flat_case c = coded_case(spec, &rows, metric, NULL);
        float *queries = flat_case_queries(&c, QUERIES);
        int64_t *true_ids = true_ids_of(&c, queries, K), ids[QUERIES * K], one[K];
        vindex_search_params params = probe_params(K, 1, IVF_ALL);
        int before = 0, found = 0;
        for (params.rerank = 1; params.rerank <= COUNT; params.rerank *= 2, before = found) {
            params.threads = 1 + (int32_t)(params.rerank % 3);
            ck_ok(vindex_search(c.index, queries, QUERIES, &params, ids, NULL));
            found = 0;
            for (int i = 0; i < QUERIES * K; i++)
                for (int j = 0; j < K; j++) found += ids[i] == true_ids[i / K * K + j];
            ck_assert_int_ge(found, before);
            for (params.threads = 1; params.threads < 4; params.threads++) {
                ck_ok(vindex_search(c.index, queries + 3 * DIM, 1, &params, one, NULL));
                ck_assert_mem_eq(one, ids + 3 * K, sizeof one);
            }
        }
        ck_assert_int_eq(found, QUERIES * K);
        ck_assert_mem_eq(ids, true_ids, sizeof ids);
        free(true_ids);
        free(queries);
        flat_case_free(&c);
    }
}
END_TEST

TEST_MAIN_PER_LEVEL("ivf/codecs", all_lists_give_the_exact_answer, nothing_hidden_is_answered,
                    refined_rows_are_the_rows, shards_merge, recall_rises_to_the_whole,
                    recall_rises_with_candidates)
