/* Rows that are compared a few at a time, wherever they lie: keys are those of settling, but for
 * what a query in bytes, or tables of bytes, leave open. */
#include "cases.h"

/* A row that is moved, its aux by the owner of the run, decodes to what it did, and its neighbours
 * to what they did. */
static void check_move(const codec_case *c, const char *spec) {
    enum { FROM = 299, TO = 17 };
    const vx_coded to = {&c->run, TO};
    float back[3][VX_CODEC_ROWS * 30];
    float *aux = (float *)(uintptr_t)c->run.aux;
    size_t each = c->codec->aux_each;
    c->codec->ops->move(c->codec, (vx_coded){&c->run, FROM}, to);
    memcpy(aux + TO * each, aux + FROM * each, each * sizeof *aux);
    for (size_t i = 0; i < 3; i++)
        c->codec->ops->decode(c->codec, (vx_coded){&c->run, TO - 1 + i}, back[i]);
    for (size_t i = 0; i < 3; i++) {
        const float *was = c->decoded + (i == 1 ? FROM : TO - 1 + i) * c->dim;
        ck_assert_msg(!memcmp(back[i], was, c->dim * sizeof *was), "%s: row %zu", spec, i);
    }
}

static void check(const char *spec, size_t dim, double share) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++) {
        vectors rows = {.kind = VECTORS_NORMAL, .dim = dim, .count = 300, .seed = dim};
        const vx_codec_use use = {.dim = dim, .metric = (vindex_metric)metric, .scattered = true};
        codec_case c = codec_case_for(spec, &rows, &use, NULL);
        codec_case_gather(&c, share, spec);
        check_move(&c, spec);
        codec_case_free(&c);
    }
}

/* A number of the query is off by half a 127th of the largest, which is no larger than its length,
 * and one of them by a whole. So products with codes are off by no more than sqrt(dim + 3) / 2 of
 * these, of the lengths of query and code, which may be longer than the row. */
START_TEST(levels_are_looked_up) {
    static const char *const specs[] = {"SQ8",     "SQ6",     "SQ4",     "SQ8v",    "SQ6v",
                                        "SQ4v",    "RaBitQ1", "RaBitQ2", "RaBitQ3", "RaBitQ4",
                                        "RaBitQ5", "RaBitQ6", "RaBitQ7", "RaBitQ8"};
    static const size_t dims[] = {5, 7, 32, 65, 130, 200};
    for (size_t s = 0; s < VX_COUNT(specs); s++)
        for (size_t d = 0; d < VX_COUNT(dims); d += (size_t)test_stride())
            check(specs[s], dims[d], sqrt((double)dims[d] + 3) / 127);
}
END_TEST

START_TEST(product_codes_are_looked_up) {
    static const size_t parts[] = {5, 7, 13, 32, 130, 200};
    char spec[32];
    for (size_t p = 0; p < VX_COUNT(parts); p += (size_t)test_stride())
        for (int bits = 4; bits <= 8; bits += 2) {
            snprintf(spec, sizeof spec, "PQ%zux%d", parts[p], bits);
            /* Numbers are rounded once; bytes are half a 255th of the widest part off for each. */
            check(spec, 2 * parts[p], bits == 4 ? 0.02 : 1e-6 * (double)(2 * parts[p] + 30));
        }
}
END_TEST

TEST_MAIN("codec/scattered", levels_are_looked_up, product_codes_are_looked_up)
