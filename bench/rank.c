/* Exact search of rows of many dimensions but low rank through the projection that keeps their
 * distances ("Rank,Flat,Certified"). Prints one JSON object.
 *
 *     bench_rank ROWS ADDED DIM RANK
 *
 * Rows are simulated: embeddings with the clique structure of Da-TACOS, RANK numbers of length 1
 * each (vindex simulate, Re-MOVE's model), times a fixed Gaussian RANK x DIM matrix. ADDED of them
 * go through the index as an application's would: DIM numbers each, which vindex_add projects; and
 * their ids are compared with those of a plain scan of all DIM numbers. ROWS x DIM numbers fit no
 * memory and take long to project, so for the queries' time ROWS vectors are added behind the
 * projection, as a linear map of the simulated ones that is the product of the matrix and the
 * projection; a query is timed from its DIM numbers on. With as many rows ids are compared with
 * those of a brute-force search in double precision over the projected vectors. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vindex/eval.h>
#include <vindex/vindex.h>

#include "memory.h"

enum { QUERIES = 20, CHECKED = 3, K = 10, CHUNK = 1000, BLOCK = 1 << 16, PASSES = 3 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_rank: %s\n", vindex_last_error());
    exit(1);
}

static float *room(int64_t rows, int64_t dim) {
    float *numbers = malloc((size_t)rows * (size_t)dim * sizeof *numbers);
    if (!numbers) {
        fprintf(stderr, "bench_rank: no memory for %lld x %lld numbers\n", (long long)rows,
                (long long)dim);
        exit(1);
    }
    return numbers;
}

typedef struct bench {
    int64_t rows, added, dim, rank;
    vindex_simulator *simulator;
    vindex_transform *mixing; /* rank -> dim */
    float *latent;            /* BLOCK x rank */
} bench;

/* Independent numbers of variance 1 / dim: sums of twelve uniform ones. */
static void make_mixing(bench *b) {
    float *matrix = room(b->dim, b->rank);
    uint64_t state = 88172645463325252u;
    for (int64_t i = 0; i < b->dim * b->rank; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(state >> 11) * 0x1p-53;
        }
        matrix[i] = (float)(sum / sqrt((double)b->dim));
    }
    check(vindex_transform_affine("bench", b->rank, b->dim, matrix, NULL, &b->mixing));
    free(matrix);
}

/* Rows of the simulated embeddings, scaled to length 1. */
static void read_latent(const bench *b, int64_t first, int64_t count, float *rows) {
    check(vindex_simulator_read(b->simulator, first, count, 0, rows));
    for (int64_t i = 0; i < count; i++) {
        float *row = rows + i * b->rank;
        double square = 0;
        for (int64_t j = 0; j < b->rank; j++) square += (double)row[j] * (double)row[j];
        for (int64_t j = 0; j < b->rank; j++) row[j] = (float)((double)row[j] / sqrt(square));
    }
}

static void read_rows(const bench *b, int64_t first, int64_t count, float *rows) {
    vindex_call call;
    vindex_call_init(&call);
    read_latent(b, first, count, b->latent);
    check(vindex_transform_apply(b->mixing, b->latent, count, rows, &call));
}

static void search(const vindex_index *index, const float *queries, int64_t count,
                   const float *weights, int threads, int64_t *ids) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    params.threads = threads;
    params.weights = weights;
    params.weight_rows = weights ? 1 : 0;
    check(vindex_search(index, queries, count, &params, ids, NULL));
}

static double share_alike(const int64_t *a, const int64_t *b, int64_t count) {
    int64_t alike = 0;
    for (int64_t i = 0; i < count; i++) alike += a[i] == b[i];
    return (double)alike / (double)count;
}

/* The real way: seconds that adding took, and the share of ids that a plain scan answers too. */
static double add_rows(const bench *b, vindex_index *index, const float *queries, double *alike) {
    float *chunk = room(CHUNK, b->dim);
    int64_t ids[QUERIES * K], plain_ids[QUERIES * K];
    vindex_index *plain;
    double seconds = 0;
    check(vindex_create("Flat", b->dim, VINDEX_L2, &plain));
    for (int64_t at = 0; at < b->added; at += CHUNK) {
        int64_t count = b->added - at < CHUNK ? b->added - at : CHUNK;
        read_rows(b, at, count, chunk);
        double start = bench_clock();
        check(vindex_add(index, chunk, count, NULL));
        seconds += bench_clock() - start;
        check(vindex_add(plain, chunk, count, NULL));
    }
    search(index, queries, QUERIES, NULL, 0, ids);
    search(plain, queries, QUERIES, NULL, 0, plain_ids);
    *alike = share_alike(ids, plain_ids, QUERIES * K);
    vindex_free(plain);
    free(chunk);
    return seconds;
}

/* The product of mixing and projection, as a map of its own. */
static vindex_transform *multiply(const bench *b, const vindex_transform *projection) {
    int64_t out = vindex_transform_output_dim(projection), columns = b->rank + 1;
    float *units = calloc((size_t)(columns * b->rank), sizeof *units);
    float *mixed = room(columns, b->dim), *images = room(columns, out);
    float *matrix = room(out, b->rank);
    vindex_transform *product;
    if (!units) exit(1);
    for (int64_t j = 0; j < b->rank; j++) units[(j + 1) * b->rank + j] = 1; /* row 0: the bias */
    check(vindex_transform_apply(b->mixing, units, columns, mixed, NULL));
    check(vindex_transform_apply(projection, mixed, columns, images, NULL));
    for (int64_t i = 0; i < out; i++)
        for (int64_t j = 0; j < b->rank; j++)
            matrix[i * b->rank + j] = images[(j + 1) * out + i] - images[i];
    check(vindex_transform_affine("bench", b->rank, out, matrix, images, &product));
    free(units);
    free(mixed);
    free(images);
    free(matrix);
    return product;
}

static vindex_index *fill_behind(const bench *b, const vindex_transform *projection,
                                 double *seconds) {
    vindex_transform *product = multiply(b, projection);
    int64_t out = vindex_transform_output_dim(projection);
    float *rows = room(BLOCK, out);
    vindex_index *index;
    check(vindex_create("Flat,Certified", out, VINDEX_L2, &index));
    for (int64_t at = 0; at < b->rows; at += BLOCK) {
        int64_t count = b->rows - at < BLOCK ? b->rows - at : BLOCK;
        read_latent(b, at, count, b->latent);
        check(vindex_transform_apply(product, b->latent, count, rows, NULL));
        double start = bench_clock();
        check(vindex_add(index, rows, count, NULL));
        *seconds += bench_clock() - start;
    }
    vindex_transform_free(product);
    free(rows);
    return index;
}

/* Milliseconds per query, one at a time, projection included: the best pass. */
static double query_ms(const vindex_transform *projection, const vindex_index *index,
                       const float *queries, int threads) {
    int64_t in = vindex_transform_input_dim(projection), ids[K];
    float *projected = room(1, vindex_transform_output_dim(projection));
    vindex_call call;
    double best = INFINITY;
    vindex_call_init(&call);
    call.threads = threads;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = bench_clock();
        for (int64_t q = 0; q < QUERIES; q++) {
            check(vindex_transform_apply(projection, queries + q * in, 1, projected, &call));
            search(index, projected, 1, NULL, threads, ids);
        }
        double each = (bench_clock() - start) * 1e3 / QUERIES;
        best = each < best ? each : best;
    }
    free(projected);
    return best;
}

/* The share of ids that settling every row answers too. */
static double share_proven(const vindex_transform *projection, const vindex_index *index,
                           const float *queries) {
    int64_t out = vindex_transform_output_dim(projection), ids[CHECKED * K], sure[CHECKED * K];
    float *projected = room(CHECKED, out), *ones = room(1, out);
    for (int64_t j = 0; j < out; j++) ones[j] = 1; /* with weights nothing is filtered */
    check(vindex_transform_apply(projection, queries, CHECKED, projected, NULL));
    search(index, projected, CHECKED, NULL, 0, ids);
    search(index, projected, CHECKED, ones, 0, sure);
    free(projected);
    free(ones);
    return share_alike(ids, sure, CHECKED * K);
}

int main(int argc, char **argv) {
    enum { TRAINING = 4000 };
    const char *core = vindex_blas_advice();
    if (core && setenv("OPENBLAS_CORETYPE", core, 1) == 0) execv("/proc/self/exe", argv);
    bench b = {0};
    if (argc == 5) {
        b.rows = atoll(argv[1]), b.added = atoll(argv[2]);
        b.dim = atoll(argv[3]), b.rank = atoll(argv[4]);
    }
    if (b.rows < 1 || b.added < 1 || b.rank < 1 || b.dim < b.rank) {
        fprintf(stderr, "usage: bench_rank ROWS ADDED DIM RANK\n");
        return 2;
    }
    vindex_simulate_params params;
    vindex_simulate_params_init(&params);
    params.model = VINDEX_SIMULATED_RE_MOVE;
    params.dim = b.rank;
    int64_t behind = b.rows > b.added ? b.rows : b.added; /* training rows and queries */
    params.scale = (double)(behind + TRAINING + QUERIES) / 15000 + 0.01;
    check(vindex_simulator_create(&params, NULL, 0, &b.simulator));
    b.latent = room(BLOCK, b.rank);
    make_mixing(&b);

    float *training = room(TRAINING, b.dim), *queries = room(QUERIES, b.dim);
    read_rows(&b, behind, TRAINING, training);
    read_rows(&b, behind + TRAINING, QUERIES, queries);
    vindex_index *index;
    check(vindex_create("Rank,Flat,Certified", b.dim, VINDEX_L2, &index));
    double start = bench_clock();
    check(vindex_train(index, training, TRAINING, NULL));
    double learning = bench_clock() - start, alike, behind_seconds = 0;
    free(training);
    double adding = add_rows(&b, index, queries, &alike);
    const vindex_transform *projection = vindex_index_transform(index);
    vindex_index *large = fill_behind(&b, projection, &behind_seconds);
    int all = (int)sysconf(_SC_NPROCESSORS_ONLN);
    printf("{\"rows\": %lld, \"dim\": %lld, \"rank\": %lld, \"threads\": %d, \"k\": %d",
           (long long)b.rows, (long long)b.dim, (long long)vindex_transform_output_dim(projection),
           all, K);
    printf(", \"added_through\": %lld, \"learn_seconds\": %.3f, \"add_rows_per_second_all\": %.0f",
           (long long)b.added, learning, (double)b.added / adding);
    printf(", \"ids_of_plain_scan\": %.4f, \"add_behind_seconds_all\": %.3f", alike,
           behind_seconds);
    printf(", \"read_gbs\": %.1f", bench_read_gbs((size_t)512 << 20, 1));
    printf(", \"query_ms\": %.3f, \"query_ms_all\": %.3f", query_ms(projection, large, queries, 1),
           query_ms(projection, large, queries, all));
    printf(", \"ids_of_brute_force\": %.4f}\n", share_proven(projection, large, queries));
    vindex_free(large);
    vindex_free(index);
    vindex_transform_free(b.mixing);
    vindex_simulator_free(b.simulator);
    free(b.latent);
    free(queries);
    return 0;
}
