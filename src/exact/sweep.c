#include "sweep.h"

#include "bound.h"

/* Queries that scan; as many as one tile pays for. */
enum { SCANNED_MOST = 4, SCAN_ROWS = 256 };

static void *take(char *memory, size_t *used, size_t bytes) {
    void *taken = memory ? memory + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return taken;
}

/* Places the arrays from `memory` on; NULL only measures. */
static size_t place(vx_sweep *sweep, char *memory) {
    const vx_group *group = sweep->group;
    size_t width = group->kernels->tile_queries, dim = group->space.dim, used = 0;
    size_t queries = (group->capacity + width - 1) / width * width;
    sweep->forms = take(memory, &used, group->capacity * group->padded * sizeof(float));
    sweep->panels = take(memory, &used, queries * dim * sizeof(float));
    sweep->packed =
        take(memory, &used, VX_MIN(dim, (size_t)VX_SLICE) * VX_TILE_ROWS * sizeof(float));
    sweep->sums = take(memory, &used, dim > VX_SLICE ? queries * VX_TILE_ROWS * sizeof(float) : 0);
    sweep->keys = take(memory, &used, VX_TILE_QUERIES * VX_TILE_ROWS * sizeof(float));
    sweep->limits = take(memory, &used, VX_TILE_QUERIES * sizeof(float));
    return used;
}

size_t vx_sweep_bytes(const vx_group *group) {
    vx_sweep sweep = {.group = group};
    return place(&sweep, NULL);
}

vindex_status vx_sweep_create(const vx_group *group, vx_sweep *sweep) {
    *sweep = (vx_sweep){.group = group};
    size_t bytes = place(sweep, NULL);
    sweep->memory = vx_alloc(bytes, 1);
    if (!sweep->memory) return vx_fail_memory(bytes, 1, "search: preparing queries");
    place(sweep, sweep->memory);
    return VINDEX_OK;
}

void vx_sweep_free(vx_sweep *sweep) {
    vx_free(sweep->memory);
    *sweep = (vx_sweep){0};
}

void vx_sweep_begin(vx_sweep *sweep, float largest_aux, vx_pools *pools) {
    const vx_group *group = sweep->group;
    for (size_t q = 0; q < group->count; q++) {
        vx_group_form(group, VX_PASS_TILE, q, sweep->forms + q * group->padded);
        vx_pool_open(pools, q, vx_group_offset(group, q), vx_group_slack(group, q, largest_aux));
    }
}

/* A few queries: each scans a stretch of rows while it is in the cache. */
static void scan_rows(const vx_sweep *sweep, const vx_block *rows, uint64_t where,
                      vx_pools *pools) {
    const vx_group *group = sweep->group;
    const vx_space *space = &group->space;
    size_t stride = vx_space_stride(space);
    for (size_t start = 0; start < rows->count; start += SCAN_ROWS) {
        size_t here = VX_MIN(rows->count - start, (size_t)SCAN_ROWS);
        const char *data = (const char *)rows->data + start * stride;
        for (size_t i = 0; i < sweep->count; i++) {
            float keys[SCAN_ROWS];
            uint32_t positions[SCAN_ROWS];
            size_t q = sweep->queries[i];
            group->kernels->scan_ip[space->dtype](sweep->forms + q * group->padded, data, stride,
                                                  here, space->dim, keys);
            const float *aux = rows->aux + start;
            if (space->metric == VINDEX_L2)
                for (size_t r = 0; r < here; r++) keys[r] += aux[r];
            else if (space->metric != VINDEX_INNER_PRODUCT)
                for (size_t r = 0; r < here; r++) keys[r] *= aux[r];
            size_t found = group->kernels->select(keys, NULL, here, pools->limits[q], positions);
            for (size_t f = 0; f < found; f++)
                if (!(keys[positions[f]] > pools->limits[q]))
                    vx_pool_push(pools, q, keys[positions[f]], where + start + positions[f]);
        }
    }
}

/* Lays the queries side by side as tiles read them, slice by slice. */
static void pack_queries(const vx_sweep *sweep) {
    const vx_group *group = sweep->group;
    const uint32_t *queries = sweep->queries;
    size_t count = sweep->count;
    size_t width = group->kernels->tile_queries, dim = group->space.dim;
    size_t panels = (count + width - 1) / width;
    for (size_t first = 0; first < dim; first += VX_SLICE) {
        size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
        for (size_t p = 0; p < panels; p++) {
            float *panel = sweep->panels + first * panels * width + p * depth * width;
            for (size_t i = 0; i < width; i++) {
                /* A panel that is not full repeats its last query, whose limit is closed. */
                size_t q = queries[VX_MIN(p * width + i, count - 1)];
                const float *form = sweep->forms + q * group->padded + first;
                for (size_t j = 0; j < depth; j++) panel[j * width + i] = form[j];
            }
        }
    }
}

/* The queries of one panel, and where its rows are. */
typedef struct panel_rows {
    const uint32_t *queries;
    size_t count, rows;
    uint64_t where;
} panel_rows;

static void push_tile(const vx_sweep *sweep, const panel_rows *panel, const uint32_t *masks,
                      vx_pools *pools) {
    uint32_t inside = (uint32_t)((1ull << panel->rows) - 1);
    size_t height = sweep->group->kernels->tile_rows;
    for (size_t i = 0; i < panel->count; i++)
        for (uint32_t mask = masks[i] & inside; mask; mask &= mask - 1) {
            size_t r = (size_t)__builtin_ctz(mask), q = panel->queries[i];
            float key = sweep->keys[i * height + r];
            if (!(key > pools->limits[q])) vx_pool_push(pools, q, key, panel->where + r);
        }
}

/* One tile of rows against all queries. */
static void tile_rows(vx_sweep *sweep, const vx_block *rows, uint64_t where, vx_pools *pools) {
    const vx_group *group = sweep->group;
    const vx_kernels *kernels = group->kernels;
    size_t width = kernels->tile_queries, height = kernels->tile_rows, dim = group->space.dim;
    size_t panels = (sweep->count + width - 1) / width;
    float aux[VX_TILE_ROWS] = {0};
    memcpy(aux, rows->aux, rows->count * sizeof *aux);
    vx_tile_limits limits = {vx_group_scale(group, aux), vx_group_bias(group, aux), sweep->limits};
    for (size_t first = 0; first < dim; first += VX_SLICE) {
        size_t depth = VX_MIN(dim - first, (size_t)VX_SLICE);
        kernels->pack[group->space.dtype](rows->data, vx_space_stride(&group->space), rows->count,
                                          first, depth, height, sweep->packed);
        for (size_t p = 0; p < panels; p++) {
            float *sums = sweep->sums + p * width * height;
            uint32_t masks[VX_TILE_QUERIES];
            vx_tile tile = {.rows = sweep->packed,
                            .queries = sweep->panels + first * panels * width + p * depth * width,
                            .depth = depth,
                            .sums = first ? sums : NULL,
                            .stride = height};
            if (first + depth < dim) {
                kernels->tile_sums(&tile, sums);
                continue;
            }
            panel_rows panel = {sweep->queries + p * width, VX_MIN(width, sweep->count - p * width),
                                rows->count, where};
            for (size_t i = 0; i < width; i++)
                sweep->limits[i] = i < panel.count ? pools->limits[panel.queries[i]] : -INFINITY;
            if (kernels->tile_collect(&tile, &limits, masks, sweep->keys))
                push_tile(sweep, &panel, masks, pools);
        }
    }
}

void vx_sweep_queries(vx_sweep *sweep, const uint32_t *queries, size_t count) {
    sweep->queries = queries;
    sweep->count = count;
    if (count > SCANNED_MOST) pack_queries(sweep);
}

void vx_sweep_rows(vx_sweep *sweep, const vx_block *rows, uint64_t where, vx_pools *pools) {
    if (sweep->count <= SCANNED_MOST) {
        scan_rows(sweep, rows, where, pools);
        return;
    }
    size_t height = sweep->group->kernels->tile_rows;
    size_t stride = vx_space_stride(&sweep->group->space);
    for (size_t start = 0; start < rows->count; start += height) {
        vx_block tile = {.data = (const char *)rows->data + start * stride,
                         .aux = rows->aux + start,
                         .count = VX_MIN(rows->count - start, height)};
        tile_rows(sweep, &tile, where + start, pools);
    }
}
