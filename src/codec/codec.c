/* Which codecs there are. */
#include "codec.h"

#include <math.h>
#include <stdio.h>

const char *vx_codec_help(void) {
    return "Flat[,f32|f16|bf16]; SQ8|6|4[v], RaBitQ1 to RaBitQ8 or PQ<parts>[x4|x6|x8], and "
           "behind these Refine, Refine(f16|bf16) or Refine(<codes>)";
}

static vindex_status refuse(const char *const *words, size_t count, const char *why) {
    char text[128] = "";
    for (size_t i = 0, used = 0; i < count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "," : "", words[i]);
    return vx_fail(VINDEX_ERR_ARGUMENT, "factory string: '%s' is no way to store vectors; %s%s",
                   text, why ? why : "known are ", why ? "" : vx_codec_help());
}

static vindex_status unknown(const char *const *words, size_t count) {
    return refuse(words, count, NULL);
}

/* The storage type of a word; f32 where it is empty. */
static bool parse_type(const char *word, size_t length, vindex_dtype *type) {
    *type = VINDEX_F32;
    for (int i = 0; length && i < VX_STORED_TYPES; i++) {
        const char *name = vindex_dtype_name((vindex_dtype)i);
        *type = (vindex_dtype)i;
        if (strlen(name) == length && !strncmp(word, name, length)) return true;
    }
    return !length;
}

static bool is_refine(const char *word) {
    return !strncmp(word, "Refine", 6);
}

/* "Refine", "Refine(f16)", "Refine(SQ8)" and so on; second has room for what is in parentheses. */
static bool parse_refine(const char *word, vx_refine_words *pair, char *second, size_t room) {
    size_t length = strlen(word);
    if (!strcmp(word, "Refine")) return parse_type("", 0, &pair->dtype);
    if (length <= 8 || length - 8 >= room || word[6] != '(' || word[length - 1] != ')')
        return false;
    if (parse_type(word + 7, length - 8, &pair->dtype)) return true;
    memcpy(second, word + 7, length - 8);
    second[length - 8] = 0;
    pair->dtype = VINDEX_F32;
    pair->second = second;
    return vx_codec_stands_alone(second);
}

static vindex_status create_pair(const char *const *words, size_t count, const vx_codec_use *use,
                                 vx_codec **codec) {
    enum { WORD = 32 };
    char second[WORD];
    vx_refine_words pair = {.coarse = words[0]};
    if (count != 2 || !vx_codec_stands_alone(words[0]))
        return refuse(words, count,
                      "one Refine stands behind one word of codes, as in SQ8,Refine; numbers "
                      "themselves leave nothing to refine");
    if (!parse_refine(words[1], &pair, second, sizeof second))
        return refuse(words, count,
                      "Refine takes nothing, or f16, bf16 or codes in parentheses, "
                      "as in Refine(SQ8)");
    return vx_refine_create(&pair, use, codec);
}

vindex_status vx_codec_create(const char *const *words, size_t count, const vx_codec_use *use,
                              vx_codec **codec) {
    vindex_dtype type;
    if (count && is_refine(words[count - 1])) return create_pair(words, count, use, codec);
    if (count && !strcmp(words[0], "Flat")) {
        if (count <= 2 && parse_type(words[1], count == 2 ? strlen(words[1]) : 0, &type))
            return vx_stored_create(type, use, codec);
        return unknown(words, count);
    }
    if (count == 1 && vx_scalar_knows(words[0])) return vx_scalar_create(words[0], use, codec);
    if (count == 1 && vx_pq_word(words[0])) return vx_pq_codec_create(words[0], use, codec);
    return unknown(words, count);
}

void vx_codec_centres(vx_codec *codec, float longest) {
    codec->longest_centre = longest;
    if (codec->coarse) vx_codec_centres(codec->coarse, longest);
}

bool vx_codec_stands_alone(const char *word) {
    return vx_pq_word(word) || vx_scalar_knows(word);
}

void vx_codec_free(vx_codec *codec) {
    if (codec) codec->ops->free(codec);
}

bool vx_codec_alike(const vx_codec *a, const vx_codec *b) {
    return !a->ops->alike || a->ops->alike(a, b);
}

size_t vx_codec_fine_bytes(const vx_codec *codec, size_t rows) {
    return codec->ops->fine_bytes ? codec->ops->fine_bytes(codec, rows) : 0;
}

double vx_codec_row_bytes(const vx_codec *codec) {
    size_t some = codec->ops->bytes(codec, VX_CODEC_ROWS);
    some += vx_codec_fine_bytes(codec, VX_CODEC_ROWS);
    return (double)some / VX_CODEC_ROWS + (double)(codec->aux_each * sizeof(float));
}

double vx_codec_learning_bytes(const vx_codec *codec, size_t vectors) {
    if (!codec->useful) return 0;
    if (codec->second) return vx_refine_learning_bytes(codec, vectors);
    double share = (double)VX_MIN(vectors, codec->useful) / (double)codec->useful;
    return share * (double)codec->learn_bytes;
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
