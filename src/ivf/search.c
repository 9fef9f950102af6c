/* Looking through lists. Many queries are sorted by the lists they ask for, so that a list is read
 * once for all of them; a few go through their lists from the nearest on, shared out among threads.
 * Hits have one total order, so it does not matter who looked at what. */
#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "exact/bound.h"
#include "exact/search.h"
#include "ivf.h"

enum {
    CHUNK_BYTES = 256 << 20, /* of all queries at hand */
    CHUNK_MOST = 1 << 16,    /* queries */
    FEW_QUERIES = 4,         /* per thread: these are not sorted by list */
    PIECE_ROWS = 1 << 14,    /* of a list that a thread looks through at once */
    SMALL_WORK = 1 << 18 /* multiplications below which a second thread costs more than it brings */
};

typedef struct ivf_run {
    const vx_ivf *ivf;
    const vx_request *request;
    size_t k, nprobe;
    int threads;
    size_t chunk;       /* queries that a part takes at once */
    atomic_size_t next; /* the first query not taken, or the next pair of shared ones */
    atomic_int status;
    atomic_llong pairs, settled, bytes;
} ivf_run;

/* One thread's. A pair is a query and one of its lists: number query x nprobe + rank. */
typedef struct part {
    ivf_run *run;
    vx_scorer *scorer;
    vx_pools pools;
    size_t first, count; /* queries */
    uint32_t *lists;     /* per pair */
    double *keys;        /* per pair the key of the centroid */
    uint32_t *pairs;     /* by list */
    size_t *ends;        /* per list its share of pairs */
    uint32_t *queries;   /* of the list at hand */
    double *norms;       /* per query its length; of inner products */
    int64_t judged, bytes;
} part;

static const vx_list *list_of(const part *p, uint64_t where) {
    return &p->run->ivf->lists[where >> 32];
}

/* A file may lie about its rows: those that are not there are not admitted. */
static bool admit(void *context, size_t query, uint64_t where) {
    const part *p = context;
    const vx_ids *ids = &p->run->ivf->ids;
    const vx_list *list = list_of(p, where);
    (void)query;
    if ((uint32_t)where < list->first) return false; /* another list's */
    uint32_t row = list->rows[(uint32_t)where];
    if (row >= ids->count || !vx_ids_alive(ids, row)) return false;
    const vindex_filter *filter = p->run->request->filter;
    return !filter || vx_filter_allows(filter, vx_ids_of(ids, row));
}

static int64_t id_of(void *context, uint64_t where) {
    const part *p = context;
    return vx_ids_of(&p->run->ivf->ids, list_of(p, where)->rows[(uint32_t)where]);
}

static double settle(void *context, size_t query, uint64_t where) {
    const part *p = context;
    return p->scorer->ops->settle(p->scorer, query,
                                  (vx_coded){&list_of(p, where)->run, (uint32_t)where});
}

static const vx_block *find_run(void *context, uint64_t where, size_t *at) {
    *at = (uint32_t)where;
    return &list_of(context, where)->run;
}

/* finds: it asks for the lists of its queries; sorts: and sorts them. Of threads that share queries
 * only one does the first and none the second. */
static vindex_status open_part(ivf_run *run, bool finds, bool sorts, part *p) {
    vx_pool_rows rows = {admit, id_of, settle, p, find_run};
    size_t pairs = run->chunk * run->nprobe;
    *p = (part){.run = run};
    if (finds) p->lists = vx_alloc(pairs, sizeof *p->lists);
    if (finds) p->keys = vx_alloc(pairs, sizeof *p->keys);
    if (sorts) p->pairs = vx_alloc(pairs, sizeof *p->pairs);
    if (sorts) p->ends = vx_alloc(run->ivf->list_count, sizeof *p->ends);
    p->queries = vx_alloc(run->chunk, sizeof *p->queries);
    p->norms = vx_alloc(run->chunk, sizeof *p->norms);
    if ((finds && (!p->lists || !p->keys)) || (sorts && (!p->pairs || !p->ends)) || !p->queries ||
        !p->norms)
        return vx_fail_memory(pairs, 2 * sizeof(uint32_t) + sizeof(double), "search");
    VX_TRY(run->ivf->codec->ops->score(run->ivf->codec, run->chunk, &p->scorer));
    VX_TRY(vx_pools_create(&p->pools, &rows, run->chunk, run->k, run->request->radius_key));
    p->pools.rerank = run->request->rerank;
    p->pools.rows_most = run->ivf->ids.count;
    return VINDEX_OK;
}

static void close_part(part *p) {
    atomic_fetch_add(&p->run->pairs, p->judged);
    atomic_fetch_add(&p->run->settled, (long long)p->pools.settled);
    atomic_fetch_add(&p->run->bytes, p->bytes);
    vx_pools_free(&p->pools);
    if (p->scorer) p->scorer->ops->free(p->scorer);
    vx_free(p->lists);
    vx_free(p->keys);
    vx_free(p->pairs);
    vx_free(p->ends);
    vx_free(p->queries);
    vx_free(p->norms);
}

static bool is_among(const uint32_t *lists, size_t count, uint32_t list) {
    for (size_t i = 0; i < count; i++)
        if (lists[i] == list) return true;
    return false;
}

/* Every query gets nprobe lists, none twice. A coarse index gives them all, unless a damaged file
 * lied about its graph; then others follow, with keys that rule nothing out. */
static void keep_lists(void *context, size_t query, const vx_hit *hits, size_t count) {
    part *p = context;
    size_t nprobe = p->run->nprobe, kept = 0;
    uint32_t *lists = p->lists + query * nprobe;
    double *keys = p->keys + query * nprobe;
    for (size_t r = 0; r < VX_MIN(count, nprobe); r++) {
        if (hits[r].id < 0 || (uint64_t)hits[r].id >= p->run->ivf->list_count) continue;
        lists[kept] = (uint32_t)hits[r].id;
        keys[kept++] = hits[r].key;
    }
    for (uint32_t l = 0; kept < nprobe; l++) {
        if (is_among(lists, kept, l)) continue;
        lists[kept] = l;
        keys[kept++] = 0;
    }
}

/* Finds the lists of `count` queries from `first` on. */
static vindex_status find_lists(part *p, size_t first, size_t count, int threads) {
    const vindex_index *coarse = p->run->ivf->coarse;
    vx_request request = {.queries = p->run->request->queries + first * coarse->dim,
                          .query_count = count,
                          .k = p->run->nprobe,
                          .ef = p->run->request->ef,
                          .walkers = VX_WALKERS,
                          .threads = threads,
                          .answer = keep_lists,
                          .answer_context = p};
    p->first = first;
    p->count = count;
    if (!p->run->ivf->alone) return coarse->ops->search(coarse, &request);
    for (size_t q = 0; q < count; q++) keep_lists(p, q, &(vx_hit){0, 0}, 1);
    return VINDEX_OK;
}

static vindex_status load_queries(part *p, size_t first, size_t count) {
    const vx_ivf *ivf = p->run->ivf;
    const float *queries = p->run->request->queries + first * ivf->base.dim;
    vx_space space = {.metric = ivf->base.metric, .dtype = VINDEX_F32, .dim = ivf->base.dim};
    p->first = first;
    p->count = count;
    p->pools.found_count = 0;
    for (size_t q = 0; space.metric == VINDEX_INNER_PRODUCT && q < count; q++)
        p->norms[q] =
            sqrt(vx_measure_row(&space, ivf->codec->kernels, queries + q * space.dim).square);
    return p->scorer->ops->load(p->scorer, queries, count, ivf->largest, &p->pools);
}

/* No row of a list is nearer to the query than its centroid less the list's radius, be that a
 * length or an angle: the least key that it can have. */
static double least_key(const part *p, size_t query, const vx_list *list, double centroid_key) {
    vindex_metric metric = p->run->ivf->base.metric;
    double radius = (double)list->radius;
    if (metric == VINDEX_L2) {
        double gap = sqrt(centroid_key) * (1 - 0x1p-40) - radius;
        return gap > 0 ? gap * gap * (1 - 0x1p-40) : -INFINITY;
    }
    bool products = metric == VINDEX_INNER_PRODUCT;
    double norm = products ? p->norms[query] : 1;
    /* Centroids have length 1 where inner products are compared, in single precision. */
    double near = -centroid_key / norm + (products ? 0x1p-20 : VX_IVF_ANGLE_SLACK);
    if (!(near < 1 - radius)) return -INFINITY;
    double most = near * (1 - radius) + sqrt(fmax(1 - near * near, 0) * radius * (2 - radius)) +
                  VX_IVF_ANGLE_SLACK;
    return products ? -norm * (double)list->longest * fmax(most, 0) * (1 + 0x1p-30) : -most;
}

/* Whether a list can hold an answer. */
static bool worth(const part *p, size_t query, const vx_list *list, double centroid_key) {
    const vx_pool *pool = &p->pools.each[query];
    if (!vx_list_size(list)) return false;
    return !(least_key(p, query, list, centroid_key) - pool->offset - pool->slack >
             (double)p->pools.limits[query]);
}

/* Rows first ... first+count-1 of a run; first is a multiple of VX_CODEC_ROWS. */
static vx_block piece_of(const vx_codec *codec, const vx_block *run, size_t first, size_t count) {
    vx_block piece = *run;
    piece.data = (const char *)run->data + codec->ops->bytes(codec, first);
    if (run->fine) piece.fine = (char *)run->fine + vx_codec_fine_bytes(codec, first);
    piece.aux = run->aux + first;
    piece.count = count;
    return piece;
}

/* Looks through a piece of list l for the `count` queries in p->queries. */
static void scan_piece(part *p, size_t l, size_t first, size_t count) {
    const vx_ivf *ivf = p->run->ivf;
    const vx_block *run = &ivf->lists[l].run;
    size_t rows = VX_MIN(run->count - first, (size_t)PIECE_ROWS);
    vx_block piece = piece_of(ivf->codec, run, first, rows);
    p->scorer->ops->choose(p->scorer, p->queries, count);
    p->scorer->ops->scan(p->scorer, &piece, (uint64_t)l << 32 | first, &p->pools);
    size_t foreign = first ? 0 : ivf->lists[l].first;
    p->judged += (int64_t)((rows - foreign) * count);
    p->bytes += (int64_t)ivf->codec->ops->bytes(ivf->codec, rows);
}

/* Sorts the pairs of ranks first ... last-1 by list. */
static void sort_pairs(part *p, size_t first, size_t last) {
    size_t nprobe = p->run->nprobe, lists = p->run->ivf->list_count;
    memset(p->ends, 0, lists * sizeof *p->ends);
    for (size_t q = 0; q < p->count; q++)
        for (size_t r = first; r < last; r++) p->ends[p->lists[q * nprobe + r]]++;
    for (size_t l = 0, start = 0; l < lists; l++) {
        size_t size = p->ends[l];
        p->ends[l] = start;
        start += size;
    }
    for (size_t q = 0; q < p->count; q++)
        for (size_t r = first; r < last; r++)
            p->pairs[p->ends[p->lists[q * nprobe + r]]++] = (uint32_t)(q * nprobe + r);
}

/* Looks through those lists, each for all queries that ask for it. */
static vindex_status scan_pairs(part *p, size_t first, size_t last, bool caller) {
    const vx_request *request = p->run->request;
    const vx_ivf *ivf = p->run->ivf;
    sort_pairs(p, first, last);
    for (size_t l = 0, i = 0; l < ivf->list_count; l++) {
        size_t count = 0;
        for (; i < p->ends[l]; i++) {
            uint32_t query = p->pairs[i] / (uint32_t)p->run->nprobe;
            if (worth(p, query, &ivf->lists[l], p->keys[p->pairs[i]])) p->queries[count++] = query;
        }
        if (!count) continue;
        for (size_t at = 0; at < ivf->lists[l].run.count; at += PIECE_ROWS) {
            scan_piece(p, l, at, count);
            if (atomic_load(&p->run->status) != VINDEX_OK) return VINDEX_OK; /* recorded already */
        }
        double share = (double)(l + 1) / (double)ivf->list_count;
        share = first ? 0.2 + 0.8 * share : 0.2 * share;
        if (caller && request->progress)
            VX_TRY(vx_progress(request->progress, request->progress_context, "search",
                               ((double)p->first + (double)p->count * share) /
                                   (double)request->query_count));
    }
    return VINDEX_OK;
}

/* Hits of a range search by query, and best first. */
static int compare_found(const void *a, const void *b) {
    const vx_pool_found *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    return vx_hit_before(x->hit, y->hit) ? -1 : vx_hit_before(y->hit, x->hit);
}

static vindex_status answer_range(part *p) {
    vx_pool_found *found = p->pools.found;
    size_t count = p->pools.found_count, i = 0;
    if (count) qsort(found, count, sizeof *found, compare_found);
    vx_hit *hits = vx_alloc(count, sizeof *hits);
    if (!hits) return vx_fail_memory(count, sizeof *hits, "range search");
    for (size_t j = 0; j < count; j++) hits[j] = found[j].hit;
    for (size_t q = 0; q < p->count; q++) {
        size_t start = i;
        while (i < count && found[i].query == q) i++;
        p->run->request->answer(p->run->request->answer_context, p->first + q, hits + start,
                                i - start);
    }
    vx_free(hits);
    return VINDEX_OK;
}

static void finish(part *p, size_t query) {
    if (p->scorer->ops->finish) p->scorer->ops->finish(p->scorer, query, &p->pools);
    if (p->run->k) vx_pool_settle(&p->pools, query);
}

static vindex_status answer(part *p) {
    if (p->pools.status != VINDEX_OK) return p->pools.status;
    if (!p->run->k) return answer_range(p);
    for (size_t q = 0; q < p->count; q++) {
        vx_topk *top = &p->pools.each[q].top;
        size_t found = vx_topk_finish(top);
        p->run->request->answer(p->run->request->answer_context, p->first + q, top->hits, found);
    }
    return VINDEX_OK;
}

static void record(ivf_run *run, vindex_status status) {
    int none = VINDEX_OK;
    if (status != VINDEX_OK) atomic_compare_exchange_strong(&run->status, &none, (int)status);
}

/* The nearest list of each query comes first, since it gives the limits that rule out the rest. */
static vindex_status search_chunk(part *p, size_t first, bool caller) {
    size_t count = VX_MIN(p->run->chunk, p->run->request->query_count - first);
    VX_TRY(find_lists(p, first, count, 1));
    VX_TRY(load_queries(p, first, count));
    VX_TRY(scan_pairs(p, 0, 1, caller));
    VX_TRY(scan_pairs(p, 1, p->run->nprobe, caller));
    if (atomic_load(&p->run->status) != VINDEX_OK) return VINDEX_OK;
    for (size_t q = 0; q < count; q++) finish(p, q);
    return answer(p);
}

/* Many queries: each thread takes chunks of them. */
static void search_chunks(ivf_run *run, bool caller) {
    part p;
    vindex_status status = open_part(run, true, true, &p);
    while (status == VINDEX_OK && atomic_load(&run->status) == VINDEX_OK) {
        size_t first = atomic_fetch_add(&run->next, run->chunk);
        if (first >= run->request->query_count) break;
        status = search_chunk(&p, first, caller);
    }
    record(run, status);
    close_part(&p);
}

/* Pieces of the longest list. */
static size_t most_pieces(const vx_ivf *ivf) {
    size_t most = 1;
    for (size_t l = 0; l < ivf->list_count; l++) most = VX_MAX(most, ivf->lists[l].run.count);
    return (most + PIECE_ROWS - 1) / PIECE_ROWS;
}

/* Asks memory for the beginning of a list: from there on it is read forward. */
static void fetch_list(const vx_list *list) {
    enum { FETCHED = 512 };
    if (!vx_list_size(list)) return;
    vx_fetch(list->run.data, FETCHED);
    vx_fetch(list->run.aux, FETCHED / 4);
}

/* Takes pieces of pairs, nearest lists first, until none is left. found: the part that knows the
 * lists. */
static void scan_shared(part *p, const part *found, bool caller) {
    ivf_run *run = p->run;
    const vx_request *request = run->request;
    size_t pieces = most_pieces(run->ivf), total = found->count * run->nprobe * pieces;
    while (atomic_load(&run->status) == VINDEX_OK) {
        size_t i = atomic_fetch_add(&run->next, 1);
        if (i >= total) break;
        size_t query = i / pieces % found->count, first = i % pieces * PIECE_ROWS;
        size_t pair = query * run->nprobe + i / pieces / found->count, l = found->lists[pair];
        if (found->count == 1 && i / pieces + 1 < run->nprobe)
            fetch_list(&run->ivf->lists[found->lists[pair + 1]]);
        if (first >= run->ivf->lists[l].run.count) continue;
        if (!worth(p, query, &run->ivf->lists[l], found->keys[pair])) continue;
        p->queries[0] = (uint32_t)query;
        scan_piece(p, l, first, 1);
        if (caller && request->progress)
            record(run, vx_progress(request->progress, request->progress_context, "search",
                                    (double)(i + 1) / (double)total));
    }
    for (size_t q = 0; q < p->count; q++) finish(p, q);
    record(run, p->pools.status);
}

/* Brings what the other parts found to the first. */
static vindex_status merge_parts(part *parts, int count) {
    vx_pools *all = &parts[0].pools;
    for (int t = 1; t < count; t++) {
        const vx_pools *other = &parts[t].pools;
        for (size_t q = 0; all->k && q < parts[0].count; q++)
            for (size_t i = 0; i < other->each[q].top.count; i++)
                vx_topk_push(&all->each[q].top, other->each[q].top.hits[i]);
        void *found = all->found;
        size_t total = all->found_count + other->found_count;
        if (!vx_grow(&found, &all->found_capacity, total, sizeof *all->found))
            return vx_fail_memory(total, sizeof *all->found, "range search");
        all->found = found;
        if (other->found_count)
            memcpy(all->found + all->found_count, other->found,
                   other->found_count * sizeof *all->found);
        all->found_count = total;
    }
    return VINDEX_OK;
}

/* A few queries: all threads share their lists. */
static void search_shared(ivf_run *run) {
    part *parts = vx_alloc_zero((size_t)run->threads, sizeof *parts);
    vindex_status status = parts ? VINDEX_OK : vx_fail_memory(1, sizeof *parts, "search: threads");
    size_t queries = run->request->query_count;
    int opened = 0;
    for (; status == VINDEX_OK && opened < run->threads; opened++) {
        status = open_part(run, !opened, false, &parts[opened]);
        if (status == VINDEX_OK) status = load_queries(&parts[opened], 0, queries);
    }
    if (status == VINDEX_OK) status = find_lists(&parts[0], 0, queries, run->threads);
    record(run, status);
    if (status == VINDEX_OK) {
#pragma omp parallel num_threads(run->threads) if (run->threads > 1)
        scan_shared(&parts[omp_get_thread_num()], &parts[0], omp_get_thread_num() == 0);
        if (atomic_load(&run->status) == VINDEX_OK) status = merge_parts(parts, run->threads);
        if (atomic_load(&run->status) == VINDEX_OK && status == VINDEX_OK)
            status = answer(&parts[0]);
        record(run, status);
    }
    for (int t = 0; t < opened; t++) close_part(&parts[t]);
    vx_free(parts);
}

/* The sentence belongs to the thread that made the call, whichever thread failed. */
static vindex_status outcome(const ivf_run *run) {
    vindex_status status = (vindex_status)atomic_load(&run->status);
    if (status == VINDEX_ERR_CANCELLED) return vx_fail(status, "search: cancelled by the caller");
    if (status == VINDEX_ERR_MEMORY)
        return vx_fail(status,
                       "search: no memory for %zu queries at once; give fewer per call, a "
                       "smaller k, nprobe or radius",
                       run->request->query_count);
    return status;
}

/* Queries that all threads together may have at hand, shared out. */
static size_t chunk_for(const ivf_run *run) {
    size_t queries = run->request->query_count, threads = (size_t)run->threads;
    size_t each = vx_padded(run->ivf->base.dim) * (3 * sizeof(float) + sizeof(double)) +
                  run->nprobe * (2 * sizeof(uint32_t) + sizeof(double)) +
                  2 * vx_topk_capacity(run->k) * sizeof(vx_hit) + sizeof(double) +
                  run->ivf->codec->query_bytes;
    if (run->ivf->codec->coarse)
        each += vx_shortlist_bytes(run->k, run->request->rerank, run->ivf->ids.count);
    size_t chunk = VX_MIN(CHUNK_BYTES / each / threads, (size_t)CHUNK_MOST);
    chunk = VX_MIN(chunk, UINT32_MAX / run->nprobe);
    return VX_MAX(VX_MIN(chunk, (queries + threads - 1) / threads), (size_t)1);
}

static vindex_status search(const vx_ivf *ivf, const vx_request *request, size_t k) {
    ivf_run run = {.ivf = ivf,
                   .request = request,
                   .k = k,
                   .nprobe = VX_MIN(request->nprobe, ivf->list_count),
                   .threads = request->threads};
    if (!ivf->coarse)
        return vx_fail(VINDEX_ERR_STATE, "search: the index is not trained; call vindex_train");
    double rows = (double)ivf->ids.count * (double)run.nprobe / (double)ivf->list_count;
    if (rows * (double)ivf->base.dim * (double)request->query_count < SMALL_WORK) run.threads = 1;
    /* Candidates by a factor are those of all lists together. */
    bool apart = request->rerank && ivf->codec->coarse;
    bool shared = !apart && request->query_count <= FEW_QUERIES * (size_t)run.threads;
    run.chunk = shared ? VX_MAX(request->query_count, (size_t)1) : chunk_for(&run);
    if (shared && request->query_count) search_shared(&run);
    if (!shared) {
#pragma omp parallel num_threads(run.threads) if (run.threads > 1)
        search_chunks(&run, omp_get_thread_num() == 0);
    }
    if (request->stats)
        *request->stats = (vindex_search_stats){.plain = atomic_load(&run.pairs),
                                                .settled = atomic_load(&run.settled),
                                                .bytes = atomic_load(&run.bytes)};
    return outcome(&run);
}

vindex_status vx_ivf_search(const vindex_index *index, const vx_request *request) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    size_t rows = VX_MAX(ivf->ids.count, (size_t)1); /* room for no more than there can be */
    return search(ivf, request, VX_MIN(request->k, rows));
}

vindex_status vx_ivf_range_search(const vindex_index *index, const vx_request *request) {
    return search((const vx_ivf *)index, request, 0);
}
