#include "losses.h"

#include "loss_group.h"
#include "loss_pairs.h"
#include "loss_proxies.h"
#include "loss_teacher.h"

const vx_loss_kind *const vx_losses[VX_LOSSES] = {
    [VX_LOSS_NORMALIZED_SOFTMAX] = &vx_loss_normalized_softmax,
    [VX_LOSS_TRIPLET] = &vx_loss_triplet,
    [VX_LOSS_PROXY_NCA] = &vx_loss_proxy_nca,
    [VX_LOSS_GROUP] = &vx_loss_group,
    [VX_LOSS_CONTRASTIVE] = &vx_loss_contrastive,
    [VX_LOSS_INFONCE] = &vx_loss_infonce,
    [VX_LOSS_SOFTMAX] = &vx_loss_softmax,
    [VX_LOSS_TRIPLET_EUCLIDEAN] = &vx_loss_triplet_euclidean,
    [VX_LOSS_DISTANCE_MATCHING] = &vx_loss_distance_matching,
    [VX_LOSS_CLUSTER_MATCHING] = &vx_loss_cluster_matching,
};

vindex_status vx_loss_create(const vx_loss_kind *kind, const vx_loss_setup *setup, vx_rng *rng,
                             vx_loss *loss) {
    *loss = (vx_loss){.kind = kind, .setup = *setup};
    if (loss->setup.temperature == 0) loss->setup.temperature = kind->temperature;
    if (loss->setup.margin < 0) loss->setup.margin = kind->margin;
    vindex_status status = kind->create(loss);
    if (status != VINDEX_OK)
        vx_loss_free(loss);
    else if (kind->start)
        kind->start(loss, rng);
    return status;
}

void vx_loss_free(vx_loss *loss) {
    vx_parameter_free(&loss->learned);
    for (int i = 0; i < VX_LOSS_ROOMS; i++) vx_free(loss->rooms[i]);
    *loss = (vx_loss){0};
}

vindex_status vx_loss_room(vx_loss *loss, int i, size_t rows, size_t columns) {
    size_t count;
    if (!vx_mul(rows, columns, &count) || !(loss->rooms[i] = vx_alloc_zero(count, sizeof(float))))
        return vx_fail_memory(rows, columns * sizeof(float), "a batch of the loss");
    return VINDEX_OK;
}
