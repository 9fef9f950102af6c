/* The methods that train one linear layer by a loss: fc, pca-fc (X. Du et al., "ByteCover2: towards
 * dimensionality reduction of latent embedding for efficient cover song identification", ICASSP
 * 2022); lsr, distill and prune (F. Yesiler, J. Serra and E. Gomez, "Less is more", ISMIR 2020). */
#include <math.h>

#include "pca.h"
#include "trainer.h"

/* ---- what can be set ---- */

static const char *const loss_words[] = {"normalized-softmax", "triplet", "proxy-nca", "group",
                                         "contrastive",        "infonce"};
static const char *const minings[] = {"hard", "semi-hard"};
static const char *const optimisers[] = {"sgd", "adam"};
static const char *const maskings[] = {"none", "blocks", "learned"};
static const char *const matches[] = {"distances", "clusters"};

_Static_assert(VX_COUNT(loss_words) == VX_LOSS_CHOICES, "a word for each loss to choose");

#define AT(member) offsetof(vx_head_settings, member)

/* In such an order that each method has a stretch of them. */
static const vindex_field fields[] = {
    {"start", VINDEX_FIELD_INT32, AT(start), 0, VX_DIM_MOST, 0,
     "dimensions to begin with; 0: as many as the rows have"},
    {"loss", VINDEX_FIELD_CHOICE, AT(loss), 0, VX_LOSS_CHOICES - 1, 0, "what is made small",
     loss_words},
    {"temperature", VINDEX_FIELD_DOUBLE, AT(temperature), 0, 1e6, 0,
     "of a softmax; 0: the loss's own, 0.05, of group 1"},
    {"iterations", VINDEX_FIELD_INT32, AT(iterations), 1, 100, 3, "of group's replicator dynamics"},
    {"notions", VINDEX_FIELD_INT32, AT(notions), 1, 1024, 1,
     "notions of similarity: the rows are as many equal parts, each with labels of its own"},
    {"masks", VINDEX_FIELD_CHOICE, AT(masks), 0, 2, VX_MASKS_NONE,
     "subspaces of the notions: none, blocks of dimensions, or learned", maskings},
    {"mining", VINDEX_FIELD_CHOICE, AT(semi_hard), 0, 1, 0, "which triplets of a batch count",
     minings},
    {"margin", VINDEX_FIELD_DOUBLE, AT(margin), -1, 1e6, -1,
     "of triplet and contrastive; -1: the loss's own, 1, of fc and pca-fc 0.3"},
    {"norm", VINDEX_FIELD_BOOL, AT(norm), 0, 1, 1, "batch norm, folded into the map at the end"},
    {"epochs", VINDEX_FIELD_INT32, AT(epochs), 1, 100000, 70, "passes over the rows"},
    {"patience", VINDEX_FIELD_INT32, AT(patience), 0, 100000, 10,
     "epochs without a better validation MAP before it stops; 0: never"},
    {"batch", VINDEX_FIELD_INT32, AT(batch), 2, 65536, 512, "rows per step"},
    {"per-class", VINDEX_FIELD_INT32, AT(per_class), 2, 65536, 4,
     "rows of a class that meet in a batch, where the loss compares rows"},
    {"optimiser", VINDEX_FIELD_CHOICE, AT(optimiser), 0, 1, VX_OPTIMISER_ADAM,
     "how steps are taken", optimisers},
    {"rate", VINDEX_FIELD_DOUBLE, AT(rate), 1e-12, 1e6, 0.001, "learning rate"},
    {"drop", VINDEX_FIELD_DOUBLE, AT(drop), 1e-6, 1, 0.1,
     "what the rate is multiplied by after 5/7 and again after 6/7 of the epochs"},
    {"momentum", VINDEX_FIELD_DOUBLE, AT(momentum), 0, 0.9999, 0.9, "of sgd; adam's first beta"},
    {"clip", VINDEX_FIELD_DOUBLE, AT(clip), -1, 1e30, -1,
     "the slopes of a batch are scaled down to this norm; 0: never; -1: the loss's own, 1 of "
     "group, "
     "else never"},
    {"decay", VINDEX_FIELD_DOUBLE, AT(decay), 0, 1, 0, "weight decay"},
    {"match", VINDEX_FIELD_CHOICE, AT(match), 0, 1, 0, "what of the teacher is matched", matches},
};

enum { LOSS = 1, MINING = 6, MARGIN = 7, MATCH = VX_COUNT(fields) - 1 };

static const vindex_field_table fc_table = {"fc", sizeof(vx_head_settings), fields + MARGIN,
                                            MATCH - MARGIN};
static const vindex_field_table pca_fc_table = {"pca-fc", sizeof(vx_head_settings), fields + MARGIN,
                                                MATCH - MARGIN};
static const vindex_field_table lsr_table = {"lsr", sizeof(vx_head_settings), fields + LOSS,
                                             MATCH - LOSS};
static const vindex_field_table distill_table = {"distill", sizeof(vx_head_settings),
                                                 fields + MINING, MATCH + 1 - MINING};
static const vindex_field_table prune_table = {"prune", sizeof(vx_head_settings), fields, MATCH};

/* Methods without notions have one. */
static size_t notions_of(const vx_head_settings *s) {
    return (size_t)VX_MAX(s->notions, 1);
}

static vindex_status check(const vx_fit *job, size_t least) {
    const vx_head_settings *s = job->settings;
    if (!job->dim)
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: no dimension was asked for; give one", job->word);
    if (job->dim < least)
        return vx_fail(VINDEX_ERR_ARGUMENT, "%s: %zu dimensions; this needs at least %zu",
                       job->word, job->dim, least);
    if (s->margin < 0 && s->margin != -1)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: margin is %g; give 0 or more, or -1 for the loss's own", job->word,
                       s->margin);
    if (s->clip < 0 && s->clip != -1)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "%s: clip is %g; give 0 or more, or -1 for the loss's own", job->word,
                       s->clip);
    if (s->per_class <= s->batch) return VINDEX_OK;
    return vx_fail(VINDEX_ERR_ARGUMENT,
                   "%s: per-class is %d and batch %d; batches must hold that many rows", job->word,
                   (int)s->per_class, (int)s->batch);
}

/* Rows at a time: no more than there are. */
static size_t batch_of(const vx_head_settings *s, const vx_training_set *set) {
    return VX_MIN((size_t)s->batch, set->entries);
}

/* ---- one layer ---- */

/* What a method trains. */
typedef struct recipe {
    bool normed, from_pca, taught;
    vx_term terms[VX_TERMS_MOST];
} recipe;

/* The components' rows are the layer's: W = U^T (ByteCover2, section 2.2). */
static vindex_status start_by_pca(const vx_fit *job, const vx_training_set *set, vx_head *head) {
    vindex_rows rows = {(int64_t)set->view.n, (int64_t)set->view.dim, set->view.rows, NULL, NULL};
    vx_pca_options options = vx_pca_defaults(head->out);
    vx_pca pca;
    VX_TRY(vx_pca_compute(job, &rows, &options, &pca));
    for (size_t i = 0; i < head->weights.count; i++)
        head->weights.values[i] = (float)pca.vectors[i];
    vx_pca_free(&pca);
    return VINDEX_OK;
}

static vindex_status train_layer(const vx_fit *job, const recipe *what, vx_training_set *set,
                                 vx_step *step) {
    const vx_head_settings *settings = job->settings;
    vx_head head;
    VX_TRY(vx_head_create(set->view.dim, job->dim, batch_of(settings, set), what->normed, &head));
    vx_rng rng = vx_rng_seed(job->seed, 0);
    vindex_status status = VINDEX_OK;
    if (what->from_pca)
        status = start_by_pca(job, set, &head);
    else
        vx_parameter_start(&head.weights, head.in, &rng);
    vx_training training = {.set = set,
                            .settings = settings,
                            .head = &head,
                            .fold_norm = settings->norm,
                            .terms = {what->terms[0], what->terms[1]},
                            .to = 1};
    if (status == VINDEX_OK) status = vx_train(&training, step);
    vx_head_free(&head);
    return status;
}

static vindex_status fit_layer(const vx_fit *job, const recipe *what, vx_step *step) {
    const vx_head_settings *settings = job->settings;
    size_t notions = notions_of(settings);
    VX_TRY(check(job, settings->masks == VX_MASKS_BLOCKS ? notions : 1));
    vx_training_set set;
    VX_TRY(vx_training_set_open(job, notions, what->taught, &set));
    vindex_status status = train_layer(job, what, &set, step);
    vx_training_set_close(&set);
    return status;
}

/* Classification of what batch norm makes of the layer, triplets of the layer itself (BNNeck: H.
 * Luo et al., "A strong baseline and batch normalization neck for deep person re-identification",
 * IEEE Transactions on Multimedia, 2019). Neither sees a bias. */
static vindex_status fit_neck(const vx_fit *job, bool from_pca, vx_step *step) {
    recipe neck = {.normed = true,
                   .from_pca = from_pca,
                   .terms = {{vx_losses[VX_LOSS_SOFTMAX], false},
                             {vx_losses[VX_LOSS_TRIPLET_EUCLIDEAN], true}}};
    return fit_layer(job, &neck, step);
}

static vindex_status fit_fc(const vx_fit *job, vx_step *step) {
    return fit_neck(job, false, step);
}

static vindex_status fit_pca_fc(const vx_fit *job, vx_step *step) {
    return fit_neck(job, true, step);
}

static vindex_status fit_lsr(const vx_fit *job, vx_step *step) {
    const vx_head_settings *settings = job->settings;
    recipe lsr = {.normed = settings->norm, .terms = {{vx_losses[settings->loss], false}}};
    return fit_layer(job, &lsr, step);
}

static vindex_status fit_distill(const vx_fit *job, vx_step *step) {
    const vx_head_settings *settings = job->settings;
    vx_loss_number match = settings->match ? VX_LOSS_CLUSTER_MATCHING : VX_LOSS_DISTANCE_MATCHING;
    recipe student = {.normed = settings->norm,
                      .taught = true,
                      .terms = {{vx_losses[match], false}, {vx_losses[VX_LOSS_TRIPLET], false}}};
    return fit_layer(job, &student, step);
}

/* ---- pruning ---- */

/* A layer that loses rows from round to round. */
typedef struct pruning {
    const vx_fit *job;
    const vx_training_set *set;
    size_t in, out; /* now */
    float *initial; /* out x in: what the rows that are left began with */
    size_t rounds, round;
} pruning;

typedef struct weighed {
    double weight; /* mean absolute value */
    size_t row;
} weighed;

static int compare_weights(const void *a, const void *b) {
    const weighed *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int compare_rows(const void *a, const void *b) {
    const weighed *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* The heavier half of the rows, but no fewer than wanted, goes back to where it began. */
static vindex_status rewind_rows(pruning *p, const float *trained) {
    size_t where;
    if (!vx_all_finite(trained, p->out * p->in, &where))
        return vx_fail(VINDEX_ERR_DATA,
                       "prune: the loss diverged at %zu dimensions, rate %g; lower the rate",
                       p->out, ((const vx_head_settings *)p->job->settings)->rate);
    weighed *rows = vx_alloc(p->out, sizeof *rows);
    if (!rows) return vx_fail_memory(p->out, sizeof *rows, p->job->word);
    for (size_t i = 0; i < p->out; i++) {
        double sum = 0;
        for (size_t j = 0; j < p->in; j++) sum += fabs((double)trained[i * p->in + j]);
        rows[i] = (weighed){sum / (double)p->in, i};
    }
    qsort(rows, p->out, sizeof *rows, compare_weights);
    p->out = VX_MAX((p->out + 1) / 2, p->job->dim);
    qsort(rows, p->out, sizeof *rows, compare_rows);
    for (size_t i = 0; i < p->out; i++)
        memmove(p->initial + i * p->in, p->initial + rows[i].row * p->in,
                p->in * sizeof *p->initial);
    vx_free(rows);
    return VINDEX_OK;
}

/* Trains the rows there are; then prunes, unless these are all that are wanted. */
static vindex_status train_round(pruning *p, vx_step *step) {
    const vx_head_settings *settings = p->job->settings;
    vx_head head;
    VX_TRY(vx_head_create(p->in, p->out, batch_of(settings, p->set), settings->norm, &head));
    memcpy(head.weights.values, p->initial, head.weights.count * sizeof(float));
    vx_training training = {.set = p->set,
                            .settings = settings,
                            .head = &head,
                            .fold_norm = settings->norm,
                            .terms = {{vx_losses[settings->loss], false}},
                            .from = (double)p->round / (double)p->rounds,
                            .to = (double)(p->round + 1) / (double)p->rounds};
    bool last = p->out == p->job->dim;
    vx_step spare = {0};
    vindex_status status = vx_train(&training, last ? step : &spare);
    if (status == VINDEX_OK && !last) status = rewind_rows(p, head.weights.values);
    p->round++;
    vx_step_free(&spare);
    vx_head_free(&head);
    return status;
}

static vindex_status run_rounds(pruning *p, vx_step *step) {
    size_t numbers, start = p->out;
    p->initial = vx_mul(start, p->in, &numbers) ? vx_alloc(numbers, sizeof(float)) : NULL;
    if (!p->initial) return vx_fail_memory(start, p->in * sizeof(float), p->job->word);
    vx_rng rng = vx_rng_seed(p->job->seed, 0);
    vx_parameter weights = {.count = numbers, .values = p->initial};
    vx_parameter_start(&weights, p->in, &rng);
    for (size_t left = start; left > p->job->dim; left = VX_MAX((left + 1) / 2, p->job->dim))
        p->rounds++;
    p->rounds++;
    vindex_status status = VINDEX_OK;
    while (status == VINDEX_OK && p->round < p->rounds) status = train_round(p, step);
    vx_free(p->initial);
    return status;
}

/* S. Han et al., "Learning both weights and connections for efficient neural networks", NeurIPS
 * 2015, as section 3.4.2 of "Less is more" has it: rows of the layer, half of them a round. */
static vindex_status fit_prune(const vx_fit *job, vx_step *step) {
    const vx_head_settings *settings = job->settings;
    size_t notions = notions_of(settings);
    VX_TRY(check(job, settings->masks == VX_MASKS_BLOCKS ? notions : 1));
    vx_training_set set;
    VX_TRY(vx_training_set_open(job, notions, false, &set));
    pruning p = {.job = job,
                 .set = &set,
                 .in = set.view.dim,
                 .out = settings->start ? (size_t)settings->start : set.view.dim};
    vindex_status status = VINDEX_OK;
    if (p.out < job->dim)
        status = vx_fail(VINDEX_ERR_ARGUMENT,
                         "prune: it begins with %zu dimensions and is to end with %zu; ask for "
                         "fewer, or set start",
                         p.out, job->dim);
    else
        status = run_rounds(&p, step);
    vx_training_set_close(&set);
    return status;
}

/* ---- the methods ---- */

const vx_method vx_method_fc = {
    .shown = {.word = "fc",
              .help = "a linear layer from a random start, trained to classify and by triplets",
              .chooses_dim = true,
              .needs_labels = true,
              .fields = &fc_table},
    .fit = fit_fc,
};

const vx_method vx_method_pca_fc = {
    .shown = {.word = "pca-fc",
              .help = "the same from principal components (ByteCover2)",
              .chooses_dim = true,
              .needs_labels = true,
              .fields = &pca_fc_table},
    .fit = fit_pca_fc,
};

const vx_method vx_method_lsr = {
    .shown = {.word = "lsr",
              .help = "latent space reconfiguration: a fresh layer and batch norm, trained by a "
                      "loss of choice; without labels, a row and its second view make a class",
              .chooses_dim = true,
              .fields = &lsr_table},
    .fit = fit_lsr,
};

const vx_method vx_method_distill = {
    .shown = {.word = "distill",
              .help = "a layer trained by triplets and to match its teacher, the second view",
              .chooses_dim = true,
              .needs_labels = true,
              .needs_second = true,
              .fields = &distill_table},
    .fit = fit_distill,
};

const vx_method vx_method_prune = {
    .shown = {.word = "prune",
              .help = "a trained layer that loses the lighter half of its rows again and again",
              .chooses_dim = true,
              .fields = &prune_table},
    .fit = fit_prune,
};
