/* Kernels of product quantization against plain loops in double precision, for every table that
 * this machine can run. */
#include "simd/kernels.h"

#include <math.h>

#include "../harness.h"
#include "core/rng.h"
#include "pq/pq.h"

enum { ROWS_MOST = 70 };

static const size_t parts_tried[] = {1, 3, 8, 13, 15, 29, 64, 300};

/* Rows of random codes, packed, and tables of random whole numbers, as bytes and as floats. */
typedef struct scene {
    vx_pq_shape shape;
    size_t count;
    unsigned char *codes, *groups;
    unsigned char *bytes[VX_PQ_QUERIES]; /* slots x codes, and a little behind them */
    float *floats[VX_PQ_QUERIES];
    float aux[ROWS_MOST];
    double sums[VX_PQ_QUERIES][ROWS_MOST]; /* what the rows look up, in double precision */
} scene;

static double plain_sum(const scene *s, size_t q, size_t row) {
    const unsigned char *codes = s->codes + row * s->shape.parts;
    double sum = 0;
    for (size_t p = 0; p < s->shape.parts; p++)
        sum += s->bytes[q][p * vx_pq_codes(&s->shape) + codes[p]];
    return sum;
}

static void scene_make(scene *s, size_t parts, size_t bits, size_t count) {
    vx_rng rng = vx_rng_seed(parts * 64 + bits, count);
    *s = (scene){.shape = {parts, parts, bits}, .count = count};
    size_t codes = vx_pq_codes(&s->shape), slots = vx_pq_slots(&s->shape);
    s->codes = vx_alloc(count, parts);
    s->groups = vx_alloc_zero(vx_pq_bytes(&s->shape, count), 1);
    for (size_t i = 0; i < count * parts; i++)
        s->codes[i] = (unsigned char)vx_rng_below(&rng, codes);
    for (size_t i = 0; i < count; i++) {
        vx_pq_put(&s->shape, s->groups, i, s->codes + i * parts);
        s->aux[i] = (float)vx_rng_normal(&rng) + 3;
    }
    for (size_t q = 0; q < VX_PQ_QUERIES; q++) {
        s->bytes[q] = vx_alloc_zero(slots * codes + 3, 1);
        s->floats[q] = vx_alloc_zero(slots * codes, sizeof(float));
        for (size_t i = 0; i < parts * codes; i++) {
            s->bytes[q][i] = (unsigned char)vx_rng_below(&rng, 256);
            s->floats[q][i] = s->bytes[q][i];
        }
        for (size_t i = 0; i < count; i++) s->sums[q][i] = plain_sum(s, q, i);
    }
}

static void scene_free(scene *s) {
    vx_free(s->codes);
    vx_free(s->groups);
    for (size_t q = 0; q < VX_PQ_QUERIES; q++) {
        vx_free(s->bytes[q]);
        vx_free(s->floats[q]);
    }
}

/* Rows that are alone, listed in some order; their codes are packed without a byte behind. */
static void check_listed(const scene *s) {
    static const uint32_t which[] = {5, 0,  39, 38, 5, 7, 1,  30, 2, 22,
                                     9, 11, 8,  3,  4, 6, 31, 12, 20};
    vx_pq_shape shape = s->shape;
    shape.alone = true;
    unsigned char codes[300], *rows = vx_alloc(vx_pq_bytes(&shape, s->count), 1);
    for (size_t i = s->count; i-- > 0;) vx_pq_put(&shape, rows, i, s->codes + i * shape.parts);
    for (size_t i = 0; i < s->count; i++) {
        vx_pq_get(&shape, rows, i, codes);
        ck_assert_mem_eq(codes, s->codes + i * shape.parts, shape.parts);
    }
    for (size_t t = 0; vx_kernels_at(t); t++)
        for (size_t count = 0; count <= VX_COUNT(which); count += 1 + count / 3) {
            float keys[VX_COUNT(which) + 1];
            bool bytes = shape.bits == 4;
            const void *tables = bytes ? (const void *)s->bytes[0] : s->floats[0];
            vx_pq_query query = {tables, bytes ? 0.25f : 1, -2, 0};
            vx_pq_listed listed = {rows, shape, which, count};
            keys[count] = 7;
            vx_kernels_at(t)->pq_gather(&listed, &query, keys);
            ck_assert(keys[count] == 7);
            for (size_t i = 0; i < count; i++) {
                double key = s->sums[0][which[i]] * (double)query.step - 2;
                ck_each((double)keys[i] == key, "%s, %zux%zu: %g, not %g", vx_kernels_at(t)->name,
                        shape.parts, shape.bits, (double)keys[i], key);
            }
        }
    vx_free(rows);
}

START_TEST(rows_alone_are_looked_up) {
    static const size_t bits[] = {4, 6, 8};
    for (size_t b = 0; b < 3; b++)
        for (size_t p = 0; p < VX_COUNT(parts_tried); p++) {
            scene s;
            scene_make(&s, parts_tried[p], bits[b], 40);
            check_listed(&s);
            scene_free(&s);
        }
}
END_TEST

START_TEST(codes_come_back) {
    static const size_t bits[] = {4, 6, 8};
    for (size_t b = 0; b < 3; b++)
        for (size_t p = 0; p < VX_COUNT(parts_tried); p++) {
            scene s;
            unsigned char codes[300];
            scene_make(&s, parts_tried[p], bits[b], 40);
            for (size_t i = 0; i < s.count; i++) {
                vx_pq_get(&s.shape, s.groups, i, codes);
                ck_assert_mem_eq(codes, s.codes + i * s.shape.parts, s.shape.parts);
            }
            /* Written over the last row, without a trace of what was there. */
            vx_pq_put(&s.shape, s.groups, 39, s.codes);
            vx_pq_get(&s.shape, s.groups, 39, codes);
            ck_assert_mem_eq(codes, s.codes, s.shape.parts);
            scene_free(&s);
        }
}
END_TEST

/* aux: 0 none, 1 added, 2 a factor. */
static void check_scan(const vx_kernels *kernels, const scene *s, size_t queries, int aux) {
    static vx_pq_hit hits[VX_PQ_QUERIES * ROWS_MOST];
    bool seen[VX_PQ_QUERIES][ROWS_MOST] = {{false}};
    vx_pq_query each[VX_PQ_QUERIES];
    double slack[VX_PQ_QUERIES];
    for (size_t q = 0; q < queries; q++) {
        double low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < s->count; i++) {
            low = fmin(low, s->sums[q][i]);
            high = fmax(high, s->sums[q][i]);
        }
        float step = 0.25f;
        each[q] = (vx_pq_query){s->bytes[q], step, -2, (float)((low + high) / 2) * step - 2};
        slack[q] = aux ? 1e-6 * high : 0; /* sums are exact */
    }
    vx_pq_rows rows = {s->groups, s->count, s->shape, aux ? s->aux : NULL, aux == 2};
    size_t found = kernels->pq_scan(&rows, each, queries, hits);
    ck_assert_uint_le(found, queries * s->count);
    for (size_t i = 0; i < found; i++) {
        size_t q = hits[i].query, r = hits[i].row;
        ck_each(q < queries && r < s->count && !seen[q][r], "%s: query %zu, row %zu", kernels->name,
                q, r);
        seen[q][r] = true;
    }
    for (size_t q = 0; q < queries; q++)
        for (size_t r = 0; r < s->count; r++) {
            double key = s->sums[q][r] * (double)each[q].step - 2, limit = (double)each[q].limit;
            if (aux == 1) key += (double)s->aux[r];
            if (aux == 2) key *= (double)s->aux[r];
            if (fabs(key - limit) < slack[q]) continue;
            ck_each(seen[q][r] == (key <= limit), "%s: %zu parts of %zu bits, row %zu: %g for %g",
                    kernels->name, s->shape.parts, s->shape.bits, r, key, limit);
        }
    for (size_t i = 0; i < found; i++) {
        double key = s->sums[hits[i].query][hits[i].row] * (double)each[hits[i].query].step - 2;
        if (aux == 1) key += (double)s->aux[hits[i].row];
        if (aux == 2) key *= (double)s->aux[hits[i].row];
        ck_each(fabs((double)hits[i].key - key) <= slack[hits[i].query], "%s: %g for %g",
                kernels->name, (double)hits[i].key, key);
    }
}

START_TEST(scans_find_what_is_below_the_limit) {
    static const size_t bits[] = {4, 6, 8}, counts[] = {1, 16, 23, 64, ROWS_MOST};
    for (size_t b = 0; b < 3; b++)
        for (size_t p = 0; p < VX_COUNT(parts_tried); p++)
            for (size_t c = p % (size_t)test_stride(); c < VX_COUNT(counts);
                 c += (size_t)test_stride()) {
                scene s;
                scene_make(&s, parts_tried[p], bits[b], counts[c]);
                for (size_t level = 0; vx_kernels_at(level); level++)
                    for (size_t queries = 1; queries <= VX_PQ_QUERIES; queries++)
                        check_scan(vx_kernels_at(level), &s, queries, (int)(queries + c) % 3);
                scene_free(&s);
            }
}
END_TEST

/* The largest bytes in every table: no sum overflows on its way. */
static void check_full(size_t bits) {
    enum { PARTS = VX_PQ_PARTS_MOST, COUNT = 33 };
    vx_pq_shape shape = {PARTS, PARTS, bits};
    size_t table_bytes = vx_pq_slots(&shape) * vx_pq_codes(&shape) + 3;
    unsigned char *groups = vx_alloc(vx_pq_bytes(&shape, COUNT), 1);
    unsigned char *table = vx_alloc(table_bytes, 1);
    memset(table, 255, table_bytes);
    memset(groups, 0x5a, vx_pq_bytes(&shape, COUNT));
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t queries = 1; queries <= VX_PQ_QUERIES; queries++) {
            vx_pq_hit hits[VX_PQ_QUERIES * COUNT];
            vx_pq_query each[VX_PQ_QUERIES];
            for (size_t q = 0; q < queries; q++) each[q] = (vx_pq_query){table, 1, 0, INFINITY};
            vx_pq_rows rows = {groups, COUNT, shape, NULL, false};
            size_t found = vx_kernels_at(level)->pq_scan(&rows, each, queries, hits);
            ck_assert_uint_eq(found, queries * COUNT);
            for (size_t i = 0; i < found; i++) ck_assert_float_eq(hits[i].key, PARTS * 255.0f);
        }
    vx_free(groups);
    vx_free(table);
}

START_TEST(full_tables_do_not_overflow) {
    for (size_t bits = 4; bits <= 8; bits += 2) check_full(bits);
}
END_TEST

/* A quantizer of random words. */
static vx_pq *make_pq(size_t dim, size_t parts, size_t bits, uint64_t seed) {
    vx_pq_shape shape = {dim, parts, bits};
    vx_rng rng = vx_rng_seed(seed, dim);
    vx_pq *pq;
    ck_ok(vx_pq_create(&shape, &pq));
    for (size_t i = 0; i < dim * vx_pq_codes(&shape); i++)
        pq->words[i] = (float)vx_rng_normal(&rng);
    vx_pq_refresh_all(pq);
    return pq;
}

static double distance(const vx_pq *pq, size_t part, size_t code, const float *x) {
    size_t width = vx_pq_width(&pq->book.shape), codes = vx_pq_codes(&pq->book.shape);
    double sum = 0;
    for (size_t j = 0; j < width; j++)
        sum += pow((double)x[j] - (double)pq->words[(part * codes + code) * width + j], 2);
    return sum;
}

START_TEST(the_nearest_word_is_the_nearest) {
    static const size_t bits[] = {4, 6, 8};
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t b = 0; b < 3; b++) {
            enum { DIM = 36, PARTS = 4, WIDTH = DIM / PARTS };
            vx_pq *pq = make_pq(DIM, PARTS, bits[b], 5);
            vx_rng rng = vx_rng_seed(9, 9);
            size_t sure = 0;
            pq->kernels = vx_kernels_at(level);
            for (size_t trial = 0; trial < 400; trial++) {
                size_t part = trial % PARTS, best = 0;
                unsigned char code;
                uint32_t unsure[2];
                float x[WIDTH];
                for (size_t j = 0; j < WIDTH; j++) x[j] = (float)vx_rng_normal(&rng);
                for (size_t c = 1; c < vx_pq_codes(&pq->book.shape); c++)
                    if (distance(pq, part, c, x) < distance(pq, part, best, x)) best = c;
                sure += !pq->kernels->pq_nearest(&pq->book, part, 1, x, &code, unsure);
                ck_assert_uint_eq(vx_pq_encode_part(pq, part, x), best);
            }
            ck_assert_uint_gt(sure, 390);
            vx_pq_free(pq);
        }
}
END_TEST

/* Of equal words the first; and where single precision overflows, double precision decides. */
START_TEST(ties_and_huge_numbers_are_settled) {
    for (size_t level = 0; vx_kernels_at(level); level++) {
        vx_pq *pq = make_pq(6, 2, 4, 1);
        const float *words = pq->words + 16 * 3;
        float huge[3] = {3e30f, -2e30f, 1e30f};
        memcpy(pq->words + (16 + 11) * 3, words + 4 * 3, 3 * sizeof(float));
        pq->kernels = vx_kernels_at(level);
        vx_pq_refresh_all(pq);
        ck_assert_uint_eq(vx_pq_encode_part(pq, 1, words + 4 * 3), 4);
        for (size_t c = 0; c < 16; c++)
            for (size_t j = 0; j < 3; j++) pq->words[c * 3 + j] = (float)c * 1e30f;
        memcpy(pq->words + 7 * 3, huge, sizeof huge);
        vx_pq_refresh_all(pq);
        ck_assert_uint_eq(vx_pq_encode_part(pq, 0, huge), 7);
        vx_pq_free(pq);
    }
}
END_TEST

START_TEST(products_are_products) {
    static const size_t bits[] = {4, 6, 8};
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t b = 0; b < 3; b++) {
            enum { DIM = 35, PARTS = 5, WIDTH = 7 };
            vx_pq *pq = make_pq(DIM, PARTS, bits[b], 2);
            size_t codes = vx_pq_codes(&pq->book.shape);
            float x[DIM], products[PARTS * 256], scalar[PARTS * 256];
            for (size_t j = 0; j < DIM; j++) x[j] = (float)j - 10;
            vx_kernels_at(level)->pq_products(&pq->book, x, products);
            vx_kernels_at(0)->pq_products(&pq->book, x, scalar);
            ck_assert_mem_eq(products, scalar, PARTS * codes * sizeof(float));
            for (size_t i = 0; i < PARTS * codes; i++) {
                double sum = 0;
                for (size_t j = 0; j < WIDTH; j++)
                    sum += (double)x[i / codes * WIDTH + j] * (double)pq->words[i * WIDTH + j];
                ck_each(fabs((double)products[i] - sum) < 1e-3, "%g for %g", (double)products[i],
                        sum);
            }
            vx_pq_free(pq);
        }
}
END_TEST

/* Numbers of very different sizes; a part whose numbers are all alike; none that differ at all. */
static float some_number(vx_rng *rng, int trial, size_t part) {
    if (!trial || part == 3) return 3;
    return (float)pow(10, trial - 10) * (float)(vx_rng_normal(rng) + 5);
}

/* The least of numbers times a sign. */
static double extreme(const float *values, size_t count, double sign) {
    double least = INFINITY;
    for (size_t i = 0; i < count; i++)
        if (sign * (double)values[i] < least) least = sign * (double)values[i];
    return least;
}

static void check_bytes(const vx_kernels *kernels, size_t bits, int trial) {
    enum { PARTS = 9, MOST = PARTS * 256 };
    vx_pq_shape shape = {PARTS, PARTS, bits};
    vx_rng rng = vx_rng_seed(3, bits * 64 + (uint64_t)trial);
    size_t codes = vx_pq_codes(&shape);
    static float values[MOST];
    static unsigned char tables[MOST], scalar[MOST];
    double base, scalar_base, lows = 0, widest = 0;
    for (size_t i = 0; i < PARTS * codes; i++) values[i] = some_number(&rng, trial, i / codes);
    float step = kernels->pq_quantise(&shape, values, tables, &base);
    ck_assert_float_eq(step, vx_kernels_at(0)->pq_quantise(&shape, values, scalar, &scalar_base));
    ck_assert_mem_eq(tables, scalar, PARTS * codes);
    ck_assert_double_eq(base, scalar_base);
    for (size_t p = 0; p < PARTS; p++) {
        double low = extreme(values + p * codes, codes, 1);
        lows += low;
        widest = fmax(widest, -extreme(values + p * codes, codes, -1) - low);
        for (size_t i = p * codes; i < (p + 1) * codes; i++)
            ck_each(fabs((double)values[i] - low - (double)step * tables[i]) <=
                        VX_PQ_STEP_ERROR * (double)step,
                    "%g, step %g", (double)values[i], (double)step);
    }
    ck_assert_double_eq_tol(base, lows, 1e-9 * fabs(lows));
    ck_assert_double_le(fabs((double)step - widest / 255), 1e-6 * widest);
}

START_TEST(byte_tables_are_off_by_half_a_step) {
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t bits = 4; bits <= 8; bits += 2)
            for (int trial = 0; trial < 20; trial++) check_bytes(vx_kernels_at(level), bits, trial);
}
END_TEST

/* Ranges that single precision cannot cut into steps: no step, and all bytes 0. */
START_TEST(ranges_beyond_reason_have_no_step) {
    static const float widths[] = {1e-31f, 2e37f, INFINITY};
    enum { PARTS = 5, MOST = PARTS * 256 };
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t bits = 4; bits <= 8; bits += 2)
            for (size_t w = 0; w < VX_COUNT(widths); w++) {
                vx_pq_shape shape = {PARTS, PARTS, bits};
                float values[MOST] = {0};
                unsigned char tables[MOST], zeros[MOST] = {0};
                double base;
                memset(tables, 7, sizeof tables);
                values[vx_pq_codes(&shape) * 2 + 11] = widths[w];
                ck_assert(!(vx_kernels_at(level)->pq_quantise(&shape, values, tables, &base) > 0));
                ck_assert_mem_eq(tables, zeros, PARTS * vx_pq_codes(&shape));
            }
}
END_TEST

/* What a scan of bytes answers beside sums of the numbers they stand for. */
static void check_loss(const vx_kernels *kernels, size_t parts, size_t bits) {
    scene s;
    scene_make(&s, parts, bits, ROWS_MOST);
    vx_rng rng = vx_rng_seed(bits, parts);
    static vx_pq_hit hits[ROWS_MOST];
    size_t codes = vx_pq_codes(&s.shape);
    double base;
    for (size_t i = 0; i < parts * codes; i++) s.floats[0][i] = (float)vx_rng_normal(&rng);
    float step = kernels->pq_quantise(&s.shape, s.floats[0], s.bytes[0], &base);
    double loss = (double)parts * VX_PQ_STEP_ERROR * (double)step, worst = 0;
    vx_pq_query query = {s.bytes[0], step, (float)base, INFINITY};
    vx_pq_rows rows = {s.groups, ROWS_MOST, s.shape, NULL, false};
    ck_assert_uint_eq(kernels->pq_scan(&rows, &query, 1, hits), ROWS_MOST);
    for (size_t i = 0; i < ROWS_MOST; i++) {
        double sum = 0;
        for (size_t p = 0; p < parts; p++)
            sum += (double)s.floats[0][p * codes + s.codes[hits[i].row * parts + p]];
        worst = fmax(worst, fabs((double)hits[i].key - sum));
    }
    ck_each(worst <= loss + 1e-5 * (double)parts, "%s: %zu parts of %zu bits, off by %g of %g",
            kernels->name, parts, bits, worst, loss);
    ck_each(worst > 0.02 * loss, "%s: %zu parts of %zu bits, off by %g of %g", kernels->name, parts,
            bits, worst, loss);
    scene_free(&s);
}

START_TEST(keys_of_bytes_are_within_their_loss) {
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (size_t bits = 4; bits <= 8; bits += 2)
            for (size_t p = 0; p < VX_COUNT(parts_tried); p++)
                check_loss(vx_kernels_at(level), parts_tried[p], bits);
}
END_TEST

TEST_MAIN("simd/pq", codes_come_back, rows_alone_are_looked_up, scans_find_what_is_below_the_limit,
          full_tables_do_not_overflow, the_nearest_word_is_the_nearest,
          ties_and_huge_numbers_are_settled, products_are_products,
          byte_tables_are_off_by_half_a_step, ranges_beyond_reason_have_no_step,
          keys_of_bytes_are_within_their_loss)
