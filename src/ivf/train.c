/* Learning the centroids, and finding the list of a vector. */
#include <math.h>
#include <stdio.h>

#include "exact/bound.h"
#include "ivf.h"

/* Lists and what finds them, made before the index changes. */
typedef struct opened {
    vindex_index *coarse;
    vx_list *lists;
} opened;

static void free_opened(opened *new) {
    vindex_free(new->coarse);
    vx_free(new->lists);
}

void vx_ivf_coarse_spec(const vx_ivf *ivf, char spec[VX_IVF_COARSE_SPEC]) {
    if (ivf->links)
        snprintf(spec, VX_IVF_COARSE_SPEC, "HNSW%zu", ivf->links);
    else
        snprintf(spec, VX_IVF_COARSE_SPEC, "Flat");
}

static vindex_status make_coarse(const vx_ivf *ivf, const float *centroids, const vindex_call *call,
                                 vindex_index **coarse) {
    char spec[VX_IVF_COARSE_SPEC];
    vindex_call quiet = *call; /* progress is the training's */
    quiet.progress = NULL;
    vx_ivf_coarse_spec(ivf, spec);
    VX_TRY(vindex_create(spec, (int64_t)ivf->base.dim, ivf->base.metric, coarse));
    return vindex_add(*coarse, centroids, (int64_t)ivf->list_count, &quiet);
}

static vindex_status open_lists(const vx_ivf *ivf, const float *centroids, const vindex_call *call,
                                opened *new) {
    size_t lists = ivf->list_count;
    if (!new->coarse) VX_TRY(make_coarse(ivf, centroids, call, &new->coarse));
    new->lists = vx_alloc_zero(lists, sizeof *new->lists);
    return new->lists ? VINDEX_OK : vx_fail_memory(lists, sizeof *new->lists, "the lists");
}

/* Of the lists' centroids. */
static float longest(const vx_ivf *ivf) {
    const vx_kernels *kernels = vx_kernels_get();
    double square = 0;
    size_t dim = ivf->base.dim;
    for (size_t l = 0; l < ivf->list_count; l++) {
        const float *centre = ivf->lists[l].run.centre;
        if (!centre) continue;
        vx_products products = kernels->settle_products[VINDEX_F32](NULL, NULL, centre, dim, 0);
        square = fmax(square, products.square);
    }
    return vx_round_up(sqrt(square));
}

static void commit(vx_ivf *ivf, opened *new) {
    vx_free(ivf->lists);
    vindex_free(ivf->coarse);
    ivf->lists = new->lists;
    ivf->coarse = new->coarse;
    vx_ivf_centre(ivf, ivf->lists);
    vx_codec_centres(ivf->codec, longest(ivf));
    *new = (opened){0};
}

vindex_status vx_ivf_open_lists(vx_ivf *ivf, const float *centroids, vindex_index *coarse,
                                const vindex_call *call) {
    opened new = {.coarse = coarse};
    vindex_status status = open_lists(ivf, centroids, call, &new);
    if (status == VINDEX_OK) commit(ivf, &new);
    free_opened(&new);
    return status;
}

static vx_kmeans_params params_of(const vx_ivf *ivf, const vindex_call *call) {
    static const vx_kmeans_form forms[] = {[VINDEX_L2] = VX_KMEANS_AS_IS,
                                           [VINDEX_INNER_PRODUCT] = VX_KMEANS_AS_IS,
                                           [VINDEX_COSINE] = VX_KMEANS_UNIT,
                                           [VINDEX_PEARSON] = VX_KMEANS_CENTRED_UNIT};
    vx_kmeans_params params = ivf->training;
    params.form = forms[ivf->base.metric];
    params.spherical = ivf->base.metric != VINDEX_L2;
    params.threads = vx_threads(call->threads);
    params.progress = call->progress;
    params.progress_context = call->progress_context;
    return params;
}

/* What the codec learns: how vectors lie around the centroids. */
static vindex_status train_codec(vx_ivf *ivf, const vindex_index *coarse, const vx_sample *given) {
    vx_sample sample = *given;
    uint32_t *nearest = NULL;
    vindex_status status = VINDEX_OK;
    if (!ivf->codec->ops->train) return VINDEX_OK;
    if (sample.centres) {
        vindex_call call;
        vindex_call_init(&call);
        call.threads = sample.threads;
        nearest = vx_alloc(sample.n, sizeof *nearest);
        if (!nearest) return vx_fail_memory(sample.n, sizeof *nearest, "train");
        status = vx_ivf_assign(coarse, sample.vectors, sample.n, &call, nearest);
        sample.nearest = nearest;
    }
    if (status == VINDEX_OK) status = ivf->codec->ops->train(ivf->codec, &sample);
    vx_free(nearest);
    return status;
}

/* The same from no more vectors than are of use to it, evenly spread; owned: these vectors where
 * they may be overwritten, else NULL. */
static vindex_status train_codec_on_some(vx_ivf *ivf, const vindex_index *coarse,
                                         const vx_sample *given, float *owned) {
    vx_sample sample = *given;
    size_t dim = ivf->base.dim, useful = ivf->codec->useful;
    if (!useful || given->n <= useful) return train_codec(ivf, coarse, given);
    float *some = owned ? owned : vx_alloc(useful, dim * sizeof *some);
    if (!some) return vx_fail_memory(useful, dim * sizeof *some, "train");
    for (size_t i = 0; i < useful; i++)
        memmove(some + i * dim, given->vectors + i * given->n / useful * dim, dim * sizeof *some);
    sample.vectors = some;
    sample.n = useful;
    vindex_status status = train_codec(ivf, coarse, &sample);
    if (!owned) vx_free(some);
    return status;
}

/* Learns from n vectors, which may be overwritten where they are owned. */
static vindex_status learn(vx_ivf *ivf, const float *vectors, float *owned, size_t n,
                           const vx_kmeans_params *params, const vindex_call *call) {
    vx_kmeans_report report = {0};
    vx_sample sample = {.vectors = vectors,
                        .n = n,
                        .seed = params->seed,
                        .threads = params->threads,
                        .progress = params->progress,
                        .progress_context = params->progress_context};
    opened new = {0};
    float *centroids = vx_alloc_zero(ivf->list_count, ivf->base.dim * sizeof *centroids);
    if (!centroids)
        return vx_fail_memory(ivf->list_count, ivf->base.dim * sizeof *centroids, "train");
    vindex_status status = VINDEX_OK;
    if (!ivf->alone) status = vx_kmeans(vectors, n, ivf->base.dim, params, centroids, &report);
    if (status == VINDEX_OK) status = open_lists(ivf, centroids, call, &new);
    if (ivf->codec->residual) sample.centres = centroids;
    if (status == VINDEX_OK) status = train_codec_on_some(ivf, new.coarse, &sample, owned);
    if (status == VINDEX_OK) {
        commit(ivf, &new);
        ivf->loss = report.loss;
    }
    free_opened(&new);
    vx_free(centroids);
    return status;
}

vindex_status vx_ivf_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call) {
    vx_ivf *ivf = (vx_ivf *)index;
    vx_kmeans_params params = params_of(ivf, call);
    const float *sample;
    float *owned;
    size_t count;
    if (ivf->ids.count)
        return vx_fail(VINDEX_ERR_STATE,
                       "train: the index holds %zu vectors already; train an empty one",
                       ivf->ids.count);
    vx_kmeans_params drawn = params; /* as many as lists or codec want */
    size_t wanted = (ivf->codec->useful + ivf->list_count - 1) / ivf->list_count;
    if (drawn.points_each) drawn.points_each = VX_MAX(drawn.points_each, wanted);
    VX_TRY(vx_kmeans_sample(rows, &drawn, &sample, &owned, &count));
    vindex_status status = learn(ivf, sample, owned, count, &params, call);
    if (status == VINDEX_OK) {
        ivf->learnt_from = count;
        ivf->offered = (size_t)rows->count;
    }
    vx_free(owned);
    return status;
}

static void keep_nearest(void *context, size_t query, const vx_hit *hits, size_t count) {
    uint32_t *nearest = context;
    nearest[query] = count ? (uint32_t)hits[0].id : 0;
}

vindex_status vx_ivf_assign(const vindex_index *coarse, const float *vectors, size_t n,
                            const vindex_call *call, uint32_t *nearest) {
    enum { CHUNK = 1 << 16 };
    if (coarse->ops->count(coarse) == 1) {
        memset(nearest, 0, n * sizeof *nearest);
        return VINDEX_OK;
    }
    for (size_t first = 0; first < n; first += CHUNK) {
        vx_request request = {.queries = vectors + first * coarse->dim,
                              .query_count = VX_MIN(n - first, (size_t)CHUNK),
                              .k = 1,
                              .ef = VX_IVF_ASSIGN_EF,
                              .walkers = VX_WALKERS,
                              .threads = vx_threads(call->threads),
                              .answer = keep_nearest,
                              .answer_context = nearest + first};
        VX_TRY(coarse->ops->search(coarse, &request));
        VX_TRY(vx_progress(call->progress, call->progress_context, "add",
                           0.9 * (double)first / (double)n));
    }
    return VINDEX_OK;
}
