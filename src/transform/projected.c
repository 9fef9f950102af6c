#include "projected.h"

#include <math.h>
#include <stdio.h>

#include "chain.h"

typedef struct projected {
    vindex_index base;
    vx_projection projection;
    vindex_transform *chain; /* NULL until trained */
    vindex_index *inner;     /* of the projected vectors; NULL until trained */
} projected;

/* ---- coming to be ---- */

static void release(vindex_index *index) {
    projected *p = (projected *)index;
    vindex_transform_free(p->chain);
    vindex_free(p->inner);
    vx_free(p);
}

static bool can_invert(const vindex_transform *chain);

/* What is left of the inner index's abilities: the weights of a search belong to dimensions that
 * are gone, and the nearest projected vectors need not be the nearest vectors. */
static void set_abilities(projected *p, const vindex_index *inner) {
    uint32_t lost = VINDEX_CAN_WEIGHT | VINDEX_IS_EXACT;
    if (!p->chain || !can_invert(p->chain)) lost |= VINDEX_CAN_RECONSTRUCT;
    p->base.capabilities = inner->capabilities & ~lost;
}

static vindex_status create_inner(const vx_projection *projection, int64_t dim,
                                  vindex_metric metric, vindex_index **inner) {
    return vindex_create(projection->inner, dim, metric, inner);
}

static const vx_index_ops projected_ops;

/* An index that is not trained; one of the inner kind is made to see whether that can be. */
static vindex_status make(const vx_projection *projection, size_t dim, vindex_metric metric,
                          projected **result) {
    vindex_index *inner;
    int64_t out = projection->dim > 0 ? projection->dim : (int64_t)dim;
    if (projection->ranked && metric == VINDEX_PEARSON)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "create: Rank keeps L2 distances, inner products and cosines, not Pearson "
                       "correlations; use another metric");
    VX_TRY(create_inner(projection, out, metric, &inner));
    projected *p = vx_alloc_zero(1, sizeof *p);
    if (!p) {
        vindex_free(inner);
        return vx_fail_memory(1, sizeof *p, "create");
    }
    p->base.ops = &projected_ops;
    p->base.dim = dim;
    p->base.metric = metric;
    p->projection = *projection;
    set_abilities(p, inner);
    int length =
        snprintf(p->base.spec, sizeof p->base.spec, "%s%s", projection->words, inner->spec);
    strcpy(p->projection.inner, inner->spec);
    vindex_free(inner);
    if (length >= (int)sizeof p->base.spec) {
        vx_free(p);
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: it has %d characters; the longest "
                       "allowed is %zu",
                       length, sizeof p->base.spec - 1);
    }
    *result = p;
    return VINDEX_OK;
}

/* Puts a chain and an empty index behind it in place. */
static vindex_status settle(projected *p, vindex_transform *chain) {
    vindex_index *inner;
    int64_t dim = vindex_transform_output_dim(chain);
    VX_TRY(create_inner(&p->projection, dim, p->base.metric, &inner));
    vindex_transform_free(p->chain);
    vindex_free(p->inner);
    p->chain = chain;
    p->inner = inner;
    set_abilities(p, inner);
    return VINDEX_OK;
}

void vx_projection_params(const vx_projection *projection, vindex_metric metric,
                          vx_projection_fit *fit) {
    /* Inner products and cosines are kept about the origin, not about the mean. */
    static const vindex_setting about_origin = {"pca.centre", "none"};
    vindex_fit_params_init(&fit->params);
    fit->params.settings = fit->settings;
    if (projection->ranked && metric != VINDEX_L2)
        fit->settings[fit->params.setting_count++] = about_origin;
    if (!projection->parts) return;
    snprintf(fit->parts, sizeof fit->parts, "%zu", projection->parts);
    snprintf(fit->bits, sizeof fit->bits, "%zu", projection->bits);
    fit->settings[fit->params.setting_count++] = (vindex_setting){"opq.parts", fit->parts};
    fit->settings[fit->params.setting_count++] = (vindex_setting){"opq.bits", fit->bits};
}

/* Learns the chain from rows; for one that learns nothing any row will do. */
static vindex_status learn(const projected *p, const vindex_rows *rows, const vindex_call *call,
                           vindex_transform **chain) {
    vindex_fit_data data;
    vx_projection_fit fit;
    vindex_fit_data_init(&data);
    vx_projection_params(&p->projection, p->base.metric, &fit);
    data.rows = *rows;
    fit.params.threads = call->threads;
    fit.params.progress = call->progress;
    fit.params.progress_context = call->progress_context;
    return vindex_fit(p->projection.methods, &data, &fit.params, chain);
}

static vindex_status learn_nothing(projected *p) {
    vindex_transform *chain;
    vindex_call call;
    vindex_call_init(&call);
    float *zeros = vx_alloc_zero(p->base.dim, sizeof *zeros);
    if (!zeros) return vx_fail_memory(p->base.dim, sizeof *zeros, "create");
    vindex_rows rows = {1, (int64_t)p->base.dim, zeros, NULL, NULL};
    vindex_status status = learn(p, &rows, &call, &chain);
    if (status == VINDEX_OK) {
        status = settle(p, chain);
        if (status != VINDEX_OK) vindex_transform_free(chain);
    }
    vx_free(zeros);
    return status;
}

static vindex_status create(const vx_spec *spec, size_t dim, vindex_metric metric,
                            vindex_index **index) {
    vx_projection projection;
    projected *p = NULL;
    VX_TRY(vx_projection_parse(spec, dim, &projection));
    if (projection.given)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: Transform stands for a transform that was given; use "
                       "vindex_index_with_transform");
    VX_TRY(make(&projection, dim, metric, &p));
    vindex_status status = projection.learns ? VINDEX_OK : learn_nothing(p);
    if (status == VINDEX_OK)
        *index = &p->base;
    else
        release(&p->base);
    return status;
}

vindex_status vindex_index_with_transform(const vindex_transform *transform, const char *text,
                                          vindex_metric metric, vindex_index **index) {
    vx_spec spec;
    const vx_index_kind *kind;
    vx_projection projection;
    char whole[128];
    if (!transform || !text || !index)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "index with transform: NULL; give a transform, a factory string and a place "
                       "for the index");
    if ((size_t)snprintf(whole, sizeof whole, "Transform,%s", text) >= sizeof whole)
        return vx_fail(VINDEX_ERR_ARGUMENT, "factory string: '%s' is too long; give fewer words",
                       text);
    if (!vindex_metric_name(metric))
        return vx_fail(VINDEX_ERR_ARGUMENT, "create: unknown metric %d", (int)metric);
    VX_TRY(vx_spec_parse(whole, &spec, &kind));
    VX_TRY(vx_projection_parse(&spec, (size_t)vindex_transform_input_dim(transform), &projection));
    vindex_transform *chain;
    projected *p = NULL;
    VX_TRY(vindex_transform_copy(transform, &chain));
    vindex_status status = make(&projection, (size_t)vindex_transform_input_dim(chain), metric, &p);
    if (status != VINDEX_OK) {
        vindex_transform_free(chain);
        return status;
    }
    status = settle(p, chain);
    if (status == VINDEX_OK) {
        *index = &p->base;
        return status;
    }
    vindex_transform_free(chain);
    release(&p->base);
    return status;
}

/* ---- projecting ---- */

/* n rows through the chain, to be freed with vx_free. */
static vindex_status project(const projected *p, const float *vectors, size_t n, int threads,
                             float **result) {
    size_t out = (size_t)vindex_transform_output_dim(p->chain), numbers, where;
    float *made = vx_mul(n, out, &numbers) ? vx_alloc(numbers, sizeof *made) : NULL;
    if (!made) return vx_fail_memory(n, out * sizeof *made, "projection");
    vindex_status status = vx_chain_apply(p->chain, vectors, n, made, threads);
    if (status == VINDEX_OK && !vx_all_finite(made, n * out, &where))
        status = vx_fail(VINDEX_ERR_DATA,
                         "projection: the numbers of vector %zu are too large for it; scale them",
                         where / out);
    if (status != VINDEX_OK) {
        vx_free(made);
        return status;
    }
    *result = made;
    return VINDEX_OK;
}

/* Rows as the inner index's training sees them. */
typedef struct source {
    const projected *p;
    const vindex_rows *rows;
    int threads;
} source;

static vindex_status read_projected(void *context, int64_t first, int64_t count, float *vectors) {
    const source *s = context;
    size_t in = s->p->base.dim;
    if (s->rows->vectors)
        return vx_chain_apply(s->p->chain, s->rows->vectors + (size_t)first * in, (size_t)count,
                              vectors, s->threads);
    float *room = vx_alloc((size_t)count * in, sizeof *room);
    if (!room) return vx_fail_memory((size_t)count, in * sizeof *room, "train");
    vindex_status status = s->rows->read(s->rows->context, first, count, room);
    if (status == VINDEX_OK)
        status = vx_chain_apply(s->p->chain, room, (size_t)count, vectors, s->threads);
    vx_free(room);
    return status;
}

static vindex_status train_inner(projected *p, const vindex_rows *rows, const vindex_call *call) {
    if (!p->inner->ops->train) return VINDEX_OK;
    source s = {p, rows, vx_threads(call->threads)};
    vindex_rows seen = {rows->count, (int64_t)p->inner->dim, NULL, read_projected, &s};
    return p->inner->ops->train(p->inner, &seen, call);
}

static vindex_status train(vindex_index *index, const vindex_rows *rows, const vindex_call *call) {
    projected *p = (projected *)index;
    if (p->inner && p->inner->ops->count(p->inner))
        return vx_fail(VINDEX_ERR_STATE,
                       "train: the index holds %zu vectors; train before the first is added",
                       p->inner->ops->count(p->inner));
    if (!p->projection.learns) return train_inner(p, rows, call);
    projected next = {.base = p->base, .projection = p->projection};
    vindex_transform *chain;
    VX_TRY(learn(p, rows, call, &chain));
    vindex_status status = settle(&next, chain);
    if (status != VINDEX_OK) {
        vindex_transform_free(chain);
        return status;
    }
    status = train_inner(&next, rows, call);
    if (status != VINDEX_OK) {
        vindex_transform_free(next.chain);
        vindex_free(next.inner);
        return status;
    }
    vindex_transform_free(p->chain);
    vindex_free(p->inner);
    *p = next;
    return VINDEX_OK;
}

static bool trained(const vindex_index *index) {
    const projected *p = (const projected *)index;
    return p->chain && vindex_is_trained(p->inner);
}

static vindex_status add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                         const vindex_call *call) {
    projected *p = (projected *)index;
    float *rows = NULL;
    VX_TRY(project(p, vectors, n, vx_threads(call->threads), &rows));
    vindex_status status = p->inner->ops->add(p->inner, rows, n, ids, call);
    vx_free(rows);
    return status;
}

typedef vindex_status (*search_fn)(const vindex_index *index, const vx_request *request);

static vindex_status pass_on(const projected *p, const vx_request *request, search_fn search) {
    vx_request inner = *request;
    float *queries = NULL;
    VX_TRY(project(p, request->queries, request->query_count, request->threads, &queries));
    inner.queries = queries;
    vindex_status status = search(p->inner, &inner);
    vx_free(queries);
    return status;
}

static vindex_status search(const vindex_index *index, const vx_request *request) {
    const projected *p = (const projected *)index;
    return pass_on(p, request, p->inner->ops->search);
}

static vindex_status range_search(const vindex_index *index, const vx_request *request) {
    const projected *p = (const projected *)index;
    return pass_on(p, request, p->inner->ops->range_search);
}

/* ---- the way back ---- */

/* OPQ's weights are a rotation where no dimension is lost. */
static bool is_orthogonal(const vx_step *step) {
    return step->kind == VINDEX_STEP_AFFINE && step->in == step->out &&
           !strcmp(step->method, "opq");
}

static bool can_invert(const vindex_transform *chain) {
    for (size_t i = 0; i < chain->step_count; i++) {
        const vx_step *step = &chain->steps[i];
        if (step->kind == VINDEX_STEP_ROTATION || is_orthogonal(step)) continue;
        if (step->kind != VINDEX_STEP_SCALE) return false;
        for (size_t j = 0; j < step->in; j++)
            if (step->scale[j] == 0) return false;
    }
    return true;
}

static vindex_status undo(const vx_step *step, const vx_kernels *kernels, float *vector,
                          float *spare) {
    if (step->kind == VINDEX_STEP_SCALE) {
        for (size_t j = 0; j < step->in; j++)
            vector[j] = vector[j] / step->scale[j] + step->shift[j];
        return VINDEX_OK;
    }
    if (step->kind == VINDEX_STEP_AFFINE) {
        for (size_t j = 0; j < step->in; j++) {
            double sum = 0;
            for (size_t i = 0; i < step->out; i++)
                sum += (double)step->weights[i * step->in + j] * (double)vector[i];
            spare[j] = (float)sum;
        }
        memcpy(vector, spare, step->in * sizeof *vector);
        return VINDEX_OK;
    }
    vx_rotation rotation;
    VX_TRY(vx_rotation_seeded(step->in, step->seed, &rotation));
    vx_rotation_undo(&rotation, kernels, vector);
    vx_rotation_free(&rotation);
    return VINDEX_OK;
}

static vindex_status reconstruct(const vindex_index *index, const int64_t *ids, size_t n,
                                 float *vectors) {
    const projected *p = (const projected *)index;
    if (!(index->capabilities & VINDEX_CAN_RECONSTRUCT))
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "reconstruct: an index '%s' keeps projected vectors, which cannot be "
                       "undone; keep the vectors yourself",
                       index->spec);
    VX_TRY(p->inner->ops->reconstruct(p->inner, ids, n, vectors));
    float *spare = vx_alloc(index->dim, sizeof *spare);
    if (!spare) return vx_fail_memory(index->dim, sizeof *spare, "reconstruct");
    vindex_status status = VINDEX_OK;
    for (size_t s = p->chain->step_count; s-- > 0;)
        for (size_t i = 0; status == VINDEX_OK && i < n; i++)
            status = undo(&p->chain->steps[s], p->chain->kernels, vectors + i * index->dim, spare);
    vx_free(spare);
    return status;
}

/* ---- the small verbs ---- */

static size_t count(const vindex_index *index) {
    const projected *p = (const projected *)index;
    return p->inner ? p->inner->ops->count(p->inner) : 0;
}

static size_t memory(const vindex_index *index) {
    const projected *p = (const projected *)index;
    size_t bytes = sizeof *p;
    if (p->chain) bytes += vindex_transform_memory(p->chain);
    return p->inner ? bytes + p->inner->ops->memory(p->inner) : bytes;
}

static vindex_status drop(vindex_index *index, const int64_t *ids, size_t n, size_t *removed) {
    projected *p = (projected *)index;
    if (!p->inner) return VINDEX_OK;
    if (!p->inner->ops->remove)
        return vx_fail(VINDEX_ERR_UNSUPPORTED, "remove: an index '%s' cannot do that", index->spec);
    return p->inner->ops->remove(p->inner, ids, n, removed);
}

static vindex_status reorder(vindex_index *index, const vindex_call *call) {
    projected *p = (projected *)index;
    return p->inner ? vindex_reorder(p->inner, call) : VINDEX_OK;
}

static vindex_status compact(vindex_index *index, const vindex_call *call) {
    projected *p = (projected *)index;
    return p->inner ? vindex_compact(p->inner, call) : VINDEX_OK;
}

/* Whether both hold the same numbers, or none. */
static bool same_numbers(const float *a, const float *b, size_t count) {
    return !a || !b ? a == b : !memcmp(a, b, count * sizeof *a);
}

static bool same_step(const vx_step *a, const vx_step *b) {
    size_t weights; /* of a step that exists: their product fits */
    return a->kind == b->kind && a->in == b->in && a->out == b->out && a->seed == b->seed &&
           vx_mul(a->in, a->out, &weights) && same_numbers(a->weights, b->weights, weights) &&
           same_numbers(a->bias, b->bias, a->out) && same_numbers(a->shift, b->shift, a->in) &&
           same_numbers(a->scale, b->scale, a->in);
}

static vindex_status merge(vindex_index *index, const vindex_index *from, const vindex_call *call) {
    projected *p = (projected *)index;
    const projected *other = (const projected *)from;
    bool same = p->chain->step_count == other->chain->step_count;
    for (size_t s = 0; same && s < p->chain->step_count; s++)
        same = same_step(&p->chain->steps[s], &other->chain->steps[s]);
    if (!same)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "merge: the two indexes project differently; train one, save it, and fill a "
                       "copy per shard");
    return vindex_merge(p->inner, other->inner, call);
}

static size_t knobs(const vindex_index *index, vx_knob *knobs) {
    const vindex_index *inner = ((const projected *)index)->inner;
    return inner && inner->ops->knobs ? inner->ops->knobs(inner, knobs) : 0;
}

static const vindex_index *inner(const vindex_index *index) {
    return ((const projected *)index)->inner;
}

static const vindex_transform *transform(const vindex_index *index) {
    return ((const projected *)index)->chain;
}

/* ---- files: the chain's sections, then the inner index's ---- */

static void describe(const vindex_index *index, vx_index_header *header) {
    const projected *p = (const projected *)index;
    p->inner->ops->describe(p->inner, header);
}

static uint32_t section_count(const vindex_index *index) {
    const projected *p = (const projected *)index;
    return VX_CHAIN_SECTIONS + p->inner->ops->section_count(p->inner);
}

static vindex_status save(const vindex_index *index, vx_container_writer *writer,
                          const vindex_call *call) {
    const projected *p = (const projected *)index;
    VX_TRY(vx_chain_save(p->chain, writer));
    return p->inner->ops->save(p->inner, writer, call);
}

/* How a file is to be opened. */
typedef struct opening {
    vx_container *file;
    bool map, verify;
} opening;

static vindex_status load_inner(projected *p, const vx_index_header *header, const opening *how) {
    vx_index_header inner = *header;
    vx_spec spec;
    const vx_index_kind *kind;
    inner.dim = (uint64_t)vindex_transform_output_dim(p->chain);
    strcpy(inner.spec, p->projection.inner);
    VX_TRY(vx_spec_parse(inner.spec, &spec, &kind));
    VX_TRY(kind->load(&spec, &inner, how->file, how->map, how->verify, &p->inner));
    p->inner->file = NULL; /* it is this index's */
    set_abilities(p, p->inner);
    return VINDEX_OK;
}

static vindex_status load_into(projected *p, const vx_index_header *header, const opening *how) {
    VX_TRY(vx_chain_load(how->file, &p->chain));
    int64_t in = vindex_transform_input_dim(p->chain);
    int64_t out = vindex_transform_output_dim(p->chain);
    if ((uint64_t)in != header->dim || (p->projection.dim > 0 && out != p->projection.dim))
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: its transform maps %lld numbers to %lld, which is not what '%s' of %llu "
            "numbers does; the file is damaged",
            vx_container_path(how->file), (long long)in, (long long)out, header->spec,
            (unsigned long long)header->dim);
    return load_inner(p, header, how);
}

static vindex_status load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                          bool map, bool verify, vindex_index **index) {
    vx_projection projection;
    projected *p = NULL;
    VX_TRY(vx_projection_parse(spec, header->dim, &projection));
    VX_TRY(make(&projection, header->dim, (vindex_metric)header->metric, &p));
    opening how = {file, map, verify};
    vindex_status status = load_into(p, header, &how);
    if (status != VINDEX_OK) {
        release(&p->base);
        return status;
    }
    p->base.file = file;
    *index = &p->base;
    return VINDEX_OK;
}

const vx_index_kind vx_projected_kind = {
    .word = "Transform",
    .help = "projections before another, as in PCA256,Flat (OPQn[_d] PCAn PCAWn ICAn GRPn Rank "
            "Standardise Centre Normalise Hadamard)",
    .begins = vx_is_projection_word,
    .create = create,
    .estimate = vx_projected_estimate,
    .build_estimate = vx_projected_build_estimate,
    .load = load,
};

static const vx_index_ops projected_ops = {
    .word = "Transform",
    .free = release,
    .count = count,
    .memory = memory,
    .trained = trained,
    .train = train,
    .add = add,
    .search = search,
    .range_search = range_search,
    .reconstruct = reconstruct,
    .remove = drop,
    .compact = compact,
    .reorder = reorder,
    .describe = describe,
    .section_count = section_count,
    .save = save,
    .transform = transform,
    .knobs = knobs,
    .inner = inner,
    .merge = merge,
};
