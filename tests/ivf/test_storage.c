/* Lists lie side by side without a gap: whatever way rows came into them, files are the same byte
 * for byte, and they and the memory take little more than codes and ids. */
#include "../core/scratch.h"
#include "cases.h"

enum { COUNT = 700, DIM = 12 };

static const char *const specs[] = {"IVF9,Flat",
                                    "IVF9,Flat,f16",
                                    "IVF9,SQ8",
                                    "IVF90,SQ4v",
                                    "IVF90,RaBitQ3",
                                    "IVF9,PQ3x4",
                                    "IVF20,PQ4x6",
                                    "IVF9,PQ3x8",
                                    "IVF90,SQ6,Refine",
                                    "IVF9_HNSW4,SQ8",
                                    "SQ8",
                                    "PQ6x4",
                                    "IVF300,SQ8",
                                    "IVF9,SQ4,Refine(f16)",
                                    "IVF20,PQ3x4,Refine(SQ8)",
                                    "SQ4,Refine(RaBitQ3)"};

static vindex_index *trained(const char *spec, const float *numbers) {
    vindex_index *index;
    ck_ok(vindex_create(spec, DIM, VINDEX_L2, &index));
    ck_ok(vindex_train(index, numbers, COUNT, NULL));
    return index;
}

/* Rows from `first` on, a few more each time. */
static void add_in_portions(vindex_index *index, const float *numbers, int64_t first) {
    for (int64_t portion = 1; first < COUNT; first += portion++)
        ck_ok(vindex_add(index, numbers + first * DIM, VX_MIN(portion, COUNT - first), NULL));
}

/* Saves and frees an index, whose file is to have those bytes. */
static void check_file(vindex_index *index, const unsigned char *bytes, size_t length,
                       const char *spec, const char *what) {
    ck_ok(vindex_save(index, scratch_path("other"), NULL));
    ck_assert_msg(scratch_holds("other", bytes, length), "%s, %s: another file", spec, what);
    vindex_free(index);
}

START_TEST(files_do_not_tell_how_rows_came) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 6};
    float *numbers = vectors_make(&rows);
    scratch_make();
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        size_t length;
        vindex_index *index = trained(specs[s], numbers);
        ck_ok(vindex_add(index, numbers, COUNT, NULL));
        ck_ok(vindex_save(index, scratch_path("once"), NULL));
        vindex_free(index);
        unsigned char *bytes = scratch_read("once", &length);

        index = trained(specs[s], numbers);
        add_in_portions(index, numbers, 0);
        check_file(index, bytes, length, specs[s], "in portions");

        for (uint32_t flags = 0; flags <= VINDEX_LOAD_MAP; flags += VINDEX_LOAD_MAP) {
            index = trained(specs[s], numbers);
            ck_ok(vindex_add(index, numbers, COUNT / 3, NULL));
            ck_ok(vindex_save(index, scratch_path("part"), NULL));
            vindex_free(index);
            ck_ok(vindex_load(scratch_path("part"), flags, &index));
            add_in_portions(index, numbers, COUNT / 3);
            check_file(index, bytes, length, specs[s], flags ? "mapped, then grown" : "grown");
        }
        free(bytes);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

/* What is decoded is the same before and after. */
START_TEST(compacting_moves_rows_unchanged) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = DIM, .count = COUNT, .seed = 7};
    float *numbers = vectors_make(&rows);
    static float before[COUNT * DIM], after[COUNT * DIM];
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index = trained(specs[s], numbers);
        int64_t kept[COUNT], count = 0;
        add_in_portions(index, numbers, 0);
        for (int64_t id = 0; id < COUNT; id++)
            if (id % 5 < 2)
                ck_ok(vindex_remove(index, &id, 1, NULL));
            else
                kept[count++] = id;
        ck_ok(vindex_reconstruct(index, kept, count, before));
        ck_ok(vindex_compact(index, NULL));
        ck_ok(vindex_reconstruct(index, kept, count, after));
        ck_assert_msg(!memcmp(before, after, (size_t)count * DIM * sizeof *before), "%s", specs[s]);
        vindex_free(index);
    }
    free(numbers);
}
END_TEST

/* Codes, ids of 8 bytes and a twentieth: in memory, on disk and as estimated. */
START_TEST(vectors_take_little_more_than_their_codes) {
    enum { MANY = 40000, WIDE = 128, PORTION = 1999 };
    static const struct {
        const char *spec;
        double code;
    } cases[] = {{"IVF32,SQ8", 128}, {"IVF16,PQ64x4", 32}};
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = WIDE, .count = MANY, .seed = 8};
    float *numbers = vectors_make(&rows);
    scratch_make();
    for (size_t c = 0; c < VX_COUNT(cases); c++) {
        vindex_index *index, *other;
        size_t length, estimate;
        double most = MANY * (cases[c].code + 8) * 1.05;
        ck_ok(vindex_create(cases[c].spec, WIDE, VINDEX_L2, &index));
        ck_ok(vindex_train(index, numbers, MANY, NULL));
        ck_ok(vindex_save(index, scratch_path("trained"), NULL));
        ck_ok(vindex_add(index, numbers, MANY, NULL));
        ck_ok(vindex_save(index, scratch_path("index"), NULL));
        free(scratch_read("index", &length));
        ck_ok(vindex_memory_estimate(cases[c].spec, WIDE, MANY, &estimate));
        ck_assert_double_le((double)vindex_memory(index), most);
        ck_assert_double_le((double)length, most);
        ck_assert_double_eq_tol((double)estimate, (double)vindex_memory(index), 0.01 * most);
        vindex_free(index);
        /* In portions there may be room for some more. */
        ck_ok(vindex_load(scratch_path("trained"), 0, &other));
        for (int64_t first = 0; first < MANY; first += PORTION)
            ck_ok(vindex_add(other, numbers + first * WIDE, VX_MIN(PORTION, MANY - first), NULL));
        ck_assert_double_le((double)vindex_memory(other), 1.05 * most);
        vindex_free(other);
    }
    scratch_remove();
    free(numbers);
}
END_TEST

TEST_MAIN("ivf/storage", files_do_not_tell_how_rows_came, compacting_moves_rows_unchanged,
          vectors_take_little_more_than_their_codes)
