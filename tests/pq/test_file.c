/* Files of product codes: what is loaded answers as what was saved, also from a map; what lies
 * about itself is refused; and a failing allocation leaves all as it was. */
#include <math.h>

#include "../core/lie.h"
#include "cases.h"

enum { COUNT = 150, DIM = 12, QUERIES = 9 };

static const char *const specs[] = {"PQ4x4", "IVF3,PQ6x6", "PQ4x4,Refine(SQ4)",
                                    "IVF3,PQ4x4,Refine(PQ6x4)", "OPQ4,IVF3,PQ4x4"};

static flat_case make_case(const char *spec, int64_t *ids) {
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 77 + 5) % COUNT * 3;
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 1};
    return pq_case_make(spec, &rows, VINDEX_COSINE, ids);
}

/* All answers, in bytes. */
static void answer(const flat_case *c, int64_t *ids, float *distances) {
    float *queries = flat_case_queries(c, QUERIES);
    vindex_search_params params = pq_params(20, 1);
    ck_ok(vindex_search(c->index, queries, QUERIES, &params, ids, distances));
    free(queries);
}

START_TEST(files_keep_all) {
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++)
        for (uint32_t flags = 0; flags <= (VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER); flags++) {
            int64_t ids[COUNT], found[2][QUERIES * 20];
            float distances[2][QUERIES * 20];
            flat_case c = make_case(specs[s], ids);
            answer(&c, found[0], distances[0]);
            ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
            vindex_free(c.index);
            ck_ok(vindex_load(scratch_path("index"), flags, &c.index));
            ck_ok(vindex_verify(c.index, NULL));
            ck_assert_str_eq(vindex_spec(c.index), specs[s]);
            answer(&c, found[1], distances[1]);
            ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
            ck_assert_mem_eq(distances[0], distances[1], sizeof distances[0]);
            ck_ok(vindex_save(c.index, scratch_path("again"), NULL));
            size_t length;
            unsigned char *bytes = scratch_read("index", &length);
            ck_assert(scratch_holds("again", bytes, length));
            free(bytes);
            ck_ok(vindex_remove(c.index, ids, 40, NULL)); /* a mapped list is copied first */
            ck_ok(vindex_compact(c.index, NULL));
            answer(&c, found[1], distances[1]);
            ck_assert_int_eq(vindex_count(c.index), COUNT - 40);
            flat_case_free(&c);
        }
    scratch_remove();
}
END_TEST

/* What codes lose is told, and a file keeps it: rows that were learnt from, as they come back. */
START_TEST(distortion_is_what_rows_lose) {
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 1};
        flat_case c = pq_case_make(specs[s], &rows, VINDEX_L2, NULL);
        double lost = 0;
        float *numbers = vectors_make(&rows);
        vindex_ivf_stats stats, again;
        for (int64_t i = 0; i < COUNT; i++) {
            float back[DIM];
            ck_ok(vindex_reconstruct(c.index, &i, 1, back));
            for (size_t j = 0; j < DIM; j++)
                lost += pow((double)back[j] - (double)numbers[(size_t)i * DIM + j], 2) / COUNT;
        }
        free(numbers);
        ck_ok(vindex_ivf_stats_get(c.index, &stats));
        /* The last step moved the words after rows had chosen theirs. */
        ck_assert_msg(lost <= stats.distortion * 1.0001 && lost >= stats.distortion * 0.98,
                      "%s: told %g, lost %g", specs[s], stats.distortion, lost);
        ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
        vindex_free(c.index);
        ck_ok(vindex_load(scratch_path("index"), 0, &c.index));
        ck_ok(vindex_ivf_stats_get(c.index, &again));
        ck_assert_float_eq((float)again.distortion, (float)stats.distortion);
        flat_case_free(&c);
    }
    scratch_remove();
}
END_TEST

static void write_changed(const char *tag, size_t offset, float value, size_t cut) {
    scratch_lie(tag, offset, &value, sizeof value, cut);
}

/* What a second codec has learnt, and its codes. */
static void lie_of_second(void) {
    int64_t ids[COUNT];
    vindex_index *index = NULL;
    flat_case c = make_case("IVF3,PQ4x4,Refine(PQ6x4)", ids), other = c;
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    write_changed("+words", 8, (float)NAN, 0);
    ck_fails(VINDEX_ERR_FORMAT, "codeword is not a finite",
             vindex_load(scratch_path("lie"), 0, &index));
    write_changed("+words", 8, 0, 4);
    ck_fails(VINDEX_ERR_FORMAT, "codewords of 2 numbers",
             vindex_load(scratch_path("lie"), 0, &index));
    write_changed("fine", 0, 0, 8);
    ck_fails(VINDEX_ERR_FORMAT, "not as long as its lists",
             vindex_load(scratch_path("lie"), 0, &index));
    for (size_t offset = 0; offset < 16; offset += 4) { /* codes and their aux */
        int64_t found[QUERIES * 20];
        float distances[QUERIES * 20];
        write_changed("fine", offset, NAN, 0);
        ck_ok(vindex_load(scratch_path("lie"), 0, &other.index));
        answer(&other, found, distances);
        vindex_free(other.index);
    }
    flat_case_free(&c);
}

START_TEST(lying_files_are_refused) {
    scratch_make();
    int64_t ids[COUNT];
    vindex_index *index = NULL;
    flat_case c = make_case("IVF3,PQ4x4", ids);
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    write_changed("words", 8, (float)NAN, 0);
    ck_fails(VINDEX_ERR_FORMAT, "codeword is not a finite",
             vindex_load(scratch_path("lie"), 0, &index));
    write_changed("words", 0, -1, 0); /* the distortion */
    ck_fails(VINDEX_ERR_FORMAT, "distortion is negative",
             vindex_load(scratch_path("lie"), 0, &index));
    write_changed("words", 8, 0, 4);
    ck_fails(VINDEX_ERR_FORMAT, "codewords of 3 numbers",
             vindex_load(scratch_path("lie"), 0, &index));
    write_changed("codes", 0, 0, 64);
    ck_fails(VINDEX_ERR_FORMAT, "not as long as its lists",
             vindex_load(scratch_path("lie"), 0, &index));
    write_changed("centroid", 0, (float)NAN, 0);
    ck_fails(VINDEX_ERR_FORMAT, "not a finite", vindex_load(scratch_path("lie"), 0, &index));
    lie_of_second();
    ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
    /* Numbers that lie within what is possible give other answers, and no harm. */
    static const char *const tags[] = {"words", "aux", "codes", "angles"};
    static const float lies[] = {3e38f, -1, NAN, INFINITY};
    for (size_t t = 0; t < VX_COUNT(tags); t++)
        for (size_t l = t ? 0 : VX_COUNT(lies) - 4; l < (t ? VX_COUNT(lies) : 2); l++) {
            flat_case other = c;
            int64_t found[QUERIES * 20];
            float distances[QUERIES * 20];
            write_changed(tags[t], t ? 0 : sizeof(float), lies[l], 0);
            ck_ok(vindex_load(scratch_path("lie"), 0, &other.index));
            answer(&other, found, distances);
            vindex_free(other.index);
        }
    flat_case_free(&c);
    scratch_remove();
}
END_TEST

typedef enum verb { MAKE, ADD, SEARCH, SEARCH_ONE, LOAD, VERBS } verb;

/* On one thread, so that which allocation fails is the same every time. */
static vindex_status perform(verb what, const char *spec, const flat_case *c) {
    vindex_call call;
    vindex_index *made;
    int64_t ids[QUERIES * 3];
    vindex_search_params params = pq_params(3, 1);
    vindex_call_init(&call);
    call.threads = 1;
    switch (what) {
    case MAKE:
        VX_TRY(vindex_create(spec, DIM, VINDEX_COSINE, &made));
        vindex_status status = vindex_train(made, c->numbers, COUNT, &call);
        vindex_free(made);
        return status;
    case ADD:
        return vindex_add(c->index, c->numbers, 70, &call);
    case SEARCH:
        return vindex_search(c->index, c->numbers, QUERIES, &params, ids, NULL);
    case SEARCH_ONE:
        return vindex_search(c->index, c->numbers, 1, &params, ids, NULL);
    default:
        VX_TRY(vindex_load(scratch_path("index"), 0, &made));
        vindex_free(made);
        return VINDEX_OK;
    }
}

START_TEST(a_failed_allocation_changes_nothing) {
    for (size_t s = 0; s < 4; s++) {
        int64_t ids[COUNT], found[2][QUERIES * 20];
        float distances[2][QUERIES * 20];
        flat_case c = make_case(specs[s], ids);
        scratch_make();
        ck_ok(vindex_save(c.index, scratch_path("index"), NULL));
        answer(&c, found[0], distances[0]);
        for (int what = 0; what < VERBS; what++)
            for (int after = 0;; after++) {
                vx_alloc_fail_after(after);
                vindex_status status = perform((verb)what, specs[s], &c);
                vx_alloc_fail_after(-1);
                if (status == VINDEX_OK) {
                    ck_assert_int_ge(after, 3);
                    answer(&c, found[0], distances[0]); /* it may have added rows */
                    break;
                }
                ck_assert_msg(status == VINDEX_ERR_MEMORY, "verb %d, allocation %d: %s", what,
                              after, vindex_last_error());
                answer(&c, found[1], distances[1]);
                ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
                ck_assert_int_lt(after, 300);
            }
        flat_case_free(&c);
        scratch_remove();
    }
}
END_TEST

/* Training anew that fails leaves what was learnt. */
static void fail_training(const char *spec) {
    vindex_index *index;
    vectors set = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 1};
    float *rows = vectors_make(&set), *other, back[DIM];
    const int64_t id = 0;
    set.seed = 2;
    other = vectors_make(&set);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1;
    ck_ok(vindex_create(spec, DIM, VINDEX_L2, &index));
    ck_ok(vindex_train(index, rows, COUNT, &call));
    scratch_make();
    ck_ok(vindex_save(index, scratch_path("before"), NULL));
    for (int after = 0;; after++) {
        vx_alloc_fail_after(after);
        vindex_status status = vindex_train(index, other, COUNT, &call);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) break;
        size_t length;
        ck_ok(vindex_save(index, scratch_path("after"), NULL));
        unsigned char *bytes = scratch_read("before", &length);
        ck_assert(scratch_holds("after", bytes, length));
        free(bytes);
    }
    ck_ok(vindex_add(index, rows, 1, &call));
    ck_ok(vindex_reconstruct(index, &id, 1, back));
    scratch_remove();
    vindex_free(index);
    free(rows);
    free(other);
}

START_TEST(a_failed_training_changes_nothing) {
    static const char *const trained[] = {"IVF3,PQ4x4", "IVF3,PQ4x4,Refine(PQ2x6)",
                                          "SQ4,Refine(SQ6)"};
    for (size_t s = 0; s < VX_COUNT(trained); s++) fail_training(trained[s]);
}
END_TEST

TEST_MAIN("pq/file", files_keep_all, distortion_is_what_rows_lose, lying_files_are_refused,
          a_failed_allocation_changes_nothing, a_failed_training_changes_nothing)
