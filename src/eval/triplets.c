/* Triplet prediction: is the positive nearer to the anchor than the negative? */
#include <math.h>

#include "exact/group.h"
#include "job.h"

enum { BATCH = 256 /* triplets whose anchors are loaded together */ };

static vindex_status check(const vindex_eval_triplets *asked) {
    vindex_eval_sets sets = {
        .candidates = asked->vectors, .candidate_count = asked->rows, .dim = asked->dim};
    if (asked->rows < 0 || asked->count < 1 || !asked->triplets)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: %lld triplets of %lld rows; give at least one",
                       (long long)asked->count, (long long)asked->rows);
    VX_TRY(vx_eval_check_vectors(&sets, true));
    for (int64_t i = 0; i < asked->count * 3; i++)
        if (asked->triplets[i] < 0 || asked->triplets[i] >= asked->rows)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "eval: triplet %lld names row %lld and there are %lld; count from 0",
                           (long long)(i / 3), (long long)asked->triplets[i],
                           (long long)asked->rows);
    return VINDEX_OK;
}

static const float *row_of(const vindex_eval_triplets *asked, int64_t triplet, int place) {
    return asked->vectors + (size_t)asked->triplets[triplet * 3 + place] * (size_t)asked->dim;
}

static void judge(const vindex_eval_triplets *asked, const vx_group *group, int64_t first,
                  int threads, vindex_eval_triplet_report *report) {
    int64_t right = 0, tied = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : right, tied)
    for (size_t q = 0; q < group->count; q++) {
        double near = vx_group_settle(group, q, row_of(asked, first + (int64_t)q, 1));
        double far = vx_group_settle(group, q, row_of(asked, first + (int64_t)q, 2));
        right += near < far;
        tied += near == far;
    }
    report->right += right;
    report->tied += tied;
}

static vindex_status judge_all(const vindex_eval_triplets *asked, const vindex_eval_params *params,
                               vx_group *group, float *anchors,
                               vindex_eval_triplet_report *report) {
    int threads = vx_threads(params->threads);
    size_t dim = (size_t)asked->dim;
    for (int64_t first = 0; first < asked->count; first += BATCH) {
        size_t count = (size_t)VX_MIN(asked->count - first, (int64_t)BATCH);
        for (size_t q = 0; q < count; q++)
            memcpy(anchors + q * dim, row_of(asked, first + (int64_t)q, 0), dim * sizeof *anchors);
        VX_TRY(vx_group_load(group, anchors, count, threads));
        judge(asked, group, first, threads, report);
        VX_TRY(vx_progress(params->progress, params->progress_context, "triplets",
                           (double)(first + (int64_t)count) / (double)asked->count));
    }
    return VINDEX_OK;
}

vindex_status vindex_eval_triplet_accuracy(const vindex_eval_triplets *asked,
                                           const vindex_eval_params *given,
                                           vindex_eval_triplet_report *report) {
    if (!asked || !report)
        return vx_fail(VINDEX_ERR_ARGUMENT, "eval: the triplets or the report is NULL; give both");
    vindex_eval_params params;
    vindex_eval_params_init(&params);
    if (given) {
        VX_TRY(vindex_fields_check(vindex_eval_fields(), given));
        params = *given;
    }
    VX_TRY(check(asked));
    if (!vx_kernels_get()) return VINDEX_ERR_UNSUPPORTED;
    vx_space space = {params.metric, VINDEX_F32, (size_t)asked->dim, NULL};
    vx_group group;
    VX_TRY(vx_group_create(&space, BATCH, false, &group));
    float *anchors = vx_alloc(BATCH, space.dim * sizeof *anchors);
    vindex_eval_triplet_report found = {.triplets = asked->count};
    vindex_status status =
        anchors ? judge_all(asked, &params, &group, anchors, &found)
                : vx_fail_memory(BATCH, space.dim * sizeof *anchors, "eval: anchors");
    vx_free(anchors);
    vx_group_free(&group);
    if (status) return status;
    found.accuracy = (double)found.right / (double)found.triplets;
    *report = found;
    return VINDEX_OK;
}
