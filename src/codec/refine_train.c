/* How a pair learns: the coarse codec from the vectors, then the second one from what the first one
 * leaves of them. */
#include <math.h>

#include "refine.h"

/* Room for a row of the coarse codec. */
typedef struct place {
    vx_block run;
    void *data;
    float *aux;
} place;

static bool open_place(const vx_codec *coarse, place *p) {
    p->data = vx_alloc_zero(coarse->ops->bytes(coarse, 1), 1);
    p->aux = vx_alloc_zero(coarse->aux_each, sizeof *p->aux);
    p->run = (vx_block){.data = p->data, .aux = p->aux, .count = 1};
    return p->data && p->aux;
}

static void close_place(place *p) {
    vx_free(p->data);
    vx_free(p->aux);
}

/* What the coarse codec makes of each vector; numbers: 0, 1, ... */
static vindex_status code_coarsely(const vx_codec *coarse, const vx_sample *sample, float *decoded,
                                   uint32_t *numbers) {
    size_t dim = coarse->space.dim;
    bool opened = true;
#pragma omp parallel num_threads(sample->threads) if (sample->threads > 1)
    {
        place p;
        bool here = open_place(coarse, &p);
#pragma omp for
        for (size_t i = 0; i < sample->n; i++) {
            const vx_coded row = {&p.run, 0};
            numbers[i] = (uint32_t)i;
            if (!here) continue;
            if (sample->centres) p.run.centre = sample->centres + sample->nearest[i] * dim;
            coarse->ops->encode(coarse, sample->vectors + i * dim, row);
            coarse->ops->decode(coarse, row, decoded + i * dim);
        }
#pragma omp critical
        opened = opened && here;
        close_place(&p);
    }
    return opened ? VINDEX_OK : vx_fail_memory(sample->n, sizeof(float), "train");
}

/* The second codec learns with a centre per vector: what that is coarsely. */
static vindex_status train_second(vx_codec *second, const vx_codec *coarse,
                                  const vx_sample *sample) {
    size_t bytes = coarse->space.dim * sizeof(float);
    vx_sample left = *sample;
    float *decoded = vx_alloc(sample->n, bytes);
    uint32_t *numbers = vx_alloc(sample->n, sizeof *numbers);
    left.centres = decoded;
    left.nearest = numbers;
    vindex_status status = decoded && numbers ? code_coarsely(coarse, sample, decoded, numbers)
                                              : vx_fail_memory(sample->n, bytes, "train");
    if (status == VINDEX_OK) status = second->ops->train(second, &left);
    vx_free(decoded);
    vx_free(numbers);
    return status;
}

double vx_refine_learning_bytes(const vx_codec *codec, size_t vectors) {
    const vx_codec *coarse = codec->coarse, *second = codec->second;
    double each = (double)(codec->space.dim * sizeof(float) + sizeof(uint32_t));
    double left = (double)VX_MIN(vectors, codec->useful) * each;
    double fresh = (double)(coarse->own_bytes + second->own_bytes);
    return fresh + fmax(vx_codec_learning_bytes(coarse, vectors),
                        left + vx_codec_learning_bytes(second, vectors));
}

/* Parts that are learning are new ones, so that a failure leaves both as they were. */
static vindex_status train_parts(vx_codec *codec, const vx_sample *sample) {
    const vx_refine_words words = {codec->coarse->word, codec->second->word, VINDEX_F32};
    vx_codec *coarse, *second;
    VX_TRY(vx_refine_parts(&words, &vx_refine_of(codec)->use, &coarse, &second));
    vx_codec_centres(coarse, codec->longest_centre);
    vindex_status status = coarse->ops->train(coarse, sample);
    if (status == VINDEX_OK) status = train_second(second, coarse, sample);
    if (status != VINDEX_OK) {
        vx_codec_free(coarse);
        vx_codec_free(second);
        return status;
    }
    vx_codec_free(codec->coarse);
    vx_codec_free(codec->second);
    codec->coarse = coarse;
    codec->second = second;
    codec->distortion = second->distortion;
    return VINDEX_OK;
}

vindex_status vx_refine_train(vx_codec *codec, const vx_sample *sample) {
    if (codec->second) return train_parts(codec, sample);
    VX_TRY(codec->coarse->ops->train(codec->coarse, sample));
    codec->distortion = codec->coarse->distortion;
    return VINDEX_OK;
}
