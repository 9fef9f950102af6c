/* Linear algebra against naive loops and the definitions. */
#include "core/blas.h"

#include "../harness.h"

#include <cblas.h>
#include <math.h>

#include "core/rng.h"

static double *random_matrix(size_t rows, size_t columns, uint64_t seed) {
    double *matrix = malloc(rows * columns * sizeof *matrix);
    ck_assert_ptr_nonnull(matrix);
    vx_rng rng = vx_rng_seed(seed, 1);
    for (size_t i = 0; i < rows * columns; i++) matrix[i] = vx_rng_normal(&rng);
    return matrix;
}

static float *narrow(const double *matrix, size_t count) {
    float *result = malloc(count * sizeof *result);
    ck_assert_ptr_nonnull(result);
    for (size_t i = 0; i < count; i++) result[i] = (float)matrix[i];
    return result;
}

/* Number (i, j) of op(matrix). */
static double at(const double *matrix, size_t stride, bool transposed, size_t i, size_t j) {
    return transposed ? matrix[j * stride + i] : matrix[i * stride + j];
}

static void check_product(const vx_dproduct *p, const double *before, const double *c) {
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double sum = 0;
            for (size_t k = 0; k < p->k; k++)
                sum += at(p->a, p->a_stride, p->a_transposed, i, k) *
                       at(p->b, p->b_stride, p->b_transposed, k, j);
            double expected = p->alpha * sum + (p->beta != 0 ? p->beta * before[i * p->n + j] : 0);
            ck_each(fabs(c[i * p->n + j] - expected) < 1e-10, "number %zu, %zu is %g, not %g", i, j,
                    c[i * p->n + j], expected);
        }
}

START_TEST(products_of_all_shapes) {
    static const size_t shapes[][3] = {
        {1, 1, 1}, {3, 5, 7}, {1, 300, 20}, {290, 2, 9}, {150, 140, 33}};
    for (size_t s = 0; s < VX_COUNT(shapes); s++)
        for (int variant = 0; variant < 8; variant++) {
            size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2], gap = 3;
            vx_dproduct p = {.m = m, .n = n, .k = k, .alpha = 1.5, .beta = variant & 4 ? 0.5 : 0};
            p.a_transposed = variant & 1;
            p.b_transposed = variant & 2;
            p.a_stride = (p.a_transposed ? m : k) + gap;
            p.b_stride = (p.b_transposed ? k : n) + gap;
            double *a = random_matrix(VX_MAX(m, k), p.a_stride, 1);
            double *b = random_matrix(VX_MAX(n, k), p.b_stride, 2);
            double *before = random_matrix(m, n, 3), *c = random_matrix(m, n, 3);
            p.a = a;
            p.b = b;
            p.c = c;
            for (size_t i = 0; i < m * n && p.beta == 0; i++) c[i] = NAN; /* is not read */
            vx_dgemm(&p, 2);
            check_product(&p, before, c);
            free(a);
            free(b);
            free(before);
            free(c);
        }
}
END_TEST

START_TEST(single_precision_and_squares) {
    enum { M = 200, N = 170, K = 90 };
    double *a = random_matrix(M, K, 4), *b = random_matrix(K, N, 5);
    float *fa = narrow(a, M * K), *fb = narrow(b, K * N);
    float *c = malloc(sizeof(float) * M * N), *again = malloc(sizeof(float) * M * M);
    double *square = malloc(sizeof(double) * M * M);
    vx_sproduct p = {.m = M, .n = N, .k = K, .alpha = 1, .a = fa, .b = fb, .c = c};
    vx_sgemm(&p, 1);
    p.c = again;
    vx_sgemm(&p, 3);
    ck_assert_mem_eq(c, again, sizeof(float) * M * N); /* whatever the number of threads */
    for (size_t i = 0; i < M * N; i++) {
        double sum = 0;
        for (size_t k = 0; k < K; k++) sum += (double)fa[i / N * K + k] * (double)fb[k * N + i % N];
        ck_each(fabs((double)c[i] - sum) < 1e-4, "single product off");
    }
    vx_dsyrk(&(vx_dproduct){.m = M, .k = K, .alpha = 1, .a = a, .c = square}, 2);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < M; j++) {
            double sum = 0;
            for (size_t k = 0; k < K; k++) sum += a[i * K + k] * a[j * K + k];
            ck_each(fabs(square[i * M + j] - sum) < 1e-10, "square off at %zu, %zu", i, j);
            ck_each(square[i * M + j] == square[j * M + i], "not symmetric");
        }
    /* The transpose of a K x M matrix times itself, added to what is there. */
    vx_dsyrk(
        &(vx_dproduct){
            .m = K, .k = M, .alpha = 1, .beta = 0, .a = a, .a_transposed = true, .c = square},
        2);
    vx_dsyrk(
        &(vx_dproduct){
            .m = K, .k = M, .alpha = 1, .beta = 1, .a = a, .a_transposed = true, .c = square},
        2);
    double sum = 0;
    for (size_t i = 0; i < M; i++) sum += 2 * a[i * K + 4] * a[i * K + 7];
    ck_assert_double_eq_tol(square[4 * K + 7], sum, 1e-9);
    vx_ssyrk(&(vx_sproduct){.m = M, .k = K, .alpha = 1, .a = fa, .c = again}, 2);
    ck_assert_float_eq(again[M + 2], again[2 * M + 1]);
    free(a);
    free(b);
    free(fa);
    free(fb);
    free(c);
    free(again);
    free(square);
}
END_TEST

START_TEST(eigenvectors) {
    enum { N = 60 };
    double *a = random_matrix(N, N, 6), *matrix = malloc(sizeof(double) * N * N), values[N];
    vx_dsyrk(&(vx_dproduct){.m = N, .k = N, .alpha = 1, .a = a, .c = matrix}, 1);
    memcpy(a, matrix, sizeof(double) * N * N);
    ck_ok(vx_eigen(matrix, N, values));
    for (size_t v = 0; v < N; v++) {
        const double *x = matrix + v * N;
        double length = 0, most = 0;
        ck_assert(v == 0 || values[v] <= values[v - 1]);
        for (size_t i = 0; i < N; i++) {
            double sum = 0;
            for (size_t j = 0; j < N; j++) sum += a[i * N + j] * x[j];
            ck_each(fabs(sum - values[v] * x[i]) < 1e-9, "no eigenvector");
            length += x[i] * x[i];
            if (fabs(x[i]) > fabs(most)) most = x[i];
        }
        ck_assert_double_eq_tol(length, 1, 1e-12);
        ck_assert(most > 0);
    }
    free(a);
    free(matrix);
}
END_TEST

static void check_orthonormal(const double *rows, size_t count, size_t dim) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;
            for (size_t k = 0; k < dim; k++) sum += rows[i * dim + k] * rows[j * dim + k];
            ck_each(fabs(sum - (i == j)) < 1e-12, "rows %zu and %zu have the product %g", i, j,
                    sum);
        }
}

START_TEST(orthonormal_rows) {
    enum { COUNT = 12, DIM = 40 };
    double *rows = random_matrix(COUNT, DIM, 7), first[DIM];
    memcpy(first, rows, sizeof first);
    memcpy(rows + 5 * DIM, rows + 2 * DIM, sizeof first); /* dependent */
    memset(rows + 9 * DIM, 0, sizeof first);
    ck_ok(vx_orthonormalise(rows, COUNT, DIM));
    check_orthonormal(rows, COUNT, DIM);
    double length = 0, along = 0;
    for (size_t k = 0; k < DIM; k++) {
        length += first[k] * first[k];
        along += first[k] * rows[k];
    }
    ck_assert_double_eq_tol(fabs(along), sqrt(length), 1e-12); /* the first keeps its direction */
    free(rows);
}
END_TEST

START_TEST(singular_values) {
    static const size_t shapes[][2] = {{7, 4}, {4, 7}, {5, 5}, {1, 6}};
    for (size_t s = 0; s < VX_COUNT(shapes); s++) {
        size_t m = shapes[s][0], n = shapes[s][1], r = VX_MIN(m, n);
        double *a = random_matrix(m, n, 8), *kept = random_matrix(m, n, 8);
        double u[49], v[49], values[7];
        ck_ok(vx_svd_compute(&(vx_svd){a, m, n, u, values, v}));
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t k = 0; k < r; k++) sum += u[i * r + k] * values[k] * v[k * n + j];
                ck_each(fabs(sum - kept[i * n + j]) < 1e-12, "U S V is not A");
            }
        check_orthonormal(v, r, n);
        for (size_t k = 1; k < r; k++) ck_assert(values[k] <= values[k - 1]);
        free(a);
        free(kept);
    }
}
END_TEST

START_TEST(cholesky_and_solving) {
    enum { N = 9, COLUMNS = 3 };
    double *a = random_matrix(N, N, 9), square[N * N], l[N * N], b[N * COLUMNS], x[N * COLUMNS];
    vx_dsyrk(&(vx_dproduct){.m = N, .k = N, .alpha = 1, .a = a, .c = square}, 1);
    memcpy(l, square, sizeof l);
    ck_ok(vx_cholesky(l, N));
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double sum = 0;
            for (size_t k = 0; k < N; k++) sum += l[i * N + k] * l[j * N + k];
            ck_assert_double_eq_tol(sum, square[i * N + j], 1e-11);
            ck_assert(j <= i || l[i * N + j] == 0);
        }
    for (size_t i = 0; i < N * COLUMNS; i++) b[i] = x[i] = (double)(i * i % 11);
    vx_triangular_solve(l, N, false, x, COLUMNS);
    vx_triangular_solve(l, N, true, x, COLUMNS); /* A x = b */
    for (size_t i = 0; i < N; i++)
        for (size_t c = 0; c < COLUMNS; c++) {
            double sum = 0;
            for (size_t k = 0; k < N; k++) sum += square[i * N + k] * x[k * COLUMNS + c];
            ck_assert_double_eq_tol(sum, b[i * COLUMNS + c], 1e-8);
        }
    double flat[4] = {1, 1, 1, 1 - 1e-9};
    ck_fails(VINDEX_ERR_DATA, "not positive definite", vx_cholesky(flat, 2));
    free(a);
}
END_TEST

START_TEST(the_setting_of_openblas_stays) {
    double a[4] = {1, 2, 3, 4}, c[4];
    openblas_set_num_threads(2);
    int before = openblas_get_num_threads();
    vx_dgemm(&(vx_dproduct){.m = 2, .n = 2, .k = 2, .alpha = 1, .a = a, .b = a, .c = c}, 2);
    ck_assert_int_eq(openblas_get_num_threads(), before);
    double values[2], matrix[4] = {2, 1, 1, 2};
    vx_alloc_fail_after(0);
    ck_fails(VINDEX_ERR_MEMORY, "no memory", vx_eigen(matrix, 2, values));
    vx_alloc_fail_after(-1);
    ck_assert_int_eq(openblas_get_num_threads(), before);
    setenv("OPENBLAS_CORETYPE", "Anything", 1); /* the user's word */
    ck_assert_ptr_null(vx_blas_advice());
    unsetenv("OPENBLAS_CORETYPE");
    const char *advice = vx_blas_advice();
    ck_assert(!advice || !strcmp(advice, "SkylakeX") || !strcmp(advice, "Haswell"));
}
END_TEST

TEST_MAIN("core/blas", products_of_all_shapes, single_precision_and_squares, eigenvectors,
          orthonormal_rows, singular_values, cholesky_and_solving, the_setting_of_openblas_stays)
