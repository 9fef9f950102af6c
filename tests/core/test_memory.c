/* The memory that an index says it holds and that it was estimated to hold, and what is counted.
 * The program is linked so that what the library allocates comes by here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vindex/vindex.h>

#include "../harness.h"
#include "../vectors.h"

int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void __real_free(void *memory);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void __wrap_free(void *memory);

/* What is at hand, and the most that was at once. */
enum { BLOCKS = 1 << 14 };
static struct {
    void *memory;
    size_t size;
} blocks[BLOCKS];
static size_t block_count, now, most;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size) {
    int failed = __real_posix_memalign(memory, alignment, size);
    if (failed) return failed;
    pthread_mutex_lock(&lock);
    if (block_count == BLOCKS) abort();
    blocks[block_count].memory = *memory;
    blocks[block_count++].size = size;
    now += size;
    if (now > most) most = now;
    pthread_mutex_unlock(&lock);
    return 0;
}

void __wrap_free(void *memory) {
    pthread_mutex_lock(&lock);
    for (size_t i = block_count; memory && i-- > 0;) {
        if (blocks[i].memory != memory) continue;
        now -= blocks[i].size;
        blocks[i] = blocks[--block_count];
        break;
    }
    pthread_mutex_unlock(&lock);
    __real_free(memory);
}

enum { COUNT = 50000, DIM = 64 };

static double share(size_t part, size_t whole) {
    return (double)part / (double)whole;
}

/* Bytes of an index and of its building, as said and as counted. */
typedef struct sizes {
    size_t memory, estimate, building, held, peak;
} sizes;

static sizes measure(const char *spec, const float *numbers, int64_t count, int32_t threads) {
    vindex_index *index;
    sizes found;
    size_t before = now;
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    ck_ok(vindex_memory_estimate(spec, DIM, count, &found.estimate));
    ck_ok(vindex_build_memory_estimate(spec, DIM, count, threads, &found.building));
    most = now;
    ck_ok(vindex_create(spec, DIM, VINDEX_L2, &index));
    ck_ok(vindex_train(index, numbers, count, &call));
    ck_ok(vindex_add(index, numbers, count, &call));
    found.memory = vindex_memory(index);
    found.held = now - before;
    found.peak = most - before;
    vindex_free(index);
    ck_assert_uint_eq(now, before);
    return found;
}

static void check_estimate(const char *spec, size_t estimate, size_t bytes) {
    ck_assert_msg(share(estimate, bytes) > 0.98 && share(estimate, bytes) < 1.02, "%s: %zu of %zu",
                  spec, estimate, bytes);
}

/* Threads need not all be at work at once. */
static void check_building(const char *spec, const sizes *is, int32_t threads) {
    ck_assert_msg(share(is->building, is->peak) > 0.95 &&
                      (threads > 1 || share(is->building, is->peak) < 1.05),
                  "%s on %d threads: %zu of %zu", spec, (int)threads, is->building, is->peak);
}

/* To the byte but for what threads and locks have, and within a twentieth as estimated, while it is
 * built, too. */
START_TEST(memory_is_what_is_counted) {
    static const char *const specs[] = {"Flat",
                                        "Flat,f16",
                                        "Flat,Certified4",
                                        "IVF256,Flat",
                                        "IVF256,SQ8",
                                        "IVF64,PQ16x4",
                                        "IVF256,SQ8,Refine",
                                        "IVF64,RaBitQ2",
                                        "SQ8",
                                        "PQ8x4",
                                        "IVF700,SQ8",
                                        "IVF100,Flat,f16",
                                        "IVF64,PQ16x4,Refine(SQ8)",
                                        "PQ8x4,Refine(PQ8x8)",
                                        "IVF64,SQ8,Refine(RaBitQ4)"};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 1};
    float *numbers = vectors_make(&rows);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s += (size_t)test_stride())
        for (int32_t threads = 1; threads <= 2; threads++) {
            sizes is = measure(specs[s], numbers, COUNT, threads);
            ck_assert_double_eq_tol(share(is.memory, is.held), 1, 0.002);
            check_estimate(specs[s], is.estimate, is.held);
            check_building(specs[s], &is, threads);
        }
    free(numbers);
}
END_TEST

/* The same behind projections: chains are learnt, and vectors projected on their way in. */
START_TEST(projections_are_counted) {
    static const char *const specs[] = {"PCA32,Flat",
                                        "PCA48,IVF256,SQ8",
                                        "OPQ16,IVF64,PQ16x4",
                                        "Normalise,IVF256,SQ8",
                                        "PCA16,IVF700,SQ8",
                                        "OPQ16_32,IVF64,PQ16x8",
                                        "Normalise,PCAW32,IVF64,SQ4",
                                        "GRP40,IVF256,Flat,f16",
                                        "PCA32,HNSW8,SQ8",
                                        "Standardise,IVF256,SQ8,Refine"};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 1};
    float *numbers = vectors_make(&rows);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s += (size_t)test_stride()) {
        int64_t count = strstr(specs[s], "HNSW") ? COUNT / 4 : COUNT;
        sizes is = measure(specs[s], numbers, count, 1);
        check_building(specs[s], &is, 1);
    }
    free(numbers);
}
END_TEST

/* A graph keeps what four walks need for the next ones, which is not counted. */
START_TEST(graphs_hold_what_they_say) {
    enum { GRAPH = 12000, WALK = 1 << 16 };
    static const char *const specs[] = {"HNSW8", "HNSW16,SQ8", "HNSW8,SQ8,Refine", "HNSW16,PQ16x4",
                                        "HNSW8,SQ4,Refine(SQ8)"};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = GRAPH, .seed = 1};
    float *numbers = vectors_make(&rows);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s += (size_t)test_stride()) {
        sizes is = measure(specs[s], numbers, GRAPH, 1);
        ck_assert_uint_le(is.memory, is.held);
        ck_assert_uint_le(is.held, is.memory + (size_t)4 * WALK);
        check_estimate(specs[s], is.estimate, is.memory);
        check_building(specs[s], &is, 1);
    }
    free(numbers);
}
END_TEST

START_TEST(what_is_not_known_is_refused) {
    size_t bytes;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "what learning ica takes",
             vindex_build_memory_estimate("ICA2,Flat", 4, 9, 1, &bytes));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "known after training",
             vindex_build_memory_estimate("Rank,Flat", 4, 9, 1, &bytes));
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -1",
             vindex_build_memory_estimate("Flat", 4, 9, -1, &bytes));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_build_memory_estimate("Flat", 4, 9, 1, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "n is -1",
             vindex_build_memory_estimate("Flat", 4, -1, 1, &bytes));
}
END_TEST

TEST_MAIN("core/memory", memory_is_what_is_counted, projections_are_counted,
          graphs_hold_what_they_say, what_is_not_known_is_refused)
