/* Codes behind codes: a row is the sum of both, nearer to the vector than the first code is, and
 * the first code states how far it is from that sum. Run once per instruction set. */
#include "cases.h"
#include "codec/scalar.h"

enum { COUNT = 300 };

static const char *const pairs[] = {
    "SQ8,Refine(SQ8)",        "SQ4,Refine(SQ8)",     "SQ4,Refine(SQ4v)",
    "SQ6v,Refine(RaBitQ4)",   "RaBitQ1,Refine(SQ6)", "RaBitQ4,Refine(RaBitQ4)",
    "RaBitQ2,Refine(PQ13x8)", "PQ13x4,Refine(SQ8)",  "PQ13x6,Refine(PQ13x4)",
    "PQ13x8,Refine(RaBitQ3)", "PQ13x4,Refine(SQ6v)",
};

static codec_case make_case(const char *spec, vindex_metric metric, bool scattered,
                            const float *centre) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 39, .count = COUNT, .seed = 4};
    const vx_codec_use use = {.dim = 39, .metric = metric, .scattered = scattered};
    codec_case c = codec_case_for(spec, &rows, &use, centre);
    ck_assert_str_eq(c.codec->word, spec);
    return c;
}

/* A vector as codes see it, in double precision. */
static void see(const codec_case *c, const float *vector, double *form) {
    double mean = 0, square = 0;
    vindex_metric metric = c->codec->space.metric;
    for (size_t j = 0; metric == VINDEX_PEARSON && j < c->dim; j++)
        mean += (double)vector[j] / (double)c->dim;
    for (size_t j = 0; j < c->dim; j++) square += pow((double)vector[j] - mean, 2);
    if (metric == VINDEX_L2 || metric == VINDEX_INNER_PRODUCT) square = 1;
    for (size_t j = 0; j < c->dim; j++) form[j] = ((double)vector[j] - mean) / sqrt(square);
}

static double apart(const double *form, const float *decoded, size_t dim) {
    double square = 0;
    for (size_t j = 0; j < dim; j++) square += pow(form[j] - (double)decoded[j], 2);
    return square;
}

/* Squared errors of the first code and of both. */
typedef struct errors {
    double first, both;
} errors;

/* Checks that the first code of a row, where it can, states no less than how far it is from what
 * the row decodes to, and hardly more. */
static void check_reach(const codec_case *c, vx_coded row, const float *first, const char *spec) {
    double settled[64];
    float scale, reach;
    const vx_codec *coarse = c->codec->coarse;
    if (coarse->rerank) return; /* no bound is known */
    see(c, c->decoded + row.at * c->dim, settled);
    vx_scalar_numbers(vx_scalar_of(coarse), row, &scale, &reach);
    double off = sqrt(apart(settled, first, c->dim));
    ck_each((double)reach >= off * (1 - 1e-6), "%s: row %zu is %g off and says %g", spec, row.at,
            off, (double)reach);
    ck_each((double)reach <= 1.5 * off + 0.01, "%s: row %zu is %g off and says %g", spec, row.at,
            off, (double)reach);
}

static errors check_rows(const codec_case *c, const char *spec) {
    errors lost = {0};
    for (size_t i = 0; i < c->count; i++) {
        const vx_coded row = {&c->run, i};
        double form[64];
        float first[64];
        see(c, c->rows + i * c->dim, form);
        c->codec->coarse->ops->decode(c->codec->coarse, row, first);
        lost.first += apart(form, first, c->dim) / (double)c->count;
        lost.both += apart(form, c->decoded + i * c->dim, c->dim) / (double)c->count;
        check_reach(c, row, first, spec);
    }
    return lost;
}

START_TEST(both_codes_are_nearer_than_one) {
    float centre[39];
    for (size_t j = 0; j < 39; j++) centre[j] = 0.1f * (float)(j % 5) - 0.2f;
    for (size_t s = 0; s < VX_COUNT(pairs); s++)
        for (int i = 0; i < 4 * 2; i++) {
            codec_case c = make_case(pairs[s], (vindex_metric)(i % 4), i >= 4,
                                     (i + (int)s) % 3 ? NULL : centre);
            errors lost = check_rows(&c, pairs[s]);
            ck_assert_msg(lost.both < lost.first / 1.5, "%s, %s: %g after %g", pairs[s],
                          vindex_metric_name((vindex_metric)(i % 4)), lost.both, lost.first);
            /* What was said to be lost, is: rows are the training vectors. */
            ck_assert_msg(lost.both < 1.001 * c.codec->distortion &&
                              lost.both > 0.95 * c.codec->distortion,
                          "%s: %g, said %g", pairs[s], lost.both, c.codec->distortion);
            codec_case_free(&c);
        }
}
END_TEST

START_TEST(twice_the_bytes_lose_less_than_half) {
    vectors rows = {.kind = VECTORS_CLUSTERED, .dim = 64, .count = 1500, .seed = 3};
    codec_case one = codec_case_make("PQ16x8", &rows, VINDEX_L2, NULL);
    codec_case two = codec_case_make("PQ16x8,Refine(PQ16x8)", &rows, VINDEX_L2, NULL);
    ck_assert_double_gt(one.codec->distortion, 0);
    ck_assert_double_le(two.codec->distortion, one.codec->distortion / 2);
    codec_case_free(&one);
    codec_case_free(&two);
}
END_TEST

/* Codes of a second codec take what they need: an aux under cosine and Pearson, a scale where there
 * is one. */
START_TEST(fine_rows_are_as_short_as_can_be) {
    static const struct {
        const char *spec;
        size_t plain, scaled; /* bytes */
    } cases[] = {{"PQ8x4,Refine(SQ8)", 32, 36},     {"SQ8,Refine(PQ8x8)", 8, 12},
                 {"SQ4,Refine(SQ4)", 16, 20},       {"SQ4,Refine(SQ8v)", 36, 40},
                 {"PQ8x4,Refine(RaBitQ4)", 20, 24}, {"SQ8,Refine(f16)", 64, 68},
                 {"RaBitQ1,Refine(PQ16x4)", 8, 12}};
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 32, .count = COUNT, .seed = 4};
    for (size_t s = 0; s < VX_COUNT(cases); s++) {
        codec_case a = codec_case_make(cases[s].spec, &rows, VINDEX_INNER_PRODUCT, NULL);
        codec_case b = codec_case_make(cases[s].spec, &rows, VINDEX_COSINE, NULL);
        ck_assert_uint_eq(vx_codec_fine_bytes(a.codec, 10), 10 * cases[s].plain);
        ck_assert_uint_eq(vx_codec_fine_bytes(b.codec, 10), 10 * cases[s].scaled);
        codec_case_free(&a);
        codec_case_free(&b);
    }
}
END_TEST

START_TEST(rows_move) {
    for (size_t s = 0; s < VX_COUNT(pairs); s++) {
        codec_case c = make_case(pairs[s], VINDEX_COSINE, s % 2, NULL);
        float moved[64], *aux = (float *)(uintptr_t)c.run.aux;
        size_t each = c.codec->aux_each;
        c.codec->ops->move(c.codec, (vx_coded){&c.run, 250}, (vx_coded){&c.run, 3});
        memcpy(aux + 3 * each, aux + 250 * each, each * sizeof *aux);
        for (size_t i = 2; i < 5; i++) {
            c.codec->ops->decode(c.codec, (vx_coded){&c.run, i}, moved);
            ck_assert_mem_eq(moved, c.decoded + (i == 3 ? 250 : i) * c.dim, c.dim * sizeof *moved);
        }
        codec_case_free(&c);
    }
}
END_TEST

/* Pairs are alike where both codecs have learnt the same. */
START_TEST(both_codecs_must_be_alike) {
    for (size_t s = 0; s < VX_COUNT(pairs); s++) {
        codec_case a = make_case(pairs[s], VINDEX_L2, false, NULL);
        codec_case b = make_case(pairs[s], VINDEX_L2, false, NULL);
        ck_assert(a.codec->ops->alike(a.codec, b.codec));
        vx_sample other = {.vectors = b.rows, .n = COUNT - 20, .threads = 1};
        ck_ok(b.codec->second->ops->train(b.codec->second, &other));
        ck_assert(!a.codec->ops->alike(a.codec, b.codec));
        codec_case_free(&a);
        codec_case_free(&b);
    }
}
END_TEST

START_TEST(too_few_are_said_to_be) {
    static const char *const words[] = {"SQ4", "Refine(PQ2x8)"};
    const vx_codec_use use = {.dim = 4};
    const float rows[20 * 4] = {0};
    vx_sample some = {.vectors = rows, .n = 20, .threads = 1};
    vx_codec *codec;
    ck_ok(vx_codec_create(words, 2, &use, &codec));
    ck_fails(VINDEX_ERR_DATA, "give at least 256", codec->ops->train(codec, &some));
    some.n = 0;
    ck_fails(VINDEX_ERR_DATA, "at least 1", codec->ops->train(codec, &some));
    vx_codec_free(codec);
}
END_TEST

TEST_MAIN_PER_LEVEL("codec/refine", both_codes_are_nearer_than_one,
                    twice_the_bytes_lose_less_than_half, fine_rows_are_as_short_as_can_be,
                    rows_move, both_codecs_must_be_alike, too_few_are_said_to_be)
