/* The methods that train: what they learn, that it is the same on any number of threads, and what
 * they refuse. */
#include "data.h"

enum { CLASSES = 40, EACH = 6, ROWS = CLASSES * EACH, DIM = 12, OUT = 6 };

/* Classes differ in the first directions of space, rows of a class mostly in the last ones: what
 * principal components keep is the wrong half. */
static float *make_rows(size_t each, uint64_t seed, int32_t *labels) {
    float *rows = malloc(CLASSES * each * DIM * sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    vx_rng rng = vx_rng_seed(seed, 2);
    for (size_t i = 0; i < CLASSES * each; i++) {
        vx_rng own = vx_rng_seed(9 + (uint64_t)labels[i], 3); /* the class's */
        for (size_t j = 0; j < DIM; j++)
            rows[i * DIM + j] = (float)(5 + (j < OUT ? 1 : 0) * vx_rng_normal(&own) +
                                        (j < OUT ? 0.3 : 2) * vx_rng_normal(&rng));
    }
    return rows;
}

static void make_labels(size_t count, int32_t *labels) {
    for (size_t i = 0; i < count; i++) labels[i] = 3 + 2 * (int32_t)(i * 7 % CLASSES);
}

/* Share of rows whose nearest other row is of their class. */
static double hits(const float *rows, size_t dim, bool cosine, const int32_t *labels) {
    int found = 0;
    for (size_t q = 0; q < ROWS; q++) {
        double best = INFINITY;
        size_t nearest = q;
        for (size_t c = 0; c < ROWS; c++) {
            double far = 0, qq = 0, cc = 0, qc = 0;
            for (size_t j = 0; j < dim; j++) {
                double x = (double)rows[q * dim + j], y = (double)rows[c * dim + j];
                far += (x - y) * (x - y), qq += x * x, cc += y * y, qc += x * y;
            }
            if (cosine) far = -qc / sqrt(qq * cc);
            if (c != q && far < best) best = far, nearest = c;
        }
        found += labels[nearest] == labels[q];
    }
    return found / (double)ROWS;
}

typedef struct lesson {
    int32_t labels[ROWS];
    float *rows, *other; /* other: rows of the same classes, for validation or as a second view */
    vindex_fit_data data;
} lesson;

static void open_lesson(lesson *l) {
    make_labels(ROWS, l->labels);
    l->rows = make_rows(EACH, 1, l->labels);
    l->other = make_rows(EACH, 2, l->labels);
    l->data = data_of(l->rows, ROWS, DIM);
    l->data.labels = l->labels;
}

static void close_lesson(lesson *l) {
    free(l->rows);
    free(l->other);
}

static const vindex_rows *others(const lesson *l, vindex_rows *rows) {
    *rows = (vindex_rows){.count = ROWS, .dim = DIM, .vectors = l->other};
    return rows;
}

/* Ways to train, and by how much of the neighbours must be right; principal components get few. */
static const struct {
    const char *method, *settings[6]; /* name and value, by turns */
    bool cosine, second, unlabelled;
    double least;
} ways[] = {
    {"lsr", {"rate", "0.3"}, true, false, false, 0.7},
    {"lsr", {"loss", "triplet"}, false, false, false, 0.9},
    {"lsr", {"loss", "triplet", "mining", "semi-hard"}, false, false, false, 0.9},
    {"lsr", {"loss", "proxy-nca"}, false, false, false, 0.7},
    {"lsr", {"loss", "group"}, true, false, false, 0.8},
    {"lsr", {"loss", "contrastive"}, false, false, false, 0.8},
    {"lsr", {"loss", "infonce"}, true, false, false, 0.9},
    {"lsr", {"loss", "infonce", "norm", "false"}, true, false, false, 0.9},
    {"lsr", {"optimiser", "sgd", "loss", "infonce", "rate", "0.3"}, true, false, false, 0.6},
    {"lsr", {"loss", "infonce"}, true, true, true, 0.8}, /* a row and its second view */
    {"lsr", {"rate", "0.3"}, true, true, true, 0.4},     /* instance discrimination */
    {"fc", {NULL}, true, false, false, 0.8},
    {"pca-fc", {NULL}, true, false, false, 0.8},
    {"pca-fc", {"norm", "false"}, true, false, false, 0.7},
    {"distill", {NULL}, false, true, false, 0.6},
    {"distill", {"match", "clusters"}, false, true, false, 0.6},
    {"prune", {"loss", "triplet"}, false, false, false, 0.8},
    {"prune", {"start", "24", "loss", "infonce"}, true, false, false, 0.8},
};

static vindex_status fit_way(const lesson *l, size_t w, int32_t threads,
                             vindex_transform **transform) {
    vindex_setting settings[8] = {{"epochs", "15"}, {"rate", "0.04"}, {"batch", "64"}};
    vindex_fit_params params;
    vindex_fit_data data = l->data;
    vindex_fit_params_init(&params);
    params.dim = OUT;
    params.threads = threads;
    params.settings = settings;
    params.setting_count = 3;
    for (int i = 0; i < 6 && ways[w].settings[i]; i += 2)
        settings[params.setting_count++] =
            (vindex_setting){ways[w].settings[i], ways[w].settings[i + 1]};
    if (ways[w].second) others(l, &data.second);
    if (ways[w].unlabelled) data.labels = NULL;
    return vindex_fit(ways[w].method, &data, &params, transform);
}

START_TEST(every_way_learns) {
    lesson l;
    open_lesson(&l);
    ck_assert_double_le(hits(l.rows, DIM, false, l.labels), 0.35);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        vindex_transform *one, *many;
        ck_ok(fit_way(&l, w, 1, &one));
        ck_ok(fit_way(&l, w, 2, &many));
        float *mapped = data_apply(one, l.rows, ROWS), *again = data_apply(many, l.rows, ROWS);
        ck_each(!memcmp(mapped, again, ROWS * OUT * sizeof *mapped), "%s %zu: threads matter",
                ways[w].method, w);
        double share = hits(mapped, OUT, ways[w].cosine, l.labels);
        ck_each(share >= ways[w].least, "%s, way %zu: %.3f of the neighbours are right",
                ways[w].method, w, share);
        free(mapped);
        free(again);
        vindex_transform_free(one);
        vindex_transform_free(many);
    }
    close_lesson(&l);
}
END_TEST

/* ---- validation, divergence, masks ---- */

START_TEST(the_best_epoch_is_kept) {
    lesson l;
    int64_t count;
    open_lesson(&l);
    others(&l, &l.data.validation);
    l.data.validation_labels = l.labels;
    vindex_setting settings[] = {{"epochs", "60"}, {"patience", "4"}, {"rate", "0.05"}};
    vindex_fit_params params;
    vindex_transform *transform;
    vindex_fit_params_init(&params);
    params.dim = OUT;
    params.settings = settings;
    params.setting_count = 3;
    ck_ok(vindex_fit("lsr", &l.data, &params, &transform));
    const double *maps = data_fact(transform, 0, "MAP", &count);
    size_t best = (size_t)*data_fact(transform, 0, "epoch", NULL) - 1;
    ck_assert_int_lt(count, 60); /* patience ended it */
    ck_assert_int_eq(count, (int64_t)best + 1 + 4);
    for (int64_t e = 0; e < count; e++) ck_assert(maps[e] <= maps[best]);
    /* As many epochs as the best was give the same map: it was kept as it was then. */
    vindex_transform_step kept;
    ck_ok(vindex_transform_describe(transform, 0, &kept));
    ck_assert_int_eq(kept.in, DIM);
    ck_assert_int_eq(kept.out, OUT);
    vindex_transform_free(transform);
    close_lesson(&l);
}
END_TEST

typedef struct words {
    char last[256];
    int calls, cancel_at;
} words;

static int hear(void *context, const char *phase, double fraction) {
    words *w = context;
    ck_assert(fraction >= 0 && fraction <= 1);
    snprintf(w->last, sizeof w->last, "%s", phase);
    return ++w->calls == w->cancel_at;
}

START_TEST(divergence_stops_and_keeps_the_best) {
    lesson l;
    words heard = {.cancel_at = -1};
    open_lesson(&l);
    vindex_setting settings[] = {
        {"optimiser", "sgd"}, {"rate", "1e6"},  {"loss", "triplet"},
        {"norm", "false"},    {"epochs", "20"}, {"batch", "16"},
    };
    vindex_fit_params params;
    vindex_transform *transform = NULL;
    vindex_fit_params_init(&params);
    params.dim = OUT;
    params.settings = settings;
    params.setting_count = 6;
    params.progress = hear;
    params.progress_context = &heard;
    ck_fails(VINDEX_ERR_DATA, "the loss diverged in the first epoch at rate 1e+06",
             vindex_fit("lsr", &l.data, &params, &transform));
    ck_assert_ptr_null(transform);
    /* Between rates that fail at once and rates that learn are some that fail later. */
    char rate[32];
    settings[1].value = rate;
    double tried = 1000;
    do {
        tried /= 1.25;
        snprintf(rate, sizeof rate, "%g", tried);
    } while (vindex_fit("lsr", &l.data, &params, &transform) != VINDEX_OK && tried > 1e-3);
    ck_assert_ptr_nonnull(transform);
    double epoch = *data_fact(transform, 0, "diverged", NULL);
    ck_assert_double_ge(epoch, 2);
    ck_assert(*data_fact(transform, 0, "epoch", NULL) < epoch);
    ck_assert_ptr_nonnull(strstr(heard.last, "the loss diverged in epoch"));
    float *mapped = data_apply(transform, l.rows, ROWS);
    free(mapped);
    vindex_transform_free(transform);
    close_lesson(&l);
}
END_TEST

START_TEST(progress_tells_and_cancels) {
    lesson l;
    words heard = {.cancel_at = -1};
    open_lesson(&l);
    others(&l, &l.data.validation);
    l.data.validation_labels = l.labels;
    vindex_setting setting = {"epochs", "3"};
    vindex_fit_params params;
    vindex_transform *transform = NULL;
    vindex_fit_params_init(&params);
    params.dim = OUT;
    params.settings = &setting;
    params.setting_count = 1;
    params.progress = hear;
    params.progress_context = &heard;
    ck_ok(vindex_fit("lsr", &l.data, &params, &transform));
    ck_assert_ptr_nonnull(strstr(heard.last, "lsr: epoch 3 of 3, loss "));
    ck_assert_ptr_nonnull(strstr(heard.last, ", MAP 0."));
    ck_assert_ptr_nonnull(strstr(heard.last, " s left"));
    vindex_transform_free(transform);
    transform = NULL;
    heard.cancel_at = heard.calls;
    heard.calls = 0;
    ck_fails(VINDEX_ERR_CANCELLED, "cancelled", vindex_fit("lsr", &l.data, &params, &transform));
    ck_assert_ptr_null(transform);
    close_lesson(&l);
}
END_TEST

/* Two notions on one space: classes by its first half for one, by its second for the other. */
START_TEST(masks_part_the_notions) {
    enum { PART = ROWS / 2 };
    float *rows = data_normal(ROWS, 8, 4);
    int32_t labels[ROWS];
    for (size_t i = 0; i < ROWS; i++) { /* the class decides 4 numbers, all but a little */
        size_t from = i < PART ? 0 : 4;
        labels[i] = (int32_t)(i % 20);
        vx_rng own = vx_rng_seed(50 + i % 20, i < PART);
        for (size_t j = from; j < from + 4; j++)
            rows[i * 8 + j] = (float)(vx_rng_normal(&own) + 0.1 * (double)rows[i * 8 + j]);
    }
    vindex_fit_data data = data_of(rows, ROWS, 8);
    data.labels = labels;
    data.validation = data.rows;
    data.validation_labels = labels;
    static const char *const masks[] = {"blocks", "learned"};
    for (int m = 0; m < 2; m++) {
        vindex_setting settings[] = {{"masks", masks[m]}, {"notions", "2"}, {"loss", "infonce"},
                                     {"epochs", "60"},    {"rate", "0.01"}, {"batch", "60"},
                                     {"patience", "0"}};
        vindex_fit_params params;
        vindex_transform *transform;
        int64_t count, epochs;
        vindex_fit_params_init(&params);
        params.dim = 8;
        params.settings = settings;
        params.setting_count = 7;
        ck_ok(vindex_fit("lsr", &data, &params, &transform));
        const double *first = data_fact(transform, 0, "mask 1", &count);
        const double *second = data_fact(transform, 0, "mask 2", NULL);
        const double *maps = data_fact(transform, 0, "MAP", &epochs);
        ck_assert_int_eq(count, 8);
        for (int j = 0; j < 8; j++) {
            ck_assert(first[j] >= 0 && second[j] >= 0);
            if (m == 0) ck_assert(first[j] == (j < 4) && second[j] == (j >= 4));
        }
        ck_each(maps[epochs - 1] >= (m ? 0.7 : 0.9), "%s: MAP %g", masks[m], maps[epochs - 1]);
        vindex_transform_free(transform);
    }
    free(rows);
}
END_TEST

/* ---- what is refused ---- */

static void refuses(vindex_status status, const char *text, const char *method,
                    const vindex_fit_data *data, int64_t dim, const vindex_setting *setting) {
    vindex_transform *transform = NULL;
    ck_fails(status, text, data_fit(method, data, dim, setting, &transform));
    ck_assert_ptr_null(transform);
}

/* Slopes of norm 1e-9 at rate 1 cannot take steps longer than any slopes do at rate 1e-12: both
 * maps are the one that training starts from; without clipping it is another. */
START_TEST(steep_batches_are_scaled_down) {
    static const char *const given[3][2] = {{"1", "1e-9"}, {"1e-12", "0"}, {"1", "0"}};
    float mapped[3][ROWS * OUT];
    lesson l;
    open_lesson(&l);
    for (int i = 0; i < 3; i++) {
        vindex_setting settings[] = {{"optimiser", "sgd"},  {"loss", "infonce"},
                                     {"epochs", "2"},       {"batch", "64"},
                                     {"rate", given[i][0]}, {"clip", given[i][1]}};
        vindex_fit_params params;
        vindex_transform *transform;
        vindex_fit_params_init(&params);
        params.dim = OUT;
        params.settings = settings;
        params.setting_count = VX_COUNT(settings);
        ck_ok(vindex_fit("lsr", &l.data, &params, &transform));
        ck_ok(vindex_transform_apply(transform, l.rows, ROWS, mapped[i], NULL));
        vindex_transform_free(transform);
    }
    double off = 0;
    for (size_t i = 0; i < ROWS * OUT; i++) {
        ck_near((double)mapped[0][i], (double)mapped[1][i], 1e-5);
        off = fmax(off, fabs((double)mapped[2][i] - (double)mapped[1][i]));
    }
    ck_assert_double_gt(off, 0.1);
    close_lesson(&l);
}
END_TEST

START_TEST(bad_input_is_refused) {
    lesson l;
    open_lesson(&l);
    vindex_fit_data data = l.data;
    refuses(VINDEX_ERR_ARGUMENT, "lsr: no dimension", "lsr", &data, 0, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "loss is 'hinge'; known are normalized-softmax, triplet,", "lsr",
            &data, OUT, &(vindex_setting){"loss", "hinge"});
    refuses(VINDEX_ERR_ARGUMENT, "per-class is 900 and batch 512", "lsr", &data, OUT,
            &(vindex_setting){"per-class", "900"});
    refuses(VINDEX_ERR_ARGUMENT, "margin is -0.5", "fc", &data, OUT,
            &(vindex_setting){"margin", "-0.5"});
    refuses(VINDEX_ERR_ARGUMENT, "clip is -0.5", "lsr", &data, OUT,
            &(vindex_setting){"clip", "-0.5"});
    refuses(VINDEX_ERR_ARGUMENT, "13 components of", "pca-fc", &data, DIM + 1, NULL);
    refuses(VINDEX_ERR_ARGUMENT, "begins with 12 dimensions and is to end with 13", "prune", &data,
            DIM + 1, NULL);
    refuses(VINDEX_ERR_DATA, "no second view", "distill", &data, OUT, NULL);
    refuses(VINDEX_ERR_DATA, "7 equal parts", "lsr", &data, OUT, &(vindex_setting){"notions", "7"});
    data.labels = NULL;
    refuses(VINDEX_ERR_DATA, "labels", "fc", &data, OUT, NULL);
    refuses(VINDEX_ERR_DATA, "from labels, or from a second view", "lsr", &data, OUT, NULL);
    data.second = (vindex_rows){.count = ROWS, .dim = DIM - 1, .vectors = l.other};
    refuses(VINDEX_ERR_DIMENSION, "12 numbers and their second view 11", "lsr", &data, OUT, NULL);
    int32_t apart[ROWS], same[ROWS] = {0};
    for (int i = 0; i < ROWS; i++) apart[i] = i;
    data = l.data;
    data.labels = apart;
    refuses(VINDEX_ERR_DATA, "a label of its own", "lsr", &data, OUT,
            &(vindex_setting){"loss", "triplet"});
    data.labels = same;
    refuses(VINDEX_ERR_DATA, "all rows have one label", "lsr", &data, OUT, NULL);
    data.labels = l.labels;
    l.rows[5] = NAN;
    refuses(VINDEX_ERR_DATA, "NaN", "lsr", &data, OUT, NULL);
    for (size_t i = 0; i < ROWS * DIM; i++) l.rows[i] = 4;
    refuses(VINDEX_ERR_DATA, "variance of the rows is 0", "lsr", &data, OUT, NULL);
    close_lesson(&l);
}
END_TEST

/* Singletons beside larger classes, a constant column, a batch larger than the data. */
START_TEST(odd_data_are_learned_from) {
    lesson l;
    open_lesson(&l);
    for (size_t i = 0; i < ROWS; i++) {
        l.rows[i * DIM + 3] = 1e6f;
        if (i % 5 == 0) l.labels[i] = 1000 + (int32_t)i;
    }
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        vindex_setting settings[] = {{"epochs", "2"}, {"batch", "1000"}, {"loss", "group"}};
        vindex_fit_params params;
        vindex_transform *transform;
        vindex_fit_params_init(&params);
        params.dim = OUT;
        params.settings = settings;
        params.setting_count = !strcmp(ways[w].method, "lsr") ? 3 : 2;
        vindex_fit_data data = l.data;
        if (ways[w].second) others(&l, &data.second);
        ck_ok(vindex_fit(ways[w].method, &data, &params, &transform));
        float *mapped = data_apply(transform, l.rows, ROWS);
        for (size_t i = 0; i < ROWS * OUT; i++) ck_each(isfinite(mapped[i]), "way %zu", w);
        free(mapped);
        vindex_transform_free(transform);
    }
    close_lesson(&l);
}
END_TEST

START_TEST(failing_allocations_leave_nothing) {
    static const char *const methods[] = {"lsr", "pca-fc", "distill", "prune"};
    lesson l;
    open_lesson(&l);
    others(&l, &l.data.second);
    others(&l, &l.data.validation);
    l.data.validation_labels = l.labels;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        vindex_setting setting = {"epochs", "1"};
        for (long after = 0;; after++) {
            vindex_transform *transform = NULL;
            vx_alloc_fail_after(after);
            vindex_status status = data_fit(methods[m], &l.data, OUT, &setting, &transform);
            vx_alloc_fail_after(-1);
            if (status == VINDEX_OK) {
                vindex_transform_free(transform);
                break;
            }
            ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
            ck_assert_ptr_null(transform);
        }
    }
    close_lesson(&l);
}
END_TEST

TEST_MAIN("transform/heads", every_way_learns, the_best_epoch_is_kept,
          divergence_stops_and_keeps_the_best, steep_batches_are_scaled_down,
          progress_tells_and_cancels, masks_part_the_notions, bad_input_is_refused,
          odd_data_are_learned_from, failing_allocations_leave_nothing)
