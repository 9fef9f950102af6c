/* The factory words of projections: "PCA256", "Rank", ... */
#include <errno.h>
#include <stdio.h>

#include "pq/pq.h"
#include "projected.h"

static const struct word {
    const char *word, *method;
    bool numbered; /* a dimension follows */
    bool learns, ranked;
    bool parted; /* a number of parts follows, and maybe _ and a dimension */
} words[] = {
    {"OPQ", "opq", false, true, false, true},
    {"PCAW", "pca-whiten", true, true, false},
    {"PCA", "pca", true, true, false},
    {"ICA", "ica", true, true, false},
    {"GRP", "grp", true, false, false},
    {"Rank", "pca", false, true, true},
    {"Standardise", "standardise", false, true, false},
    {"Centre", "centre", false, true, false},
    {"Normalise", "normalise", false, false, false},
    {"Hadamard", "hadamard", false, false, false},
};

static const char given[] = "Transform";

/* The digits at *text up to `most`, or 0; moves behind them. */
static int64_t take_number(const char **text, int64_t most) {
    if (**text < '1' || **text > '9') return 0;
    char *end;
    errno = 0;
    int64_t number = strtoll(*text, &end, 10);
    *text = end;
    return errno || number > most ? 0 : number;
}

/* The entry a word begins with, if the rest of it is a number where one is wanted, else nothing. */
static const struct word *find(const char *text, int64_t *dim, size_t *parts) {
    for (size_t i = 0; i < VX_COUNT(words); i++) {
        size_t length = strlen(words[i].word);
        const char *rest = text + length;
        if (strncmp(text, words[i].word, length)) continue;
        int64_t number = take_number(&rest, VX_DIM_MOST), after = 0;
        if (words[i].parted && number && *rest == '_') {
            rest++;
            after = take_number(&rest, VX_DIM_MOST);
            if (!after) continue;
        }
        if (*rest || (number != 0) != (words[i].numbered || words[i].parted)) continue;
        if (words[i].numbered) *dim = number;
        if (words[i].parted) *parts = (size_t)number;
        if (after) *dim = after;
        return &words[i];
    }
    return NULL;
}

bool vx_is_projection_word(const char *word) {
    int64_t dim;
    size_t parts;
    return !strcmp(word, given) || find(word, &dim, &parts);
}

/* Appends text; false when it does not fit. */
static bool join(char *to, size_t room, const char *text) {
    size_t used = strlen(to), more = strlen(text);
    if (used + more >= room) return false;
    memcpy(to + used, text, more + 1);
    return true;
}

static vindex_status too_long(void) {
    return vx_fail(VINDEX_ERR_ARGUMENT, "factory string: too many words; give fewer");
}

/* One word of a projection; dim is what comes in, or -1. */
static vindex_status take(const char *text, vx_projection *p) {
    int64_t out = p->dim;
    char method[48];
    if (!strcmp(text, given)) {
        p->given = true;
        p->dim = -1;
        return join(p->words, sizeof p->words, "Transform,") ? VINDEX_OK : too_long();
    }
    const struct word *word = find(text, &out, &p->parts);
    if (p->dim >= 0 && out > p->dim && word->learns)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: %s of vectors of %lld numbers; give at most as many", text,
                       (long long)p->dim);
    if (word->parted && out > 0) {
        const vx_pq_shape shape = {(size_t)out, p->parts, 8};
        VX_TRY(vx_pq_check(&shape));
    }
    if (word->numbered || (word->parted && out > 0 && out != p->dim))
        snprintf(method, sizeof method, "%s%s:%lld", p->count ? "," : "", word->method,
                 (long long)out);
    else
        snprintf(method, sizeof method, "%s%s", p->count ? "," : "", word->method);
    p->dim = word->ranked ? -1 : out;
    p->learns |= word->learns;
    p->ranked |= word->ranked;
    bool fits = join(p->methods, sizeof p->methods, method) &&
                join(p->words, sizeof p->words, text) && join(p->words, sizeof p->words, ",");
    return fits ? VINDEX_OK : too_long();
}

/* Bits of the product codes that a factory string ends in; of others 4. */
static size_t bits_of(const vx_spec *spec) {
    for (size_t i = 0; i < spec->count; i++) {
        const char *rest = spec->words[i] + 2;
        if (strncmp(spec->words[i], "PQ", 2) || !take_number(&rest, VX_DIM_MOST)) continue;
        if (!*rest) return 8;
        if (!strcmp(rest, "x4") || !strcmp(rest, "x6") || !strcmp(rest, "x8"))
            return (size_t)(rest[1] - '0');
    }
    return 4;
}

vindex_status vx_projection_parse(const vx_spec *spec, size_t dim, vx_projection *projection) {
    *projection = (vx_projection){.dim = (int64_t)dim, .bits = bits_of(spec)};
    vx_projection *p = projection;
    while (p->count < spec->count && vx_is_projection_word(spec->words[p->count])) {
        VX_TRY(take(spec->words[p->count], p));
        p->count++;
    }
    if (p->given && p->count > 1)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: Transform beside other projections; chain them in the "
                       "transform instead");
    if (p->count == spec->count)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: '%s' names no index behind the projection; add one, such "
                       "as Flat",
                       spec->words[p->count - 1]);
    for (size_t i = p->count; i < spec->count; i++)
        if ((i > p->count && !join(p->inner, sizeof p->inner, ",")) ||
            !join(p->inner, sizeof p->inner, spec->words[i]))
            return too_long();
    return VINDEX_OK;
}
