/* What an index is inside: a table of verbs and the facts every index has. A verb that a kind of
 * index does not offer is a visible NULL in its table. */
#ifndef VX_CORE_INDEX_IMPL_H
#define VX_CORE_INDEX_IMPL_H

#include <vindex/index.h>

#include "base.h"
#include "container.h"
#include "topk.h"

/* A checked search: every argument was looked at once, at the front door. */
typedef struct vx_request {
    const float *queries;
    size_t query_count;
    size_t k;
    size_t nprobe;     /* lists to look through, for indexes that have some: see vx_knob */
    size_t rerank;     /* candidates per neighbour that Refine looks at; 0: as bounds ask for */
    size_t ef;         /* nodes to keep at hand, for graphs: likewise */
    size_t walkers;    /* queries that a thread of a graph's walks for in turns: likewise */
    double radius_key; /* range search: the largest key wanted */
    int threads;       /* resolved */
    const vindex_filter *filter;
    const float *weights;
    size_t weight_rows;
    vindex_progress_fn progress;
    void *progress_context;
    vindex_search_stats *stats; /* NULL: not wanted */
    vx_answer_fn answer;
    void *answer_context;
} vx_request;

/* The section every index file has, tag "index". */
typedef struct vx_index_header {
    char spec[128];
    uint64_t dim, rows;
    uint32_t metric;
    int64_t largest_id;
} vx_index_header;

enum { VX_WALKERS = 3 /* where nobody says */, VX_WALKERS_MOST = 8 };

/* A parameter of a search that trades speed for recall: more of it is slower and finds more. Or one
 * that changes no answer: which value is fastest is up to the machine. */
typedef struct vx_knob {
    const char *name;    /* of its field in vindex_search_params */
    size_t given, asked; /* where it is in that struct, an int64_t, 0 for the initial value; and in
                            vx_request, a size_t */
    int64_t least, most, initial; /* most: of this index, now; a search may ask for more */
    bool pace;                    /* it changes no answer; the last one listed */
} vx_knob;
enum { VX_KNOBS_MOST = 4 };

typedef struct vx_index_ops {
    const char *word; /* the factory word, "Flat" */
    void (*free)(vindex_index *index);
    size_t (*count)(const vindex_index *index);
    size_t (*memory)(const vindex_index *index);
    bool (*trained)(const vindex_index *index); /* NULL: always */
    vindex_status (*train)(vindex_index *index, const vindex_rows *rows,
                           const vindex_call *call); /* NULL: nothing to learn */
    vindex_status (*add)(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                         const vindex_call *call);
    vindex_status (*search)(const vindex_index *index, const vx_request *request);
    vindex_status (*range_search)(const vindex_index *index, const vx_request *request);
    vindex_status (*reconstruct)(const vindex_index *index, const int64_t *ids, size_t n,
                                 float *vectors);
    vindex_status (*remove)(vindex_index *index, const int64_t *ids, size_t n, size_t *removed);
    vindex_status (*compact)(vindex_index *index, const vindex_call *call);
    vindex_status (*reorder)(vindex_index *index, const vindex_call *call);
    /* What it saves beside the section "index": rows and the largest id for that one, the number of
     * its own sections, and these. */
    void (*describe)(const vindex_index *index, vx_index_header *header);
    uint32_t (*section_count)(const vindex_index *index);
    vindex_status (*save)(const vindex_index *index, vx_container_writer *writer,
                          const vindex_call *call);
    bool saves_untrained; /* what it will learn with is worth a file */
    const vindex_transform *(*transform)(const vindex_index *index); /* NULL: it has none */
    /* Lists what can be tuned, the parameter first that is searched for at each choice of the
     * others; answers how many there are. NULL: nothing. */
    size_t (*knobs)(const vindex_index *index, vx_knob knobs[VX_KNOBS_MOST]);
    /* The index behind this one, which does the searching; NULL: there is none. */
    const vindex_index *(*inner)(const vindex_index *index);
    /* The numbers of the row-th vector, counted from the first added, where they lie as floats;
     * they stay there until the index changes. NULL: they do not. */
    const float *(*floats)(const vindex_index *index, size_t row);
    /* Takes over copies of the vectors of an index of the same kind, dimension and metric under
     * their ids, none of which is there already. NULL: it cannot. */
    vindex_status (*merge)(vindex_index *index, const vindex_index *from, const vindex_call *call);
} vx_index_ops;

typedef struct vx_point vx_point;

/* The first member of every index struct. */
struct vindex_index {
    const vx_index_ops *ops;
    size_t dim;
    vindex_metric metric;
    uint32_t capabilities;
    char spec[128];     /* canonical factory string */
    vx_container *file; /* the file it was loaded from, NULL for one made in memory */
    vx_point *points;   /* the operating points, by k and recall: see points.h */
    size_t point_count;
};

/* A parsed factory string: "Flat,f16" has the words "Flat" and "f16". */
enum { VX_SPEC_WORDS = 16 };
typedef struct vx_spec {
    char text[128];
    const char *words[VX_SPEC_WORDS];
    size_t count;
} vx_spec;

/* What building an index of n vectors takes. */
typedef struct vx_building {
    size_t dim, n;
    int threads;
    bool read; /* the vectors that it learns from are read; else they lie in memory */
    double train,
        add; /* answers: the most bytes at once while it learns, and while all are added */
} vx_building;

/* How a kind of index comes to be: registry.c lists all. */
typedef struct vx_index_kind {
    const char *word, *help;
    bool (*begins)(const char *word); /* whether it is this kind's; NULL: only `word` is */
    vindex_status (*create)(const vx_spec *spec, size_t dim, vindex_metric metric,
                            vindex_index **index);
    vindex_status (*estimate)(const vx_spec *spec, size_t dim, size_t n, size_t *bytes);
    /* The most that building takes at once, the index counted. */
    vindex_status (*build_estimate)(const vx_spec *spec, vx_building *building);
    /* Takes over the container on success. */
    vindex_status (*load)(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                          bool map, bool verify, vindex_index **index);
} vx_index_kind;

/* Parses a factory string and finds the kind of index it asks for. */
vindex_status vx_spec_parse(const char *text, vx_spec *spec, const vx_index_kind **kind);

/* The number behind the first word of a kind that has one, least to most; VINDEX_ERR_ARGUMENT for
 * another. */
vindex_status vx_spec_number(const vx_spec *spec, const char *word, size_t least, size_t most,
                             size_t *number);

/* Writing and reading that section. */
vindex_status vx_index_header_save(vx_container_writer *writer, const vx_index_header *header);
vindex_status vx_index_header_load(const vx_container *file, vx_index_header *header);

#endif
