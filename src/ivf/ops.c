/* What an IVF index can do, how it is made, and its small verbs. */
#include <vindex/fields.h>
#include <vindex/ivf.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "ivf.h"

static const vindex_field ivf_fields[] = {
    {"dim", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, dim), 1, VX_DIM_MOST, 1,
     "numbers per vector"},
    {"metric", VINDEX_FIELD_METRIC, offsetof(vindex_ivf_params, metric), VINDEX_L2, VINDEX_PEARSON,
     VINDEX_L2, "how vectors are compared: l2, ip, cosine or pearson"},
    {"lists", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, lists), 1, VX_IVF_LISTS_MOST, 1024,
     "lists that vectors are sorted into; about 4 sqrt(n) serves n vectors well"},
    {"seed", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, seed), 0, INT32_MAX, 1,
     "of the random numbers that training draws"},
    {"iterations", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, iterations), 1, 10000, 10,
     "of k-means"},
    {"points_each", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, points_each), 1, INT32_MAX, 64,
     "training vectors per list; the rest is left out"},
    {"balance", VINDEX_FIELD_DOUBLE, offsetof(vindex_ivf_params, balance), 0, 1, 0.1,
     "share of the mean size below which a list is given up while training"},
    {"links", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, links), 0, VX_IVF_LINKS_MOST, 0,
     "per node of a graph that finds the lists; 0: a query is compared with every centroid"},
    {"batch", VINDEX_FIELD_INT64, offsetof(vindex_ivf_params, batch), 0, INT32_MAX, 0,
     "training vectors that an iteration looks at; 0: all"},
    {"plus_plus", VINDEX_FIELD_BOOL, offsetof(vindex_ivf_params, plus_plus), 0, 1, 0,
     "begin training with k-means++ rather than with a sample"},
};
static const vindex_field_table ivf_table = {"ivf", sizeof(vindex_ivf_params), ivf_fields,
                                             VX_COUNT(ivf_fields)};

const vindex_field_table *vindex_ivf_fields(void) {
    return &ivf_table;
}

void vindex_ivf_params_init_sized(vindex_ivf_params *params, size_t struct_size) {
    vindex_fields_init(&ivf_table, params, struct_size);
}

vindex_status vindex_ivf_create(const vindex_ivf_params *params, vindex_index **index) {
    char spec[128], graph[24] = "";
    if (!params) return vx_fail(VINDEX_ERR_ARGUMENT, "ivf: params is NULL");
    VX_TRY(vindex_fields_check(&ivf_table, params));
    if (params->links) snprintf(graph, sizeof graph, "_HNSW%lld", (long long)params->links);
    snprintf(spec, sizeof spec, "IVF%lld%s,%.80s", (long long)params->lists, graph,
             params->codec ? params->codec : "Flat");
    VX_TRY(vindex_create(spec, params->dim, params->metric, index));
    vx_kmeans_params *training = &((vx_ivf *)*index)->training;
    training->seed = (uint64_t)params->seed;
    training->iterations = (size_t)params->iterations;
    training->points_each = (size_t)params->points_each;
    training->balance = params->balance;
    training->batch = (size_t)params->batch;
    training->plus_plus = params->plus_plus;
    return VINDEX_OK;
}

static bool begins(const char *word) {
    size_t length = strlen(vx_ivf_kind.word);
    return !strncmp(word, vx_ivf_kind.word, length) && word[length] >= '0' && word[length] <= '9';
}

/* A number from least to most in digits alone. */
static bool parse_number(const char *digits, size_t least, size_t most, size_t *number,
                         const char **end) {
    char *rest;
    if (*digits < '0' || *digits > '9') return false;
    errno = 0;
    unsigned long long value = strtoull(digits, &rest, 10);
    *number = (size_t)value;
    *end = rest;
    return !errno && value >= least && value <= most;
}

/* "IVF4096", or "IVF65536_HNSW32": a graph over the centroids finds the lists. */
static vindex_status parse_lists(const char *word, size_t *lists, size_t *links) {
    static const char graph[] = "_HNSW";
    const char *rest;
    bool good = parse_number(word + strlen(vx_ivf_kind.word), 1, VX_IVF_LISTS_MOST, lists, &rest);
    if (good && *rest) {
        good = !strncmp(rest, graph, strlen(graph)) &&
               parse_number(rest + strlen(graph), 2, VX_IVF_LINKS_MOST, links, &rest) && !*rest;
    }
    if (good) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "factory string: '%s' where %s is followed by a number from 1 to %d and, where "
                   "a graph is to find the lists, by _HNSW and 2 to %d links, as in "
                   "IVF65536_HNSW32",
                   word, vx_ivf_kind.word, VX_IVF_LISTS_MOST, VX_IVF_LINKS_MOST);
}

vindex_status vx_ivf_make(const vx_spec *spec, size_t dim, vindex_metric metric, vx_ivf **result) {
    size_t lists = 1, links = 0;
    bool alone = !begins(spec->words[0]);
    if (!alone) VX_TRY(parse_lists(spec->words[0], &lists, &links));
    vx_ivf *ivf = vx_alloc_zero(1, sizeof *ivf);
    if (!ivf) return vx_fail_memory(1, sizeof *ivf, "create");
    vindex_ivf_params defaults;
    vx_codec_use use = {.dim = dim, .metric = metric};
    vindex_ivf_params_init(&defaults);
    ivf->base.ops = &vx_ivf_ops;
    ivf->base.capabilities = VINDEX_CAN_ADD | VINDEX_CAN_RANGE | VINDEX_CAN_RECONSTRUCT |
                             VINDEX_CAN_REMOVE | VINDEX_CAN_FILTER | VINDEX_CAN_MAP;
    ivf->base.dim = dim;
    ivf->base.metric = metric;
    ivf->list_count = lists;
    ivf->links = links;
    ivf->alone = alone;
    ivf->segments[0].slots = VX_MIN(lists, (size_t)VX_IVF_SLOTS);
    vx_ids_init(&ivf->ids);
    vx_kmeans_init(&ivf->training, lists);
    ivf->training.balance = defaults.balance;
    vindex_status status =
        vx_codec_create(spec->words + !alone, spec->count - !alone, &use, &ivf->codec);
    if (status != VINDEX_OK) {
        vx_ivf_free(&ivf->base);
        return status;
    }
    if (alone)
        snprintf(ivf->base.spec, sizeof ivf->base.spec, "%s", ivf->codec->word);
    else if (links)
        snprintf(ivf->base.spec, sizeof ivf->base.spec, "IVF%zu_HNSW%zu,%s", lists, links,
                 ivf->codec->word);
    else
        snprintf(ivf->base.spec, sizeof ivf->base.spec, "IVF%zu,%s", lists, ivf->codec->word);
    if (alone) ivf->codec->residual = false;
    *result = ivf;
    return VINDEX_OK;
}

void vx_ivf_free(vindex_index *index) {
    vx_ivf *ivf = (vx_ivf *)index;
    for (size_t s = 0; s < VX_IVF_SLOTS; s++) vx_free(ivf->segments[s].memory);
    vx_free(ivf->lists);
    vx_ids_free(&ivf->ids);
    vindex_free(ivf->coarse);
    vx_codec_free(ivf->codec);
    vx_free(ivf);
}

static vindex_status create(const vx_spec *spec, size_t dim, vindex_metric metric,
                            vindex_index **index) {
    vx_ivf *ivf = NULL;
    VX_TRY(vx_ivf_make(spec, dim, metric, &ivf));
    *index = &ivf->base;
    return VINDEX_OK;
}

static size_t count(const vindex_index *index) {
    const vx_ids *ids = &((const vx_ivf *)index)->ids;
    return ids->count - ids->removed;
}

/* Beyond these more candidates seldom change an answer, and more nodes hardly the lists found. */
enum { RERANK_MOST = 128, EF_MOST = 512 };

static size_t knobs(const vindex_index *index, vx_knob *knobs) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    size_t count = 1, rerank = ivf->codec->coarse ? ivf->codec->rerank : 0;
    knobs[0] = (vx_knob){.name = "nprobe",
                         .given = offsetof(vindex_search_params, nprobe),
                         .asked = offsetof(vx_request, nprobe),
                         .least = 1,
                         .most = (int64_t)ivf->list_count,
                         .initial = 16};
    if (rerank)
        knobs[count++] = (vx_knob){.name = "rerank",
                                   .given = offsetof(vindex_search_params, rerank),
                                   .asked = offsetof(vx_request, rerank),
                                   .least = 1,
                                   .most = RERANK_MOST,
                                   .initial = (int64_t)rerank};
    if (ivf->links)
        knobs[count++] = (vx_knob){.name = "ef",
                                   .given = offsetof(vindex_search_params, ef),
                                   .asked = offsetof(vx_request, ef),
                                   .least = 1,
                                   .most = (int64_t)VX_MIN(ivf->list_count, (size_t)EF_MOST),
                                   .initial = VX_IVF_ASSIGN_EF};
    return count;
}

static bool trained(const vindex_index *index) {
    return ((const vx_ivf *)index)->coarse != NULL;
}

/* A row that is asked for, and where its vector goes. */
typedef struct wanted {
    size_t row, place;
    bool found;
} wanted;

static int compare_wanted(const void *a, const void *b) {
    const wanted *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Whether it takes fewer steps to look each row up in every list than to pass over all rows. */
static bool are_few(const vx_ivf *ivf, size_t n) {
    double lookups = (double)n * (double)ivf->list_count * log2((double)ivf->ids.count + 1);
    return lookups < (double)ivf->ids.count;
}

/* Decodes a row that is asked for: the numbers in a list rise. */
static void decode_one(const vx_ivf *ivf, wanted *row, float *vectors) {
    for (size_t l = 0; l < ivf->list_count && !row->found; l++) {
        const vx_list *list = &ivf->lists[l];
        size_t low = list->first, high = list->run.count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (list->rows[middle] < row->row)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == list->run.count || list->rows[low] != row->row) continue;
        ivf->codec->ops->decode(ivf->codec, (vx_coded){&list->run, low},
                                vectors + row->place * ivf->base.dim);
        row->found = true;
    }
}

/* Decodes the rows asked for, which are sorted, in one pass over all lists. */
static void decode_wanted(const vx_ivf *ivf, wanted *rows, size_t n, float *vectors) {
    for (size_t l = 0; l < ivf->list_count; l++) {
        const vx_list *list = &ivf->lists[l];
        for (size_t i = list->first; i < list->run.count; i++) {
            size_t row = list->rows[i], low = 0, high = n;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (rows[middle].row < row)
                    low = middle + 1;
                else
                    high = middle;
            }
            for (; low < n && rows[low].row == row; low++) {
                ivf->codec->ops->decode(ivf->codec, (vx_coded){&list->run, i},
                                        vectors + rows[low].place * ivf->base.dim);
                rows[low].found = true;
            }
        }
    }
}

static vindex_status reconstruct(const vindex_index *index, const int64_t *ids, size_t n,
                                 float *vectors) {
    const vx_ivf *ivf = (const vx_ivf *)index;
    wanted *rows = vx_alloc(n, sizeof *rows);
    if (!rows) return vx_fail_memory(n, sizeof *rows, "reconstruct");
    for (size_t i = 0; i < n; i++) {
        rows[i] = (wanted){.place = i};
        if (vx_ids_find(&ivf->ids, ids[i], &rows[i].row)) continue;
        vx_free(rows);
        return vx_fail(VINDEX_ERR_NOT_FOUND,
                       "reconstruct: id %lld is not in the index; it was never added or was "
                       "removed",
                       (long long)ids[i]);
    }
    qsort(rows, n, sizeof *rows, compare_wanted);
    if (!are_few(ivf, n)) decode_wanted(ivf, rows, n, vectors);
    for (size_t i = 0; are_few(ivf, n) && i < n; i++) decode_one(ivf, &rows[i], vectors);
    bool all = true;
    for (size_t i = 0; i < n; i++) all &= rows[i].found;
    vx_free(rows);
    if (all) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_FORMAT, "reconstruct: a row is in no list; the file that the index "
                                      "was loaded from is damaged");
}

static vindex_status drop(vindex_index *index, const int64_t *ids, size_t n, size_t *removed) {
    return vx_ids_remove(&((vx_ivf *)index)->ids, ids, n, removed);
}

vindex_status vindex_ivf_stats_get(const vindex_index *index, vindex_ivf_stats *stats) {
    if (!index || !stats)
        return vx_fail(VINDEX_ERR_ARGUMENT, "ivf stats: %s is NULL", index ? "stats" : "the index");
    while (index->ops->inner && index->ops->inner(index)) index = index->ops->inner(index);
    if (index->ops != &vx_ivf_ops)
        return vx_fail(VINDEX_ERR_ARGUMENT, "ivf stats: '%s' is no IVF index", index->spec);
    const vx_ivf *ivf = (const vx_ivf *)index;
    double squares = 0, all = 0;
    *stats = (vindex_ivf_stats){.lists = (int64_t)ivf->list_count,
                                .loss = ivf->loss,
                                .learnt_from = (int64_t)ivf->learnt_from,
                                .offered = (int64_t)ivf->offered};
    for (size_t l = 0; ivf->lists && l < ivf->list_count; l++) {
        int64_t size = (int64_t)vx_list_size(&ivf->lists[l]);
        stats->empty += !size;
        stats->largest = VX_MAX(stats->largest, size);
        all += (double)size;
        squares += (double)size * (double)size;
    }
    stats->unevenness = all > 0 ? squares * (double)ivf->list_count / (all * all) : 1;
    stats->bytes_each = vx_ivf_bytes_each(ivf->codec);
    stats->distortion = ivf->codec->distortion;
    return VINDEX_OK;
}

const vx_index_kind vx_ivf_kind = {
    .word = "IVF",
    .help = "IVF<lists>[_HNSW<m>],Flat[,f32|f16|bf16], "
            "IVF<lists>[_HNSW<m>],<codes>[,Refine[(f16|bf16|<codes>)]]",
    .begins = begins,
    .create = create,
    .estimate = vx_ivf_estimate,
    .build_estimate = vx_ivf_build_estimate,
    .load = vx_ivf_load,
};

const vx_index_kind vx_codes_kind = {
    .word = "PQ",
    .help = "<codes>[,Refine[(f16|bf16|<codes>)]], <codes>: SQ8|6|4[v]|RaBitQ<1 to 8>|"
            "PQ<parts>[x4|x6|x8]",
    .begins = vx_codec_stands_alone,
    .create = create,
    .estimate = vx_ivf_estimate,
    .build_estimate = vx_ivf_build_estimate,
    .load = vx_ivf_load,
};

const vx_index_ops vx_ivf_ops = {
    .word = "IVF",
    .free = vx_ivf_free,
    .count = count,
    .memory = vx_ivf_memory,
    .trained = trained,
    .train = vx_ivf_train,
    .add = vx_ivf_add,
    .search = vx_ivf_search,
    .range_search = vx_ivf_range_search,
    .reconstruct = reconstruct,
    .remove = drop,
    .compact = vx_ivf_compact,
    .describe = vx_ivf_describe,
    .section_count = vx_ivf_section_count,
    .save = vx_ivf_save,
    .saves_untrained = true,
    .knobs = knobs,
    .merge = vx_ivf_merge,
};
