/* Simulated embeddings shaped like Da-TACOS as MOVE, Re-MOVE and ByteCover2 see it, for tests and
 * benchmarks where the real ones, which cannot be shipped, are absent.
 *
 * A recording has a latent vector h in R^256: its clique's signal and its own noise, both with
 * falling variances along the axes, the noise multiplied by exp(N(0,1)/2). A few recordings are
 * lost: the model hears another song, which gives the long tail of MR1. An embedding is
 * x = BN(W h) with W Gaussian, since MOVE's last layer is a linear map from 256 features and a
 * batch norm ("Less is more", section 3.4.4), so that its embeddings have rank 256 at any size.
 * Batch norm divides by the standard deviation, which the variances give.
 *
 * Every number comes from the integer generator of core/rng.h and IEEE basic operations in a fixed
 * order: the same bits on every machine. */
#include <math.h>
#include <omp.h>

#include <vindex/eval.h>

#include "core/base.h"
#include "core/rng.h"
#include "structure.h"

enum {
    LATENT = 256,
    ROWS = 4, /* a tile of the product: 4 x 8 sums stay in registers */
    WIDTH = 8,
    BAND = 64, /* rows made by one thread at a time */
    MODELS = 3
};

/* What makes a model. Noise and lost share were set once per model, by MAP and MR1 at its own size
 * (`vindex simulate da-tacos`, then `vindex eval`; seed 1, 15,000 rows). Measured | published:
 *   MOVE         l2      16,000  MAP .508 MR1 39.3 | .507 40      4,000  .506 39.1 | .495 42
 *   Re-MOVE      cosine     256  MAP .524 MR1 39.5 | .524 38
 *   ByteCover2   cosine   1,536  MAP .792 MR1 18.6 | .791 19.2      128  .693 22.9 | .718 22.7
 * Unlike the papers' heads, all are the same random map at every size, so small ones lose more.
 *
 * The exponents come from the shape of "Less is more", Table 1. Projections of MOVE at 4,000 fitted
 * on the training split, MAP on every third query (.504 unprojected) | published (.507):
 *   PCA                   128 .492  256 .504                         | .494 .507
 *   the same, whitened    128 .491  256 .471                         | ICA .456 .425
 *   random projection     128 .421  256 .459  512 .479  2,048 .499   | .429 .465 .485 .502 */
static const struct model {
    vindex_metric metric;
    int64_t dim;
    double signal_fall, noise_fall; /* variance of axis i falls as i^-fall; sums to 1 */
    double noise;                   /* the noise's standard deviation beside the signal's */
    double lost;                    /* share of recordings with another song's signal */
} models[MODELS] = {
    [VINDEX_SIMULATED_MOVE] = {VINDEX_L2, 16000, 1.1, 0.7, 0.895, 0.0115},
    [VINDEX_SIMULATED_RE_MOVE] = {VINDEX_COSINE, 256, 1.1, 0.7, 1.01, 0.0045},
    [VINDEX_SIMULATED_BYTECOVER2] = {VINDEX_COSINE, 1536, 1.1, 0.7, 0.768, 0.0032},
};

/* Four numbers side by side: every machine vindex runs on has registers of that size. */
typedef float lanes __attribute__((vector_size(16), may_alias));

static const double noise_spread = 0.5; /* of the logarithm of a recording's noise */

/* Streams of random numbers: one per kind, split and number. */
typedef enum source { SOURCE_WEIGHT = 1, SOURCE_SHUFFLE, SOURCE_CLIQUE, SOURCE_ROW } source;

struct vindex_simulator {
    const struct model *model;
    uint64_t seed;
    bool training;
    size_t rows, dim;
    int32_t *cliques;
    double signal[LATENT], noise[LATENT]; /* standard deviations */
    float *weights; /* W after batch norm: panels of WIDTH dimensions, LATENT x WIDTH each */
};

static const vindex_field fields[] = {
    {"dim", VINDEX_FIELD_INT64, offsetof(vindex_simulate_params, dim), 0, 1048576, 0,
     "dimensions; 0 for the model's own"},
    {"scale", VINDEX_FIELD_DOUBLE, offsetof(vindex_simulate_params, scale), 0.001, 1000, 1,
     "times as many cliques and singletons"},
    {"training", VINDEX_FIELD_BOOL, offsetof(vindex_simulate_params, training), 0, 1, 0,
     "the training split instead of the benchmark"},
};

static const vindex_field_table table = {"simulate", sizeof(vindex_simulate_params), fields,
                                         VX_COUNT(fields)};

void vindex_simulate_params_init(vindex_simulate_params *params) {
    vindex_fields_init(&table, params);
    params->seed = 1;
}

static vx_rng stream(const vindex_simulator *s, source kind, uint64_t number) {
    bool shared = kind == SOURCE_WEIGHT; /* both splits are heard by the same model */
    uint64_t split = s->training && !shared;
    return vx_rng_seed(s->seed, (uint64_t)kind << 56 | split << 48 | number);
}

/* Variances i^-fall scaled to the sum 1. */
static void spectrum(double fall, double *variances) {
    double sum = 0;
    for (int i = 0; i < LATENT; i++) {
        variances[i] = vx_exp(-fall * vx_log(i + 1));
        sum += variances[i];
    }
    for (int i = 0; i < LATENT; i++) variances[i] /= sum;
}

/* W's row j is the direction of dimension j, divided by the dimension's standard deviation. */
static void make_weights(vindex_simulator *s, int threads) {
    double variance[LATENT];
    double spread = vx_exp(2 * noise_spread * noise_spread); /* mean square of exp(spread N) */
    for (int k = 0; k < LATENT; k++)
        variance[k] = s->signal[k] * s->signal[k] + spread * s->noise[k] * s->noise[k];
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t j = 0; j < s->dim; j++) {
        vx_rng rng = stream(s, SOURCE_WEIGHT, j);
        double row[LATENT], square = 0;
        for (int k = 0; k < LATENT; k++) {
            row[k] = vx_rng_normal(&rng);
            square += row[k] * row[k] * variance[k];
        }
        double deviation = sqrt(square);
        float *panel = s->weights + j / WIDTH * (LATENT * WIDTH) + j % WIDTH;
        for (int k = 0; k < LATENT; k++) panel[k * WIDTH] = (float)(row[k] / deviation);
    }
}

static vindex_status copy_cliques(vindex_simulator *s, const int32_t *cliques, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (cliques[i] < 0)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "simulate: the clique of row %lld is %ld; cliques are numbered from 0",
                           (long long)i, (long)cliques[i]);
    s->cliques = vx_alloc((size_t)n, sizeof *s->cliques);
    if (!s->cliques) return vx_fail_memory((size_t)n, sizeof *s->cliques, "simulate: cliques");
    memcpy(s->cliques, cliques, (size_t)n * sizeof *cliques);
    s->rows = (size_t)n;
    return VINDEX_OK;
}

static vindex_status prepare(vindex_simulator *s, const vindex_simulate_params *params,
                             const int32_t *cliques, int64_t n) {
    if (cliques)
        VX_TRY(copy_cliques(s, cliques, n));
    else
        VX_TRY(vx_structure(params->training, params->scale, stream(s, SOURCE_SHUFFLE, 0),
                            &s->cliques, &s->rows));
    spectrum(s->model->signal_fall, s->signal);
    spectrum(s->model->noise_fall, s->noise);
    for (int k = 0; k < LATENT; k++) {
        s->signal[k] = sqrt(s->signal[k]);
        s->noise[k] = s->model->noise * sqrt(s->noise[k]);
    }
    size_t panels = (s->dim + WIDTH - 1) / WIDTH;
    s->weights = vx_alloc_zero(panels, LATENT * WIDTH * sizeof(float));
    if (!s->weights)
        return vx_fail_memory(panels, LATENT * WIDTH * sizeof(float), "simulate: the model");
    make_weights(s, vx_threads(0));
    return VINDEX_OK;
}

vindex_status vindex_simulator_create(const vindex_simulate_params *params, const int32_t *cliques,
                                      int64_t n, vindex_simulator **simulator) {
    vindex_simulate_params defaults;
    vindex_simulate_params_init(&defaults);
    if (!params) params = &defaults;
    VX_TRY(vindex_fields_check(&table, params));
    if ((unsigned)params->model >= MODELS)
        return vx_fail(VINDEX_ERR_ARGUMENT, "simulate: model is %d; give 0 to %d",
                       (int)params->model, MODELS - 1);
    if (cliques ? n <= 0 : n != 0)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "simulate: %lld rows %s cliques; give both, or NULL and 0 for Da-TACOS's "
                       "structure",
                       (long long)n, cliques ? "with" : "without");
    vindex_simulator *s = vx_alloc_zero(1, sizeof *s);
    if (!s) return vx_fail_memory(1, sizeof *s, "simulate: the simulator");
    s->model = &models[params->model];
    s->seed = params->seed;
    s->training = params->training;
    s->dim = (size_t)(params->dim ? params->dim : s->model->dim);
    vindex_status status = prepare(s, params, cliques, n);
    if (status) {
        vindex_simulator_free(s);
        return status;
    }
    *simulator = s;
    return VINDEX_OK;
}

void vindex_simulator_free(vindex_simulator *simulator) {
    if (!simulator) return;
    vx_free(simulator->cliques);
    vx_free(simulator->weights);
    vx_free(simulator);
}

int64_t vindex_simulator_rows(const vindex_simulator *simulator) {
    return (int64_t)simulator->rows;
}

int64_t vindex_simulator_dim(const vindex_simulator *simulator) {
    return (int64_t)simulator->dim;
}

vindex_metric vindex_simulator_metric(const vindex_simulator *simulator) {
    return simulator->model->metric;
}

const int32_t *vindex_simulator_cliques(const vindex_simulator *simulator) {
    return simulator->cliques;
}

/* h of one row: what its clique sounds like, and what the recording does to it. */
static void make_latent(const vindex_simulator *s, size_t row, float *latent) {
    vx_rng own = stream(s, SOURCE_ROW, row);
    vx_rng song = stream(s, SOURCE_CLIQUE, (uint64_t)s->cliques[row]);
    bool lost = vx_rng_uniform(&own) < s->model->lost;
    double loudness = vx_exp(noise_spread * vx_rng_normal(&own));
    for (int k = 0; k < LATENT; k++) {
        double signal = s->signal[k] * vx_rng_normal(lost ? &own : &song);
        latent[k] = (float)(signal + loudness * (s->noise[k] * vx_rng_normal(&own)));
    }
}

/* ROWS x WIDTH numbers of latents times one panel. Each lane sums over k in order. */
static void multiply(const float *restrict latents, const lanes *restrict panel,
                     lanes sums[restrict ROWS][WIDTH / 4]) {
    lanes sum[ROWS][WIDTH / 4] = {0};
    for (int k = 0; k < LATENT; k++)
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < WIDTH / 4; j++)
                sum[r][j] += latents[r * LATENT + k] * panel[k * (WIDTH / 4) + j];
    memcpy(sums, sum, sizeof sum);
}

/* Makes count <= BAND rows; latents has room for BAND, so that the last tile may be partly idle. */
static void make_band(const vindex_simulator *s, size_t first, size_t count, float *latents,
                      float *vectors) {
    memset(latents, 0, BAND * LATENT * sizeof *latents);
    for (size_t i = 0; i < count; i++) make_latent(s, first + i, latents + i * LATENT);
    for (size_t j = 0; j < s->dim; j += WIDTH) {
        size_t width = VX_MIN(s->dim - j, (size_t)WIDTH);
        const float *panel = s->weights + j * LATENT;
        for (size_t i = 0; i < count; i += ROWS) {
            lanes sums[ROWS][WIDTH / 4];
            multiply(latents + i * LATENT, (const lanes *)panel, sums);
            for (size_t r = 0; r < ROWS && i + r < count; r++)
                memcpy(vectors + (i + r) * s->dim + j, sums[r], width * sizeof(float));
        }
    }
}

vindex_status vindex_simulator_read(const vindex_simulator *simulator, int64_t first, int64_t count,
                                    int32_t threads, float *vectors) {
    if (first < 0 || count < 0 || first > (int64_t)simulator->rows - count)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "simulate: %lld rows from %lld on were asked of %zu; stay within them",
                       (long long)count, (long long)first, simulator->rows);
    if (threads < 0)
        return vx_fail(VINDEX_ERR_ARGUMENT, "simulate: threads is %d; give 0 for all cores or more",
                       (int)threads);
    size_t bands = ((size_t)count + BAND - 1) / BAND;
    int team = (int)VX_MIN((size_t)vx_threads(threads), VX_MAX(bands, (size_t)1));
    float *latents = vx_alloc((size_t)team, BAND * LATENT * sizeof *latents);
    if (!latents)
        return vx_fail_memory((size_t)team, BAND * LATENT * sizeof *latents, "simulate: rows");
#pragma omp parallel for num_threads(team) schedule(dynamic)
    for (size_t b = 0; b < bands; b++) {
        size_t start = b * BAND, rows = VX_MIN((size_t)count - start, (size_t)BAND);
        make_band(simulator, (size_t)first + start, rows,
                  latents + (size_t)omp_get_thread_num() * BAND * LATENT,
                  vectors + start * simulator->dim);
    }
    vx_free(latents);
    return VINDEX_OK;
}
