/* Saving and loading a flat index. Sections: "index", "vectors" (the stored rows), "aux" (the
 * filter's number per row), of a certified index "coder", "codes" and "planes" as far as there are
 * some, and those of the ids. */
#include "exact/coder_file.h"
#include "flat.h"

static vindex_status save_vectors(const vx_flat *flat, vx_container_writer *writer,
                                  const vindex_call *call) {
    VX_TRY(vx_container_begin(writer, "vectors"));
    for (size_t b = 0; b < flat->block_count; b++) {
        const vx_block *block = &flat->blocks[b];
        VX_TRY(vx_container_append(writer, block->data, block->count * vx_flat_stride(flat)));
        VX_TRY(vx_progress(call->progress, call->progress_context, "save",
                           (double)(b + 1) / (double)flat->block_count));
    }
    return vx_container_end(writer);
}

static vindex_status save_aux(const vx_flat *flat, vx_container_writer *writer) {
    VX_TRY(vx_container_begin(writer, "aux"));
    for (size_t b = 0; b < flat->block_count; b++)
        VX_TRY(vx_container_append(writer, flat->blocks[b].aux,
                                   flat->blocks[b].count * sizeof(float)));
    return vx_container_end(writer);
}

static vindex_status save_codes(const vx_flat *flat, vx_container_writer *writer) {
    VX_TRY(vx_container_begin(writer, "codes"));
    for (size_t b = 0; b < flat->block_count; b++)
        VX_TRY(vx_container_append(writer, flat->blocks[b].codes,
                                   vx_flat_codes_bytes(flat, flat->blocks[b].count)));
    return vx_container_end(writer);
}

/* A line of zeros follows, for kernels read as much behind the last. */
static vindex_status save_planes(const vx_flat *flat, vx_container_writer *writer) {
    static const unsigned char zeros[VX_CODE_LINE];
    size_t stride = vx_plane_stride(flat->space.dim);
    VX_TRY(vx_container_begin(writer, "planes"));
    for (size_t b = 0; b < flat->block_count; b++)
        VX_TRY(vx_container_append(writer, flat->blocks[b].planes, flat->blocks[b].count * stride));
    VX_TRY(vx_container_append(writer, zeros, sizeof zeros));
    return vx_container_end(writer);
}

static vindex_status save_certified(const vx_flat *flat, vx_container_writer *writer) {
    VX_TRY(vx_coder_save(flat->space.coder, writer));
    if (flat->space.coder) VX_TRY(save_codes(flat, writer));
    return flat->coder.refined ? save_planes(flat, writer) : VINDEX_OK;
}

void vx_flat_describe(const vindex_index *index, vx_index_header *header) {
    const vx_flat *flat = (const vx_flat *)index;
    header->rows = flat->ids.count;
    header->largest_id = flat->ids.largest;
}

uint32_t vx_flat_section_count(const vindex_index *index) {
    const vx_flat *flat = (const vx_flat *)index;
    return 2 + flat->certified + (flat->space.coder != NULL) + flat->coder.refined +
           vx_ids_section_count(&flat->ids);
}

vindex_status vx_flat_save(const vindex_index *index, vx_container_writer *writer,
                           const vindex_call *call) {
    const vx_flat *flat = (const vx_flat *)index;
    VX_TRY(save_vectors(flat, writer, call));
    VX_TRY(save_aux(flat, writer));
    if (flat->certified) VX_TRY(save_certified(flat, writer));
    return vx_ids_save(&flat->ids, writer);
}

/* A section that must hold exactly rows x size bytes. */
static vindex_status find_rows(const vx_container *file, const char *tag, size_t rows, size_t size,
                               vx_section *section) {
    size_t bytes;
    VX_TRY(vx_container_find(file, tag, false, section));
    if (vx_mul(rows, size, &bytes) && bytes == section->length) return VINDEX_OK;
    return vx_fail(
        VINDEX_ERR_FORMAT,
        "%s: section '%s' has %zu bytes, which is not %zu rows of %zu; the file is damaged",
        vx_container_path(file), tag, section->length, rows, size);
}

/* The sections with rows in them. */
typedef struct sections {
    vx_section vectors, aux, codes, planes;
} sections;

static vindex_status find_sections(const vx_flat *flat, const vx_container *file, size_t rows,
                                   sections *found) {
    VX_TRY(find_rows(file, "vectors", rows, vx_flat_stride(flat), &found->vectors));
    VX_TRY(find_rows(file, "aux", rows, sizeof(float), &found->aux));
    if (!flat->space.coder) return VINDEX_OK;
    size_t groups = (rows + VX_CODE_ROWS - 1) / VX_CODE_ROWS;
    VX_TRY(
        find_rows(file, "codes", groups, vx_flat_codes_bytes(flat, VX_CODE_ROWS), &found->codes));
    if (!flat->coder.refined) return VINDEX_OK;
    size_t stride = vx_plane_stride(flat->space.dim), bytes;
    VX_TRY(vx_container_find(file, "planes", false, &found->planes));
    if (vx_mul(rows, stride, &bytes) && vx_add(bytes, VX_CODE_LINE, &bytes) &&
        bytes == found->planes.length)
        return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT,
                   "%s: section 'planes' has %zu bytes, which is not %zu rows of %zu and a line; "
                   "the file is damaged",
                   vx_container_path(file), found->planes.length, rows, stride);
}

/* The block whose first row is `first`, in the map. */
static vx_block block_in_map(const vx_flat *flat, const sections *found, size_t first,
                             size_t count) {
    vx_block block = {.data = found->vectors.bytes + first * vx_flat_stride(flat),
                      .aux = (const float *)(const void *)found->aux.bytes + first,
                      .count = count};
    if (flat->space.coder)
        block.codes =
            (unsigned char *)(uintptr_t)found->codes.bytes + vx_flat_codes_bytes(flat, first);
    if (flat->coder.refined)
        block.planes = (unsigned char *)(uintptr_t)found->planes.bytes +
                       first * vx_plane_stride(flat->space.dim);
    return block;
}

/* Points the blocks into the map, or copies them out of it. */
static vindex_status take_rows(vx_flat *flat, const sections *found, size_t rows, bool map) {
    size_t blocks = (rows + flat->block_rows - 1) / flat->block_rows;
    VX_TRY(vx_flat_reserve_blocks(flat, blocks));
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * flat->block_rows, count = VX_MIN(rows - first, flat->block_rows);
        flat->blocks[b] = block_in_map(flat, found, first, count);
        flat->capacities[b] = 0;
        flat->block_count = b + 1;
        if (!map) VX_TRY(vx_flat_own_block(flat, b, count));
    }
    return VINDEX_OK;
}

static vindex_status load_into(vx_flat *flat, const vx_index_header *header,
                               const vx_container *file, bool map, bool verify) {
    sections found;
    if (flat->certified) VX_TRY(vx_coder_load(file, flat->space.dim, &flat->coder));
    flat->space.coder = flat->coder.mean ? &flat->coder : NULL;
    VX_TRY(find_sections(flat, file, header->rows, &found));
    VX_TRY(vx_ids_load(&flat->ids, file, header->rows, header->largest_id, verify));
    return take_rows(flat, &found, header->rows, map);
}

vindex_status vx_flat_load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                           bool map, bool verify, vindex_index **index) {
    vx_flat *flat;
    VX_TRY(vx_flat_make(spec, header->dim, (vindex_metric)header->metric, &flat));
    vindex_status status = load_into(flat, header, file, map, verify);
    if (status != VINDEX_OK) {
        vx_flat_free(&flat->base);
        return status;
    }
    flat->base.file = file;
    *index = &flat->base;
    return VINDEX_OK;
}
