/* The memory that an index says it holds and that it was estimated to hold, and what is counted.
 * The program is linked so that what the library allocates comes by here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

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

enum { COUNT = 60000, DIM = 64 };

static const char *const specs[] = {
    "Flat",       "Flat,f16",     "Flat,Certified4",   "IVF256,Flat",
    "IVF256,SQ8", "IVF64,PQ32x4", "IVF256,SQ8,Refine", "IVF64,RaBitQ2",
    "SQ8",        "PQ16x8",       "IVF2000,SQ8",       "IVF512_HNSW8,SQ8"};

START_TEST(memory_is_what_was_counted) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 1};
    float *numbers = vectors_make(&rows);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        vindex_index *index;
        size_t estimate, before = now;
        vindex_call call;
        vindex_call_init(&call);
        call.threads = 1;
        most = now;
        ck_ok(vindex_memory_estimate(specs[s], DIM, COUNT, &estimate));
        most = now;
        ck_ok(vindex_create(specs[s], DIM, VINDEX_L2, &index));
        ck_ok(vindex_train(index, numbers, COUNT, &call));
        size_t train = most - before;
        most = now;
        ck_ok(vindex_add(index, numbers, COUNT, &call));
        printf("%s: estimate %zu says %zu counted %zu train %zu add %zu\n", specs[s], estimate,
               vindex_memory(index), now - before, train, most - before);
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

TEST_MAIN("core/memory", memory_is_what_was_counted)
