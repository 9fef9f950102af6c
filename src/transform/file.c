/* Transforms in files: alone, or inside an index file. Two sections:
 *
 * - "steps": steps, u32; zero, u32; per step 64 bytes: method, 24 bytes padded with zeros; kind
 *   u32; facts u32; in u64; out u64; seed u64; whether there is a shift u32; zero u32. Then per
 *   fact, in the order of the steps, 32 bytes: name, 24 bytes padded with zeros; values u64.
 * - "numbers": per step weights, bias, shift, scale (float32, those that its kind has), then its
 *   facts' values (float64). */
#include "chain.h"

enum { HEAD = 8, STEP = 64, FACT = 32, FACTS_MOST = 256 };

/* How many weights, biases, shifts and scales a step of that kind has. */
typedef struct parts {
    size_t weights, bias, shift, scale;
} parts;

static bool parts_of(const vx_step *step, bool shifted, parts *p) {
    *p = (parts){0};
    if (step->kind == VINDEX_STEP_SCALE) p->shift = p->scale = step->in;
    if (step->kind != VINDEX_STEP_AFFINE) return true;
    p->bias = step->out;
    p->shift = shifted ? step->in : 0;
    return vx_mul(step->in, step->out, &p->weights);
}

/* ---- writing ---- */

static void put_step(const vx_step *step, unsigned char *where) {
    memcpy(where, step->method, VX_METHOD_NAME);
    vx_put_u32(where + 24, (uint32_t)step->kind);
    vx_put_u32(where + 28, (uint32_t)step->fact_count);
    vx_put_u64(where + 32, step->in);
    vx_put_u64(where + 40, step->out);
    vx_put_u64(where + 48, step->seed);
    vx_put_u32(where + 56, step->shift != NULL);
}

static vindex_status save_steps(const vindex_transform *chain, vx_container_writer *writer) {
    size_t facts = 0;
    for (size_t i = 0; i < chain->step_count; i++) facts += chain->steps[i].fact_count;
    size_t length = HEAD + chain->step_count * STEP + facts * FACT;
    unsigned char *bytes = vx_alloc_zero(length, 1), *at = bytes + HEAD;
    if (!bytes) return vx_fail_memory(length, 1, "save");
    vx_put_u32(bytes, (uint32_t)chain->step_count);
    for (size_t i = 0; i < chain->step_count; i++, at += STEP) put_step(&chain->steps[i], at);
    for (size_t i = 0; i < chain->step_count; i++)
        for (size_t f = 0; f < chain->steps[i].fact_count; f++, at += FACT) {
            memcpy(at, chain->steps[i].facts[f].name, VX_FACT_NAME);
            vx_put_u64(at + 24, chain->steps[i].facts[f].count);
        }
    vindex_status status = vx_container_section(writer, "steps", bytes, length);
    vx_free(bytes);
    return status;
}

static vindex_status save_floats(vx_container_writer *writer, const float *values, size_t count) {
    return count ? vx_container_append(writer, values, count * sizeof *values) : VINDEX_OK;
}

static vindex_status save_numbers(const vx_step *step, vx_container_writer *writer) {
    parts p;
    parts_of(step, step->shift, &p);
    VX_TRY(save_floats(writer, step->weights, p.weights));
    VX_TRY(save_floats(writer, step->bias, p.bias));
    VX_TRY(save_floats(writer, step->shift, p.shift));
    VX_TRY(save_floats(writer, step->scale, p.scale));
    for (size_t f = 0; f < step->fact_count; f++)
        VX_TRY(vx_container_append(writer, step->facts[f].values,
                                   step->facts[f].count * sizeof(double)));
    return VINDEX_OK;
}

vindex_status vx_chain_save(const vindex_transform *chain, vx_container_writer *writer) {
    VX_TRY(save_steps(chain, writer));
    VX_TRY(vx_container_begin(writer, "numbers"));
    for (size_t i = 0; i < chain->step_count; i++) VX_TRY(save_numbers(&chain->steps[i], writer));
    return vx_container_end(writer);
}

vindex_status vindex_transform_save(const vindex_transform *transform, const char *path) {
    vx_container_writer *writer;
    if (!transform || !path)
        return vx_fail(VINDEX_ERR_ARGUMENT, "save: NULL; give a transform and a path");
    VX_TRY(vx_container_create(path, VX_KIND_TRANSFORM, 0, VX_CHAIN_SECTIONS, &writer));
    vindex_status status = vx_chain_save(transform, writer);
    if (status == VINDEX_OK) return vx_container_commit(writer);
    vx_container_abort(writer);
    return status;
}

/* ---- reading, from a file that may be anything ---- */

/* Bytes still to be read. */
typedef struct reader {
    const char *path;
    const unsigned char *at;
    size_t left;
} reader;

static vindex_status damaged(const reader *r, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: %s; the file is damaged", r->path, what);
}

static const unsigned char *take(reader *r, size_t bytes) {
    if (bytes > r->left) return NULL;
    r->left -= bytes;
    r->at += bytes;
    return r->at - bytes;
}

/* A name of printable characters, ended and padded with zeros. */
static bool take_name(const unsigned char *from, char *name, size_t room) {
    size_t length = 0;
    while (length < room && from[length] > ' ' && from[length] <= '~') length++;
    if (!length || length == room) return false;
    for (size_t i = length; i < room; i++)
        if (from[i]) return false;
    memcpy(name, from, room);
    return true;
}

/* A step's line: its shape, without its numbers. */
static vindex_status load_step(reader *r, size_t in, vx_step *step, bool *shifted,
                               size_t *fact_count) {
    const unsigned char *line = take(r, STEP);
    if (!line) return damaged(r, "its list of steps is cut");
    uint32_t kind = vx_get_u32(line + 24), facts = vx_get_u32(line + 28);
    uint64_t from = vx_get_u64(line + 32), to = vx_get_u64(line + 40);
    uint32_t shift = vx_get_u32(line + 56);
    if (!take_name(line, step->method, VX_METHOD_NAME))
        return damaged(r, "a step has no method's name");
    if (kind < VINDEX_STEP_AFFINE || kind > VINDEX_STEP_NORMALISE)
        return damaged(r, "a step is of an unknown kind");
    if (from < 1 || from > VX_DIM_MOST || to < 1 || to > VX_DIM_MOST || (in && from != in) ||
        (kind != VINDEX_STEP_AFFINE && from != to))
        return damaged(r, "a step's dimensions do not fit");
    bool may = kind == VINDEX_STEP_AFFINE, must = kind == VINDEX_STEP_SCALE;
    if (shift > 1 || (!may && shift != must) || vx_get_u32(line + 60) || facts > FACTS_MOST ||
        (kind != VINDEX_STEP_ROTATION && vx_get_u64(line + 48)))
        return damaged(r, "a step's line holds what it cannot hold");
    step->kind = (vindex_step_kind)kind;
    step->in = from;
    step->out = to;
    step->seed = vx_get_u64(line + 48);
    *shifted = shift;
    *fact_count = facts;
    return VINDEX_OK;
}

static vindex_status load_floats(reader *r, size_t count, float **values) {
    size_t bytes, where;
    if (!count) return VINDEX_OK;
    const unsigned char *from = vx_mul(count, sizeof **values, &bytes) ? take(r, bytes) : NULL;
    if (!from) return damaged(r, "it holds fewer numbers than its steps have");
    *values = vx_alloc(count, sizeof **values);
    if (!*values) return vx_fail_memory(count, sizeof **values, "load");
    memcpy(*values, from, bytes);
    if (!vx_all_finite(*values, count, &where)) return damaged(r, "a step holds NaN or infinity");
    return VINDEX_OK;
}

static vindex_status load_fact(reader *lines, reader *numbers, vx_step *step) {
    char name[VX_FACT_NAME];
    size_t bytes;
    const unsigned char *line = take(lines, FACT);
    if (!line || !take_name(line, name, sizeof name)) return damaged(lines, "a fact has no name");
    uint64_t count = vx_get_u64(line + 24);
    const unsigned char *from = vx_mul(count, sizeof(double), &bytes) ? take(numbers, bytes) : NULL;
    if (!from) return damaged(lines, "it holds fewer numbers than its facts have");
    VX_TRY(vx_step_fact(step, name, NULL, 0));
    vx_fact *fact = &step->facts[step->fact_count - 1];
    double *values = vx_alloc(count, sizeof *values);
    if (!values) return vx_fail_memory(count, sizeof *values, "load");
    memcpy(values, from, bytes); /* at no aligned address */
    vx_free(fact->values);
    fact->values = values;
    fact->count = count;
    return VINDEX_OK;
}

typedef struct loading {
    reader lines, facts, numbers;
    vx_step steps[VX_STEPS_MOST];
    size_t count;
} loading;

static vindex_status load_one(loading *l, size_t in, vx_step *step) {
    bool shifted = false;
    size_t facts = 0;
    parts p;
    VX_TRY(load_step(&l->lines, in, step, &shifted, &facts));
    if (!parts_of(step, shifted, &p)) return damaged(&l->lines, "a step is too large");
    VX_TRY(load_floats(&l->numbers, p.weights, &step->weights));
    VX_TRY(load_floats(&l->numbers, p.bias, &step->bias));
    VX_TRY(load_floats(&l->numbers, p.shift, &step->shift));
    VX_TRY(load_floats(&l->numbers, p.scale, &step->scale));
    for (size_t f = 0; f < facts; f++) VX_TRY(load_fact(&l->facts, &l->numbers, step));
    return VINDEX_OK;
}

static vindex_status load_steps(loading *l) {
    const unsigned char *head = take(&l->lines, HEAD);
    uint32_t count = head ? vx_get_u32(head) : 0;
    if (!head || count < 1 || count > VX_STEPS_MOST || vx_get_u32(head + 4))
        return damaged(&l->lines, "its list of steps does not say how many");
    l->facts = l->lines;
    if (!take(&l->facts, (size_t)count * STEP))
        return damaged(&l->lines, "its list of steps is cut");
    for (uint32_t i = 0; i < count; i++) {
        l->count = i + 1;
        VX_TRY(load_one(l, i ? l->steps[i - 1].out : 0, &l->steps[i]));
    }
    if (l->facts.left || l->numbers.left)
        return damaged(&l->lines, "more follows its steps than they have");
    return VINDEX_OK;
}

vindex_status vx_chain_load(const vx_container *file, vindex_transform **chain) {
    const char *path = vx_container_path(file);
    vx_section steps, numbers;
    vindex_transform *made = NULL;
    VX_TRY(vx_container_find(file, "steps", true, &steps));
    VX_TRY(vx_container_find(file, "numbers", true, &numbers));
    loading l = {.lines = {path, steps.bytes, steps.length},
                 .numbers = {path, numbers.bytes, numbers.length}};
    vindex_status status = load_steps(&l);
    if (status == VINDEX_OK) status = vx_chain_create(&made);
    if (status == VINDEX_OK) status = vx_chain_take(made, l.steps, l.count);
    for (size_t i = 0; i < l.count; i++) vx_step_free(&l.steps[i]);
    if (status == VINDEX_OK)
        *chain = made;
    else
        vindex_transform_free(made);
    return status;
}

vindex_status vindex_transform_load(const char *path, vindex_transform **transform) {
    vx_container *file;
    if (!path || !transform)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "load: NULL; give a path and a place for the transform");
    VX_TRY(vx_container_open(path, VX_KIND_TRANSFORM, &file));
    vindex_status status = vx_container_verify(file, NULL);
    if (status == VINDEX_OK) status = vx_chain_load(file, transform);
    vx_container_close(file);
    return status;
}
