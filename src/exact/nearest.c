#include "nearest.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>

#include "sweep.h"
#include "worker.h"

enum {
    GROUP_BYTES = 1 << 20, /* of a group's queries in single precision: they stay in the cache */
    GROUP_LEAST = 12,
    GROUP_MOST = 2048,
    HITS_BYTES = 4 << 20 /* of a group's candidates */
};

typedef struct nearest_run {
    const vx_search_job *job;
    size_t k;
    vx_answer_fn answer;
    void *context;
    float largest_aux;
    size_t group_size;
    size_t rows;
    atomic_int status;
    atomic_size_t next, settled; /* next: the first query not taken */
} nearest_run;

/* One thread's, and what its pools are told. */
typedef struct nearest_part {
    const nearest_run *run;
    vx_group group;
    vx_sweep sweep;
    vx_pools pools;
    size_t first; /* query of the group, in the job */
    uint32_t *queries;
} nearest_part;

static bool admit(void *context, size_t query, uint64_t where) {
    const nearest_part *part = context;
    const vx_search_job *job = part->run->job;
    if (!job->ids && !job->self && !job->filter) return true;
    if (job->ids && !vx_ids_alive(job->ids, where)) return false;
    int64_t id = job->ids ? vx_ids_of(job->ids, where) : (int64_t)where;
    if (job->self && job->self[part->first + query] == id) return false;
    return !job->filter || vx_filter_allows(job->filter, id);
}

static int64_t id_of(void *context, uint64_t where) {
    const vx_ids *ids = ((const nearest_part *)context)->run->job->ids;
    return ids ? vx_ids_of(ids, where) : (int64_t)where;
}

static double settle(void *context, size_t query, uint64_t where) {
    const nearest_part *part = context;
    const vx_search_job *job = part->run->job;
    const vx_block *block = &job->blocks[where / job->block_rows];
    return vx_group_settle(&part->group, query,
                           (const char *)block->data +
                               where % job->block_rows * vx_space_stride(&job->space));
}

static vindex_status open_part(const nearest_run *run, nearest_part *part) {
    vx_pool_rows rows = {admit, id_of, settle, part, NULL};
    *part = (nearest_part){.run = run};
    part->queries = vx_alloc(run->group_size, sizeof *part->queries);
    if (!part->queries) return vx_fail_memory(run->group_size, sizeof *part->queries, "search");
    for (size_t q = 0; q < run->group_size; q++) part->queries[q] = (uint32_t)q;
    VX_TRY(vx_group_create(&run->job->space, run->group_size, false, &part->group));
    VX_TRY(vx_sweep_create(&part->group, &part->sweep));
    return vx_pools_create(&part->pools, &rows, run->group_size, run->k, 0);
}

static void close_part(nearest_part *part) {
    vx_pools_free(&part->pools);
    vx_sweep_free(&part->sweep);
    vx_group_free(&part->group);
    vx_free(part->queries);
}

/* Searches one block; progress is told span by span. */
static vindex_status search_block(nearest_part *part, size_t b, bool caller) {
    const nearest_run *run = part->run;
    const vx_search_job *job = run->job;
    size_t rows = job->blocks[b].count, span = vx_worker_span_rows(&job->space);
    size_t stride = vx_space_stride(&job->space);
    for (size_t start = 0; start < rows; start += span) {
        vx_block piece = {.data = (const char *)job->blocks[b].data + start * stride,
                          .aux = job->blocks[b].aux + start,
                          .count = VX_MIN(span, rows - start)};
        size_t row = b * job->block_rows + start;
        vx_sweep_rows(&part->sweep, &piece, row, &part->pools);
        double all = (double)run->rows * (double)job->query_count;
        double done = (double)run->rows * (double)part->first +
                      (double)(row + piece.count) * (double)part->group.count;
        if (caller) VX_TRY(vx_progress(job->progress, job->progress_context, "search", done / all));
    }
    return VINDEX_OK;
}

static vindex_status search_group(nearest_part *part, size_t count, bool caller) {
    const nearest_run *run = part->run;
    const vx_search_job *job = run->job;
    VX_TRY(vx_group_load(&part->group, job->queries + part->first * job->space.dim, count, 1));
    vx_sweep_begin(&part->sweep, run->largest_aux, &part->pools);
    vx_sweep_queries(&part->sweep, part->queries, count);
    for (size_t b = 0; b < job->block_count; b++) VX_TRY(search_block(part, b, caller));
    for (size_t q = 0; q < count; q++) {
        vx_pool_settle(&part->pools, q);
        vx_topk *top = &part->pools.each[q].top;
        size_t found = vx_topk_finish(top);
        run->answer(run->context, part->first + q, top->hits, found);
    }
    return VINDEX_OK;
}

/* Takes groups of queries until none is left; progress is told on the caller's thread alone. */
static void search_groups(nearest_run *run, bool caller) {
    const vx_search_job *job = run->job;
    nearest_part part;
    vindex_status status = open_part(run, &part);
    while (status == VINDEX_OK && atomic_load(&run->status) == VINDEX_OK) {
        part.first = atomic_fetch_add(&run->next, run->group_size);
        if (part.first >= job->query_count) break;
        size_t count = VX_MIN(run->group_size, job->query_count - part.first);
        status = search_group(&part, count, caller);
    }
    int none = VINDEX_OK;
    if (status != VINDEX_OK) atomic_compare_exchange_strong(&run->status, &none, (int)status);
    atomic_fetch_add(&run->settled, part.pools.settled);
    close_part(&part);
}

static size_t group_size_for(const vx_search_job *job, size_t k, int threads) {
    size_t size = GROUP_BYTES / (job->space.dim * sizeof(float));
    size = VX_MIN(size, HITS_BYTES / (4 * k * sizeof(vx_hit)));
    size = VX_MIN(VX_MAX(size, (size_t)GROUP_LEAST), (size_t)GROUP_MOST);
    return VX_MAX(VX_MIN(size, (job->query_count + (size_t)threads - 1) / (size_t)threads),
                  (size_t)1);
}

static int threads_for(const vx_search_job *job) {
    return (int)VX_MIN((size_t)job->threads, job->query_count / GROUP_LEAST + 1);
}

size_t vx_nearest_bytes(size_t dim, size_t queries, size_t k, int threads) {
    vx_search_job job = {.space = {.metric = VINDEX_L2, .dtype = VINDEX_F32, .dim = dim},
                         .query_count = queries,
                         .threads = threads};
    threads = threads_for(&job);
    vx_group group = {.space = job.space,
                      .kernels = vx_kernels_get(),
                      .capacity = group_size_for(&job, k, threads),
                      .padded = vx_padded(dim)};
    size_t each = vx_group_bytes(&job.space, group.capacity) + vx_sweep_bytes(&group) +
                  vx_pools_bytes(group.capacity, k) + group.capacity * sizeof(uint32_t);
    return (size_t)threads * each;
}

vindex_status vx_nearest(const vx_search_job *job, size_t k, vx_answer_fn answer, void *context) {
    nearest_run run = {.job = job, .k = k, .answer = answer, .context = context};
    int threads = threads_for(job);
    run.group_size = group_size_for(job, k, threads);
    for (size_t b = 0; b < job->block_count; b++) {
        run.rows += job->blocks[b].count;
        run.largest_aux =
            fmaxf(run.largest_aux, vx_aux_largest(job->blocks[b].aux, job->blocks[b].count));
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    search_groups(&run, omp_get_thread_num() == 0);
    int64_t pairs = (int64_t)(run.rows * job->query_count);
    if (job->stats)
        *job->stats = (vindex_search_stats){
            .plain = pairs,
            .settled = (int64_t)atomic_load(&run.settled),
            .bytes = (int64_t)((job->query_count + run.group_size - 1) / run.group_size * run.rows *
                               vx_space_stride(&job->space))};
    if (atomic_load(&run.status) == VINDEX_ERR_MEMORY)
        return vx_fail(VINDEX_ERR_MEMORY,
                       "search: no memory for %zu queries at once; give fewer per call or a "
                       "smaller k",
                       job->query_count);
    return (vindex_status)atomic_load(&run.status);
}
