/* IVF files: what is loaded answers as what was saved; what lies about itself is refused. */
#include "../core/scratch.h"
#include "cases.h"
#include "core/container.h"

enum { COUNT = 200, DIM = 6, QUERIES = 9 };

static flat_case make_case(bool *hidden) {
    static int64_t ids[COUNT];
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 77 + 5) % COUNT * 3;
    vectors rows = {.kind = VECTORS_NORMAL, .dtype = VINDEX_F16, .dim = DIM, .count = COUNT};
    flat_case c = ivf_case_make(NULL, &rows, VINDEX_COSINE, ids);
    for (size_t row = 4; row < COUNT; row += 9) {
        hidden[row] = true;
        ck_ok(vindex_remove(c.index, &ids[row], 1, NULL));
    }
    c.truth.hidden = hidden;
    return c;
}

static void check_search(const flat_case *c, const char *what) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    vindex_search_params params = probe_params(10, 1, IVF_ALL);
    flat_case_search(c, queries, QUERIES, rankings, &params, what);
    rankings_free(rankings, QUERIES);
    free(queries);
}

START_TEST(files_keep_all) {
    scratch_make();
    for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++) {
        bool hidden[COUNT] = {false};
        flat_case c = make_case(hidden);
        size_t length;
        ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
        vindex_free(c.index);
        ck_ok(vindex_load(scratch_path("index"), flags, &c.index));
        ck_ok(vindex_verify(c.index, NULL));
        ck_assert_str_eq(vindex_spec(c.index), "IVF9,Flat,f16");
        check_search(&c, "loaded");
        ck_ok(vindex_save(c.index, scratch_path("again"), NULL));
        unsigned char *bytes = scratch_read("index", &length);
        ck_assert(scratch_holds("again", bytes, length));
        free(bytes);
        ck_ok(vindex_compact(c.index, NULL)); /* a mapped list is copied before it changes */
        check_search(&c, "loaded and compacted");
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

START_TEST(mapped_lists_grow) {
    scratch_make();
    bool hidden[COUNT] = {false};
    flat_case c = make_case(hidden);
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    vindex_free(c.index);
    ck_ok(vindex_load(scratch_path("index"), VINDEX_LOAD_MAP, &c.index));
    ck_ok(vindex_add(c.index, c.numbers, 50, NULL));
    ck_assert_int_eq(vindex_count(c.index), COUNT - 22 + 50);
    int64_t next = COUNT * 3 - 3 + 1, found;
    vindex_search_params params = probe_params(1, 1, IVF_ALL);
    float vector[DIM];
    ck_ok(vindex_reconstruct(c.index, &next, 1, vector));
    ck_assert_mem_eq(vector, c.numbers, sizeof vector);
    ck_ok(vindex_search(c.index, c.numbers + 20 * DIM, 1, &params, &found, NULL));
    ck_assert(found == c.truth.ids[20] || found == next + 20);
    flat_case_free(&c);
    scratch_remove();
}
END_TEST

START_TEST(an_untrained_index_is_kept_too) {
    scratch_make();
    vindex_ivf_params params;
    vindex_index *index;
    vindex_ivf_params_init(&params);
    params.dim = DIM;
    params.lists = 4;
    params.seed = 77;
    params.iterations = 3;
    params.codec = "Flat,bf16";
    ck_ok(vindex_ivf_create(&params, &index));
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    vindex_free(index);
    ck_ok(vindex_load(scratch_path("index"), 0, &index));
    ck_assert(!vindex_is_trained(index));
    ck_assert_uint_eq(((vx_ivf *)index)->training.seed, 77);
    ck_assert_uint_eq(((vx_ivf *)index)->training.iterations, 3);
    vindex_free(index);
    scratch_remove();
}
END_TEST

/* The sections of an index file, to be written again with one of them changed. */
typedef struct parts {
    vindex_file_section list[16];
    unsigned char *bytes[16];
    int64_t count;
} parts;

static parts read_parts(const char *path) {
    parts p;
    vx_container *file;
    ck_ok(vindex_file_sections(path, p.list, 16, &p.count));
    ck_ok(vx_container_open(path, VX_KIND_INDEX, &file));
    for (int64_t i = 0; i < p.count; i++) {
        vx_section section;
        ck_ok(vx_container_find(file, p.list[i].tag, true, &section));
        p.bytes[i] = malloc(section.length + 1);
        memcpy(p.bytes[i], section.bytes, section.length);
    }
    vx_container_close(file);
    return p;
}

static void write_parts(const parts *p, const char *path) {
    vx_container_writer *writer;
    ck_ok(vx_container_create(path, VX_KIND_INDEX, 0, (uint32_t)p->count, &writer));
    for (int64_t i = 0; i < p->count; i++)
        ck_ok(vx_container_section(writer, p->list[i].tag, p->bytes[i], p->list[i].bytes));
    ck_ok(vx_container_commit(writer));
}

/* Well-signed files whose numbers cannot be. */
START_TEST(lying_files_are_refused) {
    scratch_make();
    bool hidden[COUNT] = {false};
    flat_case c = make_case(hidden);
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    static const struct {
        const char *tag;
        size_t offset;
        unsigned char value;
        const char *says;
    } lies[] = {
        {"sizes", 0, 1, "lists do not hold as many rows"},
        {"sizes", 7, 1, "larger than the index"},
        {"rows", 0, 255, "in two places"},
        {"rows", 3, 1, "in two places"},
        {"ivf", 0, 4, "what no index has"},
        {"ivf", 0, 2, "no centroids"},
        {"ivf", 19, 255, "what no index has"},
        {"ivf", 0, 0, "no centroids"},
        {"ivf", 52, 1, "what no index has"},
        {"centroid", 3, 0x7f, "not a finite vector"},
    };
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        parts p = read_parts(scratch_path("index"));
        for (int64_t s = 0; s < p.count; s++)
            if (!strcmp(p.list[s].tag, lies[i].tag)) {
                p.bytes[s][lies[i].offset] = lies[i].value;
                if (!strcmp(lies[i].tag, "centroid")) p.bytes[s][2] = 0x80;
            }
        write_parts(&p, scratch_path("lie"));
        vindex_index *index;
        ck_fails(VINDEX_ERR_FORMAT, lies[i].says, vindex_load(scratch_path("lie"), 0, &index));
        for (int64_t s = 0; s < p.count; s++) free(p.bytes[s]);
    }
    for (int64_t cut = 1; cut < 8; cut++) { /* each section one byte short */
        parts p = read_parts(scratch_path("index"));
        p.list[cut].bytes--;
        write_parts(&p, scratch_path("lie"));
        vindex_index *index;
        vindex_status status = vindex_load(scratch_path("lie"), VINDEX_LOAD_MAP, &index);
        ck_assert_msg(status == VINDEX_ERR_FORMAT, "'%s' one byte short: %s", p.list[cut].tag,
                      vindex_status_name(status));
        for (int64_t s = 0; s < p.count; s++) free(p.bytes[s]);
    }
    flat_case_free(&c);
    scratch_remove();
}
END_TEST

/* Rows of SQ8 had four bytes more before their levels. */
START_TEST(codes_of_an_earlier_layout_are_refused) {
    static const char *const specs[] = {"IVF9,SQ8", "SQ4"};
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 16, .count = 160};
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(specs); i++) {
        flat_case c = ivf_case_make(specs[i], &rows, VINDEX_L2, NULL);
        ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
        parts p = read_parts(scratch_path("index"));
        for (int64_t s = 0; s < p.count; s++)
            if (!strcmp(p.list[s].tag, "codes")) {
                p.list[s].bytes += 4 * (int64_t)rows.count;
                free(p.bytes[s]);
                p.bytes[s] = calloc((size_t)p.list[s].bytes, 1);
            }
        write_parts(&p, scratch_path("old"));
        vindex_index *index;
        for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++)
            ck_fails(VINDEX_ERR_FORMAT, "build the index anew",
                     vindex_load(scratch_path("old"), flags, &index));
        for (int64_t s = 0; s < p.count; s++) free(p.bytes[s]);
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

TEST_MAIN("ivf/file", files_keep_all, mapped_lists_grow, an_untrained_index_is_kept_too,
          lying_files_are_refused, codes_of_an_earlier_layout_are_refused)
