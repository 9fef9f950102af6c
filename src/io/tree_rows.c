/* Rows of what was chosen in a tree: blocks of evenly spaced numbers, where they lie. */
#include "tree.h"

#include "text.h"

typedef struct rows {
    vx_tree tree;
    vx_matrix *blocks; /* of consecutive rows */
    size_t *starts;    /* the first row of each, then all rows */
    size_t count;
    size_t row;    /* while blocks are added: of the next */
    size_t *sizes; /* rows of each recording; NULL: one each */
} rows;

/* Appends rows whose first number lies offset bytes behind the array's first; while there is no
 * room yet, counts the blocks only. */
static vindex_status add_block(rows *r, const vx_array *array, size_t offset, vx_matrix block) {
    if (!block.rows) return VINDEX_OK;
    if (r->blocks) {
        VX_TRY(vx_blob_bytes(&r->tree, array->blob));
        block.bytes = array->blob->bytes + array->offset + offset;
        block.dtype = array->dtype;
        block.big_endian = array->big_endian;
        r->blocks[r->count] = block;
        r->starts[r->count] = r->row;
    }
    r->count++;
    r->row += block.rows;
    return VINDEX_OK;
}

/* An array of up to three dimensions. */
static vindex_status add_array(rows *r, const vx_array *array) {
    const size_t *shape = array->shape, *strides = array->strides;
    if (array->dimensions == 1)
        return add_block(r, array, 0,
                         (vx_matrix){.rows = 1,
                                     .dim = shape[0],
                                     .row_stride = shape[0] * strides[0],
                                     .column_stride = strides[0]});
    if (array->dimensions == 2)
        return add_block(r, array, 0,
                         (vx_matrix){.rows = shape[0],
                                     .dim = shape[1],
                                     .row_stride = strides[0],
                                     .column_stride = strides[1]});
    vx_matrix block = {
        .rows = shape[1], .dim = shape[2], .row_stride = strides[1], .column_stride = strides[2]};
    if (shape[0] && strides[0] == shape[1] * strides[1]) {
        block.rows = shape[0] * shape[1];
        return add_block(r, array, 0, block);
    }
    for (size_t i = 0; i < shape[0]; i++) VX_TRY(add_block(r, array, i * strides[0], block));
    return VINDEX_OK;
}

static vindex_status add_value(rows *r, const vx_value *value) {
    if (value->kind == VX_ARRAY) return add_array(r, value->array);
    bool dict = value->kind == VX_DICT;
    for (size_t i = dict; i < value->count; i += 1 + (size_t)dict)
        VX_TRY(add_value(r, value->items[i]));
    return VINDEX_OK;
}

/* Blocks and their room: counted first, for their memory is the tree's too. */
static vindex_status gather(rows *r, const vx_value *value) {
    VX_TRY(add_value(r, value));
    size_t count = r->count;
    r->blocks = vx_tree_take(&r->tree, count, sizeof *r->blocks);
    r->starts = vx_tree_take(&r->tree, count + 1, sizeof *r->starts);
    if (!r->blocks || !r->starts) return vx_tree_fail(&r->tree);
    r->count = r->row = 0;
    VX_TRY(add_value(r, value));
    r->starts[count] = r->row;
    return VINDEX_OK;
}

/* Notes how many rows each recording has, if not all have one. */
static vindex_status measure(rows *r, const vx_value *value, const vx_facts *facts) {
    bool deep = value->kind == VX_ARRAY && value->array->dimensions == 3;
    if (!deep && !vx_is_list(value)) return VINDEX_OK;
    size_t *sizes = vx_tree_take(&r->tree, facts->recordings, sizeof *sizes);
    if (!sizes) return vx_tree_fail(&r->tree);
    bool several = false;
    for (size_t i = 0; i < facts->recordings; i++) {
        vx_facts part = {.rows = deep ? value->array->shape[1] : 0};
        if (!deep) vx_part_facts(&r->tree, value->items[i], &part);
        sizes[i] = part.rows;
        several |= part.rows != 1;
    }
    if (several) r->sizes = sizes;
    return vx_tree_check_work(&r->tree);
}

/* Says why a list of arrays is none of rows, where that is so. */
static vindex_status fail_list(rows *r, const vx_value *list, const char *name) {
    char first_words[VX_WORDS], words[VX_WORDS];
    vx_facts first, part;
    if (!vx_is_list(list) || !list->count || !vx_part_facts(&r->tree, list->items[0], &first))
        return VINDEX_OK;
    for (size_t i = 1; i < list->count; i++)
        if (!vx_part_facts(&r->tree, list->items[i], &part) || part.dim != first.dim)
            return vx_fail(VINDEX_ERR_FORMAT,
                           "%s: key '%s': item %zu is %s where item 0 is %s; all rows must have "
                           "as many numbers",
                           r->tree.path, name, i, vx_value_words(&r->tree, list->items[i], words),
                           vx_value_words(&r->tree, list->items[0], first_words));
    return VINDEX_OK;
}

static vindex_status fail_rows(rows *r, const vx_visit *chosen) {
    char words[VX_WORDS], name[VX_EXCERPT];
    vx_excerpt(chosen->key, strlen(chosen->key), name);
    VX_TRY(fail_list(r, chosen->value, name));
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "%s: key '%s' is a %s, not rows of numbers; choose another key, or save it as "
                   "a matrix of float32",
                   r->tree.path, name, vx_value_words(&r->tree, chosen->value, words));
}

static vindex_status open_rows(vindex_embeddings *file, rows *r,
                               const vindex_embeddings_options *options) {
    vx_visit chosen;
    VX_TRY(vx_tree_build(file, &r->tree));
    VX_TRY(vx_tree_choose(&r->tree, options->key, VINDEX_MEMBER_EMBEDDINGS, &chosen));
    const vx_facts *facts = &chosen.facts;
    if (facts->use != VINDEX_MEMBER_EMBEDDINGS && !facts->vector) return fail_rows(r, &chosen);
    VX_TRY(gather(r, chosen.value));
    VX_TRY(measure(r, chosen.value, facts));
    if (r->count == 1) file->matrix = r->blocks[0];
    file->info.rows = (int64_t)facts->rows;
    file->info.dim = (int64_t)facts->dim;
    file->info.dtype = facts->dtype;
    return vx_tree_name_rows(file, &r->tree, &chosen, r->sizes, options);
}

vindex_status vx_tree_open(vindex_embeddings *file, const vindex_embeddings_options *options) {
    rows *r = file->state = vx_alloc_zero(1, sizeof *r);
    if (!r) return vx_fail_memory(1, sizeof *r, file->path);
    return open_rows(file, r, options);
}

vindex_status vx_tree_read(const vindex_embeddings *file, size_t first, size_t count,
                           float *vectors) {
    const rows *r = file->state;
    size_t low = 0, high = r->count; /* the block that has the first row */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (r->starts[middle] <= first)
            low = middle;
        else
            high = middle;
    }
    for (size_t block = low; count; block++) {
        size_t within = first - r->starts[block];
        size_t take = VX_MIN(count, r->blocks[block].rows - within);
        vx_matrix_read(&r->blocks[block], within, take, vectors);
        vectors += take * r->blocks[block].dim;
        first += take;
        count -= take;
    }
    return VINDEX_OK;
}

void vx_tree_close(vindex_embeddings *file) {
    rows *r = file->state;
    if (r) vx_tree_free(&r->tree);
    vx_free(r);
}
