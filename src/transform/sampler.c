#include "sampler.h"

static void shuffle(vx_rng *rng, size_t *values, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)vx_rng_below(rng, i), kept = values[i - 1];
        values[i - 1] = values[j];
        values[j] = kept;
    }
}

/* Entries by class, those of a class in their order. */
static void sort_members(vx_sampler *s) {
    const vx_training_set *set = s->set;
    for (size_t i = 0; i < set->entries; i++) s->starts[(size_t)set->classes[i] + 1]++;
    for (size_t c = 0; c < set->class_count; c++) s->starts[c + 1] += s->starts[c];
    for (size_t i = set->entries; i-- > 0;)
        s->members[--s->starts[(size_t)set->classes[i] + 1]] = i;
    /* Each start was counted down to its class's first: undo the shift by one. */
    for (size_t c = 0; c < set->class_count; c++) s->starts[c] = s->starts[c + 1];
    s->starts[set->class_count] = set->entries;
}

vindex_status vx_sampler_open(const vx_training_set *set, size_t batch, size_t per_class,
                              uint64_t seed, vx_sampler *sampler) {
    /* Filling up adds fewer than per_class entries to a class. */
    size_t filled, most;
    bool fits = vx_mul(set->class_count, per_class, &filled) && vx_add(set->entries, filled, &most);
    *sampler = (vx_sampler){.set = set, .batch = batch, .per_class = per_class};
    sampler->rng = vx_rng_seed(seed, 0);
    if (fits) {
        sampler->order = vx_alloc(most, sizeof *sampler->order);
        sampler->samples = vx_alloc(most, sizeof *sampler->samples);
        sampler->members = vx_alloc(set->entries, sizeof *sampler->members);
        sampler->starts = vx_alloc_zero(set->class_count + 1, sizeof *sampler->starts);
        sampler->groups = vx_alloc(most, sizeof *sampler->groups);
    }
    if (!sampler->order || !sampler->samples || !sampler->members || !sampler->starts ||
        !sampler->groups) {
        vx_sampler_close(sampler);
        return vx_fail_memory(set->entries, 5 * sizeof(size_t), set->job->word);
    }
    sort_members(sampler);
    return VINDEX_OK;
}

void vx_sampler_close(vx_sampler *sampler) {
    vx_free(sampler->order);
    vx_free(sampler->samples);
    vx_free(sampler->members);
    vx_free(sampler->starts);
    vx_free(sampler->groups);
    *sampler = (vx_sampler){0};
}

/* Ends the batch that began at `first`; a small rest of a notion that has batches is dropped, and a
 * single row is no batch. Answers where the next begins. */
static size_t close_batch(vx_sampler *s, size_t first, size_t end, size_t notion, bool rest) {
    bool small = (end - first) * 2 < s->batch;
    bool others = s->sample_count && s->samples[s->sample_count - 1].notion == notion;
    if (end - first < 2 || (rest && small && others)) return first;
    s->samples[s->sample_count++] = (vx_sample){first, end - first, notion};
    return end;
}

static size_t draw_rows(vx_sampler *s, size_t notion, size_t first) {
    size_t part = s->set->entries / s->set->notions, end = first + part;
    for (size_t i = 0; i < part; i++) s->order[first + i] = notion * part + i;
    shuffle(&s->rng, s->order + first, part);
    while (end - first > s->batch) first = close_batch(s, first, first + s->batch, notion, false);
    return close_batch(s, first, end, notion, true);
}

static size_t draw_groups(vx_sampler *s, size_t notion, size_t first) {
    const size_t *classes = s->set->class_starts + notion;
    size_t count = 0, each = s->per_class;
    for (size_t c = classes[0]; c < classes[1]; c++) {
        size_t start = s->starts[c], end = s->starts[c + 1];
        shuffle(&s->rng, s->members + start, end - start);
        for (size_t i = start; i < end; i += each)
            s->groups[count++] = end - start > each ? VX_MIN(i, end - each) : start;
    }
    shuffle(&s->rng, s->groups, count);
    size_t end = first;
    for (size_t g = 0; g < count; g++) {
        size_t from = s->groups[g], class = (size_t)s->set->classes[s->members[from]];
        size_t size = VX_MIN(each, s->starts[class + 1] - from);
        if (end + size - first > s->batch) first = end = close_batch(s, first, end, notion, false);
        for (size_t i = 0; i < size; i++) s->order[end++] = s->members[from + i];
    }
    return close_batch(s, first, end, notion, true);
}

void vx_sampler_draw(vx_sampler *sampler) {
    size_t first = 0;
    sampler->sample_count = 0;
    for (size_t s = 0; s < sampler->set->notions; s++)
        first = sampler->per_class ? draw_groups(sampler, s, first) : draw_rows(sampler, s, first);
    if (sampler->set->notions == 1) return;
    for (size_t i = sampler->sample_count; i > 1; i--) {
        size_t j = (size_t)vx_rng_below(&sampler->rng, i);
        vx_sample kept = sampler->samples[i - 1];
        sampler->samples[i - 1] = sampler->samples[j];
        sampler->samples[j] = kept;
    }
}
