/* Neighbourhood components analysis: objective and slope against scikit-learn, a naive loop and
 * central differences; what it learns. */
#include "labelled.h"
#include "transform/nca.h"

enum { OUT = 3 };

/* Minus the mean probability, as the paper writes it. */
static double naive(const double *map) {
    double sum = 0;
    for (int i = 0; i < CLASS_ROWS; i++) {
        double all = 0, same = 0;
        for (int j = 0; j < CLASS_ROWS; j++) {
            double distance = 0;
            for (int o = 0; o < OUT; o++) {
                double z = 0;
                for (int d = 0; d < CLASS_DIM; d++)
                    z += map[o * CLASS_DIM + d] * ((double)class_rows[i * CLASS_DIM + d] -
                                                   (double)class_rows[j * CLASS_DIM + d]);
                distance += z * z;
            }
            all += j == i ? 0 : exp(-distance);
            same += j != i && class_labels[i] == class_labels[j] ? exp(-distance) : 0;
        }
        sum -= same / all;
    }
    return sum / CLASS_ROWS;
}

START_TEST(objective_and_slope) {
    for (int threads = 1; threads <= 3; threads++) {
        vx_fit job = labelled_job("nca", OUT, threads);
        vx_metric metric;
        double value, slope[OUT * CLASS_DIM], map[OUT * CLASS_DIM];
        ck_ok(vx_metric_create(&job, VX_METRIC_PCA, &metric));
        ck_ok(vx_nca_at(&metric, nca_map, &value, slope));
        ck_near(value, naive(nca_map), 1e-12);
        ck_near(value, nca_loss[0], 1e-7); /* scikit-learn centres in other numbers */
        for (int i = 0; i < OUT * CLASS_DIM; i++) {
            ck_near(slope[i], nca_slope[i], 1e-6);
            memcpy(map, nca_map, sizeof map);
            const double h = 1e-5;
            map[i] += h;
            double above = naive(map);
            map[i] -= 2 * h;
            ck_near(slope[i], (above - naive(map)) / (2 * h), 1e-8);
        }
        vx_metric_free(&metric);
    }
}
END_TEST

/* Two numbers tell the classes apart, and much larger ones hide them. */
static float *hidden(size_t n, int32_t *labels) {
    enum { D = 6 };
    float *rows = data_normal(n, D, 9);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (int32_t)(i % 3);
        rows[i * D] = rows[i * D] * 0.2F + (float)labels[i];
        for (int d = 2; d < D; d++) rows[i * D + d] *= 3;
    }
    return rows;
}

static double right_neighbours(const float *rows, size_t n, size_t dim, const int32_t *labels) {
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        double least = INFINITY;
        size_t nearest = i;
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t d = 0; d < dim; d++) {
                double gap = (double)rows[i * dim + d] - (double)rows[j * dim + d];
                sum += gap * gap;
            }
            if (j != i && sum < least) {
                least = sum;
                nearest = j;
            }
        }
        right += labels[nearest] == labels[i];
    }
    return (double)right / (double)n;
}

START_TEST(neighbours_become_of_one_class) {
    enum { N = 150, D = 6 };
    int32_t labels[N];
    float *rows = hidden(N, labels);
    vindex_fit_data data = data_of(rows, N, D);
    data.labels = labels;
    ck_assert_double_lt(right_neighbours(rows, N, D, labels), 0.6);
    static const char *const starts[] = {"auto", "identity", "pca", "random"};
    for (int s = 0; s < 4; s++) {
        vindex_setting setting = {"start", starts[s]};
        vindex_transform *transform;
        int64_t steps;
        ck_ok(data_fit("nca", &data, 0, &setting, &transform));
        float *found = data_apply(transform, rows, N);
        ck_assert_double_gt(right_neighbours(found, N, D, labels), 0.85);
        const double *losses = data_fact(transform, 0, "loss", &steps);
        for (int64_t i = 1; i < steps; i++) ck_assert_double_lt(losses[i], losses[i - 1]);
        free(found);
        vindex_transform_free(transform);
    }
    free(rows);
}
END_TEST

START_TEST(bad_input) {
    labelled_bad_input("nca");
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_refuses(VINDEX_ERR_ARGUMENT, "6 numbers of rows of 5", "nca", &data, 6, NULL);
    /* Constant rows of three classes: every neighbour is as near, and there is no slope. */
    float same[CLASS_ROWS * CLASS_DIM];
    for (int i = 0; i < CLASS_ROWS * CLASS_DIM; i++) same[i] = 2;
    data.rows.vectors = same;
    vindex_transform *transform;
    ck_ok(vindex_fit("nca", &data, NULL, &transform));
    ck_assert_double_eq(*data_fact(transform, 0, "converged", NULL), 1);
    vindex_transform_free(transform);
    /* Numbers whose squares are beyond double lead nowhere. */
    float far[CLASS_ROWS * CLASS_DIM];
    for (int i = 0; i < CLASS_ROWS * CLASS_DIM; i++) far[i] = class_rows[i] * 1e37F;
    data.rows.vectors = far;
    ck_ok(vindex_fit("nca", &data, NULL, &transform));
    vindex_transform_free(transform);
}
END_TEST

static int cancel(void *context, const char *phase, double fraction) {
    (void)fraction;
    int *steps = context;
    return strstr(phase, "step") && ++*steps == 2;
}

START_TEST(cancelling) {
    vindex_fit_data data = labelled(CLASS_ROWS);
    vindex_fit_params params;
    vindex_fit_params_init(&params);
    int steps = 0;
    params.progress = cancel;
    params.progress_context = &steps;
    vindex_transform *transform = labelled_old();
    ck_assert_int_eq(vindex_fit("nca", &data, &params, &transform), VINDEX_ERR_CANCELLED);
    ck_assert_ptr_eq(transform, labelled_old());
}
END_TEST

START_TEST(memory_and_threads) {
    enum { N = 300, D = 6 };
    int32_t labels[N];
    vindex_fit_data data = labelled(CLASS_ROWS);
    labelled_out_of_memory("nca", &data);
    float *rows = hidden(N, labels);
    data = data_of(rows, N, D);
    data.labels = labels;
    labelled_same_bits("nca:2", &data, rows, N);
    free(rows);
}
END_TEST

TEST_MAIN("transform/nca", objective_and_slope, neighbours_become_of_one_class, bad_input,
          cancelling, memory_and_threads)
