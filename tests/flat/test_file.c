/* Index files: the same answers after every way of opening, and nothing damaged gets in. */
#include <math.h>
#include <xxhash.h>

#include "../core/scratch.h"
#include "cases.h"
#include "core/container.h"

enum { QUERIES = 7 };

static const uint32_t ways[] = {0, VINDEX_LOAD_MAP, VINDEX_LOAD_DEFER,
                                VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER};

static void check_answers(const flat_case *c, const char *what) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    vindex_search_params params = search_params(20, 1);
    flat_case_search(c, queries, QUERIES, rankings, &params, what);
    flat_case_search(c, queries, 2, rankings, &params, what);
    rankings_free(rankings, QUERIES);
    free(queries);
}

/* Opens the file in place of the case's index, asks, changes what was opened, asks again. */
static void check_way(flat_case *c, uint32_t flags, const char *path) {
    vindex_index *made = c->index;
    char what[40];
    snprintf(what, sizeof what, "loaded with flags %u", (unsigned)flags);
    ck_ok(vindex_load(path, flags, &c->index));
    ck_assert_int_eq(vindex_count(c->index), vindex_count(made));
    ck_assert_int_eq(vindex_dim(c->index), vindex_dim(made));
    ck_assert_int_eq(vindex_metric_of(c->index), vindex_metric_of(made));
    ck_assert_str_eq(vindex_spec(c->index), vindex_spec(made));
    check_answers(c, what);
    ck_ok(vindex_verify(c->index, NULL));
    if (c->rows.count > 2) {
        int64_t id = c->truth.ids ? c->truth.ids[1] : 1, removed;
        ck_ok(vindex_remove(c->index, &id, 1, &removed));
        ck_assert_int_eq(removed, 1);
        ck_ok(vindex_compact(c->index, NULL));
        ck_ok(vindex_add_with_ids(c->index, c->numbers + c->rows.dim, 1, &id, NULL));
        check_answers(c, "changed after loading");
    }
    vindex_free(c->index);
    c->index = made;
}

static void check_round_trip(const vectors *rows, vindex_metric metric, const int64_t *ids) {
    size_t length;
    scratch_make();
    flat_case c = flat_case_make(rows, metric, ids);
    const char *path = scratch_path("one.vindex");
    ck_ok(vindex_save(c.index, path, NULL));
    unsigned char *bytes = scratch_read("one.vindex", &length);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        check_way(&c, ways[w], scratch_path("one.vindex"));
        ck_assert(scratch_holds("one.vindex", bytes, length)); /* changes stay in memory */
    }
    ck_ok(vindex_save(c.index, scratch_path("two.vindex"), NULL));
    ck_assert(scratch_holds("two.vindex", bytes, length)); /* one index, one file */
    free(bytes);
    flat_case_free(&c);
    scratch_remove();
}

START_TEST(every_way_of_opening_gives_the_same_answers) {
    enum { COUNT = 260 };
    int64_t rising[COUNT], mixed[COUNT];
    for (int64_t i = 0; i < COUNT; i++) rising[i] = 5 * i + 1, mixed[i] = (i * 77 + 5) % COUNT;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++) {
            vectors rows = {.kind = metric % 2 ? VECTORS_TIED : VECTORS_NORMAL,
                            .dtype = (vindex_dtype)dtype,
                            .dim = 19,
                            .count = dtype == VINDEX_BF16 ? 0 : COUNT,
                            .seed = (uint64_t)metric};
            check_round_trip(&rows, (vindex_metric)metric, NULL);
            check_round_trip(&rows, (vindex_metric)metric, dtype ? mixed : rising);
        }
    vectors blocks = {.kind = VECTORS_NORMAL, .dim = 16384, .count = 140, .seed = 5};
    check_round_trip(&blocks, VINDEX_COSINE, NULL);
}
END_TEST

/* A small file with every section there can be. */
static unsigned char *make_file(size_t *length) {
    static const int64_t ids[] = {40, 7, 1000, 3, 9};
    const int64_t gone = 1000;
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 3, .count = 5};
    flat_case c = flat_case_make(&rows, VINDEX_L2, ids);
    ck_ok(vindex_remove(c.index, &gone, 1, NULL));
    ck_ok(vindex_save(c.index, scratch_path("whole"), NULL));
    flat_case_free(&c);
    return scratch_read("whole", length);
}

START_TEST(a_flipped_bit_anywhere_is_refused) {
    size_t length;
    scratch_make();
    unsigned char *bytes = make_file(&length);
    for (size_t i = 0; i < length; i++) {
        vindex_index *index;
        int bit = 1 << i % 8;
        bytes[i] ^= (unsigned char)bit;
        scratch_write("bad", bytes, length);
        vindex_status status = vindex_load(scratch_path("bad"), ways[i % 2], &index);
        ck_each(status == VINDEX_ERR_FORMAT || status == VINDEX_ERR_CORRUPT ||
                    status == VINDEX_ERR_VERSION,
                "byte %zu of %zu: %s", i, length, vindex_status_name(status));
        ck_each(strstr(vindex_last_error(), "bad"), "byte %zu: '%s' names no file", i,
                vindex_last_error());
        if (vindex_load(scratch_path("bad"), VINDEX_LOAD_DEFER, &index) == VINDEX_OK) {
            ck_each(vindex_verify(index, NULL) == VINDEX_ERR_CORRUPT, "byte %zu is verified", i);
            vindex_free(index);
        }
        bytes[i] ^= (unsigned char)bit;
    }
    free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(a_cut_or_longer_file_is_refused) {
    size_t length;
    scratch_make();
    unsigned char *bytes = make_file(&length);
    unsigned char *longer = calloc(length + 64, 1);
    memcpy(longer, bytes, length);
    for (size_t cut = 0; cut <= length + 64; cut++) {
        vindex_index *index;
        if (cut == length) continue;
        scratch_write("cut", longer, cut);
        ck_each(vindex_load(scratch_path("cut"), ways[cut % 4], &index) == VINDEX_ERR_FORMAT,
                "%zu of %zu bytes: %s", cut, length, vindex_last_error());
    }
    free(bytes);
    free(longer);
    scratch_remove();
}
END_TEST

/* Writes the file with one number of its "index" section changed and all hashes right again. */
static void write_forged(const unsigned char *bytes, size_t length, size_t offset, uint64_t value) {
    unsigned char *forged = malloc(length), *table = forged + 64;
    memcpy(forged, bytes, length);
    uint64_t section = vx_get_u64(table + 8), size = vx_get_u64(table + 16);
    ck_assert(!memcmp(table, "index", 6));
    vx_put_u64(forged + section + offset, value);
    vx_put_u64(table + 24, XXH3_64bits(forged + section, (size_t)size));
    vx_put_u64(forged + 48, XXH3_64bits(table, (size_t)vx_get_u32(forged + 32) * 32));
    vx_put_u64(forged + 56, XXH3_64bits(forged, 56));
    scratch_write("forged", forged, length);
    free(forged);
}

/* Where the numbers lie in the section: after 128 bytes of factory string. */
enum { AT_SPEC = 0, AT_DIM = 128, AT_ROWS = 136, AT_LARGEST = 144, AT_METRIC = 152 };

START_TEST(a_lying_header_is_refused) {
    static const struct {
        size_t offset;
        uint64_t value;
    } lies[] = {{AT_DIM, 0},
                {AT_DIM, 4},
                {AT_DIM, (1 << 20) + 1},
                {AT_DIM, UINT64_MAX},
                {AT_ROWS, 0},
                {AT_ROWS, 4},
                {AT_ROWS, 6},
                {AT_ROWS, UINT64_MAX / 12},
                {AT_ROWS, UINT64_MAX},
                {AT_ROWS, (UINT64_MAX / 12 + 1) * 5}, /* the size in bytes wraps */
                {AT_LARGEST, 999},
                {AT_LARGEST, (uint64_t)-2},
                {AT_METRIC, 4},
                {AT_METRIC, 0xffffffff},
                {AT_SPEC, 0x656e6f4e} /* "None" */,
                {AT_SPEC, 0x0a1b46}};
    size_t length;
    scratch_make();
    unsigned char *bytes = make_file(&length);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            vindex_index *index;
            write_forged(bytes, length, lies[i].offset, lies[i].value);
            vindex_status status = vindex_load(scratch_path("forged"), ways[w], &index);
            ck_assert_msg(status == VINDEX_ERR_FORMAT || status == VINDEX_ERR_ARGUMENT,
                          "lie %zu: %s", i, vindex_status_name(status));
            for (const char *s = vindex_last_error(); *s; s++)
                ck_assert_msg(*s >= ' ', "lie %zu: the sentence has a control character", i);
        }
    write_forged(bytes, length, AT_LARGEST, 1000); /* the truth passes */
    vindex_index *index;
    ck_ok(vindex_load(scratch_path("forged"), 0, &index));
    vindex_free(index);
    free(bytes);
    scratch_remove();
}
END_TEST

START_TEST(what_is_no_index_file_is_refused) {
    vindex_index *index;
    scratch_make();
    scratch_write("text", "id,a,b\n", 7);
    ck_fails(VINDEX_ERR_FORMAT, "not a vindex file", vindex_load(scratch_path("text"), 0, &index));
    ck_fails(VINDEX_ERR_NOT_FOUND, "nowhere", vindex_load(scratch_path("nowhere"), 0, &index));
    ck_fails(VINDEX_ERR_IO, "folder", vindex_load(scratch_path("."), 0, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "0x8", vindex_load(scratch_path("text"), 8, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_load(NULL, 0, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_load(scratch_path("text"), 0, NULL));
    scratch_remove();
}
END_TEST

TEST_MAIN("flat/file", every_way_of_opening_gives_the_same_answers,
          a_flipped_bit_anywhere_is_refused, a_cut_or_longer_file_is_refused,
          a_lying_header_is_refused, what_is_no_index_file_is_refused)
