/* What goes wrong on the way leaves everything as it was: memory, disk, and the caller's will. */
#include <math.h>

#include "../core/scratch.h"
#include "cases.h"
#include "core/base.h"
#include "core/file.h"

enum { QUERIES = 13, ATTEMPTS = 200 };

/* What a verb is tried on: an index with removed rows and ids out of order. */
typedef struct trial {
    flat_case c;
    float *queries;
    oracle_ranking *rankings;
    bool *hidden;
    const int64_t *ids;
} trial;

static trial trial_make(void) {
    enum { COUNT = 150 };
    static int64_t ids[COUNT];
    for (int64_t i = 0; i < COUNT; i++) ids[i] = (i * 77 + 5) % COUNT * 3;
    vectors rows = {.kind = VECTORS_NORMAL, .dim = 8, .count = COUNT, .seed = 1};
    trial t = {.c = flat_case_make(&rows, VINDEX_COSINE, ids), .ids = ids};
    t.hidden = calloc(COUNT, sizeof *t.hidden);
    for (size_t i = 3; i < COUNT; i += 10) {
        t.hidden[i] = true;
        ck_ok(vindex_remove(t.c.index, &ids[i], 1, NULL));
    }
    t.c.truth.hidden = t.hidden;
    t.queries = flat_case_queries(&t.c, QUERIES);
    t.rankings = flat_case_rank(&t.c, t.queries, QUERIES, NULL, 0);
    return t;
}

static void trial_free(trial *t) {
    rankings_free(t->rankings, QUERIES);
    flat_case_free(&t->c);
    free(t->queries);
    free(t->hidden);
}

/* The index answers as before, and its file is the same. */
static void check_unchanged(const trial *t) {
    vindex_search_params params = search_params(20, 1);
    flat_case_search(&t->c, t->queries, QUERIES, t->rankings, &params, "after a failure");
    ck_assert_int_eq(vindex_count(t->c.index), 135);
    ck_ok(vindex_save(t->c.index, scratch_path("now"), NULL));
    size_t length;
    unsigned char *before = scratch_read("before", &length);
    ck_assert(scratch_holds("now", before, length));
    free(before);
}

typedef vindex_status (*verb_fn)(trial *t);

static vindex_status try_add(trial *t) {
    return vindex_add(t->c.index, t->c.numbers, 140, NULL);
}
static vindex_status try_add_ids(trial *t) {
    const int64_t ids[] = {1001, 1, 1000, 4};
    return vindex_add_with_ids(t->c.index, t->c.numbers, 4, ids, NULL);
}
static vindex_status try_remove(trial *t) {
    return vindex_remove(t->c.index, t->ids, 3, NULL);
}
static vindex_status try_compact(trial *t) {
    return vindex_compact(t->c.index, NULL);
}
static vindex_status try_search(trial *t) {
    int64_t ids[QUERIES * 20];
    vindex_search_params params = search_params(20, 2);
    return vindex_search(t->c.index, t->queries, QUERIES, &params, ids, NULL);
}
static vindex_status try_weighted(trial *t) {
    float weights[QUERIES * 8] = {1, 2};
    vindex_search_params params = search_params(20, 2);
    params.weights = weights;
    params.weight_rows = QUERIES;
    return vindex_search(t->c.index, t->queries, QUERIES, &params, NULL, NULL);
}
static vindex_status try_range(trial *t) {
    vindex_range_result result;
    vindex_status status = vindex_range_search(t->c.index, t->queries, QUERIES, -1, NULL, &result);
    if (status == VINDEX_OK) vindex_range_result_free(&result);
    return status;
}
static vindex_status try_reconstruct(trial *t) {
    float vector[8];
    return vindex_reconstruct(t->c.index, t->ids, 1, vector);
}
static vindex_status try_save(trial *t) {
    return vindex_save(t->c.index, scratch_path("tried"), NULL);
}
static vindex_status try_load(trial *t) {
    (void)t;
    vindex_index *index;
    vindex_status status = vindex_load(scratch_path("before"), 0, &index);
    if (status == VINDEX_OK) vindex_free(index);
    return status;
}
static vindex_status try_map(trial *t) {
    (void)t;
    vindex_index *index;
    VX_TRY(vindex_load(scratch_path("before"), VINDEX_LOAD_MAP, &index));
    const float vector[8] = {1};
    vindex_status status = vindex_add(index, vector, 1, NULL); /* copies the last block */
    if (status == VINDEX_OK) status = vindex_compact(index, NULL);
    vindex_free(index);
    return status;
}
static vindex_status try_create(trial *t) {
    (void)t;
    vindex_index *index;
    vindex_status status = vindex_create("Flat,f16", 10, VINDEX_L2, &index);
    if (status == VINDEX_OK) vindex_free(index);
    return status;
}

/* Fails the first allocation, then the second, ... until the verb has all it needs. */
static int fail_each_allocation(verb_fn verb) {
    for (int after = 0; after < ATTEMPTS; after++) {
        trial t = trial_make();
        scratch_make();
        ck_ok(vindex_save(t.c.index, scratch_path("before"), NULL));
        vx_alloc_fail_after(after);
        vindex_status status = verb(&t);
        vx_alloc_fail_after(-1);
        if (status != VINDEX_OK) {
            ck_assert_msg(status == VINDEX_ERR_MEMORY, "allocation %d: %s (%s)", after,
                          vindex_status_name(status), vindex_last_error());
            ck_assert_msg(strstr(vindex_last_error(), "memory") != NULL, "it says: %s",
                          vindex_last_error());
            check_unchanged(&t);
        }
        scratch_remove();
        trial_free(&t);
        if (status == VINDEX_OK) return after;
    }
    ck_abort_msg("the verb fails after %d allocations", ATTEMPTS);
    return 0;
}

START_TEST(a_failed_allocation_changes_nothing) {
    static const struct {
        const char *name;
        verb_fn verb;
        int least; /* allocations that it needs at least */
    } verbs[] = {{"add", try_add, 2},
                 {"add with ids", try_add_ids, 1},
                 {"remove", try_remove, 0},
                 {"compact", try_compact, 3},
                 {"search", try_search, 3},
                 {"weighted search", try_weighted, 3},
                 {"range search", try_range, 6},
                 {"reconstruct", try_reconstruct, 0},
                 {"save", try_save, 5},
                 {"load", try_load, 6},
                 {"map", try_map, 8},
                 {"create", try_create, 1}};
    for (size_t i = 0; i < VX_COUNT(verbs); i++) {
        int needed = fail_each_allocation(verbs[i].verb);
        ck_assert_msg(needed >= verbs[i].least, "%s: only %d allocations were seen to fail",
                      verbs[i].name, needed);
    }
}
END_TEST

/* A disk that is full after any number of bytes: the old file stays, and no other is left. */
START_TEST(a_full_disk_leaves_the_old_file) {
    trial t = trial_make();
    size_t length, other_length;
    scratch_make();
    ck_ok(vindex_save(t.c.index, scratch_path("before"), NULL));
    unsigned char *bytes = scratch_read("before", &length);
    ck_ok(vindex_add(t.c.index, t.c.numbers, 10, NULL));
    int64_t left = 0;
    vindex_status status;
    do {
        vx_write_fail_after(left);
        status = vindex_save(t.c.index, scratch_path("before"), NULL);
        vx_write_fail_after(-1);
        if (status == VINDEX_OK) break;
        ck_assert_int_eq(status, VINDEX_ERR_IO);
        ck_assert(scratch_holds("before", bytes, length));
        ck_assert_int_eq(scratch_entries(0), 1);
        left += 501;
    } while (left < 1 << 20);
    ck_ok(status);
    ck_assert_int_gt(left, (int64_t)length);
    unsigned char *other = scratch_read("before", &other_length);
    ck_assert_uint_gt(other_length, length);
    free(other);
    free(bytes);
    scratch_remove();
    trial_free(&t);
}
END_TEST

/* Counts the calls, checks what they say, and stops at one of them. */
typedef struct watcher {
    int calls, stop_at;
    double fraction;
    const char *phase;
} watcher;

static int watch(void *context, const char *phase, double fraction) {
    watcher *w = context;
    ck_assert_str_eq(phase, w->phase);
    ck_assert_msg(fraction >= w->fraction && fraction <= 1, "%s: %g after %g", phase, fraction,
                  w->fraction);
    w->fraction = fraction;
    return w->calls++ == w->stop_at;
}

typedef vindex_status (*long_verb_fn)(vindex_index *index, const vindex_call *call);

static float *much; /* 9,000 vectors of 300 numbers */
enum { MUCH = 9000, MUCH_DIM = 300 };

static vindex_status long_add(vindex_index *index, const vindex_call *call) {
    return vindex_add(index, much, MUCH, call);
}
static vindex_status long_save(vindex_index *index, const vindex_call *call) {
    return vindex_save(index, scratch_path("saved"), call);
}
static vindex_status long_compact(vindex_index *index, const vindex_call *call) {
    return vindex_compact(index, call);
}
static vindex_status long_search(vindex_index *index, const vindex_call *call) {
    int64_t ids[40];
    vindex_search_params params = search_params(2, call->threads);
    params.progress = call->progress;
    params.progress_context = call->progress_context;
    return vindex_search(index, much, 20, &params, ids, NULL);
}

/* An index of 9,000 vectors that may be stopped at any call of its progress callback. */
static void stop_everywhere(const char *phase, long_verb_fn verb, int least) {
    for (int stop_at = 0;; stop_at++) {
        vindex_index *index;
        int64_t ids[2] = {0, 1}, found;
        watcher w = {.stop_at = stop_at, .phase = phase};
        vindex_call call;
        vindex_call_init(&call);
        call.threads = 1;
        call.progress = watch;
        call.progress_context = &w;
        ck_ok(vindex_create("Flat", MUCH_DIM, VINDEX_L2, &index));
        ck_ok(vindex_add(index, much, MUCH, NULL));
        ck_ok(vindex_remove(index, ids, 2, NULL));
        vindex_status status = verb(index, &call);
        if (status != VINDEX_OK) {
            ck_assert_int_eq(status, VINDEX_ERR_CANCELLED);
            ck_assert(strstr(vindex_last_error(), "cancelled") != NULL);
            ck_assert_int_eq(vindex_count(index), MUCH - 2);
            vindex_search_params params = search_params(1, 1);
            ck_ok(vindex_search(index, much + 7 * MUCH_DIM, 1, &params, &found, NULL));
            ck_assert_int_eq(found, 7);
            ck_assert_int_eq(scratch_entries(0), 0);
        }
        vindex_free(index);
        if (status == VINDEX_OK) {
            ck_assert_msg(stop_at >= least, "%s: told of its progress %d times", phase, stop_at);
            ck_assert(w.fraction > 0 || !strcmp(phase, "compact"));
            return;
        }
    }
}

START_TEST(progress_is_told_and_may_end_a_call) {
    vectors rows = {.kind = VECTORS_NORMAL, .dim = MUCH_DIM, .count = MUCH, .seed = 2};
    much = vectors_make(&rows);
    scratch_make();
    stop_everywhere("add", long_add, 2);
    stop_everywhere("search", long_search, 3);
    stop_everywhere("compact", long_compact, 1);
    stop_everywhere("save", long_save, 1);
    free(much);
    scratch_remove();
}
END_TEST

TEST_MAIN("flat/failures", a_failed_allocation_changes_nothing, a_full_disk_leaves_the_old_file,
          progress_is_told_and_may_end_a_call)
