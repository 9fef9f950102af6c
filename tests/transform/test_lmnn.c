/* Large margin nearest neighbours: objective and slope against a naive loop and central
 * differences; what it learns. */
#include "transform/lmnn.h"

#include "labelled.h"

enum { OUT = 3, K = 2 };
static const double MU = 0.3;

static double gap(const double *map, int i, int j) {
    double distance = 0;
    for (int o = 0; o < OUT; o++) {
        double z = 0;
        for (int d = 0; d < CLASS_DIM; d++)
            z += map[o * CLASS_DIM + d] *
                 ((double)class_rows[i * CLASS_DIM + d] - (double)class_rows[j * CLASS_DIM + d]);
        distance += z * z;
    }
    return distance;
}

static double as_they_are(int i, int j) {
    double sum = 0;
    for (int d = 0; d < CLASS_DIM; d++) {
        double away = (double)class_rows[i * CLASS_DIM + d] - (double)class_rows[j * CLASS_DIM + d];
        sum += away * away;
    }
    return sum;
}

/* Whether j is one of the K rows of i's class that are nearest to it. */
static bool is_target(int i, int j) {
    int nearer = 0;
    if (i == j || class_labels[i] != class_labels[j]) return false;
    for (int k = 0; k < CLASS_ROWS; k++)
        nearer += k != i && k != j && class_labels[k] == class_labels[i] &&
                  as_they_are(i, k) < as_they_are(i, j);
    return nearer < K;
}

/* Equations 11 to 13 of the paper, over all rows. */
static double naive(const double *map) {
    double sum = 0;
    for (int i = 0; i < CLASS_ROWS; i++)
        for (int j = 0; j < CLASS_ROWS; j++) {
            if (!is_target(i, j)) continue;
            sum += (1 - MU) * gap(map, i, j);
            for (int l = 0; l < CLASS_ROWS; l++)
                if (class_labels[l] != class_labels[i])
                    sum += MU * fmax(0, 1 + gap(map, i, j) - gap(map, i, l));
        }
    return sum / CLASS_ROWS;
}

START_TEST(objective_and_slope) {
    for (int threads = 1; threads <= 3; threads++) {
        vx_fit job = labelled_job("lmnn", OUT, threads);
        vx_metric metric;
        vx_lmnn lmnn;
        double value, slope[OUT * CLASS_DIM], map[OUT * CLASS_DIM];
        ck_ok(vx_metric_create(&job, VX_METRIC_PCA, &metric));
        ck_ok(vx_lmnn_create(&metric, K, MU, &lmnn));
        ck_ok(vx_lmnn_at(&lmnn, nca_map, &value, slope)); /* any map will do */
        ck_near(value, naive(nca_map), 1e-12);
        for (int i = 0; i < OUT * CLASS_DIM; i++) {
            memcpy(map, nca_map, sizeof map);
            const double h = 1e-7; /* so small that no impostor comes or goes */
            map[i] += h;
            double above = naive(map);
            map[i] -= 2 * h;
            ck_near(slope[i], (above - naive(map)) / (2 * h), 1e-6);
        }
        vx_lmnn_free(&lmnn);
        vx_metric_free(&metric);
    }
}
END_TEST

/* The list of candidates is made anew only now and then while the map moves, and the loss is that
 * over all rows at every place. */
START_TEST(lists_of_candidates_are_complete) {
    vx_fit job = labelled_job("lmnn", OUT, 2);
    vx_metric metric;
    vx_lmnn lmnn;
    double value, slope[OUT * CLASS_DIM], map[OUT * CLASS_DIM];
    enum { PLACES = 200 };
    ck_ok(vx_metric_create(&job, VX_METRIC_PCA, &metric));
    ck_ok(vx_lmnn_create(&metric, K, MU, &lmnn));
    memcpy(map, nca_map, sizeof map);
    vx_rng rng = vx_rng_seed(4, 0);
    for (int place = 0; place < PLACES; place++) {
        double stride = place % 20 ? 0.002 : 0.3;
        for (int i = 0; i < OUT * CLASS_DIM; i++) map[i] += stride * vx_rng_normal(&rng);
        ck_ok(vx_lmnn_at(&lmnn, map, &value, slope));
        ck_near(value, naive(map), 1e-12 * (1 + value));
    }
    ck_assert_uint_ge(lmnn.lists, 10);
    ck_assert_uint_lt(lmnn.lists, PLACES / 2);
    vx_lmnn_free(&lmnn);
    vx_metric_free(&metric);
}
END_TEST

START_TEST(classes_keep_their_distance) {
    enum { N = 120, D = 4 };
    float *rows = data_normal(N, D, 5);
    int32_t labels[N];
    for (int32_t i = 0; i < N; i++) {
        labels[i] = i % 2;
        rows[i * D] = rows[i * D] * 0.1F + (float)labels[i];
        for (int d = 1; d < D; d++) rows[i * D + d] *= 2;
    }
    vindex_fit_data data = data_of(rows, N, D);
    data.labels = labels;
    vindex_transform *transform;
    ck_ok(vindex_fit("lmnn", &data, NULL, &transform));
    float *found = data_apply(transform, rows, N);
    size_t wrong = 0;
    for (int i = 0; i < N; i++) {
        double least[2] = {INFINITY, INFINITY};
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int d = 0; d < D; d++) {
                double away = (double)found[i * D + d] - (double)found[j * D + d];
                sum += away * away;
            }
            if (j != i) least[labels[j]] = fmin(least[labels[j]], sum);
        }
        wrong += least[labels[i]] > least[1 - labels[i]];
    }
    ck_assert_uint_le(wrong, 3);
    free(found);
    free(rows);
    vindex_transform_free(transform);
}
END_TEST

/* Rows of a class of one have no neighbours to keep, and still are impostors. */
START_TEST(singletons_and_small_classes) {
    int32_t labels[CLASS_ROWS];
    memcpy(labels, class_labels, sizeof labels);
    labels[44] = 9;
    vindex_fit_data data = labelled(CLASS_ROWS);
    data.labels = labels;
    vindex_setting setting = {"neighbours", "30"};
    vindex_transform *transform;
    ck_ok(data_fit("lmnn", &data, 2, &setting, &transform));
    ck_assert_double_eq(*data_fact(transform, 0, "singleton_classes", NULL), 1);
    vindex_transform_free(transform);
}
END_TEST

START_TEST(bad_input) {
    labelled_bad_input("lmnn");
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_refuses(VINDEX_ERR_ARGUMENT, "6 numbers of rows of 5", "lmnn", &data, 6, NULL);
    vindex_setting setting = {"neighbours", "0"};
    labelled_refuses(VINDEX_ERR_ARGUMENT, "neighbours", "lmnn", &data, 0, &setting);
    float same[CLASS_ROWS * CLASS_DIM] = {0};
    data.rows.vectors = same;
    labelled_refuses(VINDEX_ERR_DATA, "are the same", "lmnn", &data, 0, NULL);
}
END_TEST

START_TEST(memory_and_threads) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_out_of_memory("lmnn", &data);
    labelled_same_bits("lmnn:3", &data, class_rows, CLASS_ROWS);
}
END_TEST

TEST_MAIN("transform/lmnn", objective_and_slope, lists_of_candidates_are_complete,
          classes_keep_their_distance, singletons_and_small_classes, bad_input, memory_and_threads)
