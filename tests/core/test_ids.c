/* The id map against a naive model, and against files that lie. */
#include "core/ids.h"

#include "../harness.h"

#include <time.h>

#include "core/file.h"
#include "core/rng.h"
#include "scratch.h"

enum { MOST = 4096 };

static vx_rng rng;

/* What the map should hold: rows in order, each with its id and whether it was removed. */
typedef struct model {
    int64_t id[MOST];
    bool dead[MOST];
    size_t count;
    int64_t largest;
} model;

static model *expected;

static void start(vx_ids *ids) {
    expected = vx_alloc_zero(1, sizeof *expected);
    expected->largest = -1;
    vx_ids_init(ids);
}

/* Slots of 8 bytes, as where there are more rows than any test has. */
static void start_wide(vx_ids *ids) {
    start(ids);
    ids->slots.bytes = sizeof(uint64_t);
}

static void finish(vx_ids *ids) {
    vx_ids_free(ids);
    vx_free(expected);
}

static bool model_find(int64_t id, size_t *row) {
    for (size_t i = 0; i < expected->count; i++)
        if (!expected->dead[i] && expected->id[i] == id) {
            *row = i;
            return true;
        }
    return false;
}

static size_t model_removed(void) {
    size_t removed = 0;
    for (size_t i = 0; i < expected->count; i++) removed += expected->dead[i];
    return removed;
}

static void check_id(const vx_ids *ids, int64_t id) {
    size_t row = 77, due = 77;
    bool there = model_find(id, &due), found = vx_ids_find(ids, id, &row);
    ck_assert_msg(found == there && row == due, "id %lld: %d at %zu where %d at %zu is due",
                  (long long)id, found, row, there, due);
}

static void check_all(const vx_ids *ids) {
    ck_assert_uint_eq(ids->count, expected->count);
    ck_assert_uint_eq(ids->removed, model_removed());
    ck_assert_int_eq(ids->largest, expected->largest);
    for (size_t i = 0; i < expected->count; i++) {
        ck_assert_int_eq(vx_ids_of(ids, i), expected->id[i]);
        ck_assert_int_eq(vx_ids_alive(ids, i), !expected->dead[i]);
        check_id(ids, expected->id[i]);
        check_id(ids, expected->id[i] ^ 1);
    }
    check_id(ids, -1);
    check_id(ids, INT64_MIN);
    check_id(ids, INT64_MAX);
    check_id(ids, (int64_t)expected->count);
}

static vindex_status model_append(const int64_t *given, size_t n) {
    size_t before = expected->count, row;
    int64_t largest = expected->largest;
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; given && i < n; i++)
        if (given[i] < 0) return VINDEX_ERR_ARGUMENT;
    for (size_t i = 0; i < n && status == VINDEX_OK; i++) {
        int64_t id = given ? given[i] : largest + 1 + (int64_t)i;
        if (model_find(id, &row)) status = VINDEX_ERR_EXISTS;
        expected->id[expected->count] = id;
        expected->dead[expected->count++] = false;
        expected->largest = VX_MAX(expected->largest, id);
    }
    if (status != VINDEX_OK) {
        expected->count = before;
        expected->largest = largest;
    }
    return status;
}

static void append(vx_ids *ids, const int64_t *given, size_t n) {
    vindex_status due = model_append(given, n), status = vx_ids_append(ids, given, n);
    ck_assert_msg(status == due, "append answers %s where %s is due (%s)",
                  vindex_status_name(status), vindex_status_name(due), vindex_last_error());
}

static void remove_ids(vx_ids *ids, const int64_t *list, size_t n) {
    size_t due = 0, removed = 77, row;
    for (size_t i = 0; i < n; i++)
        if (model_find(list[i], &row)) {
            expected->dead[row] = true;
            due++;
        }
    ck_ok(vx_ids_remove(ids, list, n, &removed));
    ck_assert_uint_eq(removed, due);
}

static void compact(vx_ids *ids) {
    static size_t keep[MOST];
    size_t kept = 0, alive = ids->count - ids->removed;
    ck_ok(vx_ids_compact(ids, keep));
    for (size_t i = 0; i < expected->count; i++) {
        if (expected->dead[i]) continue;
        ck_assert_uint_eq(keep[kept], i);
        expected->id[kept++] = expected->id[i];
    }
    ck_assert_uint_eq(kept, alive);
    memset(expected->dead, 0, sizeof expected->dead);
    expected->count = kept;
}

static vindex_status save(const vx_ids *ids, const char *path) {
    vx_container_writer *writer;
    VX_TRY(vx_container_create(path, VX_KIND_INDEX, 0, vx_ids_section_count(ids), &writer));
    vx_ids_save(ids, writer); /* commit answers its failure again */
    return vx_container_commit(writer);
}

static vindex_status load(vx_ids *ids, const char *path, size_t count, int64_t largest) {
    vx_container *container;
    VX_TRY(vx_container_open(path, VX_KIND_INDEX, &container));
    vindex_status status = vx_ids_load(ids, container, count, largest, true);
    vx_container_close(container);
    return status;
}

static void save_and_load(vx_ids *ids) {
    vx_ids loaded;
    ck_ok(save(ids, scratch_path("ids")));
    ck_ok(load(&loaded, scratch_path("ids"), ids->count, ids->largest));
    ck_assert_int_eq(loaded.rising, ids->rising);
    ck_assert_int_eq(loaded.ids.at == NULL, ids->ids.at == NULL);
    vx_ids_free(ids);
    *ids = loaded;
}

START_TEST(ids_that_count_up_cost_nothing) {
    vx_ids ids;
    start(&ids);
    check_all(&ids);
    append(&ids, NULL, 1000);
    append(&ids, (const int64_t[]){1000, 1001, 1002}, 3);
    append(&ids, NULL, 0);
    check_all(&ids);
    ck_assert_uint_eq(vx_ids_memory(&ids), 0);
    ck_assert_uint_eq(vx_ids_section_count(&ids), 0);
    remove_ids(&ids, (const int64_t[]){5, 1002, 5, -1, 2000}, 5);
    append(&ids, NULL, 100);
    check_all(&ids);
    ck_assert_uint_lt(vx_ids_memory(&ids), 400); /* tombstones alone */
    finish(&ids);
}
END_TEST

START_TEST(rising_ids_need_no_table) {
    vx_ids ids;
    start(&ids);
    append(&ids, (const int64_t[]){3, 10, 11}, 3);
    append(&ids, (const int64_t[]){INT64_MAX - 5}, 1);
    append(&ids, NULL, 5);
    check_all(&ids);
    ck_assert(ids.rising);
    ck_assert_uint_eq(ids.slots.room, 0);
    ck_fails(VINDEX_ERR_ARGUMENT, "give ids yourself", vx_ids_append(&ids, NULL, 1));
    check_all(&ids);
    append(&ids, (const int64_t[]){4}, 1);
    check_all(&ids);
    ck_assert(!ids.rising);
    finish(&ids);
}
END_TEST

/* Up to 2^32-1 an id takes 4 bytes; the first above it makes them 8, in any order. */
START_TEST(ids_are_as_wide_as_the_largest) {
    const int64_t last = UINT32_MAX, starts[][3] = {{3, 10, last}, {last, 3, 10}};
    for (size_t s = 0; s < VX_COUNT(starts); s++) {
        vx_ids ids;
        start(&ids);
        append(&ids, starts[s], 3);
        size_t slots = s ? 4 * (3 + 3 / 3 + 2) : 0;
        ck_assert_uint_eq(vx_ids_memory(&ids), 3 * 4 + slots);
        check_all(&ids);
        vx_alloc_fail_after(0);
        ck_fails(VINDEX_ERR_MEMORY, "ids", vx_ids_append(&ids, NULL, 1));
        vx_alloc_fail_after(-1);
        ck_assert_uint_eq(vx_ids_memory(&ids), 3 * 4 + slots);
        check_all(&ids);
        ck_ok(vx_ids_append(&ids, (const int64_t[]){last + 1}, 1));
        vx_ids_retract(&ids, 1, last);
        check_all(&ids);
        ck_assert(vx_ids_spare(&ids));
        ck_ok(vx_ids_compact(&ids, NULL));
        ck_assert_uint_eq(vx_ids_memory(&ids), 3 * 4 + slots);
        ck_assert(!vx_ids_spare(&ids));
        append(&ids, NULL, 1);
        check_all(&ids);
        ck_assert_int_eq(vx_ids_of(&ids, 3), last + 1);
        ck_ok(vx_ids_compact(&ids, NULL));
        check_all(&ids);
        ck_assert_uint_eq(vx_ids_memory(&ids), 4 * 8 + (s ? 4 * (4 + 4 / 3 + 2) : 0));
        finish(&ids);
    }
}
END_TEST

START_TEST(bad_ids_change_nothing) {
    static const int64_t starts[][3] = {{0, 1, 2}, {5, 7, 9}, {9, 5, 7}};
    for (size_t s = 0; s < VX_COUNT(starts); s++) {
        vx_ids ids;
        start(&ids);
        append(&ids, starts[s], 3);
        size_t memory = vx_ids_memory(&ids);
        int64_t there = starts[s][1];
        ck_fails(VINDEX_ERR_ARGUMENT, "-1 at position 1",
                 vx_ids_append(&ids, (const int64_t[]){50, -1}, 2));
        ck_fails(VINDEX_ERR_EXISTS, "at position 1 is in the index already",
                 vx_ids_append(&ids, (const int64_t[]){50, there, 51}, 3));
        ck_fails(VINDEX_ERR_EXISTS, "50 at position 2 is given twice",
                 vx_ids_append(&ids, (const int64_t[]){50, 51, 50}, 3));
        ck_fails(VINDEX_ERR_EXISTS, "50 at position 1 is given twice",
                 vx_ids_append(&ids, (const int64_t[]){50, 50}, 2));
        check_all(&ids);
        ck_assert_uint_le(vx_ids_memory(&ids), memory + 80);
        ck_fails(VINDEX_ERR_MEMORY, "ids", vx_ids_append(&ids, NULL, SIZE_MAX));
        check_all(&ids);
        append(&ids, NULL, 2);
        append(&ids, (const int64_t[]){51, 50}, 2);
        check_all(&ids);
        finish(&ids);
    }
}
END_TEST

START_TEST(the_id_of_a_removed_row_is_free) {
    vx_ids ids;
    start(&ids);
    append(&ids, NULL, 3);
    remove_ids(&ids, (const int64_t[]){1}, 1);
    append(&ids, (const int64_t[]){1}, 1);
    check_all(&ids);
    for (int i = 0; i < 500; i++) { /* a row that is replaced again and again */
        remove_ids(&ids, (const int64_t[]){1}, 1);
        append(&ids, (const int64_t[]){1}, 1);
    }
    check_all(&ids);
    ck_assert_uint_eq(ids.removed, 501);
    compact(&ids);
    check_all(&ids);
    append(&ids, NULL, 1);
    ck_assert_int_eq(vx_ids_of(&ids, ids.count - 1), 3);
    finish(&ids);
}
END_TEST

START_TEST(compacting_returns_to_the_simplest_form) {
    vx_ids ids;
    start(&ids);
    append(&ids, (const int64_t[]){0, 1, 9, 5}, 4);
    ck_assert(!ids.rising);
    remove_ids(&ids, (const int64_t[]){9}, 1);
    compact(&ids);
    check_all(&ids);
    ck_assert(ids.rising);
    ck_assert_uint_eq(vx_ids_memory(&ids), 3 * 4);
    remove_ids(&ids, (const int64_t[]){5}, 1);
    compact(&ids);
    ck_assert_uint_eq(vx_ids_memory(&ids), 0);
    append(&ids, NULL, 1); /* ids are not given twice: 10 follows the largest ever */
    check_all(&ids);
    ck_assert_int_eq(vx_ids_of(&ids, 2), 10);
    remove_ids(&ids, (const int64_t[]){0, 1, 10}, 3);
    compact(&ids);
    check_all(&ids);
    ck_assert_uint_eq(ids.count, 0);
    ck_assert_uint_eq(vx_ids_memory(&ids), 0);
    finish(&ids);
}
END_TEST

START_TEST(a_retracted_append_leaves_no_trace) {
    static const int64_t starts[][3] = {{0, 1, 2}, {5, 7, 9}, {9, 5, 7}};
    static const int64_t more[][3] = {{10, 11, 12}, {1000, 4, 30}, {60, 50, 40}};
    for (size_t s = 0; s < VX_COUNT(starts); s++)
        for (size_t m = 0; m <= VX_COUNT(more); m++) {
            vx_ids ids;
            start(&ids);
            append(&ids, starts[s], 3);
            remove_ids(&ids, &starts[s][1], 1);
            bool rising = ids.rising, implicit = !ids.ids.at;
            int64_t largest = ids.largest;
            ck_ok(vx_ids_append(&ids, m < VX_COUNT(more) ? more[m] : NULL, 3));
            vx_ids_retract(&ids, 3, largest);
            check_all(&ids);
            ck_assert_int_eq(ids.rising, rising);
            ck_assert_int_eq(!ids.ids.at, implicit);
            append(&ids, more[1], 3);
            check_all(&ids);
            finish(&ids);
        }
}
END_TEST

START_TEST(failed_allocations_change_nothing) {
    static const int64_t starts[][3] = {{0, 1, 2}, {5, 7, 9}, {9, 5, 7}};
    static int64_t more[3000];
    static size_t keep[MOST];
    for (size_t s = 0; s < VX_COUNT(starts); s++)
        for (int step = 0; step < 3; step++) {
            vx_ids ids;
            start(&ids);
            append(&ids, starts[s], 3);
            if (step) remove_ids(&ids, &starts[s][0], 1);
            for (int i = 0; i < 3000; i++) more[i] = 10000 - i;
            for (long after = 0;; after++) {
                size_t removed;
                vx_alloc_fail_after(after);
                vindex_status status = step == 0   ? vx_ids_remove(&ids, &starts[s][2], 1, &removed)
                                       : step == 1 ? vx_ids_append(&ids, more, 3000)
                                                   : vx_ids_compact(&ids, keep);
                vx_alloc_fail_after(-1);
                if (status == VINDEX_OK) break;
                ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
                check_all(&ids);
            }
            finish(&ids);
        }
}
END_TEST

/* Ids of one of several habits, some of them already there. */
static int64_t draw_id(int habit) {
    switch (habit) {
    case 0:
        return expected->largest + 1 + (int64_t)vx_rng_below(&rng, 3);
    case 1:
        return (int64_t)vx_rng_below(&rng, 300);
    case 2:
        return (int64_t)(vx_rng_next(&rng) >> 1);
    default:
        return (int64_t)vx_rng_below(&rng, 40) << 32; /* alike in their low bits */
    }
}

START_TEST(random_lives) {
    uint64_t seed = (uint64_t)time(NULL);
    printf("core/ids: random_lives seed %llu\n", (unsigned long long)seed);
    scratch_make();
    rng = vx_rng_seed(seed, 0);
    for (int life = 0; life < 30; life++) {
        vx_ids ids;
        life % 3 ? start(&ids) : start_wide(&ids);
        for (int step = 0; step < 60; step++) {
            int64_t list[40];
            size_t n = vx_rng_below(&rng, VX_COUNT(list) + 1);
            int habit = (int)vx_rng_below(&rng, 4), verb = (int)vx_rng_below(&rng, 8);
            for (size_t i = 0; i < n; i++)
                list[i] = habit == 0 && i ? list[i - 1] + 1 : draw_id(habit);
            if (expected->count + n > MOST) break;
            if (expected->largest > INT64_MAX - 200) break;
            if (verb < 3) {
                append(&ids, list, verb ? n : VX_MIN(n, (size_t)2));
            } else if (verb == 3) {
                append(&ids, NULL, n);
            } else if (verb < 6) {
                for (size_t i = 0; i < n && expected->count; i++)
                    if (vx_rng_below(&rng, 2))
                        list[i] = expected->id[vx_rng_below(&rng, expected->count)];
                remove_ids(&ids, list, n);
            } else if (verb == 6) {
                compact(&ids);
            } else {
                save_and_load(&ids);
            }
            check_all(&ids);
        }
        finish(&ids);
    }
    scratch_remove();
}
END_TEST

/* Brings ids into no order. */
static void shuffle(int64_t *list, size_t n) {
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = vx_rng_below(&rng, i + 1);
        int64_t t = list[i];
        list[i] = list[j];
        list[j] = t;
    }
}

START_TEST(a_million_ids_in_any_order) {
    enum { N = 1 << 20 };
    int64_t *list = vx_alloc(N, sizeof *list);
    vx_ids ids;
    vx_ids_init(&ids);
    rng = vx_rng_seed(4, 0);
    for (int64_t i = 0; i < N; i++) list[i] = i * 1024;
    shuffle(list, N);
    for (size_t i = 0; i < N; i += N / 64) ck_ok(vx_ids_append(&ids, list + i, N / 64));
    size_t row, removed;
    ck_ok(vx_ids_remove(&ids, list, N / 2, &removed));
    ck_assert_uint_eq(removed, N / 2);
    for (size_t i = 0; i < N; i++) {
        bool found = vx_ids_find(&ids, list[i], &row);
        ck_assert(found == (i >= N / 2) && (!found || row == i));
        ck_assert(!vx_ids_find(&ids, list[i] + 1, &row));
    }
    /* Ids of 4 bytes, half as many again to grow into, slots of 4 of which 3 in 5 are in use, a
     * bit.
     */
    ck_assert_uint_le(vx_ids_memory(&ids), (size_t)N * 13);
    vx_ids_free(&ids);
    vx_free(list);
}
END_TEST

/* The longest stretch of slots in use. */
static size_t longest_stretch(const vx_ids *ids) {
    size_t longest = 0, length = 0;
    for (size_t slot = 0; slot < ids->slots.room; slot++) {
        length = vx_number_of(&ids->slots, slot) ? length + 1 : 0;
        longest = VX_MAX(longest, length);
    }
    return longest;
}

/* 4 or 8 bytes an id and 16/3 a slot; and ids that are alike do not crowd: at this load the longest
 * stretch of hashes that are as good as random is a few hundred. */
START_TEST(ids_out_of_order_cost_little_more) {
    enum { N = 1 << 17 };
    static const int64_t steps[] = {
        1, 2, 3, 10, 1 << 12, 1000003, (int64_t)1 << 32, (int64_t)1 << 45};
    int64_t *list = vx_alloc(N, sizeof *list);
    rng = vx_rng_seed(5, 0);
    for (size_t s = 0; s < VX_COUNT(steps); s++) {
        vx_ids ids;
        vx_ids_init(&ids);
        for (int64_t i = 0; i < N; i++) list[i] = i * steps[s];
        shuffle(list, N);
        ck_ok(vx_ids_append(&ids, list, N));
        size_t each = steps[s] * (N - 1) > UINT32_MAX ? 8 : 4;
        ck_assert_uint_le(vx_ids_memory(&ids), (size_t)N * each + (size_t)N * 16 / 3 + 8);
        ck_assert_msg(longest_stretch(&ids) < 1500, "step %lld: %zu slots in a row",
                      (long long)steps[s], longest_stretch(&ids));
        vx_ids_free(&ids);
    }
    vx_free(list);
}
END_TEST

/* Writes the two sections with any content. */
static void write_sections(const int64_t *ids, size_t n, const uint64_t *dead, size_t words) {
    unsigned char bytes[256];
    vx_container_writer *writer;
    ck_ok(vx_container_create(scratch_path("t"), VX_KIND_INDEX, 0, (ids ? 1 : 0) + (dead ? 1 : 0),
                              &writer));
    for (size_t i = 0; ids && i < n; i++) vx_put_u64(bytes + 8 * i, (uint64_t)ids[i]);
    if (ids) ck_ok(vx_container_section(writer, "ids", bytes, 8 * n));
    for (size_t i = 0; dead && i < words; i++) vx_put_u64(bytes + 8 * i, dead[i]);
    if (dead) ck_ok(vx_container_section(writer, "dead", bytes, 8 * words));
    ck_ok(vx_container_commit(writer));
}

START_TEST(files_that_lie_are_refused) {
    static const struct {
        int64_t ids[4];
        size_t n; /* 0: no section */
        uint64_t dead[2];
        size_t words; /* 0: no section */
        size_t count;
        int64_t largest;
        const char *mentions; /* NULL: it is fine */
    } files[] = {
        {{0}, 0, {0}, 0, 0, -1, NULL},
        {{0}, 0, {0}, 0, 5, 4, NULL},
        {{0}, 0, {0}, 0, 5, INT64_MAX, NULL},
        {{0}, 0, {2}, 1, 5, 4, NULL},
        {{4, 6, 9}, 3, {7}, 1, 3, 9, NULL},
        {{6, 4, 6}, 3, {1}, 1, 3, 9, NULL}, /* the first 6 was removed */
        {{0}, 0, {0}, 0, 5, 3, "largest id"},
        {{0}, 0, {0}, 0, 0, -2, "largest id"},
        {{0}, 0, {0}, 0, 0, INT64_MIN, "largest id"},
        {{0}, 0, {0}, 0, SIZE_MAX, INT64_MAX, "largest id"},
        {{0}, 0, {0}, 1, SIZE_MAX, INT64_MAX, "largest id"},
        {{0}, 0, {0}, 1, (size_t)INT64_MAX, INT64_MAX, "section 'dead' has 8 bytes"},
        {{1, 2, 3}, 3, {0}, 0, (size_t)INT64_MAX, INT64_MAX, "section 'ids' has 24 bytes"},
        {{1, 2, 3}, 3, {0}, 0, (size_t)1 << 61, INT64_MAX, "section 'ids' has 24 bytes"},
        {{1, 2, 3}, 3, {0}, 0, 4, 9, "section 'ids' has 24 bytes"},
        {{1, 2, 3}, 3, {0}, 0, 2, 9, "section 'ids' has 24 bytes"},
        {{1, -2, 3}, 3, {0}, 0, 3, 9, "out of range"},
        {{1, -2, 3}, 3, {2}, 1, 3, 9, "out of range"},
        {{1, 2, 10}, 3, {0}, 0, 3, 9, "out of range"},
        {{6, 4, 6}, 3, {0}, 0, 3, 9, "one id"},
        {{4, 4}, 2, {0}, 0, 2, 9, "one id"},
        {{6, 4, 6}, 3, {2}, 1, 3, 9, "one id"},
        {{0}, 0, {8}, 1, 3, 9, "past the last"},
        {{0}, 0, {UINT64_MAX}, 1, 63, 99, "past the last"},
        {{0}, 0, {1}, 1, 65, 99, "section 'dead' has 8 bytes"},
        {{0}, 0, {1, 0}, 2, 64, 99, "section 'dead' has 16 bytes"},
    };
    scratch_make();
    for (size_t i = 0; i < VX_COUNT(files); i++) {
        write_sections(files[i].n ? files[i].ids : NULL, files[i].n,
                       files[i].words ? files[i].dead : NULL, files[i].words);
        vx_ids ids;
        vindex_status status = load(&ids, scratch_path("t"), files[i].count, files[i].largest);
        if (!files[i].mentions) {
            ck_ok(status);
            vx_ids_free(&ids);
            continue;
        }
        ck_assert_msg(status == VINDEX_ERR_FORMAT && strstr(vindex_last_error(), files[i].mentions),
                      "file %zu: %s", i, vindex_last_error());
        ck_assert_uint_eq(vx_ids_memory(&ids), 0); /* nothing to free */
    }
    scratch_remove();
}
END_TEST

START_TEST(checksums_count_only_when_asked) {
    scratch_make();
    write_sections((const int64_t[]){4, 6, 9}, 3, NULL, 0);
    size_t length;
    unsigned char *bytes = scratch_read("t", &length);
    bytes[128] ^= 1; /* 4 becomes 5 */
    scratch_write("t", bytes, length);
    free(bytes);
    vx_container *container;
    vx_ids ids;
    ck_ok(vx_container_open(scratch_path("t"), VX_KIND_INDEX, &container));
    ck_fails(VINDEX_ERR_CORRUPT, "section 'ids'", vx_ids_load(&ids, container, 3, 9, true));
    ck_ok(vx_ids_load(&ids, container, 3, 9, false));
    ck_assert_int_eq(vx_ids_of(&ids, 0), 5);
    vx_ids_free(&ids);
    for (long after = 0; after < 1; after++) {
        vx_alloc_fail_after(after);
        ck_fails(VINDEX_ERR_MEMORY, "ids", vx_ids_load(&ids, container, 3, 9, false));
        vx_alloc_fail_after(-1);
    }
    vx_container_close(container);
    scratch_remove();
}
END_TEST

TEST_MAIN("core/ids", ids_that_count_up_cost_nothing, rising_ids_need_no_table,
          ids_are_as_wide_as_the_largest, bad_ids_change_nothing, the_id_of_a_removed_row_is_free,
          compacting_returns_to_the_simplest_form, a_retracted_append_leaves_no_trace,
          failed_allocations_change_nothing, random_lives, a_million_ids_in_any_order,
          ids_out_of_order_cost_little_more, files_that_lie_are_refused,
          checksums_count_only_when_asked)
