/* Learning the centroids, and finding the list of a vector. */
#include "ivf.h"

vindex_status vx_ivf_open_lists(vx_ivf *ivf, const float *centroids) {
    vindex_index *coarse;
    VX_TRY(vindex_create("Flat", (int64_t)ivf->base.dim, ivf->base.metric, &coarse));
    vx_list *lists = vx_alloc_zero(ivf->list_count, sizeof *lists);
    vindex_status status = lists ? vindex_add(coarse, centroids, (int64_t)ivf->list_count, NULL)
                                 : vx_fail_memory(ivf->list_count, sizeof *lists, "the lists");
    if (status != VINDEX_OK) {
        vx_free(lists);
        vindex_free(coarse);
        return status;
    }
    vx_free(ivf->lists);
    vindex_free(ivf->coarse);
    ivf->lists = lists;
    ivf->coarse = coarse;
    return VINDEX_OK;
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

/* An untrained codec like the index's, to learn in its place: a failure must leave what is there.
 */
static vindex_status fresh_codec(const vx_ivf *ivf, vx_codec **codec) {
    vx_spec spec;
    const vx_index_kind *kind;
    VX_TRY(vx_spec_parse(ivf->base.spec, &spec, &kind));
    return vx_codec_create(spec.words + 1, spec.count - 1, ivf->base.dim, ivf->base.metric, codec);
}

/* Learns from n vectors. */
static vindex_status learn(vx_ivf *ivf, const float *vectors, size_t n,
                           const vx_kmeans_params *params) {
    vx_kmeans_report report;
    vx_codec *codec = NULL;
    float *centroids = vx_alloc(ivf->list_count, ivf->base.dim * sizeof *centroids);
    if (!centroids)
        return vx_fail_memory(ivf->list_count, ivf->base.dim * sizeof *centroids, "train");
    vindex_status status = vx_kmeans(vectors, n, ivf->base.dim, params, centroids, &report);
    if (status == VINDEX_OK && ivf->codec->ops->train) {
        status = fresh_codec(ivf, &codec);
        if (status == VINDEX_OK) status = codec->ops->train(codec, vectors, n, params->threads);
    }
    if (status == VINDEX_OK) status = vx_ivf_open_lists(ivf, centroids);
    if (status == VINDEX_OK) {
        vx_codec *old = codec ? ivf->codec : NULL;
        ivf->codec = codec ? codec : ivf->codec;
        codec = old;
        ivf->loss = report.loss;
    }
    vx_codec_free(codec);
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
    VX_TRY(vx_kmeans_sample(rows, &params, &sample, &owned, &count));
    vindex_status status = learn(ivf, sample, count, &params);
    vx_free(owned);
    return status;
}

static void keep_nearest(void *context, size_t query, const vx_hit *hits, size_t count) {
    uint32_t *nearest = context;
    nearest[query] = count ? (uint32_t)hits[0].id : 0;
}

vindex_status vx_ivf_assign(const vx_ivf *ivf, const float *vectors, size_t n,
                            const vindex_call *call, uint32_t *nearest) {
    enum { CHUNK = 1 << 16 };
    for (size_t first = 0; first < n; first += CHUNK) {
        vx_request request = {.queries = vectors + first * ivf->base.dim,
                              .query_count = VX_MIN(n - first, (size_t)CHUNK),
                              .k = 1,
                              .threads = vx_threads(call->threads),
                              .answer = keep_nearest,
                              .answer_context = nearest + first};
        VX_TRY(ivf->coarse->ops->search(ivf->coarse, &request));
        VX_TRY(vx_progress(call->progress, call->progress_context, "add",
                           0.9 * (double)first / (double)n));
    }
    return VINDEX_OK;
}
