/* Subspaces: measures over some dimensions alone, or weighted ones (the disentangled embeddings of
 * Lee et al. 2020 keep genre, mood, instruments and era in blocks of dimensions). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"

/* "0-63,128" into weights of 0 and 1. */
static int parse_list(const char *text, float *weights, int64_t dim) {
    for (const char *at = text; *at != '\0';) {
        char *end;
        long long first = strtoll(at, &end, 10), last = first;
        bool number = end != at;
        if (number && *end == '-') {
            at = end + 1;
            last = strtoll(at, &end, 10);
            number = end != at;
        }
        if (!number || (*end != ',' && *end != '\0') || (*end == ',' && end[1] == '\0'))
            return cli_words("--dims: '%s' is no list of dimensions; give one such as 0-63,128, or "
                             "a file of weights",
                             text);
        if (first < 0 || last < first || last >= dim)
            return cli_fail("--dims: %lld-%lld was asked of %lld dimensions; they count from 0",
                            first, last, (long long)dim);
        for (long long j = first; j <= last; j++) weights[j] = 1;
        at = *end == ',' ? end + 1 : end;
    }
    return CLI_DONE;
}

static int read_weights(const char *path, float *weights, int64_t dim) {
    const char *paths[] = {path, NULL};
    struct cli_rows rows;
    int answer = cli_rows_open(paths, "--dims", 1, &rows);
    if (answer != CLI_DONE) return answer;
    if (rows.rows * rows.dim != dim || (rows.rows != 1 && rows.dim != 1))
        answer = cli_fail("--dims %s: it has %lld x %lld numbers for %lld dimensions; give one "
                          "weight for each",
                          path, (long long)rows.rows, (long long)rows.dim, (long long)dim);
    if (answer == CLI_DONE) answer = cli_rows_read(&rows, 0, rows.rows, weights);
    cli_rows_close(&rows);
    for (int64_t j = 0; answer == CLI_DONE && j < dim; j++)
        if (!isfinite(weights[j]) || weights[j] < 0)
            answer = cli_fail("--dims %s: the weight of dimension %lld is %g; give 0 or more", path,
                              (long long)j, (double)weights[j]);
    return answer;
}

/* Correlation of weighted numbers is no correlation of scaled ones. */
static int check_weights(const struct eval *eval, const float *weights, int64_t dim) {
    int64_t kept = 0;
    for (int64_t j = 0; j < dim; j++) {
        kept += weights[j] > 0;
        if (weights[j] > 0 && weights[j] != 1 && eval->params.metric == VINDEX_PEARSON)
            return cli_fail("--dims %s: dimension %lld has the weight %g; with --metric pearson "
                            "give 0 or 1",
                            eval->dims, (long long)j, (double)weights[j]);
    }
    return kept > 0 ? CLI_DONE
                    : cli_fail("--dims %s: no dimension is left; give some a weight", eval->dims);
}

/* A product of two numbers scaled by the root of w has the weight w, and so has the square of their
 * difference. */
static int64_t keep(float *vectors, int64_t rows, int64_t dim, const float *weights) {
    float *to = vectors;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < dim; j++) {
            float value = vectors[i * dim + j];
            if (weights[j] > 0) *to++ = weights[j] == 1 ? value : value * sqrtf(weights[j]);
        }
    int64_t kept = 0;
    for (int64_t j = 0; j < dim; j++) kept += weights[j] > 0;
    return kept;
}

int eval_dims_apply(const struct eval *eval, float *vectors, int64_t rows, int64_t *dim) {
    float *weights = cli_alloc(*dim, sizeof *weights, "--dims");
    if (weights == NULL) return CLI_FAILED;
    memset(weights, 0, (size_t)*dim * sizeof *weights);
    bool list = strspn(eval->dims, "0123456789-, ") == strlen(eval->dims);
    int answer =
        list ? parse_list(eval->dims, weights, *dim) : read_weights(eval->dims, weights, *dim);
    if (answer == CLI_DONE) answer = check_weights(eval, weights, *dim);
    if (answer == CLI_DONE) *dim = keep(vectors, rows, *dim, weights);
    free(weights);
    return answer;
}
