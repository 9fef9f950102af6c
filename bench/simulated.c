#include "simulated.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS = 1000, BAND = 256 /* rows that a thread makes at a time */ };

const char bench_simulated_names[] = "clustered|sift-like";

static const struct set {
    const char *name;
    double fall;   /* variance of axis i: i^-fall */
    double spread; /* of a cluster beside that of the centres */
    int whole;     /* turned into whole numbers from 0 to 128 */
} sets[] = {{"clustered", 0.7, 1.0, 0}, {"sift-like", 1.2, 0.8, 1}};

static const struct set *find(const char *name) {
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strcmp(sets[i].name, name)) return &sets[i];
    return NULL;
}

int bench_simulated_known(const char *name) {
    return find(name) != NULL;
}

/* Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014. */
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A stream of its own per kind and number. */
static uint64_t stream(uint64_t seed, uint64_t kind, uint64_t number) {
    uint64_t state = seed * 0x2545f4914f6cdd1du ^ kind << 56 ^ number;
    next(&state);
    return state;
}

/* Two normal numbers at a time (Box and Muller, 1958). */
static void fill_normal(uint64_t *state, int64_t count, float *numbers) {
    for (int64_t i = 0; i < count; i += 2) {
        double u = ((double)(next(state) >> 11) + 1) * 0x1p-53;
        double v = (double)(next(state) >> 11) * 0x1p-53;
        double length = sqrt(-2 * log(u)), turn = 6.283185307179586 * v;
        numbers[i] = (float)(length * cos(turn));
        if (i + 1 < count) numbers[i + 1] = (float)(length * sin(turn));
    }
}

/* What all rows of a set have in common. */
typedef struct model {
    const struct set *set;
    int64_t dim;
    uint64_t seed;
    float *scale;    /* standard deviation per axis */
    float *centres;  /* CLUSTERS x dim, along the axes */
    float *rotation; /* dim x dim, orthonormal rows */
} model;

/* Random orthonormal axes, by Gram and Schmidt, twice for accuracy. */
static void make_rotation(model *m) {
    uint64_t state = stream(m->seed, 1, 0);
    for (int64_t i = 0; i < m->dim; i++) {
        float *row = m->rotation + i * m->dim;
        fill_normal(&state, m->dim, row);
        for (int64_t pass = 0; pass < 2 * i; pass++) {
            const float *other = m->rotation + pass % i * m->dim;
            double product = 0;
            for (int64_t j = 0; j < m->dim; j++) product += (double)row[j] * (double)other[j];
            for (int64_t j = 0; j < m->dim; j++) row[j] -= (float)product * other[j];
        }
        double square = 0;
        for (int64_t j = 0; j < m->dim; j++) square += (double)row[j] * (double)row[j];
        for (int64_t j = 0; j < m->dim; j++) row[j] = (float)((double)row[j] / sqrt(square));
    }
}

static int make_model(model *m) {
    size_t dim = (size_t)m->dim;
    double sum = 0;
    m->scale = malloc(dim * sizeof(float));
    m->centres = malloc(CLUSTERS * dim * sizeof(float));
    m->rotation = malloc(dim * dim * sizeof(float));
    if (!m->scale || !m->centres || !m->rotation) return 0;
    for (size_t j = 0; j < dim; j++) sum += pow((double)j + 1, -m->set->fall);
    for (size_t j = 0; j < dim; j++)
        m->scale[j] = (float)sqrt(pow((double)j + 1, -m->set->fall) / sum * (double)dim);
    uint64_t state = stream(m->seed, 2, 0);
    fill_normal(&state, CLUSTERS * m->dim, m->centres);
    for (size_t i = 0; i < CLUSTERS * dim; i++) m->centres[i] *= m->scale[i % dim];
    make_rotation(m);
    return 1;
}

static void free_model(model *m) {
    free(m->scale);
    free(m->centres);
    free(m->rotation);
}

/* Half of the numbers are 0 and few are large, as in histograms of gradients. */
static float whole_of(float number) {
    return number <= 0 ? 0 : fminf(floorf(24 * number * sqrtf(number)), 128);
}

/* Makes up to BAND rows; latent: one row. */
static void make_band(const model *m, int64_t first, int64_t count, float *latent, float *rows) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t state = stream(m->seed, 3, (uint64_t)(first + i));
        const float *centre = m->centres + (int64_t)(next(&state) % CLUSTERS) * m->dim;
        float *row = rows + i * m->dim;
        fill_normal(&state, m->dim, latent);
        for (int64_t j = 0; j < m->dim; j++)
            latent[j] = centre[j] + (float)m->set->spread * m->scale[j] * latent[j];
        memset(row, 0, (size_t)m->dim * sizeof *row);
        for (int64_t k = 0; k < m->dim; k++)
            for (int64_t j = 0; j < m->dim; j++) row[j] += latent[k] * m->rotation[k * m->dim + j];
        for (int64_t j = 0; j < m->dim && m->set->whole; j++) row[j] = whole_of(row[j]);
    }
}

int bench_simulate(const char *name, int64_t first, int64_t count, int64_t dim, uint64_t seed,
                   int threads, float *rows) {
    model m = {.set = find(name), .dim = dim, .seed = seed};
    int made = m.set && make_model(&m);
    if (threads == 0) threads = omp_get_max_threads();
#pragma omp parallel num_threads(threads) if (made)
    {
        float *latent = made ? malloc((size_t)dim * sizeof *latent) : NULL;
        if (!latent) {
#pragma omp atomic write
            made = 0;
        }
#pragma omp barrier
        int go;
#pragma omp atomic read
        go = made;
#pragma omp for schedule(dynamic)
        for (int64_t band = 0; band < (count + BAND - 1) / BAND; band++) {
            int64_t at = band * BAND, some = count - at < BAND ? count - at : BAND;
            if (go) make_band(&m, first + at, some, latent, rows + at * dim);
        }
        free(latent);
    }
    free_model(&m);
    return made;
}
