#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "pairs.h"
#include "sampler.h"
#include "validation.h"

enum { SETTLING_ROWS = 16384 }; /* for the mean and deviation that batch norm applies */

/* Streams of random numbers, one per purpose. */
typedef enum source { SOURCE_SAMPLES = 1, SOURCE_MASKS, SOURCE_LOSSES } source;

/* A training under way. */
typedef struct course {
    const vx_training *training;
    const vx_training_set *set;
    const vx_head_settings *settings;
    vx_head *head;
    vx_step *step; /* the best so far */
    vx_loss losses[VX_TERMS_MOST];
    vx_sampler sampler;
    vx_validation validation;
    vx_optimiser optimiser;
    vx_parameter masks;           /* notions x out; as kept: not below 0 */
    float *best_masks;            /* those of the best epoch */
    float *masked, *masked_slope; /* batch x out, where there are masks */
    float *teacher, *centres;     /* batch x teacher.dim; per class */
    float *weights, *bias;        /* folded: of this epoch */
    int32_t *classes;             /* of a batch */
    size_t *settling;             /* entries to settle batch norm by */
    size_t settling_count;
    double *values, *maps; /* per epoch */
    size_t epochs;         /* done */
    size_t best;           /* the epoch kept, from 1; 0: none yet */
    size_t diverged;       /* the epoch that failed, from 1 */
    double lowest;         /* the least loss of an epoch so far; at first, of the first batch */
    double began;
} course;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- opening ---- */

static vindex_status make_losses(course *c) {
    const vx_training *t = c->training;
    const vx_head_settings *settings = c->settings;
    for (int i = 0; i < VX_TERMS_MOST && t->terms[i].kind; i++) {
        vx_loss_setup setup = {.dim = c->head->out,
                               .classes = c->set->class_count,
                               .batch = c->head->batch,
                               .margin = settings->margin,
                               .temperature = settings->temperature,
                               .semi_hard = settings->semi_hard != 0,
                               .iterations = settings->iterations,
                               .centres = c->centres,
                               .teacher_dim = c->set->teacher.dim};
        vx_rng rng = vx_rng_seed(c->set->job->seed, (uint64_t)SOURCE_LOSSES << 32 | (uint64_t)i);
        VX_TRY(vx_loss_create(t->terms[i].kind, &setup, &rng, &c->losses[i]));
    }
    return VINDEX_OK;
}

/* Given masks are blocks of as many dimensions for each notion (J. Lee et al., "Disentangled
 * multidimensional metric learning for music similarity", ICASSP 2020); learned ones start at
 * random around 0.9 (A. Veit, S. Belongie and T. Karaletsos, "Conditional similarity networks",
 * CVPR 2017). */
static vindex_status make_masks(course *c) {
    size_t out = c->head->out, notions = c->set->notions, batch = c->head->batch;
    if (c->settings->masks == VX_MASKS_NONE) return VINDEX_OK;
    VX_TRY(vx_parameter_create(notions * out, false, &c->masks));
    c->best_masks = vx_alloc(notions * out, sizeof(float));
    c->masked = vx_alloc(batch, out * sizeof(float));
    c->masked_slope = vx_alloc(batch, out * sizeof(float));
    if (!c->best_masks || !c->masked || !c->masked_slope)
        return vx_fail_memory(notions + 2 * batch, out * sizeof(float), c->set->job->word);
    vx_rng rng = vx_rng_seed(c->set->job->seed, (uint64_t)SOURCE_MASKS << 32);
    for (size_t s = 0; s < notions; s++)
        for (size_t j = 0; j < out; j++)
            c->masks.values[s * out + j] =
                c->settings->masks == VX_MASKS_BLOCKS
                    ? j * notions / out == s
                    : VX_MAX((float)(0.9 + 0.7 * vx_rng_normal(&rng)), 0.0f);
    return VINDEX_OK;
}

static vindex_status make_rooms(course *c) {
    size_t in = c->head->in, out = c->head->out, batch = c->head->batch;
    size_t epochs = (size_t)c->settings->epochs, entries = c->set->entries;
    size_t stride = (entries + SETTLING_ROWS - 1) / SETTLING_ROWS;
    c->weights = vx_alloc(out, in * sizeof(float));
    c->bias = vx_alloc(out, sizeof(float));
    c->classes = vx_alloc(batch, sizeof *c->classes);
    c->settling = vx_alloc(SETTLING_ROWS, sizeof *c->settling);
    c->values = vx_alloc(epochs, sizeof(double));
    c->maps = vx_alloc(epochs, sizeof(double));
    c->teacher = vx_alloc(batch, c->set->teacher.dim * sizeof(float));
    if (!c->weights || !c->bias || !c->classes || !c->settling || !c->values || !c->maps ||
        !c->teacher)
        return vx_fail_memory(out, in * sizeof(float), c->set->job->word);
    for (size_t i = 0; i < entries; i += stride) c->settling[c->settling_count++] = i;
    return VINDEX_OK;
}

static bool in_pairs(const vx_training *t) {
    for (int i = 0; i < VX_TERMS_MOST && t->terms[i].kind; i++)
        if (t->terms[i].kind->in_pairs) return true;
    return false;
}

static vindex_status check_pairs(const course *c) {
    const vx_training_set *set = c->set;
    if (!in_pairs(c->training) || set->class_count < set->entries) return VINDEX_OK;
    return vx_fail(
        VINDEX_ERR_DATA,
        "%s: each of the %zu rows has a label of its own; this loss compares rows of one "
        "label, give some that share it",
        set->job->word, set->entries);
}

static vindex_status open_course(course *c) {
    const vx_training *t = c->training;
    const vx_training_set *set = c->set;
    VX_TRY(check_pairs(c));
    VX_TRY(vx_step_affine(c->step, c->head->in, c->head->out, true));
    memcpy(c->step->shift, set->view.shift, set->view.dim * sizeof(float));
    VX_TRY(vx_validation_open(set, c->head->out, t->terms[0].kind->metric, &c->validation));
    if (set->teacher.n) VX_TRY(vx_training_set_centres(set, &c->centres));
    VX_TRY(make_losses(c));
    VX_TRY(make_masks(c));
    VX_TRY(make_rooms(c));
    uint64_t seed = set->job->seed ^ (uint64_t)SOURCE_SAMPLES << 56;
    return vx_sampler_open(set, c->head->batch, in_pairs(t) ? (size_t)c->settings->per_class : 0,
                           seed, &c->sampler);
}

static void close_course(course *c) {
    for (int i = 0; i < VX_TERMS_MOST; i++)
        if (c->losses[i].kind) vx_loss_free(&c->losses[i]);
    vx_sampler_close(&c->sampler);
    vx_validation_close(&c->validation);
    vx_parameter_free(&c->masks);
    vx_free(c->best_masks);
    vx_free(c->masked);
    vx_free(c->masked_slope);
    vx_free(c->teacher);
    vx_free(c->centres);
    vx_free(c->weights);
    vx_free(c->bias);
    vx_free(c->classes);
    vx_free(c->settling);
    vx_free(c->values);
    vx_free(c->maps);
}

/* ---- a batch ---- */

/* target = rows * mask, or target += that. */
static void apply_mask(const float *rows, const float *mask, size_t n, size_t dim, float *target,
                       bool add) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++) {
            float value = rows[i * dim + j] * mask[j];
            target[i * dim + j] = add ? target[i * dim + j] + value : value;
        }
}

/* A loss of masked embeddings: v * m has the slope m g for v, v g for m. */
static double masked_loss(course *c, vx_loss *loss, vx_batch *batch, size_t notion) {
    vx_head *head = c->head;
    size_t n = batch->n, dim = batch->dim;
    float *mask = c->masks.values + notion * dim, *mask_slope = c->masks.slope + notion * dim;
    apply_mask(head->normal, mask, n, dim, c->masked, false);
    memset(c->masked_slope, 0, n * dim * sizeof(float));
    batch->rows = c->masked;
    double value = loss->kind->step(loss, batch, c->masked_slope);
    apply_mask(c->masked_slope, mask, n, dim, head->normal_slope, true);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            mask_slope[j] += c->masked_slope[i * dim + j] * head->normal[i * dim + j];
    return value;
}

static double losses_of(course *c, const vx_sample *sample) {
    const vx_training_set *set = c->set;
    vx_head *head = c->head;
    vx_batch batch = {.n = sample->count,
                      .dim = head->out,
                      .classes = c->classes,
                      .class_first = set->class_starts[sample->notion],
                      .teacher = c->teacher,
                      .teacher_dim = set->teacher.dim,
                      .threads = set->job->threads};
    batch.class_count = set->class_starts[sample->notion + 1] - batch.class_first;
    double value = 0;
    for (int i = 0; i < VX_TERMS_MOST && c->losses[i].kind; i++) {
        vx_loss *loss = &c->losses[i];
        bool raw = c->training->terms[i].raw;
        batch.rows = raw ? head->layer : head->normal;
        if (c->masks.count)
            value += masked_loss(c, loss, &batch, sample->notion);
        else
            value += loss->kind->step(loss, &batch, raw ? head->layer_slope : head->normal_slope);
    }
    return value;
}

/* Learned masks are cut off at 0 and, by a slope of 0.0005, drawn to it (as Veit et al. do). */
static void move_masks(course *c) {
    if (c->settings->masks != VX_MASKS_LEARNED) return;
    for (size_t i = 0; i < c->masks.count; i++)
        c->masks.slope[i] += c->masks.values[i] > 0 ? 5e-4f : 0;
    vx_optimiser_move(&c->optimiser, &c->masks, 1);
    for (size_t i = 0; i < c->masks.count; i++)
        c->masks.values[i] = VX_MAX(c->masks.values[i], 0.0f);
}

static double square(const vx_parameter *parameter) {
    return vx_dot(parameter->slope, parameter->slope, parameter->count);
}

/* What brings the slopes of a batch down to the norm they may have, so that one steep batch does
 * not undo many, nor fill Adam's second moments for a thousand more (R. Pascanu, T. Mikolov and Y.
 * Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1). */
static double clip(const course *c) {
    double most = c->settings->clip < 0 ? c->losses[0].kind->clip : c->settings->clip;
    if (!(most > 0)) return 1;
    double sum = square(&c->head->weights) + square(&c->head->bias);
    for (int i = 0; i < VX_TERMS_MOST && c->losses[i].kind; i++)
        sum += square(&c->losses[i].learned);
    if (c->masks.count) sum += square(&c->masks);
    return sum > most * most ? most / sqrt(sum) : 1;
}

static double train_batch(course *c, const vx_sample *sample) {
    const vx_training_set *set = c->set;
    const size_t *entries = c->sampler.order + sample->first;
    int threads = set->job->threads;
    vx_training_set_gather(set, entries, sample->count, c->head->input);
    for (size_t i = 0; i < sample->count; i++) c->classes[i] = set->classes[entries[i]];
    if (set->teacher.n) vx_training_set_teacher(set, entries, sample->count, c->teacher);
    vx_head_forward(c->head, sample->count, threads);
    double value = losses_of(c, sample);
    vx_head_back(c->head, sample->count, threads);
    vx_optimiser_begin(&c->optimiser, clip(c));
    vx_optimiser_move(&c->optimiser, &c->head->weights, threads);
    vx_optimiser_move(&c->optimiser, &c->head->bias, threads);
    for (int i = 0; i < VX_TERMS_MOST && c->losses[i].kind; i++)
        vx_optimiser_move(&c->optimiser, &c->losses[i].learned, threads);
    move_masks(c);
    return value;
}

/* ---- an epoch ---- */

/* "epoch 3 of 70, loss 0.5242, MAP 0.4112, 40 s left". */
static vindex_status report(const course *c, double part) {
    const vx_training *t = c->training;
    double whole = (double)c->settings->epochs, done = ((double)c->epochs + part) / whole;
    double left = done > 0 ? (now() - c->began) * (1 - done) / done : 0;
    char measures[64] = "";
    int used = 0;
    if (c->epochs)
        used = snprintf(measures, sizeof measures, ", loss %.4f", c->values[c->epochs - 1]);
    if (c->epochs && c->validation.part)
        snprintf(measures + used, sizeof measures - (size_t)used, ", MAP %.4f",
                 c->maps[c->epochs - 1]);
    return vx_fit_progress(c->set->job, t->from + (t->to - t->from) * done,
                           "epoch %zu of %d%s, %.0f s left",
                           VX_MIN(c->epochs + 1, (size_t)c->settings->epochs),
                           (int)c->settings->epochs, measures, left);
}

/* The rate falls at 5/7 and 6/7 of the epochs: at 50 and 60 of 70 ("Less is more", section 3.3). */
static double rate_now(const course *c) {
    double done = (double)c->epochs / (double)c->settings->epochs;
    double rate = c->settings->rate;
    if (done >= 5.0 / 7) rate *= c->settings->drop;
    if (done >= 6.0 / 7) rate *= c->settings->drop;
    return rate;
}

/* Batch norm's mean and deviation over the rows, and the map as it now is. */
static void fold(course *c) {
    vx_head *head = c->head;
    if (head->normed) {
        vx_head_settle_begin(head);
        for (size_t i = 0; i < c->settling_count; i += head->batch) {
            size_t count = VX_MIN(c->settling_count - i, head->batch);
            vx_training_set_gather(c->set, c->settling + i, count, head->input);
            vx_head_settle_add(head, count, c->set->job->threads);
        }
        vx_head_settle_end(head, c->settling_count);
    }
    vx_head_fold(head, c->training->fold_norm, c->weights, c->bias);
}

/* The map for rows as the caller has them: those of the set were scaled. */
static void keep(course *c) {
    size_t numbers = c->head->in * c->head->out;
    for (size_t i = 0; i < numbers; i++) c->step->weights[i] = c->weights[i] * c->set->view.scale;
    memcpy(c->step->bias, c->bias, c->head->out * sizeof(float));
    if (c->masks.count) memcpy(c->best_masks, c->masks.values, c->masks.count * sizeof(float));
    c->best = c->epochs;
}

/* Whether the epoch just done left numbers to go on with: a loss far above the lowest is on its way
 * to infinity. */
static bool went_well(const course *c, double value) {
    size_t where;
    return isfinite(value) && value <= 10 * c->lowest + 1 &&
           vx_all_finite(c->weights, c->head->in * c->head->out, &where) &&
           vx_all_finite(c->bias, c->head->out, &where);
}

static vindex_status end_epoch(course *c, double value) {
    fold(c);
    if (!went_well(c, value)) {
        c->diverged = c->epochs + 1;
        return VINDEX_OK;
    }
    double map = 0;
    if (c->validation.part)
        VX_TRY(vx_validation_map(&c->validation, c->weights, c->bias,
                                 c->masks.count ? c->masks.values : NULL, &map));
    bool better = !c->validation.part || !c->best || map > c->maps[c->best - 1];
    c->lowest = VX_MIN(c->lowest, value);
    c->values[c->epochs] = value;
    c->maps[c->epochs++] = map;
    if (better) keep(c);
    return VINDEX_OK;
}

static vindex_status train_epoch(course *c) {
    double sum = 0, rows = 0;
    c->optimiser.rate = rate_now(c);
    vx_sampler_draw(&c->sampler);
    for (size_t b = 0; b < c->sampler.sample_count && isfinite(sum); b++) {
        const vx_sample *sample = &c->sampler.samples[b];
        VX_TRY(report(c, (double)b / (double)c->sampler.sample_count));
        double value = train_batch(c, sample);
        if (c->epochs == 0 && b == 0) c->lowest = value;
        sum += value * (double)sample->count;
        rows += (double)sample->count;
    }
    return end_epoch(c, sum / rows);
}

/* ---- the whole ---- */

static vindex_status diverged(const course *c) {
    const vx_fit *job = c->set->job;
    if (!c->best)
        return vx_fail(VINDEX_ERR_DATA,
                       "%s: the loss diverged in the first epoch at rate %g; lower the rate",
                       job->word, c->settings->rate);
    return vx_fit_progress(job, c->training->to,
                           "the loss diverged in epoch %zu; epoch %zu is kept", c->diverged,
                           c->best);
}

static vindex_status write_facts(const course *c) {
    double best = (double)c->best, diverged = (double)c->diverged;
    size_t out = c->head->out;
    VX_TRY(vx_step_fact(c->step, "loss", c->values, c->epochs));
    if (c->validation.part) VX_TRY(vx_step_fact(c->step, "MAP", c->maps, c->epochs));
    VX_TRY(vx_step_fact(c->step, "epoch", &best, 1));
    if (c->diverged) VX_TRY(vx_step_fact(c->step, "diverged", &diverged, 1));
    if (!c->masks.count) return VINDEX_OK;
    double *mask = vx_alloc(out, sizeof *mask);
    if (!mask) return vx_fail_memory(out, sizeof *mask, c->set->job->word);
    vindex_status status = VINDEX_OK;
    for (size_t s = 0; s < c->set->notions && status == VINDEX_OK; s++) {
        char name[VX_FACT_NAME];
        snprintf(name, sizeof name, "mask %d", (int)s + 1);
        for (size_t j = 0; j < out; j++) mask[j] = (double)c->best_masks[s * out + j];
        status = vx_step_fact(c->step, name, mask, out);
    }
    vx_free(mask);
    return status;
}

static vindex_status run(course *c) {
    VX_TRY(open_course(c));
    const vx_head_settings *settings = c->settings;
    c->optimiser = (vx_optimiser){.kind = (vx_optimiser_kind)settings->optimiser,
                                  .momentum = settings->momentum,
                                  .decay = settings->decay};
    c->began = now();
    while (c->epochs < (size_t)settings->epochs && !c->diverged) {
        VX_TRY(train_epoch(c));
        bool patient = !settings->patience || !c->validation.part;
        if (!patient && c->epochs - c->best >= (size_t)settings->patience) break;
    }
    if (c->diverged) VX_TRY(diverged(c));
    return write_facts(c);
}

vindex_status vx_train(vx_training *training, vx_step *step) {
    course c = {.training = training,
                .set = training->set,
                .settings = training->settings,
                .head = training->head,
                .step = step};
    vindex_status status = run(&c);
    close_course(&c);
    return status;
}
