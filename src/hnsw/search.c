/* Searching: a walk finds candidates by keys in single precision, and of those that might be among
 * the k best the true keys decide. Queries are shared out among threads; each is one walker's. */
#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "exact/search.h"
#include "hnsw.h"

enum {
    SHARE_SAMPLE = 1024, /* rows asked whether a filter lets them pass */
    SCAN_ROWS = 256,
    QUERIES_AT_ONCE = 4, /* that a thread takes, where it walks for one after the other */
    PASSED_ROOM = 3      /* in a plain walk's pool, for rows that are passed over: times ef */
};

typedef struct hnsw_run {
    const vx_hnsw *hnsw;
    const vx_request *request;
    size_t k, ef, room; /* room: of a walker's pool */
    bool some;          /* not every row may be answered */
    bool wide; /* so few may that a plain walk would fill up with others; or all in a radius */
    bool scan; /* so few may that comparing with each is less work */
    int threads;
    atomic_size_t next; /* the first query not taken */
    atomic_int status;
    atomic_llong compared, followed, settled;
} hnsw_run;

/* One thread's. */
typedef struct part {
    hnsw_run *run;
    vx_walker *walker; /* at work */
    vx_walker *crew[VX_WALKERS_MOST];
    size_t crew_count;
    bool caller; /* tells progress */
    vx_pools pools;
} part;

static bool allowed(const hnsw_run *run, uint32_t row) {
    const vx_ids *ids = &run->hnsw->ids;
    const vindex_filter *filter = run->request->filter;
    return vx_ids_alive(ids, row) && (!filter || vx_filter_allows(filter, vx_ids_of(ids, row)));
}

/* Pools get rows that were admitted already. */
static bool admit(void *context, size_t query, uint64_t where) {
    (void)context;
    (void)query;
    (void)where;
    return true;
}

static bool admit_row(void *context, uint32_t row) {
    return allowed(context, row);
}

static int64_t id_of(void *context, uint64_t where) {
    return vx_ids_of(&((const part *)context)->run->hnsw->ids, where);
}

static double settle(void *context, size_t query, uint64_t where) {
    (void)query;
    return vx_walker_settle(((const part *)context)->walker, (uint32_t)where);
}

static vindex_status open_part(hnsw_run *run, part *p) {
    vx_pool_rows rows = {admit, id_of, settle, p};
    size_t queries = run->request->query_count, threads = (size_t)run->threads;
    size_t walkers = VX_MIN(run->request->walkers, (size_t)VX_WALKERS_MOST);
    size_t wanted = run->wide ? 1 : VX_MIN((queries + threads - 1) / threads, walkers);
    for (; p->crew_count < wanted; p->crew_count++)
        VX_TRY(vx_walker_take(run->hnsw, run->room, &p->crew[p->crew_count]));
    p->walker = p->crew[0];
    VX_TRY(vx_walker_fit(p->walker, run->room, run->scan ? SCAN_ROWS : 0));
    return vx_pools_create(&p->pools, &rows, 1, run->k, run->request->radius_key);
}

static void close_part(part *p) {
    hnsw_run *run = p->run;
    for (size_t i = 0; i < p->crew_count; i++) {
        atomic_fetch_add(&run->compared, p->crew[i]->compared);
        atomic_fetch_add(&run->followed, p->crew[i]->followed);
        vx_walker_give(run->hnsw, p->crew[i]);
    }
    atomic_fetch_add(&run->settled, (long long)p->pools.settled);
    vx_pools_free(&p->pools);
}

/* The nodes that the walk was left with go to the pool, which settles what it must. */
static void settle_met(part *p, double most) {
    vx_walker *w = p->walker;
    float largest = w->pool_count ? vx_met_key(w->pool[w->pool_count - 1]) : 0;
    p->pools.found_count = 0;
    vx_pool_open(&p->pools, 0, 0, vx_walker_slack(w, largest));
    for (size_t i = 0; i < w->pool_count; i++) {
        float key = vx_met_key(w->pool[i]);
        uint32_t row = vx_met_slot(w->pool[i]);
        if ((double)key > most) break;
        if (w->admission && !allowed(p->run, row)) continue;
        if (!(key > p->pools.limits[0])) vx_pool_push(&p->pools, 0, key, row);
    }
    if (p->pools.k) vx_pool_settle(&p->pools, 0);
}

static int compare_found(const void *a, const void *b) {
    const vx_pool_found *x = a, *y = b;
    return vx_hit_before(x->hit, y->hit) ? -1 : vx_hit_before(y->hit, x->hit);
}

static vindex_status answer_range(const part *p, size_t query) {
    size_t count = p->pools.found_count;
    vx_hit *hits = vx_alloc(count, sizeof *hits);
    if (!hits) return vx_fail_memory(count, sizeof *hits, "range search");
    if (count) qsort(p->pools.found, count, sizeof *p->pools.found, compare_found);
    for (size_t i = 0; i < count; i++) hits[i] = p->pools.found[i].hit;
    p->run->request->answer(p->run->request->answer_context, query, hits, count);
    vx_free(hits);
    return VINDEX_OK;
}

static vindex_status answer(part *p, size_t query) {
    if (p->pools.status != VINDEX_OK) return p->pools.status;
    if (!p->run->k) return answer_range(p, query);
    vx_topk *top = &p->pools.each[0].top;
    size_t found = vx_topk_finish(top);
    p->run->request->answer(p->run->request->answer_context, query, top->hits, found);
    return VINDEX_OK;
}

/* Looks through all rows that may be answered. */
static void scan(part *p) {
    const hnsw_run *run = p->run;
    vx_walker *w = p->walker;
    uint32_t rows = (uint32_t)run->hnsw->rows.count;
    vx_walker_begin(w);
    for (uint32_t row = 0; row < rows;) {
        size_t count = 0;
        for (; row < rows && count < SCAN_ROWS; row++)
            if (allowed(run, row)) w->listed[count++] = row;
        if (count) vx_walker_keys(w, w->listed, count, w->keys);
        for (size_t i = 0; i < count; i++)
            vx_walker_keep(w, vx_met(w->keys[i], w->listed[i]), run->ef);
    }
}

/* Keys up to it may be within the radius. */
static double radius_limit(const part *p) {
    double radius = p->run->request->radius_key;
    return radius + vx_walker_slack(p->walker, (float)fabs(radius));
}

static vindex_status search_one(part *p, size_t query) {
    hnsw_run *run = p->run;
    const vx_hnsw *hnsw = run->hnsw;
    vx_walker *w = p->walker;
    double most = INFINITY;
    VX_TRY(vx_walker_load(w, run->request->queries + query * hnsw->base.dim));
    if (run->scan) {
        scan(p);
    } else {
        if (!run->k) most = radius_limit(p);
        vx_wide wide = {run->ef, run->k ? -INFINITY : most, {admit_row, run, 0}};
        VX_TRY(vx_walker_walk_wide(w, &hnsw->layers[0], vx_walker_descend(w, 0), &wide));
    }
    settle_met(p, most);
    return answer(p, query);
}

static void record(hnsw_run *run, vindex_status status) {
    int none = VINDEX_OK;
    if (status != VINDEX_OK) atomic_compare_exchange_strong(&run->status, &none, (int)status);
}

static vindex_status tell(const part *p, size_t done) {
    const vx_request *request = p->run->request;
    if (!p->caller) return VINDEX_OK;
    return vx_progress(request->progress, request->progress_context, "search",
                       (double)done / (double)request->query_count);
}

/* Takes queries one by one until none is left. */
static vindex_status search_each(part *p) {
    hnsw_run *run = p->run;
    while (atomic_load(&run->status) == VINDEX_OK) {
        size_t first = atomic_fetch_add(&run->next, QUERIES_AT_ONCE);
        size_t end = VX_MIN(first + QUERIES_AT_ONCE, run->request->query_count);
        if (first >= run->request->query_count) break;
        for (size_t q = first; q < end; q++) VX_TRY(search_one(p, q));
        VX_TRY(tell(p, end));
    }
    return VINDEX_OK;
}

/* The errand of a crew: a walker takes a query, walks for it, and settles what it was left with. */

static vindex_status begin_query(void *context, vx_walker *w, bool *more) {
    part *p = context;
    hnsw_run *run = p->run;
    *more = false;
    if (atomic_load(&run->status) != VINDEX_OK) return VINDEX_OK;
    w->task = atomic_fetch_add(&run->next, 1);
    if (w->task >= run->request->query_count) return VINDEX_OK;
    *more = true;
    w->wide = 0;
    if (w->task % 64 == 0) VX_TRY(tell(p, w->task));
    return vx_walker_load(w, run->request->queries + w->task * run->hnsw->base.dim);
}

static vindex_status fetch_met(void *context, vx_walker *w) {
    const vx_codec *codec = w->hnsw->codec;
    (void)context;
    for (size_t i = 0; codec->ops->fetch_fine && i < w->pool_count; i++)
        codec->ops->fetch_fine(codec, (vx_coded){&w->hnsw->rows, vx_met_slot(w->pool[i])});
    return VINDEX_OK;
}

static vindex_status finish_query(void *context, vx_walker *w) {
    part *p = context;
    p->walker = w;
    if (w->stuck) return search_one(p, w->task); /* by a wide walk */
    settle_met(p, INFINITY);
    return answer(p, w->task);
}

/* Progress is told on the caller's thread alone. */
static void search_queries(hnsw_run *run, bool caller) {
    part p = {.run = run, .caller = caller};
    const vx_admission some = {admit_row, run, run->room};
    const vx_errand errand = {.ef = run->ef,
                              .beam = VX_BEAM,
                              .admission = run->some ? &some : NULL,
                              .begin = begin_query,
                              .arrive = fetch_met,
                              .finish = finish_query,
                              .context = &p};
    vindex_status status = open_part(run, &p);
    if (status == VINDEX_OK)
        status = run->wide ? search_each(&p) : vx_crew_walk(p.crew, p.crew_count, &errand);
    if (status == VINDEX_OK && !run->wide) status = tell(&p, run->request->query_count);
    record(run, status);
    close_part(&p);
}

/* The share of rows that may be answered, by a sample. */
static double allowed_share(const hnsw_run *run) {
    size_t rows = run->hnsw->rows.count, sample = VX_MIN(rows, (size_t)SHARE_SAMPLE), passed = 0;
    for (size_t i = 0; i < sample; i++)
        passed += allowed(run, (uint32_t)((double)rows * ((double)i / (double)sample)));
    return (double)passed / (double)sample;
}

/* Whether comparing with all that may be answered takes less than walking until ef of them are
 * met. Asking whether one may costs a fraction of comparing; a callback's is unknown. */
static bool scanning_pays(const hnsw_run *run, double share) {
    const vx_hnsw *hnsw = run->hnsw;
    double rows = (double)hnsw->rows.count;
    double asking = run->request->filter && run->request->filter->allow ? 0.25 : 0.0625;
    double walking = (double)run->ef / share * (double)hnsw->layers[0].width / 4;
    return !(walking < rows * (share + asking));
}

/* How a search goes about its rows. */
static void choose_way(hnsw_run *run) {
    run->some = run->k && (run->request->filter || run->hnsw->ids.removed);
    run->wide = !run->k;
    if (!run->some) return;
    double share = allowed_share(run);
    run->scan = scanning_pays(run, share);
    run->wide = run->scan || share < 0.5;
    if (!run->wide) run->room += PASSED_ROOM * run->ef;
}

/* The sentence belongs to the thread that made the call, whichever thread failed. */
static vindex_status outcome(const hnsw_run *run) {
    vindex_status status = (vindex_status)atomic_load(&run->status);
    if (status == VINDEX_ERR_CANCELLED) return vx_fail(status, "search: cancelled by the caller");
    if (status == VINDEX_ERR_MEMORY)
        return vx_fail(status,
                       "search: no memory to walk the graph of %zu vectors in; give a "
                       "smaller k, ef or radius, or fewer threads",
                       run->hnsw->rows.count);
    return status;
}

static void answer_nothing(const vx_request *request) {
    for (size_t q = 0; q < request->query_count; q++)
        request->answer(request->answer_context, q, NULL, 0);
}

static vindex_status search(const vx_hnsw *hnsw, const vx_request *request, size_t k) {
    size_t rows = hnsw->rows.count, threads = (size_t)request->threads;
    hnsw_run run = {
        .hnsw = hnsw, .request = request, .k = k, .ef = VX_MIN(VX_MAX(request->ef, k), rows)};
    run.room = run.ef;
    run.threads =
        (int)VX_MIN(threads, (request->query_count + QUERIES_AT_ONCE - 1) / QUERIES_AT_ONCE);
    if (!rows) {
        answer_nothing(request);
        run.threads = 0;
    }
    if (rows) choose_way(&run);
    if (run.threads > 0) {
#pragma omp parallel num_threads(run.threads) if (run.threads > 1)
        search_queries(&run, omp_get_thread_num() == 0);
    }
    int64_t compared = atomic_load(&run.compared), followed = atomic_load(&run.followed);
    size_t row_bytes = hnsw->codec->ops->bytes(hnsw->codec, VX_CODEC_ROWS) / VX_CODEC_ROWS;
    if (request->stats)
        *request->stats = (vindex_search_stats){
            .plain = compared,
            .settled = atomic_load(&run.settled),
            .bytes = compared * (int64_t)row_bytes +
                     followed * (int64_t)(hnsw->layers[0].width * sizeof(uint32_t))};
    return outcome(&run);
}

vindex_status vx_hnsw_search(const vindex_index *index, const vx_request *request) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    pthread_rwlock_rdlock(hnsw->gate);
    size_t rows = VX_MAX(hnsw->rows.count, (size_t)1); /* room for no more than there can be */
    vindex_status status = search(hnsw, request, VX_MIN(request->k, rows));
    pthread_rwlock_unlock(hnsw->gate);
    return status;
}

vindex_status vx_hnsw_range_search(const vindex_index *index, const vx_request *request) {
    const vx_hnsw *hnsw = (const vx_hnsw *)index;
    pthread_rwlock_rdlock(hnsw->gate);
    vindex_status status = search(hnsw, request, 0);
    pthread_rwlock_unlock(hnsw->gate);
    return status;
}
