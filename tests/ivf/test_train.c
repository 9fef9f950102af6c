/* Training from rows that are read piece by piece, and lists behind a projection. */
#include <math.h>

#include "../core/scratch.h"
#include "cases.h"

enum { COUNT = 500, DIM = 12, INNER = 5, QUERIES = 20, K = 10 };

/* Rows that are handed out on request. */
typedef struct source {
    const float *numbers;
    int64_t rows; /* handed out */
    int calls, fail_at;
} source;

static vindex_status read_some(void *context, int64_t first, int64_t count, float *to) {
    source *s = context;
    ck_assert_int_ge(first, 0);
    ck_assert_int_ge(count, 1);
    ck_assert_int_le(first + count, COUNT);
    if (s->calls++ == s->fail_at) return VINDEX_ERR_IO;
    s->rows += count;
    memcpy(to, s->numbers + first * DIM, (size_t)count * DIM * sizeof *to);
    return VINDEX_OK;
}

static vindex_rows rows_of(source *s) {
    return (vindex_rows){.count = COUNT, .dim = DIM, .read = read_some, .context = s};
}

static float *make_rows(void) {
    vectors set = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 12};
    return vectors_make(&set);
}

static vindex_index *make_index(int64_t points_each, vindex_metric metric) {
    vindex_ivf_params params;
    vindex_index *index;
    vindex_ivf_params_init(&params);
    params.dim = DIM;
    params.metric = metric;
    params.lists = IVF_LISTS;
    params.points_each = points_each;
    ck_ok(vindex_ivf_create(&params, &index));
    return index;
}

static void check_same_centroids(const vindex_index *a, const vindex_index *b) {
    float x[DIM], y[DIM];
    for (int64_t l = 0; l < IVF_LISTS; l++) {
        ck_ok(vindex_reconstruct(((const vx_ivf *)a)->coarse, &l, 1, x));
        ck_ok(vindex_reconstruct(((const vx_ivf *)b)->coarse, &l, 1, y));
        ck_assert_mem_eq(x, y, sizeof x);
    }
}

/* Whether all are learnt from or a few of them. */
START_TEST(read_rows_give_the_bits_of_those_in_memory) {
    static const int64_t points[] = {1, 20, 64};
    float *numbers = make_rows();
    for (size_t i = 0; i < VX_COUNT(points); i++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
            vindex_index *a = make_index(points[i], (vindex_metric)metric);
            vindex_index *b = make_index(points[i], (vindex_metric)metric);
            source s = {.numbers = numbers, .fail_at = -1};
            vindex_rows rows = rows_of(&s);
            ck_ok(vindex_train(a, numbers, COUNT, NULL));
            ck_ok(vindex_train_rows(b, &rows, NULL));
            check_same_centroids(a, b);
            ck_assert_int_eq(s.rows, VX_MIN(points[i] * IVF_LISTS, (int64_t)COUNT));
            vindex_ivf_stats stats;
            ck_ok(vindex_ivf_stats_get(b, &stats));
            ck_assert_int_eq(stats.learnt_from, s.rows);
            ck_assert_int_eq(stats.offered, COUNT);
            vindex_free(a);
            vindex_free(b);
        }
    free(numbers);
}
END_TEST

/* What is asked of k-means reaches it, also after an untrained index went through a file. */
START_TEST(how_k_means_goes_about_it_is_asked_for) {
    static const struct {
        int64_t batch;
        bool plus_plus;
    } ways[] = {{0, false}, {0, true}, {60, false}, {60, true}};
    float *numbers = make_rows();
    float due[VX_COUNT(ways)][IVF_LISTS * DIM], got[DIM];
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(ways); i++) {
        vindex_ivf_params params;
        vx_kmeans_params training;
        vindex_index *index;
        vindex_ivf_params_init(&params);
        params.dim = DIM;
        params.lists = IVF_LISTS;
        params.seed = 5;
        params.batch = ways[i].batch;
        params.plus_plus = ways[i].plus_plus;
        ck_ok(vindex_ivf_create(&params, &index));
        ck_ok(vindex_save(index, scratch_path("untrained"), NULL));
        vindex_free(index);
        ck_ok(vindex_load(scratch_path("untrained"), 0, &index));
        ck_ok(vindex_train(index, numbers, COUNT, NULL));
        vx_kmeans_init(&training, IVF_LISTS);
        training.seed = 5;
        training.balance = params.balance;
        training.batch = (size_t)ways[i].batch;
        training.plus_plus = ways[i].plus_plus;
        training.threads = 1;
        ck_ok(vx_kmeans(numbers, COUNT, DIM, &training, due[i], NULL));
        for (int64_t l = 0; l < IVF_LISTS; l++) {
            ck_ok(vindex_reconstruct(((const vx_ivf *)index)->coarse, &l, 1, got));
            ck_assert_mem_eq(got, due[i] + l * DIM, sizeof got);
        }
        for (size_t j = 0; j < i; j++) ck_assert_mem_ne(due[i], due[j], sizeof due[i]);
        vindex_free(index);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

START_TEST(bad_rows_are_refused) {
    float *numbers = make_rows();
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        vindex_index *index = make_index(64, VINDEX_L2);
        source s = {.numbers = numbers, .fail_at = -1};
        vindex_rows rows = rows_of(&s);
        if (in_memory) rows.vectors = numbers;
        float kept = numbers[77 * DIM + 3];
        numbers[77 * DIM + 3] = NAN;
        ck_fails(VINDEX_ERR_DATA, "vector 77 has NaN in dimension 3",
                 vindex_train_rows(index, &rows, NULL));
        numbers[77 * DIM + 3] = kept;
        ck_assert(!vindex_is_trained(index));
        s = (source){.numbers = numbers, .fail_at = 0};
        if (!in_memory) ck_assert_int_eq(vindex_train_rows(index, &rows, NULL), VINDEX_ERR_IO);
        ck_assert(in_memory || !vindex_is_trained(index));
        rows.count = IVF_LISTS - 1;
        s.fail_at = -1;
        ck_fails(VINDEX_ERR_DATA, "give at least 9", vindex_train_rows(index, &rows, NULL));
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

static void search(const vindex_index *index, const float *queries, int64_t *ids,
                   float *distances) {
    vindex_search_params params = probe_params(K, 2, 3);
    ck_ok(vindex_search(index, queries, QUERIES, &params, ids, distances));
}

/* Answers are those of the lists of projected vectors, saved, loaded and mapped too. */
START_TEST(lists_lie_behind_a_projection) {
    static const char *const specs[] = {"PCA5,IVF9,Flat", "GRP5,IVF9,Flat,f16"};
    float *numbers = make_rows();
    int64_t ids[2][QUERIES * K];
    float distances[2][QUERIES * K], projected[COUNT * INNER];
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(specs); i++) {
        vindex_index *index, *inner, *loaded;
        ck_ok(vindex_create(specs[i], DIM, VINDEX_L2, &index));
        ck_assert(!vindex_is_trained(index));
        ck_ok(vindex_train(index, numbers, COUNT, NULL));
        ck_ok(vindex_add(index, numbers, COUNT, NULL));
        ck_ok(
            vindex_transform_apply(vindex_index_transform(index), numbers, COUNT, projected, NULL));
        ck_ok(vindex_create(strchr(specs[i], ',') + 1, INNER, VINDEX_L2, &inner));
        ck_ok(vindex_train(inner, projected, COUNT, NULL));
        ck_ok(vindex_add(inner, projected, COUNT, NULL));
        search(inner, projected, ids[0], distances[0]);
        search(index, numbers, ids[1], distances[1]);
        ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
        ck_assert_mem_eq(distances[0], distances[1], sizeof distances[0]);
        ck_ok(vindex_save(index, scratch_path("index"), NULL));
        for (uint32_t flags = 0; flags < 4; flags++) {
            ck_ok(vindex_load(scratch_path("index"), flags, &loaded));
            ck_assert_str_eq(vindex_spec(loaded), specs[i]);
            search(loaded, numbers, ids[1], distances[1]);
            ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
            ck_ok(vindex_add(loaded, numbers, 30, NULL));
            ck_assert_int_eq(vindex_count(loaded), COUNT + 30);
            vindex_free(loaded);
        }
        vindex_free(index);
        vindex_free(inner);
    }
    free(numbers);
    scratch_remove();
}
END_TEST

/* An empty one that was loaded takes vectors and may be trained again. */
START_TEST(an_empty_index_goes_on_after_loading) {
    static const char *const specs[] = {"IVF9,Flat", "PCA5,IVF9,Flat"};
    float *numbers = make_rows();
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(specs); i++)
        for (uint32_t flags = 0; flags < 4; flags++) {
            vindex_index *index, *loaded;
            ck_ok(vindex_create(specs[i], DIM, VINDEX_L2, &index));
            ck_ok(vindex_train(index, numbers, COUNT, NULL));
            ck_ok(vindex_save(index, scratch_path("index"), NULL));
            ck_ok(vindex_load(scratch_path("index"), flags, &loaded));
            for (int after = 0; after < 40; after++) {
                vindex_call call;
                vindex_call_init(&call);
                call.threads = 1;
                vx_alloc_fail_after(after);
                vindex_status status = vindex_add(loaded, numbers, COUNT, &call);
                vx_alloc_fail_after(-1);
                if (status == VINDEX_OK) break;
                ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
                ck_assert_int_eq(vindex_count(loaded), 0);
                if (after % 3 == 2) ck_ok(vindex_train(loaded, numbers, COUNT, NULL));
            }
            ck_ok(vindex_add(index, numbers, COUNT, NULL));
            int64_t ids[2][QUERIES * K];
            float distances[QUERIES * K];
            search(index, numbers, ids[0], distances);
            search(loaded, numbers, ids[1], distances);
            ck_assert_mem_eq(ids[0], ids[1], sizeof ids[0]);
            vindex_free(index);
            vindex_free(loaded);
        }
    free(numbers);
    scratch_remove();
}
END_TEST

TEST_MAIN("ivf/train", read_rows_give_the_bits_of_those_in_memory,
          how_k_means_goes_about_it_is_asked_for, bad_rows_are_refused,
          lists_lie_behind_a_projection, an_empty_index_goes_on_after_loading)
