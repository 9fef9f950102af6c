#include "choose.h"

#include <math.h>

#include "codes.h"
#include "core/blas.h"
#include "search.h"

enum {
    ROWS_MOST = 16384,      /* of a sample */
    BYTES_MOST = 128 << 20, /* of a sample, where that is less */
    ROWS_LEAST = 1024,      /* before a choice is made */
    ROWS_WANTED = 8192,     /* enough for any */
    QUERIES = 32,           /* held out to ask */
    FORECAST_ROWS_MOST = 4096
};

static const size_t heads[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024};

size_t vx_choice_least(const vx_choice *choice, size_t dim) {
    if (choice->coding != VX_CODING_AUTO) return 1;
    return VX_MIN(VX_MAX(4 * dim, (size_t)ROWS_LEAST), (size_t)ROWS_WANTED);
}

size_t vx_choice_most(size_t dim) {
    return VX_MAX(VX_MIN(BYTES_MOST / (dim * sizeof(float)), (size_t)ROWS_MOST), (size_t)1);
}

/* A sample in two: rows to learn from, and rows and queries to predict with. */
typedef struct study {
    const vx_space *space;
    int threads;
    float *learnt; /* learnt_count x dim, as the metric sees them */
    size_t learnt_count;
    float *mean; /* of those */
    float *rows; /* row_count x dim */
    vx_measure *measures;
    float *aux;
    size_t row_count;
    float *queries;       /* query_count x dim */
    double keys[QUERIES]; /* of each query's nearest row */
    size_t query_count;
    float *directions; /* most x dim, principal ones first; NULL until wanted */
} study;

static void study_free(study *s) {
    vx_free(s->learnt);
    vx_free(s->mean);
    vx_free(s->rows);
    vx_free(s->measures);
    vx_free(s->aux);
    vx_free(s->queries);
    vx_free(s->directions);
}

/* The row as the metric sees it; false where codes could not judge it. */
static bool see(const vx_space *space, const float *row, float *seen) {
    const vx_kernels *kernels = vx_kernels_get();
    bool unit = space->metric == VINDEX_COSINE || space->metric == VINDEX_PEARSON;
    vx_space single = {space->metric, VINDEX_F32, space->dim, NULL};
    vx_measure measure = vx_measure_row(&single, kernels, row);
    double norm = sqrt(measure.square), factor = unit && norm > 0 ? 1 / norm : 1;
    if (!(norm < 1e9) || isnan(vx_aux_of(&single, &measure))) return false;
    for (size_t j = 0; j < space->dim; j++)
        seen[j] = (float)(((double)row[j] - measure.mean) * factor);
    return true;
}

static void keep_key(void *context, size_t query, const vx_hit *hits, size_t count) {
    ((study *)context)->keys[query] = count ? hits[0].key : (double)INFINITY;
}

/* The nearest row of each query, without codes. */
static vindex_status find_nearest(study *s) {
    vx_space single = {s->space->metric, VINDEX_F32, s->space->dim, NULL};
    vx_block block = {.data = s->rows, .aux = s->aux, .count = s->row_count};
    vx_search_job job = {.space = single,
                         .blocks = &block,
                         .block_count = 1,
                         .block_rows = s->row_count,
                         .queries = s->queries,
                         .query_count = s->query_count,
                         .threads = s->threads};
    for (size_t i = 0; i < s->row_count; i++) {
        s->measures[i] = vx_measure_row(&single, vx_kernels_get(), s->rows + i * single.dim);
        s->aux[i] = vx_aux_of(&single, &s->measures[i]);
    }
    return vx_search_topk(&job, 1, keep_key, s);
}

/* The mean of the rows learnt from. */
static vindex_status find_mean(study *s) {
    size_t dim = s->space->dim;
    double *sums = vx_alloc_zero(dim, sizeof *sums);
    s->mean = vx_alloc(dim, sizeof *s->mean);
    if (sums && s->mean) {
        for (size_t i = 0; i < s->learnt_count; i++)
            for (size_t j = 0; j < dim; j++) sums[j] += (double)s->learnt[i * dim + j];
        for (size_t j = 0; j < dim; j++)
            s->mean[j] = (float)(sums[j] / (double)VX_MAX(s->learnt_count, (size_t)1));
    }
    vx_free(sums);
    return sums && s->mean ? VINDEX_OK : vx_fail_memory(dim, sizeof *s->mean, "codes: a mean");
}

static vindex_status study_make(study *s, const float *sample, size_t count) {
    size_t dim = s->space->dim, held = count / 2;
    size_t step = VX_MAX(held / QUERIES, (size_t)2);
    s->learnt = vx_alloc((count + 1) / 2 * dim, sizeof *s->learnt);
    s->rows = vx_alloc(held * dim, sizeof *s->rows);
    s->queries = vx_alloc(QUERIES * dim, sizeof *s->queries);
    s->aux = vx_alloc(held, sizeof *s->aux);
    s->measures = vx_alloc(held, sizeof *s->measures);
    if (!s->learnt || !s->rows || !s->queries || !s->aux || !s->measures)
        return vx_fail_memory(count * dim, sizeof(float), "codes: a sample to learn from");
    for (size_t i = 0; i < count; i++) {
        const float *row = sample + i * dim;
        bool ask = i / 2 % step == 0 && s->query_count < QUERIES;
        if (i % 2 == 0)
            s->learnt_count += see(s->space, row, s->learnt + s->learnt_count * dim);
        else if (ask)
            memcpy(s->queries + s->query_count++ * dim, row, dim * sizeof *row);
        else if (s->row_count < FORECAST_ROWS_MOST)
            memcpy(s->rows + s->row_count++ * dim, row, dim * sizeof *row);
    }
    VX_TRY(find_mean(s));
    return s->row_count && s->query_count ? find_nearest(s) : VINDEX_OK;
}

/* Principal directions of the rows learnt from, less their mean. */
static vindex_status find_directions(study *s) {
    size_t dim = s->space->dim, count = s->learnt_count;
    float *centred = vx_alloc(count * dim, sizeof *centred);
    float *products = vx_alloc(dim * dim, sizeof *products);
    double *matrix = vx_alloc(dim * dim, sizeof *matrix), *values = vx_alloc(dim, sizeof *values);
    s->directions = vx_alloc(dim * dim, sizeof *s->directions);
    vindex_status status = VINDEX_OK;
    if (!centred || !products || !matrix || !values || !s->directions)
        status = vx_fail_memory(dim * dim, sizeof *matrix, "codes: principal directions");
    if (status == VINDEX_OK) {
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < dim; j++)
                centred[i * dim + j] = s->learnt[i * dim + j] - s->mean[j];
        vx_sproduct product = {
            .m = dim, .k = count, .alpha = 1, .a = centred, .c = products, .a_transposed = true};
        vx_ssyrk(&product, s->threads);
        for (size_t i = 0; i < dim * dim; i++) matrix[i] = (double)products[i];
        status = vx_eigen(matrix, dim, values);
        for (size_t i = 0; i < dim * dim; i++) s->directions[i] = (float)matrix[i];
    }
    vx_free(centred);
    vx_free(products);
    vx_free(matrix);
    vx_free(values);
    return status;
}

/* The Frobenius norm of matrix x its transpose - 1, which is at least the spectral norm. */
static vindex_status measure_skew(const float *matrix, size_t head, size_t dim, int threads,
                                  double *skew) {
    double *wide = vx_alloc(head * dim, sizeof *wide);
    double *products = vx_alloc(head * head, sizeof *products);
    double square = 0;
    if (wide && products) {
        for (size_t i = 0; i < head * dim; i++) wide[i] = (double)matrix[i];
        vx_dproduct product = {.m = head, .k = dim, .alpha = 1, .a = wide, .c = products};
        vx_dsyrk(&product, threads);
        for (size_t i = 0; i < head * head; i++) {
            double off = products[i] - (i / head == i % head);
            square += off * off;
        }
    }
    bool made = wide && products;
    vx_free(wide);
    vx_free(products);
    if (!made) return vx_fail_memory(head * dim, sizeof(double), "codes: principal directions");
    *skew = sqrt(square) * 1.001 + (double)(head * dim) * 0x1p-50;
    return VINDEX_OK;
}

static vindex_status make(study *s, vx_coding coding, size_t head, vx_coder *coder) {
    size_t dim = s->space->dim;
    bool pca = coding == VX_CODING_PCA;
    double skew = 0;
    if (pca && !s->directions) VX_TRY(find_directions(s));
    if (pca) VX_TRY(measure_skew(s->directions, head, dim, s->threads, &skew));
    float *mean = vx_alloc(dim, sizeof *mean);
    float *matrix = pca && mean ? vx_alloc(head * dim, sizeof *matrix) : NULL;
    if (!mean || (pca && !matrix)) {
        vx_free(mean);
        return vx_fail_memory(pca ? head * dim : dim, sizeof *mean, "codes");
    }
    memcpy(mean, s->mean, dim * sizeof *mean);
    if (pca) memcpy(matrix, s->directions, head * dim * sizeof *matrix);
    VX_TRY(vx_coder_make(dim, mean, matrix, pca ? head : dim, coder));
    coder->refined = coding == VX_CODING_REFINED;
    coder->skew = skew;
    return VINDEX_OK;
}

/* Encodes the held-out rows. */
static void encode_rows(const study *s, const vx_space *space, const vx_block *block, float *work) {
    for (size_t at = 0; at < s->row_count; at += VX_CODER_ROWS) {
        vx_code_task task = {.rows = s->rows + at * space->dim,
                             .measures = s->measures + at,
                             .count = VX_MIN(s->row_count - at, (size_t)VX_CODER_ROWS),
                             .codes = block->codes,
                             .planes = block->planes,
                             .at = at,
                             .work = work};
        vx_codes_encode(space, vx_kernels_get(), &task);
    }
}

/* What one query would read per row: codes; and of what those leave second planes and rows, which
 * count twice, for they lie scattered. */
static double bytes_of(const study *s, const vx_group *group, const vx_block *block, size_t q,
                       vx_code_hit *hits) {
    const vx_space *space = &group->space;
    vx_codes codes = vx_codes_at(space, block->codes, 0, s->row_count);
    vx_code_queries query = vx_group_codes(group, 0);
    float limit = vx_group_code_limit(group, 0, s->keys[q]);
    size_t found =
        group->coded ? group->kernels->code_select(&codes, &query, limit, hits) : s->row_count;
    size_t rows = 0;
    for (size_t i = 0; i < found; i++)
        rows += !space->coder->refined || !group->coded ||
                (hits[i].row < s->row_count &&
                 !(vx_codes_refine(group, 0, block, hits[i].row, hits[i].known) < limit));
    double row = (double)vx_space_stride(s->space), all = (double)s->row_count;
    double plane = space->coder->refined ? (double)vx_plane_stride(space->dim) : 0;
    double codes_each = (double)vx_code_group_bytes(&codes.shape) / VX_CODE_ROWS;
    return codes_each + 2 * ((double)found * plane + (double)rows * row) / all;
}

static vindex_status forecast(const study *s, vx_coder *coder) {
    if (!s->row_count || !s->query_count) return VINDEX_OK;
    vx_space space = {s->space->metric, VINDEX_F32, s->space->dim, coder};
    vx_code_shape shape = vx_coder_shape(coder, space.metric);
    size_t whole = (s->row_count + VX_CODE_ROWS - 1) / VX_CODE_ROWS * VX_CODE_ROWS;
    size_t planes = s->row_count * vx_plane_stride(space.dim) + VX_CODE_LINE;
    vx_block block = {.data = s->rows,
                      .aux = s->aux,
                      .codes = vx_alloc(vx_codes_bytes(&shape, whole), 1),
                      .planes = vx_alloc(coder->refined ? planes : 1, 1),
                      .count = s->row_count};
    float *work = vx_alloc(vx_codes_work(coder), sizeof *work);
    vx_code_hit *hits = vx_alloc(whole, sizeof *hits);
    vx_group group = {0};
    vindex_status status = VINDEX_OK;
    if (!block.codes || !block.planes || !work || !hits)
        status = vx_fail_memory(whole, sizeof *hits, "codes: a forecast");
    if (status == VINDEX_OK) status = vx_group_create(&space, 1, false, &group);
    if (status == VINDEX_OK) encode_rows(s, &space, &block, work);
    double bytes = 0;
    for (size_t q = 0; status == VINDEX_OK && q < s->query_count; q++) {
        status = vx_group_load(&group, s->queries + q * space.dim, 1, 1);
        if (status == VINDEX_OK) bytes += bytes_of(s, &group, &block, q, hits);
    }
    coder->forecast = bytes / (double)s->query_count;
    vx_group_free(&group);
    vx_free(block.codes);
    vx_free(block.planes);
    vx_free(work);
    vx_free(hits);
    return status;
}

/* Makes a coder and its forecast, and puts it in the place of *best where it is better. */
static vindex_status consider(study *s, vx_coding coding, size_t head, vx_coder *best) {
    vx_coder coder;
    VX_TRY(make(s, coding, head, &coder));
    vindex_status status = forecast(s, &coder);
    if (status == VINDEX_OK && !(coder.forecast >= best->forecast)) {
        vx_coder_free(best);
        *best = coder;
    } else {
        vx_coder_free(&coder);
    }
    return status;
}

bool vx_choice_may_refine(const vx_space *space) {
    vx_coder coder = {.head = space->dim};
    vx_code_shape shape = vx_coder_shape(&coder, space->metric);
    size_t bytes = vx_code_group_bytes(&shape) / VX_CODE_ROWS + vx_plane_stride(space->dim);
    return (bytes + sizeof(float)) * 10 <= vx_space_stride(space) * 3;
}

static vindex_status choose(study *s, vx_coder *best) {
    size_t dim = s->space->dim;
    *best = (vx_coder){.forecast = (double)INFINITY};
    VX_TRY(consider(s, VX_CODING_SIGNS, dim, best));
    if (vx_choice_may_refine(s->space)) VX_TRY(consider(s, VX_CODING_REFINED, dim, best));
    if (dim > VX_PCA_DIM_MOST || s->learnt_count < 2 * dim) return VINDEX_OK;
    for (size_t h = 0; h < VX_COUNT(heads) && heads[h] <= dim; h++)
        VX_TRY(consider(s, VX_CODING_PCA, heads[h], best));
    return VINDEX_OK;
}

vindex_status vx_coder_choose(const vx_space *space, const vx_choice *choice, const float *sample,
                              size_t count, int threads, vx_coder *coder) {
    study s = {.space = space, .threads = threads};
    *coder = (vx_coder){.forecast = (double)INFINITY};
    vindex_status status = study_make(&s, sample, count);
    if (status == VINDEX_OK)
        status = choice->coding == VX_CODING_AUTO
                     ? choose(&s, coder)
                     : consider(&s, choice->coding, choice->head, coder);
    study_free(&s);
    if (status != VINDEX_OK) vx_coder_free(coder);
    return status;
}
