/* Settling: the truth in double precision, and the same bits from every instruction set. */
#include <math.h>

#include "../harness.h"
#include "../oracle.h"
#include "stored.h"

enum { SETTLED = 9 }; /* numbers that settle_all computes */

/* Of all that settled_numbers_are_true_and_the_same_everywhere computes, on every machine. */
static const uint64_t SETTLED_DIGEST = 0x36e1122b7f844a74;

/* One row and one query, in all the forms a kernel takes. */
typedef struct operands {
    vindex_dtype type;
    size_t dim;
    float *query, *row, *weights;
    double *queries, *weights_wide;
    char *stored;
} operands;

static operands make_operands(vindex_dtype type, size_t dim, vx_rng *rng) {
    operands o = {.type = type, .dim = dim};
    o.query = random_numbers(VINDEX_F32, dim, rng);
    o.row = random_numbers(type, dim, rng);
    o.weights = random_numbers(VINDEX_F32, dim, rng);
    for (size_t j = 0; j < dim; j++) o.weights[j] = j % 5 ? fabsf(o.weights[j]) : 0;
    o.queries = padded_doubles(o.query, dim);
    o.weights_wide = padded_doubles(o.weights, dim);
    o.stored = store_rows(type, o.row, 1, dim, 0);
    return o;
}

static void free_operands(operands *o) {
    free(o->query);
    free(o->row);
    free(o->weights);
    free(o->queries);
    free(o->weights_wide);
    free(o->stored);
}

static void settle_all(const vx_kernels *kernels, const operands *o, double shift,
                       double out[SETTLED]) {
    for (int weighted = 0; weighted < 2; weighted++) {
        const double *weights = weighted ? o->weights_wide : NULL;
        vx_products products =
            kernels->settle_products[o->type](o->queries, weights, o->stored, o->dim, shift);
        *out++ = kernels->settle_l2[o->type](o->queries, weights, o->stored, o->dim);
        *out++ = products.dot;
        *out++ = products.square;
        *out++ = kernels->settle_sum[o->type](weights, o->stored, o->dim, shift);
    }
    vx_products alone = kernels->settle_products[o->type](NULL, NULL, o->stored, o->dim, shift);
    ck_assert(alone.dot == 0);
    *out = alone.square;
}

/* The sum of terms must be within the roundings of a sum over eight lanes. */
static void check_sum(double found, double truth, double reach, size_t dim, const char *what) {
    double bound = ((double)dim / 8 + 12) * 0x1p-53 * reach;
    ck_each(fabs(found - truth) <= bound, "%s, dim %zu: %.17g, the truth is %.17g", what, dim,
            found, truth);
}

static void check_truth(const operands *o, double shift, const double out[SETTLED]) {
    for (int weighted = 0; weighted < 2; weighted++, out += 4) {
        double dot = 0, dot_reach = 0, square = 0, sum = 0, sum_reach = 0;
        const float *weights = weighted ? o->weights : NULL;
        for (size_t j = 0; j < o->dim; j++) {
            double w = weights ? (double)weights[j] : 1, x = (double)o->row[j];
            dot += w * (double)o->query[j] * (x - shift);
            dot_reach += fabs(w * (double)o->query[j] * (x - shift));
            square += w * (x - shift) * (x - shift);
            sum += w * (x - shift);
            sum_reach += fabs(w * (x - shift));
        }
        oracle_hit distance = oracle_key(VINDEX_L2, o->dim, o->query, o->row, weights);
        check_sum(out[0], distance.key, distance.key, o->dim, "settle_l2");
        check_sum(out[1], dot, 8 * dot_reach, o->dim, "settle_products' dot");
        check_sum(out[2], square, 8 * square, o->dim, "settle_products' square");
        check_sum(out[3], sum, 8 * sum_reach, o->dim, "settle_sum");
    }
}

/* FNV-1a over the bits. */
static uint64_t digest(uint64_t hash, const double *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (int byte = 0; byte < 8; byte++)
            hash = (hash ^ (bits >> (8 * byte) & 0xff)) * 0x100000001b3u;
    }
    return hash;
}

START_TEST(settled_numbers_are_true_and_the_same_everywhere) {
    vx_rng rng = vx_rng_seed(3, 0);
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t t = 0; t < VX_COUNT(stored_types); t++)
        for (size_t dim = 1; dim <= 1030; dim += dim < 70 ? 1 : dim % 64 == 0 ? 1 : 63) {
            operands o = make_operands(stored_types[t], dim, &rng);
            double shift = dim % 2 ? 0.3 : 0, first[SETTLED];
            settle_all(vx_kernels_at(0), &o, shift, first);
            check_truth(&o, shift, first);
            hash = digest(hash, first, SETTLED);
            for (size_t i = 1; vx_kernels_at(i); i++) {
                double other[SETTLED];
                settle_all(vx_kernels_at(i), &o, shift, other);
                ck_each(!memcmp(first, other, sizeof first), "%s differs from scalar, dim %zu",
                        vx_kernels_at(i)->name, dim);
            }
            free_operands(&o);
        }
    ck_each(hash == SETTLED_DIGEST, "the bits changed: their digest is now %#llx",
            (unsigned long long)hash);
}
END_TEST

START_TEST(extreme_numbers_neither_overflow_nor_vanish) {
    enum { DIM = 100 };
    float large[DIM], small[DIM];
    double query[VX_PAD * 2] = {0};
    for (size_t j = 0; j < DIM; j++) large[j] = j % 2 ? 3e38f : -3e38f, small[j] = 0x1p-149f;
    for (size_t i = 0; vx_kernels_at(i); i++) {
        const vx_kernels *kernels = vx_kernels_at(i);
        double huge = kernels->settle_l2[VINDEX_F32](query, NULL, large, DIM);
        ck_assert_double_eq_tol(huge / (DIM * (double)3e38f * (double)3e38f), 1, 1e-14);
        double tiny = kernels->settle_l2[VINDEX_F32](query, NULL, small, DIM);
        ck_assert(tiny == DIM * 0x1p-298);
    }
}
END_TEST

TEST_MAIN("simd/settle", settled_numbers_are_true_and_the_same_everywhere,
          extreme_numbers_neither_overflow_nor_vanish)
