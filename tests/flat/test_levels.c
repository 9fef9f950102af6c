/* The same bits from every instruction set, thread count and batch size. A process chooses its
 * instruction set once, so each is tried in a child of its own. */
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "simd/kernels.h"

enum { QUERIES = 30, K = 25 };

/* FNV-1a. */
static uint64_t digest(uint64_t hash, const void *bytes, size_t count) {
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++) hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

/* All answers of one set, asked `batch` queries at a time. */
static uint64_t digest_answers(uint64_t hash, const flat_case *c, const float *queries,
                               size_t batch, int32_t threads) {
    static int64_t ids[QUERIES * K];
    static float distances[QUERIES * K];
    vindex_search_params params = search_params(K, threads);
    for (size_t first = 0; first < QUERIES; first += batch)
        ck_ok(vindex_search(c->index, queries + first * c->rows.dim, (int64_t)batch, &params,
                            ids + first * K, distances + first * K));
    hash = digest(hash, ids, sizeof ids);
    return digest(hash, distances, sizeof distances);
}

/* Of every kind of data under every metric and storage type. */
static uint64_t digest_all(size_t batch, int32_t threads) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (int dtype = VINDEX_F32; dtype <= VINDEX_BF16; dtype++)
            for (int kind = 0; kind < VECTORS_KINDS; kind += test_stride()) {
                vectors rows = {.kind = (vectors_kind)kind,
                                .dtype = (vindex_dtype)dtype,
                                .dim = kind % 3 ? 40 : 521,
                                .count = kind % 2 ? 400 : 100,
                                .seed = (uint64_t)kind};
                flat_case c = flat_case_make(&rows, (vindex_metric)metric, NULL);
                float *queries = flat_case_queries(&c, QUERIES);
                hash = digest_answers(hash, &c, queries, batch, threads);
                free(queries);
                flat_case_free(&c);
            }
    return hash;
}

/* The digest that a child finds under that instruction set. */
static uint64_t digest_at_level(const char *level, size_t batch, int32_t threads) {
    int ends[2], status;
    uint64_t hash = 0;
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("VINDEX_SIMD", level, 1);
        hash = digest_all(batch, threads);
        bool right = !strcmp(vindex_simd_level(), level);
        _exit(right && write(ends[1], &hash, sizeof hash) == sizeof hash ? 0 : 1);
    }
    close(ends[1]);
    ck_assert_msg(read(ends[0], &hash, sizeof hash) == sizeof hash, "%s: the child died", level);
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    return hash;
}

START_TEST(every_level_thread_count_and_batch_gives_the_same_bits) {
    static const struct {
        size_t batch;
        int32_t threads;
    } runs[] = {{QUERIES, 3}, {1, 1}, {5, 1}};
    uint64_t first = digest_at_level("scalar", QUERIES, 1);
    for (size_t i = 0; vx_kernels_at(i); i++)
        for (size_t r = 0; r < VX_COUNT(runs); r++) {
            const char *level = vx_kernels_at(i)->name;
            uint64_t other = digest_at_level(level, runs[r].batch, runs[r].threads);
            ck_assert_msg(other == first, "%s, %zu queries at a time, %d threads: other answers",
                          level, runs[r].batch, (int)runs[r].threads);
        }
}
END_TEST

START_TEST(an_unknown_level_is_an_error) {
    vindex_index *index;
    setenv("VINDEX_SIMD", "nonsense", 1);
    ck_fails(VINDEX_ERR_UNSUPPORTED, "VINDEX_SIMD is 'nonsense': this machine has scalar",
             vindex_create("Flat", 4, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "set one of these or unset it",
             vindex_load("/nowhere", 0, &index));
    ck_assert_ptr_null(vindex_simd_level());
    setenv("VINDEX_SIMD", "scalar", 1); /* not chosen yet: the next call may succeed */
    ck_ok(vindex_create("Flat", 4, VINDEX_L2, &index));
    ck_assert_str_eq(vindex_simd_level(), "scalar");
    vindex_free(index);
}
END_TEST

START_TEST(without_the_variable_the_best_level_runs) {
    size_t last = 0;
    while (vx_kernels_at(last + 1)) last++;
    unsetenv("VINDEX_SIMD");
    ck_assert_str_eq(vindex_simd_level(), vx_kernels_at(last)->name);
}
END_TEST

START_TEST(an_empty_variable_is_none) {
    setenv("VINDEX_SIMD", "", 1);
    ck_assert_ptr_nonnull(vindex_simd_level());
}
END_TEST

TEST_MAIN("flat/levels", every_level_thread_count_and_batch_gives_the_same_bits,
          an_unknown_level_is_an_error, without_the_variable_the_best_level_runs,
          an_empty_variable_is_none)
