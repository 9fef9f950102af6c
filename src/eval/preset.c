/* Read off the public code of the projects named (facts alone; docs/evaluation.md has the table).
 */
#include "preset.h"

#include <math.h>
#include <stdio.h>

static const vx_preset presets[] = {
    [VINDEX_EVAL_DEFAULT] = {.name = "default", .words = ""},
    [VINDEX_EVAL_RE_MOVE] =
        {
            .name = "re-move",
            .words = "a noise row counts as rank 1 in MR1 and MRR; Top10 sums the relevant items "
                     "of the first 10; single precision",
            .single = true,
            .noise_first = true,
            .items = true,
            .lines = {{"mAP", VX_MAP, 0, "%.3f", -1},
                      {"MRR", VX_MRR, 0, "%.3f", -1},
                      {"MR", VX_MR1, 0, "%.3f", -1},
                      {"Top1", VX_FIRST_WITHIN, 1, "%.0f", -1},
                      {"Top10", VX_ITEMS_WITHIN, 10, "%.0f", -1}},
        },
    [VINDEX_EVAL_ACOSS] =
        {
            .name = "acoss",
            .words = "MRR divides by all rows, noise included",
            .mrr_over_rows = true,
            .lines = {{"MR", VX_MR1, 0, "%.3g", -1},
                      {"MRR", VX_MRR, 0, "%.3g", -1},
                      {"MDR", VX_MDR, 0, "%.3g", -1},
                      {"MAP", VX_MAP, 0, "%.3g", -1},
                      {"Top-1", VX_FIRST_WITHIN, 1, "%.0f", -1},
                      {"Top-10", VX_FIRST_WITHIN, 10, "%.0f", -1},
                      {"Top-100", VX_FIRST_WITHIN, 100, "%.0f", -1},
                      {"Top-1000", VX_FIRST_WITHIN, 1000, "%.0f", -1}},
        },
    [VINDEX_EVAL_CLEWS] =
        {
            .name = "clews",
            .words = "ARP counts the query itself among the irrelevant items; single precision; "
                     "the script itself stops at a noise row, which here is passed over",
            .single = true,
            .self_counts = true,
            .lines = {{"ARP", VX_ARP, 0, "%.2f", -1},
                      {"MAP", VX_MAP, 0, "%.3f", -1},
                      {"MR1", VX_MR1, 0, "%.1f", -1},
                      {"ARP c.i.", VX_ARP_INTERVAL, 0, "%.2f", -1},
                      {"MAP c.i.", VX_MAP_INTERVAL, 0, "%.3f", -1},
                      {"MR1 c.i.", VX_MR1_INTERVAL, 0, "%.1f", -1}},
        },
    [VINDEX_EVAL_DISCOGS_VINET] =
        {
            .name = "discogs-vinet",
            .words = "Top10 sums the relevant items of the first 10; single precision; noise rows "
                     "are passed over, as the script does for Da-TACOS",
            .single = true,
            .items = true,
            .lines = {{"MAP", VX_MAP, 0, "%.3f", 3},
                      {"MRR", VX_MRR, 0, "%.3f", 3},
                      {"MR1", VX_MR1, 0, "%.3f", 2},
                      {"Top1", VX_FIRST_WITHIN, 1, "%.0f", -1},
                      {"Top10", VX_ITEMS_WITHIN, 10, "%.0f", -1}},
        },
    [VINDEX_EVAL_COVERHUNTER] =
        {
            .name = "coverhunter",
            .words = "AP looks at the first depth candidates and divides by the relevant ones "
                     "among them; means are over all rows, where a row without a hit adds 0; "
                     "Top10 sums the relevant items of the first 10; a distance below 0 leaves "
                     "the candidate out",
            .misses_count = true,
            .items = true,
            .negatives_left = true,
            .depth = 10000,
            .lines = {{"mean_ap", VX_MAP, 0, NULL, -1},
                      {"top10", VX_ITEMS_SHARE, 10, NULL, -1},
                      {"rank1", VX_MR1, 0, NULL, -1},
                      {"hit_rate", VX_FIRST_SHARE, 1, NULL, -1}},
        },
};

const vx_preset *vx_preset_get(vindex_eval_preset preset) {
    return &presets[preset];
}

const char *vindex_eval_preset_name(vindex_eval_preset preset) {
    return (unsigned)preset < VX_COUNT(presets) ? presets[preset].name : NULL;
}

const char *vindex_eval_preset_words(vindex_eval_preset preset) {
    return (unsigned)preset < VX_COUNT(presets) ? presets[preset].words : NULL;
}

bool vindex_eval_preset_parse(const char *name, vindex_eval_preset *preset) {
    for (size_t i = 0; i < VX_COUNT(presets); i++)
        if (!strcmp(name, presets[i].name)) {
            *preset = (vindex_eval_preset)i;
            return true;
        }
    return false;
}

double vx_preset_keep(const vx_preset *preset, double value) {
    return preset->single ? (double)(float)value : value;
}

/* The shortest number that reads back as the same, with a point, as Python prints a float. */
static void print_float(char *text, size_t size, double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    size_t length = strlen(text);
    if (!strpbrk(text, ".e")) snprintf(text + length, size - length, ".0");
}

void vx_line_print(const vx_line *line, double value, vindex_eval_printed *printed) {
    *printed = (vindex_eval_printed){.name = line->name, .value = NAN, .text = "nan"};
    if (!isfinite(value)) return;
    if (line->digits >= 0) {
        snprintf(printed->text, sizeof printed->text, "%.*f", line->digits, value);
        value = strtod(printed->text, NULL);
    }
    if (line->format)
        snprintf(printed->text, sizeof printed->text, line->format, value);
    else
        print_float(printed->text, sizeof printed->text, value);
    printed->value = strtod(printed->text, NULL);
}
