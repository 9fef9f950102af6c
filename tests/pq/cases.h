/* An index of product codes beside an oracle that knows what its rows decode to. */
#ifndef TESTS_PQ_CASES_H
#define TESTS_PQ_CASES_H

#include "../flat/cases.h"
#include "ivf/ivf.h"

enum { PQ_ALL = 1 << 20 /* nprobe */ };

/* Trained on the rows themselves, and filled with them. */
static inline flat_case pq_case_make(const char *spec, const vectors *rows, vindex_metric metric,
                                     const int64_t *ids) {
    vindex_index *index;
    ck_ok(vindex_create(spec, (int64_t)rows->dim, metric, &index));
    float *numbers = vectors_make(rows);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1;
    ck_ok(vindex_train(index, numbers, (int64_t)rows->count, &call));
    free(numbers);
    flat_case c = flat_case_fill(index, rows, metric, ids);
    flat_case_decode(&c);
    size_t length = strlen(c.name);
    snprintf(c.name + length, sizeof c.name - length, ", %s", spec);
    return c;
}

static inline vindex_search_params pq_params(int64_t k, int32_t threads) {
    vindex_search_params params = search_params(k, threads);
    params.nprobe = PQ_ALL;
    return params;
}

#endif
