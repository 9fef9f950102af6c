/* Retrieval evaluation (libvindex-mir).
 *
 * Sets are float32, row-major (rows x dim), always the caller's and never changed. A clique number
 * says which work (class) a row belongs to: any number from 0 on, in any order. Every function is
 * reentrant unless its comment says otherwise; after a failure *report is as it was, *detail is
 * empty, and vindex_last_error() says why. Formulas and conventions: docs/evaluation.md. */
#ifndef VINDEX_EVAL_H
#define VINDEX_EVAL_H

#include <vindex/fields.h>
#include <vindex/index.h>
#include <vindex/simulate.h>
#include <vindex/status.h>
#include <vindex/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose numbers. The public scripts of version identification count differently on the same
 * ranking; each preset gives what one of them prints (docs/evaluation.md has the table). Where a
 * script leaves the order of equal distances to a sorting routine, ties go to the smaller row. */
typedef enum vindex_eval_preset {
    VINDEX_EVAL_DEFAULT = 0, /* the clean convention */
    VINDEX_EVAL_RE_MOVE = 1, /* also MOVE's */
    VINDEX_EVAL_ACOSS = 2,
    VINDEX_EVAL_CLEWS = 3,
    VINDEX_EVAL_DISCOGS_VINET = 4,
    VINDEX_EVAL_COVERHUNTER = 5
} vindex_eval_preset;

/* The name of a preset ("re-move"), and how it departs from the default in words; NULL for a number
 * that is none. Reentrant. */
VINDEX_API const char *vindex_eval_preset_name(vindex_eval_preset preset);
VINDEX_API const char *vindex_eval_preset_words(vindex_eval_preset preset);

/* The preset of that name; false when there is none. Reentrant. */
VINDEX_API bool vindex_eval_preset_parse(const char *name, vindex_eval_preset *preset);

/* How to count. The default is the clean convention: each query ranks every other item, itself left
 * out; ties go to the smaller row; an item alone in its clique (noise) stays a candidate and is
 * no query; sums in double precision, in the order of rows, so that the numbers are the same bits
 * whatever the thread count. */
typedef struct vindex_eval_params {
    size_t struct_size;   /* set by vindex_eval_params_init */
    vindex_metric metric; /* default VINDEX_L2; not read where an index or a matrix ranks */
    int32_t threads;      /* 0 (default): every core the process may use */
    int64_t precision_at; /* k of precision@k; 1 or more, default 10 */
    int64_t knn;          /* neighbours that vote in k-NN accuracy; 0 (default): not computed */
    vindex_progress_fn progress; /* phases "rank" and "vote"; a non-zero answer cancels */
    void *progress_context;
    vindex_eval_preset preset; /* default VINDEX_EVAL_DEFAULT */
    int64_t depth; /* how deep coverhunter's AP looks; 0 (default): as its script, 10,000. The
                      other presets look at all candidates and do not read it */
    int64_t top;   /* nearest candidates to keep of each query in detail; 0 (default): none */
} vindex_eval_params;

VINDEX_API void vindex_eval_params_init_sized(vindex_eval_params *params, size_t struct_size);
static inline void vindex_eval_params_init(vindex_eval_params *params) {
    vindex_eval_params_init_sized(params, sizeof *params);
}

/* Names, ranges and defaults of the fields above. */
VINDEX_API const vindex_field_table *vindex_eval_fields(void);

enum { VINDEX_EVAL_PRINTED_MOST = 8, VINDEX_EVAL_RECALL_LEVELS = 11 };

/* One line of what a preset's script prints. */
typedef struct vindex_eval_printed {
    const char *name; /* as the script calls it; never freed */
    double value;     /* rounded as printed; NaN where the script would print that */
    char text[24];    /* exactly as printed */
} vindex_eval_printed;

/* What came out. Means are over the queries: the query rows with at least one relevant candidate.
 * Without any, the call still succeeds: queries is 0 and the means are NaN. Under a preset map,
 * mr1, mrr, top10 and their relatives are what its script computes, before rounding; what it does
 * not compute is as by default. */
typedef struct vindex_eval_report {
    int64_t queries;     /* query rows with at least one relevant candidate */
    int64_t candidates;  /* rows that were ranked; a square set counts each row once */
    int64_t noise;       /* query rows without a relevant candidate: no queries */
    int64_t relevant;    /* query-candidate pairs of the same clique */
    int64_t tied;        /* relevant pairs whose exact distance another candidate shares */
    double map;          /* mean average precision, 0 to 1 */
    double mr1;          /* mean rank of the first relevant item; 1 is best */
    double mrr;          /* mean of its reciprocal */
    double mdr;          /* its median, the mean of the middle two for an even number */
    int64_t top1;        /* how many queries have a relevant item at rank 1 ... */
    int64_t top10;       /* ... and within the first 10; some presets sum relevant items */
    double recall_at[4]; /* share of queries with a relevant item within 1, 2, 4, 8 */
    double precision_at; /* mean share of relevant items among the first params->precision_at */
    double arp;          /* average rank percentile, 0 perfect, 100 worst (CLEWS) */
    double arp_interval; /* half width of its 95% interval; NaN for fewer than 2 queries */
    double knn_accuracy; /* share of all query rows the vote puts in their clique; NaN: knn is 0 */
    double seconds;      /* wall-clock time of the call */
    int64_t printed_count; /* lines of printed; 0 for the default */
    vindex_eval_printed printed[VINDEX_EVAL_PRINTED_MOST];
} vindex_eval_report;

/* What each query row did, for per-query files and plots: arrays of query_rows entries. */
typedef struct vindex_eval_detail {
    int64_t query_rows;
    double *average_precision; /* NaN for a row that is no query */
    int64_t *first_rank;       /* 1 is best; 0 for a row that is no query */
    int64_t *relevant;         /* candidates of its clique; 0 for a row that is no query */
    int64_t *tied;             /* of these, how many share their distance with another candidate */
    double *precision_at_recall; /* query_rows x VINDEX_EVAL_RECALL_LEVELS: the highest precision at
                                    a recall of 0, 10, ..., 100% or more; NaN for no query */
    int64_t top;                 /* params->top, and no more than there are candidates */
    int64_t *nearest;            /* query_rows x top candidate rows, best first, -1 where fewer */
    double *distances;           /* and their distances (similarities), NaN where fewer */
} vindex_eval_detail;

/* Frees what an evaluation put into *detail and zeroes it; NULL is fine. */
VINDEX_API void vindex_eval_detail_free(vindex_eval_detail *detail);

/* Ranks every item against all others: vectors (n x dim), cliques (n). params NULL: the defaults;
 * detail may be NULL, else it is the caller's to free. Beside the vectors it holds about 50 MB (576
 * bytes per dimension where that is more), up to 6 MB per thread and 100 bytes per row, never a
 * matrix. NaN or infinity is VINDEX_ERR_DATA and names row and column; n = 0, a negative clique or
 * a dim that is not 1 to 1,048,576 is VINDEX_ERR_ARGUMENT. */
VINDEX_API vindex_status vindex_eval(const float *vectors, const int32_t *cliques, int64_t n,
                                     int64_t dim, const vindex_eval_params *params,
                                     vindex_eval_report *report, vindex_eval_detail *detail);

/* Two sets of vectors whose cliques are numbered alike. */
typedef struct vindex_eval_sets {
    const float *queries; /* query_count x dim */
    const int32_t *query_cliques;
    int64_t query_count;
    const float *candidates; /* candidate_count x dim */
    const int32_t *candidate_cliques;
    int64_t candidate_count;
    int64_t dim;
} vindex_eval_sets;

/* Ranks the candidates for each query; no query is among them. Otherwise as vindex_eval. */
VINDEX_API vindex_status vindex_eval_split(const vindex_eval_sets *sets,
                                           const vindex_eval_params *params,
                                           vindex_eval_report *report, vindex_eval_detail *detail);

/* A matrix of similarities or distances that is read by rows. */
typedef struct vindex_eval_matrix {
    /* Fills values (count x candidate_count) with rows first ... first+count-1. Called on the
     * caller's thread, rows ascending, some megabytes at a time; rows that are no queries may be
     * passed over unless their neighbours are asked for. A status other than VINDEX_OK ends the
     * evaluation, which answers the same; vindex_last_error() then says what the last failing call
     * of vindex said. */
    vindex_status (*rows)(void *context, int64_t first, int64_t count, float *values);
    void *context;
    bool similarity; /* true: larger is better */
    const int32_t *query_cliques;
    int64_t query_count;
    const int32_t *candidate_cliques;
    int64_t candidate_count;
    bool square; /* query i is candidate i and left out of its own ranking; counts and cliques of
                    both sides must agree */
} vindex_eval_matrix;

/* Evaluates a ready-made matrix. Infinities are ranked as what they are; NaN, except at a square
 * matrix's diagonal, which is not looked at, is VINDEX_ERR_DATA. */
VINDEX_API vindex_status vindex_eval_from_matrix(const vindex_eval_matrix *matrix,
                                                 const vindex_eval_params *params,
                                                 vindex_eval_report *report,
                                                 vindex_eval_detail *detail);

/* Ranks with an index that holds the candidates under ids 0 ... candidate_count-1, so that the
 * accuracy an approximate index loses is measured: what it does not return is ranked last, in row
 * order. sets->candidates is not read, and the metric is the index's. square as in
 * vindex_eval_matrix. search may be NULL; its k, threads and progress are not read: k is depth (and
 * one more for a square set, where the query finds itself), 0 for all candidates. depth may not be
 * below params->knn. tied counts equal distances as returned, in single precision. Shared-read. */
VINDEX_API vindex_status vindex_eval_index(const vindex_index *index, const vindex_eval_sets *sets,
                                           bool square, int64_t depth,
                                           const vindex_search_params *search,
                                           const vindex_eval_params *params,
                                           vindex_eval_report *report, vindex_eval_detail *detail);

/* Recordings that keep several vectors, their segments: rows offsets[i] ... offsets[i+1]-1 are
 * those of recording i. Every recording needs one that is no padding. */
typedef struct vindex_eval_recordings {
    const float *vectors;   /* offsets[count] x dim */
    const int64_t *offsets; /* count + 1, from 0 on, not falling */
    const uint8_t *padding; /* per row, 1 leaves it out, whatever it holds; NULL: none is */
    const int32_t *cliques; /* per recording */
    int64_t count, dim;
} vindex_eval_recordings;

/* How the distances between the segments of a query (rows) and of a candidate (columns) become one.
 * For similarities read largest for smallest: a distance is a negated similarity. */
typedef enum vindex_eval_reduce {
    VINDEX_EVAL_MIN = 0,
    VINDEX_EVAL_MAX = 1,
    VINDEX_EVAL_MEAN = 2,
    VINDEX_EVAL_MINMEAN = 3, /* of the means of each row, the smallest */
    VINDEX_EVAL_MEANMIN = 4, /* of the smallest of each row, the mean: ByteCover3's MaxMean */
    VINDEX_EVAL_BEST = 5,    /* the mean of the `count` smallest */
    VINDEX_EVAL_BPWR = 6     /* best pairs without replacement: the smallest, its row and column
                                struck, `count` times (0: until none is left), averaged */
} vindex_eval_reduce;

typedef struct vindex_eval_reduction {
    vindex_eval_reduce kind;
    int64_t count;  /* of BEST (1 or more) and BPWR; no more than there are pairs are taken */
    bool symmetric; /* the mean of both directions */
} vindex_eval_reduction;

/* The reduction of that name: min, max, mean, minmean, meanmin, maxmean, best-K, bpwr or bpwr-N,
 * each with an s in front for its symmetric form; false when there is none. Reentrant. */
VINDEX_API bool vindex_eval_reduction_parse(const char *text, vindex_eval_reduction *reduction);

/* Ranks recordings by reduced distances. queries NULL: the candidates query each other. Otherwise
 * as vindex_eval_split; one row of distances per thread is held, never a matrix of recordings. */
VINDEX_API vindex_status vindex_eval_segments(const vindex_eval_recordings *queries,
                                              const vindex_eval_recordings *candidates,
                                              const vindex_eval_reduction *reduction,
                                              const vindex_eval_params *params,
                                              vindex_eval_report *report,
                                              vindex_eval_detail *detail);

/* Retrieval by class prototypes, the means of the candidates of each class: where an item's own
 * class ranks among all prototypes, and the area under the receiver operating characteristic of
 * each class (auto-tagging: the score of an item is its distance to the prototype). */
typedef struct vindex_eval_prototype_report {
    int64_t classes; /* that candidates are in */
    int64_t queries; /* items whose class has a prototype */
    int64_t noise;   /* items whose class has none: no queries */
    int64_t top1;    /* queries whose own prototype is the nearest, ties to the smaller clique */
    double mrr;      /* mean reciprocal rank of the own prototype */
    double auc;      /* mean over classes with items inside and outside */
    int64_t auc_classes; /* how many those are */
} vindex_eval_prototype_report;

/* The queries of the sets are the items. In a square set they are the candidates themselves, and an
 * item has no part in the prototype of its own class that it is compared with (an item alone in its
 * class is noise). Of params metric, threads and progress (phase "prototypes") are read. */
VINDEX_API vindex_status vindex_eval_prototypes(const vindex_eval_sets *sets, bool square,
                                                const vindex_eval_params *params,
                                                vindex_eval_prototype_report *report);

/* The mean silhouette, -1 to 1, over all rows: distances are Euclidean (not squared) for L2 and one
 * less the similarity for cosine and Pearson; a row alone in its clique counts 0. Takes n^2
 * distances in double precision and holds none. Needs two cliques or more; VINDEX_ERR_UNSUPPORTED
 * for the dot product. Of params metric, threads and progress (phase "silhouette") are read. */
VINDEX_API vindex_status vindex_eval_silhouette(const float *vectors, const int32_t *cliques,
                                                int64_t n, int64_t dim,
                                                const vindex_eval_params *params,
                                                double *silhouette);

/* Triplets of rows: anchor, positive, negative. */
typedef struct vindex_eval_triplets {
    const float *vectors; /* rows x dim */
    int64_t rows, dim;
    const int64_t *triplets; /* count x 3 */
    int64_t count;
} vindex_eval_triplets;

typedef struct vindex_eval_triplet_report {
    int64_t triplets;
    int64_t right;   /* the positive is nearer than the negative */
    int64_t tied;    /* they are equally near, which is not right */
    double accuracy; /* right / triplets */
} vindex_eval_triplet_report;

/* Of params metric, threads and progress (phase "triplets") are read. */
VINDEX_API vindex_status vindex_eval_triplet_accuracy(const vindex_eval_triplets *triplets,
                                                      const vindex_eval_params *params,
                                                      vindex_eval_triplet_report *report);

/* Two systems on the same queries. */
typedef struct vindex_eval_difference {
    int64_t queries;       /* that both have an average precision for */
    double first, second;  /* their MAP over these */
    double difference;     /* second - first */
    double low, high;      /* the interval of the difference */
    int64_t better, worse; /* queries with a higher, a lower average precision in the second */
} vindex_eval_difference;

/* A paired bootstrap of the difference in MAP: queries are drawn with replacement `samples` times
 * (0: 10,000), and low and high are the percentiles that hold 95% of the differences between them.
 * first and second have n average precisions, NaN for what is no query; without a common query
 * VINDEX_ERR_ARGUMENT. The same seed gives the same bits on any number of threads (0: every core).
 */
VINDEX_API vindex_status vindex_eval_compare(const double *first, const double *second, int64_t n,
                                             int64_t samples, uint64_t seed, int32_t threads,
                                             vindex_eval_difference *difference);

#ifdef __cplusplus
}
#endif
#endif
