/* Compacting gives back what an index has room for and does not need: an index that was filled in
 * portions, of any kind, then holds what the same one holds that was loaded, and answers as before.
 * Where memory is out on the way nothing is lost. */
#include <string.h>

#include <vindex/vindex.h>

#include "../harness.h"
#include "../vectors.h"
#include "core/base.h"
#include "scratch.h"

enum { DIM = 8, FEW = 1100, QUERIES = 8, K = 10, ATTEMPTS = 400 };

/* Ids that count up, that rise, and in no order. */
typedef enum numbering { IMPLICIT, RISING, SHUFFLED, NUMBERINGS } numbering;

typedef struct answers {
    int64_t ids[QUERIES * K];
    float distances[QUERIES * K];
} answers;

static answers ask(const vindex_index *index, const float *queries) {
    answers found;
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    params.nprobe = 1 << 20;
    params.ef = 200;
    params.threads = 1;
    ck_ok(vindex_search(index, queries, QUERIES, &params, found.ids, found.distances));
    return found;
}

static void check_same(const vindex_index *index, const float *queries, const answers *before,
                       const char *spec) {
    answers after = ask(index, queries);
    ck_assert_msg(!memcmp(before, &after, sizeof after), "%s: other answers", spec);
}

/* The id of a row; of the shuffled ones 7919 is prime to every count that is used here. */
static int64_t id_of(numbering how, int64_t row, int64_t count) {
    return how == IMPLICIT ? row : how == RISING ? 3 * row + 1 : row * 7919 % count;
}

/* An index of rows that came in a large portion and then a few at a time. */
static vindex_index *fill(const char *spec, size_t dim, const float *numbers, int64_t count,
                          numbering how) {
    vindex_index *index;
    ck_ok(vindex_create(spec, (int64_t)dim, VINDEX_L2, &index));
    ck_ok(vindex_train(index, numbers, count, NULL));
    int64_t *ids = malloc((size_t)count * sizeof *ids);
    for (int64_t i = 0; i < count; i++) ids[i] = id_of(how, i, count);
    for (int64_t first = 0, portion = count / 2; first < count; portion = count / 70) {
        const float *some = numbers + first * (int64_t)dim;
        portion = VX_MIN(portion, count - first);
        if (how == IMPLICIT)
            ck_ok(vindex_add(index, some, portion, NULL));
        else
            ck_ok(vindex_add_with_ids(index, some, portion, ids + first, NULL));
        first += portion;
    }
    free(ids);
    return index;
}

static size_t memory_when_loaded(const vindex_index *index) {
    vindex_index *loaded;
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    ck_ok(vindex_load(scratch_path("index"), 0, &loaded));
    size_t bytes = vindex_memory(loaded);
    vindex_free(loaded);
    return bytes;
}

static const char *const specs[] = {"Flat",
                                    "Flat,f16",
                                    "Flat,Certified4",
                                    "IVF9,Flat",
                                    "IVF9_HNSW4,SQ8",
                                    "IVF90,SQ6,Refine",
                                    "IVF5,PQ4x4",
                                    "SQ8",
                                    "PQ2x8",
                                    "HNSW8",
                                    "HNSW8,SQ8",
                                    "HNSW8,SQ4,Refine",
                                    "HNSW8,PQ4x4",
                                    "PCA4,IVF9,SQ8",
                                    "Normalise,HNSW8"};

static void check_compact(const char *spec, size_t dim, int64_t count, numbering how) {
    vectors set = {.kind = VECTORS_CLUSTERED, .dim = dim, .count = (size_t)count, .seed = 4};
    float *numbers = vectors_make(&set);
    vindex_index *index = fill(spec, dim, numbers, count, how);
    answers before = ask(index, numbers);
    size_t full = vindex_memory(index);
    ck_ok(vindex_compact(index, NULL));
    check_same(index, numbers, &before, spec);
    size_t loaded = memory_when_loaded(index), compact = vindex_memory(index);
    ck_assert_msg(compact == loaded && compact < full, "%s, ids %d: %zu of %zu, loaded %zu", spec,
                  (int)how, compact, full, loaded);
    /* Removed rows go, and so does what they leave room for. */
    for (int64_t row = 20; row < count; row += 2 + row % 3) {
        int64_t id = id_of(how, row, count);
        ck_ok(vindex_remove(index, &id, 1, NULL));
    }
    ck_ok(vindex_compact(index, NULL));
    loaded = memory_when_loaded(index), compact = vindex_memory(index);
    ck_assert_msg(compact == loaded, "%s, ids %d, fewer: %zu, loaded %zu", spec, (int)how, compact,
                  loaded);
    vindex_free(index);
    free(numbers);
}

START_TEST(compacting_gives_back_spare_room) {
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++)
        for (int how = IMPLICIT; how < NUMBERINGS; how++)
            check_compact(specs[s], DIM, FEW, (numbering)how);
    /* Memory in several pieces. */
    check_compact("IVF100,Flat", 128, FEW * 20, SHUFFLED);
    check_compact("Flat", 128, FEW * 20, IMPLICIT);
    scratch_remove();
}
END_TEST

/* What has no room to spare stays where it is: in the file, if it is mapped. */
START_TEST(a_mapped_index_stays_mapped) {
    vectors set = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = FEW, .seed = 4};
    float *numbers = vectors_make(&set);
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index = fill(specs[s], DIM, numbers, FEW, IMPLICIT), *mapped;
        answers before = ask(index, numbers);
        ck_ok(vindex_save(index, scratch_path("index"), NULL));
        ck_ok(vindex_load(scratch_path("index"), VINDEX_LOAD_MAP, &mapped));
        size_t bytes = vindex_memory(mapped);
        ck_ok(vindex_compact(mapped, NULL));
        ck_assert_uint_eq(vindex_memory(mapped), bytes);
        check_same(mapped, numbers, &before, specs[s]);
        vindex_free(mapped);
        vindex_free(index);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

START_TEST(empty_indexes_are_compacted) {
    vectors set = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = FEW, .seed = 4};
    float *numbers = vectors_make(&set);
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index;
        int64_t id = 0;
        ck_ok(vindex_create(specs[s], DIM, VINDEX_L2, &index));
        ck_ok(vindex_compact(index, NULL)); /* not trained yet */
        ck_ok(vindex_train(index, numbers, FEW, NULL));
        ck_ok(vindex_compact(index, NULL));
        ck_ok(vindex_add(index, numbers, 1, NULL));
        ck_ok(vindex_remove(index, &id, 1, NULL));
        ck_ok(vindex_compact(index, NULL));
        ck_ok(vindex_compact(index, NULL));
        ck_assert_int_eq(vindex_count(index), 0);
        ck_ok(vindex_add(index, numbers, FEW, NULL));
        ck_assert_int_ge(ask(index, numbers).ids[0], 1); /* ids are not given twice */
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

/* Fails the first allocation, then the second, ... until compacting has all that it needs. */
START_TEST(a_failed_allocation_loses_nothing) {
    vectors set = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = FEW, .seed = 5};
    float *numbers = vectors_make(&set);
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index = fill(specs[s], DIM, numbers, FEW, SHUFFLED);
        answers before = ask(index, numbers);
        size_t full = vindex_memory(index);
        vindex_status status = VINDEX_ERR_MEMORY;
        for (int after = 0; status != VINDEX_OK; after++) {
            vx_alloc_fail_after(after);
            status = vindex_compact(index, NULL);
            vx_alloc_fail_after(-1);
            ck_assert_int_lt(after, ATTEMPTS);
            ck_assert(status == VINDEX_OK || status == VINDEX_ERR_MEMORY);
            ck_assert_uint_le(vindex_memory(index), full);
            ck_assert_int_eq(vindex_count(index), FEW);
            check_same(index, numbers, &before, specs[s]);
        }
        ck_assert_uint_eq(vindex_memory(index), memory_when_loaded(index));
        vindex_free(index);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

TEST_MAIN("core/compact", compacting_gives_back_spare_room, a_mapped_index_stays_mapped,
          empty_indexes_are_compacted, a_failed_allocation_loses_nothing)
