/* Losses that make a student's embeddings like those of a teacher. */
#ifndef VX_TRANSFORM_LOSS_TEACHER_H
#define VX_TRANSFORM_LOSS_TEACHER_H

#include "losses.h"

extern const vx_loss_kind vx_loss_distance_matching, vx_loss_cluster_matching;

#endif
