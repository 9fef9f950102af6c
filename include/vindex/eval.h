/* Retrieval evaluation and simulated data (libvindex-mir). */
#ifndef VINDEX_EVAL_H
#define VINDEX_EVAL_H

#include <vindex/index.h>
#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How to count. The default is the clean convention: each query ranks every other item, itself left
 * out; ties go to the smaller row; an item alone in its clique (noise) stays a candidate and is
 * no query; sums in double precision. */
typedef struct vindex_eval_params {
    size_t struct_size; /* set by vindex_eval_params_init */
    vindex_metric metric;
    int32_t threads;      /* 0: every core the process may use */
    int64_t precision_at; /* k of precision@k; default 10 */
    int64_t knn;          /* neighbours that vote in k-NN accuracy; 0 (default): not computed */
    vindex_progress_fn progress;
    void *progress_context;
} vindex_eval_params;

VINDEX_API void vindex_eval_params_init(vindex_eval_params *params);

/* What came out. Means are over queries, which have at least one relevant candidate. Formulas:
 * docs/evaluation.md. Where no query remains they are NaN. */
typedef struct vindex_eval_report {
    int64_t queries; /* with at least one relevant candidate */
    int64_t candidates;
    int64_t noise;       /* items (or query rows) without a relevant candidate: no queries */
    int64_t relevant;    /* query-candidate pairs of the same clique */
    int64_t tied;        /* relevant pairs whose exact distance another candidate shares */
    double map;          /* mean average precision */
    double mr1;          /* mean rank of the first relevant item */
    double mrr;          /* mean of its reciprocal */
    double mdr;          /* its median */
    double top1, top10;  /* queries with a relevant item at rank 1, within the first 10 */
    double recall_at[4]; /* share of queries with a relevant item within 1, 2, 4, 8 */
    double precision_at; /* mean share of relevant items among the first precision_at */
    double arp;          /* average rank percentile, 0 perfect, 100 worst (CLEWS) */
    double arp_interval; /* half width of its 95% interval */
    double knn_accuracy; /* NaN where knn is 0 */
    double seconds;      /* time spent, reading not included */
} vindex_eval_report;

/* What each query did, for --per-query files and plots; arrays of query_rows entries, NaN or 0 for
 * rows that are no queries. */
typedef struct vindex_eval_detail {
    int64_t query_rows;
    double *average_precision;
    int64_t *first_rank; /* 1 is best; 0 for no query */
    int64_t *relevant;
} vindex_eval_detail;

VINDEX_API void vindex_eval_detail_free(vindex_eval_detail *detail);

/* Ranks every item against all others: vectors (n x dim), cliques (n). detail may be NULL. Never
 * holds more than a few megabytes beside the vectors. Reentrant. */
VINDEX_API vindex_status vindex_eval(const float *vectors, const int32_t *cliques, int64_t n,
                                     int64_t dim, const vindex_eval_params *params,
                                     vindex_eval_report *report, vindex_eval_detail *detail);

/* Two sets of vectors whose cliques are numbered alike. */
typedef struct vindex_eval_sets {
    const float *queries;
    const int32_t *query_cliques;
    int64_t query_count;
    const float *candidates;
    const int32_t *candidate_cliques;
    int64_t candidate_count;
    int64_t dim;
} vindex_eval_sets;

/* Ranks the candidates for each query; a query is no candidate of its own. Reentrant. */
VINDEX_API vindex_status vindex_eval_split(const vindex_eval_sets *sets,
                                           const vindex_eval_params *params,
                                           vindex_eval_report *report, vindex_eval_detail *detail);

/* A matrix of similarities or distances that is read by rows: fill row (candidate_count numbers);
 * non-zero stops the evaluation with that status. Called from one thread at a time. */
typedef struct vindex_eval_matrix {
    vindex_status (*row)(void *context, int64_t query, float *values);
    void *context;
    bool similarity; /* true: larger is better */
    const int32_t *query_cliques;
    int64_t query_count;
    const int32_t *candidate_cliques;
    int64_t candidate_count;
    bool square; /* query i is candidate i, and left out of its own ranking */
} vindex_eval_matrix;

VINDEX_API vindex_status vindex_eval_from_matrix(const vindex_eval_matrix *matrix,
                                                 const vindex_eval_params *params,
                                                 vindex_eval_report *report,
                                                 vindex_eval_detail *detail);

/* Ranks with an index that holds the candidates under ids 0 ... candidate_count-1, so that the
 * accuracy an approximate index loses is measured: what it does not return is ranked last, in row
 * order. sets->candidates is not read. square as in vindex_eval_matrix. search may be NULL; its k
 * is set to depth (0: all). */
VINDEX_API vindex_status vindex_eval_index(const vindex_index *index, const vindex_eval_sets *sets,
                                           bool square, int64_t depth,
                                           const vindex_search_params *search,
                                           const vindex_eval_params *params,
                                           vindex_eval_report *report, vindex_eval_detail *detail);

/* Simulated embeddings with the clique structure of Da-TACOS: never real data, and to be called
 * simulated wherever they are shown. The same seed gives the same bits on every machine. */
typedef enum vindex_simulated_model {
    VINDEX_SIMULATED_MOVE = 0,      /* x = BN(W h), h in R^256: rank 256 at any d; compare by L2 */
    VINDEX_SIMULATED_RE_MOVE = 1,   /* compact, compare by cosine */
    VINDEX_SIMULATED_BYTECOVER2 = 2 /* compact and more accurate, compare by cosine */
} vindex_simulated_model;

typedef struct vindex_simulate_params {
    size_t struct_size; /* set by vindex_simulate_params_init */
    vindex_simulated_model model;
    int64_t dim;  /* 0: the model's own (16,000; 256; 1,536) */
    double scale; /* times as many cliques and singletons; default 1 */
    uint64_t seed;
    bool training; /* the training split (83,904 songs in 14,499 cliques of 2 to 109) */
} vindex_simulate_params;

VINDEX_API void vindex_simulate_params_init(vindex_simulate_params *params);

typedef struct vindex_simulator vindex_simulator;

/* A simulated set whose rows are made on demand. cliques (n numbers) fixes the structure; NULL with
 * n = 0 gives the benchmark's own (1,000 cliques of 13 and 2,000 singletons, times scale) or the
 * training split's. *simulator is the caller's, to be freed. Reentrant. */
VINDEX_API vindex_status vindex_simulator_create(const vindex_simulate_params *params,
                                                 const int32_t *cliques, int64_t n,
                                                 vindex_simulator **simulator);
VINDEX_API void vindex_simulator_free(vindex_simulator *simulator);
VINDEX_API int64_t vindex_simulator_rows(const vindex_simulator *simulator);
VINDEX_API int64_t vindex_simulator_dim(const vindex_simulator *simulator);

/* The clique of each row; owned by the simulator. */
VINDEX_API const int32_t *vindex_simulator_cliques(const vindex_simulator *simulator);

/* Makes rows first ... first+count-1 (count x dim). Shared-read. */
VINDEX_API vindex_status vindex_simulator_read(const vindex_simulator *simulator, int64_t first,
                                               int64_t count, int32_t threads, float *vectors);

#ifdef __cplusplus
}
#endif
#endif
