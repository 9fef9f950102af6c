/* OpenBLAS behind a door of our own: tiles, the thread setting, LAPACK's column-major habits. */
#include "blas.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>

/* ---- the thread setting ---- */

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static int inside, threads_before;

static void enter(void) {
    pthread_mutex_lock(&guard);
    if (inside++ == 0) {
        threads_before = openblas_get_num_threads();
        openblas_set_num_threads(1);
    }
    pthread_mutex_unlock(&guard);
}

static void leave(void) {
    pthread_mutex_lock(&guard);
    if (--inside == 0) openblas_set_num_threads(threads_before);
    pthread_mutex_unlock(&guard);
}

/* ---- products ---- */

/* A product of either precision. */
typedef struct product {
    size_t m, n, k;
    double alpha, beta;
    const char *a, *b;
    char *c;
    size_t a_stride, b_stride, c_stride; /* numbers */
    bool a_transposed, b_transposed, wide;
} product;

static product of_single(const vx_sproduct *p) {
    return (product){.m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .alpha = (double)p->alpha,
                     .beta = (double)p->beta,
                     .a = (const char *)p->a,
                     .b = (const char *)p->b,
                     .c = (char *)p->c,
                     .a_stride = p->a_stride,
                     .b_stride = p->b_stride,
                     .c_stride = p->c_stride,
                     .a_transposed = p->a_transposed,
                     .b_transposed = p->b_transposed,
                     .wide = false};
}

static product of_double(const vx_dproduct *p) {
    return (product){.m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .alpha = p->alpha,
                     .beta = p->beta,
                     .a = (const char *)p->a,
                     .b = (const char *)p->b,
                     .c = (char *)p->c,
                     .a_stride = p->a_stride,
                     .b_stride = p->b_stride,
                     .c_stride = p->c_stride,
                     .a_transposed = p->a_transposed,
                     .b_transposed = p->b_transposed,
                     .wide = true};
}

/* Rows without gaps where no stride was given. */
static product with_strides(product p) {
    if (!p.a_stride) p.a_stride = p.a_transposed ? p.m : p.k;
    if (!p.b_stride) p.b_stride = p.b_transposed ? p.k : p.n;
    if (!p.c_stride) p.c_stride = p.n;
    return p;
}

/* The part of C from (row, column) on, m x n numbers of it. */
static void tile(const product *p, size_t row, size_t column, size_t m, size_t n) {
    size_t width = p->wide ? sizeof(double) : sizeof(float);
    const char *a = p->a + row * (p->a_transposed ? 1 : p->a_stride) * width;
    const char *b = p->b + column * (p->b_transposed ? p->b_stride : 1) * width;
    char *c = p->c + (row * p->c_stride + column) * width;
    CBLAS_TRANSPOSE ta = p->a_transposed ? CblasTrans : CblasNoTrans;
    CBLAS_TRANSPOSE tb = p->b_transposed ? CblasTrans : CblasNoTrans;
    blasint sides[3] = {(blasint)m, (blasint)n, (blasint)p->k};
    blasint strides[3] = {(blasint)p->a_stride, (blasint)p->b_stride, (blasint)p->c_stride};
    if (p->wide)
        cblas_dgemm(CblasRowMajor, ta, tb, sides[0], sides[1], sides[2], p->alpha,
                    (const double *)(const void *)a, strides[0], (const double *)(const void *)b,
                    strides[1], p->beta, (double *)(void *)c, strides[2]);
    else
        cblas_sgemm(CblasRowMajor, ta, tb, sides[0], sides[1], sides[2], (float)p->alpha,
                    (const float *)(const void *)a, strides[0], (const float *)(const void *)b,
                    strides[1], (float)p->beta, (float *)(void *)c, strides[2]);
}

/* Side of the tiles that a side of C is cut into, all about the same: by the shape alone, so that
 * sums are the same on any number of threads; large enough that OpenBLAS spends little on copying
 * its operands, small enough that there is work for several threads. */
static size_t tile_side(size_t side, size_t other) {
    enum { LEAST = 128, MOST = 2048, WANTED = 64, UNIT = 16 };
    size_t across = (other + MOST - 1) / MOST;
    size_t tiles = VX_MIN(VX_MAX((size_t)WANTED / across, (size_t)1), (side + LEAST - 1) / LEAST);
    tiles = VX_MAX(tiles, (side + MOST - 1) / MOST);
    return ((side + tiles - 1) / tiles + UNIT - 1) / UNIT * UNIT;
}

static void multiply(const product *p, int threads) {
    if (!p->m || !p->n) return;
    size_t high = tile_side(p->m, p->n), wide = tile_side(p->n, p->m);
    size_t down = (p->m + high - 1) / high, across = (p->n + wide - 1) / wide;
    enter();
#pragma omp parallel for num_threads(threads) \
    schedule(dynamic) if (threads > 1 && down * across > 1)
    for (size_t t = 0; t < down * across; t++) {
        size_t row = t / across * high, column = t % across * wide;
        tile(p, row, column, VX_MIN(high, p->m - row), VX_MIN(wide, p->n - column));
    }
    leave();
}

void vx_sgemm(const vx_sproduct *given, int threads) {
    product p = with_strides(of_single(given));
    multiply(&p, threads);
}

void vx_dgemm(const vx_dproduct *given, int threads) {
    product p = with_strides(of_double(given));
    multiply(&p, threads);
}

/* Copies a tile to the other side of the diagonal. */
static void mirror(const product *p, size_t row, size_t column, size_t m, size_t n) {
    for (size_t i = row; i < row + m; i++)
        for (size_t j = column; j < column + n; j++) {
            size_t from = i * p->c_stride + j, to = j * p->c_stride + i;
            if (p->wide)
                ((double *)(void *)p->c)[to] = ((double *)(void *)p->c)[from];
            else
                ((float *)(void *)p->c)[to] = ((float *)(void *)p->c)[from];
        }
}

static void square(product p, int threads) {
    p.n = p.m;
    p.b = p.a;
    p.b_transposed = !p.a_transposed;
    p.b_stride = p.a_stride;
    p = with_strides(p);
    if (!p.m) return;
    size_t side = tile_side(p.m, p.m), across = (p.m + side - 1) / side;
    enter();
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1 && across > 1)
    for (size_t t = 0; t < across * (across + 1) / 2; t++) {
        size_t i = 0;
        while ((i + 1) * (i + 2) / 2 <= t) i++;
        size_t j = t - i * (i + 1) / 2;
        size_t row = i * side, column = j * side;
        size_t m = VX_MIN(side, p.m - row), n = VX_MIN(side, p.m - column);
        tile(&p, row, column, m, n);
        if (i != j) mirror(&p, row, column, m, n);
    }
    leave();
}

void vx_ssyrk(const vx_sproduct *given, int threads) {
    square(of_single(given), threads);
}

void vx_dsyrk(const vx_dproduct *given, int threads) {
    square(of_double(given), threads);
}

/* ---- LAPACK, which reads rows as columns ---- */

void dsyevd_(const char *job, const char *part, const blasint *n, double *a, const blasint *lda,
             double *w, double *work, const blasint *lwork, blasint *iwork, const blasint *liwork,
             blasint *info);
void dgeqrf_(const blasint *m, const blasint *n, double *a, const blasint *lda, double *tau,
             double *work, const blasint *lwork, blasint *info);
void dorgqr_(const blasint *m, const blasint *n, const blasint *k, double *a, const blasint *lda,
             const double *tau, double *work, const blasint *lwork, blasint *info);
void dgesdd_(const char *job, const blasint *m, const blasint *n, double *a, const blasint *lda,
             double *s, double *u, const blasint *ldu, double *vt, const blasint *ldvt,
             double *work, const blasint *lwork, blasint *iwork, blasint *info);
void dpotrf_(const char *part, const blasint *n, double *a, const blasint *lda, blasint *info);

static vindex_status check_side(size_t n, const char *what) {
    if (n <= INT_MAX) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_UNSUPPORTED, "%s: a matrix of side %zu; give less than 2^31", what,
                   n);
}

/* LAPACK counts from the smallest eigenvalue. */
static void put_in_order(double *values, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        double kept = values[i];
        values[i] = values[n - 1 - i];
        values[n - 1 - i] = kept;
    }
}

/* The same for vectors, whose signs LAPACK leaves to chance. */
static void turn_vectors(double *vectors, size_t n) {
    for (size_t i = 0; i < n / 2; i++)
        for (size_t k = 0; k < n; k++) {
            double *first = vectors + i * n + k, *last = vectors + (n - 1 - i) * n + k;
            double kept = *first;
            *first = *last;
            *last = kept;
        }
    for (size_t i = 0; i < n; i++) {
        double *row = vectors + i * n, most = 0;
        for (size_t k = 0; k < n; k++)
            if (fabs(row[k]) > fabs(most)) most = row[k];
        for (size_t k = 0; k < n && most < 0; k++) row[k] = -row[k];
    }
}

/* job: "V" for the vectors too, "N" for values alone. */
static vindex_status eigen(const char *job, double *matrix, size_t n, double *values) {
    if (!n) return VINDEX_OK;
    VX_TRY(check_side(n, "eigenvalues"));
    blasint side = (blasint)n, info, lwork = -1, liwork = -1, whole;
    double best;
    enter();
    dsyevd_(job, "U", &side, matrix, &side, values, &best, &lwork, &whole, &liwork, &info);
    lwork = (blasint)best;
    liwork = whole;
    double *work = vx_alloc((size_t)lwork, sizeof *work);
    blasint *marks = vx_alloc((size_t)liwork, sizeof *marks);
    if (work && marks)
        dsyevd_(job, "U", &side, matrix, &side, values, work, &lwork, marks, &liwork, &info);
    leave();
    vindex_status status = VINDEX_OK;
    if (!work || !marks)
        status = vx_fail_memory((size_t)lwork, sizeof *work, "eigenvalues");
    else if (info != 0)
        status = vx_fail(VINDEX_ERR_DATA,
                         "eigenvalues: LAPACK's dsyevd answers %d for a matrix of side %zu; look "
                         "for numbers of very different size",
                         (int)info, n);
    vx_free(work);
    vx_free(marks);
    return status;
}

vindex_status vx_eigen(double *matrix, size_t n, double *values) {
    VX_TRY(eigen("V", matrix, n, values));
    put_in_order(values, n);
    turn_vectors(matrix, n);
    return VINDEX_OK;
}

vindex_status vx_eigenvalues(double *matrix, size_t n, double *values) {
    VX_TRY(eigen("N", matrix, n, values));
    put_in_order(values, n);
    return VINDEX_OK;
}

vindex_status vx_orthonormalise(double *rows, size_t count, size_t dim) {
    if (!count) return VINDEX_OK;
    VX_TRY(check_side(dim, "orthonormal rows"));
    blasint m = (blasint)dim, n = (blasint)count, info, lwork = -1;
    double best[2];
    double *tau = vx_alloc(count, sizeof *tau);
    if (!tau) return vx_fail_memory(count, sizeof *tau, "orthonormal rows");
    enter();
    dgeqrf_(&m, &n, rows, &m, tau, &best[0], &lwork, &info);
    dorgqr_(&m, &n, &n, rows, &m, tau, &best[1], &lwork, &info);
    lwork = (blasint)VX_MAX(best[0], best[1]);
    double *work = vx_alloc((size_t)lwork, sizeof *work);
    if (work) {
        dgeqrf_(&m, &n, rows, &m, tau, work, &lwork, &info);
        dorgqr_(&m, &n, &n, rows, &m, tau, work, &lwork, &info);
    }
    leave();
    vx_free(tau);
    if (!work) return vx_fail_memory((size_t)lwork, sizeof *work, "orthonormal rows");
    vx_free(work);
    return VINDEX_OK;
}

vindex_status vx_svd_compute(const vx_svd *svd) {
    size_t least = VX_MIN(svd->m, svd->n);
    if (!least) return VINDEX_OK;
    VX_TRY(check_side(VX_MAX(svd->m, svd->n), "singular values"));
    /* Rows as columns: what LAPACK sees is the transpose, whose left vectors are our right ones. */
    blasint m = (blasint)svd->n, n = (blasint)svd->m, r = (blasint)least, info, lwork = -1;
    double best;
    blasint *marks = vx_alloc(8 * least, sizeof *marks);
    if (!marks) return vx_fail_memory(8 * least, sizeof *marks, "singular values");
    enter();
    dgesdd_("S", &m, &n, svd->a, &m, svd->values, svd->v, &m, svd->u, &r, &best, &lwork, marks,
            &info);
    lwork = (blasint)best;
    double *work = vx_alloc((size_t)lwork, sizeof *work);
    if (work)
        dgesdd_("S", &m, &n, svd->a, &m, svd->values, svd->v, &m, svd->u, &r, work, &lwork, marks,
                &info);
    leave();
    vindex_status status = VINDEX_OK;
    if (!work)
        status = vx_fail_memory((size_t)lwork, sizeof *work, "singular values");
    else if (info != 0)
        status = vx_fail(VINDEX_ERR_DATA,
                         "singular values: LAPACK's dgesdd answers %d for a matrix of %zu x %zu; "
                         "look for numbers of very different size",
                         (int)info, svd->m, svd->n);
    vx_free(work);
    vx_free(marks);
    return status;
}

vindex_status vx_cholesky(double *matrix, size_t n) {
    if (!n) return VINDEX_OK;
    VX_TRY(check_side(n, "Cholesky factor"));
    blasint side = (blasint)n, info;
    enter();
    dpotrf_("U", &side, matrix, &side, &info); /* its upper triangle is our lower one */
    leave();
    if (info != 0)
        return vx_fail(VINDEX_ERR_DATA,
                       "Cholesky factor: the matrix of side %zu is not positive definite (LAPACK's "
                       "dpotrf answers %d); add to its diagonal or use data of full rank",
                       n, (int)info);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) matrix[i * n + j] = 0;
    return VINDEX_OK;
}

void vx_triangular_solve(const double *lower, size_t n, bool transposed, double *b,
                         size_t columns) {
    if (!n || !columns) return;
    enter();
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, transposed ? CblasTrans : CblasNoTrans,
                CblasNonUnit, (blasint)n, (blasint)columns, 1, lower, (blasint)n, b,
                (blasint)columns);
    leave();
}

/* ---- which kernels ---- */

const char *vx_blas_advice(void) {
#if defined(__x86_64__)
    static const char *const modern[] = {"Haswell",    "Zen",       "SkylakeX",
                                         "Cooperlake", "Excavator", "SapphireRapids"};
    const char *set = getenv("OPENBLAS_CORETYPE"), *chosen = openblas_get_corename();
    if ((set && *set) || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return NULL;
    for (size_t i = 0; i < VX_COUNT(modern); i++)
        if (!strcmp(chosen, modern[i])) return NULL;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? "SkylakeX" : "Haswell";
#else
    return NULL;
#endif
}
