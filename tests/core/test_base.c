/* Errors, checked sizes, memory, threads and the finite check. */
#include "core/base.h"

#include "../harness.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

START_TEST(products_and_sums_are_checked) {
    size_t result = 0;
    ck_assert(vx_mul(3, 5, &result));
    ck_assert_uint_eq(result, 15);
    ck_assert(vx_mul(0, SIZE_MAX, &result));
    ck_assert_uint_eq(result, 0);
    ck_assert(!vx_mul(SIZE_MAX / 2 + 1, 2, &result));
    ck_assert(vx_add(SIZE_MAX - 1, 1, &result));
    ck_assert_uint_eq(result, SIZE_MAX);
    ck_assert(!vx_add(SIZE_MAX, 1, &result));
}
END_TEST

START_TEST(memory_is_aligned_and_writable) {
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 5000000};
    for (size_t i = 0; i < VX_COUNT(sizes); i++) {
        unsigned char *memory = vx_alloc(sizes[i], 1);
        ck_assert_ptr_nonnull(memory);
        ck_assert_uint_eq((uintptr_t)memory % 64, 0);
        memset(memory, 0xa5, sizes[i]);
        vx_free(memory);
        memory = vx_alloc_zero(1, sizes[i]);
        ck_assert_ptr_nonnull(memory);
        unsigned char any = 0;
        for (size_t j = 0; j < sizes[i]; j++) any |= memory[j];
        ck_assert_uint_eq(any, 0);
        vx_free(memory);
    }
    vx_free(NULL);
}
END_TEST

START_TEST(impossible_sizes_are_refused) {
    ck_assert_ptr_null(vx_alloc(SIZE_MAX, 2));
    ck_assert_ptr_null(vx_alloc(SIZE_MAX, 1));
    ck_assert_ptr_null(vx_alloc((size_t)PTRDIFF_MAX + 1, 1));
    ck_assert_ptr_null(vx_alloc_zero(SIZE_MAX / 2, 3));
    ck_fails(VINDEX_ERR_MEMORY, "rows: 18446744073709551615 items of 2 bytes",
             vx_fail_memory(SIZE_MAX, 2, "rows"));
    ck_fails(VINDEX_ERR_MEMORY, "rows: no memory for 12 bytes", vx_fail_memory(3, 4, "rows"));
}
END_TEST

START_TEST(growing_keeps_what_is_there) {
    void *array = NULL;
    size_t capacity = 0, grown = 0;
    for (size_t i = 0; i < 10000; i++) {
        size_t before = capacity;
        ck_assert(vx_grow(&array, &capacity, i + 1, sizeof(int)));
        ck_assert_uint_ge(capacity, i + 1);
        grown += capacity != before;
        ((int *)array)[i] = (int)i;
    }
    for (size_t i = 0; i < 10000; i++) ck_assert_int_eq(((int *)array)[i], (int)i);
    ck_assert_uint_lt(grown, 40); /* by half again, not by one */
    size_t before = capacity;
    void *place = array;
    ck_assert(!vx_grow(&array, &capacity, SIZE_MAX, sizeof(int)));
    vx_alloc_fail_after(0);
    ck_assert(!vx_grow(&array, &capacity, capacity + 1, sizeof(int)));
    vx_alloc_fail_after(-1);
    ck_assert_ptr_eq(array, place);
    ck_assert_uint_eq(capacity, before);
    vx_free(array);
}
END_TEST

START_TEST(allocations_fail_on_request) {
    vx_alloc_fail_after(2);
    void *first = vx_alloc(1, 1), *second = vx_strdup("two");
    ck_assert_ptr_nonnull(first);
    ck_assert_str_eq(second, "two");
    ck_assert_ptr_null(vx_alloc(1, 1));
    ck_assert_ptr_null(vx_alloc_zero(1, 1));
    ck_assert_ptr_null(vx_strdup("three"));
    vx_alloc_fail_after(-1);
    void *third = vx_alloc(1, 1);
    ck_assert_ptr_nonnull(third);
    vx_free(first);
    vx_free(second);
    vx_free(third);
}
END_TEST

static atomic_int got;

static void *allocate_some(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        void *memory = vx_alloc(1, 1);
        if (memory) atomic_fetch_add(&got, 1);
        vx_free(memory);
    }
    return NULL;
}

START_TEST(failing_counts_across_threads) {
    pthread_t threads[4];
    atomic_store(&got, 0);
    vx_alloc_fail_after(1500);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, allocate_some, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    vx_alloc_fail_after(-1);
    ck_assert_int_eq(atomic_load(&got), 1500);
}
END_TEST

START_TEST(errors_are_one_sentence) {
    ck_assert_int_eq(vx_fail(VINDEX_ERR_DATA, "%s: %d", "row", 7), VINDEX_ERR_DATA);
    ck_assert_str_eq(vindex_last_error(), "row: 7");
    ck_assert_int_eq(vx_fail_in(VINDEX_ERR_IO, "file.vdx"), VINDEX_ERR_IO);
    ck_assert_str_eq(vindex_last_error(), "file.vdx: row: 7");
    vx_fail(VINDEX_ERR_IO, "again: %s", vindex_last_error());
    ck_assert_str_eq(vindex_last_error(), "again: file.vdx: row: 7");
    char lengthy[5000];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    vx_fail(VINDEX_ERR_IO, "%s", lengthy);
    ck_assert_uint_eq(strlen(vindex_last_error()), 1023);
    vx_fail_in(VINDEX_ERR_IO, lengthy);
    ck_assert_uint_eq(strlen(vindex_last_error()), 1023);
}
END_TEST

static void *fail_elsewhere(void *unused) {
    (void)unused;
    bool empty = !*vindex_last_error();
    vx_fail(VINDEX_ERR_IO, "elsewhere");
    return empty ? (void *)1 : NULL;
}

START_TEST(errors_belong_to_their_thread) {
    pthread_t thread;
    void *fine;
    vx_fail(VINDEX_ERR_IO, "here");
    pthread_create(&thread, NULL, fail_elsewhere, NULL);
    pthread_join(thread, &fine);
    ck_assert_ptr_nonnull(fine);
    ck_assert_str_eq(vindex_last_error(), "here");
}
END_TEST

START_TEST(every_status_has_its_name) {
    const vindex_status all[] = {
        VINDEX_OK,          VINDEX_ERR_ARGUMENT,  VINDEX_ERR_DATA,   VINDEX_ERR_DIMENSION,
        VINDEX_ERR_STATE,   VINDEX_ERR_NOT_FOUND, VINDEX_ERR_EXISTS, VINDEX_ERR_UNSUPPORTED,
        VINDEX_ERR_MEMORY,  VINDEX_ERR_IO,        VINDEX_ERR_FORMAT, VINDEX_ERR_CORRUPT,
        VINDEX_ERR_VERSION, VINDEX_ERR_CANCELLED};
    for (size_t i = 0; i < VX_COUNT(all); i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(vindex_status_name(all[i]), vindex_status_name(all[j]));
    ck_assert_str_eq(vindex_status_name((vindex_status)99), "unknown status");
}
END_TEST

static int cancel_at_half(void *context, const char *phase, double fraction) {
    *(const char **)context = phase;
    return fraction >= 0.5;
}

START_TEST(progress_cancels) {
    const char *phase = NULL;
    ck_ok(vx_progress(NULL, NULL, "add", 1));
    ck_ok(vx_progress(cancel_at_half, &phase, "add", 0.4));
    ck_assert_str_eq(phase, "add");
    ck_fails(VINDEX_ERR_CANCELLED, "add", vx_progress(cancel_at_half, &phase, "add", 0.5));
}
END_TEST

START_TEST(calls_are_resolved) {
    vindex_call call, resolved;
    ck_ok(vx_call_resolve(NULL, &resolved));
    ck_assert_int_eq(resolved.threads, 0);
    ck_assert(resolved.progress == NULL);
    vindex_call_init(&call);
    call.threads = 3;
    call.progress = cancel_at_half;
    ck_ok(vx_call_resolve(&call, &resolved));
    ck_assert_int_eq(resolved.threads, 3);
    ck_assert(resolved.progress == cancel_at_half);
    call.threads = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -1", vx_call_resolve(&call, &resolved));
    call = (vindex_call){.threads = 1};
    ck_fails(VINDEX_ERR_ARGUMENT, "vindex_call_init", vx_call_resolve(&call, &resolved));
    ck_assert_int_ge(vx_threads(0), 1);
    ck_assert_int_eq(vx_threads(5), 5);
    ck_assert_int_lt(vx_threads(INT32_MAX), 100000); /* OpenMP would end the process */
}
END_TEST

START_TEST(the_first_number_not_finite_is_found) {
    enum { MOST = 10000 };
    static float values[MOST];
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const size_t places[] = {0, 1, 7, 63, 4095, 4096, 4097, 8191, 9998, 9999};
    const float fine[] = {0, -0.0f, 3.4028235e38f, -3.4028235e38f, 1e-45f, 1.17549435e-38f};
    for (size_t i = 0; i < MOST; i++) values[i] = fine[i % VX_COUNT(fine)];
    size_t where = 77;
    ck_assert(vx_all_finite(values, MOST, &where));
    ck_assert(vx_all_finite(values, 0, &where));
    ck_assert_uint_eq(where, 77);
    for (size_t i = 0; i < VX_COUNT(places); i++)
        for (size_t j = 0; j < VX_COUNT(bad); j++) {
            float saved = values[places[i]];
            values[places[i]] = bad[j];
            values[MOST - 1] = INFINITY; /* a later one must not be named */
            ck_assert(!vx_all_finite(values, MOST, &where));
            ck_assert_uint_eq(where, places[i]);
            ck_assert(vx_all_finite(values, places[i], &where));
            values[MOST - 1] = 1;
            values[places[i]] = saved;
        }
}
END_TEST

TEST_MAIN("core/base", products_and_sums_are_checked, memory_is_aligned_and_writable,
          impossible_sizes_are_refused, growing_keeps_what_is_there, allocations_fail_on_request,
          failing_counts_across_threads, errors_are_one_sentence, errors_belong_to_their_thread,
          every_status_has_its_name, progress_cancels, calls_are_resolved,
          the_first_number_not_finite_is_found)
