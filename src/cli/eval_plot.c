/* Pictures of an evaluation, drawn by gnuplot. */
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vindex/transform.h>

#include "eval.h"

extern char **environ;

/* A picture on its way: gnuplot reads the script, which lies beside it, and draws into `part`,
 * which takes its name when it is whole. */
struct picture {
    const char *path;
    char *script_path, *part;
    FILE *script;
};

/* Text between gnuplot's single quotes. */
static void put_quoted(FILE *script, const char *text) {
    fputc('\'', script);
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("''", script);
        else
            fputc(*text == '\n' ? ' ' : *text, script);
    fputc('\'', script);
}

static int begin(const char *flag, const char *path, int width, struct picture *p) {
    *p = (struct picture){.path = path};
    bool svg = cli_ends(path, ".svg");
    if (!svg && !cli_ends(path, ".png"))
        return cli_words("%s %s: the picture is drawn as .svg or .png; give such a name", flag,
                         path);
    size_t room = strlen(path) + 16;
    p->script_path = cli_alloc((int64_t)room, 1, flag);
    p->part = cli_alloc((int64_t)room, 1, flag);
    if (p->script_path == NULL || p->part == NULL) return CLI_FAILED;
    snprintf(p->script_path, room, "%s.XXXXXX", path);
    snprintf(p->part, room, "%s.part", path);
    int file = mkstemp(p->script_path);
    p->script = file >= 0 ? fdopen(file, "w") : NULL;
    if (p->script == NULL)
        return cli_fail("%s %s: gnuplot's script cannot be made beside it (%s); check the folder",
                        flag, path, strerror(errno));
    if (svg)
        fprintf(p->script,
                "set terminal svg size %d,420 font 'DejaVu Sans,12' background 'white'\n", width);
    else
        fprintf(p->script, "set terminal pngcairo size %d,420 font 'DejaVu Sans,10'\n", width);
    fputs("set output ", p->script);
    put_quoted(p->script, p->part);
    fputs("\nset grid\nset encoding utf8\n", p->script);
    return CLI_DONE;
}

static int run_gnuplot(const char *script) {
    char name[] = "gnuplot";
    char *const words[] = {name, (char *)(uintptr_t)script, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int state = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0); /* O_WRONLY */
    int error = posix_spawnp(&child, name, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT)
        return cli_fail("gnuplot: the program is not there to draw with; install the package "
                        "gnuplot");
    if (error != 0)
        return cli_fail("gnuplot: it does not start (%s); check its installation", strerror(error));
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(state) && WEXITSTATUS(state) == 0
               ? CLI_DONE
               : cli_fail("gnuplot: it could not draw; check that the folder can be written and "
                          "that gnuplot knows the terminals svg and pngcairo");
}

static int finish(struct picture *p, int answer) {
    bool written = p->script != NULL && fflush(p->script) == 0 && !ferror(p->script);
    if (answer == CLI_DONE && !written)
        answer = cli_fail("%s: gnuplot's script cannot be written beside it; make room", p->path);
    if (p->script != NULL) fclose(p->script);
    if (answer == CLI_DONE) answer = run_gnuplot(p->script_path);
    if (answer == CLI_DONE && rename(p->part, p->path) != 0)
        answer =
            cli_fail("%s: it cannot be written (%s); check the folder", p->path, strerror(errno));
    if (answer != CLI_DONE && p->part != NULL) unlink(p->part);
    if (p->script != NULL) unlink(p->script_path);
    free(p->script_path);
    free(p->part);
    return answer;
}

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
    struct picture p;
    int answer = begin("--plot", task->eval->plot, 1200, &p);
    if (answer == CLI_DONE) {
        put_first_ranks(p.script, &task->detail);
        put_curve(p.script, &task->detail);
        answer = put_sizes(p.script, &task->detail);
        fputs(query_panels, p.script);
    }
    return finish(&p, answer);
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
        put_quoted(script, task->truth.names[cliques[c].row]);
    }
    fputs("\nunset output\n", script);
}

int eval_scatter(const struct eval_task *task) {
    struct picture p;
    int answer = begin("--scatter", task->eval->scatter, 760, &p);
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
    return finish(&p, answer);
}
