/* .safetensors files, made by their description. */
#include "containers.h"

START_TEST(every_dtype) {
    static const struct {
        const char *name;
        vindex_dtype dtype;
    } types[] = {{"f16", VINDEX_F16}, {"bf16", VINDEX_BF16}, {"f32", VINDEX_F32},
                 {"f64", VINDEX_F64}, {"u8", VINDEX_U8},     {"i8", VINDEX_I8},
                 {"i16", VINDEX_I16}, {"u16", VINDEX_U16},   {"i32", VINDEX_I32},
                 {"i64", VINDEX_I64}};
    for (size_t i = 0; i < VX_COUNT(types); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.safetensors", types[i].name);
        char kind = types[i].name[0] == 'b' ? 'f' : types[i].name[0];
        float expected[15];
        for (int k = 0; k < 15; k++) expected[k] = fixture_value(kind, k);
        expect_rows(fixture(name), NULL, 5, 3, expected);
        vindex_embeddings *file;
        vindex_embeddings_info info;
        ck_ok(vindex_embeddings_open(fixture(name), NULL, &file));
        vindex_embeddings_describe(file, &info);
        ck_assert_int_eq(info.dtype, types[i].dtype);
        vindex_embeddings_close(file);
    }
}
END_TEST

START_TEST(members) {
    const char *path = fixture("model.safetensors");
    expect_members(path, "lin1.weight:e:5:3 bias:e:1:4 mask:o:0:0 tiny:o:0:0 labels:l:5:0 "
                         "step:o:0:0");
    expect_rows(path, by_key("lin1.weight"), 5, 3, fixture_floats(0));
    const float zeros[4] = {0};
    expect_rows(path, by_key("bias"), 1, 4, zeros);
    expect_names(path, NULL, "", "0 1 2 3 4");
    vindex_embeddings *file;
    ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'mask' is a BOOL array (2, 2)",
             vindex_embeddings_open(path, by_key("mask"), &file));
    ck_fails(VINDEX_ERR_UNSUPPORTED, "key 'tiny'",
             vindex_embeddings_open(path, by_key("tiny"), &file));
}
END_TEST

/* A file with that header and six numbers of 1 byte. */
static const char *own_file(const char *header) {
    unsigned char bytes[600];
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, "\1\2\3\4\5\6", 6);
    write_anew("own.safetensors", bytes, length + 14);
    return scratch_path("own.safetensors");
}

START_TEST(headers_that_lie_are_refused) {
    scratch_make();
    const float six[] = {1, 2, 3, 4, 5, 6};
    expect_rows(own_file("{\"x\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]}}"), NULL,
                2, 3, six);
    expect_rows(own_file("{\"__metadata__\":{\"a\":\"b\"},\"x\":{\"dtype\":\"U8\",\"shape\":[2,2],"
                         "\"data_offsets\":[1,5]}}"),
                NULL, 2, 2, six + 1);
    static const struct {
        const char *header, *text;
    } cases[] = {
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,4],\"data_offsets\":[0,8]}}", "not within"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[6,0]}}", "not within"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[-1,5]}}", "not within"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0]}}", "not within"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":\"06\"}}", "not within"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,3]}}", "not within"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,4],\"data_offsets\":[0,6]}}", "shape"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,-3],\"data_offsets\":[0,6]}}", "shape"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2,1.5],\"data_offsets\":[0,3]}}", "shape"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,6],\"data_offsets\":[0,6]}}",
         "shape"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[4611686018427387904,4,6],\"data_offsets\":[0,6]}}",
         "shape"},
        {"{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,6]}}", "shape"},
        {"{\"x\":{\"shape\":[2,3],\"data_offsets\":[0,6]}}", "no dtype"},
        {"{\"x\":3}", "no dictionary"},
        {"[]", "no dictionary"},
        {"{\"x\":{\"dtype\":\"U8\"},\"x\":{}}", "no JSON"},
        {"{", "no JSON"},
        {"", "no JSON"},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        const char *path = own_file(cases[i].header);
        ck_fails(VINDEX_ERR_FORMAT, cases[i].text, try_all(path, NULL));
    }
    write_anew("own.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    ck_fails(VINDEX_ERR_FORMAT, "its header needs 18446744073709551615 bytes",
             try_all(scratch_path("own.safetensors"), NULL));
    write_anew("own.safetensors", "\2\0\0", 3);
    ck_fails(VINDEX_ERR_FORMAT, "it was cut", try_all(scratch_path("own.safetensors"), NULL));
    scratch_remove();
}
END_TEST

START_TEST(damage_is_survived) {
    scratch_make();
    damage("model.safetensors", NULL);
    scratch_remove();
}
END_TEST

START_TEST(memory_may_run_out_anywhere) {
    starve(fixture("model.safetensors"), NULL);
}
END_TEST

TEST_MAIN("io/safetensors", every_dtype, members, headers_that_lie_are_refused, damage_is_survived,
          memory_may_run_out_anywhere)
