/* Factory strings: which kinds of index there are, and which one a string asks for. */
#include <errno.h>
#include <stdio.h>

#include "flat/flat.h"
#include "hnsw/hnsw.h"
#include "index_impl.h"
#include "ivf/ivf.h"
#include "transform/projected.h"

static const vx_index_kind *const kinds[] = {&vx_flat_kind, &vx_ivf_kind, &vx_codes_kind,
                                             &vx_hnsw_kind, &vx_projected_kind};

static vindex_status split(const char *text, vx_spec *spec) {
    *spec = (vx_spec){0};
    if (strlen(text) >= sizeof spec->text)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: it has %zu characters; the longest allowed is %zu",
                       strlen(text), sizeof spec->text - 1);
    memcpy(spec->text, text, strlen(text) + 1);
    for (char *word = spec->text; word;) {
        if (spec->count == VX_SPEC_WORDS)
            return vx_fail(VINDEX_ERR_ARGUMENT,
                           "factory string '%s': more than %d words; give fewer", text,
                           VX_SPEC_WORDS);
        spec->words[spec->count++] = word;
        word = strchr(word, ',');
        if (word) *word++ = 0;
    }
    return VINDEX_OK;
}

vindex_status vx_spec_number(const vx_spec *spec, const char *word, size_t least, size_t most,
                             size_t *number) {
    const char *digits = spec->words[0] + strlen(word);
    char *end;
    errno = 0;
    unsigned long long value = strtoull(digits, &end, 10);
    if (errno || *end || value < least || value > most)
        return vx_fail(VINDEX_ERR_ARGUMENT,
                       "factory string: '%s' where %s is followed by a number from %zu to %zu",
                       spec->words[0], word, least, most);
    *number = (size_t)value;
    return VINDEX_OK;
}

vindex_status vx_spec_parse(const char *text, vx_spec *spec, const vx_index_kind **kind) {
    VX_TRY(split(text, spec));
    for (size_t i = 0; i < VX_COUNT(kinds); i++)
        if (kinds[i]->begins ? kinds[i]->begins(spec->words[0])
                             : !strcmp(kinds[i]->word, spec->words[0])) {
            *kind = kinds[i];
            return VINDEX_OK;
        }
    char known[512] = "";
    for (size_t i = 0, used = 0; i < VX_COUNT(kinds) && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 kinds[i]->help);
    return vx_fail(VINDEX_ERR_ARGUMENT, "factory string '%s': unknown word '%s'; known are %s",
                   text, spec->words[0], known);
}
