/* Trees of values: the arena, and what sealing refuses. */
#include "io/value.h"

#include "../harness.h"

static vx_value *integer(vx_tree *tree, int64_t number) {
    return vx_value_integer(tree, VX_INT, number);
}

static vx_value *text(vx_tree *tree, const char *word) {
    return vx_value_text(tree, word, strlen(word));
}

START_TEST(the_arena_has_a_limit) {
    vx_tree tree = vx_tree_begin("a.pt", 10);
    tree.limit = 100000;
    unsigned char *small = vx_tree_take(&tree, 3, 5), *large = vx_tree_take(&tree, 1, 90000);
    ck_assert(small && large && (uintptr_t)large % _Alignof(max_align_t) == 0);
    memset(small, 1, 15);
    memset(large, 2, 90000);
    ck_assert_ptr_null(vx_tree_take(&tree, 1, 10000));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "a.pt: what it holds", vx_tree_fail(&tree));
    ck_assert_ptr_null(vx_tree_take(&tree, 1, 1)); /* it has failed for good */
    vx_tree_free(&tree);
    tree = vx_tree_begin("a.pt", SIZE_MAX);
    ck_assert_ptr_null(vx_tree_take(&tree, SIZE_MAX, 2));
    vx_tree_free(&tree);
}
END_TEST

START_TEST(lists_of_numbers_become_arrays) {
    vx_tree tree = vx_tree_begin("a", 10);
    vx_value *list = tree.root = vx_value_new(&tree, VX_LIST);
    vx_value *whole = vx_value_new(&tree, VX_TUPLE), *mixed = vx_value_new(&tree, VX_LIST);
    vx_value *half = vx_value_new(&tree, VX_FLOAT);
    half->number = 0.5;
    for (int i = 0; i < 10; i++) ck_assert(vx_value_append(&tree, whole, integer(&tree, i - 5)));
    ck_assert(vx_value_append(&tree, mixed, integer(&tree, 2)));
    ck_assert(vx_value_append(&tree, mixed, half));
    ck_assert(vx_value_append(&tree, list, whole) && vx_value_append(&tree, list, mixed));
    ck_assert(vx_value_append(&tree, list, whole)); /* shared */
    ck_assert(vx_value_append(&tree, list, vx_value_new(&tree, VX_LIST)));
    ck_ok(vx_tree_seal(&tree));
    ck_assert(list->kind == VX_LIST && list->items[3]->kind == VX_LIST);
    ck_assert(whole->kind == VX_ARRAY && whole->array->dtype == VINDEX_I64);
    ck_assert(mixed->kind == VX_ARRAY && mixed->array->dtype == VINDEX_F64);
    int64_t numbers[10];
    double reals[2];
    memcpy(numbers, whole->array->blob->bytes, sizeof numbers);
    memcpy(reals, mixed->array->blob->bytes, sizeof reals);
    for (int i = 0; i < 10; i++) ck_assert_int_eq(numbers[i], i - 5);
    ck_assert(reals[0] == 2 && reals[1] == 0.5);
    vx_tree_free(&tree);
}
END_TEST

START_TEST(keys) {
    vx_tree tree = vx_tree_begin("a", 10);
    vx_value *dict = tree.root = vx_value_new(&tree, VX_DICT);
    const char *names[] = {"b", "a", "ab", ""};
    for (int i = 0; i < 4; i++)
        ck_assert(vx_value_append(&tree, dict, text(&tree, names[i])) &&
                  vx_value_append(&tree, dict, integer(&tree, i)));
    ck_assert(vx_value_append(&tree, dict, integer(&tree, -12)) &&
              vx_value_append(&tree, dict, integer(&tree, 4)));
    ck_ok(vx_tree_seal(&tree));
    ck_assert_int_eq(vx_dict_get(&tree, dict, "ab", 2)->integer, 2);
    ck_assert_int_eq(vx_dict_get(&tree, dict, "abc", 2)->integer, 2);
    ck_assert_int_eq(vx_dict_get(&tree, dict, "", 0)->integer, 3);
    ck_assert_int_eq(vx_dict_get(&tree, dict, "-12", 3)->integer, 4);
    ck_assert_ptr_null(vx_dict_get(&tree, dict, "c", 1));
    tree.root = vx_value_new(&tree, VX_LIST);
    ck_assert(vx_value_append(&tree, dict, text(&tree, "ab")) &&
              vx_value_append(&tree, dict, integer(&tree, 5)));
    vx_value *again = vx_value_new(&tree, VX_DICT); /* not yet sealed */
    *again = *dict;
    again->height = 0;
    ck_assert(vx_value_append(&tree, tree.root, again));
    ck_fails(VINDEX_ERR_FORMAT, "key 'ab' comes twice", vx_tree_seal(&tree));
    vx_tree_free(&tree);
}
END_TEST

START_TEST(depth_counts_what_is_shared) {
    /* A chain of 40 lists at the end of a chain of 20 is fine, at the end of one of 30 is not. */
    for (int above = 20; above <= 30; above += 10) {
        vx_tree tree = vx_tree_begin("a", 10);
        vx_value *chain = vx_value_new(&tree, VX_LIST), *top;
        for (int i = 0; i < 40; i++) {
            vx_value *list = vx_value_new(&tree, VX_LIST);
            ck_assert(vx_value_append(&tree, list, chain));
            chain = list;
        }
        top = chain;
        for (int i = 0; i < above; i++) {
            vx_value *list = vx_value_new(&tree, VX_LIST);
            /* The shared chain first, near the top, where it is not deep. */
            ck_assert(i < above - 1 || vx_value_append(&tree, list, chain));
            ck_assert(vx_value_append(&tree, list, top));
            top = list;
        }
        tree.root = top;
        if (above == 20)
            ck_ok(vx_tree_seal(&tree));
        else
            ck_fails(VINDEX_ERR_FORMAT, "nested more than", vx_tree_seal(&tree));
        vx_tree_free(&tree);
    }
}
END_TEST

START_TEST(work_is_bounded) {
    vx_tree tree = vx_tree_begin("a", 10);
    ck_ok(vx_tree_check_work(&tree));
    ck_assert(vx_tree_spend(&tree, 1000000));
    ck_assert(!vx_tree_spend(&tree, (size_t)1 << 40));
    vx_value *dict = vx_value_new(&tree, VX_DICT);
    ck_assert(vx_value_append(&tree, dict, text(&tree, "a")) &&
              vx_value_append(&tree, dict, text(&tree, "b")));
    ck_assert_ptr_null(vx_dict_get(&tree, dict, "a", 1));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "shared so many times", vx_tree_check_work(&tree));
    vx_tree_free(&tree);
}
END_TEST

TEST_MAIN("io/value", the_arena_has_a_limit, lists_of_numbers_become_arrays, keys,
          depth_counts_what_is_shared, work_is_bounded)
