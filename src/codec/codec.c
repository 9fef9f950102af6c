/* Which codecs there are. */
#include "codec.h"

#include <math.h>

const char *vx_codec_help(void) {
    return "Flat[,f32|f16|bf16], PQ<parts>[x4|x6|x8]";
}

static vindex_status unknown(const char *const *words, size_t count) {
    return vx_fail(
        VINDEX_ERR_ARGUMENT, "factory string: '%s%s%s' is no way to store vectors; known are %s",
        count ? words[0] : "", count > 1 ? "," : "", count > 1 ? words[1] : "", vx_codec_help());
}

vindex_status vx_codec_create(const char *const *words, size_t count, const vx_codec_use *use,
                              vx_codec **codec) {
    if (!count) return unknown(words, count);
    if (!strcmp(words[0], "Flat") && count == 1) return vx_stored_create(VINDEX_F32, use, codec);
    if (!strcmp(words[0], "Flat") && count == 2)
        for (int i = 0; i < VX_STORED_TYPES; i++)
            if (!strcmp(words[1], vindex_dtype_name((vindex_dtype)i)))
                return vx_stored_create((vindex_dtype)i, use, codec);
    if (count == 1 && vx_pq_word(words[0])) return vx_pq_codec_create(words[0], use, codec);
    return unknown(words, count);
}

bool vx_codec_stands_alone(const char *word) {
    return vx_pq_word(word);
}

void vx_codec_free(vx_codec *codec) {
    if (codec) codec->ops->free(codec);
}

size_t vx_codec_fine_bytes(const vx_codec *codec, size_t rows) {
    return codec->ops->fine_bytes ? codec->ops->fine_bytes(codec, rows) : 0;
}

void vx_codec_form(const vx_codec *codec, const float *vector, const float *centre, float *form) {
    vx_space space = codec->space;
    bool unit = space.metric == VINDEX_COSINE || space.metric == VINDEX_PEARSON;
    vx_measure measure = {0};
    space.dtype = VINDEX_F32;
    if (unit) measure = vx_measure_row(&space, codec->kernels, vector);
    double factor = !unit ? 1 : measure.square > 0 ? 1 / sqrt(measure.square) : 0;
    for (size_t j = 0; j < space.dim; j++) {
        double seen = ((double)vector[j] - measure.mean) * factor;
        form[j] = (float)(centre ? seen - (double)centre[j] : seen);
    }
}
