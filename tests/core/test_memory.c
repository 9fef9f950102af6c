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

/* To the byte but for what threads and locks have, and within a twentieth as estimated, while it is
 * built, too. */
START_TEST(memory_is_what_is_counted) {
    static const char *const specs[] = {
        "Flat",       "Flat,f16",     "Flat,Certified4",   "IVF256,Flat",
        "IVF256,SQ8", "IVF64,PQ16x4", "IVF256,SQ8,Refine", "IVF64,RaBitQ2",
        "SQ8",        "PQ8x4",        "IVF700,SQ8",        "IVF100,Flat,f16",
        "HNSW8",      "HNSW16,SQ8",   "HNSW8,SQ8,Refine",  "HNSW16,PQ16x4"};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 1};
    float *numbers = vectors_make(&rows);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (int32_t threads = 1; threads <= 2; threads++) {
            vindex_index *index;
            size_t estimate, building, before = now;
            vindex_call call;
            vindex_call_init(&call);
            call.threads = threads;
            ck_ok(vindex_memory_estimate(specs[s], DIM, COUNT, &estimate));
            ck_ok(vindex_build_memory_estimate(specs[s], DIM, COUNT, threads, &building));
            most = now;
            ck_ok(vindex_create(specs[s], DIM, VINDEX_L2, &index));
            ck_ok(vindex_train(index, numbers, COUNT, &call));
            ck_ok(vindex_add(index, numbers, COUNT, &call));
            size_t held = now - before, peak = most - before;
            /* What graphs keep for the next walks is not counted, four of which a thread follows.
             */
            size_t idle = strncmp(specs[s], "HNSW", 4) ? 0 : (size_t)threads * 4 << 16;
            ck_assert_double_le(share(vindex_memory(index), held), 1.002);
            ck_assert_double_ge(share(vindex_memory(index) + idle, held), 0.998);
            ck_assert_msg(share(estimate + idle, held) > 0.98 && share(estimate, held) < 1.02,
                          "%s: %zu of %zu", specs[s], estimate, held);
            /* Threads need not all be at work at once. */
            ck_assert_msg(share(building, peak) > 0.95 &&
                              (threads > 1 || share(building, peak) < 1.05),
                          "%s on %d threads: %zu of %zu", specs[s], (int)threads, building, peak);
            vindex_free(index);
            ck_assert_uint_eq(now, before);
        }
    free(numbers);
}
END_TEST

START_TEST(what_is_not_known_is_refused) {
    size_t bytes;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "PCA2,Flat",
             vindex_build_memory_estimate("PCA2,Flat", 4, 9, 1, &bytes));
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -1",
             vindex_build_memory_estimate("Flat", 4, 9, -1, &bytes));
    ck_fails(VINDEX_ERR_ARGUMENT, "NULL", vindex_build_memory_estimate("Flat", 4, 9, 1, NULL));
    ck_fails(VINDEX_ERR_ARGUMENT, "n is -1",
             vindex_build_memory_estimate("Flat", 4, -1, 1, &bytes));
}
END_TEST

TEST_MAIN("core/memory", memory_is_what_is_counted, what_is_not_known_is_refused)
