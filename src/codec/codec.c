/* Which codecs there are. */
#include "codec.h"

const char *vx_codec_help(void) {
    return "Flat[,f32|f16|bf16]";
}

static vindex_status unknown(const char *const *words, size_t count) {
    return vx_fail(
        VINDEX_ERR_ARGUMENT, "factory string: '%s%s%s' is no way to store vectors; known are %s",
        count ? words[0] : "", count > 1 ? "," : "", count > 1 ? words[1] : "", vx_codec_help());
}

vindex_status vx_codec_create(const char *const *words, size_t count, size_t dim,
                              vindex_metric metric, vx_codec **codec) {
    if (!count) return unknown(words, count);
    if (!strcmp(words[0], "Flat") && count == 1)
        return vx_stored_create(VINDEX_F32, dim, metric, codec);
    if (!strcmp(words[0], "Flat") && count == 2)
        for (int i = 0; i < VX_STORED_TYPES; i++)
            if (!strcmp(words[1], vindex_dtype_name((vindex_dtype)i)))
                return vx_stored_create((vindex_dtype)i, dim, metric, codec);
    return unknown(words, count);
}

void vx_codec_free(vx_codec *codec) {
    if (codec) codec->ops->free(codec);
}
