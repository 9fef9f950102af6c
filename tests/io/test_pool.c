/* Many strings: kept apart, packed, numbered by first appearance, and safe when memory is out. */
#include "io/pool.h"

#include "../harness.h"

START_TEST(strings_are_kept_and_packed) {
    vx_pool pool = {0};
    enum { N = 3000 };
    char text[32];
    for (int i = 0; i < N; i++) {
        int length = snprintf(text, sizeof text, "%0*d", i % 20, i);
        ck_assert(vx_pool_add(&pool, text, (size_t)length));
    }
    ck_assert(vx_pool_add(&pool, NULL, 0));
    char **items = vx_pool_pack(&pool);
    ck_assert_ptr_nonnull(items);
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "%0*d", i % 20, i);
        ck_assert_str_eq(vx_pool_get(&pool, (size_t)i), text);
        ck_assert_str_eq(items[i], text);
    }
    ck_assert_str_eq(items[N], "");
    vx_free(items);
    vx_pool_free(&pool);
    vx_pool_free(&pool);
}
END_TEST

START_TEST(an_empty_pool_packs) {
    vx_pool pool = {0};
    char **items = vx_pool_pack(&pool);
    ck_assert_ptr_nonnull(items);
    vx_free(items);
}
END_TEST

START_TEST(names_are_numbered_by_first_appearance) {
    vx_names names = {0};
    enum { N = 20000 };
    int32_t number;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++) {
            char text[32];
            int length = snprintf(text, sizeof text, "W_%d", i * 7919);
            ck_assert(vx_names_number(&names, text, (size_t)length, &number));
            ck_assert_int_eq(number, i);
        }
    ck_assert_uint_eq(names.pool.count, N);
    const char *near[] = {"", "a", "aa", "ab", "a\0b"};
    const size_t lengths[] = {0, 1, 2, 2, 3};
    for (size_t i = 0; i < VX_COUNT(near); i++) {
        ck_assert(vx_names_number(&names, near[i], lengths[i], &number));
        ck_assert_int_eq(number, N + (int)i);
    }
    vx_names_free(&names);
}
END_TEST

START_TEST(running_out_of_memory_leaves_what_was_there) {
    for (long after = 0; after < 40; after++) {
        vx_names names = {0};
        int32_t number, added = 0;
        vx_alloc_fail_after(after);
        for (; added < 500; added++)
            if (!vx_names_number(&names, (const char *)&added, sizeof added, &number)) break;
        vx_alloc_fail_after(-1);
        ck_assert_uint_eq(names.pool.count, (size_t)added);
        for (int32_t i = 0; i < 500; i++) {
            ck_assert(vx_names_number(&names, (const char *)&i, sizeof i, &number));
            ck_assert_int_eq(number, i);
        }
        vx_names_free(&names);
    }
}
END_TEST

TEST_MAIN("io/pool", strings_are_kept_and_packed, an_empty_pool_packs,
          names_are_numbered_by_first_appearance, running_out_of_memory_leaves_what_was_there)
