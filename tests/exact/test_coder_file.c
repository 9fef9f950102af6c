/* Files with codes, damaged on purpose: what makes no sense is refused, whatever else is in them is
 * read without harm, and codes that say nothing cost time, not answers. */
#include <math.h>
#include <xxhash.h>

#include "../core/scratch.h"
#include "../flat/cases.h"
#include "core/container.h"
#include "core/rng.h"
#include "exact/codes.h"

enum { DIM = 12, ROWS = 300, QUERIES = 6, HEAD = 5 };

static const uint32_t ways[] = {0, VINDEX_LOAD_MAP};
static const char *const specs[] = {"Flat,Certified4", "Flat,Certified8", "Flat,CertifiedPCA5"};
enum { SIGNS, REFINED, PCA };

/* A small certified index, and its file. */
typedef struct whole {
    flat_case c;
    unsigned char *bytes;
    size_t length;
} whole;

static whole whole_make(size_t spec, vindex_metric metric) {
    whole w;
    vindex_index *index;
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = ROWS, .seed = 3};
    ck_ok(vindex_create(specs[spec], DIM, metric, &index));
    w.c = flat_case_fill(index, &rows, metric, NULL);
    ck_ok(vindex_save(w.c.index, scratch_path("whole"), NULL));
    w.bytes = scratch_read("whole", &w.length);
    return w;
}

static void whole_free(whole *w) {
    free(w->bytes);
    flat_case_free(&w->c);
}

/* The entry of a section in the table: tag, offset, length, hash. */
static unsigned char *entry_of(unsigned char *bytes, const char *tag) {
    for (uint32_t i = 0; i < vx_get_u32(bytes + 32); i++)
        if (!strncmp((const char *)bytes + 64 + 32 * i, tag, 8)) return bytes + 64 + 32 * i;
    ck_abort_msg("no section '%s'", tag);
}

static unsigned char *section_of(unsigned char *bytes, const char *tag) {
    return bytes + vx_get_u64(entry_of(bytes, tag) + 8);
}

/* Makes all hashes right again. */
static void hash(unsigned char *bytes) {
    unsigned char *table = bytes + 64;
    uint32_t count = vx_get_u32(bytes + 32);
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *entry = table + 32 * i;
        vx_put_u64(entry + 24,
                   XXH3_64bits(bytes + vx_get_u64(entry + 8), (size_t)vx_get_u64(entry + 16)));
    }
    vx_put_u64(bytes + 48, XXH3_64bits(table, (size_t)count * 32));
    vx_put_u64(bytes + 56, XXH3_64bits(bytes, 56));
}

static unsigned char *copy_of(const whole *w) {
    unsigned char *copy = malloc(w->length);
    memcpy(copy, w->bytes, w->length);
    return copy;
}

/* Writes the changed copy, frees it, and opens the file. */
static vindex_status open_changed(const whole *w, unsigned char *changed, uint32_t flags,
                                  vindex_index **index) {
    hash(changed);
    scratch_write("changed", changed, w->length);
    free(changed);
    return vindex_load(scratch_path("changed"), flags, index);
}

static void put_double(unsigned char *where, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    vx_put_u64(where, bits);
}

/* Numbers of the section's head: version, flags, head, skew. */
enum { AT_MADE = 0, AT_FLAGS = 4, AT_HEAD = 8, AT_SKEW = 16, AT_NUMBERS = 32 };

START_TEST(numbers_that_make_no_sense_are_refused) {
    static const struct {
        size_t spec, offset, bytes;
        uint64_t value;
    } lies[] = {
        {SIGNS, AT_MADE, 4, 2},
        {SIGNS, AT_MADE, 4, 0}, /* nothing learnt, and yet a mean */
        {SIGNS, AT_MADE, 4, UINT32_MAX},
        {SIGNS, AT_FLAGS, 4, 1}, /* a second plane that is not there */
        {SIGNS, AT_FLAGS, 4, 2}, /* directions that are not there */
        {SIGNS, AT_FLAGS, 4, 3},
        {SIGNS, AT_FLAGS, 4, 4},
        {SIGNS, AT_FLAGS, 4, UINT32_MAX},
        {SIGNS, AT_HEAD, 8, 0},
        {SIGNS, AT_HEAD, 8, DIM - 1},
        {SIGNS, AT_HEAD, 8, DIM + 1},
        {SIGNS, AT_HEAD, 8, UINT64_MAX},
        {REFINED, AT_FLAGS, 4, 2},
        {REFINED, AT_FLAGS, 4, 3},
        {PCA, AT_FLAGS, 4, 0},
        {PCA, AT_FLAGS, 4, 1},
        {PCA, AT_FLAGS, 4, 3},
        {PCA, AT_HEAD, 8, 0},
        {PCA, AT_HEAD, 8, HEAD - 1},
        {PCA, AT_HEAD, 8, HEAD + 1},
        {PCA, AT_HEAD, 8, DIM + 1},
        {PCA, AT_HEAD, 8, UINT64_MAX / DIM / 4 + 2}, /* the size in bytes wraps */
        {PCA, AT_HEAD, 8, UINT64_MAX},
    };
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        whole w = whole_make(lies[i].spec, VINDEX_L2);
        for (size_t way = 0; way < VX_COUNT(ways); way++) {
            vindex_index *index;
            unsigned char *changed = copy_of(&w), *at = section_of(changed, "coder");
            if (lies[i].bytes == 4)
                vx_put_u32(at + lies[i].offset, (uint32_t)lies[i].value);
            else
                vx_put_u64(at + lies[i].offset, lies[i].value);
            vindex_status status = open_changed(&w, changed, ways[way], &index);
            ck_each(status == VINDEX_ERR_FORMAT, "lie %zu: %s", i, vindex_status_name(status));
            ck_each(strstr(vindex_last_error(), "section"), "lie %zu: '%s' names no section", i,
                    vindex_last_error());
        }
        whole_free(&w);
    }
    scratch_remove();
}
END_TEST

START_TEST(skews_and_numbers_that_are_none_are_refused) {
    static const double skews[] = {-1, 1, 1e300, (double)INFINITY, (double)NAN};
    scratch_make();
    whole w = whole_make(PCA, VINDEX_COSINE);
    vindex_index *index;
    for (size_t i = 0; i < VX_COUNT(skews); i++) {
        unsigned char *changed = copy_of(&w);
        put_double(section_of(changed, "coder") + AT_SKEW, skews[i]);
        ck_fails(VINDEX_ERR_FORMAT, "no sense", open_changed(&w, changed, 0, &index));
    }
    for (size_t i = 0; i < DIM + HEAD * DIM; i++) { /* the mean, then directions */
        float none = i % 2 ? INFINITY : NAN;
        unsigned char *changed = copy_of(&w);
        memcpy(section_of(changed, "coder") + AT_NUMBERS + i * sizeof none, &none, sizeof none);
        ck_fails(VINDEX_ERR_FORMAT, "not finite", open_changed(&w, changed, 0, &index));
    }
    whole_free(&w);
    scratch_remove();
}
END_TEST

/* Sections that say they are shorter than they are. */
START_TEST(sections_that_are_cut_are_refused) {
    static const char *const tags[] = {"coder", "codes", "planes"};
    scratch_make();
    for (size_t spec = 0; spec < VX_COUNT(specs); spec++) {
        whole w = whole_make(spec, VINDEX_L2);
        for (size_t t = 0; t < VX_COUNT(tags); t++) {
            if (t == 2 && spec != REFINED) continue;
            uint64_t length = vx_get_u64(entry_of(w.bytes, tags[t]) + 16);
            for (uint64_t cut = 0; cut < length; cut += 1 + length / 40) {
                vindex_index *index;
                unsigned char *changed = copy_of(&w);
                vx_put_u64(entry_of(changed, tags[t]) + 16, cut);
                vindex_status status = open_changed(&w, changed, ways[cut % 2], &index);
                /* corrupt: where bytes that should be padding are none */
                ck_each(status == VINDEX_ERR_FORMAT || status == VINDEX_ERR_CORRUPT,
                        "%s, '%s' of %llu bytes: %s", specs[spec], tags[t], (unsigned long long)cut,
                        vindex_status_name(status));
            }
        }
        whole_free(&w);
    }
    scratch_remove();
}
END_TEST

/* Searches every way there is; what comes out may be wrong, but comes out. */
static void search_anyhow(const vindex_index *index, const float *queries) {
    int64_t ids[QUERIES * 10];
    vindex_search_params params;
    vindex_range_result found;
    vindex_search_params_init(&params);
    ck_ok(vindex_search(index, queries, QUERIES, &params, ids, NULL));
    ck_ok(vindex_search(index, queries, 1, &params, ids, NULL));
    for (size_t i = 0; i < 10; i++) ck_assert(ids[i] >= -1 && ids[i] < ROWS);
    ck_ok(vindex_range_search(index, queries, QUERIES, 1, &params, &found));
    vindex_range_result_free(&found);
}

START_TEST(any_bit_of_the_codes_may_be_wrong) {
    static const char *const tags[] = {"coder", "codes", "planes", "aux"};
    scratch_make();
    vx_rng rng = vx_rng_seed(8, 8);
    for (size_t spec = 0; spec < VX_COUNT(specs); spec++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
            whole w = whole_make(spec, (vindex_metric)metric);
            float *queries = flat_case_queries(&w.c, QUERIES);
            for (size_t i = 0; i < 60; i++) {
                vindex_index *index;
                const char *tag = tags[i % 4];
                if (i % 4 == 2 && spec != REFINED) continue;
                unsigned char *changed = copy_of(&w), *at = section_of(changed, tag);
                uint64_t length = vx_get_u64(entry_of(changed, tag) + 16);
                for (size_t flips = 0; flips < (i < 40 ? 1 : 200); flips++)
                    at[vx_rng_below(&rng, length)] ^= (unsigned char)(1 << vx_rng_below(&rng, 8));
                if (open_changed(&w, changed, ways[i % 2], &index) != VINDEX_OK) continue;
                search_anyhow(index, queries);
                vindex_free(index);
            }
            free(queries);
            whole_free(&w);
        }
    scratch_remove();
}
END_TEST

/* With scales that are NaN every row is looked at. */
START_TEST(codes_that_say_nothing_cost_no_answers) {
    scratch_make();
    for (size_t spec = 0; spec < VX_COUNT(specs); spec++)
        for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
            whole w = whole_make(spec, (vindex_metric)metric);
            unsigned char *changed = copy_of(&w), *groups = section_of(changed, "codes");
            uint64_t length = vx_get_u64(entry_of(changed, "codes") + 16);
            size_t each = (size_t)length / ((ROWS + VX_CODE_ROWS - 1) / VX_CODE_ROWS);
            for (size_t row = 0; row < ROWS; row++) {
                unsigned char *pair = groups + row / VX_CODE_ROWS * each + row % VX_CODE_ROWS * 4;
                pair[2] = 0xc0, pair[3] = 0x7f; /* the scale, in the upper half */
            }
            vindex_free(w.c.index);
            ck_ok(open_changed(&w, changed, ways[metric % 2], &w.c.index));
            float *queries = flat_case_queries(&w.c, QUERIES);
            oracle_ranking *rankings = flat_case_rank(&w.c, queries, QUERIES, NULL, 0);
            vindex_search_params params = search_params(20, 1);
            flat_case_search(&w.c, queries, QUERIES, rankings, &params, "without scales");
            flat_case_search(&w.c, queries, 1, rankings, &params, "without scales");
            rankings_free(rankings, QUERIES);
            free(queries);
            whole_free(&w);
        }
    scratch_remove();
}
END_TEST

TEST_MAIN("exact/coder_file", numbers_that_make_no_sense_are_refused,
          skews_and_numbers_that_are_none_are_refused, sections_that_are_cut_are_refused,
          any_bit_of_the_codes_may_be_wrong, codes_that_say_nothing_cost_no_answers)
