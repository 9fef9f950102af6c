#include "row.h"

#include <math.h>

vindex_status vx_row_create(const vx_eval_job *job, vx_row *row) {
    size_t most = 0;
    for (size_t q = 0; q < job->query_count; q++) most = VX_MAX(most, job->relevant[q]);
    *row = (vx_row){
        .hits = vx_alloc(most, sizeof *row->hits),
        .ranks = vx_alloc(most, sizeof *row->ranks),
        .before = vx_alloc(most + 1, sizeof *row->before),
        .tied = vx_alloc(most, sizeof *row->tied),
        .nearest = vx_alloc(vx_topk_capacity(vx_eval_nearest(job)), sizeof *row->nearest),
    };
    if (row->hits && row->ranks && row->before && row->tied && row->nearest) return VINDEX_OK;
    vx_row_free(row);
    return vx_fail_memory(most + vx_eval_nearest(job), sizeof(vx_hit), "eval: a row of keys");
}

void vx_row_free(vx_row *row) {
    vx_free(row->hits);
    vx_free(row->ranks);
    vx_free(row->before);
    vx_free(row->tied);
    vx_free(row->nearest);
    *row = (vx_row){0};
}

static bool left_out(const vx_eval_job *job, size_t query, size_t candidate, double key) {
    return isnan(key) || (job->square && candidate == query);
}

/* How many of the sorted hits rank before `hit` or are it. */
static size_t place(const vx_hit *hits, size_t count, vx_hit hit) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (vx_hit_before(hit, hits[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The relevant candidates that are ranked, best first; answers how many. */
static size_t find_hits(const vx_eval_job *job, vx_row *row, size_t query, const double *keys) {
    size_t count = 0;
    vx_eval_relevant(job, query, row->ranks);
    for (size_t i = 0; i < job->relevant[query]; i++) {
        int64_t candidate = row->ranks[i];
        if (!isnan(keys[candidate])) row->hits[count++] = (vx_hit){keys[candidate], candidate};
    }
    vx_hits_sort(row->hits, count);
    return count;
}

void vx_row_rank(vx_eval_job *job, vx_row *row, size_t query, const double *keys) {
    size_t count = find_hits(job, row, query, keys), others = 0, before = 0;
    int64_t tied = 0;
    if (!count) return;
    memset(row->before, 0, (count + 1) * sizeof *row->before);
    memset(row->tied, 0, count * sizeof *row->tied);
    for (size_t c = 0; c < job->candidate_count; c++) {
        vx_hit hit = {.key = keys[c], .id = (int64_t)c};
        if (left_out(job, query, c, hit.key)) continue;
        others++;
        if (hit.key > row->hits[count - 1].key) continue;
        size_t at = place(row->hits, count, hit);
        row->before[at]++;
        if (at < count && row->hits[at].key == hit.key) row->tied[at] = true;
        if (at && row->hits[at - 1].key == hit.key && row->hits[at - 1].id != hit.id)
            row->tied[at - 1] = true;
    }
    for (size_t i = 0; i < count; i++) {
        before += row->before[i]; /* a hit counts itself as before the next one */
        row->ranks[i] = (int64_t)before + 1;
        bool shared = (i && row->hits[i - 1].key == row->hits[i].key) ||
                      (i + 1 < count && row->hits[i + 1].key == row->hits[i].key);
        tied += row->tied[i] || shared;
    }
    vx_measures_add(&job->measures, query, row->ranks, count, others, tied);
}

const vx_hit *vx_row_nearest(const vx_eval_job *job, vx_row *row, size_t query,
                             const double *keys) {
    size_t k = vx_eval_nearest(job);
    vx_topk_init(&row->top, k, row->nearest);
    for (size_t c = 0; c < job->candidate_count; c++)
        if (!left_out(job, query, c, keys[c]))
            vx_topk_push(&row->top, (vx_hit){.key = keys[c], .id = (int64_t)c});
    for (size_t i = vx_topk_finish(&row->top); i < k; i++) row->top.hits[i] = (vx_hit){NAN, -1};
    return row->top.hits;
}
