/* Applying a chain. The product is the batch tile of the search kernels, not OpenBLAS's: there each
 * number of a result is one sum in one order, whatever stands beside it, so that a row becomes the
 * same alone or among others. */
#include <math.h>
#include <omp.h>

#include "chain.h"

/* Rows are mapped in blocks, so that the weights are read once for many; of an affine stage SLICE
 * numbers of each are packed at a time, so that they and the weights stay in the caches. Sums go
 * slice by slice, so that SLICE is part of what the numbers are. */
enum { BLOCK_ROWS = 384, SLICE = 512 };

static size_t whole(size_t count, size_t unit) {
    return (count + unit - 1) / unit * unit;
}

/* Memory of one thread. */
typedef struct scratch {
    float *rows[2]; /* the block's rows between two stages, in turn */
    float *packed;  /* the block's rows x what is packed at a time */
    float *sums;    /* the block's rows x outputs in whole panels */
} scratch;

/* How much of it a chain needs, in numbers. */
typedef struct needs {
    size_t rows, packed, sums;
} needs;

static needs needs_of(const vindex_transform *chain, size_t block, bool shared) {
    needs n = {0};
    for (size_t i = 0; i < chain->stage_count; i++) {
        const vx_stage *stage = &chain->stages[i];
        if (i + 1 < chain->stage_count) n.rows = VX_MAX(n.rows, block * stage->out);
        if (stage->kind != VINDEX_STEP_AFFINE) continue;
        n.packed = VX_MAX(n.packed, block * (shared ? stage->in : (size_t)SLICE));
        n.sums = VX_MAX(n.sums, block * whole(stage->out, chain->kernels->tile_rows));
    }
    return n;
}

/* ---- the stages, on at most BLOCK_ROWS rows ---- */

/* Numbers first ... first+depth-1 of the rows, less the shift, packed by groups of a tile. */
static void pack_slice(const vx_kernels *kernels, const vx_stage *stage, const float *rows,
                       size_t count, size_t first, size_t depth, float *packed) {
    size_t width = kernels->tile_queries;
    for (size_t q = 0; q < count; q += width, packed += depth * width) {
        kernels->pack[VINDEX_F32](rows + q * stage->in, stage->in * sizeof(float),
                                  VX_MIN(width, count - q), first, depth, width, packed);
        for (size_t i = 0; i < depth; i++)
            for (size_t j = 0; j < width; j++) packed[i * width + j] -= stage->shift[first + i];
    }
}

/* Numbers first ... first+depth-1 times panel p, added to the sums of earlier ones. */
static void multiply_panel(const vx_kernels *kernels, const vx_stage *stage, const scratch *s,
                           size_t count, size_t p, const vx_tile *slice, size_t first) {
    size_t width = kernels->tile_queries, high = kernels->tile_rows;
    for (size_t q = 0; q < count; q += width) {
        float *sums = s->sums + q * slice->stride + p * high;
        vx_tile tile = *slice;
        tile.rows = stage->panels + (p * stage->in + first) * high;
        tile.queries += q * slice->depth;
        tile.sums = first ? sums : NULL;
        kernels->tile_sums(&tile, sums);
    }
}

/* One thread goes slice by slice. Several, which share the panels, get all slices packed at once,
 * so that they meet a single time. */
static void multiply(const vx_kernels *kernels, const vx_stage *stage, const float *rows,
                     size_t count, const scratch *s, int threads) {
    size_t high = kernels->tile_rows, panels = (stage->out + high - 1) / high;
    size_t at_once = threads > 1 ? stage->in : SLICE, group = whole(count, kernels->tile_queries);
    for (size_t start = 0; start < stage->in; start += at_once) {
        size_t end = VX_MIN(start + at_once, stage->in);
        for (size_t first = start; first < end; first += SLICE)
            pack_slice(kernels, stage, rows, count, first, VX_MIN((size_t)SLICE, end - first),
                       s->packed + (first - start) * group);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
        for (size_t p = 0; p < panels; p++)
            for (size_t first = start; first < end; first += SLICE) {
                vx_tile slice = {.queries = s->packed + (first - start) * group,
                                 .depth = VX_MIN((size_t)SLICE, end - first),
                                 .stride = panels * high};
                multiply_panel(kernels, stage, s, count, p, &slice, first);
            }
    }
}

static void apply_affine(const vx_kernels *kernels, const vx_stage *stage, const float *rows,
                         size_t count, float *result, const scratch *s, int threads) {
    size_t stride = whole(stage->out, kernels->tile_rows);
    multiply(kernels, stage, rows, count, s, threads);
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < stage->out; o++)
            result[i * stage->out + o] = s->sums[i * stride + o] + stage->bias[o];
}

static void apply_scale(const vx_stage *stage, const float *rows, size_t count, float *result) {
    for (size_t i = 0; i < count; i++, rows += stage->in, result += stage->in)
        for (size_t j = 0; j < stage->in; j++)
            result[j] = (rows[j] - stage->shift[j]) * stage->scale[j] + stage->bias[j];
}

static void apply_normalise(const vx_stage *stage, const float *rows, size_t count, float *result) {
    for (size_t i = 0; i < count; i++, rows += stage->in, result += stage->in) {
        double square = 0;
        for (size_t j = 0; j < stage->in; j++) square += (double)rows[j] * (double)rows[j];
        double length = square > 0 ? sqrt(square) : 1;
        for (size_t j = 0; j < stage->in; j++) result[j] = (float)((double)rows[j] / length);
    }
}

static void apply_rotation(const vx_kernels *kernels, const vx_stage *stage, const float *rows,
                           size_t count, float *result) {
    memcpy(result, rows, count * stage->in * sizeof *rows);
    for (size_t i = 0; i < count; i++)
        vx_rotation_apply(&stage->rotation, kernels, result + i * stage->in);
}

static void apply_block(const vindex_transform *chain, const float *rows, size_t count,
                        float *result, const scratch *s, int threads) {
    for (size_t i = 0; i < chain->stage_count; i++) {
        const vx_stage *stage = &chain->stages[i];
        float *to = i + 1 == chain->stage_count ? result : s->rows[i % 2];
        switch (stage->kind) {
        case VINDEX_STEP_AFFINE:
            apply_affine(chain->kernels, stage, rows, count, to, s, threads);
            break;
        case VINDEX_STEP_SCALE:
            apply_scale(stage, rows, count, to);
            break;
        case VINDEX_STEP_ROTATION:
            apply_rotation(chain->kernels, stage, rows, count, to);
            break;
        case VINDEX_STEP_NORMALISE:
            apply_normalise(stage, rows, count, to);
            break;
        }
        rows = to;
    }
}

/* ---- all rows ---- */

/* The share of thread t in one block of memory. */
static scratch scratch_of(float *memory, const needs *n, size_t t) {
    float *mine = memory + t * (2 * n->rows + n->packed + n->sums);
    scratch s = {.rows = {mine, mine + n->rows}};
    s.packed = mine + 2 * n->rows;
    s.sums = s.packed + n->packed;
    return s;
}

/* Whether one block is enough work for several threads. */
static bool worth_sharing(const vindex_transform *chain) {
    enum { LEAST = 1 << 20 };
    for (size_t i = 0; i < chain->stage_count; i++) {
        const vx_stage *stage = &chain->stages[i];
        if (stage->kind == VINDEX_STEP_AFFINE && stage->in * stage->out >= LEAST) return true;
    }
    return false;
}

vindex_status vx_chain_apply(const vindex_transform *chain, const float *rows, size_t n,
                             float *result, int threads) {
    size_t in = chain->steps[0].in, out = chain->steps[chain->step_count - 1].out;
    if (!n) return VINDEX_OK;
    /* Threads take blocks of rows, or share the weights of a single small one. */
    size_t share = (n + (size_t)threads - 1) / (size_t)threads;
    size_t block = whole(VX_MIN(share, (size_t)BLOCK_ROWS), chain->kernels->tile_queries);
    size_t blocks = (n + block - 1) / block, numbers;
    int sharing = blocks == 1 && worth_sharing(chain) ? threads : 1;
    size_t takers = VX_MIN((size_t)threads, blocks);
    needs need = needs_of(chain, block, sharing > 1);
    size_t each = 2 * need.rows + need.packed + need.sums;
    float *memory = vx_mul(each, takers, &numbers) ? vx_alloc(numbers, sizeof *memory) : NULL;
    if (!memory) return vx_fail_memory(each, takers * sizeof *memory, "apply");
#pragma omp parallel for num_threads((int)takers) schedule(dynamic) if (takers > 1)
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * block, count = VX_MIN(block, n - first);
        scratch s = scratch_of(memory, &need, takers > 1 ? (size_t)omp_get_thread_num() : 0);
        apply_block(chain, rows + first * in, count, result + first * out, &s, sharing);
    }
    vx_free(memory);
    return VINDEX_OK;
}

static vindex_status check_apply(const vindex_transform *transform, const float *rows, int64_t n,
                                 const float *result) {
    size_t numbers, bytes;
    if (!transform) return vx_fail(VINDEX_ERR_ARGUMENT, "apply: the transform is NULL");
    if (n < 0 || (n > 0 && (!rows || !result)))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "apply: %lld rows, and rows or result is NULL; give n >= 0 and both",
                       (long long)n);
    size_t wider = (size_t)VX_MAX(vindex_transform_input_dim(transform),
                                  vindex_transform_output_dim(transform));
    if (!vx_mul((size_t)n, wider, &numbers) || !vx_mul(numbers, sizeof(float), &bytes))
        return vx_fail(VINDEX_ERR_ARGUMENT, "apply: %lld rows of %zu numbers fit no memory",
                       (long long)n, wider);
    return VINDEX_OK;
}

static vindex_status check_finite(const char *what, const float *rows, size_t n, size_t dim,
                                  const char *advice) {
    size_t where;
    if (vx_all_finite(rows, n * dim, &where)) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_DATA, "apply: %s %zu has %s in dimension %zu; %s", what, where / dim,
                   isnan(rows[where]) ? "NaN" : "infinity", where % dim, advice);
}

vindex_status vindex_transform_apply(const vindex_transform *transform, const float *rows,
                                     int64_t n, float *result, const vindex_call *call) {
    enum { AT_ONCE = 64 * BLOCK_ROWS };
    vindex_call resolved;
    VX_TRY(check_apply(transform, rows, n, result));
    VX_TRY(vx_call_resolve(call, &resolved));
    size_t in = (size_t)vindex_transform_input_dim(transform);
    size_t out = (size_t)vindex_transform_output_dim(transform);
    VX_TRY(check_finite("row", rows, (size_t)n, in, "remove or replace it"));
    for (size_t done = 0; done < (size_t)n; done += AT_ONCE) {
        size_t count = VX_MIN((size_t)AT_ONCE, (size_t)n - done);
        VX_TRY(vx_chain_apply(transform, rows + done * in, count, result + done * out,
                              vx_threads(resolved.threads)));
        VX_TRY(vx_progress(resolved.progress, resolved.progress_context, "apply",
                           (double)(done + count) / (double)n));
    }
    return check_finite("what became of row", result, (size_t)n, out,
                        "the numbers are too large for this transform");
}
