/* Saving and loading. Sections: "index"; "ivf" (see put_facts); once trained "centroid" (lists x
 * dim floats; where a graph finds the lists instead its sections, each with a '~' before its tag),
 * "sizes" (rows of each list, u64), "radii" or, but under L2, "angles" (a float each, of inner
 * products followed by those of the longest rows), then list by list "rows"
 * (their numbers, u32), "aux" (a float each), "vectors" ("codes" where the codec groups rows: the
 * last group is filled up with zeros) and, where the codec has such, "fine", without a gap between
 * lists; what the codec learnt; and those of the ids. */
#include <math.h>
#include <stdio.h>

#include "ivf.h"

enum { FACTS = 64, TRAINED = 1, PLUS_PLUS = 2, COARSE = '~', STAGED_ROWS = 64 * VX_CODEC_ROWS };

/* At 0 flags u32; 4 seed u64; 12 iterations, 16 batch u32; 20 points_each u64; 28 balance, 36 loss
 * f64; 44 largest f32; 48 learnt_from, 56 offered u64. */
static void put_facts(const vx_ivf *ivf, unsigned char *bytes) {
    uint64_t word;
    memset(bytes, 0, FACTS);
    vx_put_u32(bytes, (ivf->coarse ? TRAINED : 0) | (ivf->training.plus_plus ? PLUS_PLUS : 0));
    vx_put_u64(bytes + 4, ivf->training.seed);
    vx_put_u32(bytes + 12, (uint32_t)ivf->training.iterations);
    vx_put_u32(bytes + 16, (uint32_t)ivf->training.batch);
    vx_put_u64(bytes + 20, ivf->training.points_each);
    memcpy(&word, &ivf->training.balance, sizeof word);
    vx_put_u64(bytes + 28, word);
    memcpy(&word, &ivf->loss, sizeof word);
    vx_put_u64(bytes + 36, word);
    uint32_t half;
    memcpy(&half, &ivf->largest, sizeof half);
    vx_put_u32(bytes + 44, half);
    vx_put_u64(bytes + 48, ivf->learnt_from);
    vx_put_u64(bytes + 56, ivf->offered);
}

/* Answers false for numbers that no index can have. */
static bool get_facts(vx_ivf *ivf, const unsigned char *bytes, bool *trained) {
    uint64_t word;
    uint32_t flags = vx_get_u32(bytes), half;
    *trained = flags & TRAINED;
    ivf->training.plus_plus = flags & PLUS_PLUS;
    ivf->training.seed = vx_get_u64(bytes + 4);
    ivf->training.iterations = vx_get_u32(bytes + 12);
    ivf->training.batch = vx_get_u32(bytes + 16);
    ivf->training.points_each = vx_get_u64(bytes + 20);
    word = vx_get_u64(bytes + 28);
    memcpy(&ivf->training.balance, &word, sizeof word);
    word = vx_get_u64(bytes + 36);
    memcpy(&ivf->loss, &word, sizeof word);
    half = vx_get_u32(bytes + 44);
    memcpy(&ivf->largest, &half, sizeof half);
    ivf->learnt_from = vx_get_u64(bytes + 48);
    ivf->offered = vx_get_u64(bytes + 56);
    if (ivf->learnt_from > ivf->offered || ivf->offered > INT64_MAX) return false;
    if (ivf->training.iterations > INT32_MAX || ivf->training.batch > INT32_MAX ||
        ivf->training.points_each > INT32_MAX)
        return false;
    return flags <= (TRAINED | PLUS_PLUS) && ivf->largest >= 0 && ivf->training.balance >= 0 &&
           ivf->training.balance <= 1 && !isnan(ivf->loss);
}

static vindex_status save_centroids(const vx_ivf *ivf, vx_container_writer *writer) {
    float *centroid = vx_alloc(ivf->base.dim, sizeof *centroid);
    if (!centroid) return vx_fail_memory(ivf->base.dim, sizeof *centroid, "save");
    vindex_status status = vx_container_begin(writer, "centroid");
    for (int64_t l = 0; status == VINDEX_OK && l < (int64_t)ivf->list_count; l++) {
        status = vindex_reconstruct(ivf->coarse, &l, 1, centroid);
        if (status == VINDEX_OK)
            status = vx_container_append(writer, centroid, ivf->base.dim * sizeof *centroid);
    }
    vx_free(centroid);
    return status == VINDEX_OK ? vx_container_end(writer) : status;
}

/* As a file of its own would be: the index section, and what the graph saves. */
static vindex_status save_graph(const vx_ivf *ivf, vx_container_writer *writer,
                                const vindex_call *call) {
    const vindex_index *coarse = ivf->coarse;
    vindex_call quiet = *call;
    vx_index_header header = {.dim = coarse->dim, .metric = coarse->metric};
    quiet.progress = NULL;
    snprintf(header.spec, sizeof header.spec, "%s", coarse->spec);
    coarse->ops->describe(coarse, &header);
    vx_container_within(writer, COARSE);
    vindex_status status = vx_index_header_save(writer, &header);
    if (status == VINDEX_OK) status = coarse->ops->save(coarse, writer, &quiet);
    vx_container_within(writer, 0);
    return status;
}

/* The section of what scans read. */
static const char *data_tag(const vx_ivf *ivf) {
    return ivf->codec->group > 1 ? "codes" : "vectors";
}

/* The section of how far lists reach; of inner products also of how long their rows are. */
static const char *radii_tag(const vx_ivf *ivf) {
    return ivf->base.metric == VINDEX_L2 ? "radii" : "angles";
}

static bool has_lengths(const vx_ivf *ivf) {
    return ivf->base.metric == VINDEX_INNER_PRODUCT;
}

/* The codes of all rows, one group after the other whichever lists they belong to. */
typedef struct stager {
    const vx_codec *codec; /* the one that groups */
    vx_block groups;
    vx_container_writer *writer;
} stager;

static vindex_status flush(stager *s) {
    size_t bytes = s->codec->ops->bytes(s->codec, s->groups.count);
    VX_TRY(vx_container_append(s->writer, s->groups.data, bytes));
    memset((void *)(uintptr_t)s->groups.data, 0, bytes);
    s->groups.count = 0;
    return VINDEX_OK;
}

static vindex_status stage_list(stager *s, const vx_list *list) {
    for (size_t i = list->first; i < list->run.count; i++) {
        vx_coded to = {&s->groups, s->groups.count++};
        s->codec->ops->move(s->codec, (vx_coded){&list->run, i}, to);
        if (s->groups.count == STAGED_ROWS) VX_TRY(flush(s));
    }
    return VINDEX_OK;
}

static vindex_status save_vectors(const vx_ivf *ivf, vx_container_writer *writer,
                                  const vindex_call *call) {
    stager s = {.codec = ivf->codec->coarse ? ivf->codec->coarse : ivf->codec, .writer = writer};
    size_t bytes = s.codec->ops->bytes(s.codec, STAGED_ROWS);
    s.groups.data = vx_alloc_zero(bytes, 1);
    if (!s.groups.data) return vx_fail_memory(bytes, 1, "save");
    vindex_status status = vx_container_begin(writer, data_tag(ivf));
    for (size_t l = 0; status == VINDEX_OK && l < ivf->list_count; l++) {
        status = stage_list(&s, &ivf->lists[l]);
        if (status == VINDEX_OK)
            status = vx_progress(call->progress, call->progress_context, "save",
                                 (double)(l + 1) / (double)ivf->list_count);
    }
    if (status == VINDEX_OK) status = flush(&s);
    vx_free((void *)(uintptr_t)s.groups.data);
    return status == VINDEX_OK ? vx_container_end(writer) : status;
}

static vindex_status save_fine(const vx_ivf *ivf, vx_container_writer *writer) {
    VX_TRY(vx_container_begin(writer, "fine"));
    for (size_t l = 0; l < ivf->list_count; l++) {
        const vx_list *list = &ivf->lists[l];
        if (!vx_list_size(list)) continue;
        size_t before = vx_codec_fine_bytes(ivf->codec, list->first);
        VX_TRY(vx_container_append(writer, (const char *)list->run.fine + before,
                                   vx_codec_fine_bytes(ivf->codec, list->run.count) - before));
    }
    return vx_container_end(writer);
}

static vindex_status save_lists(const vx_ivf *ivf, vx_container_writer *writer,
                                const vindex_call *call) {
    VX_TRY(vx_container_begin(writer, "sizes"));
    for (size_t l = 0; l < ivf->list_count; l++) {
        unsigned char size[8];
        vx_put_u64(size, vx_list_size(&ivf->lists[l]));
        VX_TRY(vx_container_append(writer, size, sizeof size));
    }
    VX_TRY(vx_container_end(writer));
    VX_TRY(vx_container_begin(writer, radii_tag(ivf)));
    for (size_t l = 0; l < ivf->list_count; l++)
        VX_TRY(vx_container_append(writer, &ivf->lists[l].radius, sizeof(float)));
    for (size_t l = 0; has_lengths(ivf) && l < ivf->list_count; l++)
        VX_TRY(vx_container_append(writer, &ivf->lists[l].longest, sizeof(float)));
    VX_TRY(vx_container_end(writer));
    VX_TRY(vx_container_begin(writer, "rows"));
    for (size_t l = 0; l < ivf->list_count; l++)
        if (vx_list_size(&ivf->lists[l]))
            VX_TRY(vx_container_append(writer, ivf->lists[l].rows + ivf->lists[l].first,
                                       vx_list_size(&ivf->lists[l]) * sizeof(uint32_t)));
    VX_TRY(vx_container_end(writer));
    VX_TRY(vx_container_begin(writer, "aux"));
    for (size_t l = 0; l < ivf->list_count; l++)
        if (vx_list_size(&ivf->lists[l]))
            VX_TRY(vx_container_append(writer, ivf->lists[l].run.aux + ivf->lists[l].first,
                                       vx_list_size(&ivf->lists[l]) * sizeof(float)));
    VX_TRY(vx_container_end(writer));
    VX_TRY(save_vectors(ivf, writer, call));
    return ivf->codec->ops->fine_bytes ? save_fine(ivf, writer) : VINDEX_OK;
}

void vx_ivf_describe(const vindex_index *index, vx_index_header *header) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    header->rows = ivf->ids.count;
    header->largest_id = ivf->ids.largest;
}

uint32_t vx_ivf_section_count(const vindex_index *index) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    const vx_codec_ops *codec = ivf->codec->ops;
    uint32_t learnt = 0;
    if (ivf->coarse) {
        learnt = 5 + (uint32_t)ivf->codec->sections + (codec->fine_bytes != NULL);
        learnt += ivf->links ? 1 + ivf->coarse->ops->section_count(ivf->coarse) : 1;
    }
    return 1 + learnt + vx_ids_section_count(&ivf->ids);
}

vindex_status vx_ivf_save(const vindex_index *index, vx_container_writer *writer,
                          const vindex_call *call) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    unsigned char facts[FACTS];
    put_facts(ivf, facts);
    VX_TRY(vx_container_section(writer, "ivf", facts, sizeof facts));
    if (ivf->coarse) {
        VX_TRY(ivf->links ? save_graph(ivf, writer, call) : save_centroids(ivf, writer));
        VX_TRY(save_lists(ivf, writer, call));
        if (ivf->codec->ops->save) VX_TRY(ivf->codec->ops->save(ivf->codec, writer));
    }
    return vx_ids_save(&ivf->ids, writer);
}

/* A section that must hold exactly count items of size bytes. */
static vindex_status find(const vx_container *file, const char *tag, size_t count, size_t size,
                          vx_section *section) {
    size_t bytes;
    VX_TRY(vx_container_find(file, tag, false, section));
    if (vx_mul(count, size, &bytes) && bytes == section->length) return VINDEX_OK;
    return vx_fail(
        VINDEX_ERR_FORMAT,
        "%s: section '%s' has %zu bytes, which is not %zu items of %zu; the file is damaged",
        vx_container_path(file), tag, section->length, count, size);
}

static vindex_status damaged(const vx_container *file, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %s; the file is damaged", vx_container_path(file), what);
}

/* The sections of the lists. */
typedef struct sections {
    vx_section sizes, radii, rows, aux, vectors, fine;
} sections;

/* Sizes of lists that add up to the rows, which the bytes of the vectors are those of. */
static vindex_status check_sizes(const vx_ivf *ivf, const vx_container *file,
                                 const sections *found) {
    size_t rows = 0;
    for (size_t l = 0; l < ivf->list_count; l++) {
        uint64_t size = vx_get_u64(found->sizes.bytes + 8 * l);
        if (size > ivf->ids.count || !vx_add(rows, size, &rows))
            return damaged(file, "a list is larger than the index");
    }
    if (rows != ivf->ids.count)
        return damaged(file, "its lists do not hold as many rows as it has");
    if (ivf->codec->ops->bytes(ivf->codec, rows) != found->vectors.length)
        return vx_fail(
            VINDEX_ERR_FORMAT,
            "%s: the section of its codes or vectors is not as long as its lists say; the "
            "file is damaged, or of an earlier vindex that laid codes out otherwise: build "
            "the index anew",
            vx_container_path(file));
    if (vx_codec_fine_bytes(ivf->codec, rows) != found->fine.length)
        return damaged(file, "section 'fine' is not as long as its lists say");
    return VINDEX_OK;
}

/* Each row must be in one place, and their numbers rise in each list. */
static vindex_status check_rows(const vx_ivf *ivf, const vx_container *file,
                                const sections *found) {
    const vx_section *section = &found->rows;
    size_t words = ivf->ids.count / 64 + 1;
    uint64_t *seen = vx_alloc_zero(words, sizeof *seen);
    if (!seen) return vx_fail_memory(words, sizeof *seen, "load");
    bool good = true;
    for (size_t i = 0; good && i < ivf->ids.count; i++) {
        uint32_t row = vx_get_u32(section->bytes + 4 * i);
        good = row < ivf->ids.count && !(seen[row / 64] >> (row % 64) & 1);
        if (good) seen[row / 64] |= (uint64_t)1 << (row % 64);
    }
    vx_free(seen);
    for (size_t l = 0, i = 0; good && l < ivf->list_count; l++) {
        size_t end = i + vx_get_u64(found->sizes.bytes + 8 * l);
        for (; good && i + 1 < end; i++)
            good = vx_get_u32(section->bytes + 4 * i) < vx_get_u32(section->bytes + 4 * i + 4);
        i = end;
    }
    return good ? VINDEX_OK : damaged(file, "a row is in no list, in two places, or out of order");
}

static vindex_status find_lists(const vx_ivf *ivf, const vx_container *file, bool verify,
                                sections *found) {
    VX_TRY(find(file, "sizes", ivf->list_count, 8, &found->sizes));
    VX_TRY(find(file, radii_tag(ivf), ivf->list_count, sizeof(float) * (1 + has_lengths(ivf)),
                &found->radii));
    VX_TRY(find(file, "rows", ivf->ids.count, sizeof(uint32_t), &found->rows));
    VX_TRY(find(file, "aux", ivf->ids.count, sizeof(float), &found->aux));
    VX_TRY(vx_container_find(file, data_tag(ivf), false, &found->vectors));
    found->fine = (vx_section){0};
    if (ivf->codec->ops->fine_bytes) VX_TRY(vx_container_find(file, "fine", false, &found->fine));
    VX_TRY(check_sizes(ivf, file, found));
    return verify ? check_rows(ivf, file, found) : VINDEX_OK;
}

/* Points the lists into the map. */
static void map_lists(vx_ivf *ivf, const sections *found) {
    const vx_codec *codec = ivf->codec;
    for (size_t l = 0, start = 0; l < ivf->list_count; l++) {
        size_t size = vx_get_u64(found->sizes.bytes + 8 * l), first = start % codec->group;
        size_t at = start - first;
        vx_list *list = &ivf->lists[l];
        list->run = (vx_block){.data = found->vectors.bytes + codec->ops->bytes(codec, at),
                               .aux = (const float *)(const void *)found->aux.bytes + at,
                               .count = first + size};
        if (found->fine.bytes)
            list->run.fine =
                (void *)(uintptr_t)(found->fine.bytes + vx_codec_fine_bytes(codec, at));
        list->rows = (uint32_t *)(uintptr_t)(found->rows.bytes + 4 * at);
        list->first = first;
        memcpy(&list->radius, found->radii.bytes + sizeof(float) * l, sizeof(float));
        if (has_lengths(ivf))
            memcpy(&list->longest, found->radii.bytes + sizeof(float) * (ivf->list_count + l),
                   sizeof(float));
        start += size;
    }
    vx_ivf_centre(ivf, ivf->lists);
}

/* A graph of as many nodes as there are lists, in their order and under their numbers. */
static vindex_status check_graph(const vx_ivf *ivf, const vindex_index *graph,
                                 const vx_container *file, float *centroids) {
    size_t dim = ivf->base.dim, where;
    float *centroid = centroids;
    if (graph->ops->count(graph) != ivf->list_count)
        return damaged(file, "its graph has not a node for each list");
    for (int64_t l = 0; l < (int64_t)ivf->list_count; l++, centroid += dim)
        if (vindex_reconstruct(graph, &l, 1, centroid) != VINDEX_OK ||
            memcmp(centroid, graph->ops->floats(graph, (size_t)l), dim * sizeof *centroid) != 0)
            return damaged(file, "a list is not in its graph, or in another one's place");
    if (!vx_all_finite(centroids, ivf->list_count * dim, &where))
        return damaged(file, "a centroid is not a finite vector");
    return VINDEX_OK;
}

/* The graph in a file; it takes over the inner container. */
static vindex_status load_graph(const vx_ivf *ivf, vx_container *inner, bool map, bool verify,
                                vindex_index **graph) {
    char expected[VX_IVF_COARSE_SPEC];
    vx_index_header header;
    vx_spec spec;
    const vx_index_kind *kind;
    vx_ivf_coarse_spec(ivf, expected);
    VX_TRY(vx_index_header_load(inner, &header));
    if (strcmp(header.spec, expected) != 0 || header.dim != ivf->base.dim ||
        header.metric != (uint32_t)ivf->base.metric || header.rows != ivf->list_count)
        return damaged(inner, "its graph is another than its factory string says");
    VX_TRY(vx_spec_parse(header.spec, &spec, &kind));
    return kind->load(&spec, &header, inner, map, verify, graph);
}

static vindex_status open_graph(vx_ivf *ivf, const vx_container *file, bool map, bool verify) {
    vx_container *inner;
    vindex_index *graph = NULL;
    vindex_call call;
    vindex_call_init(&call);
    VX_TRY(vx_container_inner(file, COARSE, &inner));
    vindex_status status = load_graph(ivf, inner, map, verify, &graph);
    if (status != VINDEX_OK) {
        vx_container_close(inner);
        return status;
    }
    size_t dim = ivf->base.dim;
    float *centroids = vx_alloc(ivf->list_count, dim * sizeof *centroids);
    if (!centroids) status = vx_fail_memory(ivf->list_count, dim * sizeof *centroids, "load");
    if (status == VINDEX_OK) status = check_graph(ivf, graph, file, centroids);
    if (status == VINDEX_OK)
        status = vx_ivf_open_lists(ivf, centroids, graph, &call);
    else
        vindex_free(graph);
    vx_free(centroids);
    return status;
}

static vindex_status open_flat(vx_ivf *ivf, const vx_container *file) {
    vx_section centroids;
    vindex_call call;
    size_t where;
    vindex_call_init(&call);
    VX_TRY(find(file, "centroid", ivf->list_count, ivf->base.dim * sizeof(float), &centroids));
    const float *numbers = (const float *)(const void *)centroids.bytes;
    if (!vx_all_finite(numbers, ivf->list_count * ivf->base.dim, &where))
        return damaged(file, "a centroid is not a finite vector");
    return vx_ivf_open_lists(ivf, numbers, NULL, &call);
}

static vindex_status load_trained(vx_ivf *ivf, const vx_container *file, bool map, bool verify) {
    sections found;
    VX_TRY(ivf->links ? open_graph(ivf, file, map, verify) : open_flat(ivf, file));
    if (ivf->codec->ops->load) VX_TRY(ivf->codec->ops->load(ivf->codec, file, verify));
    VX_TRY(find_lists(ivf, file, verify, &found));
    map_lists(ivf, &found);
    return map ? VINDEX_OK : vx_ivf_own(ivf);
}

static vindex_status load_into(vx_ivf *ivf, const vx_index_header *header, const vx_container *file,
                               bool map, bool verify) {
    vx_section facts;
    bool trained;
    VX_TRY(find(file, "ivf", FACTS, 1, &facts));
    if (!get_facts(ivf, facts.bytes, &trained) || header->rows > UINT32_MAX)
        return damaged(file, "its ivf section holds what no index has");
    if (!trained && header->rows) return damaged(file, "it has rows, but no centroids");
    VX_TRY(vx_ids_load(&ivf->ids, file, header->rows, header->largest_id, verify));
    return trained ? load_trained(ivf, file, map, verify) : VINDEX_OK;
}

vindex_status vx_ivf_load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                          bool map, bool verify, vindex_index **index) {
    vx_ivf *ivf;
    VX_TRY(vx_ivf_make(spec, header->dim, (vindex_metric)header->metric, &ivf));
    vindex_status status = load_into(ivf, header, file, map, verify);
    if (status != VINDEX_OK) {
        vx_ivf_free(&ivf->base);
        return status;
    }
    ivf->base.file = file;
    *index = &ivf->base;
    return VINDEX_OK;
}
