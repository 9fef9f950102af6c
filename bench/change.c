/* What the changes in an index's life cost, and what is left of its recall after each.
 *
 *     bench_change DATA ROWS DIM THREADS SPEC...     prints one line of CSV per index and step
 *
 * An index is built and reordered where it is a graph; every other vector is removed, the rest
 * compacted, and what was removed comes back under its ids. Then two indexes, trained alike, with
 * half of the vectors each are merged; the first of these shows what compaction is measured by.
 * Recall is of ten neighbours among the vectors that are there, by a flat index of these; all steps
 * search with the same nprobe and ef, by one thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <vindex/vindex.h>

#include "curve.h"
#include "memory.h"
#include "simulated.h"

enum { QUERIES = 1000, K = 10, NPROBE = 16, EF = 64 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "bench_change: %s\n", vindex_last_error());
    exit(1);
}

static void *allocate(size_t count, size_t size) {
    void *memory = malloc(count * size);
    if (!memory) exit(1);
    return memory;
}

/* The vectors: those with even ids, then those with odd ones. */
typedef struct half {
    int64_t count, *ids;
    float *vectors;
} half;

typedef struct set {
    int64_t rows, dim;
    const char *name;
    half halves[2];
    float *queries;
    int64_t *truth[2]; /* of the first half alone, of both */
    vindex_call call;
} set;

static void add_half(vindex_index *index, const half *h, const vindex_call *call) {
    check(vindex_add_with_ids(index, h->vectors, h->count, h->ids, call));
}

static void search(const vindex_index *index, const set *s, int threads, int64_t *ids) {
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    params.nprobe = NPROBE;
    params.ef = EF;
    params.threads = threads;
    check(vindex_search(index, s->queries, QUERIES, &params, ids, NULL));
}

/* What is right, by a flat index of one half and then both. */
static void find_truth(set *s) {
    vindex_index *flat;
    check(vindex_create("Flat,Certified", s->dim, VINDEX_L2, &flat));
    for (int i = 0; i < 2; i++) {
        add_half(flat, &s->halves[i], &s->call);
        s->truth[i] = allocate(QUERIES * K, sizeof *s->truth[i]);
        search(flat, s, 0, s->truth[i]);
    }
    vindex_free(flat);
}

static void make_half(set *s, int odd, const float *all) {
    half *h = &s->halves[odd];
    h->count = (s->rows + 1 - odd) / 2;
    h->ids = allocate((size_t)h->count, sizeof *h->ids);
    h->vectors = allocate((size_t)(h->count * s->dim), sizeof *h->vectors);
    for (int64_t i = 0; i < h->count; i++) {
        h->ids[i] = 2 * i + odd;
        for (int64_t j = 0; j < s->dim; j++)
            h->vectors[i * s->dim + j] = all[h->ids[i] * s->dim + j];
    }
}

static void make_set(set *s, float *all) {
    int threads = s->call.threads;
    s->queries = allocate((size_t)(QUERIES * s->dim), sizeof *s->queries);
    if (!bench_simulate(s->name, 0, s->rows, s->dim, 1, threads, all) ||
        !bench_simulate(s->name, s->rows, QUERIES, s->dim, 1, threads, s->queries)) {
        fprintf(stderr, "bench_change: no memory, or no data of that name; give %s\n",
                bench_simulated_names);
        exit(2);
    }
    for (int odd = 0; odd < 2; odd++) make_half(s, odd, all);
    find_truth(s);
}

/* One line; both: whether both halves are in the index. */
static void tell(const char *spec, const char *step, double seconds, const vindex_index *index,
                 const set *s, int both) {
    int64_t *found = allocate(QUERIES * K, sizeof *found);
    double start = bench_clock();
    search(index, s, 1, found);
    double qps = QUERIES / (bench_clock() - start);
    printf("\"%s\",%s,%lld,%lld,%d,%s,%.2f,%lld,%.1f,%.4f,%.1f\n", spec, s->name,
           (long long)s->rows, (long long)s->dim, s->call.threads, step, seconds,
           (long long)vindex_count(index), (double)vindex_memory(index) / (double)s->rows,
           bench_recall(s->truth[both], found, QUERIES, K), qps);
    fflush(stdout);
    free(found);
}

static vindex_index *train(const char *spec, const set *s, const float *all) {
    vindex_index *index;
    check(vindex_create(spec, s->dim, VINDEX_L2, &index));
    check(vindex_train(index, all, s->rows, &s->call));
    return index;
}

static void change(const char *spec, const set *s, const float *all) {
    double start = bench_clock();
    vindex_index *index = train(spec, s, all);
    check(vindex_add(index, all, s->rows, &s->call));
    tell(spec, "build", bench_clock() - start, index, s, 1);
    start = bench_clock();
    if (vindex_reorder(index, &s->call) == VINDEX_OK) /* is of graphs alone */
        tell(spec, "reorder", bench_clock() - start, index, s, 1);
    start = bench_clock();
    check(vindex_remove(index, s->halves[1].ids, s->halves[1].count, NULL));
    tell(spec, "remove half", bench_clock() - start, index, s, 0);
    start = bench_clock();
    check(vindex_compact(index, &s->call));
    tell(spec, "compact", bench_clock() - start, index, s, 0);
    start = bench_clock();
    add_half(index, &s->halves[1], &s->call);
    tell(spec, "add half", bench_clock() - start, index, s, 1);
    vindex_free(index);
}

static void merge(const char *spec, const set *s, const float *all) {
    vindex_index *index[2];
    double start = bench_clock();
    for (int i = 0; i < 2; i++) {
        index[i] = train(spec, s, all);
        add_half(index[i], &s->halves[i], &s->call);
        if (!i) tell(spec, "half alone", bench_clock() - start, index[i], s, 0);
    }
    start = bench_clock();
    check(vindex_merge(index[0], index[1], &s->call));
    tell(spec, "merge halves", bench_clock() - start, index[0], s, 1);
    for (int i = 0; i < 2; i++) vindex_free(index[i]);
}

int main(int argc, char **argv) {
    set s = {0};
    vindex_call_init(&s.call);
    if (argc > 5) {
        s.name = argv[1];
        s.rows = atoll(argv[2]);
        s.dim = atoll(argv[3]);
        s.call.threads = atoi(argv[4]);
    }
    if (s.rows < 2 || s.dim < 1 || s.call.threads < 1) {
        fprintf(stderr, "usage: bench_change %s ROWS DIM THREADS SPEC...\n", bench_simulated_names);
        return 2;
    }
    float *all = allocate((size_t)(s.rows * s.dim), sizeof *all);
    make_set(&s, all);
    printf("spec,data,rows,dim,threads,step,seconds,vectors,bytes,recall,qps\n");
    for (int i = 5; i < argc; i++) {
        change(argv[i], &s, all);
        merge(argv[i], &s, all);
    }
    return 0;
}
