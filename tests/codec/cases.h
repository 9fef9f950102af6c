/* A run of coded rows, and a scorer loaded with queries of its kind. */
#ifndef TESTS_CODEC_CASES_H
#define TESTS_CODEC_CASES_H

#include <math.h>
#include <string.h>

#include "../harness.h"
#include "../oracle.h"
#include "../vectors.h"
#include "codec/codec.h"

enum { CODEC_QUERIES = 14 };

typedef struct codec_case {
    vx_codec *codec;
    vx_scorer *scorer;
    vx_block run;
    float *rows, *queries, *decoded, largest;
    size_t dim, count;
} codec_case;

/* The words are separated by commas; centre (NULL: none) lasts. */
static inline codec_case codec_case_for(const char *spec, const vectors *set,
                                        const vx_codec_use *use, const float *centre) {
    codec_case c = {.rows = vectors_make(set), .dim = set->dim, .count = set->count};
    char text[64];
    const char *words[8];
    size_t count = 0;
    snprintf(text, sizeof text, "%s", spec);
    for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) words[count++] = word;
    ck_ok(vx_codec_create(words, count, use, &c.codec));
    uint32_t *nearest = calloc(set->count, sizeof *nearest);
    vx_sample sample = {.vectors = c.rows,
                        .n = set->count,
                        .centres = centre,
                        .nearest = nearest,
                        .seed = 1,
                        .threads = 1};
    if (c.codec->ops->train) ck_ok(c.codec->ops->train(c.codec, &sample));
    free(nearest);
    double square = 0;
    for (size_t j = 0; centre && j < set->dim; j++) square += (double)centre[j] * (double)centre[j];
    vx_codec_centres(c.codec, (float)(sqrt(square) * 1.001));
    size_t room = (set->count + VX_CODEC_ROWS - 1) / VX_CODEC_ROWS * VX_CODEC_ROWS;
    c.run = (vx_block){.data = vx_alloc_zero(c.codec->ops->bytes(c.codec, room), 1),
                       .aux = vx_alloc_zero(room, c.codec->aux_each * sizeof(float)),
                       .fine = vx_alloc_zero(vx_codec_fine_bytes(c.codec, room), 1),
                       .centre = centre,
                       .count = set->count};
    c.decoded = malloc((set->count * set->dim + 1) * sizeof(float));
    for (size_t i = 0; i < set->count; i++) {
        vx_coded place = {&c.run, i};
        float number = c.codec->ops->encode(c.codec, c.rows + i * set->dim, place);
        c.largest = VX_MAX(c.largest, number);
    }
    for (size_t i = 0; i < set->count; i++)
        c.codec->ops->decode(c.codec, (vx_coded){&c.run, i}, c.decoded + i * set->dim);
    vectors asked = *set;
    asked.queries = true;
    asked.count = CODEC_QUERIES;
    c.queries = vectors_make(&asked);
    ck_ok(c.codec->ops->score(c.codec, CODEC_QUERIES, &c.scorer));
    return c;
}

static inline codec_case codec_case_make(const char *spec, const vectors *set, vindex_metric metric,
                                         const float *centre) {
    const vx_codec_use use = {.dim = set->dim, .metric = metric};
    return codec_case_for(spec, set, &use, centre);
}

static inline void codec_case_free(codec_case *c) {
    c->scorer->ops->free(c->scorer);
    vx_codec_free(c->codec);
    vx_free((void *)(uintptr_t)c->run.data);
    vx_free((void *)(uintptr_t)c->run.aux);
    vx_free(c->run.fine);
    free(c->rows);
    free(c->queries);
    free(c->decoded);
}

static inline double codec_case_settle(const codec_case *c, size_t query, size_t row) {
    return c->scorer->ops->settle(c->scorer, query, (vx_coded){&c->run, row});
}

/* Keys of rows looked up in any order are those of settling, but for single precision: share is how
 * far they may be off, of |q| |x| (|q|^2 + |x|^2 under L2). */
static inline void codec_case_gather(const codec_case *c, double share, const char *what) {
    float *keys = malloc((c->count + 1) * sizeof *keys);
    uint32_t *which = malloc((c->count + 1) * sizeof *which);
    const vx_scorer_ops *ops = c->scorer->ops;
    ck_ok(ops->load(c->scorer, c->queries, CODEC_QUERIES, c->largest, NULL));
    for (size_t i = 0; i < c->count; i++) which[i] = (uint32_t)(i * 7 % c->count);
    for (size_t q = 0; q < CODEC_QUERIES; q++) {
        ops->gather(c->scorer, q, &c->run, which, c->count, keys);
        for (size_t i = 0; i < c->count; i++) {
            double key = codec_case_settle(c, q, which[i]), a = 0, b = 0;
            const float *query = c->queries + q * c->dim, *row = c->decoded + which[i] * c->dim;
            for (size_t j = 0; j < c->dim; j++) {
                a += (double)query[j] * (double)query[j];
                b += (double)row[j] * (double)row[j];
            }
            vindex_metric metric = c->codec->space.metric;
            double size = metric == VINDEX_L2 ? a + b : sqrt(a) * sqrt(b);
            if (metric == VINDEX_COSINE) size = 1;
            if (metric == VINDEX_PEARSON) size = 16;
            ck_each(fabs(key - (double)keys[i]) <= share * size + 1e-37 || size > 1e36,
                    "%s: query %zu, row %u: %g, settled %g", what, q, which[i], (double)keys[i],
                    key);
        }
    }
    free(keys);
    free(which);
}

#endif
