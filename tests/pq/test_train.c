/* Learning codewords: what they are, what is refused, and that threads change nothing. */
#include <math.h>

#include "cases.h"
#include "pq/pq.h"

enum { DIM = 12, PARTS = 3, WIDTH = DIM / PARTS, COUNT = 400 };

static float *make_rows(vectors_kind kind, size_t count, size_t dim) {
    vectors rows = {.kind = kind, .dim = dim, .count = count, .seed = 3};
    return vectors_make(&rows);
}

static vx_pq *learn(const float *rows, size_t bits, size_t iterations, double *loss) {
    vx_pq_shape shape = {DIM, PARTS, bits};
    vx_pq_training training = {
        .points = rows, .count = COUNT, .seed = 5, .iterations = iterations, .threads = 2};
    vx_pq *pq;
    ck_ok(vx_pq_create(&shape, &pq));
    ck_ok(vx_pq_train(pq, &training, loss));
    return pq;
}

/* The nearest word to a part of a row, by a plain loop. */
static size_t nearest(const vx_pq *pq, size_t part, const float *x, double *least) {
    size_t best = 0, codes = vx_pq_codes(&pq->book.shape);
    *least = INFINITY;
    for (size_t c = 0; c < codes; c++) {
        double sum = 0;
        for (size_t j = 0; j < WIDTH; j++)
            sum += pow((double)x[j] - (double)pq->words[(part * codes + c) * WIDTH + j], 2);
        if (sum < *least) *least = sum, best = c;
    }
    return best;
}

/* At the end of Lloyd's iterations every word is the mean of the points that are nearest to it, and
 * the loss is their mean squared distance. */
START_TEST(words_are_means_of_what_is_nearest) {
    static const size_t bits[] = {4, 6, 8};
    float *rows = make_rows(VECTORS_NORMAL, COUNT, DIM);
    for (size_t b = 0; b < 3; b++) {
        double told, loss = 0, least;
        vx_pq *pq = learn(rows, bits[b], 200, &told);
        size_t codes = vx_pq_codes(&pq->book.shape);
        for (size_t part = 0; part < PARTS; part++) {
            double sums[256][WIDTH] = {{0}}, sizes[256] = {0};
            for (size_t i = 0; i < COUNT; i++) {
                const float *x = rows + i * DIM + part * WIDTH;
                size_t c = nearest(pq, part, x, &least);
                loss += least / COUNT;
                sizes[c]++;
                for (size_t j = 0; j < WIDTH; j++) sums[c][j] += (double)x[j];
            }
            for (size_t c = 0; c < codes; c++)
                for (size_t j = 0; sizes[c] > 0 && j < WIDTH; j++)
                    ck_each(fabs(sums[c][j] / sizes[c] -
                                 (double)pq->words[(part * codes + c) * WIDTH + j]) < 1e-5,
                            "part %zu, word %zu", part, c);
        }
        ck_assert_double_eq_tol(told, loss, 1e-4 * loss);
        vx_pq_free(pq);
    }
    free(rows);
}
END_TEST

START_TEST(more_codewords_lose_less) {
    float *rows = make_rows(VECTORS_NORMAL, COUNT, DIM);
    double four, six, eight;
    vx_pq_free(learn(rows, 4, 12, &four));
    vx_pq_free(learn(rows, 6, 12, &six));
    vx_pq_free(learn(rows, 8, 12, &eight));
    ck_assert_double_lt(six, four / 2);
    ck_assert_double_lt(eight, six / 2);
    free(rows);
}
END_TEST

START_TEST(few_different_points_are_kept_exactly) {
    double loss;
    float *rows = make_rows(VECTORS_TIED, COUNT, DIM);
    for (size_t i = DIM; i < COUNT * DIM; i++) rows[i] = rows[i % DIM];
    vx_pq *pq = learn(rows, 8, 12, &loss); /* duplicates only */
    ck_assert_double_le(loss, 1e-6);
    vx_pq_free(pq);
    free(rows);
}
END_TEST

/* Words that no point is near to move among the points: what was learnt from words all but one of
 * which are far away is hardly worse. */
START_TEST(words_without_points_move) {
    vx_pq_shape shape = {DIM, PARTS, 4};
    double due, loss, none = 0;
    float *rows = make_rows(VECTORS_NORMAL, COUNT, DIM);
    vx_pq *pq = learn(rows, 4, 30, &due);
    vx_pq_training training = {
        .points = rows, .count = COUNT, .seed = 6, .iterations = 30, .resume = true, .threads = 1};
    for (size_t part = 0; part < PARTS; part++)
        for (size_t i = WIDTH; i < vx_pq_codes(&shape) * WIDTH; i++)
            pq->words[part * vx_pq_codes(&shape) * WIDTH + i] = 1e4f;
    for (size_t i = 0; i < COUNT * DIM; i++) none += (double)rows[i] * (double)rows[i] / COUNT;
    ck_ok(vx_pq_train(pq, &training, &loss));
    ck_assert_double_lt(due, none / 2);
    ck_assert_double_lt(loss, due * 1.15);
    vx_pq_free(pq);
    free(rows);
}
END_TEST

static vindex_status train(const char *spec, size_t dim, size_t count, int32_t threads,
                           vindex_index **index) {
    float *rows = make_rows(VECTORS_CLUSTERED, count, dim);
    vindex_call call;
    vindex_call_init(&call);
    call.threads = threads;
    ck_ok(vindex_create(spec, (int64_t)dim, VINDEX_L2, index));
    vindex_status status = vindex_train(*index, rows, (int64_t)count, &call);
    if (status == VINDEX_OK) status = vindex_add(*index, rows, (int64_t)count, &call);
    free(rows);
    return status;
}

START_TEST(threads_change_nothing) {
    static const char *const specs[] = {"PQ4x4", "PQ6x6", "PQ4x8", "IVF5,PQ4x4", "IVF5,PQ3x8"};
    enum { MANY = 6000 };
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        float *back[2];
        for (int32_t i = 0; i < 2; i++) {
            vindex_index *index;
            int64_t *ids = malloc(MANY * sizeof *ids);
            for (int64_t r = 0; r < MANY; r++) ids[r] = r;
            back[i] = malloc(MANY * DIM * sizeof(float));
            ck_ok(train(specs[s], DIM, MANY, 1 + 3 * i, &index));
            ck_ok(vindex_reconstruct(index, ids, MANY, back[i]));
            vindex_free(index);
            free(ids);
        }
        ck_assert_mem_eq(back[0], back[1], MANY * DIM * sizeof(float));
        free(back[0]);
        free(back[1]);
    }
}
END_TEST

typedef struct watcher {
    int calls, stop_at;
    double fraction;
} watcher;

static int watch(void *context, const char *phase, double fraction) {
    watcher *w = context;
    ck_assert_str_eq(phase, "train");
    ck_assert(fraction > w->fraction && fraction <= 1);
    w->fraction = fraction;
    return w->calls++ == w->stop_at;
}

/* Part by part; a training that was cut short changes nothing. */
START_TEST(training_tells_its_progress_and_may_be_ended) {
    static const char *const specs[] = {"PQ6x4", "PQ6x4,Refine", "SQ8,Refine(PQ6x4)"};
    float *rows = make_rows(VECTORS_NORMAL, COUNT, DIM);
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index;
        ck_ok(vindex_create(specs[s], DIM, VINDEX_L2, &index));
        for (int stop_at = 0; stop_at <= 6; stop_at++) {
            watcher w = {.stop_at = stop_at};
            vindex_call call;
            vindex_call_init(&call);
            call.threads = 1;
            call.progress = watch;
            call.progress_context = &w;
            vindex_status status = vindex_train(index, rows, COUNT, &call);
            ck_assert_int_eq(status, stop_at < 6 ? VINDEX_ERR_CANCELLED : VINDEX_OK);
            ck_assert_int_eq(w.calls, stop_at < 6 ? stop_at + 1 : 6);
            ck_assert(vindex_is_trained(index) == (stop_at == 6));
        }
        vindex_free(index);
    }
    free(rows);
}
END_TEST

START_TEST(what_cannot_be_is_refused) {
    vindex_index *index = NULL;
    static const char *const wrong[] = {"PQ",   "PQ4x", "PQ4x5", "PQ4x16",    "PQ0",
                                        "PQx4", "PQ-4", "PQ4y4", "PQ4x4,Flat"};
    for (size_t i = 0; i < VX_COUNT(wrong); i++)
        ck_fails(VINDEX_ERR_ARGUMENT, "", vindex_create(wrong[i], 12, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "numbers of parts that fit: 1, 2, 3, 4, 6, 12",
             vindex_create("PQ5x4", 12, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "40, 48, 60, 64",
             vindex_create("IVF4,PQ50x4", 960, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "codes of 5 bits; give 4, 6 or 8",
             vindex_create("PQ4x5", 12, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_ARGUMENT, "at most 4096", vindex_create("PQ1", 8192, VINDEX_L2, &index));
    ck_fails(VINDEX_ERR_DATA, "give at least 256, better 9984", train("PQ4", 12, 255, 1, &index));
    vindex_free(index);
    ck_fails(VINDEX_ERR_DATA, "give at least 16", train("IVF2,PQ4x4", 12, 15, 1, &index));
    vindex_free(index);
    ck_ok(vindex_create("PQ4x4", 12, VINDEX_L2, &index));
    float *rows = make_rows(VECTORS_NORMAL, 40, 12);
    ck_fails(VINDEX_ERR_STATE, "not trained", vindex_add(index, rows, 40, NULL));
    rows[77] = NAN;
    ck_fails(VINDEX_ERR_DATA, "NaN", vindex_train(index, rows, 40, NULL));
    free(rows);
    vindex_free(index);
}
END_TEST

START_TEST(memory_is_as_estimated) {
    static const char *const specs[] = {"PQ16x4", "PQ16x8", "IVF16,PQ32x4"};
    for (size_t s = 0; s < VX_COUNT(specs); s++) {
        vindex_index *index;
        size_t estimate;
        ck_ok(train(specs[s], 64, 5000, 2, &index));
        ck_ok(vindex_memory_estimate(specs[s], 64, 5000, &estimate));
        double share = (double)vindex_memory(index) / (double)estimate;
        ck_assert_msg(fabs(share - 1) < 0.05, "%s: %zu of %zu", specs[s], vindex_memory(index),
                      estimate);
        vindex_free(index);
    }
}
END_TEST

START_TEST(one_dimension_will_do) {
    vindex_index *index;
    const int64_t ids[] = {0, 99};
    float back[2];
    ck_ok(train("PQ1x8", 1, 300, 1, &index));
    ck_ok(vindex_reconstruct(index, ids, 2, back));
    float *rows = make_rows(VECTORS_CLUSTERED, 300, 1);
    ck_assert_float_eq_tol(back[0], rows[0], 0.5f);
    ck_assert_float_eq_tol(back[1], rows[99], 0.5f);
    free(rows);
    vindex_free(index);
}
END_TEST

TEST_MAIN("pq/train", words_are_means_of_what_is_nearest, more_codewords_lose_less,
          few_different_points_are_kept_exactly, words_without_points_move, threads_change_nothing,
          training_tells_its_progress_and_may_be_ended, what_cannot_be_is_refused,
          memory_is_as_estimated, one_dimension_will_do)
