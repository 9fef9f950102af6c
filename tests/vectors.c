#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "halves.h"

enum { ROWS = 0, QUERIES = 1, SHARED = 2 }; /* streams of random numbers */

const char *vectors_name(vectors_kind kind) {
    static const char *const names[VECTORS_KINDS] = {
        "uniform",  "normal", "clustered", "one-hot", "whole", "near",   "tied",
        "denormal", "norms",  "constant",  "offset",  "far",   "cancel", "drift"};
    return names[kind];
}

bool vectors_exact(vectors_kind kind) {
    return kind == VECTORS_ONE_HOT || kind == VECTORS_WHOLE;
}

/* Roughly normal, and cheap: the sum of four uniform numbers. */
static double bell(vx_rng *rng) {
    uint64_t bits = vx_rng_next(rng);
    int sum = 0;
    for (int i = 0; i < 4; i++) sum += (int)(bits >> (16 * i) & 0xffff);
    return (sum - 131070) / 37837.0;
}

static double smallest(vindex_dtype type) {
    return type == VINDEX_F16 ? 0x1p-24 : type == VINDEX_BF16 ? 0x1p-133 : 0x1p-149;
}

/* A length from tiny to huge, one per vector. */
static double random_length(vx_rng *rng, vindex_dtype type) {
    double exponent = vx_rng_uniform(rng);
    if (type == VINDEX_F16) return pow(10, -6 + 10 * exponent);
    return pow(10, -30 + 60 * exponent);
}

/* What a whole vector has in common. */
typedef struct traits {
    double scale, level;
    uint64_t place;
    bool flat;
} traits;

static traits traits_of(const vectors *set, vx_rng *rng) {
    traits t = {.scale = 1};
    t.place = vx_rng_below(rng, set->dim);
    if (set->kind == VECTORS_NORMS) t.scale = random_length(rng, set->dtype);
    if (set->kind == VECTORS_DRIFT) {
        vx_rng shared = vx_rng_seed(set->seed, SHARED + set->queries);
        t.level = (float)(1 + vx_rng_uniform(&shared));
    }
    if (set->kind == VECTORS_CONSTANT) {
        uint64_t form = vx_rng_below(rng, 4);
        t.flat = form < 2;
        t.level = form == 0 ? 0 : vx_rng_uniform(rng) * 3 - 1;
    }
    return t;
}

static double number(const vectors *set, const traits *t, vx_rng *rng, size_t j) {
    switch (set->kind) {
    case VECTORS_UNIFORM:
        return vx_rng_uniform(rng);
    case VECTORS_ONE_HOT:
        return j == t->place ? 1 + (double)(t->place % 2) : 0;
    case VECTORS_WHOLE:
        return (double)vx_rng_below(rng, 7) - 3;
    case VECTORS_DENORMAL:
        return smallest(set->dtype) * ((double)vx_rng_below(rng, 2001) - 1000);
    case VECTORS_NORMS:
        return t->scale * bell(rng) / sqrt((double)set->dim);
    case VECTORS_CONSTANT:
        if (t->flat || j % 3 == 0) return t->flat ? t->level : 0.7;
        return bell(rng);
    case VECTORS_OFFSET:
        return 10000 + bell(rng);
    case VECTORS_FAR:
        return set->queries ? 50 + 10 * bell(rng) : bell(rng);
    case VECTORS_CANCEL: /* rows repeat a number, queries repeat it with the sign turned */
        return (set->queries && j % 2 ? -1 : 1) * (100 + 1e-3 * bell(rng));
    case VECTORS_DRIFT:
        return (j < set->dim / 2 ? 1 : -1) * t->level * (vx_rng_below(rng, 16) ? 1 : 1 + 0x1p-23);
    default:
        return bell(rng);
    }
}

/* One of few vectors, the same for rows and queries of a seed. */
static void fill_from_pool(const vectors *set, vx_rng *rng, float *x) {
    uint64_t which = vx_rng_below(rng, 5);
    vx_rng shared = vx_rng_seed(set->seed, SHARED + which);
    for (size_t j = 0; j < set->dim; j++) x[j] = (float)bell(&shared);
    if (set->kind == VECTORS_CLUSTERED)
        for (size_t j = 0; j < set->dim; j++) x[j] += (float)(0.01 * bell(rng));
}

/* The shared vector with a few numbers moved by one unit in the last place of the storage type. */
static void fill_near(const vectors *set, vx_rng *rng, float *x) {
    vx_rng shared = vx_rng_seed(set->seed, SHARED);
    for (size_t j = 0; j < set->dim; j++) x[j] = as_stored(set->dtype, (float)bell(&shared));
    float step = set->dtype == VINDEX_F32   ? 0x1p-23f
                 : set->dtype == VINDEX_F16 ? 0x1p-10f
                                            : 0x1p-7f;
    for (int i = 0; i < 2; i++) {
        float *moved = &x[vx_rng_below(rng, set->dim)];
        *moved *= 1 + (vx_rng_below(rng, 2) ? step : -step);
    }
}

float *vectors_make(const vectors *set) {
    float *numbers = malloc((set->count * set->dim + 1) * sizeof *numbers);
    vx_rng rng = vx_rng_seed(set->seed, set->queries ? QUERIES : ROWS);
    for (size_t i = 0; i < set->count; i++) {
        float *x = numbers + i * set->dim;
        if (set->kind == VECTORS_CLUSTERED || set->kind == VECTORS_TIED) {
            fill_from_pool(set, &rng, x);
        } else if (set->kind == VECTORS_NEAR && !(set->queries && i % 2)) {
            fill_near(set, &rng, x);
        } else {
            traits t = traits_of(set, &rng);
            for (size_t j = 0; j < set->dim; j++) x[j] = (float)number(set, &t, &rng, j);
        }
        for (size_t j = 0; j < set->dim && !set->queries; j++) x[j] = as_stored(set->dtype, x[j]);
    }
    return numbers;
}
