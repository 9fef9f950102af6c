/* The front door: every argument is checked here, once, before an index room does its work; and
 * here alone keys become the distances and similarities that callers see. */
#include <vindex/fields.h>
#include <vindex/index.h>

#include <math.h>
#include <stdatomic.h>

#include "points.h"
#include "simd/kernels.h"

static const vindex_field search_fields[] = {
    {"k", VINDEX_FIELD_INT64, offsetof(vindex_search_params, k), 1, INT32_MAX, 10,
     "neighbours per query"},
    {"threads", VINDEX_FIELD_INT32, offsetof(vindex_search_params, threads), 0, 1024, 0,
     "threads; 0 means every core the process may use"},
    {"nprobe", VINDEX_FIELD_INT64, offsetof(vindex_search_params, nprobe), 0, INT32_MAX, 0,
     "lists that an IVF index looks through; 0: 16, or what a recall wants"},
    {"recall", VINDEX_FIELD_DOUBLE, offsetof(vindex_search_params, recall), 0, 1, 0,
     "of a tuned index: the recall that is wanted; 0: as the parameters give"},
    {"ef", VINDEX_FIELD_INT64, offsetof(vindex_search_params, ef), 0, INT32_MAX, 0,
     "nodes that an HNSW index keeps at hand; 0: 64, or what a recall wants"},
    {"rerank", VINDEX_FIELD_INT64, offsetof(vindex_search_params, rerank), 0, INT32_MAX, 0,
     "candidates per neighbour that Refine looks at; 0: as many as a bound asks for, 10 behind "
     "product codes"},
    {"walkers", VINDEX_FIELD_INT64, offsetof(vindex_search_params, walkers), 0, VX_WALKERS_MOST, 0,
     "queries that a thread of an HNSW index walks for in turns; 0: 3, or what tuning found"},
};
static const vindex_field_table search_table = {"search", sizeof(vindex_search_params),
                                                search_fields, VX_COUNT(search_fields)};

const vindex_field_table *vindex_search_fields(void) {
    return &search_table;
}

void vindex_search_params_init_sized(vindex_search_params *params, size_t struct_size) {
    vindex_fields_init(&search_table, params, struct_size);
}

static vindex_status check_shape(int64_t dim, vindex_metric metric) {
    if (dim < 1 || dim > VX_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT, "create: dim is %lld; give 1 to %d", (long long)dim,
                       VX_DIM_MOST);
    if (!vindex_metric_name(metric))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "create: unknown metric %d; known are l2, ip, cosine and "
                       "pearson",
                       (int)metric);
    return VINDEX_OK;
}

vindex_status vindex_create(const char *text, int64_t dim, vindex_metric metric,
                            vindex_index **index) {
    vx_spec spec;
    const vx_index_kind *kind;
    if (!text || !index)
        return vx_fail(VINDEX_ERR_ARGUMENT, "create: NULL; give a factory string "
                                            "and a place for the index");
    VX_TRY(check_shape(dim, metric));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    VX_TRY(vx_spec_parse(text, &spec, &kind));
    return kind->create(&spec, (size_t)dim, metric, index);
}

static vindex_status check_estimate(const char *text, int64_t dim, int64_t n, const size_t *bytes,
                                    vx_spec *spec, const vx_index_kind **kind) {
    if (!text || !bytes) return vx_fail(VINDEX_ERR_ARGUMENT, "memory estimate: NULL argument");
    VX_TRY(check_shape(dim, VINDEX_L2));
    if (n < 0)
        return vx_fail(VINDEX_ERR_ARGUMENT, "memory estimate: n is %lld; give 0 or more",
                       (long long)n);
    return vx_spec_parse(text, spec, kind);
}

vindex_status vindex_memory_estimate(const char *text, int64_t dim, int64_t n, size_t *bytes) {
    vx_spec spec;
    const vx_index_kind *kind;
    VX_TRY(check_estimate(text, dim, n, bytes, &spec, &kind));
    return kind->estimate(&spec, (size_t)dim, (size_t)n, bytes);
}

vindex_status vindex_build_memory_estimate(const char *text, int64_t dim, int64_t n,
                                           int32_t threads, size_t *bytes) {
    vx_spec spec;
    const vx_index_kind *kind;
    VX_TRY(check_estimate(text, dim, n, bytes, &spec, &kind));
    if (threads < 0)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "memory estimate: threads is %d; give 0 for all cores or more",
                       (int)threads);
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    vx_building b = {.dim = (size_t)dim, .n = (size_t)n, .threads = vx_threads(threads)};
    VX_TRY(kind->build_estimate(&spec, &b));
    return vx_whole_bytes(VX_MAX(b.train, b.add), b.n, bytes);
}

void vindex_free(vindex_index *index) {
    if (!index) return;
    vx_container *file = index->file;
    vx_points_drop(index);
    index->ops->free(index);
    vx_container_close(file);
}

int64_t vindex_dim(const vindex_index *index) {
    return (int64_t)index->dim;
}
int64_t vindex_count(const vindex_index *index) {
    return (int64_t)index->ops->count(index);
}
vindex_metric vindex_metric_of(const vindex_index *index) {
    return index->metric;
}
const char *vindex_spec(const vindex_index *index) {
    return index->spec;
}
uint32_t vindex_capabilities(const vindex_index *index) {
    return index->capabilities;
}
size_t vindex_memory(const vindex_index *index) {
    return index->ops->memory(index) + index->point_count * sizeof *index->points;
}

bool vindex_is_trained(const vindex_index *index) {
    return !index->ops->trained || index->ops->trained(index);
}

static vindex_status unsupported(const vindex_index *index, const char *verb) {
    return vx_fail(VINDEX_ERR_UNSUPPORTED, "%s: an index '%s' cannot do that", verb, index->spec);
}

static vindex_status check_trained(const vindex_index *index, const char *verb) {
    if (vindex_is_trained(index)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_STATE, "%s: the index is not trained; call vindex_train first", verb);
}

/* Vectors that a call brings: there, countable, finite. */
static vindex_status check_vectors(const vindex_index *index, const char *verb,
                                   const float *vectors, int64_t n) {
    size_t numbers, bytes, where;
    if (!index) return vx_fail(VINDEX_ERR_ARGUMENT, "%s: the index is NULL", verb);
    if (n < 0 || (n > 0 && !vectors))
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %lld vectors at %s; give n >= 0 and the vectors",
                       verb, (long long)n, vectors ? "an address" : "NULL");
    if (!vx_mul((size_t)n, index->dim, &numbers) || !vx_mul(numbers, sizeof(float), &bytes))
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %lld vectors of %zu numbers fit no memory", verb,
                       (long long)n, index->dim);
    if (!vx_all_finite(vectors, numbers, &where))
        return vx_fail(
            VINDEX_ERR_DATA, "%s: vector %zu has %s in dimension %zu; remove or replace it", verb,
            where / index->dim, isnan(vectors[where]) ? "NaN" : "infinity", where % index->dim);
    return VINDEX_OK;
}

/* What was tuned before was another index. */
static vindex_status train(vindex_index *index, const vindex_rows *rows, const vindex_call *call) {
    if (!index->ops->train) return VINDEX_OK;
    VX_TRY(index->ops->train(index, rows, call));
    vx_points_drop(index);
    return VINDEX_OK;
}

vindex_status vindex_train(vindex_index *index, const float *vectors, int64_t n,
                           const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_vectors(index, "train", vectors, n));
    VX_TRY(vx_call_resolve(call, &resolved));
    vindex_rows rows = {n, (int64_t)index->dim, vectors, NULL, NULL};
    return train(index, &rows, &resolved);
}

vindex_status vindex_train_rows(vindex_index *index, const vindex_rows *rows,
                                const vindex_call *call) {
    vindex_call resolved;
    if (!index || !rows || rows->count < 0 || (!rows->vectors && !rows->read))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "train: NULL, or rows that neither lie in memory nor can be read; give an "
                       "index and rows");
    if (rows->dim != (int64_t)index->dim)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "train: the rows have %lld numbers and the index %zu; they must agree",
                       (long long)rows->dim, index->dim);
    VX_TRY(vx_call_resolve(call, &resolved));
    return train(index, rows, &resolved);
}

/* ids NULL: they count up. */
static vindex_status add(vindex_index *index, const float *vectors, int64_t n, const int64_t *ids,
                         const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_vectors(index, "add", vectors, n));
    VX_TRY(vx_call_resolve(call, &resolved));
    if (!index->ops->add) return unsupported(index, "add");
    VX_TRY(check_trained(index, "add"));
    VX_TRY(index->ops->add(index, vectors, (size_t)n, ids, &resolved));
    vx_points_age(index, n);
    return VINDEX_OK;
}

vindex_status vindex_add(vindex_index *index, const float *vectors, int64_t n,
                         const vindex_call *call) {
    return add(index, vectors, n, NULL, call);
}

vindex_status vindex_add_with_ids(vindex_index *index, const float *vectors, int64_t n,
                                  const int64_t *ids, const vindex_call *call) {
    if (n > 0 && !ids) return vx_fail(VINDEX_ERR_ARGUMENT, "add: ids is NULL; give n of them");
    return add(index, vectors, n, ids, call);
}

static vindex_status check_weights(const vindex_index *index, vindex_search_params *params,
                                   int64_t nq) {
    if (!params->weights) return VINDEX_OK;
    if (!params->weight_rows) params->weight_rows = 1;
    if (params->weight_rows != 1 && params->weight_rows != nq)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "search: weight_rows is %lld for %lld queries; give 1 or one per query",
                       (long long)params->weight_rows, (long long)nq);
    size_t count = (size_t)params->weight_rows * index->dim;
    for (size_t i = 0; i < count; i++)
        if (!(params->weights[i] >= 0 && isfinite(params->weights[i])))
            return vx_fail(VINDEX_ERR_DATA,
                           "search: weight %zu of row %zu is %g; weights are finite and at least 0",
                           i % index->dim, i / index->dim, (double)params->weights[i]);
    return VINDEX_OK;
}

static vindex_status check_filter(const vindex_filter *filter) {
    if (!filter) return VINDEX_OK;
    if (filter->bits && filter->allow)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "search: the filter has a bitset and a callback; give one of them");
    if (filter->bits && filter->bit_count < 0)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "search: the filter's bit_count is %lld; give 0 or more",
                       (long long)filter->bit_count);
    return VINDEX_OK;
}

/* Programs built before a field was there get its default. */
static void take_params(const vindex_search_params *given, vindex_search_params *params) {
    static const size_t earlier[] = {
        offsetof(vindex_search_params, nprobe), offsetof(vindex_search_params, recall),
        offsetof(vindex_search_params, ef), offsetof(vindex_search_params, rerank)};
    size_t known = VX_MIN(given->struct_size, sizeof *params);
    memcpy(params, given, VX_MAX(known, sizeof given->struct_size));
    for (size_t i = 0; i < VX_COUNT(earlier); i++)
        if (given->struct_size == earlier[i]) params->struct_size = sizeof *params;
}

/* Checks what a search was given and writes the request that an index room gets. */
static vindex_status make_request(const vindex_index *index, const float *queries, int64_t nq,
                                  const vindex_search_params *given, vx_request *request) {
    vindex_search_params params;
    VX_TRY(check_vectors(index, "search", queries, nq));
    VX_TRY(check_trained(index, "search"));
    vindex_search_params_init(&params);
    if (given) take_params(given, &params);
    VX_TRY(vindex_fields_check(&search_table, &params));
    VX_TRY(check_weights(index, &params, nq));
    VX_TRY(check_filter(params.filter));
    bool all = !params.filter || (!params.filter->bits && !params.filter->allow);
    *request = (vx_request){
        .queries = queries,
        .query_count = (size_t)nq,
        .k = (size_t)params.k,
        .rerank = (size_t)params.rerank,
        .threads = vx_threads(params.threads),
        .filter = all ? NULL : params.filter,
        .weights = params.weights,
        .weight_rows = (size_t)params.weight_rows,
        .progress = params.progress,
        .progress_context = params.progress_context,
        .stats = params.stats,
    };
    if (params.filter && !(index->capabilities & VINDEX_CAN_FILTER))
        return unsupported(index, "search with a filter");
    if (params.weights && !(index->capabilities & VINDEX_CAN_WEIGHT))
        return unsupported(index, "search in a subspace");
    return vx_points_apply(index, &params, request);
}

/* From a key, smaller is better, to what the metric promises. 0 - key, so that no -0 is shown. */
static float shown(vindex_metric metric, double key) {
    return (float)(metric == VINDEX_L2 ? key : 0 - key);
}

typedef struct neighbours {
    vindex_metric metric;
    size_t k;
    int64_t *ids;
    float *distances;
    atomic_llong lacking; /* queries with fewer than k */
} neighbours;

static void answer_neighbours(void *context, size_t query, const vx_hit *hits, size_t count) {
    neighbours *out = context;
    if (count < out->k) atomic_fetch_add(&out->lacking, 1);
    for (size_t i = 0; i < out->k; i++) {
        vx_hit hit = i < count ? hits[i] : (vx_hit){INFINITY, -1};
        if (out->ids) out->ids[query * out->k + i] = hit.id;
        if (out->distances) out->distances[query * out->k + i] = shown(out->metric, hit.key);
    }
}

vindex_status vindex_search(const vindex_index *index, const float *queries, int64_t nq,
                            const vindex_search_params *params, int64_t *ids, float *distances) {
    vx_request request;
    VX_TRY(make_request(index, queries, nq, params, &request));
    neighbours out = {index->metric, request.k, ids, distances, 0};
    request.answer = answer_neighbours;
    request.answer_context = &out;
    VX_TRY(index->ops->search(index, &request));
    if (request.stats) request.stats->lacking = atomic_load(&out.lacking);
    return VINDEX_OK;
}

/* A range search's answers arrive in any order, and their number is known only at the end. */
typedef struct ranges {
    vindex_metric metric;
    vx_hit **hits; /* per query, NULL while nothing was found */
    size_t *counts;
    size_t queries;
    atomic_bool failed;
} ranges;

static void answer_range(void *context, size_t query, const vx_hit *hits, size_t count) {
    ranges *out = context;
    if (!count) return;
    out->hits[query] = vx_alloc(count, sizeof *hits);
    if (!out->hits[query]) {
        atomic_store(&out->failed, true);
        return;
    }
    memcpy(out->hits[query], hits, count * sizeof *hits);
    out->counts[query] = count;
}

void vindex_range_result_free(vindex_range_result *result) {
    if (!result) return;
    vx_free(result->offsets);
    vx_free(result->ids);
    vx_free(result->distances);
    *result = (vindex_range_result){0};
}

static vindex_status gather_ranges(const ranges *out, vindex_range_result *result) {
    size_t total = 0;
    for (size_t q = 0; q < out->queries; q++) total += out->counts[q];
    vindex_range_result all = {.query_count = (int64_t)out->queries,
                               .offsets = vx_alloc(out->queries + 1, sizeof(int64_t)),
                               .ids = vx_alloc(total, sizeof(int64_t)),
                               .distances = vx_alloc(total, sizeof(float))};
    if (!all.offsets || !all.ids || !all.distances) {
        vindex_range_result_free(&all);
        return vx_fail_memory(total, 12, "range search: the result");
    }
    size_t at = 0;
    for (size_t q = 0; q < out->queries; q++) {
        all.offsets[q] = (int64_t)at;
        for (size_t i = 0; i < out->counts[q]; i++, at++) {
            all.ids[at] = out->hits[q][i].id;
            all.distances[at] = shown(out->metric, out->hits[q][i].key);
        }
    }
    all.offsets[out->queries] = (int64_t)at;
    *result = all;
    return VINDEX_OK;
}

vindex_status vindex_range_search(const vindex_index *index, const float *queries, int64_t nq,
                                  float radius, const vindex_search_params *params,
                                  vindex_range_result *result) {
    vx_request request;
    if (params && params->struct_size > offsetof(vindex_search_params, recall) &&
        params->recall > 0)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "range search: recall %.6g is what a search for k neighbours is tuned for; "
                       "give the parameters instead",
                       params->recall);
    VX_TRY(make_request(index, queries, nq, params, &request));
    if (!index->ops->range_search) return unsupported(index, "range search");
    if (isnan(radius) || !result)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "range search: %s; give a radius and a place for the "
                       "result",
                       result ? "the radius is NaN" : "the result is NULL");
    ranges out = {.metric = index->metric,
                  .hits = vx_alloc_zero((size_t)nq, sizeof(vx_hit *)),
                  .counts = vx_alloc_zero((size_t)nq, sizeof(size_t)),
                  .queries = (size_t)nq};
    vindex_status status = VINDEX_OK;
    if (!out.hits || !out.counts) {
        status = vx_fail_memory((size_t)nq, sizeof(vx_hit *) + sizeof(size_t), "range search");
    } else {
        request.radius_key = index->metric == VINDEX_L2 ? (double)radius : 0 - (double)radius;
        request.answer = answer_range;
        request.answer_context = &out;
        status = index->ops->range_search(index, &request);
        if (status == VINDEX_OK && atomic_load(&out.failed))
            status =
                vx_fail(VINDEX_ERR_MEMORY, "range search: no memory for the result; give fewer "
                                           "queries or a smaller radius");
        if (status == VINDEX_OK) status = gather_ranges(&out, result);
    }
    for (size_t q = 0; out.hits && q < out.queries; q++) vx_free(out.hits[q]);
    vx_free(out.hits);
    vx_free(out.counts);
    return status;
}

/* An index, and a list of n ids. */
static vindex_status check_ids(const vindex_index *index, const char *verb, const int64_t *ids,
                               int64_t n) {
    if (!index) return vx_fail(VINDEX_ERR_ARGUMENT, "%s: the index is NULL", verb);
    if (n < 0 || (n > 0 && !ids))
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %lld ids at %s; give n >= 0 and the ids", verb,
                       (long long)n, ids ? "an address" : "NULL");
    return VINDEX_OK;
}

vindex_status vindex_reconstruct(const vindex_index *index, const int64_t *ids, int64_t n,
                                 float *vectors) {
    VX_TRY(check_ids(index, "reconstruct", ids, n));
    if (n > 0 && !vectors)
        return vx_fail(VINDEX_ERR_ARGUMENT, "reconstruct: vectors is NULL; give room for n x dim");
    if (!index->ops->reconstruct) return unsupported(index, "reconstruct");
    return index->ops->reconstruct(index, ids, (size_t)n, vectors);
}

vindex_status vindex_remove(vindex_index *index, const int64_t *ids, int64_t n, int64_t *removed) {
    size_t count = 0;
    VX_TRY(check_ids(index, "remove", ids, n));
    if (!index->ops->remove) return unsupported(index, "remove");
    VX_TRY(index->ops->remove(index, ids, (size_t)n, &count));
    vx_points_age(index, (int64_t)count);
    if (removed) *removed = (int64_t)count;
    return VINDEX_OK;
}

vindex_status vindex_reorder(vindex_index *index, const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_ids(index, "reorder", NULL, 0));
    VX_TRY(vx_call_resolve(call, &resolved));
    if (!index->ops->reorder) return unsupported(index, "reorder");
    return index->ops->reorder(index, &resolved);
}

vindex_status vindex_compact(vindex_index *index, const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_ids(index, "compact", NULL, 0));
    VX_TRY(vx_call_resolve(call, &resolved));
    if (!index->ops->compact) return unsupported(index, "compact");
    return index->ops->compact(index, &resolved);
}

vindex_status vindex_merge(vindex_index *index, const vindex_index *from, const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_ids(index, "merge", NULL, 0));
    VX_TRY(check_ids(from, "merge", NULL, 0));
    VX_TRY(vx_call_resolve(call, &resolved));
    if (!index->ops->merge) return unsupported(index, "merge");
    if (index->dim != from->dim || index->metric != from->metric ||
        strcmp(index->spec, from->spec) != 0)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "merge: an index '%s' of %zu dimensions under %s and another '%s' of %zu "
                       "under %s; they must agree",
                       index->spec, index->dim, vindex_metric_name(index->metric), from->spec,
                       from->dim, vindex_metric_name(from->metric));
    VX_TRY(check_trained(index, "merge"));
    VX_TRY(check_trained(from, "merge"));
    size_t came = from->ops->count(from);
    if (index == from && came)
        return vx_fail(VINDEX_ERR_EXISTS, "merge: an index with itself; give two");
    if (!came) return VINDEX_OK;
    VX_TRY(index->ops->merge(index, from, &resolved));
    vx_points_age(index, (int64_t)came);
    return VINDEX_OK;
}

vindex_status vindex_tune(vindex_index *index, const float *queries, int64_t n,
                          const vindex_tune_params *params, const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_vectors(index, "tune", queries, n));
    VX_TRY(vx_call_resolve(call, &resolved));
    return vx_tune(index, queries, (size_t)n, params, &resolved);
}

vindex_status vindex_save(const vindex_index *index, const char *path, const vindex_call *call) {
    vindex_call resolved;
    VX_TRY(check_ids(index, "save", NULL, 0));
    if (!path) return vx_fail(VINDEX_ERR_ARGUMENT, "save: the path is NULL");
    VX_TRY(vx_call_resolve(call, &resolved));
    if (!index->ops->saves_untrained) VX_TRY(check_trained(index, "save"));
    vx_container_writer *writer;
    uint32_t sections = 1 + index->ops->section_count(index) + vx_points_saved(index);
    VX_TRY(vx_container_create(path, VX_KIND_INDEX, 0, sections, &writer));
    vx_index_header header = {.dim = index->dim, .metric = index->metric};
    strcpy(header.spec, index->spec);
    index->ops->describe(index, &header);
    vindex_status status = vx_index_header_save(writer, &header);
    if (status == VINDEX_OK) status = index->ops->save(index, writer, &resolved);
    if (status == VINDEX_OK && vx_points_saved(index)) status = vx_points_save(index, writer);
    if (status == VINDEX_OK) return vx_container_commit(writer);
    vx_container_abort(writer);
    return status;
}

const vindex_transform *vindex_index_transform(const vindex_index *index) {
    return index && index->ops->transform ? index->ops->transform(index) : NULL;
}

vindex_status vindex_load(const char *path, uint32_t flags, vindex_index **index) {
    if (!path || !index)
        return vx_fail(VINDEX_ERR_ARGUMENT, "load: NULL; give a path and a place for the index");
    if (flags & ~(uint32_t)(VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER))
        return vx_fail(VINDEX_ERR_ARGUMENT, "load: unknown flags 0x%x", (unsigned)flags);
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    vx_container *file;
    vindex_index *loaded = NULL;
    VX_TRY(vx_container_open(path, VX_KIND_INDEX, &file));
    bool verify = !(flags & VINDEX_LOAD_DEFER);
    vx_index_header header;
    vx_spec spec;
    const vx_index_kind *kind;
    vindex_status status = verify ? vx_container_verify(file, NULL) : VINDEX_OK;
    if (status == VINDEX_OK) status = vx_index_header_load(file, &header);
    if (status == VINDEX_OK) status = vx_spec_parse(header.spec, &spec, &kind);
    if (status == VINDEX_OK)
        status = kind->load(&spec, &header, file, flags & VINDEX_LOAD_MAP, verify, &loaded);
    if (status != VINDEX_OK) {
        vx_container_close(file);
        return status;
    }
    status = vx_points_load(loaded, file);
    if (status == VINDEX_OK)
        *index = loaded;
    else
        vindex_free(loaded);
    return status;
}

vindex_status vindex_verify(const vindex_index *index, const vindex_call *call) {
    VX_TRY(check_ids(index, "verify", NULL, 0));
    return index->file ? vx_container_verify(index->file, call) : VINDEX_OK;
}
