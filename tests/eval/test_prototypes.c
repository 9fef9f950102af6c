/* Class prototypes, silhouette and triplets against double loops. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "core/base.h"
#include "core/rng.h"
#include "naive.h"

enum { N = 70, NQ = 40, DIM = 4 };
static float vectors[N * DIM], queries[NQ * DIM];
static int32_t cliques[N], query_cliques[NQ];

/* Multiples of 1/4 in classes of 1, 2, 4 and 8: their means, with and without a member of a class
 * of 2, are exact, and so distances tie exactly. */
static void fill(uint64_t seed) {
    vx_rng rng = vx_rng_seed(seed, 0);
    for (int i = 0; i < N * DIM; i++) vectors[i] = (float)vx_rng_below(&rng, 9) / 4;
    for (int i = 0; i < NQ * DIM; i++) queries[i] = (float)vx_rng_below(&rng, 9) / 4;
    for (int i = 0; i < N; i++)
        cliques[i] = 3 * (i < 40 ? i / 8 : i < 60 ? 10 + i / 4 : i < 66 ? 40 + i / 2 : 100 + i);
    for (int i = 0; i < NQ; i++) query_cliques[i] = cliques[vx_rng_below(&rng, N)];
    query_cliques[3] = 7; /* of no class */
}

static void mean_of(int32_t clique, int without, float *mean) {
    double sum[DIM] = {0};
    int count = 0;
    for (int i = 0; i < N; i++) {
        if (cliques[i] != clique || i == without) continue;
        for (int j = 0; j < DIM; j++) sum[j] += (double)vectors[i * DIM + j];
        count++;
    }
    for (int j = 0; j < DIM; j++) mean[j] = (float)(sum[j] / count);
}

typedef struct item {
    const float *row;
    int32_t clique;
    int without; /* itself, in a square set */
} item;

static double key_to(vindex_metric metric, const item *x, int32_t clique) {
    float mean[DIM];
    mean_of(clique, x->clique == clique ? x->without : -1, mean);
    return naive_key(metric, mean, x->row, DIM);
}

static bool has_class(int32_t clique, int without) {
    for (int i = 0; i < N; i++)
        if (cliques[i] == clique && i != without) return true;
    return false;
}

static vindex_eval_prototype_report expect(vindex_metric metric, const item *items, int count) {
    vindex_eval_prototype_report r = {0};
    double reciprocal = 0, areas = 0;
    for (int c = 0; c < N; c++) {
        bool first = true;
        for (int i = 0; i < c; i++) first = first && cliques[i] != cliques[c];
        if (!first) continue;
        r.classes++;
        double wins = 0, pairs = 0;
        for (int p = 0; p < count; p++)
            for (int n = 0; n < count; n++) {
                if (items[p].clique != cliques[c] || items[n].clique == cliques[c]) continue;
                if (!has_class(cliques[c], items[p].without)) continue;
                double near = key_to(metric, &items[p], cliques[c]);
                double far = key_to(metric, &items[n], cliques[c]);
                wins += near < far ? 1 : near == far ? 0.5 : 0;
                pairs++;
            }
        if (pairs > 0) areas += wins / pairs, r.auc_classes++;
    }
    for (int i = 0; i < count; i++) {
        if (!has_class(items[i].clique, items[i].without)) {
            r.noise++;
            continue;
        }
        r.queries++;
        double own = key_to(metric, &items[i], items[i].clique), before = 0;
        for (int c = 0; c < N; c++) {
            bool first = cliques[c] != items[i].clique;
            for (int j = 0; j < c; j++) first = first && cliques[j] != cliques[c];
            if (!first) continue;
            double key = key_to(metric, &items[i], cliques[c]);
            before += key < own || (key == own && cliques[c] < items[i].clique);
        }
        r.top1 += before == 0;
        reciprocal += 1 / (before + 1);
    }
    r.mrr = reciprocal / (double)r.queries;
    r.auc = areas / (double)r.auc_classes;
    return r;
}

static void same(const vindex_eval_prototype_report *found,
                 const vindex_eval_prototype_report *expected) {
    ck_assert_int_eq(found->classes, expected->classes);
    ck_assert_int_eq(found->queries, expected->queries);
    ck_assert_int_eq(found->noise, expected->noise);
    ck_assert_int_eq(found->top1, expected->top1);
    ck_assert_int_eq(found->auc_classes, expected->auc_classes);
    ck_assert_double_eq_tol(found->mrr, expected->mrr, 1e-12);
    ck_assert_double_eq_tol(found->auc, expected->auc, 1e-12);
}

static vindex_eval_sets square_sets(void) {
    return (vindex_eval_sets){vectors, cliques, N, vectors, cliques, N, DIM};
}
static vindex_eval_sets split_sets(void) {
    return (vindex_eval_sets){queries, query_cliques, NQ, vectors, cliques, N, DIM};
}

START_TEST(prototypes) {
    for (int metric = 0; metric < 2; metric++)
        for (int square = 0; square < 2; square++) {
            fill((uint64_t)metric);
            item items[N];
            int count = square ? N : NQ;
            for (int i = 0; i < count; i++)
                items[i] = square ? (item){vectors + i * DIM, cliques[i], i}
                                  : (item){queries + i * DIM, query_cliques[i], -1};
            vindex_eval_params params;
            vindex_eval_params_init(&params);
            params.metric = (vindex_metric)metric;
            params.threads = 1 + 2 * square;
            vindex_eval_sets sets = square ? square_sets() : split_sets();
            vindex_eval_prototype_report found;
            vindex_eval_prototype_report expected = expect(params.metric, items, count);
            ck_ok(vindex_eval_prototypes(&sets, square, &params, &found));
            same(&found, &expected);
        }
}
END_TEST

/* More classes and items than a block holds, each class a far corner: all is right. */
START_TEST(many_classes) {
    enum { CLASSES = 1200, ITEMS = 2 * CLASSES };
    static float rows[ITEMS];
    static int32_t of[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        of[i] = i % CLASSES;
        rows[i] = (float)(of[i] * 8 + i / CLASSES);
    }
    vindex_eval_sets sets = {rows, of, ITEMS, rows, of, ITEMS, 1};
    vindex_eval_prototype_report found;
    ck_ok(vindex_eval_prototypes(&sets, true, NULL, &found));
    ck_assert_int_eq(found.classes, CLASSES);
    ck_assert_int_eq(found.top1, ITEMS);
    ck_assert_double_eq(found.mrr, 1);
    ck_assert_double_eq(found.auc, 1);
}
END_TEST

START_TEST(silhouette) {
    for (int metric = 0; metric < 4; metric++) {
        if (metric == VINDEX_INNER_PRODUCT) continue;
        fill(5 + (uint64_t)metric);
        for (int i = 0; i < DIM; i++) vectors[DIM + i] = vectors[i]; /* no distance within */
        double expected = 0;
        for (int i = 0; i < N; i++) {
            double within = 0, apart = INFINITY;
            for (int c = 0; c < N; c++) {
                double sum = 0, count = 0;
                for (int j = 0; j < N; j++) {
                    if (cliques[j] != cliques[c] || j == i) continue;
                    double key =
                        naive_key((vindex_metric)metric, vectors + i * DIM, vectors + j * DIM, DIM);
                    sum += metric == VINDEX_L2 ? sqrt(key) : 1 + key;
                    count++;
                }
                if (cliques[c] == cliques[i])
                    within = count > 0 ? sum / count : NAN;
                else
                    apart = fmin(apart, sum / count);
            }
            double larger = fmax(within, apart);
            expected += isnan(within) || larger <= 0 ? 0 : (apart - within) / larger / N;
        }
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.metric = (vindex_metric)metric;
        double one, three;
        params.threads = 1;
        ck_ok(vindex_eval_silhouette(vectors, cliques, N, DIM, &params, &one));
        params.threads = 3;
        ck_ok(vindex_eval_silhouette(vectors, cliques, N, DIM, &params, &three));
        ck_assert_double_eq_tol(one, expected, 1e-12);
        ck_assert_double_eq(one, three);
    }
}
END_TEST

START_TEST(triplets) {
    enum { COUNT = 600 };
    static int64_t asked[COUNT * 3];
    fill(9);
    vx_rng rng = vx_rng_seed(4, 4);
    for (int i = 0; i < COUNT * 3; i++) asked[i] = (int64_t)vx_rng_below(&rng, N);
    for (int metric = 0; metric < 2; metric++) {
        int64_t right = 0, tied = 0;
        for (int i = 0; i < COUNT; i++) {
            const float *a = vectors + asked[3 * i] * DIM;
            double near =
                naive_key((vindex_metric)metric, a, vectors + asked[3 * i + 1] * DIM, DIM);
            double far = naive_key((vindex_metric)metric, a, vectors + asked[3 * i + 2] * DIM, DIM);
            right += near < far;
            tied += near == far;
        }
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.metric = (vindex_metric)metric;
        vindex_eval_triplets all = {vectors, N, DIM, asked, COUNT};
        vindex_eval_triplet_report found;
        ck_ok(vindex_eval_triplet_accuracy(&all, &params, &found));
        ck_assert_int_eq(found.triplets, COUNT);
        ck_assert_int_eq(found.right, right);
        ck_assert_int_eq(found.tied, tied);
        ck_assert_double_eq(found.accuracy, (double)right / COUNT);
        ck_assert_int_gt(tied, 0);
    }
}
END_TEST

START_TEST(errors) {
    fill(11);
    double value;
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    params.metric = VINDEX_INNER_PRODUCT;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "dot product",
             vindex_eval_silhouette(vectors, cliques, N, DIM, &params, &value));
    int32_t one[N] = {0};
    ck_fails(VINDEX_ERR_ARGUMENT, "there is one",
             vindex_eval_silhouette(vectors, one, N, DIM, NULL, &value));
    ck_fails(VINDEX_ERR_ARGUMENT, "silhouette is NULL",
             vindex_eval_silhouette(vectors, cliques, N, DIM, NULL, NULL));
    int64_t rows[3] = {0, 1, N};
    vindex_eval_triplets asked = {vectors, N, DIM, rows, 1};
    vindex_eval_triplet_report found;
    ck_fails(VINDEX_ERR_ARGUMENT, "row 70", vindex_eval_triplet_accuracy(&asked, NULL, &found));
    asked.count = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "0 triplets", vindex_eval_triplet_accuracy(&asked, NULL, &found));
    vindex_eval_prototype_report report;
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_eval_prototypes(NULL, true, NULL, &report));
    vectors[5] = NAN;
    vindex_eval_sets sets = square_sets();
    ck_fails(VINDEX_ERR_DATA, "column 1 of the candidates",
             vindex_eval_prototypes(&sets, true, NULL, &report));
}
END_TEST

START_TEST(memory_runs_out) {
    fill(12);
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    params.threads = 1;
    vindex_eval_sets sets = split_sets();
    int64_t rows[6] = {0, 1, 2, 3, 4, 5};
    vindex_eval_triplets asked = {vectors, N, DIM, rows, 2};
    for (int door = 0; door < 3; door++) {
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status; after++) {
            vindex_eval_prototype_report report;
            vindex_eval_triplet_report found;
            double value;
            vx_alloc_fail_after(after);
            status = door == 0   ? vindex_eval_prototypes(&sets, false, &params, &report)
                     : door == 1 ? vindex_eval_silhouette(vectors, cliques, N, DIM, &params, &value)
                                 : vindex_eval_triplet_accuracy(&asked, &params, &found);
            vx_alloc_fail_after(-1);
            if (status) ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
            ck_assert(after < 1000);
        }
    }
}
END_TEST

TEST_MAIN("eval/prototypes", prototypes, many_classes, silhouette, triplets, errors,
          memory_runs_out)
