/* Losses against proxies: a vector per class, learned with the head. */
#ifndef VX_TRANSFORM_LOSS_PROXIES_H
#define VX_TRANSFORM_LOSS_PROXIES_H

#include "losses.h"

extern const vx_loss_kind vx_loss_normalized_softmax, vx_loss_proxy_nca, vx_loss_softmax;

#endif
