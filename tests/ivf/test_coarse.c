/* Lists that a graph over their centroids finds: the answers are those of comparing with every
 * centroid where all lists are looked through, and nearly those where some are; files keep the
 * graph; threads change nothing. */
#include "../core/lie.h"
#include "cases.h"

enum { QUERIES = 40, K = 10 };

static const char *const words[] = {"IVF9_HNSW4,Flat", "IVF9_HNSW2,SQ8,Refine",
                                    "IVF9_HNSW3,RaBitQ4,Refine(f16)"};

START_TEST(the_word_is_kept) {
    vindex_index *index;
    vindex_ivf_params params;
    ck_ok(vindex_create("IVF0065536_HNSW32,SQ8", 8, VINDEX_L2, &index));
    ck_assert_str_eq(vindex_spec(index), "IVF65536_HNSW32,SQ8");
    vindex_free(index);
    vindex_ivf_params_init(&params);
    params.dim = 8;
    params.lists = 70;
    params.links = 12;
    params.codec = "SQ4,Refine";
    ck_ok(vindex_ivf_create(&params, &index));
    ck_assert_str_eq(vindex_spec(index), "IVF70_HNSW12,SQ4,Refine");
    vindex_free(index);
    params.links = 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "2 to 256 links", vindex_ivf_create(&params, &index));
    static const char *const wrong[] = {"IVF9_HNSW,Flat",   "IVF9_HNSW1,Flat", "IVF9_HNSW257,Flat",
                                        "IVF9_HNSW4x,Flat", "IVF9_Flat,Flat",  "IVF9HNSW4,Flat",
                                        "IVF_HNSW4,Flat",   "IVF0_HNSW4,Flat", "IVF9_HNSW-4,Flat"};
    for (size_t i = 0; i < VX_COUNT(wrong); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "", vindex_create(wrong[i], 8, VINDEX_L2, &index));
}
END_TEST

static void check_all_lists(const flat_case *c, const char *what) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        vindex_search_params params = probe_params(K, threads, IVF_ALL);
        params.ef = 1; /* is raised to the number of lists */
        flat_case_search(c, queries, QUERIES, rankings, &params, what);
        flat_case_search(c, queries, 1, rankings, &params, what);
    }
    rankings_free(rankings, QUERIES);
    free(queries);
}

START_TEST(all_lists_give_the_exact_answer) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int kind = 0; kind < VECTORS_KINDS; kind++) {
            size_t word = (size_t)(metric + kind) % VX_COUNT(words);
            vectors rows = {.kind = (vectors_kind)kind,
                            .dtype = word == 2 ? VINDEX_F16 : VINDEX_F32,
                            .dim = 11,
                            .count = 150,
                            .seed = (uint64_t)kind};
            flat_case c = ivf_case_make(words[word], &rows, (vindex_metric)metric, NULL);
            check_all_lists(&c, words[word]);
            flat_case_free(&c);
        }
}
END_TEST

/* An index of those rows, trained and filled with so many threads. */
static vindex_index *make(const char *spec, const vectors *rows, int32_t threads) {
    vindex_index *index;
    float *numbers = vectors_make(rows);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    ck_ok(vindex_create(spec, (int64_t)rows->dim, VINDEX_L2, &index));
    ck_ok(vindex_train(index, numbers, (int64_t)rows->count, &call));
    ck_ok(vindex_add(index, numbers, (int64_t)rows->count, &call));
    free(numbers);
    return index;
}

static const vectors many = {.kind = VECTORS_CLUSTERED, .dim = 12, .count = 6000, .seed = 4};

/* How many of the true neighbours a search finds. */
static int found_of(const vindex_index *index, const float *queries, const int64_t *truth,
                    int64_t nprobe) {
    int64_t ids[QUERIES * K];
    int found = 0;
    vindex_search_params params = probe_params(K, 2, nprobe);
    ck_ok(vindex_search(index, queries, QUERIES, &params, ids, NULL));
    for (size_t i = 0; i < QUERIES * K; i++)
        for (size_t j = 0; j < K; j++) found += ids[i / K * K + j] == truth[i];
    return found;
}

START_TEST(more_lists_find_more_and_nearly_the_same) {
    vectors asked = many;
    asked.queries = true;
    asked.count = QUERIES;
    float *queries = vectors_make(&asked);
    vindex_index *graph = make("IVF160_HNSW8,Flat", &many, 2);
    vindex_index *flat = make("IVF160,Flat", &many, 2);
    int64_t truth[QUERIES * K];
    vindex_search_params params = probe_params(K, 1, IVF_ALL);
    ck_ok(vindex_search(flat, queries, QUERIES, &params, truth, NULL));
    int before = 0;
    for (int64_t nprobe = 1; nprobe <= 160; nprobe += 1 + nprobe / 2) {
        int by_graph = found_of(graph, queries, truth, nprobe);
        int by_all = found_of(flat, queries, truth, nprobe);
        ck_each(by_graph >= before, "%d after %d with %d lists", by_graph, before, (int)nprobe);
        ck_each(by_graph >= by_all - QUERIES * K / 100, "%d beside %d with %d lists", by_graph,
                by_all, (int)nprobe);
        before = by_graph;
    }
    ck_assert_int_eq(found_of(graph, queries, truth, 160), QUERIES * K);
    vindex_free(graph);
    vindex_free(flat);
    free(queries);
}
END_TEST

START_TEST(threads_change_nothing) {
    scratch_make();
    vindex_index *one = make("IVF160_HNSW8,SQ8", &many, 1),
                 *four = make("IVF160_HNSW8,SQ8", &many, 4);
    ck_ok(vindex_save(one, scratch_path("one"), NULL));
    ck_ok(vindex_save(four, scratch_path("four"), NULL));
    size_t length;
    unsigned char *bytes = scratch_read("one", &length);
    ck_assert(scratch_holds("four", bytes, length));
    free(bytes);
    vindex_free(one);
    vindex_free(four);
    scratch_remove();
}
END_TEST

START_TEST(memory_is_as_estimated) {
    size_t estimate;
    vindex_index *index = make("IVF400_HNSW8,SQ8", &many, 2);
    ck_ok(vindex_memory_estimate("IVF400_HNSW8,SQ8", 12, 6000, &estimate));
    double share = (double)vindex_memory(index) / (double)estimate;
    ck_assert_msg(share > 0.95 && share < 1.05, "%zu of %zu", vindex_memory(index), estimate);
    vindex_free(index);
}
END_TEST

START_TEST(files_keep_the_graph) {
    scratch_make();
    for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = 7, .count = 190, .seed = 1};
        flat_case c = ivf_case_make(words[1], &rows, VINDEX_COSINE, NULL);
        size_t length;
        ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
        vindex_free(c.index);
        ck_ok(vindex_load(scratch_path("index"), flags, &c.index));
        ck_ok(vindex_verify(c.index, NULL));
        ck_assert_str_eq(vindex_spec(c.index), words[1]);
        check_all_lists(&c, "loaded");
        ck_ok(vindex_save(c.index, scratch_path("again"), NULL));
        unsigned char *bytes = scratch_read("index", &length);
        ck_assert(scratch_holds("again", bytes, length));
        free(bytes);
        ck_ok(vindex_add(c.index, c.numbers, 3, NULL));
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

/* One byte of a section set, or a byte less of it. */
static void write_changed(const char *tag, size_t offset, int value) {
    const unsigned char number[2] = {0x80, (unsigned char)value}; /* the end of infinity or NaN */
    size_t bytes = value < 0 ? 0 : value == 0x7f ? 2 : 1;
    scratch_lie(tag, offset - bytes / 2, number + 2 - bytes, bytes, value < 0);
}

START_TEST(lying_files_are_refused) {
    scratch_make();
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 7, .count = 190, .seed = 1};
    vindex_index *index = make(words[0], &rows, 1);
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    vindex_free(index);
    static const struct {
        const char *tag;
        size_t offset;
        int value; /* -1: a byte less */
        const char *says;
    } lies[] = {
        {"~index", 4, '5', "another than its factory string"},
        {"~index", 128, 8, "another than its factory string"},
        {"~index", 136, 8, "another than its factory string"},
        {"~index", 152, 1, "another than its factory string"},
        {"~index", 0, -1, "159 bytes"},
        {"~hnsw", 0, 8, "what no index has"},
        {"~hnsw", 0, -1, "hnsw"},
        {"~vectors", 3, 0x7f, "finite"},
        {"~vectors", 0, -1, "vectors"},
        {"~links", 0, 200, "links"},
        {"~links", 0, -1, "links"},
        {"~aux", 0, -1, "aux"},
    };
    for (size_t i = 0; i < VX_COUNT(lies); i++)
        for (uint32_t flags = 0; flags <= VINDEX_LOAD_MAP; flags += VINDEX_LOAD_MAP) {
            write_changed(lies[i].tag, lies[i].offset, lies[i].value);
            vindex_status status = vindex_load(scratch_path("lie"), flags, &index);
            ck_each(status == VINDEX_ERR_FORMAT && strstr(vindex_last_error(), lies[i].says),
                    "%s at %zu: %s", lies[i].tag, lies[i].offset, vindex_last_error());
        }
    scratch_remove();
}
END_TEST

/* Lists point at the vectors of the graph, whether that was made, loaded or is mapped. */
START_TEST(centroids_are_kept_once) {
    enum { DIM = 40, LISTS = 60, COUNT = 700 };
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 1};
    float *numbers = vectors_make(&rows);
    vindex_index *index;
    scratch_make();
    ck_ok(vindex_create("IVF60_HNSW8,SQ8", DIM, VINDEX_L2, &index));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    for (int form = 0; form < 3; form++) {
        const vx_ivf *ivf = (const vx_ivf *)index;
        size_t rest = vindex_memory(index) - vindex_memory(ivf->coarse);
        ck_assert_uint_lt(rest, LISTS * sizeof(vx_list) + sizeof(vx_ivf) + 2048);
        for (int64_t l = 0; l < LISTS; l++) {
            float centroid[DIM];
            ck_ok(vindex_reconstruct(ivf->coarse, &l, 1, centroid));
            ck_assert_mem_eq(centroid, ivf->lists[l].run.centre, sizeof centroid);
        }
        ck_ok(vindex_save(index, scratch_path("index"), NULL));
        vindex_free(index);
        ck_ok(vindex_load(scratch_path("index"), form ? VINDEX_LOAD_MAP : 0, &index));
    }
    vindex_free(index);
    free(numbers);
    scratch_remove();
}
END_TEST

/* A file whose graph has its nodes under the numbers of other lists: their rows would be taken for
 * rows around another centroid. */
START_TEST(nodes_in_another_order_are_refused) {
    enum { LISTS = 9 };
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 7, .count = 190, .seed = 1};
    unsigned char ids[8 * LISTS];
    vindex_file_section list[32];
    int64_t sections;
    vx_container *file;
    vx_container_writer *writer;
    scratch_make();
    vindex_index *index = make("IVF9_HNSW4,SQ8", &rows, 1);
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    vindex_free(index);
    for (uint64_t l = 0; l < LISTS; l++) vx_put_u64(ids + 8 * l, l < 2 ? 1 - l : l);
    ck_ok(vindex_file_sections(scratch_path("index"), list, 32, &sections));
    ck_ok(vx_container_open(scratch_path("index"), VX_KIND_INDEX, &file));
    ck_ok(vx_container_create(scratch_path("lie"), VX_KIND_INDEX, 0, (uint32_t)sections + 1,
                              &writer));
    for (int64_t i = 0; i < sections; i++) {
        vx_section section;
        ck_ok(vx_container_find(file, list[i].tag, true, &section));
        ck_ok(vx_container_section(writer, list[i].tag, section.bytes, section.length));
    }
    ck_ok(vx_container_section(writer, "~ids", ids, sizeof ids));
    ck_ok(vx_container_commit(writer));
    vx_container_close(file);
    for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++)
        ck_fails(VINDEX_ERR_FORMAT, "in another one's place",
                 vindex_load(scratch_path("lie"), flags, &index));
    scratch_remove();
}
END_TEST

/* Shards that were trained alike: two copies of one file. */
START_TEST(shards_are_merged) {
    scratch_make();
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 7, .count = 190, .seed = 1};
    float *numbers = vectors_make(&rows);
    vindex_index *shards[2];
    int64_t ids[190], found[190];
    ck_ok(vindex_create(words[0], 7, VINDEX_L2, &shards[0]));
    ck_ok(vindex_train(shards[0], numbers, 190, NULL));
    ck_ok(vindex_save(shards[0], scratch_path("index"), NULL));
    ck_ok(vindex_load(scratch_path("index"), 0, &shards[1]));
    for (int64_t i = 0; i < 190; i++) ids[i] = i;
    ck_ok(vindex_add_with_ids(shards[0], numbers, 100, ids, NULL));
    ck_ok(vindex_add_with_ids(shards[1], numbers + 700, 90, ids + 100, NULL));
    ck_ok(vindex_merge(shards[0], shards[1], NULL));
    vindex_search_params params = probe_params(1, 1, IVF_ALL);
    ck_ok(vindex_search(shards[0], numbers, 190, &params, found, NULL));
    ck_assert_mem_eq(found, ids, sizeof ids);
    vindex_free(shards[0]);
    vindex_free(shards[1]);
    free(numbers);
    scratch_remove();
}
END_TEST

TEST_MAIN("ivf/coarse", the_word_is_kept, all_lists_give_the_exact_answer,
          more_lists_find_more_and_nearly_the_same, threads_change_nothing, memory_is_as_estimated,
          files_keep_the_graph, lying_files_are_refused, nodes_in_another_order_are_refused,
          centroids_are_kept_once, shards_are_merged)
