/* The conventions of the field's public evaluation scripts as data: how each one departs from the
 * clean definition, and what it prints. */
#ifndef VX_EVAL_PRESET_H
#define VX_EVAL_PRESET_H

#include <vindex/eval.h>

#include "core/base.h"

/* What a printed line shows. */
typedef enum vx_quantity {
    VX_MAP,
    VX_MR1,
    VX_MRR,
    VX_MDR,
    VX_ARP,
    VX_MAP_INTERVAL, /* half the 95% interval of the mean */
    VX_MR1_INTERVAL,
    VX_ARP_INTERVAL,
    VX_FIRST_WITHIN, /* queries whose first relevant item ranks within `within` */
    VX_FIRST_SHARE,  /* the same as a share of all query rows */
    VX_ITEMS_WITHIN, /* relevant items within the first 10 */
    VX_ITEMS_SHARE   /* the same, of 10 for every query row */
} vx_quantity;

typedef struct vx_line {
    const char *name; /* NULL: no more lines */
    vx_quantity quantity;
    int within;
    const char *format; /* printf's; NULL: every digit, as Python prints a float */
    int digits;         /* decimals it is rounded to before; -1: none */
} vx_line;

enum { VX_LINES = VINDEX_EVAL_PRINTED_MOST + 1 };

typedef struct vx_preset {
    const char *name;
    const char *words;   /* how it departs from the default, "" for the default itself */
    bool single;         /* precisions and means are single-precision numbers */
    bool noise_first;    /* noise rows count in MR1 and MRR, as if their first rank were 1 */
    bool mrr_over_rows;  /* MRR divides by all query rows */
    bool misses_count;   /* MAP and MR1 too, and noise rows add nothing to the sums */
    bool items;          /* Top10 sums relevant items instead of queries */
    bool self_counts;    /* ARP: in a square set the query is one more irrelevant item, the last */
    bool negatives_left; /* a distance below 0 leaves a candidate out */
    int64_t depth;       /* how deep AP looks, and then divides by what it found; 0: all */
    vx_line lines[VX_LINES];
} vx_preset;

/* The preset of that number, which must be known. */
const vx_preset *vx_preset_get(vindex_eval_preset preset);

/* A number as the preset's script keeps it. Not inline: GCC 12 vectorises two such roundings in a
 * row away. */
double vx_preset_keep(const vx_preset *preset, double value);

/* Writes a value the way a line prints it. */
void vx_line_print(const vx_line *line, double value, vindex_eval_printed *printed);

#endif
