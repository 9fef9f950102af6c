#include "points.h"

enum { NAME = 16, POINTS_MOST = 1 << 16 };

size_t vx_knobs_of(const vindex_index *index, vx_knob knobs[VX_KNOBS_MOST]) {
    size_t count = index->ops->knobs ? index->ops->knobs(index, knobs) : 0;
    return VX_MIN(count, (size_t)VX_KNOBS_MOST);
}

/* The first point, by k and then by recall, for at least that k and that recall. Recall at more
 * neighbours is the harder one to reach, so that a point for more serves for fewer. */
static vindex_status choose(const vindex_index *index, int64_t k, double recall,
                            const vx_point **chosen) {
    const vx_point *points = index->points;
    size_t first = 0, last;
    if (!index->point_count)
        return vx_fail(VINDEX_ERR_STATE,
                       "search: recall %.6g was asked for and the index was never tuned; call "
                       "vindex_tune first, or give its parameters",
                       recall);
    while (first < index->point_count && points[first].k < k) first++;
    if (first == index->point_count)
        return vx_fail(VINDEX_ERR_STATE,
                       "search: recall was asked for with k = %lld and the index was tuned for k "
                       "up to %lld; tune it for more neighbours too",
                       (long long)k, (long long)points[first - 1].k);
    for (last = first; last < index->point_count && points[last].k == points[first].k; last++) {
        if (points[last].recall < recall) continue;
        *chosen = &points[last];
        return VINDEX_OK;
    }
    return vx_fail(VINDEX_ERR_UNSUPPORTED,
                   "search: recall %.6g was asked for and the best operating point gives %.6g; ask "
                   "for less, or tune for more",
                   recall, points[last - 1].recall);
}

static void set_knob(const vx_knob *knob, int64_t value, vx_request *request) {
    size_t asked = (size_t)value;
    memcpy((char *)request + knob->asked, &asked, sizeof asked);
}

static vindex_status given_twice(double recall, const char *name, int64_t value) {
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "search: recall %.6g and %s %lld were both given; give one of them", recall,
                   name, (long long)value);
}

/* A factor for Refine is no knob where a bound chooses the candidates, but takes some of them away
 * all the same. */
vindex_status vx_points_apply(const vindex_index *index, const vindex_search_params *params,
                              vx_request *request) {
    vx_knob knobs[VX_KNOBS_MOST];
    const vx_point *point = NULL;
    size_t count = vx_knobs_of(index, knobs);
    for (size_t i = 0; i < count; i++) {
        int64_t given;
        memcpy(&given, (const char *)params + knobs[i].given, sizeof given);
        if (given && params->recall > 0) return given_twice(params->recall, knobs[i].name, given);
        set_knob(&knobs[i], given ? given : knobs[i].initial, request);
    }
    if (!(params->recall > 0) || index->capabilities & VINDEX_IS_EXACT) return VINDEX_OK;
    if (params->rerank) return given_twice(params->recall, "rerank", params->rerank);
    VX_TRY(choose(index, params->k, params->recall, &point));
    for (size_t i = 0; i < count; i++) set_knob(&knobs[i], point->values[i], request);
    return VINDEX_OK;
}

vindex_status vx_points_set(vindex_index *index, int64_t k, const vx_point *points, size_t count) {
    size_t total = count, at = 0;
    for (size_t i = 0; i < index->point_count; i++) total += index->points[i].k != k;
    vx_point *all = total <= POINTS_MOST ? vx_alloc(total, sizeof *all) : NULL;
    if (!all) return vx_fail_memory(total, sizeof *all, "tune: the operating points");
    for (size_t i = 0; i < index->point_count; i++)
        if (index->points[i].k < k) all[at++] = index->points[i];
    if (count) memcpy(all + at, points, count * sizeof *points);
    at += count;
    for (size_t i = 0; i < index->point_count; i++)
        if (index->points[i].k > k) all[at++] = index->points[i];
    vx_free(index->points);
    index->points = all;
    index->point_count = total;
    return VINDEX_OK;
}

void vx_points_drop(vindex_index *index) {
    vx_free(index->points);
    index->points = NULL;
    index->point_count = 0;
}

void vx_points_age(vindex_index *index, int64_t vectors) {
    for (size_t i = 0; i < index->point_count; i++)
        if (__builtin_add_overflow(index->points[i].changed, vectors, &index->points[i].changed))
            index->points[i].changed = INT64_MAX;
}

vindex_status vindex_operating_points(const vindex_index *index, vindex_operating_point *points,
                                      int64_t room, int64_t *count) {
    vx_knob knobs[VX_KNOBS_MOST];
    if (!index || !count || (room > 0 && !points))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "operating points: a pointer is NULL; give all of them");
    size_t knob_count = vx_knobs_of(index, knobs);
    *count = (int64_t)index->point_count;
    for (int64_t i = 0; i < VX_MIN(room, *count); i++) {
        const vx_point *point = &index->points[i];
        points[i] = (vindex_operating_point){.k = point->k,
                                             .recall = point->recall,
                                             .measured = point->measured,
                                             .queries = point->queries,
                                             .vectors = point->vectors,
                                             .changed = point->changed,
                                             .setting_count = (int64_t)knob_count};
        for (size_t j = 0; j < knob_count; j++)
            points[i].settings[j] = (vindex_point_setting){knobs[j].name, point->values[j]};
    }
    return VINDEX_OK;
}

/* ---- files ---- */

static size_t point_bytes(size_t knobs) {
    return 8 * (6 + knobs);
}

bool vx_points_saved(const vindex_index *index) {
    return index->point_count > 0;
}

static void put_f64(unsigned char *where, double value) {
    uint64_t word;
    memcpy(&word, &value, sizeof word);
    vx_put_u64(where, word);
}

static double get_f64(const unsigned char *where) {
    uint64_t word = vx_get_u64(where);
    double value;
    memcpy(&value, &word, sizeof value);
    return value;
}

vindex_status vx_points_save(const vindex_index *index, vx_container_writer *writer) {
    vx_knob knobs[VX_KNOBS_MOST];
    unsigned char bytes[8 * (6 + VX_KNOBS_MOST)], name[NAME];
    size_t count = vx_knobs_of(index, knobs);
    VX_TRY(vx_container_begin(writer, "points"));
    vx_put_u64(bytes, count);
    VX_TRY(vx_container_append(writer, bytes, 8));
    for (size_t i = 0; i < count; i++) {
        memset(name, 0, NAME);
        memcpy(name, knobs[i].name, VX_MIN(strlen(knobs[i].name), (size_t)NAME));
        VX_TRY(vx_container_append(writer, name, NAME));
    }
    for (size_t i = 0; i < index->point_count; i++) {
        const vx_point *point = &index->points[i];
        vx_put_u64(bytes, (uint64_t)point->k);
        vx_put_u64(bytes + 8, (uint64_t)point->queries);
        vx_put_u64(bytes + 16, (uint64_t)point->vectors);
        vx_put_u64(bytes + 24, (uint64_t)point->changed);
        put_f64(bytes + 32, point->recall);
        put_f64(bytes + 40, point->measured);
        for (size_t j = 0; j < count; j++)
            vx_put_u64(bytes + 8 * (6 + j), (uint64_t)point->values[j]);
        VX_TRY(vx_container_append(writer, bytes, point_bytes(count)));
    }
    return vx_container_end(writer);
}

static void get_point(const unsigned char *bytes, size_t knobs, vx_point *point) {
    *point = (vx_point){.k = (int64_t)vx_get_u64(bytes),
                        .queries = (int64_t)vx_get_u64(bytes + 8),
                        .vectors = (int64_t)vx_get_u64(bytes + 16),
                        .changed = (int64_t)vx_get_u64(bytes + 24),
                        .recall = get_f64(bytes + 32),
                        .measured = get_f64(bytes + 40)};
    for (size_t j = 0; j < knobs; j++) point->values[j] = (int64_t)vx_get_u64(bytes + 8 * (6 + j));
}

/* Whether a point can follow another (NULL: none) and be one of an index with those knobs. */
static bool sound(const vx_point *point, const vx_point *before, const vx_knob *knobs,
                  size_t count) {
    if (point->k < 1 || point->k > INT32_MAX || point->queries < 1 || point->vectors < 1 ||
        point->changed < 0)
        return false;
    if (!(point->recall >= 0 && point->recall <= point->measured && point->measured <= 1))
        return false;
    for (size_t j = 0; j < count; j++) {
        int64_t most = knobs[j].pace ? knobs[j].most : INT32_MAX;
        if (point->values[j] < knobs[j].least || point->values[j] > most) return false;
    }
    return !before || point->k > before->k ||
           (point->k == before->k && point->recall > before->recall);
}

static vindex_status damaged(const vx_container *file, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: its operating points %s; the file is damaged",
                   vx_container_path(file), what);
}

vindex_status vx_points_load(vindex_index *index, const vx_container *file) {
    vx_knob knobs[VX_KNOBS_MOST];
    vx_section section;
    size_t count = vx_knobs_of(index, knobs), head = 8 + count * NAME;
    if (!vx_container_has(file, "points")) return VINDEX_OK;
    VX_TRY(vx_container_find(file, "points", true, &section));
    if (section.length < head || vx_get_u64(section.bytes) != count)
        return damaged(file, "are about other parameters than the index has");
    for (size_t i = 0; i < count; i++)
        if (strncmp((const char *)section.bytes + 8 + i * NAME, knobs[i].name, NAME) != 0)
            return damaged(file, "are about other parameters than the index has");
    size_t bytes = section.length - head, points = bytes / point_bytes(count);
    if (!points || points > POINTS_MOST || bytes % point_bytes(count))
        return damaged(file, "are cut short, or too many");
    vx_point *all = vx_alloc(points, sizeof *all);
    if (!all) return vx_fail_memory(points, sizeof *all, "load: the operating points");
    for (size_t i = 0; i < points; i++) {
        get_point(section.bytes + head + i * point_bytes(count), count, &all[i]);
        if (sound(&all[i], i ? &all[i - 1] : NULL, knobs, count)) continue;
        vx_free(all);
        return damaged(file, "hold what no tuning gives");
    }
    index->points = all;
    index->point_count = points;
    return VINDEX_OK;
}
