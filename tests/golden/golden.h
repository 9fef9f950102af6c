/* What the golden files hold. The numbers of released files never change: a new version gets files
 * of its own. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <vindex/vindex.h>

enum { GOLDEN_ROWS = 20, GOLDEN_DIM = 5, GOLDEN_GONE = 60 };

typedef struct golden_file {
    const char *name, *spec;
    vindex_metric metric;
} golden_file;

static const golden_file golden_files[] = {
    {"flat-0.1.vindex", "Flat", VINDEX_L2},
    {"flat-f16-0.1.vindex", "Flat,f16", VINDEX_INNER_PRODUCT},
    {"flat-bf16-0.1.vindex", "Flat,bf16", VINDEX_COSINE},
    {"flat-pearson-0.1.vindex", "Flat", VINDEX_PEARSON},
    {"ivf-0.1.vindex", "IVF3,Flat", VINDEX_L2},
    {"ivf-f16-0.1.vindex", "IVF2,Flat,f16", VINDEX_COSINE},
    {"hnsw-0.1.vindex", "HNSW4", VINDEX_L2},
    {"hnsw-f16-0.1.vindex", "HNSW2,f16", VINDEX_COSINE},
    {"ivf-sq8-0.1.vindex", "IVF2,SQ8,Refine(f16)", VINDEX_COSINE},
    {"ivf-rabitq-0.1.vindex", "IVF3,RaBitQ4,Refine", VINDEX_L2},
    {"pq-0.1.vindex", "PQ5x4", VINDEX_L2},
    {"ivf-pq-0.1.vindex", "IVF2,PQ5x4,Refine", VINDEX_L2},
    {"ivf-hnsw-0.1.vindex", "IVF3_HNSW2,Flat", VINDEX_L2},
    {"second-0.1.vindex", "SQ4,Refine(PQ5x4)", VINDEX_L2},
};

/* Vectors that were turned first, so that numbers come back nearly as they were. */
static const golden_file golden_turned = {"opq-0.1.vindex", "OPQ5,IVF2,PQ5x4,Refine", VINDEX_L2};

/* Small whole numbers, which every storage type holds. */
static inline float golden_number(int row, int dimension) {
    return (float)((row * 7 + dimension * dimension * 3) % 11 - 5);
}

/* A chain of two affine maps in whole numbers, 5 to 3 to 2, alone in a file and before an index. */
enum { GOLDEN_OUT = 2 };
static const char golden_model[] = "chain-0.1.model", golden_projected[] = "projected-0.1.vindex";
static const float golden_weights[3][GOLDEN_DIM] = {
    {1, 0, 2, -1, 0}, {0, 3, 0, 0, 1}, {1, 1, 1, 1, 1}};
static const float golden_bias[3] = {5, -2, 0};
static const float golden_next[GOLDEN_OUT][3] = {{1, 1, 0}, {0, 2, -1}};

/* 100, 95, ... 5: out of order, so that the file has them in a section. */
static inline int64_t golden_id(int row) {
    return 100 - 5 * row;
}

#endif
