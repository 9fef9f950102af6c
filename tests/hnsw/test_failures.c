/* What goes wrong on the way leaves a graph as it was: memory, and the caller's will. */
#include "../core/scratch.h"
#include "cases.h"

enum { COUNT = 150, DIM = 5, QUERIES = 14, ATTEMPTS = 600 };

/* The failing verb runs on one thread, so that which allocation fails is the same every time. */

static flat_case make_case(void) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = DIM, .count = COUNT, .seed = 8};
    return hnsw_case_make(&rows, VINDEX_L2, NULL);
}

static void check_unchanged(const flat_case *c) {
    float *queries = flat_case_queries(c, QUERIES);
    oracle_ranking *rankings = flat_case_rank(c, queries, QUERIES, NULL, 0);
    vindex_search_params params = ef_params(20, 1, HNSW_ALL);
    hnsw_check(c->index);
    hnsw_check_reach(c->index);
    flat_case_search(c, queries, QUERIES, rankings, &params, "after a failure");
    int64_t there = COUNT;
    for (size_t i = 0; i < COUNT; i++) there -= c->truth.hidden && c->truth.hidden[i];
    ck_assert_int_eq(vindex_count(c->index), there);
    rankings_free(rankings, QUERIES);
    free(queries);
}

typedef vindex_status (*verb_fn)(vindex_index *index, const float *numbers,
                                 const vindex_call *call);

static vindex_status do_add(vindex_index *index, const float *numbers, const vindex_call *call) {
    return vindex_add(index, numbers, 70, call);
}
static vindex_status do_compact(vindex_index *index, const float *numbers,
                                const vindex_call *call) {
    (void)numbers;
    return vindex_compact(index, call);
}
static vindex_status do_reorder(vindex_index *index, const float *numbers,
                                const vindex_call *call) {
    (void)numbers;
    return vindex_reorder(index, call);
}
static vindex_status do_merge(vindex_index *index, const float *numbers, const vindex_call *call) {
    vindex_index *other;
    int64_t ids[40];
    vindex_call quiet = *call; /* adding to the other is not what is looked at */
    quiet.progress = NULL;
    for (int64_t i = 0; i < 40; i++) ids[i] = COUNT + i;
    VX_TRY(vindex_create(vindex_spec(index), DIM, VINDEX_L2, &other));
    vindex_status status = vindex_add_with_ids(other, numbers, 40, ids, &quiet);
    if (status == VINDEX_OK) status = vindex_merge(index, other, call);
    vindex_free(other);
    return status;
}
static vindex_status search(vindex_index *index, const float *numbers, const vindex_call *call,
                            int64_t count) {
    int64_t ids[QUERIES * 3];
    vindex_search_params params = ef_params(3, call->threads, 5);
    params.progress = call->progress;
    params.progress_context = call->progress_context;
    return vindex_search(index, numbers, count, &params, ids, NULL);
}
static vindex_status do_search(vindex_index *index, const float *numbers, const vindex_call *call) {
    return search(index, numbers, call, QUERIES);
}
static vindex_status do_search_one(vindex_index *index, const float *numbers,
                                   const vindex_call *call) {
    return search(index, numbers, call, 1);
}
static vindex_status do_range(vindex_index *index, const float *numbers, const vindex_call *call) {
    vindex_range_result result;
    vindex_search_params params = ef_params(3, call->threads, HNSW_ALL);
    VX_TRY(vindex_range_search(index, numbers, 2, 20, &params, &result));
    vindex_range_result_free(&result);
    return VINDEX_OK;
}
static vindex_status do_reconstruct(vindex_index *index, const float *numbers,
                                    const vindex_call *call) {
    float vector[DIM];
    const int64_t id = 7;
    (void)numbers;
    (void)call;
    return vindex_reconstruct(index, &id, 1, vector);
}
static vindex_status do_save(vindex_index *index, const float *numbers, const vindex_call *call) {
    (void)numbers;
    return vindex_save(index, scratch_path("saved"), call);
}
static vindex_status do_load(vindex_index *index, const float *numbers, const vindex_call *call) {
    vindex_index *loaded;
    (void)index;
    (void)numbers;
    (void)call;
    VX_TRY(vindex_load(scratch_path("before"), 0, &loaded));
    vindex_free(loaded);
    return VINDEX_OK;
}
static vindex_status do_make(vindex_index *index, const float *numbers, const vindex_call *call) {
    vindex_index *made;
    (void)index;
    VX_TRY(vindex_create("HNSW4", DIM, VINDEX_COSINE, &made));
    vindex_status status = vindex_add(made, numbers, COUNT, call);
    vindex_free(made);
    return status;
}

static const struct {
    const char *name;
    verb_fn verb;
    int allocations; /* it needs at least */
    int reports;     /* of progress, at least */
    bool many;       /* rows are gone, not two */
} verbs[] = {
    {"add", do_add, 8, 2, false},
    {"compact", do_compact, 8, 2, false},
    {"compact, many gone", do_compact, 12, 2, true},
    {"reorder", do_reorder, 12, 2, false},
    {"merge", do_merge, 20, 2, false},
    {"search", do_search, 1, 2, false},
    {"search for one", do_search_one, 1, 1, false},
    {"range search", do_range, 2, 0, false},
    {"reconstruct", do_reconstruct, 0, 0, false},
    {"save", do_save, 2, 2, false},
    {"load", do_load, 8, 0, false},
    {"make", do_make, 12, 4, false},
};

/* Some removed rows, so that there is something to compact: two, for which a graph is mended, or
 * many, for which it is built anew. */
static void remove_some(flat_case *c, bool many, bool *hidden) {
    for (int64_t id = 3; id < COUNT; id += many ? 5 : 74) {
        ck_ok(vindex_remove(c->index, &id, 1, NULL));
        hidden[id] = true;
    }
    c->truth.hidden = hidden;
}

START_TEST(a_failed_allocation_changes_nothing) {
    for (size_t i = 0; i < VX_COUNT(verbs); i++)
        for (int after = 0;; after++) {
            bool hidden[COUNT] = {false};
            vindex_call call;
            flat_case c = make_case();
            remove_some(&c, verbs[i].many, hidden);
            scratch_make();
            ck_ok(vindex_save(c.index, scratch_path("before"), NULL));
            vindex_call_init(&call);
            call.threads = 1;
            vx_alloc_fail_after(after);
            vindex_status status = verbs[i].verb(c.index, c.numbers, &call);
            vx_alloc_fail_after(-1);
            if (status != VINDEX_OK) {
                ck_assert_msg(status == VINDEX_ERR_MEMORY, "%s, allocation %d: %s (%s)",
                              verbs[i].name, after, vindex_status_name(status),
                              vindex_last_error());
                check_unchanged(&c);
            }
            scratch_remove();
            flat_case_free(&c);
            if (status == VINDEX_OK) {
                ck_assert_msg(after >= verbs[i].allocations, "%s: only %d allocations failed",
                              verbs[i].name, after);
                break;
            }
            ck_assert_int_lt(after, ATTEMPTS);
        }
}
END_TEST

typedef struct watcher {
    int calls, stop_at;
    double fraction;
} watcher;

static int watch(void *context, const char *phase, double fraction) {
    watcher *w = context;
    ck_assert_msg(fraction >= 0 && fraction <= 1, "%s: %g", phase, fraction);
    ck_assert_msg(fraction >= w->fraction, "%s: %g after %g", phase, fraction, w->fraction);
    w->fraction = fraction;
    return w->calls++ == w->stop_at;
}

START_TEST(progress_is_told_and_may_end_a_call) {
    for (size_t i = 0; i < VX_COUNT(verbs); i++)
        for (int stop_at = 0; verbs[i].reports; stop_at++) {
            bool hidden[COUNT] = {false};
            watcher w = {.stop_at = stop_at};
            vindex_call call;
            flat_case c = make_case();
            remove_some(&c, verbs[i].many, hidden);
            scratch_make();
            vindex_call_init(&call);
            call.threads = 1;
            call.progress = watch;
            call.progress_context = &w;
            vindex_status status = verbs[i].verb(c.index, c.numbers, &call);
            if (status != VINDEX_OK) {
                ck_assert_int_eq(status, VINDEX_ERR_CANCELLED);
                check_unchanged(&c);
                ck_assert_int_eq(scratch_entries(0), 0);
            }
            scratch_remove();
            flat_case_free(&c);
            if (status == VINDEX_OK) {
                ck_assert_msg(stop_at >= verbs[i].reports, "%s: told of its progress %d times",
                              verbs[i].name, stop_at);
                break;
            }
        }
}
END_TEST

TEST_MAIN("hnsw/failures", a_failed_allocation_changes_nothing, progress_is_told_and_may_end_a_call)
