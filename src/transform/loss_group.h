/* The group loss: rows of a batch that are alike settle their classes together. */
#ifndef VX_TRANSFORM_LOSS_GROUP_H
#define VX_TRANSFORM_LOSS_GROUP_H

#include "losses.h"

extern const vx_loss_kind vx_loss_group;

#endif
