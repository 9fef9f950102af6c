/* Operating points of IVF indexes: what they promise is kept by queries that were not tuned with,
 * and they come through changes and files. */
#include <math.h>

#include "../core/scratch.h"
#include "cases.h"
#include "core/points.h"

enum { COUNT = 2000, DIM = 12, TUNED = 400, K = 10 };

static const vectors rows_of_all = {
    .kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 5};

static flat_case make_case(const char *spec, vindex_metric metric) {
    return ivf_case_make(spec, &rows_of_all, metric, NULL);
}

/* Twice TUNED: those to tune with, and others of the kind. */
static float *make_queries(void) {
    vectors queries = rows_of_all;
    queries.count = 2 * TUNED;
    queries.queries = true;
    return vectors_make(&queries);
}

/* The K nearest rows of each query, found by the oracle; to be freed. */
static int64_t *find_nearest(const flat_case *c, const float *queries) {
    int64_t *nearest = malloc(TUNED * K * sizeof *nearest);
    for (size_t q = 0; q < TUNED; q++) {
        oracle_ranking ranking = oracle_rank(&c->truth, queries + q * DIM, NULL);
        for (size_t i = 0; i < K; i++) nearest[q * K + i] = ranking.hits[i].id;
        oracle_ranking_free(&ranking);
    }
    return nearest;
}

/* The share of these that a search finds which asks for that recall. */
static double share_found(const flat_case *c, const float *queries, const int64_t *nearest,
                          double recall) {
    vindex_search_params params = search_params(K, 2);
    int64_t ids[TUNED * K], found = 0;
    params.recall = recall;
    ck_ok(vindex_search(c->index, queries, TUNED, &params, ids, NULL));
    for (size_t q = 0; q < TUNED; q++)
        for (size_t i = 0; i < K * K; i++) found += ids[q * K + i / K] == nearest[q * K + i % K];
    return (double)found / (TUNED * K);
}

/* 95% of the points should reach their recall; and other queries are a sample as well, whose own
 * standard error is at most that of shares that are all 0 or 1. */
START_TEST(other_queries_reach_the_recall) {
    static const double recalls[] = {0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999};
    float *queries = make_queries();
    int missed = 0;
    for (int m = 0; m <= VINDEX_PEARSON; m += test_stride()) {
        flat_case c = make_case("IVF60,Flat", (vindex_metric)m);
        vindex_tune_params params;
        vindex_tune_params_init(&params);
        params.recalls = recalls;
        params.recall_count = VX_COUNT(recalls);
        ck_ok(vindex_tune(c.index, queries, TUNED, &params, NULL));
        int64_t *nearest = find_nearest(&c, queries + TUNED * DIM);
        for (size_t i = 0; i < VX_COUNT(recalls); i++) {
            double found = share_found(&c, queries + TUNED * DIM, nearest, recalls[i]);
            double error = sqrt(recalls[i] * (1 - recalls[i]) / TUNED);
            ck_assert_msg(found >= recalls[i] - error, "%s: recall %g was tuned for, %g came",
                          vindex_metric_name((vindex_metric)m), recalls[i], found);
            missed += found < recalls[i];
        }
        free(nearest);
        flat_case_free(&c);
    }
    ck_assert_int_le(missed, 3); /* of 28 */
    free(queries);
}
END_TEST

/* The truth given, found by an exact index, and found by the index itself is the same; threads do
 * not matter. */
START_TEST(the_truth_may_come_from_anywhere) {
    float *queries = make_queries();
    flat_case c = make_case("IVF60,Flat", VINDEX_L2);
    flat_case flat = flat_case_make(&rows_of_all, VINDEX_L2, NULL);
    vindex_operating_point first[32], points[32];
    int64_t first_count, count;
    int64_t *truth = malloc(TUNED * K * sizeof *truth);
    vindex_search_params search = search_params(K, 1);
    ck_ok(vindex_search(flat.index, queries, TUNED, &search, truth, NULL));
    for (int way = 0; way < 3; way++) {
        vindex_tune_params params;
        vindex_call call;
        vindex_tune_params_init(&params);
        vindex_call_init(&call);
        call.threads = 1 + way;
        if (way == 1) params.exact = flat.index;
        params.truth = way == 2 ? truth : NULL;
        params.truth_k = K;
        ck_ok(vindex_tune(c.index, queries, TUNED, &params, &call));
        ck_ok(vindex_operating_points(c.index, way ? points : first, 32,
                                      way ? &count : &first_count));
        ck_assert_int_ge(first_count, 5);
        if (!way) continue;
        ck_assert_int_eq(count, first_count);
        for (int64_t i = 0; i < count; i++) {
            ck_assert_double_eq(points[i].recall, first[i].recall);
            ck_assert_int_eq(points[i].settings[0].value, first[i].settings[0].value);
        }
    }
    free(truth);
    free(queries);
    flat_case_free(&flat);
    flat_case_free(&c);
}
END_TEST

/* A recall and a factor for Refine are not both taken, whether a bound or a factor chooses there.
 */
START_TEST(recall_beside_rerank_is_refused) {
    static const char *const specs[] = {"IVF20,SQ4,Refine", "IVF20,PQ3x4,Refine"};
    float *queries = make_queries();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        flat_case c = make_case(specs[s], VINDEX_L2);
        vindex_search_params params = search_params(K, 1);
        int64_t ids[K];
        ck_ok(vindex_tune(c.index, queries, TUNED, NULL, NULL));
        params.recall = 0.5;
        ck_ok(vindex_search(c.index, queries, 1, &params, ids, NULL));
        params.rerank = 1;
        ck_fails(VINDEX_ERR_ARGUMENT, "rerank 1 were both given",
                 vindex_search(c.index, queries, 1, &params, ids, NULL));
        flat_case_free(&c);
    }
    free(queries);
}
END_TEST

/* Codes that know no bound reach a high recall by more candidates, which tuning tries. */
START_TEST(candidates_are_tuned_too) {
    float *queries = make_queries();
    flat_case c = make_case("IVF20,PQ3x4,Refine", VINDEX_L2);
    flat_case flat = flat_case_make(&rows_of_all, VINDEX_L2, NULL);
    vindex_tune_params params;
    vindex_operating_point points[32];
    vindex_search_params one = probe_params(K, 1, IVF_ALL);
    int64_t count, *nearest = find_nearest(&flat, queries + TUNED * DIM), ids[TUNED * K], found = 0;
    vindex_tune_params_init(&params);
    params.exact = flat.index;
    one.rerank = 1;
    ck_ok(vindex_search(c.index, queries + TUNED * DIM, TUNED, &one, ids, NULL));
    for (size_t q = 0; q < TUNED; q++)
        for (size_t i = 0; i < K * K; i++) found += ids[q * K + i / K] == nearest[q * K + i % K];
    ck_assert_int_lt(found, 0.9 * TUNED * K); /* too few without */
    ck_ok(vindex_tune(c.index, queries, TUNED, &params, NULL));
    ck_ok(vindex_operating_points(c.index, points, 32, &count));
    ck_assert_str_eq(points[count - 1].settings[1].name, "rerank");
    ck_assert_int_gt(points[count - 1].settings[1].value, 1);
    ck_assert_double_ge(points[count - 1].recall, 0.95);
    double share = share_found(&c, queries + TUNED * DIM, nearest, 0.95);
    ck_assert_msg(share >= 0.95 - sqrt(0.95 * 0.05 / TUNED), "%g", share);
    free(nearest);
    free(queries);
    flat_case_free(&flat);
    flat_case_free(&c);
}
END_TEST

START_TEST(changes_are_counted) {
    float *queries = make_queries();
    flat_case c = make_case("IVF60,Flat", VINDEX_L2);
    vindex_operating_point point;
    vindex_search_params params = search_params(K, 1);
    const int64_t gone[] = {3, 4, 5, 100000};
    int64_t count, ids[K];
    params.recall = 0.9;
    ck_fails(VINDEX_ERR_STATE, "never tuned",
             vindex_search(c.index, queries, 1, &params, ids, NULL));
    ck_ok(vindex_tune(c.index, queries, TUNED, NULL, NULL));
    ck_ok(vindex_add(c.index, queries, 7, NULL));
    ck_ok(vindex_remove(c.index, gone, 4, NULL));
    ck_ok(vindex_compact(c.index, NULL));
    ck_ok(vindex_operating_points(c.index, &point, 1, &count));
    ck_assert_int_eq(point.vectors, COUNT);
    ck_assert_int_eq(point.changed, 10);
    ck_ok(vindex_search(c.index, queries, 1, &params, ids, NULL));
    params.nprobe = 3;
    ck_fails(VINDEX_ERR_ARGUMENT, "both given",
             vindex_search(c.index, queries, 1, &params, ids, NULL));
    params.nprobe = 0;
    vindex_range_result result;
    ck_fails(VINDEX_ERR_ARGUMENT, "range search: recall",
             vindex_range_search(c.index, queries, 1, 1, &params, &result));
    params.recall = 1.01;
    ck_fails(VINDEX_ERR_ARGUMENT, "recall is 1.01",
             vindex_search(c.index, queries, 1, &params, ids, NULL));
    flat_case_free(&c);
    vindex_index *index;
    ck_ok(vindex_create("IVF4,Flat", DIM, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_STATE, "holds no vectors", vindex_tune(index, queries, 9, NULL, NULL));
    ck_ok(vindex_train(index, queries, TUNED, NULL));
    ck_fails(VINDEX_ERR_STATE, "holds no vectors", vindex_tune(index, queries, 9, NULL, NULL));
    ck_ok(vindex_add(index, queries, 50, NULL));
    vindex_tune_params tuning; /* fewer vectors than neighbours wanted */
    vindex_tune_params_init(&tuning);
    tuning.k = 100;
    ck_ok(vindex_tune(index, queries, 9, &tuning, NULL));
    ck_ok(vindex_operating_points(index, NULL, 0, &count));
    ck_assert_int_gt(count, 0);
    for (int64_t i = 0; i < 50; i++) ck_ok(vindex_remove(index, &i, 1, NULL));
    ck_ok(vindex_compact(index, NULL));
    ck_ok(vindex_train(index, queries, TUNED, NULL));
    ck_ok(vindex_operating_points(index, NULL, 0, &count));
    ck_assert_int_eq(count, 0);
    vindex_free(index);
    free(queries);
}
END_TEST

/* A program built before recall was there. */
START_TEST(older_search_params_are_taken) {
    float *queries = make_queries();
    flat_case c = make_case("IVF60,Flat", VINDEX_L2);
    vindex_search_params old, new = search_params(K, 1);
    int64_t a[K], b[K];
    memset(&old, 0xff, sizeof old);
    vindex_search_params_init_sized(&old, offsetof(vindex_search_params, recall));
    old.k = K;
    old.nprobe = new.nprobe = 2;
    ck_ok(vindex_search(c.index, queries, 1, &old, a, NULL));
    ck_ok(vindex_search(c.index, queries, 1, &new, b, NULL));
    ck_assert_mem_eq(a, b, sizeof a);
    vindex_range_result result;
    ck_ok(vindex_range_search(c.index, queries, 1, 0, &old, &result));
    vindex_range_result_free(&result);
    flat_case_free(&c);
    free(queries);
}
END_TEST

START_TEST(projections_pass_points_on) {
    float *queries = make_queries();
    float *numbers = vectors_make(&rows_of_all);
    vindex_index *index, *exact;
    vindex_search_params params = search_params(K, 1);
    vindex_tune_params tuning;
    int64_t ids[K], count;
    vindex_operating_point points[32];
    ck_ok(vindex_create("PCA6,IVF60,Flat", DIM, VINDEX_L2, &index));
    ck_ok(vindex_create("Flat", DIM, VINDEX_L2, &exact));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    ck_ok(vindex_add(index, numbers, COUNT, NULL));
    ck_ok(vindex_add(exact, numbers, COUNT, NULL));
    ck_ok(vindex_tune(index, queries, TUNED, NULL, NULL));
    params.recall = 1;
    ck_ok(vindex_search(index, queries, 1, &params, ids, NULL));
    vindex_tune_params_init(&tuning);
    tuning.exact = exact;
    ck_ok(vindex_tune(index, queries, TUNED, &tuning, NULL));
    ck_ok(vindex_operating_points(index, points, 32, &count));
    ck_assert_double_lt(points[count - 1].measured, 1); /* of the vectors before the projection */
    ck_assert_int_eq(points[count - 1].settings[0].value, 60);
    params.recall = points[0].recall;
    ck_ok(vindex_search(index, queries, 1, &params, ids, NULL));
    params.recall = 0.9;
    ck_ok(vindex_search(exact, queries, 1, &params, ids, NULL)); /* needs no tuning */
    scratch_make();
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    vindex_free(index);
    ck_ok(vindex_load(scratch_path("index"), VINDEX_LOAD_MAP, &index));
    params.recall = points[0].recall;
    ck_ok(vindex_search(index, queries, 1, &params, ids, NULL));
    scratch_remove();
    vindex_free(index);
    vindex_free(exact);
    free(queries);
    free(numbers);
}
END_TEST

START_TEST(files_keep_points) {
    float *queries = make_queries();
    flat_case c = make_case("IVF60,Flat", VINDEX_L2);
    vindex_operating_point before[32], after[32];
    int64_t count, found;
    size_t length;
    ck_ok(vindex_tune(c.index, queries, TUNED, NULL, NULL));
    ck_ok(vindex_add(c.index, queries, 3, NULL));
    ck_ok(vindex_operating_points(c.index, before, 32, &count));
    scratch_make();
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++) {
        vindex_index *index;
        ck_ok(vindex_load(scratch_path("index"), flags, &index));
        ck_ok(vindex_operating_points(index, after, 32, &found));
        ck_assert_int_eq(found, count);
        for (int64_t i = 0; i < count; i++) {
            ck_assert_int_eq(after[i].changed, 3);
            ck_assert_double_eq(after[i].recall, before[i].recall);
            ck_assert_double_eq(after[i].measured, before[i].measured);
            ck_assert_int_eq(after[i].queries, TUNED);
            ck_assert_int_eq(after[i].vectors, COUNT);
            ck_assert_int_eq(after[i].settings[0].value, before[i].settings[0].value);
        }
        ck_assert_uint_eq(vindex_memory(index) - index->ops->memory(index),
                          (size_t)count * sizeof(vx_point));
        ck_ok(vindex_save(index, scratch_path("again"), NULL));
        unsigned char *bytes = scratch_read("index", &length);
        ck_assert(scratch_holds("again", bytes, length));
        free(bytes);
        vindex_free(index);
    }
    scratch_remove();
    flat_case_free(&c);
    free(queries);
}
END_TEST

/* Where in the section "points" of an index with one knob and two points what lies. */
enum { HEAD = 8 + 16, POINT = 7 * 8, LENGTH = HEAD + 2 * POINT };

static void put_f64(unsigned char *where, double value) {
    uint64_t word;
    memcpy(&word, &value, sizeof word);
    vx_put_u64(where, word);
}

/* Writes the index file again with other operating points. */
static void write_lie(const unsigned char *points, size_t length) {
    vindex_file_section list[32];
    vx_container *file;
    vx_container_writer *writer;
    vx_section section;
    int64_t count;
    ck_ok(vindex_file_sections(scratch_path("index"), list, 32, &count));
    ck_ok(vx_container_open(scratch_path("index"), VX_KIND_INDEX, &file));
    ck_ok(vx_container_create(scratch_path("lie"), VX_KIND_INDEX, 0, (uint32_t)count, &writer));
    for (int64_t i = 0; i < count; i++) {
        ck_ok(vx_container_find(file, list[i].tag, true, &section));
        bool lies = !strcmp(list[i].tag, "points");
        ck_ok(vx_container_section(writer, list[i].tag, lies ? points : section.bytes,
                                   lies ? length : section.length));
    }
    ck_ok(vx_container_commit(writer));
    vx_container_close(file);
}

START_TEST(points_that_lie_are_refused) {
    vectors few = {.kind = VECTORS_NORMAL, .dim = DIM, .count = 50, .seed = 1};
    flat_case c = ivf_case_make("IVF4,Flat", &few, VINDEX_L2, NULL);
    vx_point good[] = {
        {.k = 5, .queries = 9, .vectors = 50, .recall = 0.5, .measured = 0.6, .values = {2}},
        {.k = 5, .queries = 9, .vectors = 50, .recall = 0.7, .measured = 0.8, .values = {3}}};
    ck_ok(vx_points_set(c.index, 5, good, 2));
    scratch_make();
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    vx_container *file;
    vx_section section;
    unsigned char honest[LENGTH];
    ck_ok(vx_container_open(scratch_path("index"), VX_KIND_INDEX, &file));
    ck_ok(vx_container_find(file, "points", true, &section));
    ck_assert_uint_eq(section.length, LENGTH);
    memcpy(honest, section.bytes, LENGTH);
    vx_container_close(file);
    enum { WORD, REAL };
    static const struct {
        size_t at;
        int kind;
        uint64_t word;
        double real;
        const char *says;
    } lies[] = {
        {0, WORD, 0, 0, "other parameters"},
        {0, WORD, 2, 0, "other parameters"},
        {0, WORD, UINT64_MAX, 0, "other parameters"},
        {8, WORD, 0x6665, 0, "other parameters"}, /* "ef" */
        {HEAD, WORD, 0, 0, "what no tuning gives"},
        {HEAD, WORD, 6, 0, "what no tuning gives"}, /* k falls */
        {HEAD, WORD, UINT64_MAX, 0, "what no tuning gives"},
        {HEAD + 8, WORD, 0, 0, "what no tuning gives"},
        {HEAD + 16, WORD, UINT64_MAX, 0, "what no tuning gives"},
        {HEAD + 24, WORD, UINT64_MAX, 0, "what no tuning gives"},
        {HEAD + 32, REAL, 0, 0.65, "what no tuning gives"}, /* more than was measured */
        {HEAD + 32, REAL, 0, -0.1, "what no tuning gives"},
        {HEAD + 32, REAL, 0, NAN, "what no tuning gives"},
        {HEAD + 40, REAL, 0, 1.5, "what no tuning gives"},
        {HEAD + 40, REAL, 0, NAN, "what no tuning gives"},
        {HEAD + 48, WORD, 0, 0, "what no tuning gives"},
        {HEAD + 48, WORD, (uint64_t)1 << 31, 0, "what no tuning gives"},
        {HEAD + POINT + 32, REAL, 0, 0.5, "what no tuning gives"}, /* does not rise */
    };
    vindex_index *index;
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        unsigned char bytes[LENGTH];
        memcpy(bytes, honest, LENGTH);
        if (lies[i].kind == REAL)
            put_f64(bytes + lies[i].at, lies[i].real);
        else
            vx_put_u64(bytes + lies[i].at, lies[i].word);
        write_lie(bytes, LENGTH);
        for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++)
            ck_fails(VINDEX_ERR_FORMAT, lies[i].says,
                     vindex_load(scratch_path("lie"), flags, &index));
    }
    for (size_t length = 0; length < LENGTH; length++) {
        if (length == HEAD + POINT) continue; /* the first point alone is an honest file */
        write_lie(honest, length);
        ck_assert_int_eq(vindex_load(scratch_path("lie"), 0, &index), VINDEX_ERR_FORMAT);
    }
    write_lie(honest, LENGTH);
    ck_ok(vindex_load(scratch_path("lie"), 0, &index));
    vindex_free(index);
    scratch_remove();
    flat_case_free(&c);
}
END_TEST

TEST_MAIN("ivf/tune", other_queries_reach_the_recall, the_truth_may_come_from_anywhere,
          recall_beside_rerank_is_refused, candidates_are_tuned_too, changes_are_counted,
          older_search_params_are_taken, projections_pass_points_on, files_keep_points,
          points_that_lie_are_refused)
