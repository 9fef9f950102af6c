/* Pictures of an evaluation, drawn by gnuplot. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vindex/transform.h>

#include "eval.h"
#include "picture.h"

/* ---- what queries did ---- */

/* Shares of queries by first rank: 1, 2-3, 4-7, 8-15, ... */
static void put_first_ranks(FILE *script, const vindex_eval_detail *detail) {
    int64_t bins[64] = {0}, queries = 0;
    int last = 0;
    for (int64_t i = 0; i < detail->query_rows; i++) {
        if (detail->first_rank[i] == 0) continue;
        int bin = 0;
        for (int64_t rank = detail->first_rank[i]; rank > 1; rank /= 2) bin++;
        bins[bin]++;
        queries++;
        last = bin > last ? bin : last;
    }
    fputs("$ranks << EOD\n", script);
    for (int b = 0; b <= last; b++)
        fprintf(script, "%d %lld %.9g\n", b, 1LL << b,
                queries > 0 ? (double)bins[b] / (double)queries : 0);
    fputs("EOD\n", script);
}

/* Mean interpolated precision at each level of recall. */
static void put_curve(FILE *script, const vindex_eval_detail *detail) {
    fputs("$curve << EOD\n", script);
    for (int level = 0; level < VINDEX_EVAL_RECALL_LEVELS; level++) {
        double sum = 0, queries = 0;
        for (int64_t i = 0; i < detail->query_rows; i++) {
            if (detail->first_rank[i] == 0) continue;
            sum += detail->precision_at_recall[i * VINDEX_EVAL_RECALL_LEVELS + level];
            queries++;
        }
        fprintf(script, "%.3g %.9g\n", level / (VINDEX_EVAL_RECALL_LEVELS - 1.0),
                queries > 0 ? sum / queries : 0);
    }
    fputs("EOD\n", script);
}

struct query {
    int64_t size;
    double average_precision;
};

static int compare_sizes(const void *a, const void *b) {
    const struct query *x = a, *y = b;
    return (x->size > y->size) - (x->size < y->size);
}

/* MAP of the queries that have as many relevant candidates. */
static int put_sizes(FILE *script, const vindex_eval_detail *detail) {
    struct query *queries = cli_alloc(detail->query_rows, sizeof *queries, "--plot");
    if (queries == NULL) return CLI_FAILED;
    int64_t count = 0;
    for (int64_t i = 0; i < detail->query_rows; i++)
        if (detail->relevant[i] > 0)
            queries[count++] = (struct query){detail->relevant[i], detail->average_precision[i]};
    qsort(queries, (size_t)count, sizeof *queries, compare_sizes);
    fputs("$sizes << EOD\n", script);
    for (int64_t start = 0, end; start < count; start = end) {
        double sum = 0;
        for (end = start; end < count && queries[end].size == queries[start].size; end++)
            sum += queries[end].average_precision;
        fprintf(script, "%lld %.9g %lld\n", (long long)queries[start].size,
                sum / (double)(end - start), (long long)(end - start));
    }
    if (count == 0) fputs("0 0 0\n", script);
    fputs("EOD\n", script);
    free(queries);
    return CLI_DONE;
}

static const char query_panels[] =
    "set multiplot layout 1,3\n"
    "set style fill solid 0.6\n"
    "set boxwidth 0.9\n"
    "set yrange [0:*]\n"
    "set title 'rank of the first relevant item'\n"
    "set xlabel 'rank (from)'\n"
    "set ylabel 'share of queries'\n"
    "set xtics rotate by -45\n"
    "plot $ranks using 1:3:xtic(2) with boxes notitle\n"
    "set xtics norotate\n"
    "set yrange [0:1]\n"
    "set xrange [0:1]\n"
    "set title 'precision and recall'\n"
    "set xlabel 'recall'\n"
    "set ylabel 'interpolated precision'\n"
    "plot $curve using 1:2 with linespoints pt 7 lw 2 notitle\n"
    "set xrange [0:*]\n"
    "set title 'MAP by clique size'\n"
    "set xlabel 'relevant items of a query'\n"
    "set ylabel 'MAP'\n"
    "plot $sizes using 1:2:(0.5 + 0.25 * log10($3 + 1)) with points pt 7 ps variable notitle\n"
    "unset multiplot\n"
    "unset output\n";

int eval_plot(const struct eval_task *task) {
    struct cli_picture p;
    int answer = cli_picture_begin("--plot", task->eval->plot, 1200, &p);
    if (answer == CLI_DONE) {
        put_first_ranks(p.script, &task->detail);
        put_curve(p.script, &task->detail);
        answer = put_sizes(p.script, &task->detail);
        fputs(query_panels, p.script);
    }
    return cli_picture_finish(&p, answer);
}

/* ---- where items lie ---- */

enum { COLOURS = 8 /* as gnuplot has; of the largest cliques, the others are grey */ };

/* The first two principal components: xy (rows x 2). */
static int project(const struct eval_task *task, float *xy) {
    vindex_fit_data data;
    vindex_fit_params params;
    vindex_fit_data_init(&data);
    vindex_fit_params_init(&params);
    data.rows =
        (vindex_rows){.count = task->candidates.rows, .dim = task->dim, .vectors = task->vectors};
    params.dim = 2;
    params.threads = cli_common.threads;
    vindex_transform *pca = NULL;
    vindex_call call = cli_call(NULL);
    int answer = cli_status(vindex_fit("pca", &data, &params, &pca));
    if (answer == CLI_DONE)
        answer = cli_status(
            vindex_transform_apply(pca, task->vectors, task->candidates.rows, xy, &call));
    vindex_transform_free(pca);
    return answer;
}

struct clique {
    int32_t number;
    int64_t size, row; /* a row of it, for its name */
};

static int compare_cliques(const void *a, const void *b) {
    const struct clique *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The cliques by size, largest first; numbers of cliques are less than rows. */
static struct clique *count_cliques(const struct eval_task *task) {
    int64_t rows = task->candidates.rows;
    struct clique *cliques = cli_alloc(rows, sizeof *cliques, "--scatter");
    for (int64_t i = 0; cliques != NULL && i < rows; i++)
        cliques[i] = (struct clique){(int32_t)i, 0, rows};
    for (int64_t i = 0; cliques != NULL && i < rows; i++) {
        struct clique *c = &cliques[task->cliques[i]];
        c->size++;
        c->row = c->row < i ? c->row : i;
    }
    if (cliques != NULL) qsort(cliques, (size_t)rows, sizeof *cliques, compare_cliques);
    return cliques;
}

static void put_points(FILE *script, const struct eval_task *task, const float *xy,
                       const struct clique *cliques, int coloured) {
    for (int c = 0; c <= coloured; c++) {
        fprintf(script, "$points%d << EOD\n", c);
        for (int64_t i = 0; i < task->candidates.rows; i++) {
            int colour = 0;
            while (colour < coloured && cliques[colour].number != task->cliques[i]) colour++;
            if (colour == c)
                fprintf(script, "%.7g %.7g\n", (double)xy[2 * i], (double)xy[2 * i + 1]);
        }
        fputs("NaN NaN\nEOD\n", script); /* gnuplot wants a line */
    }
    fputs("set key outside right noenhanced\nset xlabel 'first principal component'\n"
          "set ylabel 'second principal component'\nset datafile missing 'NaN'\nplot ",
          script);
    fprintf(script, "$points%d with points pt 7 ps 0.4 lc rgb '#bbbbbb' title 'other labels'",
            coloured);
    for (int c = 0; c < coloured; c++) {
        fprintf(script, ", \\\n  $points%d with points pt 7 ps 0.7 lc %d title ", c, c + 1);
        cli_picture_quote(script, task->truth.names[cliques[c].row]);
    }
    fputs("\nunset output\n", script);
}

int eval_scatter(const struct eval_task *task) {
    struct cli_picture p;
    int answer = cli_picture_begin("--scatter", task->eval->scatter, 760, &p);
    float *xy = cli_alloc(task->candidates.rows, 2 * sizeof *xy, "--scatter");
    struct clique *cliques = count_cliques(task);
    if (answer == CLI_DONE && (xy == NULL || cliques == NULL)) answer = CLI_FAILED;
    if (answer == CLI_DONE) answer = project(task, xy);
    if (answer == CLI_DONE) {
        int coloured = 0;
        while (coloured < COLOURS && coloured < task->candidates.rows && cliques[coloured].size > 1)
            coloured++;
        put_points(p.script, task, xy, cliques, coloured);
    }
    free(cliques);
    free(xy);
    return cli_picture_finish(&p, answer);
}
