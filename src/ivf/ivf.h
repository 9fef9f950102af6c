/* The inverted file: rows in lists, coded by a codec; which lists to look through is asked of
 * another index, the coarse one, which holds a centroid per list. */
#ifndef VX_IVF_IVF_H
#define VX_IVF_IVF_H

#include "codec/codec.h"
#include "core/ids.h"
#include "core/index_impl.h"
#include "core/kmeans.h"

enum {
    VX_IVF_LISTS_MOST = 1 << 24,
    VX_IVF_LINKS_MOST = 256, /* of a node of a coarse graph */
    VX_IVF_ASSIGN_EF = 64    /* a coarse graph keeps that many nodes at hand for a new row */
};

/* Cosines are off by less than this, however they were rounded; docs/exactness.md. */
#define VX_IVF_ANGLE_SLACK 0x1p-25

/* One list. Its rows lie side by side with those of other lists: it begins where the one before
 * ends, in the middle of a group where codes lie in groups, so that no list ends in room of its
 * own. The places before `first` are another's. */
typedef struct vx_list {
    vx_block run;   /* data, fine, aux and centre from a whole group on; count: the places up to the
                       last row */
    uint32_t *rows; /* per place the row's number in the ids, rising */
    size_t first;   /* place of its first row: less than a group */
    size_t room;    /* places up to where the next list begins */
    float radius;  /* no decoded row is farther from the centroid: under L2 in space, else by angle,
                      which this is 1 less the cosine of */
    float longest; /* inner products: no decoded row is longer */
} vx_list;

static inline size_t vx_list_size(const vx_list *list) {
    return list->run.count - list->first;
}

/* The memory of some lists that follow each other, which grow together. Lists are shared out evenly
 * among slots, and a segment has one or several of these: so few that not much of an index is there
 * twice while it moves, so many that its pages can be huge. */
enum { VX_IVF_SLOTS = 64 };
typedef struct vx_segment {
    void *memory; /* NULL: the lists are mapped, or have had no row yet */
    size_t bytes;
    size_t slots;
} vx_segment;

typedef struct vx_ivf {
    vindex_index base;
    vx_codec *codec;
    vindex_index *coarse; /* of a centroid per list, in their order and under their numbers, with
                             floats that lists point at; NULL until trained */
    size_t links;         /* per node of the graph that the coarse index is; 0: it is flat */
    vx_list *lists;       /* NULL until trained */
    size_t list_count;
    bool alone; /* codes without lists: there is one, and its centroid is 0 */
    vx_segment segments[VX_IVF_SLOTS]; /* each in its first slot */
    vx_ids ids;
    float largest;             /* of what the codec answered for each row, for the filters */
    vx_kmeans_params training; /* k is list_count */
    double loss;
    size_t learnt_from, offered; /* training vectors */
} vx_ivf;

/* Codes without lists are an index of one list, about which nothing is learnt. */
extern const vx_index_kind vx_ivf_kind, vx_codes_kind;
extern const vx_index_ops vx_ivf_ops;

/* ops.c */
vindex_status vx_ivf_make(const vx_spec *spec, size_t dim, vindex_metric metric, vx_ivf **ivf);
void vx_ivf_free(vindex_index *index);

/* train.c */
vindex_status vx_ivf_train(vindex_index *index, const vindex_rows *rows, const vindex_call *call);
/* Empty lists around those centroids (lists x dim), and the coarse index over them, which is taken
 * over where it is given and made where it is NULL. */
vindex_status vx_ivf_open_lists(vx_ivf *ivf, const float *centroids, vindex_index *coarse,
                                const vindex_call *call);
/* The factory string of the coarse index. */
enum { VX_IVF_COARSE_SPEC = 32 };
void vx_ivf_coarse_spec(const vx_ivf *ivf, char spec[VX_IVF_COARSE_SPEC]);
/* The nearest list of each of n vectors, that coarse index's. */
vindex_status vx_ivf_assign(const vindex_index *coarse, const float *vectors, size_t n,
                            const vindex_call *call, uint32_t *nearest);

/* storage.c */
vindex_status vx_ivf_add(vindex_index *index, const float *vectors, size_t n, const int64_t *ids,
                         const vindex_call *call);
vindex_status vx_ivf_compact(vindex_index *index, const vindex_call *call);
/* Tells the lists their centroids, where rows are coded relative to them. */
void vx_ivf_centre(const vx_ivf *ivf, vx_list *lists);
/* Behind the last row of a list that has room: a row of another list of the same centre, under that
 * number. */
void vx_ivf_append(const vx_codec *codec, const vx_list *from, size_t at, uint32_t number,
                   vx_list *to);
/* Memory of its own for every list, no more than it takes; however the rows came, the same. */
vindex_status vx_ivf_own(vx_ivf *ivf);
size_t vx_ivf_memory(const vindex_index *index);

/* Room for what comes to each list, where ends counts the vectors up to and including list l. A
 * failure may leave unused room behind, nothing else. */
vindex_status vx_ivf_reserve(vx_ivf *ivf, const size_t *ends);

/* estimate.c */
/* Of a stored vector, with its aux and its number. */
double vx_ivf_bytes_each(const vx_codec *codec);
vindex_status vx_ivf_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes);
vindex_status vx_ivf_build_estimate(const vx_spec *spec, vx_building *building);

/* merge.c */
vindex_status vx_ivf_merge(vindex_index *index, const vindex_index *from, const vindex_call *call);

/* search.c */
vindex_status vx_ivf_search(const vindex_index *index, const vx_request *request);
vindex_status vx_ivf_range_search(const vindex_index *index, const vx_request *request);

/* file.c */
void vx_ivf_describe(const vindex_index *index, vx_index_header *header);
uint32_t vx_ivf_section_count(const vindex_index *index);
vindex_status vx_ivf_save(const vindex_index *index, vx_container_writer *writer,
                          const vindex_call *call);
vindex_status vx_ivf_load(const vx_spec *spec, const vx_index_header *header, vx_container *file,
                          bool map, bool verify, vindex_index **index);

#endif
