/* Every loss against the plainest double-precision reading of its formula, and its slopes against
 * central differences of that reading. */
#include <math.h>
#include <string.h>

#include "../harness.h"
#include "core/rng.h"
#include "transform/losses.h"

enum { ROWS = 10, DIM = 6, CLASSES = 5, TEACHER = 4, FIRST = 1 /* the notion's first class */ };

/* The numbers a loss depends on, in double precision. */
typedef struct numbers {
    double rows[ROWS][DIM];
    double learned[(CLASSES + FIRST) * DIM]; /* proxies, or a projection DIM x TEACHER */
} numbers;

typedef struct example {
    vx_loss_setup setup;
    int32_t classes[ROWS];
    float teacher[ROWS][TEACHER], centres[CLASSES + FIRST][TEACHER];
} example;

typedef double (*naive_loss)(const example *e, const numbers *x);

/* ---- the formulas, naively ---- */

static double square(const double *a, const double *b, int dim) {
    double sum = 0;
    for (int j = 0; j < dim; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

static double distance(const double *a, const double *b) {
    return square(a, b, DIM) / DIM;
}

static double cosine(const double *a, const double *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < DIM; j++) ab += a[j] * b[j], aa += a[j] * a[j], bb += b[j] * b[j];
    return ab / sqrt(aa * bb);
}

static double pearson(const double *a, const double *b) {
    double x[DIM], y[DIM], ma = 0, mb = 0;
    for (int j = 0; j < DIM; j++) ma += a[j] / DIM, mb += b[j] / DIM;
    for (int j = 0; j < DIM; j++) x[j] = a[j] - ma, y[j] = b[j] - mb;
    return cosine(x, y);
}

static const double *proxy(const numbers *x, int class) {
    return x->learned + class * DIM;
}

static double hinges(const example *e, const numbers *x, bool euclidean) {
    double sum = 0;
    int anchors = 0;
    for (int i = 0; i < ROWS; i++) {
        double far = -1, near = INFINITY;
        for (int j = 0; j < ROWS; j++) {
            double d = distance(x->rows[i], x->rows[j]);
            if (euclidean) d = sqrt(d * DIM);
            if (j != i && e->classes[j] == e->classes[i]) far = fmax(far, d);
            if (e->classes[j] != e->classes[i]) near = fmin(near, d);
        }
        if (far < 0) continue;
        sum += fmax(far - near + e->setup.margin, 0);
        anchors++;
    }
    return sum / anchors;
}

static double naive_triplet(const example *e, const numbers *x) {
    return hinges(e, x, false);
}

static double naive_euclidean(const example *e, const numbers *x) {
    return hinges(e, x, true);
}

static double naive_semi_hard(const example *e, const numbers *x) {
    double sum = 0;
    int triplets = 0;
    for (int i = 0; i < ROWS; i++)
        for (int p = 0; p < ROWS; p++) {
            if (p == i || e->classes[p] != e->classes[i]) continue;
            double positive = distance(x->rows[i], x->rows[p]), beyond = INFINITY, farthest = 0;
            for (int j = 0; j < ROWS; j++) {
                double d = distance(x->rows[i], x->rows[j]);
                if (e->classes[j] == e->classes[i]) continue;
                if (d > positive) beyond = fmin(beyond, d);
                farthest = fmax(farthest, d);
            }
            double negative = isinf(beyond) ? farthest : beyond;
            sum += fmax(positive - negative + e->setup.margin, 0);
            triplets++;
        }
    return sum / triplets;
}

static double naive_contrastive(const example *e, const numbers *x) {
    double sums[2] = {0}, counts[2] = {0};
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < i; j++) {
            bool same = e->classes[i] == e->classes[j];
            double d = sqrt(distance(x->rows[i], x->rows[j]));
            double off = same ? d : fmax(e->setup.margin - d, 0);
            sums[same] += off * off / 2;
            counts[same]++;
        }
    return sums[0] / counts[0] + sums[1] / counts[1];
}

static double naive_infonce(const example *e, const numbers *x) {
    double sum = 0;
    int anchors = 0;
    for (int i = 0; i < ROWS; i++) {
        double total = 0, positives = 0, logs = 0;
        for (int j = 0; j < ROWS; j++) {
            double c = cosine(x->rows[i], x->rows[j]) / e->setup.temperature;
            if (j == i) continue;
            total += exp(c);
            if (e->classes[j] == e->classes[i]) logs += c, positives++;
        }
        if (positives > 0) sum += log(total) - logs / positives, anchors++;
    }
    return sum / anchors;
}

static double naive_normalized(const example *e, const numbers *x) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        double total = 0;
        for (int c = FIRST; c < FIRST + CLASSES; c++)
            total += exp(cosine(x->rows[i], proxy(x, c)) / e->setup.temperature);
        sum += log(total) - cosine(x->rows[i], proxy(x, e->classes[i])) / e->setup.temperature;
    }
    return sum / ROWS;
}

static double naive_proxy_nca(const example *e, const numbers *x) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        double total = 0;
        for (int c = FIRST; c < FIRST + CLASSES; c++)
            if (c != e->classes[i]) total += exp(-distance(x->rows[i], proxy(x, c)));
        sum += log(total) + distance(x->rows[i], proxy(x, e->classes[i]));
    }
    return sum / ROWS;
}

static double logit(const numbers *x, int row, int class) {
    double sum = 0;
    for (int j = 0; j < DIM; j++) sum += x->rows[row][j] * proxy(x, class)[j];
    return sum;
}

static double naive_softmax(const example *e, const numbers *x) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        double total = 0;
        for (int c = FIRST; c < FIRST + CLASSES; c++) total += exp(logit(x, i, c));
        sum += log(total) - logit(x, i, e->classes[i]);
    }
    return sum / ROWS;
}

static bool is_anchor(const example *e, int row) {
    for (int j = 0; j < row; j++)
        if (e->classes[j] == e->classes[row]) return false;
    return true;
}

static double naive_group(const example *e, const numbers *x) {
    double state[ROWS][CLASSES], next[ROWS][CLASSES], sum = 0;
    int others = 0;
    for (int i = 0; i < ROWS; i++) {
        double total = 0;
        for (int c = 0; c < CLASSES; c++)
            total += exp(logit(x, i, c + FIRST) / e->setup.temperature);
        for (int c = 0; c < CLASSES; c++)
            state[i][c] = is_anchor(e, i)
                              ? c + FIRST == e->classes[i]
                              : exp(logit(x, i, c + FIRST) / e->setup.temperature) / total;
    }
    for (int t = 0; t < e->setup.iterations; t++) {
        for (int i = 0; i < ROWS; i++) {
            double total = 0;
            for (int c = 0; c < CLASSES; c++) {
                double support = 0;
                for (int j = 0; j < ROWS; j++)
                    if (j != i) support += fmax(pearson(x->rows[i], x->rows[j]), 0) * state[j][c];
                total += next[i][c] = state[i][c] * support;
            }
            for (int c = 0; c < CLASSES; c++)
                next[i][c] = total > 0 ? next[i][c] / total : state[i][c];
        }
        memcpy(state, next, sizeof state);
    }
    for (int i = 0; i < ROWS; i++)
        if (!is_anchor(e, i)) sum -= log(state[i][e->classes[i] - FIRST] + 1e-12), others++;
    return sum / others;
}

static double naive_distances(const example *e, const numbers *x) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < ROWS; j++) {
            double teacher = 0;
            for (int k = 0; k < TEACHER; k++)
                teacher += pow((double)e->teacher[i][k] - (double)e->teacher[j][k], 2) / TEACHER;
            sum += fabs(distance(x->rows[i], x->rows[j]) - teacher);
        }
    return sum / (ROWS * (ROWS - 1));
}

static double naive_clusters(const example *e, const numbers *x) {
    double centres[CLASSES + FIRST][DIM] = {{0}}, spreads[CLASSES + FIRST] = {0}, sum = 0;
    double sizes[CLASSES + FIRST] = {0}, present = 0;
    for (int c = 0; c < CLASSES + FIRST; c++)
        for (int j = 0; j < DIM; j++)
            for (int k = 0; k < TEACHER; k++)
                centres[c][j] += x->learned[j * TEACHER + k] * (double)e->centres[c][k];
    for (int i = 0; i < ROWS; i++) sizes[e->classes[i]]++;
    for (int i = 0; i < ROWS; i++)
        spreads[e->classes[i]] +=
            distance(x->rows[i], centres[e->classes[i]]) / sizes[e->classes[i]];
    for (int c = 0; c < CLASSES + FIRST; c++) {
        double worst = 0;
        for (int d = 0; d < CLASSES + FIRST; d++)
            if (d != c && sizes[d] > 0)
                worst = fmax(worst, (spreads[c] + spreads[d]) / distance(centres[c], centres[d]));
        if (sizes[c] > 0) sum += worst, present++;
    }
    return sum / present;
}

/* ---- the comparison ---- */

static const struct {
    vx_loss_number number;
    naive_loss naive;
    bool semi_hard;
    double margin, temperature;
} formulas[] = {
    {VX_LOSS_TRIPLET, naive_triplet, false, 1, 0},
    {VX_LOSS_TRIPLET, naive_triplet, false, 0.1, 0}, /* some hinges are closed */
    {VX_LOSS_TRIPLET, naive_semi_hard, true, 1, 0},
    {VX_LOSS_TRIPLET_EUCLIDEAN, naive_euclidean, false, 0.3, 0},
    {VX_LOSS_CONTRASTIVE, naive_contrastive, false, 1.2, 0},
    {VX_LOSS_INFONCE, naive_infonce, false, 0, 0.3},
    {VX_LOSS_INFONCE, naive_infonce, false, 0, 0.02},
    {VX_LOSS_NORMALIZED_SOFTMAX, naive_normalized, false, 0, 0.05},
    {VX_LOSS_NORMALIZED_SOFTMAX, naive_normalized, false, 0, 1},
    {VX_LOSS_PROXY_NCA, naive_proxy_nca, false, 0, 0},
    {VX_LOSS_SOFTMAX, naive_softmax, false, 0, 0},
    {VX_LOSS_GROUP, naive_group, false, 0, 1},
    {VX_LOSS_GROUP, naive_group, false, 0, 3},
    {VX_LOSS_DISTANCE_MATCHING, naive_distances, false, 0, 0},
    {VX_LOSS_CLUSTER_MATCHING, naive_clusters, false, 0, 0},
};

/* Classes with one, two and more rows, in mixed order; random vectors that lean on their class. */
static void make_example(size_t which, uint64_t seed, example *e, numbers *x) {
    static const int32_t classes[ROWS] = {2, 1, 2, 4, 3, 1, 2, 4, 5, 2};
    vx_rng rng = vx_rng_seed(seed, which);
    *e = (example){.setup = {.dim = DIM,
                             .classes = CLASSES + FIRST,
                             .batch = ROWS + 3, /* room to spare */
                             .margin = formulas[which].margin,
                             .temperature = formulas[which].temperature,
                             .semi_hard = formulas[which].semi_hard,
                             .iterations = 3,
                             .teacher_dim = TEACHER}};
    memcpy(e->classes, classes, sizeof classes);
    double leaning[CLASSES + FIRST][DIM];
    for (int c = 0; c < CLASSES + FIRST; c++) {
        for (int j = 0; j < DIM; j++) leaning[c][j] = 0.5 * vx_rng_normal(&rng);
        for (int k = 0; k < TEACHER; k++) e->centres[c][k] = (float)vx_rng_normal(&rng);
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < DIM; j++) /* as floats, so that both sides see the same */
            x->rows[i][j] = (double)(float)(leaning[classes[i]][j] + vx_rng_normal(&rng));
        for (int k = 0; k < TEACHER; k++) e->teacher[i][k] = (float)vx_rng_normal(&rng);
    }
    for (size_t k = 0; k < sizeof x->learned / sizeof *x->learned; k++)
        x->learned[k] = (double)(float)vx_rng_normal(&rng);
}

/* Central differences with a step small beside 1 and large beside rounding. */
static double difference(const example *e, numbers *x, naive_loss naive, double *number) {
    const double step = 1e-6, before = *number;
    *number = before + step;
    double above = naive(e, x);
    *number = before - step;
    double below = naive(e, x);
    *number = before;
    return (above - below) / (2 * step);
}

static void check_close(double found, double wanted, double largest, const char *what) {
    ck_each(fabs(found - wanted) <= 2e-5 * (largest + fabs(wanted)), "%s: %.9g for %.9g", what,
            found, wanted);
}

static void check_case(size_t which, uint64_t seed, int threads) {
    example e;
    numbers x;
    make_example(which, seed, &e, &x);
    e.setup.centres = &e.centres[0][0];
    const vx_loss_kind *kind = vx_losses[formulas[which].number];
    vx_rng rng = vx_rng_seed(1, 1);
    vx_loss loss;
    ck_ok(vx_loss_create(kind, &e.setup, &rng, &loss));
    for (size_t k = 0; k < loss.learned.count; k++) loss.learned.values[k] = (float)x.learned[k];
    float rows[ROWS][DIM], slope[ROWS][DIM];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < DIM; j++) rows[i][j] = (float)x.rows[i][j], slope[i][j] = 0.5f;
    vx_batch batch = {.rows = &rows[0][0],
                      .n = ROWS,
                      .dim = DIM,
                      .classes = e.classes,
                      .class_first = FIRST,
                      .class_count = CLASSES,
                      .teacher = &e.teacher[0][0],
                      .teacher_dim = TEACHER,
                      .threads = threads};
    /* Twice: nothing may be left over from the step before. */
    kind->step(&loss, &batch, &slope[0][0]);
    for (int i = 0; i < ROWS * DIM; i++) (&slope[0][0])[i] = 0.5f;
    for (size_t k = 0; k < loss.learned.count; k++) loss.learned.slope[k] = 0;
    double value = kind->step(&loss, &batch, &slope[0][0]), largest = 1;
    check_close(value, formulas[which].naive(&e, &x), 0.1, kind->word);
    for (int i = 0; i < ROWS * DIM; i++) {
        double wanted = difference(&e, &x, formulas[which].naive, &(&x.rows[0][0])[i]);
        largest = fmax(largest, fabs(wanted));
        check_close((double)(&slope[0][0])[i] - 0.5, wanted, largest, kind->word);
    }
    for (size_t k = 0; k < loss.learned.count; k++) {
        double wanted = difference(&e, &x, formulas[which].naive, &x.learned[k]);
        check_close((double)loss.learned.slope[k], wanted, largest, "what it learns");
    }
    vx_loss_free(&loss);
}

START_TEST(slopes_are_those_of_the_formula) {
    for (size_t which = 0; which < sizeof formulas / sizeof *formulas; which++)
        for (uint64_t seed = 1; seed <= 20; seed++) check_case(which, seed, 1 + (int)seed % 3);
}
END_TEST

/* Rows without a partner, without an opponent, all equal, zero: no loss may answer NaN. */
START_TEST(odd_batches_have_finite_slopes) {
    for (size_t which = 0; which < sizeof formulas / sizeof *formulas; which++)
        for (int odd = 0; odd < 4; odd++) {
            example e;
            numbers x;
            make_example(which, 7, &e, &x);
            e.setup.centres = &e.centres[0][0];
            const vx_loss_kind *kind = vx_losses[formulas[which].number];
            vx_rng rng = vx_rng_seed(1, 1);
            vx_loss loss;
            ck_ok(vx_loss_create(kind, &e.setup, &rng, &loss));
            float rows[ROWS][DIM], slope[ROWS][DIM] = {{0}};
            for (int i = 0; i < ROWS; i++)
                for (int j = 0; j < DIM; j++)
                    rows[i][j] = odd == 2 ? (float)j : odd == 3 ? 0 : (float)x.rows[i][j];
            for (int i = 0; i < ROWS; i++) /* each alone; or all of one class */
                e.classes[i] = odd == 0 ? FIRST + i % CLASSES : odd == 1 ? FIRST : e.classes[i];
            vx_batch batch = {.rows = &rows[0][0],
                              .n = odd == 0 ? CLASSES : ROWS,
                              .dim = DIM,
                              .classes = e.classes,
                              .class_first = FIRST,
                              .class_count = odd == 1 ? 1 : CLASSES,
                              .teacher = &e.teacher[0][0],
                              .teacher_dim = TEACHER,
                              .threads = 1};
            double value = kind->step(&loss, &batch, &slope[0][0]);
            ck_each(isfinite(value), "%s, case %d: %g", kind->word, odd, value);
            for (int i = 0; i < ROWS * DIM; i++)
                ck_each(isfinite((&slope[0][0])[i]), "%s, case %d: slope", kind->word, odd);
            for (size_t k = 0; k < loss.learned.count; k++)
                ck_each(isfinite(loss.learned.slope[k]), "%s, case %d: learned", kind->word, odd);
            vx_loss_free(&loss);
        }
}
END_TEST

START_TEST(failing_allocations_leave_nothing) {
    for (size_t which = 0; which < sizeof formulas / sizeof *formulas; which++) {
        example e;
        numbers x;
        make_example(which, 1, &e, &x);
        e.setup.centres = &e.centres[0][0];
        vx_rng rng = vx_rng_seed(1, 1);
        for (long after = 0;; after++) {
            vx_loss loss;
            vx_alloc_fail_after(after);
            vindex_status status =
                vx_loss_create(vx_losses[formulas[which].number], &e.setup, &rng, &loss);
            vx_alloc_fail_after(-1);
            if (status == VINDEX_OK) {
                vx_loss_free(&loss);
                break;
            }
            ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
        }
    }
}
END_TEST

TEST_MAIN("transform/losses", slopes_are_those_of_the_formula, odd_batches_have_finite_slopes,
          failing_allocations_leave_nothing)
