/* The codec of product codes: "PQ64x4". */
#include "codec.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "exact/bound.h"

static const vx_pq *pq_of(const vx_codec *codec) {
    return ((const vx_pq_codec *)codec)->pq;
}

static void free_codec(vx_codec *codec) {
    vx_pq_free(((vx_pq_codec *)codec)->pq);
    vx_free(codec);
}

static size_t run_bytes(const vx_codec *codec, size_t rows) {
    return vx_pq_bytes(&pq_of(codec)->book.shape, rows);
}

static unsigned char *groups_of(vx_coded row) {
    return (unsigned char *)(uintptr_t)row.run->data;
}

/* ---- learning ---- */

/* The vectors to learn from as they are to be encoded, at most as many as are of use; *forms is for
 * vx_free. */
static vindex_status take_forms(const vx_codec *codec, const vx_sample *sample, float **forms,
                                size_t *count) {
    size_t dim = codec->space.dim;
    size_t most = vx_pq_useful(&pq_of(codec)->book.shape);
    *count = VX_MIN(most, sample->n);
    *forms = vx_alloc(*count, dim * sizeof **forms);
    if (!*forms) return vx_fail_memory(*count, dim * sizeof **forms, "train");
    for (size_t i = 0; i < *count; i++) {
        size_t row = i * sample->n / *count; /* evenly spread */
        const float *centre =
            sample->centres ? sample->centres + (size_t)sample->nearest[row] * dim : NULL;
        vx_codec_form(codec, sample->vectors + row * dim, centre, *forms + i * dim);
    }
    return VINDEX_OK;
}

static vindex_status train(vx_codec *codec, const vx_sample *sample) {
    vx_pq_codec *c = (vx_pq_codec *)codec;
    vx_pq *fresh = NULL;
    float *forms = NULL;
    vx_pq_training training = {.seed = sample->seed,
                               .iterations = VX_PQ_ITERATIONS,
                               .threads = sample->threads,
                               .progress = sample->progress,
                               .progress_context = sample->progress_context};
    vindex_status status = take_forms(codec, sample, &forms, &training.count);
    training.points = forms;
    if (status == VINDEX_OK) status = vx_pq_create(&c->pq->book.shape, &fresh);
    double loss = 0;
    if (status == VINDEX_OK) status = vx_pq_train(fresh, &training, &loss);
    vx_free(forms);
    if (status != VINDEX_OK) {
        vx_pq_free(fresh);
        return status;
    }
    vx_pq_free(c->pq);
    c->pq = fresh;
    codec->distortion = loss;
    return VINDEX_OK;
}

/* ---- rows ---- */

/* The words of `count` parts; inlined, so that short ones of a known width are moved at once. */
static inline void copy_words(const float *words, size_t codes_each, const unsigned char *codes,
                              size_t count, size_t width, float *vector) {
    for (size_t i = 0; i < count; i++, words += codes_each * width)
        memcpy(vector + i * width, words + codes[i] * width, width * sizeof *vector);
}

/* `count` parts of a decoded row from `part` on. */
static void decode_parts(const vx_pq *pq, vx_coded from, size_t part, size_t count,
                         const unsigned char *codes, float *vector) {
    size_t each = vx_pq_codes(&pq->book.shape), width = vx_pq_width(&pq->book.shape);
    const float *words = pq->words + part * each * width, *centre = from.run->centre;
    if (width == 4)
        copy_words(words, each, codes + part, count, 4, vector);
    else if (width == 8)
        copy_words(words, each, codes + part, count, 8, vector);
    else
        copy_words(words, each, codes + part, count, width, vector);
    for (size_t j = 0; centre && j < count * width; j++) vector[j] += centre[part * width + j];
}

void vx_pq_decode_row(const vx_pq_codec *codec, vx_coded from, float *vector) {
    const vx_pq *pq = codec->pq;
    unsigned char codes[VX_PQ_PARTS_MOST];
    vx_pq_get(&pq->book.shape, from.run->data, from.at, codes);
    decode_parts(pq, from, 0, pq->book.shape.parts, codes, vector);
}

static void decode(const vx_codec *codec, vx_coded from, float *vector) {
    vx_pq_decode_row((const vx_pq_codec *)codec, from, vector);
}

/* The measure of a decoded row, some parts at a time. */
static vx_measure measure(const vx_codec *codec, vx_coded row, const unsigned char *codes) {
    const vx_pq *pq = pq_of(codec);
    const vx_kernels *kernels = codec->kernels;
    size_t parts = pq->book.shape.parts, width = vx_pq_width(&pq->book.shape), count;
    size_t together = VX_PQ_WIDTH_MOST / width;
    float vector[VX_PQ_WIDTH_MOST];
    vx_measure all = {0};
    for (size_t part = 0; codec->space.metric == VINDEX_PEARSON && part < parts; part += count) {
        count = VX_MIN(parts - part, together);
        decode_parts(pq, row, part, count, codes, vector);
        all.mean += kernels->settle_sum[VINDEX_F32](NULL, vector, count * width, 0);
    }
    all.mean /= (double)codec->space.dim;
    for (size_t part = 0; part < parts; part += count) {
        count = VX_MIN(parts - part, together);
        decode_parts(pq, row, part, count, codes, vector);
        vx_products products =
            kernels->settle_products[VINDEX_F32](NULL, NULL, vector, count * width, all.mean);
        all.square += products.square;
    }
    return all;
}

/* Keys before a finer form are those of what it decodes to: the length of that, but where keys are
 * multiplied. */
static float restate(const vx_codec *codec, const float *vector, vx_coded of) {
    if (codec->space.metric == VINDEX_COSINE || codec->space.metric == VINDEX_PEARSON) {
        float aux = of.run->aux[of.at];
        return isnan(aux) ? VX_PQ_INVERSE_MOST : aux;
    }
    return vx_round_up(sqrt(vx_measure_row(&codec->space, codec->kernels, vector).square) *
                       (1 + 0x1p-40));
}

static float encode(const vx_codec *codec, const float *vector, vx_coded to) {
    const vx_pq *pq = pq_of(codec);
    bool unit = codec->space.metric == VINDEX_COSINE || codec->space.metric == VINDEX_PEARSON;
    unsigned char codes[VX_PQ_PARTS_MOST];
    vx_pq_view view = {.vector = vector, .centre = to.run->centre, .scale = 1};
    if (unit) {
        vx_measure own = vx_measure_row(&codec->space, codec->kernels, vector);
        view.mean = own.mean;
        view.scale = own.square > 0 ? 1 / sqrt(own.square) : 0;
    }
    vx_pq_encode(pq, &view, codes);
    vx_pq_put(&pq->book.shape, groups_of(to), to.at, codes);
    if (!codec->aux_each) return 0;
    vx_measure decoded = measure(codec, to, codes);
    float aux = vx_aux_of(&codec->space, &decoded);
    if (unit && !(aux <= VX_PQ_INVERSE_MOST)) aux = NAN;
    ((float *)(uintptr_t)to.run->aux)[to.at] = aux;
    if (((const vx_pq_codec *)codec)->refined) return restate(codec, vector, to);
    return isnan(aux) ? VX_PQ_INVERSE_MOST : aux;
}

static void move(const vx_codec *codec, vx_coded from, vx_coded to) {
    const vx_pq_shape *shape = &pq_of(codec)->book.shape;
    const unsigned char *source = vx_pq_row(shape, from.run->data, from.at);
    unsigned char *target = (unsigned char *)(uintptr_t)vx_pq_row(shape, groups_of(to), to.at);
    for (size_t l = 0; l < vx_pq_lines(shape); l++)
        memmove(target + l * vx_pq_step(shape), source + l * vx_pq_step(shape), 4);
}

static void fetch(const vx_codec *codec, const vx_block *run, const uint32_t *rows, size_t count) {
    const vx_pq_shape *shape = &pq_of(codec)->book.shape;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *row = vx_pq_row(shape, run->data, rows[i]);
        size_t lines = vx_pq_lines(shape), step = shape->alone ? VX_CODE_LINE / 4 : 1;
        for (size_t line = 0; line < lines; line += step)
            __builtin_prefetch(row + line * vx_pq_step(shape), 0, 3);
        __builtin_prefetch(row + (lines - 1) * vx_pq_step(shape), 0, 3);
        __builtin_prefetch(run->aux + rows[i], 0, 3);
    }
}

static size_t words_count(const vx_pq *pq) {
    return pq->book.shape.dim * vx_pq_codes(&pq->book.shape);
}

static bool alike(const vx_codec *a, const vx_codec *b) {
    size_t bytes = words_count(pq_of(a)) * sizeof(float);
    return !memcmp(pq_of(a)->words, pq_of(b)->words, bytes);
}

/* ---- files: section "words", the distortion and then parts x codes x width floats ---- */

static vindex_status save(const vx_codec *codec, vx_container_writer *writer) {
    const vx_pq *pq = pq_of(codec);
    const float distortion = (float)codec->distortion;
    VX_TRY(vx_container_begin(writer, "words"));
    VX_TRY(vx_container_append(writer, &distortion, sizeof distortion));
    VX_TRY(vx_container_append(writer, pq->words, words_count(pq) * sizeof(float)));
    return vx_container_end(writer);
}

static vindex_status load(vx_codec *codec, const vx_container *file, bool verify) {
    vx_pq *pq = ((vx_pq_codec *)codec)->pq;
    vx_section words;
    size_t count = 1 + words_count(pq), where;
    VX_TRY(vx_container_find(file, "words", verify, &words));
    if (words.length != count * sizeof(float))
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: section 'words' has %zu bytes, which is not a number and %zu codewords "
                       "of %zu numbers; the file is damaged",
                       vx_container_path(file), words.length,
                       pq->book.shape.parts * vx_pq_codes(&pq->book.shape),
                       vx_pq_width(&pq->book.shape));
    const float *numbers = (const float *)(const void *)words.bytes;
    if (!vx_all_finite(numbers, count, &where) || numbers[0] < 0)
        return vx_fail(VINDEX_ERR_FORMAT,
                       "%s: a codeword is not a finite vector, or the distortion is negative; the "
                       "file is damaged",
                       vx_container_path(file));
    codec->distortion = (double)numbers[0];
    memcpy(pq->words, numbers + 1, words_count(pq) * sizeof(float));
    vx_pq_refresh_all(pq);
    return VINDEX_OK;
}

/* ---- coming to be ---- */

static const vx_codec_ops pq_ops = {.free = free_codec,
                                    .train = train,
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
                                    .score = vx_pq_score};

/* "PQ32", "PQ32x8". */
static bool parse(const char *word, vx_pq_shape *shape) {
    char *end;
    if (strncmp(word, "PQ", 2) || word[2] < '0' || word[2] > '9') return false;
    errno = 0;
    shape->parts = strtoull(word + 2, &end, 10);
    shape->bits = 8;
    if (*end == 'x' && end[1] >= '0' && end[1] <= '9') shape->bits = strtoull(end + 1, &end, 10);
    return !errno && !*end;
}

bool vx_pq_word(const char *word) {
    vx_pq_shape shape;
    return parse(word, &shape);
}

vindex_status vx_pq_codec_create(const char *word, const vx_codec_use *use, vx_codec **result) {
    vx_pq_shape shape = {.dim = use->dim, .alone = use->scattered};
    if (!parse(word, &shape))
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: '%s' where PQ is followed by the number of parts, and x4, "
                       "x6 or x8",
                       word);
    if ((use->refined || use->second) && use->dim > VX_CODEC_DIM_MOST)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: %s with Refine of %zu dimensions; it takes at most %d",
                       word, use->dim, VX_CODEC_DIM_MOST);
    vx_pq_codec *codec = vx_alloc_zero(1, sizeof *codec);
    if (!codec) return vx_fail_memory(1, sizeof *codec, "create");
    vindex_status status = vx_pq_create(&shape, &codec->pq);
    if (status != VINDEX_OK) {
        vx_free(codec);
        return status;
    }
    codec->base = (vx_codec){
        .ops = &pq_ops,
        .kernels = codec->pq->kernels,
        .sections = 1,
        .aux_each = !use->second,
        .group = VX_CODE_ROWS,
        .space = {.metric = use->metric, .dtype = VINDEX_F32, .dim = use->dim},
        /* Centres have length 1 where inner products are compared, whatever length rows have. */
        .residual = use->metric != VINDEX_INNER_PRODUCT,
        .own_bytes = sizeof *codec - sizeof codec->base + vx_pq_memory(&shape),
        .query_bytes = vx_pq_table_bytes(&shape),
        .useful = vx_pq_useful(&shape),
        .learn_bytes = vx_pq_useful(&shape) * (use->dim * sizeof(float) + sizeof(double) + 1) +
                       vx_pq_memory(&shape),
        .rerank = VX_PQ_RERANK,
    };
    codec->refined = use->refined;
    snprintf(codec->base.word, sizeof codec->base.word, "PQ%zux%zu", shape.parts, shape.bits);
    *result = &codec->base;
    return VINDEX_OK;
}
