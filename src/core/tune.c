/* Finding operating points: the recall of a sample at chosen parameters, and the smallest that
 * reach what is wanted. */
#include <math.h>
#include <omp.h>

#include "points.h"

enum {
    RECALLS_MOST = 100,
    FINENESS = 64, /* a value is found to a part in so many of itself */
    PASSES = 2     /* of which the faster counts, where the answer is known */
};

/* A pace other than the initial one must take that much less time: clocks are off by some. */
static const double pace_gain = 0.98;

/* Of a normal distribution: 95% lie above the mean less so many standard deviations. */
static const double confidence = 1.645;

static const double usual_recalls[] = {0.5,  0.6,  0.7,  0.8,   0.85,  0.9, 0.95,
                                       0.97, 0.98, 0.99, 0.995, 0.999, 1};

static const vindex_field tune_fields[] = {
    {"k", VINDEX_FIELD_INT64, offsetof(vindex_tune_params, k), 1, INT32_MAX, 10,
     "neighbours whose recall is meant"},
};
static const vindex_field_table tune_table = {"tune", sizeof(vindex_tune_params), tune_fields,
                                              VX_COUNT(tune_fields)};

const vindex_field_table *vindex_tune_fields(void) {
    return &tune_table;
}

void vindex_tune_params_init_sized(vindex_tune_params *params, size_t struct_size) {
    vindex_fields_init(&tune_table, params, struct_size);
}

/* Parameters that were tried, and what they gave. */
typedef struct trial {
    int64_t values[VX_KNOBS_MOST];
    double measured, recall; /* the mean, and what other queries reach for sure enough */
    double seconds;
} trial;

typedef struct tuning {
    const vindex_index *index;
    const vindex_call *call;
    const float *queries;
    size_t n, k;
    int64_t *truth; /* n x k */
    double *shares; /* of each query's neighbours that were found; -1: it has none */
    vx_knob knobs[VX_KNOBS_MOST];
    size_t knob_count;
    double recalls[RECALLS_MOST]; /* rising */
    size_t recall_count;
    bool usual;    /* they are the usual ones, not all of which need be reached */
    trial *trials; /* of the choice at hand of all knobs but the first, which rises */
    size_t trial_count, trial_room;
    trial *best; /* per recall; seconds infinite: not reached */
    trial last;  /* the largest parameters, where something was not reached */
    double progress;
} tuning;

static int compare_ids(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void keep_truth(void *context, size_t query, const vx_hit *hits, size_t count) {
    const tuning *t = context;
    for (size_t i = 0; i < t->k; i++) t->truth[query * t->k + i] = i < count ? hits[i].id : -1;
}

/* truth is sorted, with -1 first. */
static void keep_share(void *context, size_t query, const vx_hit *hits, size_t count) {
    const tuning *t = context;
    const int64_t *truth = t->truth + query * t->k;
    size_t none = 0, found = 0;
    while (none < t->k && truth[none] < 0) none++;
    for (size_t i = 0; i < count; i++)
        found += bsearch(&hits[i].id, truth, t->k, sizeof *truth, compare_ids) != NULL;
    t->shares[query] = none < t->k ? (double)found / (double)(t->k - none) : -1;
}

static vindex_status ask(const tuning *t, const int64_t *values, vx_answer_fn answer) {
    vx_request request = {.queries = t->queries,
                          .query_count = t->n,
                          .k = t->k,
                          .threads = vx_threads(t->call->threads),
                          .answer = answer,
                          .answer_context = (void *)(uintptr_t)t};
    for (size_t i = 0; i < t->knob_count; i++) {
        size_t value = (size_t)values[i];
        memcpy((char *)&request + t->knobs[i].asked, &value, sizeof value);
    }
    return t->index->ops->search(t->index, &request);
}

/* Mean and standard error of what the queries found. */
static void judge(const tuning *t, trial *made) {
    double sum = 0, squares = 0, count = 0;
    for (size_t q = 0; q < t->n; q++) {
        if (t->shares[q] < 0) continue;
        sum += t->shares[q];
        count++;
    }
    made->measured = count > 0 ? sum / count : 1;
    for (size_t q = 0; q < t->n; q++)
        if (t->shares[q] >= 0)
            squares += (t->shares[q] - made->measured) * (t->shares[q] - made->measured);
    double error = count > 1 ? sqrt(squares / (count - 1) / count) : 0;
    made->recall = fmax(made->measured - confidence * error, 0);
}

static vindex_status try_values(tuning *t, trial *made) {
    double start = omp_get_wtime();
    VX_TRY(ask(t, made->values, keep_share));
    made->seconds = omp_get_wtime() - start;
    judge(t, made);
    t->progress += 0.1 * (1 - t->progress); /* how many trials it takes is known at the end */
    return vx_progress(t->call->progress, t->call->progress_context, "tune", t->progress);
}

/* The trial with that value of the first knob, made if it was not; others: the other knobs. */
static vindex_status trial_at(tuning *t, const int64_t *others, int64_t value, trial *found) {
    for (size_t i = 0; i < t->trial_count; i++)
        if (t->trials[i].values[0] == value) {
            *found = t->trials[i];
            return VINDEX_OK;
        }
    void *trials = t->trials;
    if (!vx_grow(&trials, &t->trial_room, t->trial_count + 1, sizeof *t->trials))
        return vx_fail_memory(t->trial_count + 1, sizeof *t->trials, "tune");
    t->trials = trials;
    memcpy(found->values, others, sizeof found->values);
    found->values[0] = value;
    VX_TRY(try_values(t, found));
    t->trials[t->trial_count++] = *found;
    return VINDEX_OK;
}

/* The smallest value of the first knob from `from` on that gives a recall: doubled until it is
 * reached, then bisected. reached: whether one does. */
static vindex_status find_value(tuning *t, const int64_t *others, int64_t from, double recall,
                                trial *found, bool *reached) {
    int64_t most = t->knobs[0].most, low = from - 1, high = from;
    VX_TRY(trial_at(t, others, high, found));
    while (found->recall < recall && high < most) {
        low = high;
        high = high > most / 2 ? most : 2 * high;
        VX_TRY(trial_at(t, others, high, found));
    }
    *reached = found->recall >= recall;
    while (*reached && high - low > 1 + high / FINENESS) {
        int64_t middle = low + (high - low) / 2;
        trial made;
        VX_TRY(trial_at(t, others, middle, &made));
        if (made.recall >= recall) {
            high = middle;
            *found = made;
        } else {
            low = middle;
        }
    }
    return VINDEX_OK;
}

/* All recalls at one choice of the other knobs, the best kept. */
static vindex_status tune_first(tuning *t, const int64_t *others) {
    int64_t from = t->knobs[0].least;
    t->trial_count = 0;
    for (size_t i = 0; i < t->recall_count; i++) {
        trial found;
        bool reached;
        VX_TRY(find_value(t, others, from, t->recalls[i], &found, &reached));
        if (!reached) break;
        if (found.seconds < t->best[i].seconds) t->best[i] = found;
        from = found.values[0];
    }
    return VINDEX_OK;
}

/* Every choice of the other knobs, each from its least on, doubled; the pace is chosen later. */
static vindex_status tune_all(tuning *t) {
    int64_t others[VX_KNOBS_MOST] = {0};
    for (size_t i = 0; i < t->knob_count; i++)
        others[i] = t->knobs[i].pace ? t->knobs[i].initial : t->knobs[i].least;
    for (bool more = true; more;) {
        VX_TRY(tune_first(t, others));
        more = false;
        for (size_t i = 1; i < t->knob_count && !t->knobs[i].pace && !more; i++) {
            more = others[i] < t->knobs[i].most;
            if (!more)
                others[i] = t->knobs[i].least;
            else
                others[i] = others[i] > t->knobs[i].most / 2 ? t->knobs[i].most : 2 * others[i];
        }
    }
    return VINDEX_OK;
}

/* ---- the pace, which changes no answer ---- */

/* Seconds that the points found take together at that pace, each in its faster pass. */
static vindex_status time_pace(tuning *t, size_t knob, int64_t value, double *seconds) {
    *seconds = 0;
    for (size_t i = 0; i < t->recall_count; i++) {
        double least = INFINITY;
        for (int pass = 0; pass < PASSES && !isinf(t->best[i].seconds); pass++) {
            trial made = t->best[i];
            made.values[knob] = value;
            VX_TRY(try_values(t, &made));
            least = fmin(least, made.seconds);
        }
        if (!isinf(least)) *seconds += least;
    }
    return VINDEX_OK;
}

/* The fastest of some values for all points: one walker may be one too few on one machine and four
 * too many on another. */
static vindex_status tune_pace(tuning *t) {
    size_t knob = t->knob_count - 1;
    if (!t->knob_count || !t->knobs[knob].pace) return VINDEX_OK;
    int64_t chosen = t->knobs[knob].initial;
    double seconds, least;
    VX_TRY(time_pace(t, knob, chosen, &least));
    least *= pace_gain;
    for (int64_t value = t->knobs[knob].least; value <= t->knobs[knob].most;
         value += (value + 1) / 2) {
        VX_TRY(time_pace(t, knob, value, &seconds));
        if (!(seconds < least)) continue;
        least = seconds;
        chosen = value;
    }
    for (size_t i = 0; i < t->recall_count; i++) t->best[i].values[knob] = chosen;
    t->last.values[knob] = chosen;
    return VINDEX_OK;
}

static vx_point point_of(const tuning *t, const trial *made) {
    vx_point point = {.k = (int64_t)t->k,
                      .queries = (int64_t)t->n,
                      .vectors = (int64_t)t->index->ops->count(t->index),
                      .recall = made->recall,
                      .measured = made->measured};
    memcpy(point.values, made->values, sizeof point.values);
    return point;
}

/* Stores what was found, each choice of parameters once. */
static vindex_status store(const tuning *t, vindex_index *index) {
    vx_point points[RECALLS_MOST + 1];
    size_t count = 0;
    bool all = true;
    for (size_t i = 0; i <= t->recall_count; i++) {
        bool last = i == t->recall_count;
        const trial *made = last ? &t->last : &t->best[i];
        if (last && (all || !t->usual)) break;
        if (!last && isinf(made->seconds)) {
            all = false;
            if (t->usual) continue;
            return vx_fail(
                VINDEX_ERR_UNSUPPORTED,
                "tune: recall %.6g was asked for and the largest parameters give %.6g "
                "of %zu neighbours to 95%% of samples; ask for less, or bring more queries",
                t->recalls[i], t->last.recall, t->k);
        }
        if (!count || made->recall > points[count - 1].recall) points[count++] = point_of(t, made);
    }
    return vx_points_set(index, (int64_t)t->k, points, count);
}

static vindex_status find_points(tuning *t, vindex_index *index) {
    size_t reached = 0;
    for (size_t i = 0; i < t->recall_count; i++) t->best[i].seconds = INFINITY;
    if (t->knob_count) VX_TRY(tune_all(t));
    while (reached < t->recall_count && !isinf(t->best[reached].seconds)) reached++;
    for (size_t i = 0; i < t->knob_count; i++)
        t->last.values[i] = t->knobs[i].pace ? t->knobs[i].initial : t->knobs[i].most;
    if (reached < t->recall_count) VX_TRY(try_values(t, &t->last));
    for (size_t i = 0; i < t->recall_count && !t->knob_count; i++)
        if (t->last.recall >= t->recalls[i]) t->best[i] = t->last;
    VX_TRY(tune_pace(t));
    return store(t, index);
}

static vindex_status search_exact(const tuning *t, const vindex_index *exact) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = (int64_t)t->k;
    params.threads = t->call->threads;
    return vindex_search(exact, t->queries, (int64_t)t->n, &params, t->truth, NULL);
}

static vindex_status find_truth(tuning *t, const vindex_tune_params *params) {
    int64_t largest[VX_KNOBS_MOST] = {0};
    for (size_t i = 0; i < t->knob_count; i++) largest[i] = t->knobs[i].most;
    if (params->truth) {
        for (size_t q = 0; q < t->n; q++)
            memcpy(t->truth + q * t->k, params->truth + q * (size_t)params->truth_k,
                   t->k * sizeof *t->truth);
    } else {
        VX_TRY(params->exact ? search_exact(t, params->exact) : ask(t, largest, keep_truth));
    }
    for (size_t q = 0; q < t->n; q++)
        qsort(t->truth + q * t->k, t->k, sizeof *t->truth, compare_ids);
    return VINDEX_OK;
}

static int compare_recalls(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static vindex_status take_recalls(const vindex_tune_params *params, tuning *t) {
    if (!params->recalls != !params->recall_count || params->recall_count < 0 ||
        params->recall_count > RECALLS_MOST)
        return vx_fail(
            VINDEX_ERR_ARGUMENT, "tune: %lld recalls at %s; give 1 to %d of them, or NULL and 0",
            (long long)params->recall_count, params->recalls ? "an address" : "NULL", RECALLS_MOST);
    t->usual = !params->recalls;
    t->recall_count = t->usual ? VX_COUNT(usual_recalls) : (size_t)params->recall_count;
    memcpy(t->recalls, t->usual ? usual_recalls : params->recalls,
           t->recall_count * sizeof *t->recalls);
    for (size_t i = 0; i < t->recall_count; i++)
        if (!(t->recalls[i] > 0 && t->recalls[i] <= 1))
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "tune: recall %g; a recall is above 0 and at most 1", t->recalls[i]);
    qsort(t->recalls, t->recall_count, sizeof *t->recalls, compare_recalls);
    return VINDEX_OK;
}

static vindex_status check(const vindex_index *index, const vindex_tune_params *params, size_t n) {
    VX_TRY(vindex_fields_check(&tune_table, params));
    if (!vindex_is_trained(index) || !index->ops->count(index))
        return vx_fail(VINDEX_ERR_STATE,
                       "tune: the index holds no vectors; train it and add them first");
    if (!n) return vx_fail(VINDEX_ERR_ARGUMENT, "tune: no queries; give some, better a thousand");
    if (params->truth && params->exact)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "tune: the truth was given twice, as ids and as an exact index; give one");
    if (params->truth && params->truth_k < params->k)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "tune: %lld true neighbours per query and k is %lld; give at least k",
                       (long long)params->truth_k, (long long)params->k);
    if (!params->exact) return VINDEX_OK;
    if (!(params->exact->capabilities & VINDEX_IS_EXACT))
        return vx_fail(VINDEX_ERR_ARGUMENT, "tune: the index '%s' is not exact; give a flat one",
                       params->exact->spec);
    if (params->exact->dim != index->dim || params->exact->metric != index->metric)
        return vx_fail(VINDEX_ERR_DIMENSION,
                       "tune: the exact index compares %zu numbers by %s and the index %zu by %s; "
                       "they must agree",
                       params->exact->dim, vindex_metric_name(params->exact->metric), index->dim,
                       vindex_metric_name(index->metric));
    return VINDEX_OK;
}

vindex_status vx_tune(vindex_index *index, const float *queries, size_t n,
                      const vindex_tune_params *given, const vindex_call *call) {
    vindex_tune_params params;
    vindex_tune_params_init(&params);
    if (given) params = *given;
    VX_TRY(check(index, &params, n));
    tuning t = {.index = index, .call = call, .queries = queries, .n = n, .k = (size_t)params.k};
    VX_TRY(take_recalls(&params, &t));
    t.knob_count = vx_knobs_of(index, t.knobs);
    size_t ids;
    t.truth = vx_mul(n, t.k, &ids) ? vx_alloc(ids, sizeof *t.truth) : NULL;
    t.shares = vx_alloc(n, sizeof *t.shares);
    t.best = vx_alloc(t.recall_count, sizeof *t.best);
    vindex_status status = VINDEX_OK;
    if (!t.truth || !t.shares || !t.best)
        status = vx_fail_memory(n, t.k * sizeof *t.truth, "tune: the true neighbours");
    if (status == VINDEX_OK) status = find_truth(&t, &params);
    if (status == VINDEX_OK) status = find_points(&t, index);
    vx_free(t.truth);
    vx_free(t.shares);
    vx_free(t.best);
    vx_free(t.trials);
    return status;
}
