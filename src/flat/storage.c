/* How a flat index holds its rows: blocks that are added, grown, copied from a map, compacted. */
#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "flat.h"

enum { BLOCK_BYTES = 8 << 20, BLOCK_ROWS_LEAST = 64, FIRST_ROWS = 64, ADD_ROWS = 4096 };

/* Bytes that a row's codes take, the most they may where that is not known yet. */
static size_t row_codes(size_t dim, vindex_dtype dtype, const vx_choice *choice) {
    vx_space space = {VINDEX_L2, dtype, dim, NULL};
    bool pca = choice->coding == VX_CODING_PCA, refined = choice->coding == VX_CODING_REFINED;
    if (choice->coding == VX_CODING_AUTO) refined = vx_choice_may_refine(&space);
    vx_code_shape shape = {vx_code_lines(pca ? choice->head : dim), VX_CODE_HALF, pca};
    return vx_code_group_bytes(&shape) / VX_CODE_ROWS + (refined ? vx_plane_stride(dim) : 0);
}

/* Whole tiles of rows in about 8 MiB: enough for huge pages, little enough to waste. */
static size_t block_rows_for(size_t each) {
    size_t rows = BLOCK_BYTES / each / VX_TILE_ROWS * VX_TILE_ROWS;
    return VX_MAX(rows, (size_t)BLOCK_ROWS_LEAST);
}

/* Rows that the last block has room for once it holds `rows`: it grows by an eighth. */
static size_t capacity_for(size_t rows, size_t block_rows) {
    size_t capacity = FIRST_ROWS;
    while (capacity < rows) capacity += (capacity / 8 / VX_CODE_ROWS + 1) * VX_CODE_ROWS;
    return VX_MIN(capacity, block_rows);
}

/* What the words after "Flat" ask for. */
typedef struct options {
    vindex_dtype dtype;
    bool certified;
    vx_choice choice;
} options;

/* "Certified" and what may follow it: 4, 8, PCA64. */
static bool parse_certified(const char *word, vx_choice *choice) {
    static const char name[] = "Certified", pca[] = "PCA";
    if (strncmp(word, name, sizeof name - 1)) return false;
    word += sizeof name - 1;
    *choice = (vx_choice){VX_CODING_AUTO, 0};
    if (!*word) return true;
    choice->coding = !strcmp(word, "4")   ? VX_CODING_SIGNS
                     : !strcmp(word, "8") ? VX_CODING_REFINED
                                          : VX_CODING_PCA;
    if (choice->coding != VX_CODING_PCA) return true;
    if (strncmp(word, pca, sizeof pca - 1)) return false;
    word += sizeof pca - 1;
    if (*word < '1' || *word > '9') return false;
    for (; *word >= '0' && *word <= '9' && choice->head <= VX_DIM_MOST; word++)
        choice->head = 10 * choice->head + (size_t)(*word - '0');
    return !*word && choice->head <= VX_DIM_MOST;
}

/* The word that asks for that choice. */
static void name_certified(const vx_choice *choice, char word[32]) {
    if (choice->coding == VX_CODING_PCA)
        snprintf(word, 32, ",CertifiedPCA%zu", choice->head);
    else
        snprintf(word, 32, ",Certified%s",
                 choice->coding == VX_CODING_SIGNS     ? "4"
                 : choice->coding == VX_CODING_REFINED ? "8"
                                                       : "");
}

static vindex_status parse(const vx_spec *spec, size_t dim, options *found) {
    *found = (options){.dtype = VINDEX_F32};
    bool typed = false;
    for (size_t w = 1; w < spec->count; w++) {
        bool known = false;
        for (int i = 0; i < VX_STORED_TYPES && !typed; i++)
            if (!strcmp(spec->words[w], vindex_dtype_name((vindex_dtype)i))) {
                found->dtype = (vindex_dtype)i;
                typed = known = true;
            }
        if (!known && !found->certified && parse_certified(spec->words[w], &found->choice))
            found->certified = known = true;
        if (!known)
            return vx_fail(
                VINDEX_ERR_ARGUMENT,
                "factory string: unknown word '%s' after Flat; known are one of f32, f16 "
                "and bf16, and Certified, Certified4, Certified8 or CertifiedPCA<n>",
                spec->words[w]);
    }
    if (found->choice.head && dim > VX_PCA_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: CertifiedPCA%zu for vectors of %zu dimensions, more than "
                       "the %d it can learn; use Certified",
                       found->choice.head, dim, VX_PCA_DIM_MOST);
    if (found->choice.head <= dim) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "factory string: CertifiedPCA%zu for vectors of %zu dimensions; give at most "
                   "those",
                   found->choice.head, dim);
}

/* A coder that is being learnt counts too: blocks are laid out for it before rows are encoded. */
size_t vx_flat_codes_bytes(const vx_flat *flat, size_t rows) {
    if (!flat->coder.mean) return 0;
    vx_code_shape shape = vx_coder_shape(&flat->coder, flat->space.metric);
    return vx_codes_bytes(&shape, rows);
}

/* Kernels read up to a line behind the last plane. */
size_t vx_flat_planes_bytes(const vx_flat *flat, size_t rows) {
    if (!flat->coder.refined) return 0;
    size_t bytes = rows * vx_plane_stride(flat->space.dim);
    return (bytes + VX_CODE_LINE - 1) / VX_CODE_LINE * VX_CODE_LINE + VX_CODE_LINE;
}

/* Bytes a row takes in a block: its numbers, the filter's, its code. */
static size_t row_bytes(size_t dim, const options *wanted) {
    size_t bytes = dim * vindex_dtype_size(wanted->dtype);
    return wanted->certified
               ? bytes + sizeof(float) + row_codes(dim, wanted->dtype, &wanted->choice)
               : bytes;
}

vindex_status vx_flat_make(const vx_spec *spec, size_t dim, vindex_metric metric,
                           vx_flat **result) {
    options wanted;
    VX_TRY(parse(spec, dim, &wanted));
    vx_flat *flat = vx_alloc_zero(1, sizeof *flat);
    if (!flat) return vx_fail_memory(1, sizeof *flat, "create");
    char word[32] = "";
    if (wanted.certified) name_certified(&wanted.choice, word);
    flat->base.ops = &vx_flat_ops;
    flat->base.dim = dim;
    flat->base.metric = metric;
    flat->base.capabilities = VINDEX_CAN_ADD | VINDEX_CAN_RANGE | VINDEX_CAN_RECONSTRUCT |
                              VINDEX_CAN_REMOVE | VINDEX_CAN_FILTER | VINDEX_CAN_WEIGHT |
                              VINDEX_CAN_MAP | VINDEX_IS_EXACT;
    snprintf(flat->base.spec, sizeof flat->base.spec, "Flat%s%s%s",
             wanted.dtype == VINDEX_F32 ? "" : ",",
             wanted.dtype == VINDEX_F32 ? "" : vindex_dtype_name(wanted.dtype), word);
    flat->space = (vx_space){metric, wanted.dtype, dim, NULL};
    flat->certified = wanted.certified;
    flat->choice = wanted.choice;
    flat->kernels = vx_kernels_get();
    flat->block_rows = block_rows_for(row_bytes(dim, &wanted));
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
    vx_coder_free(&flat->coder);
    vx_free(flat);
}

size_t vx_flat_memory(const vindex_index *index) {
    const vx_flat *flat = (const vx_flat *)index;
    size_t bytes = sizeof *flat + vx_ids_memory(&flat->ids) + vx_coder_memory(&flat->coder) +
                   flat->block_slots * (sizeof *flat->blocks + sizeof *flat->capacities);
    for (size_t b = 0; b < flat->block_count; b++)
        bytes += flat->capacities[b] * (vx_flat_stride(flat) + sizeof(float)) +
                 vx_flat_codes_bytes(flat, flat->capacities[b]) +
                 vx_flat_planes_bytes(flat, flat->capacities[b]);
    return bytes;
}

vindex_status vx_flat_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes) {
    options wanted;
    VX_TRY(parse(spec, dim, &wanted));
    size_t stride = dim * vindex_dtype_size(wanted.dtype), rows;
    size_t block_rows = block_rows_for(row_bytes(dim, &wanted));
    size_t rest = n % block_rows, blocks = n / block_rows + (rest != 0);
    rows = n - rest + (rest ? capacity_for(rest, block_rows) : 0);
    size_t data, lists, each = stride + sizeof(float);
    if (wanted.certified) each += row_codes(dim, wanted.dtype, &wanted.choice);
    size_t learnt = wanted.certified && n ? 5 * dim : 0; /* mean, signs or directions */
    learnt = (learnt + 2 * wanted.choice.head * (n ? dim : 0)) * sizeof(float);
    if (!vx_mul(rows, each, &data) || !vx_add(data, learnt, &data) ||
        !vx_mul(blocks, sizeof(vx_block) + sizeof(size_t), &lists) || !vx_add(data, lists, bytes) ||
        !vx_add(*bytes, sizeof(vx_flat), bytes))
        return vx_fail_memory(rows, stride, "memory estimate");
    return VINDEX_OK;
}

/* Moves the list of blocks to one of so many places. */
static vindex_status move_list(vx_flat *flat, size_t slots) {
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

vindex_status vx_flat_reserve_blocks(vx_flat *flat, size_t count) {
    if (count <= flat->block_slots) return VINDEX_OK;
    return move_list(flat, VX_MAX(count, flat->block_slots + flat->block_slots / 2));
}

/* Room for a block's codes, rows and aux in this order, in whole huge pages where that costs next
 * to nothing: codes are read fastest, and lie in the first. */
static char *block_memory(size_t bytes) {
    enum { HUGE = 2 << 20 };
    size_t whole = (bytes + HUGE - 1) / HUGE * HUGE;
    return vx_alloc(whole - bytes <= bytes / 64 ? whole : bytes, 1);
}

void vx_flat_clear_behind(const vx_flat *flat, const vx_block *block, size_t count) {
    if (flat->coder.refined)
        memset(block->planes + count * vx_plane_stride(flat->space.dim), 0, VX_CODE_LINE);
}

static size_t whole_groups(size_t rows) {
    return (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS * VX_CODE_ROWS;
}

vindex_status vx_flat_own_block(vx_flat *flat, size_t b, size_t capacity) {
    size_t stride = vx_flat_stride(flat), data_bytes, bytes;
    capacity = whole_groups(capacity);
    size_t codes_size = vx_flat_codes_bytes(flat, capacity);
    size_t extra = codes_size + vx_flat_planes_bytes(flat, capacity);
    char *memory = NULL;
    if (vx_mul(capacity, stride, &data_bytes) &&
        vx_add(data_bytes, extra + capacity * sizeof(float), &bytes))
        memory = block_memory(bytes);
    if (!memory) return vx_fail_memory(capacity, stride, "add: a block of vectors");
    vx_block *block = &flat->blocks[b];
    unsigned char *codes = extra ? (unsigned char *)memory : NULL;
    unsigned char *planes = extra > codes_size ? codes + codes_size : NULL;
    char *data = memory + extra;
    float *aux = (float *)(void *)(data + data_bytes); /* 16 rows: whole floats, aligned */
    memset(aux, 0, capacity * sizeof *aux);
    if (block->count) {
        if (flat->space.coder) {
            memcpy(codes, block->codes, vx_flat_codes_bytes(flat, block->count));
            if (planes)
                memcpy(planes, block->planes, block->count * vx_plane_stride(flat->space.dim));
        }
        memcpy(data, block->data, block->count * stride);
        memcpy(aux, block->aux, block->count * sizeof *aux);
    }
    free_block(flat, b);
    *block = (vx_block){
        .data = data, .aux = aux, .codes = codes, .planes = planes, .count = block->count};
    flat->capacities[b] = capacity;
    vx_flat_clear_behind(flat, block, block->count);
    return VINDEX_OK;
}

/* The blocks that so many rows take. */
static size_t blocks_for(const vx_flat *flat, size_t rows) {
    return (rows + flat->block_rows - 1) / flat->block_rows;
}

/* Makes room for rows up to `total`. A failure may leave unused room behind, nothing else. */
static vindex_status reserve(vx_flat *flat, size_t total) {
    size_t blocks = blocks_for(flat, total);
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

/* What will be stored next comes into the cache while this is encoded. */
static void fetch(const float *vector, size_t dim) {
    for (size_t j = 0; j < dim; j += 64 / sizeof *vector) __builtin_prefetch(vector + j, 0, 2);
}

/* Stores a few vectors from row `to` of a block on, and their codes where there is `work`. */
static void store_piece(const vx_flat *flat, const vx_block *block, const float *vectors, size_t to,
                        size_t count, float *work) {
    size_t stride = vx_flat_stride(flat), dim = flat->space.dim;
    char *data = (char *)(uintptr_t)block->data + to * stride;
    float *aux = (float *)(uintptr_t)block->aux + to;
    vx_measure measures[VX_CODER_ROWS];
    flat->kernels->narrow[flat->space.dtype](vectors, count * dim, data);
    for (size_t i = 0; i < count; i++) {
        if (work) fetch(vectors + (count + i) * dim, dim);
        measures[i] = vx_measure_row(&flat->space, flat->kernels, data + i * stride);
        aux[i] = vx_aux_of(&flat->space, &measures[i]);
    }
    if (work) vx_flat_encode(flat, block, to, measures, count, work);
}

/* Stores vectors in reserved rows first ... first+n-1, all of one block, with their codes; work
 * holds vx_codes_work numbers per thread where there are some. Threads take whole groups of codes.
 */
static void store(vx_flat *flat, const float *vectors, size_t first, size_t n, int threads,
                  float *work) {
    const vx_block *block = &flat->blocks[first / flat->block_rows];
    size_t at = first % flat->block_rows, end = at + n, dim = flat->space.dim;
    size_t numbers = work ? vx_codes_work(&flat->coder) : 0;
    if (n * dim < 1 << 16) threads = 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t piece = at / VX_CODER_ROWS; piece < (end + VX_CODER_ROWS - 1) / VX_CODER_ROWS;
         piece++) {
        size_t to = VX_MAX(at, piece * VX_CODER_ROWS);
        size_t count = VX_MIN(end, (piece + 1) * VX_CODER_ROWS) - to;
        size_t thread = threads > 1 ? (size_t)omp_get_thread_num() : 0;
        store_piece(flat, block, vectors + (to - at) * dim, to, count,
                    work ? work + thread * numbers : NULL);
    }
    vx_flat_clear_behind(flat, block, end);
}

static void count_rows(vx_flat *flat, size_t total) {
    for (size_t b = 0; b < flat->block_count; b++) {
        size_t before = b * flat->block_rows;
        flat->blocks[b].count = total <= before ? 0 : VX_MIN(total - before, flat->block_rows);
    }
}

void vx_flat_retract(vx_flat *flat, size_t before, int64_t largest_before) {
    vx_ids_retract(&flat->ids, flat->ids.count - before, largest_before);
    count_rows(flat, before);
}

vindex_status vx_flat_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                          const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    size_t before = flat->ids.count;
    int64_t largest = flat->ids.largest;
    int threads = vx_threads(call->threads);
    VX_TRY(vx_space_fits(&flat->space, vectors, n));
    VX_TRY(vx_flat_learn(flat, vectors, n, threads));
    size_t numbers = flat->space.coder ? (size_t)threads * vx_codes_work(&flat->coder) : 0;
    float *work = numbers ? vx_alloc(numbers, sizeof *work) : NULL;
    if (numbers && !work) return vx_fail_memory(numbers, sizeof *work, "add");
    vindex_status status = vx_ids_append(&flat->ids, ids, n);
    bool appended = status == VINDEX_OK;
    if (appended) status = reserve(flat, before + n);
    for (size_t done = 0; status == VINDEX_OK && done < n;) {
        size_t room = flat->block_rows - (before + done) % flat->block_rows;
        size_t count = VX_MIN(VX_MIN(n - done, room), (size_t)ADD_ROWS);
        store(flat, vectors + done * flat->space.dim, before + done, count, threads, work);
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
    if (flat->space.coder) vx_codes_move(&flat->space, source, i, target, j);
}

/* Lets go of blocks without rows, of room behind the last row and of places in the list; where
 * there is no memory to move things to, they stay. */
static vindex_status trim(vx_flat *flat) {
    size_t blocks = blocks_for(flat, flat->ids.count);
    for (size_t b = blocks; b < flat->block_count; b++) free_block(flat, b);
    flat->block_count = blocks;
    size_t rows = blocks ? flat->blocks[blocks - 1].count : 0;
    if (blocks && flat->capacities[blocks - 1] > whole_groups(rows))
        VX_TRY(vx_flat_own_block(flat, blocks - 1, rows));
    if (blocks == flat->block_slots) return VINDEX_OK;
    if (blocks) return move_list(flat, blocks);
    vx_free(flat->blocks);
    vx_free(flat->capacities);
    flat->blocks = NULL;
    flat->capacities = NULL;
    flat->block_slots = 0;
    return VINDEX_OK;
}

/* Moves the rows that stay together. What follows is freed, and what is still too large stays where
 * there is no memory to move it to. */
static vindex_status drop_removed(vx_flat *flat) {
    size_t kept = flat->ids.count - flat->ids.removed, blocks = blocks_for(flat, kept);
    for (size_t b = 0; b < blocks; b++)
        if (!flat->capacities[b]) VX_TRY(vx_flat_own_block(flat, b, flat->block_rows));
    size_t *keep = vx_alloc(kept, sizeof *keep);
    if (!keep) return vx_fail_memory(kept, sizeof *keep, "compact");
    vindex_status status = vx_ids_compact(&flat->ids, keep);
    if (status == VINDEX_OK) {
        for (size_t row = 0; row < kept; row++) move_row(flat, keep[row], row);
        count_rows(flat, kept);
        trim(flat);
    }
    vx_free(keep);
    return status;
}

vindex_status vx_flat_compact(vindex_index *index, const vindex_call *call) {
    vx_flat *flat = (vx_flat *)index;
    VX_TRY(vx_progress(call->progress, call->progress_context, "compact", 0));
    if (flat->ids.removed) return drop_removed(flat);
    VX_TRY(trim(flat));
    return vx_ids_spare(&flat->ids) ? vx_ids_compact(&flat->ids, NULL) : VINDEX_OK;
}
