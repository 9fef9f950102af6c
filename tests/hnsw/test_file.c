/* Graph files: what is loaded answers as what was saved; what lies about itself is refused. */
#include "../core/scratch.h"
#include "cases.h"
#include "core/container.h"
#include "core/points.h"

enum { COUNT = 200, DIM = 6, QUERIES = 9 };

static flat_case make_case(bool *hidden) {
    static int64_t ids[COUNT];
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 77 + 5) % COUNT * 3;
    vectors rows = {.kind = VECTORS_NORMAL, .dtype = VINDEX_F16, .dim = DIM, .count = COUNT};
    flat_case c = hnsw_case_make(&rows, VINDEX_COSINE, ids);
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
    vindex_search_params params = ef_params(10, 1, HNSW_ALL);
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
        ck_assert_str_eq(vindex_spec(c.index), "HNSW8,f16");
        check_search(&c, "loaded");
        ck_ok(vindex_save(c.index, scratch_path("again"), NULL));
        unsigned char *bytes = scratch_read("index", &length);
        ck_assert(scratch_holds("again", bytes, length));
        free(bytes);
        ck_ok(vindex_compact(c.index, NULL)); /* a mapped graph is copied before it changes */
        check_search(&c, "loaded and compacted");
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

START_TEST(a_mapped_graph_grows) {
    scratch_make();
    bool hidden[COUNT] = {false};
    flat_case c = make_case(hidden);
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    vindex_free(c.index);
    ck_ok(vindex_load(scratch_path("index"), VINDEX_LOAD_MAP, &c.index));
    ck_ok(vindex_add(c.index, c.numbers, 50, NULL));
    ck_assert_int_eq(vindex_count(c.index), COUNT - 22 + 50);
    int64_t next = COUNT * 3 - 3 + 1, found;
    vindex_search_params params = ef_params(1, 1, HNSW_ALL);
    float vector[DIM];
    ck_ok(vindex_reconstruct(c.index, &next, 1, vector));
    ck_assert_mem_eq(vector, c.numbers, sizeof vector);
    ck_ok(vindex_search(c.index, c.numbers + 20 * DIM, 1, &params, &found, NULL));
    ck_assert(found == c.truth.ids[20] || found == next + 20);
    flat_case_free(&c);
    scratch_remove();
}
END_TEST

/* Parameters come back with the graph, an empty one's too, and it goes on as if it had not been
 * away: levels are drawn from where it was. */
START_TEST(a_graph_goes_on_after_loading) {
    scratch_make();
    vindex_hnsw_params params;
    vindex_index *index, *loaded;
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT};
    float *numbers = vectors_make(&rows);
    vindex_hnsw_params_init(&params);
    params.dim = DIM;
    params.m = 4;
    params.seed = 77;
    params.ef_construction = 33;
    params.keep_pruned = true;
    params.codec = "bf16";
    for (int64_t held = 0; held <= COUNT / 2; held += COUNT / 4) {
        ck_ok(vindex_hnsw_create(&params, &index));
        ck_ok(vindex_add(index, numbers, held, NULL));
        ck_ok(vindex_save(index, scratch_path("index"), NULL));
        for (uint32_t flags = 0; flags < 4; flags++) {
            ck_ok(vindex_load(scratch_path("index"), flags, &loaded));
            const vx_hnsw *hnsw = (const vx_hnsw *)loaded;
            ck_assert_uint_eq(hnsw->seed, 77);
            ck_assert_uint_eq(hnsw->ef_construction, 33);
            ck_assert(hnsw->keep_pruned);
            ck_assert_uint_eq(hnsw->drawn, (uint64_t)held);
            ck_ok(vindex_add(loaded, numbers + held * DIM, COUNT / 2, NULL));
            hnsw_check(loaded);
            hnsw_check_reach(loaded);
            ck_assert_int_eq(vindex_count(loaded), held + COUNT / 2);
            vindex_free(loaded);
        }
        vindex_free(index);
    }
    free(numbers);
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

/* What was not verified may find too little, but stays within its memory, and a change mends it. */
static void check_use(vindex_index *index) {
    float query[DIM] = {1, 2, 3};
    int64_t ids[10];
    vindex_search_params params = ef_params(10, 1, HNSW_ALL);
    ck_ok(vindex_search(index, query, 1, &params, ids, NULL));
    ck_ok(vindex_add(index, query, 1, NULL));
    ck_ok(vindex_compact(index, NULL));
    hnsw_check(index);
    hnsw_check_reach(index);
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
        {"hnsw", 0, 9, "what no index has"},
        {"hnsw", 4, 0, "what no index has"},
        {"hnsw", 4, 17, "what no index has"},
        {"hnsw", 4, 9, "'upsizes' has"},
        {"hnsw", 13, 1, "what no index has"},
        {"hnsw", 60, 1, "what no index has"},
        {"upsizes", 0, 0, "no node, or more"},
        {"upsizes", 7, 1, "no node, or more"},
        {"upsizes", 0, 1, "'upnodes' has"},
        {"upnodes", 3, 1, "not in the layer below"},
        {"upnodes", 0, 199, "not in the layer below"},
        {"uplinks", 1, 9, "no graph"},
        {"links", 0, 200, "no graph"},        /* a link to nowhere */
        {"links", 4 * 16 + 3, 0, "no graph"}, /* a link that has left the tree */
        {"links", 4 * 2 * 16 + 3, 0, "no graph"},
        {"links", 4 * 15, 3, "no graph"}, /* behind the padding, if there is some */
    };
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        parts p = read_parts(scratch_path("index"));
        bool changed = false;
        for (int64_t s = 0; s < p.count; s++)
            if (!strcmp(p.list[s].tag, lies[i].tag)) {
                changed = p.bytes[s][lies[i].offset] != lies[i].value;
                p.bytes[s][lies[i].offset] = lies[i].value;
            }
        ck_assert(changed);
        write_parts(&p, scratch_path("lie"));
        vindex_index *index;
        ck_fails(VINDEX_ERR_FORMAT, lies[i].says, vindex_load(scratch_path("lie"), 0, &index));
        if (vindex_load(scratch_path("lie"), VINDEX_LOAD_DEFER | VINDEX_LOAD_MAP, &index) ==
            VINDEX_OK) { /* links are not looked at, and do no harm */
            check_use(index);
            vindex_free(index);
        }
        for (int64_t s = 0; s < p.count; s++) free(p.bytes[s]);
    }
    for (int64_t cut = 1; cut < 8; cut++) { /* each section one byte short */
        parts p = read_parts(scratch_path("index"));
        if (!p.list[cut].bytes) continue;
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

/* Codes were interleaved, and of as many bytes where rows filled their groups. */
START_TEST(codes_of_an_earlier_layout_are_refused) {
    static const char *const specs[] = {"HNSW4,PQ3x4", "HNSW4,SQ8", "HNSW4,SQ8,Refine"};
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = 160};
    float *numbers = vectors_make(&rows);
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(specs); i++) {
        vindex_index *index;
        ck_ok(vindex_create(specs[i], DIM, VINDEX_L2, &index));
        ck_ok(vindex_train(index, numbers, 160, NULL));
        ck_ok(vindex_add(index, numbers, 160, NULL));
        ck_ok(vindex_save(index, scratch_path("index"), NULL));
        vindex_free(index);
        parts p = read_parts(scratch_path("index"));
        for (int64_t s = 0; s < p.count; s++)
            if (!strcmp(p.list[s].tag, "codes")) strcpy(p.list[s].tag, "vectors");
        write_parts(&p, scratch_path("old"));
        for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++)
            ck_fails(VINDEX_ERR_FORMAT, "build the index anew",
                     vindex_load(scratch_path("old"), flags, &index));
        for (int64_t s = 0; s < p.count; s++) free(p.bytes[s]);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

/* How many walkers tuning found stays in the file; more than there can be are a lie. */
START_TEST(walkers_are_kept_and_checked) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 6, .count = 300, .seed = 2};
    flat_case c = hnsw_case_make(&rows, VINDEX_L2, NULL);
    scratch_make();
    for (int64_t walkers = VX_WALKERS_MOST; walkers <= VX_WALKERS_MOST + 1; walkers++) {
        vx_point point = {
            .k = 10, .queries = 9, .vectors = 300, .recall = 0.9, .measured = 0.9, .values = {300}};
        vindex_operating_point kept;
        vindex_index *loaded;
        int64_t count, ids[10];
        point.values[1] = walkers;
        ck_ok(vx_points_set(c.index, 10, &point, 1));
        ck_ok(vindex_save(c.index, scratch_path("tuned"), NULL));
        if (walkers > VX_WALKERS_MOST) {
            ck_fails(VINDEX_ERR_FORMAT, "what no tuning gives",
                     vindex_load(scratch_path("tuned"), 0, &loaded));
            continue;
        }
        ck_ok(vindex_load(scratch_path("tuned"), 0, &loaded));
        ck_ok(vindex_operating_points(loaded, &kept, 1, &count));
        ck_assert_int_eq(count, 1);
        ck_assert_str_eq(kept.settings[1].name, "walkers");
        ck_assert_int_eq(kept.settings[1].value, walkers);
        vindex_search_params params = search_params(10, 1);
        params.recall = 0.9;
        ck_ok(vindex_search(loaded, c.numbers, 1, &params, ids, NULL));
        ck_assert_int_eq(ids[0], 0);
        vindex_free(loaded);
    }
    scratch_remove();
    flat_case_free(&c);
}
END_TEST

TEST_MAIN("hnsw/file", files_keep_all, a_mapped_graph_grows, a_graph_goes_on_after_loading,
          lying_files_are_refused, codes_of_an_earlier_layout_are_refused,
          walkers_are_kept_and_checked)
