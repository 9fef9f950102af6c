/* Transforms in files: what comes back, and what is refused. */
#include "data.h"

#include "../core/scratch.h"
#include "core/container.h"

enum { ROWS = 80, DIM = 9 };

static vindex_transform *fitted(const float *rows) {
    vindex_fit_data data = data_of(rows, ROWS, DIM);
    vindex_transform *transform;
    ck_ok(data_fit("standardise,hadamard,pca:4,normalise", &data, 0, NULL, &transform));
    return transform;
}

START_TEST(what_was_saved_comes_back) {
    scratch_make();
    float *rows = data_ranked(ROWS, DIM, DIM, 2);
    vindex_transform *before = fitted(rows), *after;
    const char *path = scratch_path("model");
    ck_ok(vindex_transform_save(before, path));
    ck_ok(vindex_transform_load(path, &after));
    float *a = data_apply(before, rows, ROWS), *b = data_apply(after, rows, ROWS);
    ck_assert_mem_eq(a, b, sizeof(float) * ROWS * 4);
    ck_assert_int_eq(vindex_transform_step_count(after), 4);
    for (int64_t i = 0; i < 4; i++) {
        vindex_transform_step x, y;
        ck_ok(vindex_transform_describe(before, i, &x));
        ck_ok(vindex_transform_describe(after, i, &y));
        ck_assert_str_eq(x.method, y.method);
        ck_assert_int_eq(x.kind, y.kind);
        ck_assert_int_eq(x.in, y.in);
        ck_assert_int_eq(x.out, y.out);
        ck_assert_int_eq(x.fact_count, y.fact_count);
        for (int64_t f = 0; f < x.fact_count; f++) {
            vindex_transform_fact p, q;
            ck_ok(vindex_transform_fact_at(before, i, f, &p));
            ck_ok(vindex_transform_fact_at(after, i, f, &q));
            ck_assert_str_eq(p.name, q.name);
            ck_assert_int_eq(p.count, q.count);
            ck_assert_mem_eq(p.values, q.values, (size_t)p.count * sizeof *p.values);
        }
    }
    free(a);
    free(b);
    free(rows);
    vindex_transform_free(before);
    vindex_transform_free(after);
    scratch_remove();
}
END_TEST

START_TEST(every_damaged_byte_is_noticed) {
    scratch_make();
    float *rows = data_ranked(ROWS, DIM, DIM, 2);
    vindex_transform *transform = fitted(rows), *loaded = NULL;
    ck_ok(vindex_transform_save(transform, scratch_path("model")));
    size_t length;
    unsigned char *bytes = scratch_read("model", &length);
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 0x10;
        scratch_write("damaged", bytes, length);
        bytes[i] ^= 0x10;
        ck_each(vindex_transform_load(scratch_path("damaged"), &loaded) != VINDEX_OK,
                "byte %zu of %zu may be anything", i, length);
    }
    for (size_t cut = 0; cut < length; cut += 7) {
        scratch_write("damaged", bytes, cut);
        ck_each(vindex_transform_load(scratch_path("damaged"), &loaded) != VINDEX_OK,
                "the first %zu of %zu bytes are taken for all", cut, length);
    }
    ck_assert_ptr_null(loaded);
    free(bytes);
    free(rows);
    vindex_transform_free(transform);
    scratch_remove();
}
END_TEST

/* A file whose checksums are right and whose content lies: two sections as given. */
static vindex_status load_forged(const unsigned char *steps, size_t step_bytes,
                                 const float *numbers, size_t count) {
    vx_container_writer *writer;
    vindex_transform *loaded = NULL;
    ck_ok(vx_container_create(scratch_path("forged"), VX_KIND_TRANSFORM, 0, 2, &writer));
    ck_ok(vx_container_section(writer, "steps", steps, step_bytes));
    ck_ok(vx_container_section(writer, "numbers", numbers, count * sizeof *numbers));
    ck_ok(vx_container_commit(writer));
    vindex_status status = vindex_transform_load(scratch_path("forged"), &loaded);
    vindex_transform_free(loaded);
    return status;
}

/* One affine step from 2 numbers to 1, with a fact of one value. */
static void forge(unsigned char steps[104], float numbers[5]) {
    memset(steps, 0, 104);
    vx_put_u32(steps, 1);
    memcpy(steps + 8, "made", 4);
    vx_put_u32(steps + 32, VINDEX_STEP_AFFINE);
    vx_put_u32(steps + 36, 1);
    vx_put_u64(steps + 40, 2);
    vx_put_u64(steps + 48, 1);
    memcpy(steps + 72, "loss", 4);
    vx_put_u64(steps + 96, 1);
    for (int i = 0; i < 5; i++) numbers[i] = 1;
}

START_TEST(lies_are_refused) {
    static const struct {
        size_t at;
        uint32_t value;
        const char *text;
    } lies[] = {
        {0, 0, "how many"},
        {0, 300, "how many"},
        {4, 1, "how many"},
        {0, 2, "list of steps is cut"},
        {8, 0, "no method's name"},
        {24, 7, "no method's name"},
        {32, 9, "unknown kind"},
        {32, 0, "unknown kind"},
        {32, 2, "dimensions do not"},
        {40, 0, "dimensions do not"},
        {40, 1u << 21, "dimensions do not"},
        {40, 1u << 20, "fewer numbers"},
        {48, 1u << 20, "fewer numbers"},
        {36, 0, "more follows"},
        {36, 2, "a fact has no name"},
        {36, 4096, "cannot hold"},
        {56, 3, "cannot hold"},
        {64, 2, "cannot hold"},
        {68, 1, "cannot hold"},
        {64, 1, "fewer numbers"},
        {72, ' ', "a fact has no name"},
        {96, 0, "more follows"},
        {100, 0x20000000, "fewer numbers"},
    };
    unsigned char steps[104];
    float numbers[5];
    scratch_make();
    forge(steps, numbers);
    ck_ok(load_forged(steps, sizeof steps, numbers, 5));
    for (size_t i = 0; i < VX_COUNT(lies); i++) {
        forge(steps, numbers);
        vx_put_u32(steps + lies[i].at, lies[i].value);
        vindex_status status = load_forged(steps, sizeof steps, numbers, 5);
        ck_assert_msg(status == VINDEX_ERR_FORMAT, "lie %zu: %s", i, vindex_status_name(status));
        ck_assert_msg(strstr(vindex_last_error(), lies[i].text) != NULL, "lie %zu: %s", i,
                      vindex_last_error());
    }
    forge(steps, numbers);
    numbers[1] = NAN;
    ck_fails(VINDEX_ERR_FORMAT, "NaN", load_forged(steps, sizeof steps, numbers, 5));
    numbers[1] = 1;
    ck_fails(VINDEX_ERR_FORMAT, "fewer", load_forged(steps, sizeof steps, numbers, 4));
    scratch_remove();
}
END_TEST

START_TEST(other_files_are_refused) {
    scratch_make();
    vindex_transform *transform = NULL;
    vindex_index *index;
    float *rows = data_ranked(ROWS, DIM, DIM, 2);
    ck_ok(vindex_create("Flat", 2, VINDEX_L2, &index));
    ck_ok(vindex_save(index, scratch_path("index"), NULL));
    vindex_free(index);
    ck_fails(VINDEX_ERR_FORMAT, "index", vindex_transform_load(scratch_path("index"), &transform));
    ck_fails(VINDEX_ERR_NOT_FOUND, "nowhere",
             vindex_transform_load(scratch_path("nowhere"), &transform));
    transform = fitted(rows);
    ck_ok(vindex_transform_save(transform, scratch_path("model")));
    ck_fails(VINDEX_ERR_FORMAT, "", vindex_load(scratch_path("model"), 0, &index));
    for (long after = 0;; after++) {
        vindex_transform *loaded;
        vx_alloc_fail_after(after);
        vindex_status status = vindex_transform_load(scratch_path("model"), &loaded);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) {
            vindex_transform_free(loaded);
            break;
        }
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
    }
    vindex_transform_free(transform);
    free(rows);
    scratch_remove();
}
END_TEST

TEST_MAIN("transform/file", what_was_saved_comes_back, every_damaged_byte_is_noticed,
          lies_are_refused, other_files_are_refused)
