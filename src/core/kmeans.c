#include "kmeans.h"

#include <math.h>
#include <omp.h>

#include "exact/nearest.h"
#include "rng.h"

/* Multiplications below which a second thread costs more than it brings. */
enum { SMALL_WORK = 1 << 21 };

/* Streams of random numbers; iteration i draws from FIRST_ITERATION + i. */
enum { STREAM_SAMPLE, STREAM_START, STREAM_CELLS, STREAM_FIRST_ITERATION };

void vx_kmeans_init(vx_kmeans_params *params, size_t k) {
    *params =
        (vx_kmeans_params){.k = k, .seed = 1, .iterations = 10, .points_each = 64, .threads = 1};
}

/* A run over its sample of the points. */
typedef struct run {
    const vx_kmeans_params *params;
    const float *points; /* n x dim */
    float *sample;       /* where they are a copy; else NULL */
    size_t n, dim, k;
    float *centroids, *aux; /* aux: what the filter keeps per centroid */
    const float *batch;     /* of this iteration */
    float *drawn;           /* room for it; NULL: all points are */
    size_t batch_size;
    uint32_t *nearest; /* of the batch; then the place in it of each cluster's points, */
    uint32_t *order;   /* one cluster after the other, */
    size_t *starts;    /* beginning here; k + 1 */
    double *costs;     /* of the batch */
    double *seen;      /* points that each centroid is the mean of */
    double loss;
} run;

static void free_run(run *r) {
    vx_free(r->sample);
    vx_free(r->aux);
    vx_free(r->drawn);
    vx_free(r->nearest);
    vx_free(r->order);
    vx_free(r->starts);
    vx_free(r->costs);
    vx_free(r->seen);
}

static vindex_status check_finite(const float *vectors, size_t first, size_t count, size_t dim) {
    size_t where;
    if (vx_all_finite(vectors, count * dim, &where)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA,
                   "train: vector %zu has %s in dimension %zu; remove or replace it",
                   first + where / dim, isnan(vectors[where]) ? "NaN" : "infinity", where % dim);
}

/* Rows first ... first+count-1. */
static vindex_status read_rows(const vindex_rows *rows, size_t first, size_t count, float *to) {
    size_t dim = (size_t)rows->dim;
    if (rows->vectors)
        memcpy(to, rows->vectors + first * dim, count * dim * sizeof *to);
    else
        VX_TRY(rows->read(rows->context, (int64_t)first, (int64_t)count, to));
    return check_finite(to, first, count, dim);
}

/* Copies `count` rows, drawn without repetition and kept in their order: Knuth's selection sampling
 * (The Art of Computer Programming, 3.4.2, algorithm S). Neighbours are read together. Who is told
 * (NULL: nobody) may cancel. */
static vindex_status draw(vx_rng *rng, const vindex_rows *rows, size_t count, float *to,
                          const vx_kmeans_params *told) {
    enum { TOGETHER = 1 << 12 };
    size_t n = (size_t)rows->count, dim = (size_t)rows->dim, taken = 0, together = 0;
    for (size_t i = 0; taken < count; i++) {
        bool wanted = vx_rng_below(rng, n - i) < count - taken - together;
        together += wanted;
        bool last = taken + together == count;
        if (!together || (wanted && together < TOGETHER && !last)) continue;
        VX_TRY(read_rows(rows, i + wanted - together, together, to + taken * dim));
        taken += together;
        together = 0;
        if (told)
            VX_TRY(vx_progress(told->progress, told->progress_context, "read",
                               (double)taken / (double)count));
    }
    return VINDEX_OK;
}

static vindex_rows in_memory(const float *points, size_t n, size_t dim) {
    return (vindex_rows){.count = (int64_t)n, .dim = (int64_t)dim, .vectors = points};
}

static size_t sample_size(const vx_kmeans_params *params, size_t n) {
    size_t most;
    return params->points_each && vx_mul(params->k, params->points_each, &most) ? VX_MIN(most, n)
                                                                                : n;
}

vindex_status vx_kmeans_sample(const vindex_rows *rows, const vx_kmeans_params *params,
                               const float **sample, float **owned, size_t *count) {
    size_t n = (size_t)rows->count, dim = (size_t)rows->dim, most = sample_size(params, n);
    *owned = NULL;
    *count = most;
    *sample = rows->vectors;
    if (rows->vectors && most == n) return check_finite(rows->vectors, 0, n, dim);
    float *drawn = vx_alloc(most, dim * sizeof *drawn);
    if (!drawn) return vx_fail_memory(most, dim * sizeof *drawn, "train: the points to learn from");
    vx_rng rng = vx_rng_seed(params->seed, STREAM_SAMPLE);
    vindex_status status = draw(&rng, rows, most, drawn, params);
    if (status != VINDEX_OK) {
        vx_free(drawn);
        return status;
    }
    *sample = *owned = drawn;
    return VINDEX_OK;
}

/* Scales a vector to length 1; one of length 0 stays. */
static void normalise(float *vector, size_t dim) {
    double square = 0;
    for (size_t j = 0; j < dim; j++) square += (double)vector[j] * (double)vector[j];
    for (size_t j = 0; square > 0 && j < dim; j++)
        vector[j] = (float)((double)vector[j] / sqrt(square));
}

static void centre(float *vector, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += (double)vector[j];
    for (size_t j = 0; j < dim; j++) vector[j] = (float)((double)vector[j] - sum / (double)dim);
}

/* Draws the points to learn from and brings them into their form. */
static vindex_status take_sample(run *r, const float *points, size_t n) {
    vx_rng rng = vx_rng_seed(r->params->seed, STREAM_SAMPLE);
    vindex_rows rows = in_memory(points, n, r->dim);
    VX_TRY(draw(&rng, &rows, r->n, r->sample, NULL));
    for (size_t i = 0; i < r->n && r->params->form != VX_KMEANS_AS_IS; i++) {
        if (r->params->form == VX_KMEANS_CENTRED_UNIT) centre(r->sample + i * r->dim, r->dim);
        normalise(r->sample + i * r->dim, r->dim);
    }
    r->points = r->sample;
    return VINDEX_OK;
}

static vindex_status open_run(const float *points, size_t n, size_t dim,
                              const vx_kmeans_params *params, float *centroids, run *r) {
    size_t most = sample_size(params, n), bytes;
    *r = (run){.params = params, .points = points, .n = most, .dim = dim, .k = params->k};
    r->centroids = centroids;
    r->batch_size = params->batch ? VX_MIN(params->batch, most) : most;
    bool copied = most < n || params->form != VX_KMEANS_AS_IS;
    if (copied) r->sample = vx_alloc(most, dim * sizeof *r->sample);
    if (r->batch_size < most) r->drawn = vx_alloc(r->batch_size, dim * sizeof *r->drawn);
    r->aux = vx_alloc(r->k, sizeof *r->aux);
    r->nearest = vx_alloc(r->batch_size, sizeof *r->nearest);
    r->order = vx_alloc(r->batch_size, sizeof *r->order);
    r->starts = vx_alloc(r->k + 1, sizeof *r->starts);
    r->costs = vx_alloc(r->batch_size, sizeof *r->costs);
    r->seen = vx_alloc_zero(r->k, sizeof *r->seen);
    bool room = r->aux && r->nearest && r->order && r->starts && r->costs && r->seen;
    if (!room || (copied && !r->sample) || (r->batch_size < most && !r->drawn))
        return vx_fail_memory(most, vx_mul(dim, sizeof(float), &bytes) ? bytes : SIZE_MAX,
                              "train: the points to learn from");
    if (copied) VX_TRY(take_sample(r, points, n));
    r->batch = r->drawn ? r->drawn : r->points;
    return VINDEX_OK;
}

/* What the exact engine answers for one point. */
typedef struct assignment {
    uint32_t *nearest;
    double *costs; /* may be NULL */
} assignment;

static void keep_nearest(void *context, size_t query, const vx_hit *hits, size_t count) {
    const assignment *to = context;
    if (!count) return;
    to->nearest[query] = (uint32_t)hits[0].id;
    if (to->costs) to->costs[query] = hits[0].key;
}

static vindex_status assign(const float *points, size_t n, size_t dim, const vx_block *centroids,
                            int threads, assignment *to) {
    if ((double)n * (double)centroids->count * (double)dim < SMALL_WORK) threads = 1;
    vx_search_job job = {.space = {.metric = VINDEX_L2, .dtype = VINDEX_F32, .dim = dim},
                         .blocks = centroids,
                         .block_count = 1,
                         .block_rows = centroids->count,
                         .queries = points,
                         .query_count = n,
                         .threads = threads};
    return vx_nearest(&job, 1, keep_nearest, to);
}

vindex_status vx_kmeans_assign(const float *points, size_t n, size_t dim, const float *centroids,
                               size_t k, int threads, uint32_t *nearest) {
    float *aux = vx_alloc(k, sizeof *aux);
    if (!aux) return vx_fail_memory(k, sizeof *aux, "assign");
    vx_space space = {.metric = VINDEX_L2, .dtype = VINDEX_F32, .dim = dim};
    vx_aux_fill(&space, vx_kernels_get(), centroids, k, aux);
    vx_block block = {.data = centroids, .aux = aux, .count = k};
    assignment to = {nearest, NULL};
    vindex_status status = assign(points, n, dim, &block, threads, &to);
    vx_free(aux);
    return status;
}

/* Sorts the places of the batch by cluster, in their order within each. */
static void sort_by_cluster(run *r) {
    memset(r->starts, 0, (r->k + 1) * sizeof *r->starts);
    for (size_t i = 0; i < r->batch_size; i++) r->starts[r->nearest[i] + 1]++;
    for (size_t c = 0; c < r->k; c++) r->starts[c + 1] += r->starts[c];
    for (size_t i = 0; i < r->batch_size; i++) r->order[r->starts[r->nearest[i]]++] = (uint32_t)i;
    for (size_t c = r->k; c > 0; c--) r->starts[c] = r->starts[c - 1];
    r->starts[0] = 0;
}

static vindex_status assign_batch(run *r) {
    vx_space space = {.metric = VINDEX_L2, .dtype = VINDEX_F32, .dim = r->dim};
    assignment to = {r->nearest, r->costs};
    vx_aux_fill(&space, vx_kernels_get(), r->centroids, r->k, r->aux);
    vx_block block = {.data = r->centroids, .aux = r->aux, .count = r->k};
    VX_TRY(assign(r->batch, r->batch_size, r->dim, &block, r->params->threads, &to));
    double loss = 0;
    for (size_t i = 0; i < r->batch_size; i++) loss += r->costs[i];
    r->loss = loss / (double)r->batch_size;
    sort_by_cluster(r);
    return VINDEX_OK;
}

/* Each centroid becomes the mean of what it has seen: this batch and, of drawn ones, those before
 * (Sculley, Web-scale k-means clustering, 2010). sums: dim numbers of this thread. */
static void update_centroid(run *r, size_t c, double *sums) {
    size_t first = r->starts[c], count = r->starts[c + 1] - first;
    float *centroid = r->centroids + c * r->dim;
    if (!count) return;
    double before = r->drawn ? r->seen[c] : 0;
    for (size_t j = 0; j < r->dim; j++) sums[j] = before * (double)centroid[j];
    for (size_t i = first; i < first + count; i++) {
        const float *point = r->batch + (size_t)r->order[i] * r->dim;
        for (size_t j = 0; j < r->dim; j++) sums[j] += (double)point[j];
    }
    r->seen[c] = before + (double)count;
    for (size_t j = 0; j < r->dim; j++) centroid[j] = (float)(sums[j] / r->seen[c]);
    if (r->params->spherical) normalise(centroid, r->dim);
}

static vindex_status update_centroids(run *r) {
    int threads = (double)r->batch_size * (double)r->dim < SMALL_WORK ? 1 : r->params->threads;
    double *sums = vx_alloc((size_t)threads * r->dim, sizeof *sums);
    if (!sums) return vx_fail_memory((size_t)threads * r->dim, sizeof *sums, "train");
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) if (threads > 1)
    for (size_t c = 0; c < r->k; c++)
        update_centroid(r, c, sums + (threads > 1 ? (size_t)omp_get_thread_num() : 0) * r->dim);
    vx_free(sums);
    return VINDEX_OK;
}

/* Moves each cluster that is too small to a random point of the cluster that is the largest when
 * half of its points are thought to leave it for each that came. */
static vindex_status move_small(run *r, vx_rng *rng) {
    size_t *sizes = vx_alloc(r->k, sizeof *sizes);
    if (!sizes) return vx_fail_memory(r->k, sizeof *sizes, "train");
    for (size_t c = 0; c < r->k; c++) sizes[c] = r->starts[c + 1] - r->starts[c];
    double least = r->params->balance * (double)r->batch_size / (double)r->k;
    for (size_t c = 0; c < r->k; c++) {
        if (sizes[c] && (double)sizes[c] >= least) continue;
        size_t largest = 0;
        for (size_t d = 1; d < r->k; d++)
            if (sizes[d] > sizes[largest]) largest = d;
        if (sizes[largest] < 2 || sizes[largest] <= 2 * sizes[c]) break;
        size_t first = r->starts[largest], count = r->starts[largest + 1] - first;
        size_t point = r->order[first + vx_rng_below(rng, count)];
        memcpy(r->centroids + c * r->dim, r->batch + point * r->dim, r->dim * sizeof(float));
        if (r->params->spherical) normalise(r->centroids + c * r->dim, r->dim);
        r->seen[c] = 0;
        sizes[largest] /= 2;
        sizes[c] = 0; /* its points of the next iteration are not known */
    }
    vx_free(sizes);
    return VINDEX_OK;
}

/* A random sample as the first centroids. */
static vindex_status start_sampled(run *r, vx_rng *rng) {
    vindex_rows rows = in_memory(r->points, r->n, r->dim);
    return draw(rng, &rows, r->k, r->centroids, NULL);
}

/* Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007: each centroid is a
 * point drawn with a chance in proportion to its squared distance from those before. */
static vindex_status start_plus_plus(run *r, vx_rng *rng) {
    size_t padded = vx_padded(r->dim);
    double *least = vx_alloc(r->n, sizeof *least);
    double *query = vx_alloc_zero(padded, sizeof *query);
    vindex_status status = VINDEX_OK;
    const vx_kernels *kernels = vx_kernels_get();
    if (!least || !query)
        status = vx_fail_memory(r->n, sizeof *least, "train: the first centroids");
    for (size_t i = 0; status == VINDEX_OK && i < r->n; i++) least[i] = INFINITY;
    size_t chosen = vx_rng_below(rng, r->n);
    for (size_t c = 0; status == VINDEX_OK && c < r->k; c++) {
        const float *centroid = r->points + chosen * r->dim;
        memcpy(r->centroids + c * r->dim, centroid, r->dim * sizeof(float));
        for (size_t j = 0; j < r->dim; j++) query[j] = (double)centroid[j];
#pragma omp parallel for num_threads(r->params->threads) if (r->params->threads > 1)
        for (size_t i = 0; i < r->n; i++)
            least[i] =
                fmin(least[i],
                     kernels->settle_l2[VINDEX_F32](query, NULL, r->points + i * r->dim, r->dim));
        double total = 0, target;
        for (size_t i = 0; i < r->n; i++) total += least[i];
        target = vx_rng_uniform(rng) * total;
        for (chosen = 0; chosen + 1 < r->n && target >= least[chosen]; chosen++)
            target -= least[chosen];
        status = vx_progress(r->params->progress, r->params->progress_context, "train", 0);
    }
    vx_free(least);
    vx_free(query);
    return status;
}

static vindex_status iterate(run *r, size_t *done) {
    const vx_kmeans_params *params = r->params;
    vindex_rows points = in_memory(r->points, r->n, r->dim);
    for (size_t i = 0; i < params->iterations; i++) {
        vx_rng rng = vx_rng_seed(params->seed, STREAM_FIRST_ITERATION + i);
        double before = r->loss;
        if (r->drawn) VX_TRY(draw(&rng, &points, r->batch_size, r->drawn, NULL));
        VX_TRY(assign_batch(r));
        VX_TRY(update_centroids(r));
        *done = i + 1;
        bool settled = !r->drawn && i > 0 && !(r->loss < before);
        if (i + 1 < params->iterations && !settled) VX_TRY(move_small(r, &rng));
        VX_TRY(vx_progress(params->progress, params->progress_context, "train",
                           (double)(i + 1) / (double)params->iterations));
        if (settled) break;
    }
    return VINDEX_OK;
}

static vindex_status one_level(const float *points, size_t n, size_t dim,
                               const vx_kmeans_params *params, float *centroids,
                               vx_kmeans_report *report) {
    run r;
    size_t done = 0;
    vindex_status status = open_run(points, n, dim, params, centroids, &r);
    vx_rng rng = vx_rng_seed(params->seed, STREAM_START);
    if (status == VINDEX_OK)
        status = params->plus_plus ? start_plus_plus(&r, &rng) : start_sampled(&r, &rng);
    for (size_t c = 0; status == VINDEX_OK && params->spherical && c < r.k; c++)
        normalise(centroids + c * dim, dim);
    if (status == VINDEX_OK) status = iterate(&r, &done);
    *report = (vx_kmeans_report){.points = r.n, .iterations = done, .loss = r.loss};
    free_run(&r);
    return status;
}

/* How many centroids each cell gets: in proportion to its points, none more than it has, all of k
 * in the end. */
static void share_out(const size_t *starts, size_t cells, size_t k, size_t *shares) {
    size_t n = starts[cells], given = 0;
    for (size_t c = 0; c < cells; c++) {
        size_t size = starts[c + 1] - starts[c];
        shares[c] = VX_MIN((size_t)((double)size / (double)n * (double)k), size);
        given += shares[c];
    }
    for (size_t c = 0; given < k; c = (c + 1) % cells)
        if (shares[c] < starts[c + 1] - starts[c]) shares[c]++, given++;
}

/* The points of each cell, one cell after the other. */
typedef struct cells {
    float *centroids, *points;
    uint32_t *nearest;
    size_t *starts, *shares;
    size_t count;
} cells;

static void free_cells(cells *all) {
    vx_free(all->centroids);
    vx_free(all->points);
    vx_free(all->nearest);
    vx_free(all->starts);
    vx_free(all->shares);
}

static vindex_status sort_into_cells(const float *points, size_t n, size_t dim,
                                     const vx_kmeans_params *params, cells *all) {
    VX_TRY(vx_kmeans_assign(points, n, dim, all->centroids, all->count, params->threads,
                            all->nearest));
    memset(all->starts, 0, (all->count + 1) * sizeof *all->starts);
    for (size_t i = 0; i < n; i++) all->starts[all->nearest[i] + 1]++;
    for (size_t c = 0; c < all->count; c++) all->starts[c + 1] += all->starts[c];
    for (size_t i = 0; i < n; i++)
        memcpy(all->points + all->starts[all->nearest[i]]++ * dim, points + i * dim,
               dim * sizeof *points);
    for (size_t c = all->count; c > 0; c--) all->starts[c] = all->starts[c - 1];
    all->starts[0] = 0;
    share_out(all->starts, all->count, params->k, all->shares);
    return VINDEX_OK;
}

static vindex_status divide_cells(const cells *all, size_t dim, const vx_kmeans_params *params,
                                  float *centroids, vx_kmeans_report *report) {
    double loss = 0;
    for (size_t c = 0, at = 0; c < all->count; at += all->shares[c++]) {
        size_t size = all->starts[c + 1] - all->starts[c];
        vx_kmeans_params inner = *params;
        vx_kmeans_report part;
        inner.k = all->shares[c];
        inner.seed = params->seed + 1 + c;
        inner.points_each = inner.batch = 0;
        inner.form = VX_KMEANS_AS_IS; /* done */
        inner.progress = NULL;
        if (!inner.k) continue;
        VX_TRY(one_level(all->points + all->starts[c] * dim, size, dim, &inner,
                         centroids + at * dim, &part));
        loss += part.loss * (double)size;
        VX_TRY(vx_progress(params->progress, params->progress_context, "train",
                           (double)(c + 1) / (double)all->count));
    }
    report->loss = loss / (double)all->starts[all->count];
    return VINDEX_OK;
}

/* Learns cells from the points drawn, then the centroids of each. */
static vindex_status two_levels(const float *points, size_t n, size_t dim,
                                const vx_kmeans_params *params, float *centroids,
                                vx_kmeans_report *report) {
    run r; /* for its sample of the points */
    vindex_status status = open_run(points, n, dim, params, centroids, &r);
    cells all = {.count = (size_t)ceil(sqrt((double)params->k))};
    all.centroids = vx_alloc(all.count, dim * sizeof(float));
    all.points = vx_alloc(r.n, dim * sizeof(float));
    all.nearest = vx_alloc(r.n, sizeof *all.nearest);
    all.starts = vx_alloc(all.count + 1, sizeof *all.starts);
    all.shares = vx_alloc(all.count, sizeof *all.shares);
    bool room = all.centroids && all.points && all.nearest && all.starts && all.shares;
    if (status == VINDEX_OK && !room)
        status = vx_fail_memory(r.n, dim * sizeof(float), "train: the points to learn from");
    vx_kmeans_params outer = *params;
    outer.k = all.count;
    outer.form = VX_KMEANS_AS_IS; /* done */
    outer.progress = NULL;
    if (status == VINDEX_OK) status = one_level(r.points, r.n, dim, &outer, all.centroids, report);
    if (status == VINDEX_OK) status = sort_into_cells(r.points, r.n, dim, params, &all);
    if (status == VINDEX_OK) status = divide_cells(&all, dim, params, centroids, report);
    report->points = r.n;
    free_cells(&all);
    free_run(&r);
    return status;
}

vindex_status vx_kmeans(const float *points, size_t n, size_t dim, const vx_kmeans_params *params,
                        float *centroids, vx_kmeans_report *report) {
    vx_kmeans_report unwanted;
    if (n < params->k)
        return vx_fail(VINDEX_ERR_DATA,
                       "train: %zu vectors for %zu centroids; give at least %zu, better %zu", n,
                       params->k, params->k, 39 * params->k);
    if (n > UINT32_MAX && !params->points_each)
        return vx_fail(VINDEX_ERR_ARGUMENT, "train: %zu vectors; give a sample of at most %u", n,
                       (unsigned)UINT32_MAX);
    if (!report) report = &unwanted;
    return params->k > VX_KMEANS_FLAT_MOST ? two_levels(points, n, dim, params, centroids, report)
                                           : one_level(points, n, dim, params, centroids, report);
}
