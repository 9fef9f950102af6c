/* How much memory an index behind projections will hold, and the most that building it takes. */
#include <math.h>

#include "chain.h"
#include "projected.h"

/* The projections of a factory string, and the kind of index behind them. */
static vindex_status take_apart(const vx_spec *spec, size_t dim, vx_projection *projection,
                                vx_spec *inner, const vx_index_kind **kind) {
    VX_TRY(vx_projection_parse(spec, dim, projection));
    if (projection->dim < 0)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "memory estimate: what %s gives is known after training; estimate with the "
                       "dimension you expect",
                       spec->words[0]);
    return vx_spec_parse(projection->inner, inner, kind);
}

vindex_status vx_projected_estimate(const vx_spec *spec, size_t dim, size_t n, size_t *bytes) {
    vx_projection projection;
    const vx_index_kind *kind;
    vx_spec inner;
    VX_TRY(take_apart(spec, dim, &projection, &inner, &kind));
    VX_TRY(kind->estimate(&inner, (size_t)projection.dim, n, bytes));
    size_t weights; /* as they are, and packed */
    if (!vx_mul(dim * 2 * sizeof(float), (size_t)projection.dim, &weights) ||
        !vx_add(*bytes, weights, bytes))
        return vx_fail_memory(n, dim, "memory estimate");
    return VINDEX_OK;
}

/* The steps of a chain, learnt one after the other. */
typedef struct learning {
    const vx_building *building;
    double kept, most; /* bytes of the steps so far, and the most at once */
} learning;

/* A step of vectors of `in` numbers. But for the first step rows come through those before it, a
 * block at a time. */
static vindex_status add_step(const vx_plan_step *step, size_t in, learning *l) {
    const vx_building *b = l->building;
    const vx_method *method = step->method;
    vx_fit job = {.rows = {.count = (int64_t)b->n, .dim = (int64_t)in},
                  .dim = (size_t)step->dim,
                  .settings = step->settings,
                  .threads = b->threads};
    if (!method->bytes)
        return vx_fail(VINDEX_ERR_UNSUPPORTED,
                       "memory estimate: what learning %s takes is not known; estimate the index "
                       "itself",
                       method->shown.word);
    double bytes = method->bytes(&job), block = (double)VX_MIN(vx_rows_block(in), b->n);
    if (l->kept > 0) bytes += block * (double)(in + b->dim) * sizeof(float);
    l->most = fmax(l->most, l->kept + bytes);
    double numbers = method->shown.chooses_dim
                         ? (double)in * (double)(step->dim ? step->dim : (int64_t)in)
                         : (double)in;
    l->kept += 2 * sizeof(float) * numbers; /* as they are, and packed */
    return VINDEX_OK;
}

static vindex_status add_steps(const vx_projection *projection, learning *l) {
    vx_projection_fit fit;
    vx_plan plan;
    size_t in = l->building->dim;
    vx_projection_params(projection, VINDEX_L2, &fit);
    VX_TRY(vx_plan_make(projection->methods, &fit.params, &plan));
    vindex_status status = VINDEX_OK;
    for (size_t i = 0; status == VINDEX_OK && i < plan.count; i++) {
        status = add_step(&plan.steps[i], in, l);
        if (plan.steps[i].dim) in = (size_t)plan.steps[i].dim;
    }
    vx_plan_free(&plan);
    return status;
}

/* First the chain is learnt, then what is behind it, from projected vectors; what is added is
 * projected all at once. */
vindex_status vx_projected_build_estimate(const vx_spec *spec, vx_building *b) {
    vx_projection projection;
    const vx_index_kind *kind;
    vx_spec words;
    learning l = {.building = b};
    VX_TRY(take_apart(spec, b->dim, &projection, &words, &kind));
    VX_TRY(add_steps(&projection, &l));
    vx_building inner = {
        .dim = (size_t)projection.dim, .n = b->n, .threads = b->threads, .read = true};
    VX_TRY(kind->build_estimate(&words, &inner));
    b->train = fmax(l.most, l.kept + inner.train);
    b->add = l.kept + (double)b->n * (double)inner.dim * sizeof(float) + inner.add;
    return VINDEX_OK;
}
