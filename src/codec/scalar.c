#include "scalar.h"

#include <math.h>
#include <stdio.h>

#include "exact/bound.h"

/* Rows of a form beyond this length are not judged by their codes. */
#define LENGTH_MOST 1e12
/* Numbers beyond this one are coded as if they were it: sums of squares stay within float32. */
#define NUMBER_MOST 1e15f

/* Steps of the best uniform quantizers of a Gaussian, in standard deviations, by bits (Max,
 * Quantizing for minimum distortion, 1960). */
static const double gaussian_steps[] = {0,      1.5958, 0.9957,  0.5860, 0.3352,
                                        0.1881, 0.1041, 0.05687, 0.03076};

/* What a word asks for; false where it is no scalar quantizer's. */
static bool parse(const char *word, vx_scalar_kind *kind, int *bits) {
    bool rotated = !strncmp(word, "RaBitQ", 6);
    const char *digits = word + (rotated ? 6 : 2);
    if (!rotated && strncmp(word, "SQ", 2) != 0) return false;
    if (*digits < '1' || *digits > '8') return false;
    *bits = *digits - '0';
    bool own = !rotated && !strcmp(digits + 1, "v");
    *kind = rotated ? VX_SCALAR_ROTATED : own ? VX_SCALAR_VECTOR : VX_SCALAR_DIMENSION;
    return (!digits[1] || own) && (rotated || *bits == 4 || *bits == 6 || *bits == 8);
}

bool vx_scalar_knows(const char *word) {
    vx_scalar_kind kind;
    int bits;
    return parse(word, &kind, &bits);
}

static size_t run_bytes(const vx_codec *codec, size_t rows) {
    const vx_scalar *own = vx_scalar_of(codec);
    return (rows + own->group - 1) / own->group * vx_scalar_group_bytes(own);
}

static void free_codec(vx_codec *codec) {
    vx_scalar *own = (vx_scalar *)codec;
    vx_rotation_free(&own->rotation);
    vx_free(own->middle);
    vx_free(own->steps);
    vx_free(own);
}

static bool is_unit(const vx_scalar *codec) {
    vindex_metric metric = codec->base.space.metric;
    return metric == VINDEX_COSINE || metric == VINDEX_PEARSON;
}

static double norm_of(const vx_scalar *codec, const float *vector) {
    const vx_kernels *kernels = codec->base.kernels;
    return sqrt(
        kernels->settle_products[VINDEX_F32](NULL, NULL, vector, codec->shape.dim, 0).square);
}

void vx_scalar_measure(vx_scalar *codec) {
    codec->middle_norm = vx_round_up(norm_of(codec, codec->middle) * (1 + 0x1p-20));
    codec->steps_norm = vx_round_up(norm_of(codec, codec->steps) * (1 + 0x1p-20));
    codec->widest = 0;
    for (size_t j = 0; j < codec->shape.dim; j++)
        codec->widest = VX_MAX(codec->widest, codec->steps[j]);
}

/* The vector that levels and a scale stand for. */
static void compose(const vx_scalar *codec, const unsigned char *levels, float scale,
                    const float *centre, float *vector) {
    float half = vx_scalar_half(codec);
    size_t dim = codec->shape.dim;
    for (size_t j = 0; j < dim; j++)
        vector[j] = ((float)levels[j] - half) * codec->steps[j] * scale;
    if (codec->kind == VX_SCALAR_ROTATED)
        vx_rotation_undo(&codec->rotation, codec->base.kernels, vector);
    for (size_t j = 0; j < dim; j++)
        vector[j] = vector[j] + codec->middle[j] + (centre ? centre[j] : 0);
}

/* How many levels there are to one of the numbers y. */
static float steps_for(const vx_scalar *codec, const float *y) {
    size_t dim = codec->shape.dim;
    double largest = 0;
    if (codec->kind == VX_SCALAR_DIMENSION) return 1;
    double norm = norm_of(codec, y);
    if (!(norm > 1e-20)) return 0;
    if (codec->kind == VX_SCALAR_ROTATED)
        return (float)(sqrt((double)dim) / (gaussian_steps[codec->shape.bits] * norm));
    for (size_t j = 0; j < dim; j++)
        if (fabs((double)y[j]) > largest) largest = fabs((double)y[j]);
    return (float)((double)vx_scalar_half(codec) / largest);
}

/* The vector in the terms of levels: rotated, or in steps of its dimensions. */
static void into_steps(const vx_scalar *codec, const float *form, float *y) {
    float most = (float)(1 << codec->shape.bits);
    size_t dim = codec->shape.dim;
    for (size_t j = 0; j < dim; j++) {
        float left = form[j] - codec->middle[j];
        y[j] = VX_MIN(VX_MAX(left, -NUMBER_MOST), NUMBER_MOST);
    }
    if (codec->kind == VX_SCALAR_ROTATED)
        vx_rotation_apply(&codec->rotation, codec->base.kernels, y);
    for (size_t j = 0; codec->kind == VX_SCALAR_DIMENSION && j < dim; j++) {
        float steps = codec->steps[j] > 0 ? y[j] / codec->steps[j] : 0;
        y[j] = VX_MIN(VX_MAX(steps, -most), most);
    }
}

/* How far a vector is from what its code decodes to; units: the sum of (2 level - 2^bits + 1)^2. */
static void compare(const vx_scalar *codec, const float *vector, const float *decoded, double units,
                    vx_scalar_row *row) {
    float form[VX_SCALAR_NUMBERS];
    row->square = 0;
    vx_codec_form(&codec->base, vector, NULL, form);
    for (size_t j = 0; j < codec->shape.dim; j++) {
        double off = (double)form[j] - (double)decoded[j];
        row->square += off * off;
    }
    row->length = fmax(norm_of(codec, form), norm_of(codec, decoded));
    row->code = fabs((double)row->scale) * sqrt(units) / 2 * (1 + 0x1p-20);
    /* What decoding rounds, and for unit vectors the form. */
    size_t chain = codec->kind == VX_SCALAR_ROTATED ? vx_rotation_chain(&codec->rotation) : 0;
    double parts =
        row->length + 2 * ((double)codec->base.longest_centre + (double)codec->middle_norm);
    row->error = sqrt(row->square) * (1 + 0x1p-20) + vx_gamma(chain + 16) * parts;
}

vx_scalar_row vx_scalar_quantise(const vx_scalar *codec, const float *vector, const float *centre,
                                 unsigned char *levels, float *decoded) {
    float form[VX_SCALAR_NUMBERS], y[VX_SCALAR_NUMBERS];
    size_t dim = codec->shape.dim;
    vx_scalar_row row = {.scale = 1};
    vx_codec_form(&codec->base, vector, centre, form);
    into_steps(codec, form, y);
    memset(y + dim, 0, VX_PAD * sizeof *y);
    float steps = steps_for(codec, y);
    if (!(steps < 1e30f)) steps = 0;
    vx_code_sums sums = codec->base.kernels->encode(y, dim, steps, codec->shape.bits, levels);
    if (codec->kind != VX_SCALAR_DIMENSION)
        row.scale = vx_bf16_value(vx_bf16_near((float)(2 * sums.dot / sums.units)));
    compose(codec, levels, row.scale, centre, decoded);
    compare(codec, vector, decoded, sums.units, &row);
    return row;
}

double vx_scalar_reach(const vx_scalar *codec, const vx_scalar_row *row) {
    if (!(row->length < LENGTH_MOST)) return INFINITY;
    return codec->refined ? fmax(row->error, row->code / (double)codec->ratio) : row->code;
}

static void pack(const vx_scalar *codec, const unsigned char *levels, unsigned char *row) {
    size_t depth = vx_level_depth(codec->shape.dim), line = vx_scalar_line(codec);
    int bits = codec->shape.bits;
    if (bits == 8) {
        for (size_t l = 0; l < depth; l++) memcpy(row + l * line, levels + 4 * l, 4);
        return;
    }
    for (size_t width = 4, below = 0; width; width /= 2) {
        if (!((size_t)bits & width)) continue;
        size_t each = 8 / width;
        for (size_t l = 0; l < depth; l += each) {
            uint32_t packed = 0;
            for (size_t i = 0; i < each && l + i < depth; i++) {
                uint32_t four;
                memcpy(&four, levels + 4 * (l + i), sizeof four);
                four = four >> below & ((1u << width) - 1) * 0x01010101u;
                packed |= four << (i * width);
            }
            memcpy(row + l / each * line, &packed, sizeof packed);
        }
        row += (depth * width + 7) / 8 * line;
        below += width;
    }
}

void vx_scalar_unpack(const vx_scalar *codec, vx_coded from, unsigned char *levels) {
    size_t depth = vx_level_depth(codec->shape.dim), line = vx_scalar_line(codec);
    const unsigned char *row = vx_scalar_levels(codec, from);
    int bits = codec->shape.bits;
    memset(levels + 4 * depth / 32 * 32, 0, 32);
    if (bits == 8) {
        for (size_t l = 0; l < depth; l++) memcpy(levels + 4 * l, row + l * line, 4);
        return;
    }
    for (size_t width = 4, below = 0; width; width /= 2) {
        if (!((size_t)bits & width)) continue;
        size_t each = 8 / width;
        for (size_t l = 0; l < depth; l++) {
            uint32_t packed, four = 0;
            memcpy(&packed, row + l / each * line, sizeof packed);
            if (below) memcpy(&four, levels + 4 * l, sizeof four);
            four |= (packed >> (l % each * width) & ((1u << width) - 1) * 0x01010101u) << below;
            memcpy(levels + 4 * l, &four, sizeof four);
        }
        row += (depth * width + 7) / 8 * line;
        below += width;
    }
}

/* The number that scorers add to a key, or multiply it with. A decoded row has that of a stored
 * one. Before a finer form keys are squared distances of the code, under cosine and Pearson, too.
 */
static float aux_of(const vx_scalar *codec, const float *decoded) {
    vx_measure measure = {0};
    if (codec->refined && codec->base.space.metric == VINDEX_INNER_PRODUCT) return 0;
    if (codec->refined) {
        double norm = norm_of(codec, decoded);
        return (float)(norm * norm);
    }
    measure = vx_measure_row(&codec->base.space, codec->base.kernels, decoded);
    float aux = vx_aux_of(&codec->base.space, &measure);
    return is_unit(codec) && !(aux <= 16) ? NAN : aux;
}

/* Writes the numbers of a row that is coded of a vector, or settled as it. */
static float state(const vx_scalar *codec, const float *vector, const vx_scalar_row *known,
                   vx_coded of) {
    float reach = vx_round_up(vx_scalar_reach(codec, known));
    if (codec->bare) return vx_round_up(known->code);
    if (is_unit(codec) && codec->refined) { /* what has no direction is never judged */
        vx_measure measure = vx_measure_row(&codec->base.space, codec->base.kernels, vector);
        if (measure.square == 0) reach = INFINITY;
    }
    uint32_t pair = vx_bf16_near(known->scale) << 16 | vx_bf16_up(reach);
    memcpy(vx_scalar_pair(codec, of), &pair, sizeof pair);
    return vx_round_up(known->length);
}

static float encode(const vx_codec *codec, const float *vector, vx_coded to) {
    const vx_scalar *own = vx_scalar_of(codec);
    unsigned char levels[VX_SCALAR_NUMBERS];
    float decoded[VX_SCALAR_NUMBERS];
    vx_scalar_row known = vx_scalar_quantise(own, vector, to.run->centre, levels, decoded);
    if (!own->second) *vx_scalar_aux(own, to) = aux_of(own, decoded);
    pack(own, levels, vx_scalar_levels(own, to));
    return state(own, vector, &known, to);
}

/* Decodes a row, whose levels and scale it answers. */
static float decode_with(const vx_scalar *codec, vx_coded from, unsigned char *levels,
                         float *vector) {
    float scale, reach;
    vx_scalar_unpack(codec, from, levels);
    vx_scalar_numbers(codec, from, &scale, &reach);
    compose(codec, levels, scale, from.run->centre, vector);
    return scale;
}

static void decode(const vx_codec *codec, vx_coded from, float *vector) {
    unsigned char levels[VX_SCALAR_NUMBERS];
    decode_with(vx_scalar_of(codec), from, levels, vector);
}

static float restate(const vx_codec *codec, const float *vector, vx_coded of) {
    const vx_scalar *own = vx_scalar_of(codec);
    unsigned char levels[VX_SCALAR_NUMBERS];
    float decoded[VX_SCALAR_NUMBERS];
    vx_scalar_row known = {.scale = decode_with(own, of, levels, decoded)};
    double units = 0;
    for (size_t j = 0; j < own->shape.dim; j++) {
        int unit = 2 * levels[j] - (1 << own->shape.bits) + 1;
        units += (double)(unit * unit);
    }
    compare(own, vector, decoded, units, &known);
    return state(own, vector, &known, of);
}

static void move(const vx_codec *codec, vx_coded from, vx_coded to) {
    const vx_scalar *own = vx_scalar_of(codec);
    unsigned char *source = vx_scalar_at(own, from), *target = vx_scalar_at(own, to);
    for (size_t at = 0; at < vx_scalar_group_bytes(own); at += vx_scalar_line(own))
        memmove(target + at, source + at, 4);
}

static void fetch(const vx_codec *codec, const vx_block *run, const uint32_t *rows, size_t count) {
    const vx_scalar *own = vx_scalar_of(codec);
    for (size_t i = 0; i < count; i++) {
        vx_fetch(vx_scalar_at(own, (vx_coded){run, rows[i]}), vx_scalar_group_bytes(own));
        __builtin_prefetch(vx_scalar_aux(own, (vx_coded){run, rows[i]}), 0, 3);
    }
}

/* The section "levels": ratio and distortion, then middle and steps, dim floats each. */
static vindex_status save(const vx_codec *codec, vx_container_writer *writer) {
    const vx_scalar *own = vx_scalar_of(codec);
    const float facts[2] = {own->ratio, (float)own->base.distortion};
    size_t bytes = own->shape.dim * sizeof(float);
    VX_TRY(vx_container_begin(writer, "levels"));
    VX_TRY(vx_container_append(writer, facts, sizeof facts));
    VX_TRY(vx_container_append(writer, own->middle, bytes));
    VX_TRY(vx_container_append(writer, own->steps, bytes));
    return vx_container_end(writer);
}

static bool alike(const vx_codec *a, const vx_codec *b) {
    const vx_scalar *x = vx_scalar_of(a), *y = vx_scalar_of(b);
    size_t bytes = x->shape.dim * sizeof(float);
    return x->ratio == y->ratio && !memcmp(x->middle, y->middle, bytes) &&
           !memcmp(x->steps, y->steps, bytes);
}

static vindex_status load(vx_codec *codec, const vx_container *file, bool verify) {
    vx_scalar *own = (vx_scalar *)codec;
    size_t dim = own->shape.dim, where;
    vx_section section;
    (void)verify;
    VX_TRY(vx_container_find(file, "levels", true, &section));
    const float *numbers = (const float *)(const void *)section.bytes;
    bool good = section.length == (2 + 2 * dim) * sizeof(float) &&
                vx_all_finite(numbers, 2 + 2 * dim, &where) && numbers[0] > 0 && numbers[1] >= 0;
    for (size_t j = 0; good && j < dim; j++) good = numbers[2 + dim + j] >= 0;
    if (!good)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: section 'levels' does not hold what %zu dimensions need; the file is "
                       "damaged",
                       vx_container_path(file), dim);
    own->ratio = numbers[0];
    own->base.distortion = (double)numbers[1];
    memcpy(own->middle, numbers + 2, dim * sizeof(float));
    memcpy(own->steps, numbers + 2 + dim, dim * sizeof(float));
    vx_scalar_measure(own);
    return VINDEX_OK;
}

static const vx_codec_ops scalar_ops = {.free = free_codec,
                                        .train = vx_scalar_train,
                                        .bytes = run_bytes,
                                        .fine_bytes = NULL,
                                        .encode = encode,
                                        .restate = restate,
                                        .decode = decode,
                                        .move = move,
                                        .fetch = fetch,
                                        .alike = alike,
                                        .save = save,
                                        .load = load,
                                        .score = vx_scalar_score};

vindex_status vx_scalar_create(const char *word, const vx_codec_use *use, vx_codec **result) {
    vx_scalar_kind kind;
    int bits;
    if (!parse(word, &kind, &bits))
        return vx_fail(VINDEX_ERR_ARGUMENT, "factory string: '%s' is no scalar quantizer", word);
    if (use->dim > VX_CODEC_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: %s of %zu dimensions; it takes at most %d, use Flat,f16",
                       word, use->dim, VX_CODEC_DIM_MOST);
    bool bare = kind == VX_SCALAR_DIMENSION && !use->refined;
    vx_scalar *codec = vx_alloc_zero(1, sizeof *codec);
    if (!codec) return vx_fail_memory(1, sizeof *codec, "create");
    codec->base = (vx_codec){
        .ops = &scalar_ops,
        .kernels = vx_kernels_get(),
        .space = {.metric = use->metric, .dtype = VINDEX_F32, .dim = use->dim},
        /* Centres have length 1 where inner products are compared, whatever length rows have. */
        .residual = use->metric != VINDEX_INNER_PRODUCT,
        .sections = 1,
        .aux_each = (size_t)!use->second + (use->scattered && !bare),
        .group = use->scattered ? 1 : VX_LEVEL_ROWS};
    snprintf(codec->base.word, sizeof codec->base.word, "%s", word);
    codec->kind = kind;
    codec->refined = use->refined;
    codec->second = use->second;
    codec->bare = bare;
    codec->group = use->scattered ? 1 : VX_LEVEL_ROWS;
    codec->shape = (vx_level_shape){use->dim, bits};
    codec->lines = vx_level_lines(&codec->shape);
    codec->ratio = 1;
    codec->middle = vx_alloc_zero(use->dim, sizeof(float));
    codec->steps = vx_alloc(use->dim, sizeof(float));
    vindex_status status = codec->middle && codec->steps
                               ? VINDEX_OK
                               : vx_fail_memory(use->dim, 2 * sizeof(float), "create");
    if (status == VINDEX_OK && kind == VX_SCALAR_ROTATED)
        status = vx_rotation_create(use->dim, &codec->rotation);
    if (status != VINDEX_OK) {
        free_codec(&codec->base);
        return status;
    }
    for (size_t j = 0; j < use->dim; j++) codec->steps[j] = 1;
    size_t signs = (size_t)codec->rotation.rounds * codec->rotation.dim;
    codec->base.own_bytes =
        sizeof *codec - sizeof codec->base + (2 * use->dim + signs) * sizeof(float);
    codec->base.query_bytes = 3 * vx_padded(use->dim) * sizeof(float);
    codec->base.useful = VX_SCALAR_USEFUL;
    codec->base.learn_bytes = vx_scalar_learn_bytes(use->dim, VX_SCALAR_USEFUL);
    *result = &codec->base;
    return VINDEX_OK;
}
