/* An IVF index beside an oracle that knows what is in it. */
#ifndef TESTS_IVF_CASES_H
#define TESTS_IVF_CASES_H

#include "../flat/cases.h"
#include "ivf/ivf.h"

enum { IVF_LISTS = 9, IVF_ALL = 1 << 20 /* nprobe */ };

/* The same rows, in lists; spec NULL: "IVF9,Flat" with the storage type of the rows. */
static inline flat_case ivf_case_make(const char *spec, const vectors *rows, vindex_metric metric,
                                      const int64_t *ids) {
    char own[64];
    vindex_index *index;
    snprintf(own, sizeof own, "IVF%d,Flat,%s", IVF_LISTS, vindex_dtype_name(rows->dtype));
    ck_ok(vindex_create(spec ? spec : own, (int64_t)rows->dim, metric, &index));
    float *numbers = vectors_make(rows);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = 1;
    ck_ok(vindex_train(index, numbers, (int64_t)rows->count, &call));
    free(numbers);
    return flat_case_fill(index, rows, metric, ids);
}

static inline vindex_search_params probe_params(int64_t k, int32_t threads, int64_t nprobe) {
    vindex_search_params params = search_params(k, threads);
    params.nprobe = nprobe;
    return params;
}

#endif
