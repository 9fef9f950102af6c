/* Scalar quantizers: what levels stand for, keys looked up, and how far decoded rows are from the
 * rows. (What searches find is what tests/ivf looks at.) */
#include "cases.h"
#include "codec/scalar.h"

static const char *const specs[] = {"SQ8",     "SQ6",     "SQ4",     "SQ8v",    "SQ6v",
                                    "SQ4v",    "RaBitQ1", "RaBitQ2", "RaBitQ3", "RaBitQ4",
                                    "RaBitQ5", "RaBitQ6", "RaBitQ7", "RaBitQ8"};
enum { SPECS = 14 };

static const size_t dims[] = {1, 7, 32, 65, 130};

/* Levels written out by the formula of scalar.h, plainly, and decoded in double precision. */
static void check_decoded(const codec_case *c, const char *what) {
    const vx_scalar *codec = vx_scalar_of(c->codec);
    unsigned char levels[VX_SCALAR_NUMBERS];
    float scale, reach;
    double half = ((1 << codec->shape.bits) - 1) / 2.0;
    for (size_t i = 0; i < c->count && codec->kind != VX_SCALAR_ROTATED; i++) {
        vx_scalar_unpack(codec, (vx_coded){&c->run, i}, levels);
        vx_scalar_numbers(codec, (vx_coded){&c->run, i}, &scale, &reach);
        for (size_t j = 0; j < c->dim; j++) {
            double centre = c->run.centre ? (double)c->run.centre[j] : 0;
            double part = ((double)levels[j] - half) * (double)codec->steps[j] * (double)scale;
            double value = centre + (double)codec->middle[j] + part;
            double size = fabs(centre) + fabs((double)codec->middle[j]) + fabs(part);
            ck_each(fabs(value - (double)c->decoded[i * c->dim + j]) <= 1e-6 * size + 1e-40,
                    "%s: row %zu, number %zu is %g, not %g", what, i, j,
                    (double)c->decoded[i * c->dim + j], value);
            ck_each(levels[j] < 1 << codec->shape.bits, "%s: level %d", what, levels[j]);
        }
    }
}

START_TEST(rows_are_looked_up) {
    for (int metric = VINDEX_L2; metric <= VINDEX_PEARSON; metric++)
        for (size_t s = 0; s < SPECS; s += (size_t)test_stride())
            for (size_t d = 0; d < VX_COUNT(dims); d++) {
                float centre[130];
                for (size_t j = 0; j < 130; j++) centre[j] = (float)j / 100 - 0.3f;
                vectors rows = {.kind = VECTORS_NORMAL, .dim = dims[d], .count = 37, .seed = 3 + s};
                codec_case c = codec_case_make(specs[s], &rows, (vindex_metric)metric,
                                               metric == VINDEX_L2 && s % 2 ? centre : NULL);
                check_decoded(&c, specs[s]);
                double size = c.run.centre ? 30 : 3;
                codec_case_gather(&c, 1e-6 * size * (double)(rows.dim + 30), specs[s]);
                codec_case_free(&c);
            }
}
END_TEST

/* The mean squared error of Gaussian numbers is what the literature says of the best uniform
 * quantizers (Max, 1960, table II), and what training has measured. */
START_TEST(more_bits_are_closer) {
    static const double best[] = {0,        0.3634,  0.1188,   0.03744,  0.01154,
                                  0.003495, 0.00104, 0.000304, 0.0000876};
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 128, .count = 300, .seed = 5};
    for (size_t s = 0; s < SPECS; s++) {
        codec_case c = codec_case_make(specs[s], &rows, VINDEX_L2, NULL);
        const vx_scalar *codec = vx_scalar_of(c.codec);
        double error = 0, square = 0;
        for (size_t i = 0; i < c.count * c.dim; i++) {
            double off = (double)c.decoded[i] - (double)c.rows[i];
            error += off * off;
            square += (double)c.rows[i] * (double)c.rows[i];
        }
        double share = error / square;
        /* Scales are bf16: off by 2^-9, so by less than 2^-17 of the square. */
        double most = best[codec->shape.bits] * (codec->kind == VX_SCALAR_ROTATED ? 1.1 : 1.9);
        ck_assert_msg(share < most + 0x1p-17, "%s: %g of the square", specs[s], share);
        ck_assert_double_eq_tol(codec->base.distortion, error / (double)c.count,
                                0.1 * error / (double)c.count);
        codec_case_free(&c);
    }
}
END_TEST

/* The rotation makes the numbers of any vector alike: one that is all in one dimension is kept as
 * well as Gaussian ones are, which no range per vector could do. */
START_TEST(rotated_vectors_are_alike) {
    static const double gaussian[] = {0, 0.3634, 0.1188, 0.03744, 0.01154};
    vectors rows = {.kind = VECTORS_ONE_HOT, .dim = 100, .count = 300, .seed = 5};
    for (size_t bits = 1; bits <= 4; bits++) {
        char spec[16];
        snprintf(spec, sizeof spec, "RaBitQ%zu", bits);
        codec_case c = codec_case_make(spec, &rows, VINDEX_L2, NULL);
        double error = 0, square = 0;
        for (size_t i = 0; i < c.count * c.dim; i++) {
            error += pow((double)c.decoded[i] - (double)c.rows[i], 2);
            square += pow((double)c.rows[i], 2);
        }
        ck_assert_msg(error < 1.3 * gaussian[bits] * square, "%s: %g of the square", spec,
                      error / square);
        codec_case_free(&c);
    }
}
END_TEST

/* A few numbers far off do not widen the ranges of all others. */
START_TEST(outliers_do_not_widen_ranges) {
    enum { DIM = 8, COUNT = 2000 };
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 7};
    float *numbers = vectors_make(&rows);
    for (size_t j = 0; j < DIM; j++) numbers[(11 + j) * DIM + j] = 1000;
    const vx_codec_use use = {.dim = DIM, .metric = VINDEX_L2};
    vx_codec *codec;
    ck_ok(vx_scalar_create("SQ4", &use, &codec));
    vx_sample sample = {.vectors = numbers, .n = COUNT, .threads = 2};
    ck_ok(codec->ops->train(codec, &sample));
    for (size_t j = 0; j < DIM; j++) ck_assert_float_lt(vx_scalar_of(codec)->steps[j], 200);
    vx_codec_free(codec);
    free(numbers);
}
END_TEST

static void check_moves(codec_case *c) {
    size_t last = c->count - 1;
    float before[130], after[130];
    c->codec->ops->decode(c->codec, (vx_coded){&c->run, last}, before);
    c->codec->ops->move(c->codec, (vx_coded){&c->run, last}, (vx_coded){&c->run, 2});
    c->codec->ops->decode(c->codec, (vx_coded){&c->run, 2}, after);
    ck_assert_mem_eq(before, after, c->dim * sizeof *before);
    c->codec->ops->decode(c->codec, (vx_coded){&c->run, 3}, after);
    ck_assert_mem_eq(after, c->decoded + 3 * c->dim, c->dim * sizeof *before);
}

START_TEST(rows_move) {
    for (size_t s = 0; s < SPECS; s++) {
        vectors rows = {.kind = VECTORS_UNIFORM, .dim = 37, .count = 40, .seed = s};
        codec_case c = codec_case_make(specs[s], &rows, VINDEX_COSINE, NULL);
        check_moves(&c);
        codec_case_free(&c);
    }
}
END_TEST

START_TEST(what_is_refused) {
    static const char *const bad[] = {"SQ",  "SQ5",    "SQ88",    "SQ8w",    "SQ8v2",
                                      "SQ0", "RaBitQ", "RaBitQ9", "RaBitQ0", "RaBitQ4v",
                                      "sq8", "Refine", "",        "RaBitQ12"};
    vx_codec_use use = {.dim = 8};
    vx_codec *codec;
    for (size_t i = 0; i < VX_COUNT(bad); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "is no way", vx_codec_create(&bad[i], 1, &use, &codec));
    static const char *const pairs[][2] = {
        {"Flat", "Refine"}, {"SQ8", "Refine(f64)"}, {"SQ8", "Refine("},    {"SQ8", "Refine()"},
        {"SQ8", "SQ8"},     {"Refine", "Refine"},   {"SQ8", "Refine(f16"}, {"Refine", "SQ8"}};
    for (size_t i = 0; i < VX_COUNT(pairs); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "is no way", vx_codec_create(pairs[i], 2, &use, &codec));
    static const char *const seconds[][3] = {
        {"SQ8", "Refine(Refine)"},     {"SQ8", "Refine(Flat)"},
        {"SQ8", "Refine(SQ5)"},        {"Flat", "Refine(SQ8)"},
        {"f16", "Refine(SQ8)"},        {"SQ8", "Refine(SQ8,SQ8)"},
        {"SQ8", "Refine", "Refine"},   {"SQ8", "Refine(SQ8)", "Refine"},
        {"SQ8", "Refine(Refine(SQ8))"}};
    for (size_t i = 0; i < VX_COUNT(seconds); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, i > 2 && i != 5 && i < 8 ? "one Refine" : "Refine takes",
                 vx_codec_create(seconds[i], seconds[i][2] ? 3 : 2, &use, &codec));
    static const char *const parts[][2] = {{"SQ8", "Refine(PQ3x8)"}, {"PQ3x8", "Refine(SQ8)"}};
    for (size_t i = 0; i < VX_COUNT(parts); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "parts that fit: 1, 2, 4, 8",
                 vx_codec_create(parts[i], 2, &use, &codec));
    use.dim = VX_CODEC_DIM_MOST + 1;
    ck_fails(VINDEX_ERR_ARGUMENT, "it takes at most", vx_codec_create(specs, 1, &use, &codec));
    static const char *const wide[] = {"SQ8", "Refine(PQ1x4)"};
    use.dim = VX_CODEC_DIM_MOST * 2;
    ck_fails(VINDEX_ERR_ARGUMENT, "it takes at most", vx_codec_create(wide, 2, &use, &codec));
    use.dim = 8;
    ck_ok(vx_codec_create(specs, 1, &use, &codec));
    vx_sample none = {.threads = 1};
    ck_fails(VINDEX_ERR_DATA, "at least 1", codec->ops->train(codec, &none));
    vx_codec_free(codec);
}
END_TEST

TEST_MAIN_PER_LEVEL("codec/scalar", rows_are_looked_up, more_bits_are_closer,
                    rotated_vectors_are_alike, outliers_do_not_widen_ranges, rows_move,
                    what_is_refused)
