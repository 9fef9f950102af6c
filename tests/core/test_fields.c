/* Parameter structs through their tables. */
#include <locale.h>

#include <vindex/fields.h>

#include "../harness.h"

#include "core/base.h"

typedef struct sample {
    size_t struct_size;
    int32_t lists;
    int64_t rows;
    double share;
    bool exact;
    vindex_metric metric;
    vindex_dtype dtype;
} sample;

static const vindex_field fields[] = {
    {"lists", VINDEX_FIELD_INT32, offsetof(sample, lists), 1, 1000, 16, "how many lists"},
    {"rows", VINDEX_FIELD_INT64, offsetof(sample, rows), -1, 0x1p53, 5, "how many rows"},
    {"share", VINDEX_FIELD_DOUBLE, offsetof(sample, share), 0, 1, 0.25, "which share"},
    {"exact", VINDEX_FIELD_BOOL, offsetof(sample, exact), 0, 1, 1, "whether exact"},
    {"metric", VINDEX_FIELD_METRIC, offsetof(sample, metric), 0, 3, 2, "the metric"},
    {"dtype", VINDEX_FIELD_DTYPE, offsetof(sample, dtype), 0, 2, 1, "the type"},
};
static const vindex_field_table table = {"sample", sizeof(sample), fields, VX_COUNT(fields)};

START_TEST(defaults_are_written) {
    sample params;
    memset(&params, 0xff, sizeof params);
    vindex_fields_init(&table, &params, sizeof params);
    ck_assert_uint_eq(params.struct_size, sizeof params);
    ck_assert_int_eq(params.lists, 16);
    ck_assert_int_eq(params.rows, 5);
    ck_assert_double_eq(params.share, 0.25);
    ck_assert(params.exact);
    ck_assert_int_eq(params.metric, VINDEX_COSINE);
    ck_assert_int_eq(params.dtype, VINDEX_F16);
    ck_ok(vindex_fields_check(&table, &params));
}
END_TEST

/* A program that was built when the struct was shorter: what it does not know is not touched, and
 * the library sees by the size what it was given. */
START_TEST(older_programs_are_safe) {
    sample params;
    for (size_t known = sizeof known; known < sizeof params; known++) {
        memset(&params, 0x5a, sizeof params);
        vindex_fields_init(&table, &params, known);
        ck_assert_uint_eq(params.struct_size, known);
        for (size_t i = known; i < sizeof params; i++)
            ck_assert_uint_eq(((unsigned char *)&params)[i], 0x5a);
    }
}
END_TEST

START_TEST(ranges_are_checked) {
    sample params;
    vindex_fields_init(&table, &params, sizeof params);
    params.struct_size = 8;
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size is 8", vindex_fields_check(&table, &params));
    vindex_fields_init(&table, &params, sizeof params);
    params.lists = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "sample: lists is 0; give 1 to 1000",
             vindex_fields_check(&table, &params));
    params.lists = 1000;
    ck_ok(vindex_fields_check(&table, &params));
    params.lists = 1001;
    ck_fails(VINDEX_ERR_ARGUMENT, "lists is 1001", vindex_fields_check(&table, &params));
    vindex_fields_init(&table, &params, sizeof params);
    params.rows = INT64_MIN;
    ck_fails(VINDEX_ERR_ARGUMENT, "rows is", vindex_fields_check(&table, &params));
    vindex_fields_init(&table, &params, sizeof params);
    params.share = 0.0 / 0.0;
    ck_fails(VINDEX_ERR_ARGUMENT, "share is", vindex_fields_check(&table, &params));
    vindex_fields_init(&table, &params, sizeof params);
    params.metric = (vindex_metric)9;
    ck_fails(VINDEX_ERR_ARGUMENT, "metric is 9; known are l2, ip, cosine, pearson",
             vindex_fields_check(&table, &params));
}
END_TEST

START_TEST(text_sets_fields) {
    sample params;
    vindex_fields_init(&table, &params, sizeof params);
    ck_ok(vindex_fields_set(&table, &params, "lists", "1000"));
    ck_ok(vindex_fields_set(&table, &params, "rows", "9007199254740992"));
    ck_ok(vindex_fields_set(&table, &params, "share", "1e-3"));
    ck_ok(vindex_fields_set(&table, &params, "exact", "false"));
    ck_ok(vindex_fields_set(&table, &params, "metric", "pearson"));
    ck_ok(vindex_fields_set(&table, &params, "dtype", "bf16"));
    ck_assert_int_eq(params.lists, 1000);
    ck_assert_int_eq(params.rows, INT64_C(9007199254740992));
    ck_assert_double_eq(params.share, 1e-3);
    ck_assert(!params.exact);
    ck_assert_int_eq(params.metric, VINDEX_PEARSON);
    ck_assert_int_eq(params.dtype, VINDEX_BF16);
    ck_ok(vindex_fields_set(&table, &params, "exact", "1"));
    ck_assert(params.exact);
    ck_ok(vindex_fields_set(&table, &params, "exact", "0"));
    ck_assert(!params.exact);
}
END_TEST

START_TEST(bad_text_is_refused) {
    static const struct {
        const char *name, *value, *mentions;
    } bad[] = {
        {"lists", "", "lists is ''; give 1 to 1000"},
        {"lists", "ten", "lists is 'ten'"},
        {"lists", "10x", "lists is '10x'"},
        {"lists", "1.5", "lists is '1.5'"},
        {"lists", "nan", "lists is 'nan'"},
        {"lists", "0", "lists is '0'"},
        {"lists", "4294967297", "lists is '4294967297'"}, /* 1 if cut to 32 bits */
        {"rows", "1e300", "rows is '1e300'"},
        {"rows", "9007199254740994", "rows is '9007199254740994'"},
        {"share", "nan", "share is 'nan'; give 0 to 1"},
        {"share", "inf", "share is 'inf'"},
        {"share", "1.0000001", "share is '1.0000001'"},
        {"exact", "yes", "exact is 'yes'; known are false, true"},
        {"exact", "2", "exact is '2'"},
        {"exact", "0.5", "exact is '0.5'"},
        {"metric", "L2", "metric is 'L2'; known are l2, ip, cosine, pearson"},
        {"metric", "1", "metric is '1'"},
        {"dtype", "f64", "dtype is 'f64'; known are f32, f16, bf16"}, /* a type, not in the range */
        {"dtype", "f8", "dtype is 'f8'; known are f32, f16, bf16"},
        {"list", "1", "no parameter list; known are lists rows share exact metric dtype"},
    };
    sample params, before;
    memset(&params, 0, sizeof params);
    vindex_fields_init(&table, &params, sizeof params);
    before = params;
    for (size_t i = 0; i < VX_COUNT(bad); i++) {
        ck_fails(VINDEX_ERR_ARGUMENT, bad[i].mentions,
                 vindex_fields_set(&table, &params, bad[i].name, bad[i].value));
        ck_assert_mem_eq(&params, &before, sizeof params);
    }
    char lengthy[3000];
    memset(lengthy, '9', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "lists is '9999",
             vindex_fields_set(&table, &params, "lists", lengthy));
    ck_fails(VINDEX_ERR_ARGUMENT, "no parameter 999",
             vindex_fields_set(&table, &params, lengthy, "1"));
}
END_TEST

/* A program may speak a language that writes 0,5. */
START_TEST(numbers_have_a_point_in_every_language) {
    static const char *const with_comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8",
                                             "it_IT.UTF-8", "de_DE",       "fr_FR"};
    const char *found = NULL;
    for (size_t i = 0; !found && i < VX_COUNT(with_comma); i++)
        found = setlocale(LC_ALL, with_comma[i]);
    if (!found) printf("skipped: this machine has no locale that writes a comma\n");
    sample params;
    vindex_fields_init(&table, &params, sizeof params);
    ck_ok(vindex_fields_set(&table, &params, "share", "0.75"));
    ck_assert_double_eq(params.share, 0.75);
    ck_fails(VINDEX_ERR_ARGUMENT, "share is '0,5'",
             vindex_fields_set(&table, &params, "share", "0,5"));
    setlocale(LC_ALL, "C");
}
END_TEST

TEST_MAIN("core/fields", numbers_have_a_point_in_every_language, defaults_are_written,
          older_programs_are_safe, ranges_are_checked, text_sets_fields, bad_text_is_refused)
