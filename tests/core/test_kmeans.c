/* K-means against plain double loops, and what it promises about seeds, threads and bad input. */
#include "core/kmeans.h"

#include <math.h>

#include "../harness.h"
#include "../vectors.h"

enum { DIM = 7 };

static float *make_points(vectors_kind kind, size_t n) {
    vectors set = {.kind = kind, .count = n, .dim = DIM, .seed = 3};
    return vectors_make(&set);
}

static double square_distance(const float *a, const float *b) {
    double sum = 0;
    for (size_t j = 0; j < DIM; j++) sum += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
    return sum;
}

/* The mean squared distance to the nearest centroid; sizes (k) may be NULL. */
static double naive_loss(const float *points, size_t n, const float *centroids, size_t k,
                         size_t *sizes) {
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < k; c++)
            if (square_distance(points + i * DIM, centroids + c * DIM) <
                square_distance(points + i * DIM, centroids + best * DIM))
                best = c;
        loss += square_distance(points + i * DIM, centroids + best * DIM);
        if (sizes) sizes[best]++;
    }
    return loss / (double)n;
}

static float *cluster(const float *points, size_t n, const vx_kmeans_params *params,
                      vx_kmeans_report *report) {
    float *centroids = malloc(params->k * DIM * sizeof *centroids);
    ck_ok(vx_kmeans(points, n, DIM, params, centroids, report));
    return centroids;
}

START_TEST(points_go_to_the_nearest_centroid) {
    enum { N = 500, K = 37 };
    for (int kind = 0; kind < VECTORS_KINDS; kind++) {
        float *points = make_points((vectors_kind)kind, N);
        uint32_t nearest[N];
        ck_ok(vx_kmeans_assign(points, N, DIM, points + 100 * DIM, K, 2, nearest));
        for (size_t i = 0; i < N; i++) {
            const float *centroids = points + 100 * DIM;
            double found = square_distance(points + i * DIM, centroids + nearest[i] * DIM);
            for (size_t c = 0; c < K; c++) {
                double other = square_distance(points + i * DIM, centroids + c * DIM);
                ck_each(found <= other * (1 + 1e-14), "%s: point %zu is nearer to %zu than to %u",
                        vectors_name((vectors_kind)kind), i, c, nearest[i]);
                bool twin = !memcmp(centroids + c * DIM, centroids + nearest[i] * DIM,
                                    DIM * sizeof *centroids);
                ck_each(!twin || c >= nearest[i], "%s: point %zu: of twins the first counts",
                        vectors_name((vectors_kind)kind), i);
            }
        }
        free(points);
    }
}
END_TEST

START_TEST(each_iteration_lowers_the_loss_it_reports) {
    enum { N = 2000 };
    float *points = make_points(VECTORS_NORMAL, N);
    vx_kmeans_params params;
    vx_kmeans_report report;
    vx_kmeans_init(&params, 20);
    params.points_each = 0;
    double before = INFINITY;
    for (params.iterations = 1; params.iterations < 8; params.iterations++) {
        float *centroids = cluster(points, N, &params, &report);
        double after = naive_loss(points, N, centroids, params.k, NULL);
        ck_assert_uint_eq(report.points, N);
        ck_assert_uint_eq(report.iterations, params.iterations);
        ck_assert_msg(after <= report.loss, "%g after an update, %g before", after, report.loss);
        if (before < INFINITY) ck_assert_double_eq_tol(report.loss, before, 1e-6 * before);
        before = after;
        free(centroids);
    }
    free(points);
}
END_TEST

START_TEST(threads_change_no_bit) {
    enum { N = 3000 };
    float *points = make_points(VECTORS_CLUSTERED, N);
    for (int way = 0; way < 4; way++) {
        vx_kmeans_params params;
        vx_kmeans_init(&params, 30);
        params.points_each = way == 1 ? 50 : 0;
        params.batch = way == 2 ? 700 : 0;
        params.plus_plus = way == 3;
        params.balance = 0.5;
        float *one = cluster(points, N, &params, NULL);
        for (params.threads = 2; params.threads < 5; params.threads++) {
            float *several = cluster(points, N, &params, NULL);
            ck_assert_mem_eq(one, several, params.k * DIM * sizeof *one);
            free(several);
        }
        params.seed++;
        float *other = cluster(points, N, &params, NULL);
        ck_assert_mem_ne(one, other, params.k * DIM * sizeof *one);
        free(other);
        free(one);
    }
    free(points);
}
END_TEST

/* Blobs far apart are found, one centroid in the mean of each. */
START_TEST(careful_start_finds_far_blobs) {
    enum { BLOBS = 12, EACH = 40, N = BLOBS * EACH };
    float *points = make_points(VECTORS_NORMAL, N);
    double means[BLOBS][DIM] = {{0}};
    for (size_t i = 0; i < N; i++) {
        points[i * DIM + i % BLOBS % DIM] += 1000 * (float)(1 + i % BLOBS / DIM);
        for (size_t j = 0; j < DIM; j++) means[i % BLOBS][j] += (double)points[i * DIM + j] / EACH;
    }
    vx_kmeans_params params;
    vx_kmeans_init(&params, BLOBS);
    params.plus_plus = true;
    float *centroids = cluster(points, N, &params, NULL);
    for (size_t b = 0; b < BLOBS; b++) {
        float mean[DIM];
        for (size_t j = 0; j < DIM; j++) mean[j] = (float)means[b][j];
        double least = INFINITY;
        for (size_t c = 0; c < BLOBS; c++)
            least = fmin(least, square_distance(mean, centroids + c * DIM));
        ck_assert_msg(least < 1e-6, "blob %zu: the nearest centroid is %g away", b, least);
    }
    free(centroids);
    free(points);
}
END_TEST

START_TEST(drawn_batches_come_close_to_all_points) {
    enum { N = 6000 };
    float *points = make_points(VECTORS_NORMAL, N);
    vx_kmeans_params params;
    vx_kmeans_init(&params, 10);
    params.points_each = 0;
    float *all = cluster(points, N, &params, NULL);
    params.batch = 600;
    params.iterations = 40;
    float *drawn = cluster(points, N, &params, NULL);
    double best = naive_loss(points, N, all, params.k, NULL);
    double near = naive_loss(points, N, drawn, params.k, NULL);
    ck_assert_msg(near < 1.1 * best, "loss %g by batches, %g by all", near, best);
    free(all);
    free(drawn);
    free(points);
}
END_TEST

START_TEST(balance_evens_sizes) {
    enum { N = 4000, K = 50 };
    float *points = make_points(VECTORS_NORMAL, N);
    for (size_t i = 0; i < N; i += 100) /* a few far off draw centroids to themselves */
        for (size_t j = 0; j < DIM; j++) points[i * DIM + j] *= 20;
    vx_kmeans_params params;
    vx_kmeans_init(&params, K);
    params.points_each = 0;
    double unevenness[2] = {0}; /* the sum of squares is what searches pay for */
    for (int balanced = 0; balanced < 2; balanced++) {
        size_t sizes[K] = {0};
        params.balance = balanced ? 0.5 : 0;
        float *centroids = cluster(points, N, &params, NULL);
        naive_loss(points, N, centroids, K, sizes);
        for (size_t c = 0; c < K; c++) unevenness[balanced] += (double)(sizes[c] * sizes[c]);
        free(centroids);
    }
    ck_assert_msg(unevenness[1] < unevenness[0], "%g balanced, %g plain", unevenness[1],
                  unevenness[0]);
    free(points);
}
END_TEST

START_TEST(spherical_centroids_have_length_1) {
    enum { N = 300, K = 9 };
    float *points = make_points(VECTORS_NORMAL, N);
    vx_kmeans_params params;
    vx_kmeans_init(&params, K);
    params.spherical = true;
    float *centroids = cluster(points, N, &params, NULL);
    const float origin[DIM] = {0};
    for (size_t c = 0; c < K; c++)
        ck_assert_double_eq_tol(square_distance(origin, centroids + c * DIM), 1, 1e-6);
    free(centroids);
    free(points);
}
END_TEST

START_TEST(two_levels_give_all_centroids) {
    enum { N = 12000, K = VX_KMEANS_FLAT_MOST + 1 };
    float *points = make_points(VECTORS_CLUSTERED, N);
    vx_kmeans_params params;
    vx_kmeans_report report;
    vx_kmeans_init(&params, K);
    params.iterations = 2;
    float *centroids = cluster(points, N, &params, &report);
    /* Most points are a centroid of their own: the loss is far below that of one level of cells. */
    uint32_t *nearest = malloc(N * sizeof *nearest);
    double loss = 0;
    ck_ok(vx_kmeans_assign(points, N, DIM, centroids, K, 1, nearest));
    for (size_t i = 0; i < N; i++)
        loss += square_distance(points + i * DIM, centroids + nearest[i] * DIM) / N;
    params.k = 101;
    vx_kmeans_report cells;
    float *few = cluster(points, N, &params, &cells);
    ck_assert_msg(loss <= report.loss * (1 + 1e-9), "%g, reported %g", loss, report.loss);
    ck_assert_msg(loss < 0.2 * cells.loss, "%g, cells alone %g", loss, cells.loss);
    ck_assert_uint_eq(report.points, N);
    free(few);
    free(nearest);
    free(centroids);
    free(points);
}
END_TEST

START_TEST(duplicates_and_few_points) {
    enum { N = 50, K = 8 };
    float points[N * DIM], centroids[(N + 1) * DIM];
    for (size_t i = 0; i < N * DIM; i++) points[i] = (float)(i % DIM);
    for (int plus = 0; plus < 2; plus++) {
        vx_kmeans_params params;
        vx_kmeans_report report;
        vx_kmeans_init(&params, K);
        params.plus_plus = plus;
        ck_ok(vx_kmeans(points, N, DIM, &params, centroids, &report));
        ck_assert_double_eq(report.loss, 0);
        ck_assert_mem_eq(centroids, points, K * DIM * sizeof *points);
        params.k = N;
        ck_ok(vx_kmeans(points, N, DIM, &params, centroids, NULL));
        params.k = N + 1;
        ck_fails(VINDEX_ERR_DATA, "give at least 51",
                 vx_kmeans(points, N, DIM, &params, centroids, NULL));
    }
}
END_TEST

static int cancel(void *context, const char *phase, double fraction) {
    (void)phase;
    (void)fraction;
    return --*(int *)context < 0;
}

START_TEST(failures_are_reported) {
    enum { N = 10200, K = VX_KMEANS_FLAT_MOST + 1 };
    float *points = make_points(VECTORS_NORMAL, N);
    float *centroids = malloc(K * DIM * sizeof *centroids);
    for (int way = 0; way < 3; way++) {
        vx_kmeans_params params;
        vx_kmeans_init(&params, way == 2 ? K : 5);
        params.plus_plus = way == 1;
        params.iterations = 1;
        long allowed = 0;
        for (vindex_status status = VINDEX_ERR_MEMORY; status != VINDEX_OK; allowed++) {
            vx_alloc_fail_after(way == 2 ? allowed * 97 : allowed);
            status = vx_kmeans(points, way == 2 ? N : 300, DIM, &params, centroids, NULL);
            vx_alloc_fail_after(-1);
            ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
        }
        ck_assert_int_gt(allowed, 5);
        int calls = 1;
        params.progress = cancel;
        params.progress_context = &calls;
        params.iterations = 3;
        ck_fails(VINDEX_ERR_CANCELLED, "cancelled",
                 vx_kmeans(points, N, DIM, &params, centroids, NULL));
    }
    free(centroids);
    free(points);
}
END_TEST

TEST_MAIN("core/kmeans", points_go_to_the_nearest_centroid,
          each_iteration_lowers_the_loss_it_reports, threads_change_no_bit,
          careful_start_finds_far_blobs, drawn_batches_come_close_to_all_points,
          balance_evens_sizes, spherical_centroids_have_length_1, two_levels_give_all_centroids,
          duplicates_and_few_points, failures_are_reported)
