/* Kernels of product quantization against plain loops in double precision, for every table that
 * this machine can run. */
#include "simd/kernels.h"

#include <math.h>

#include "../harness.h"
#include "core/rng.h"
#include "pq/pq.h"

enum { ROWS_MOST = 70 };

static const size_t parts_tried[] = {1, 3, 8, 13, 15, 29, 64, 300};

/* Rows of random codes, packed, and tables of random numbers. */
typedef struct scene {
    vx_pq_shape shape;
    size_t count;
    unsigned char *codes, *groups;
    float *values[VX_PQ_QUERIES]; /* parts x codes */
    void *tables[VX_PQ_QUERIES];
    float aux[ROWS_MOST];
    double sums[VX_PQ_QUERIES][ROWS_MOST]; /* what the rows look up, in double precision */
} scene;

static double plain_sum(const scene *s, size_t q, size_t row) {
    const unsigned char *codes = s->codes + row * s->shape.parts;
    double sum = 0;
    for (size_t p = 0; p < s->shape.parts; p++)
        sum += (double)s->values[q][p * vx_pq_codes(&s->shape) + codes[p]];
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
        s->values[q] = vx_alloc(parts * codes, sizeof(float));
        s->tables[q] = vx_alloc_zero(slots * codes, sizeof(float));
        for (size_t i = 0; i < parts * codes; i++) {
            s->values[q][i] =
                bits == 4 ? (float)vx_rng_below(&rng, 256) : (float)vx_rng_normal(&rng);
            if (bits == 4)
                ((unsigned char *)s->tables[q])[i] = (unsigned char)s->values[q][i];
            else
                ((float *)s->tables[q])[i] = s->values[q][i];
        }
        for (size_t i = 0; i < count; i++) s->sums[q][i] = plain_sum(s, q, i);
    }
}

static void scene_free(scene *s) {
    vx_free(s->codes);
    vx_free(s->groups);
    for (size_t q = 0; q < VX_PQ_QUERIES; q++) {
        vx_free(s->values[q]);
        vx_free(s->tables[q]);
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
            vx_pq_query query = {s->tables[0], shape.bits == 4 ? 0.25f : 1, -2, 0};
            vx_pq_listed listed = {rows, shape, which, count};
            keys[count] = 7;
            vx_kernels_at(t)->pq_gather(&listed, &query, keys);
            ck_assert(keys[count] == 7);
            for (size_t i = 0; i < count; i++) {
                double key = s->sums[0][which[i]] * (double)query.step - 2;
                double slack = shape.bits == 4 ? 0 : 1e-5 * (double)shape.parts;
                ck_each(fabs((double)keys[i] - key) <= slack, "%s, %zux%zu: %g, not %g",
                        vx_kernels_at(t)->name, shape.parts, shape.bits, (double)keys[i], key);
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
        float step = s->shape.bits == 4 ? 0.25f : 1;
        each[q] = (vx_pq_query){s->tables[q], step, -2, (float)((low + high) / 2) * step - 2};
        slack[q] = 1e-5 * (double)s->shape.parts * (s->shape.bits == 4 ? 256 : 4);
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
            ck_each(seen[q][r] == (key < limit), "%s: %zu parts of %zu bits, row %zu: %g for %g",
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
    static const size_t bits[] = {4, 6, 8}, counts[] = {1, 16, 23, ROWS_MOST};
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
START_TEST(full_tables_do_not_overflow) {
    enum { PARTS = VX_PQ_PARTS_MOST, COUNT = 33 };
    vx_pq_shape shape = {PARTS, PARTS, 4};
    unsigned char *groups = vx_alloc(vx_pq_bytes(&shape, COUNT), 1);
    unsigned char *table = vx_alloc(vx_pq_slots(&shape), 16);
    memset(table, 255, vx_pq_slots(&shape) * 16);
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

START_TEST(byte_tables_are_off_by_half_a_step) {
    enum { PARTS = 9 };
    vx_rng rng = vx_rng_seed(3, 3);
    for (size_t level = 0; vx_kernels_at(level); level++)
        for (int trial = 0; trial < 20; trial++) {
            float values[PARTS * 16], scale = (float)pow(10, trial - 10);
            unsigned char tables[PARTS * 16];
            double base, lows = 0;
            for (size_t i = 0; i < PARTS * 16; i++)
                values[i] = trial ? scale * (float)(vx_rng_normal(&rng) + 5) : 3;
            float step = vx_kernels_at(level)->pq_quantise(values, PARTS, tables, &base);
            for (size_t p = 0; p < PARTS; p++) {
                double low = INFINITY;
                for (size_t i = 0; i < 16; i++) low = fmin(low, (double)values[p * 16 + i]);
                lows += low;
                for (size_t i = 0; i < 16; i++)
                    ck_each(fabs((double)values[p * 16 + i] - low -
                                 (double)step * tables[p * 16 + i]) <=
                                VX_PQ_STEP_ERROR * (double)step,
                            "%g, step %g", (double)values[p * 16 + i], (double)step);
            }
            ck_assert_double_eq_tol(base, lows, 1e-9 * fabs(lows));
        }
}
END_TEST

TEST_MAIN("simd/pq", codes_come_back, rows_alone_are_looked_up, scans_find_what_is_below_the_limit,
          full_tables_do_not_overflow, the_nearest_word_is_the_nearest,
          ties_and_huge_numbers_are_settled, products_are_products,
          byte_tables_are_off_by_half_a_step)
