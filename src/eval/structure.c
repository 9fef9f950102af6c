/* The clique structure of Da-TACOS: the benchmark subset as "Less is more" (section 4.1) describes
 * it, and a training split with that paper's totals (section 3.2). */
#include "structure.h"

enum {
    BENCHMARK_CLIQUES = 1000,
    BENCHMARK_SIZE = 13,
    BENCHMARK_SINGLETONS = 2000,
    TRAINING_CLIQUES = 14499,
    TRAINING_LARGEST = 109
};

/* The paper gives the totals and the range of sizes, not the sizes between: the share of cliques
 * with at least s songs falls as (b / (b + s - 2))^4, which has a long tail, and this b makes the
 * 14,499 cliques hold 83,904 songs exactly. */
static const double training_tail = 12.8093;

/* How many training cliques have at least that many songs. */
static size_t training_cliques(size_t size, double scale) {
    double ratio = training_tail / (training_tail + (double)(size - 2));
    return (size_t)(TRAINING_CLIQUES * scale * (ratio * ratio) * (ratio * ratio));
}

/* Writes the clique of each song, large cliques first; answers how many songs there are. NULL only
 * counts. */
static size_t training_songs(double scale, int32_t *cliques) {
    size_t songs = 0;
    for (size_t size = 1; size <= TRAINING_LARGEST; size++) {
        size_t count = training_cliques(VX_MAX(size, (size_t)2), scale);
        if (cliques)
            for (size_t c = 0; c < count; c++) cliques[songs + c] = (int32_t)c;
        songs += count;
    }
    return songs;
}

static size_t benchmark_songs(double scale, int32_t *cliques) {
    size_t large = (size_t)(BENCHMARK_CLIQUES * scale + 0.5);
    size_t singletons = (size_t)(BENCHMARK_SINGLETONS * scale + 0.5);
    size_t songs = large * BENCHMARK_SIZE + singletons;
    for (size_t i = 0; cliques && i < songs; i++)
        cliques[i] = (int32_t)(i < large * BENCHMARK_SIZE ? i / BENCHMARK_SIZE
                                                          : i - large * (BENCHMARK_SIZE - 1));
    return songs;
}

static void shuffle(int32_t *cliques, size_t rows, vx_rng *rng) {
    for (size_t i = rows; i > 1; i--) {
        size_t j = (size_t)vx_rng_below(rng, i);
        int32_t t = cliques[i - 1];
        cliques[i - 1] = cliques[j];
        cliques[j] = t;
    }
}

/* As a label file numbers them when it is read, so that a set written and read back is the same. */
static bool renumber(int32_t *cliques, size_t rows) {
    int32_t *number = vx_alloc(rows, sizeof *number), next = 0;
    if (!number) return false;
    for (size_t i = 0; i < rows; i++) number[i] = -1;
    for (size_t i = 0; i < rows; i++) {
        int32_t *known = &number[cliques[i]];
        if (*known < 0) *known = next++;
        cliques[i] = *known;
    }
    vx_free(number);
    return true;
}

vindex_status vx_structure(bool training, double scale, vx_rng rng, int32_t **cliques,
                           size_t *rows) {
    size_t songs = training ? training_songs(scale, NULL) : benchmark_songs(scale, NULL);
    if (!songs)
        return vx_fail(VINDEX_ERR_ARGUMENT, "simulate: no song is left at scale %g; give more",
                       scale);
    int32_t *made = vx_alloc(songs, sizeof *made);
    if (!made) return vx_fail_memory(songs, sizeof *made, "simulate: cliques");
    if (training)
        training_songs(scale, made);
    else
        benchmark_songs(scale, made);
    shuffle(made, songs, &rng);
    if (!renumber(made, songs)) {
        vx_free(made);
        return vx_fail_memory(songs, sizeof *made, "simulate: cliques");
    }
    *cliques = made;
    *rows = songs;
    return VINDEX_OK;
}
