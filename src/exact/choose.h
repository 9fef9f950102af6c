/* Which coder suits the data: learnt from a sample, chosen by how many bytes a query would read. */
#ifndef VX_EXACT_CHOOSE_H
#define VX_EXACT_CHOOSE_H

#include "coder.h"

typedef enum vx_coding {
    VX_CODING_AUTO,    /* whichever is predicted to read least */
    VX_CODING_SIGNS,   /* one plane */
    VX_CODING_REFINED, /* two */
    VX_CODING_PCA
} vx_coding;

typedef struct vx_choice {
    vx_coding coding;
    size_t head; /* PCA: dimensions, at most those of the space */
} vx_choice;

/* Principal directions of more dimensions cost too much to learn. */
enum { VX_PCA_DIM_MOST = 2048 };

/* Whether two planes stay below three tenths of the vectors' memory. */
VX_SHARED bool vx_choice_may_refine(const vx_space *space);

/* Rows that a choice needs before it is worth making. */
VX_SHARED size_t vx_choice_least(const vx_choice *choice, size_t dim);
/* Rows that it makes use of. */
VX_SHARED size_t vx_choice_most(size_t dim);

/* Learns from count rows (x dim). Every other one is held out, and the forecast made with those. */
VX_SHARED vindex_status vx_coder_choose(const vx_space *space, const vx_choice *choice,
                                        const float *sample, size_t count, int threads,
                                        vx_coder *coder);

#endif
