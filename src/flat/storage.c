/* How a flat index holds its rows: blocks that are added, grown, copied from a map, compacted. */
#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "flat.h"

enum { BLOCK_BYTES = 8 << 20, BLOCK_ROWS_LEAST = 64, FIRST_ROWS = 64, ADD_ROWS = 4096 };

/* Bytes a row takes: its numbers, the filter's, its code. */
static size_t row_bytes(size_t dim, vindex_dtype dtype, bool certified) {
    size_t bytes = dim * vindex_dtype_size(dtype);
    return certified ? bytes + sizeof(float) + vx_code_group_bytes(dim, true) / VX_CODE_ROWS
                     : bytes;
}

/* Whole tiles of rows in about 8 MiB: enough for huge pages, little enough to waste. */
static size_t block_rows_for(size_t each) {
    size_t rows = BLOCK_BYTES / each / VX_TILE_ROWS * VX_TILE_ROWS;
    return VX_MAX(rows, (size_t)BLOCK_ROWS_LEAST);
}

/* Rows that the last block has room for once it holds `rows`: it grows by half. */
static size_t capacity_for(size_t rows, size_t block_rows) {
    size_t capacity = FIRST_ROWS;
    while (capacity < rows) capacity += capacity / 2 / VX_CODE_ROWS * VX_CODE_ROWS;
    return VX_MIN(capacity, block_rows);
}

/* What the words after "Flat" ask for. */
typedef struct options {
    vindex_dtype dtype;
    bool certified;
} options;

static vindex_status parse(const vx_spec *spec, options *found) {
    *found = (options){VINDEX_F32, false};
    bool typed = false;
    for (size_t w = 1; w < spec->count; w++) {
        bool known = false;
        for (int i = 0; i < VX_STORED_TYPES && !typed; i++)
            if (!strcmp(spec->words[w], vindex_dtype_name((vindex_dtype)i))) {
                found->dtype = (vindex_dtype)i;
                typed = known = true;
            }
        if (!known && !found->certified && !strcmp(spec->words[w], "Certified"))
            found->certified = known = true;
        if (!known)
            return vx_fail(
                VINDEX_ERR_ARGUMENT,
                "factory string: unknown word '%s' after Flat; known are one of f32, f16 "
                "and bf16, and Certified",
                spec->words[w]);
    }
    return VINDEX_OK;
}

/* Bytes of a block's codes. */
static size_t codes_bytes(const vx_flat *flat, size_t rows) {
    return flat->space.rotation ? vx_codes_bytes(&flat->space, rows) : 0;
}

vindex_status vx_flat_make(const vx_spec *spec, size_t dim, vindex_metric metric,
                           vx_flat **result) {
    options wanted;
    VX_TRY(parse(spec, &wanted));
    vx_flat *flat = vx_alloc_zero(1, sizeof *flat);
    if (!flat) return vx_fail_memory(1, sizeof *flat, "create");
    if (wanted.certified) {
        vindex_status status = vx_rotation_create(dim, &flat->rotation);
        if (status != VINDEX_OK) {
            vx_free(flat);
            return status;
        }
    }
    flat->base.ops = &vx_flat_ops;
    flat->base.dim = dim;
    flat->base.metric = metric;
    snprintf(flat->base.spec, sizeof flat->base.spec, "Flat%s%s%s",
             wanted.dtype == VINDEX_F32 ? "" : ",",
             wanted.dtype == VINDEX_F32 ? "" : vindex_dtype_name(wanted.dtype),
             wanted.certified ? ",Certified" : "");
    flat->space = (vx_space){metric, wanted.dtype, dim, wanted.certified ? &flat->rotation : NULL};
    flat->kernels = vx_kernels_get();
    flat->block_rows = block_rows_for(row_bytes(dim, wanted.dtype, wanted.certified));
    vx_ids_init(&flat->ids);
    *result = flat;
    return VINDEX_OK;
}

static void free_block(vx_flat *flat, size_t b) {
    if (!flat->capacities[b]) return;
    const vx_block *block = &flat->blocks[b];
    vx_free(block->codes ? (void *)block->codes : (void *)(uintptr_t)block->data);
}

void vx_flat_free(vindex_index *index) {
    vx_flat *flat = (vx_flat *)index;
    for (size_t b = 0; b < flat->block_count; b++) free_block(flat, b);
    vx_free(flat->blocks);
    vx_free(flat->capacities);
    vx_ids_free(&flat->ids);
    vx_rotation_free(&flat->rotation);
    vx_free(flat);
}

size_t vx_flat_memory(const vindex_index *index) {
    const vx_flat *flat = (const vx_flat *)index;
    size_t bytes = sizeof *flat + vx_ids_memory(&flat->ids) +
                   flat->block_slots * (sizeof *flat->blocks + sizeof *flat->capacities);
    for (size_t b = 0; b < flat->block_count; b++)
        bytes += flat->capacities[b] * (vx_flat_stride(flat) + sizeof(float)) +
                 codes_bytes(flat, flat->capacities[b]);
    return bytes;
}

vindex_status vx_flat_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes) {
    options wanted;
    VX_TRY(parse(spec, &wanted));
    size_t stride = dim * vindex_dtype_size(wanted.dtype), rows;
    size_t block_rows = block_rows_for(row_bytes(dim, wanted.dtype, wanted.certified));
    size_t rest = n % block_rows, blocks = n / block_rows + (rest != 0);
    rows = n - rest + (rest ? capacity_for(rest, block_rows) : 0);
    size_t data, lists, each = stride + sizeof(float);
    if (wanted.certified) each += vx_code_group_bytes(dim, true) / VX_CODE_ROWS; /* as for L2 */
    if (!vx_mul(rows, each, &data) || !vx_mul(blocks, sizeof(vx_block) + sizeof(size_t), &lists) ||
        !vx_add(data, lists, bytes) || !vx_add(*bytes, sizeof(vx_flat), bytes))
        return vx_fail_memory(rows, stride, "memory estimate");
    return VINDEX_OK;
}

vindex_status vx_flat_reserve_blocks(vx_flat *flat, size_t count) {
    if (count <= flat->block_slots) return VINDEX_OK;
    size_t slots = VX_MAX(count, flat->block_slots + flat->block_slots / 2);
    vx_block *blocks = vx_alloc(slots, sizeof *blocks);
    size_t *capacities = vx_alloc(slots, sizeof *capacities);
    if (!blocks || !capacities) {
        vx_free(blocks);
        vx_free(capacities);
        return vx_fail_memory(slots, sizeof *blocks + sizeof *capacities, "add: list of blocks");
    }
    if (flat->block_count) {
        memcpy(blocks, flat->blocks, flat->block_count * sizeof *blocks);
        memcpy(capacities, flat->capacities, flat->block_count * sizeof *capacities);
    }
    vx_free(flat->blocks);
    vx_free(flat->capacities);
    flat->blocks = blocks;
    flat->capacities = capacities;
    flat->block_slots = slots;
    return VINDEX_OK;
}

/* Room for a block's codes, rows and aux in this order, in whole huge pages where that costs next
 * to nothing: codes are read fastest, and lie in the first. */
static char *block_memory(size_t bytes) {
    enum { HUGE = 2 << 20 };
    size_t whole = (bytes + HUGE - 1) / HUGE * HUGE;
    return vx_alloc(whole - bytes <= bytes / 64 ? whole : bytes, 1);
}

vindex_status vx_flat_own_block(vx_flat *flat, size_t b, size_t capacity) {
    size_t stride = vx_flat_stride(flat), data_bytes, bytes;
    capacity = (capacity + VX_CODE_ROWS - 1) / VX_CODE_ROWS * VX_CODE_ROWS;
    size_t extra = codes_bytes(flat, capacity);
    char *memory = NULL;
    if (vx_mul(capacity, stride, &data_bytes) &&
        vx_add(data_bytes, extra + capacity * sizeof(float), &bytes))
        memory = block_memory(bytes);
    if (!memory) return vx_fail_memory(capacity, stride, "add: a block of vectors");
    vx_block *block = &flat->blocks[b];
    unsigned char *codes = extra ? (unsigned char *)memory : NULL;
    char *data = memory + extra;
    float *aux = (float *)(void *)(data + data_bytes); /* 16 rows: whole floats, aligned */
    if (codes) memset(codes, 0, extra);
    memset(aux, 0, capacity * sizeof *aux);
    if (block->count) {
        if (codes) memcpy(codes, block->codes, codes_bytes(flat, block->count));
        memcpy(data, block->data, block->count * stride);
        memcpy(aux, block->aux, block->count * sizeof *aux);
    }
    free_block(flat, b);
    *block = (vx_block){data, aux, codes, block->count};
    flat->capacities[b] = capacity;
    return VINDEX_OK;
}

/* Makes room for rows up to `total`. A failure may leave unused room behind, nothing else. */
static vindex_status reserve(vx_flat *flat, size_t total) {
    size_t blocks = (total + flat->block_rows - 1) / flat->block_rows;
    VX_TRY(vx_flat_reserve_blocks(flat, blocks));
    size_t first = flat->block_count ? flat->block_count - 1 : 0;
    for (size_t b = first; b < blocks; b++) {
        size_t need = VX_MIN(total - b * flat->block_rows, flat->block_rows);
        if (b < flat->block_count) {
            if (flat->blocks[b].count == need || flat->capacities[b] >= need) continue;
        } else {
            flat->blocks[b] = (vx_block){0};
            flat->capacities[b] = 0;
            flat->block_count = b + 1;
        }
        VX_TRY(vx_flat_own_block(flat, b, capacity_for(need, flat->block_rows)));
    }
    return VINDEX_OK;
}

/* Encodes vectors into reserved rows first ... first+n-1, all of one block; work holds 2 x
 * vx_padded(dim) numbers per thread, or is NULL without codes. */
static void encode(vx_flat *flat, const float *vectors, size_t first, size_t n, int threads,
                   float *work) {
    const vx_block *block = &flat->blocks[first / flat->block_rows];
    size_t at = first % flat->block_rows, stride = vx_flat_stride(flat), dim = flat->space.dim;
    char *data = (char *)(uintptr_t)block->data + at * stride;
    float *aux = (float *)(uintptr_t)block->aux + at;
    if (n * dim < 1 << 18) threads = 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t i = 0; i < n; i++) {
        flat->kernels->narrow[flat->space.dtype](vectors + i * dim, dim, data + i * stride);
        vx_measure measure = vx_measure_row(&flat->space, flat->kernels, data + i * stride);
        aux[i] = vx_aux_of(&flat->space, &measure);
        size_t thread = threads > 1 ? (size_t)omp_get_thread_num() : 0;
        if (work)
            vx_codes_encode(&flat->space, flat->kernels, data + i * stride, &measure, block->codes,
                            at + i, work + thread * 2 * vx_padded(dim));
    }
}

static void count_rows(vx_flat *flat, size_t total) {
    for (size_t b = 0; b < flat->block_count; b++) {
        size_t before = b * flat->block_rows;
        flat->blocks[b].count = total <= before ? 0 : VX_MIN(total - before, flat->block_rows);
    }
}

vindex_status vx_flat_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                          const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    size_t before = flat->ids.count;
    int64_t largest = flat->ids.largest;
    int threads = vx_threads(call->threads);
    VX_TRY(vx_space_fits(&flat->space, vectors, n));
    size_t numbers = flat->space.rotation ? (size_t)threads * 2 * vx_padded(flat->space.dim) : 0;
    float *work = numbers ? vx_alloc(numbers, sizeof *work) : NULL;
    if (numbers && !work) return vx_fail_memory(numbers, sizeof *work, "add");
    vindex_status status = vx_ids_append(&flat->ids, ids, n);
    bool appended = status == VINDEX_OK;
    if (appended) status = reserve(flat, before + n);
    for (size_t done = 0; status == VINDEX_OK && done < n;) {
        size_t room = flat->block_rows - (before + done) % flat->block_rows;
        size_t count = VX_MIN(VX_MIN(n - done, room), (size_t)ADD_ROWS);
        encode(flat, vectors + done * flat->space.dim, before + done, count, threads, work);
        done += count;
        status =
            vx_progress(call->progress, call->progress_context, "add", (double)done / (double)n);
    }
    if (status == VINDEX_OK)
        count_rows(flat, before + n);
    else if (appended)
        vx_ids_retract(&flat->ids, n, largest);
    vx_free(work);
    return status;
}

/* Moves row `from` to the earlier place `to`; both blocks' memory is this index's or the target's
 * is. */
static void move_row(vx_flat *flat, size_t from, size_t to) {
    size_t stride = vx_flat_stride(flat);
    const vx_block *source = &flat->blocks[from / flat->block_rows];
    const vx_block *target = &flat->blocks[to / flat->block_rows];
    size_t i = from % flat->block_rows, j = to % flat->block_rows;
    memmove((char *)(uintptr_t)target->data + j * stride, (const char *)source->data + i * stride,
            stride);
    ((float *)(uintptr_t)target->aux)[j] = source->aux[i];
    if (flat->space.rotation) vx_codes_move(&flat->space, source->codes, i, target->codes, j);
}

/* Moves the last block to memory of its size; where there is none it stays in what it has. */
static void shrink_last(vx_flat *flat) {
    if (!flat->block_count) return;
    size_t b = flat->block_count - 1;
    size_t capacity = capacity_for(flat->blocks[b].count, flat->block_rows);
    if (capacity < flat->capacities[b]) vx_flat_own_block(flat, b, capacity);
}

vindex_status vx_flat_compact(vindex_index *index, const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    size_t kept = flat->ids.count - flat->ids.removed;
    size_t blocks = (kept + flat->block_rows - 1) / flat->block_rows;
    if (!flat->ids.removed) return VINDEX_OK;
    VX_TRY(vx_progress(call->progress, call->progress_context, "compact", 0));
    for (size_t b = 0; b < blocks; b++)
        if (!flat->capacities[b]) VX_TRY(vx_flat_own_block(flat, b, flat->block_rows));
    size_t *keep = vx_alloc(kept, sizeof *keep);
    if (!keep) return vx_fail_memory(kept, sizeof *keep, "compact");
    vindex_status status = vx_ids_compact(&flat->ids, keep);
    if (status == VINDEX_OK) {
        for (size_t row = 0; row < kept; row++) move_row(flat, keep[row], row);
        for (size_t b = blocks; b < flat->block_count; b++) free_block(flat, b);
        flat->block_count = blocks;
        count_rows(flat, kept);
        shrink_last(flat);
    }
    vx_free(keep);
    return status;
}
