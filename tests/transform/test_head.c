/* A layer with batch norm, and the optimisers, against double-precision readings of their formulas.
 */
#include "data.h"
#include "transform/head.h"

enum { ROWS = 9, IN = 5, OUT = 4 };

typedef struct naive {
    double weights[OUT][IN], bias[OUT], rows[ROWS][IN];
    double raw[ROWS][OUT], normal[ROWS][OUT]; /* what the loss multiplies the outputs by */
} naive;

/* A loss that is linear in the layer's and in batch norm's output. */
static double naive_loss(const naive *x, bool normed) {
    double layer[ROWS][OUT], sum = 0;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < OUT; j++) {
            layer[i][j] = normed ? 0 : x->bias[j];
            for (int k = 0; k < IN; k++) layer[i][j] += x->weights[j][k] * x->rows[i][k];
        }
    for (int j = 0; j < OUT; j++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < ROWS; i++) mean += layer[i][j] / ROWS;
        for (int i = 0; i < ROWS; i++) variance += pow(layer[i][j] - mean, 2) / ROWS;
        for (int i = 0; i < ROWS; i++) {
            double normal = normed ? (layer[i][j] - mean) / sqrt(variance + 1e-5) : layer[i][j];
            sum += x->raw[i][j] * layer[i][j] + x->normal[i][j] * normal;
        }
    }
    return sum;
}

static double difference(naive *x, bool normed, double *number) {
    double before = *number;
    *number = before + 1e-6;
    double above = naive_loss(x, normed);
    *number = before - 1e-6;
    double below = naive_loss(x, normed);
    *number = before;
    return (above - below) / 2e-6;
}

static void fill(double *numbers, size_t count, vx_rng *rng) {
    for (size_t i = 0; i < count; i++) numbers[i] = (double)(float)vx_rng_normal(rng);
}

static void check_slopes(bool normed, uint64_t seed) {
    naive x;
    vx_head head;
    vx_rng rng = vx_rng_seed(seed, 1);
    fill((double *)&x, sizeof x / sizeof(double), &rng);
    ck_ok(vx_head_create(IN, OUT, ROWS + 2, normed, &head));
    for (int i = 0; i < OUT * IN; i++) head.weights.values[i] = (float)(&x.weights[0][0])[i];
    for (size_t i = 0; i < head.bias.count; i++) head.bias.values[i] = (float)x.bias[i];
    for (int i = 0; i < ROWS * IN; i++) head.input[i] = (float)(&x.rows[0][0])[i];
    vx_head_forward(&head, ROWS, 1);
    double sum = 0;
    for (int i = 0; i < ROWS * OUT; i++) {
        head.layer_slope[i] = (float)(&x.raw[0][0])[i];
        head.normal_slope[i] = (float)(&x.normal[0][0])[i];
        sum += (&x.raw[0][0])[i] * (double)head.layer[i];
        sum += (&x.normal[0][0])[i] * (double)head.normal[i];
    }
    ck_near(sum, naive_loss(&x, normed), 1e-4);
    vx_head_back(&head, ROWS, 2);
    for (int i = 0; i < OUT * IN; i++)
        ck_near((double)head.weights.slope[i], difference(&x, normed, &(&x.weights[0][0])[i]),
                2e-4);
    for (size_t i = 0; i < head.bias.count; i++)
        ck_near((double)head.bias.slope[i], difference(&x, normed, &x.bias[i]), 2e-4);
    vx_head_free(&head);
}

START_TEST(slopes) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        check_slopes(false, seed);
        check_slopes(true, seed);
    }
}
END_TEST

/* Settled on the very rows of a batch, the folded map is what the batch got. */
START_TEST(folded_map_is_that_of_the_batch) {
    vx_head head;
    vx_rng rng = vx_rng_seed(3, 1);
    float weights[OUT * IN], bias[OUT];
    ck_ok(vx_head_create(IN, OUT, ROWS, true, &head));
    vx_parameter_start(&head.weights, IN, &rng);
    for (int i = 0; i < ROWS * IN; i++) head.input[i] = (float)vx_rng_normal(&rng);
    vx_head_forward(&head, ROWS, 1);
    vx_head_settle_begin(&head);
    vx_head_settle_add(&head, ROWS, 1);
    vx_head_settle_end(&head, ROWS);
    for (int norm = 0; norm < 2; norm++) {
        const float *wanted = norm ? head.normal : head.layer;
        vx_head_fold(&head, norm, weights, bias);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < OUT; j++) {
                double sum = (double)bias[j];
                for (int k = 0; k < IN; k++)
                    sum += (double)weights[j * IN + k] * (double)head.input[i * IN + k];
                ck_near(sum, (double)wanted[i * OUT + j], 1e-5);
            }
    }
    vx_head_free(&head);
}
END_TEST

START_TEST(optimisers_follow_their_formulas) {
    for (int kind = 0; kind < 2; kind++) {
        vx_parameter p;
        vx_optimiser o = {(vx_optimiser_kind)kind, 0.01, 0.9, 0.1, 0, 0};
        double w = 2, m = 0, v = 0;
        ck_ok(vx_parameter_create(70000, true, &p)); /* more than one thread's piece */
        for (size_t i = 0; i < p.count; i++) p.values[i] = 2;
        for (int t = 1; t <= 20; t++) {
            double scale = t % 3 ? 1 : 0.25, g = scale * cos(t) + 0.1 * w; /* with weight decay */
            for (size_t i = 0; i < p.count; i++) p.slope[i] = (float)cos(t);
            vx_optimiser_begin(&o, scale);
            vx_optimiser_move(&o, &p, 3);
            if (kind == VX_OPTIMISER_SGD) {
                m = 0.9 * m + g;
                w -= 0.01 * m;
            } else {
                m = 0.9 * m + 0.1 * g;
                v = 0.999 * v + 0.001 * g * g;
                w -= 0.01 * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
            }
            ck_near((double)p.values[0], w, 1e-5);
            ck_near((double)p.values[69999], w, 1e-5);
            ck_assert(p.slope[0] == 0 && p.slope[69999] == 0);
        }
        vx_parameter_free(&p);
    }
}
END_TEST

START_TEST(failing_allocations_leave_nothing) {
    for (long after = 0;; after++) {
        vx_head head;
        vx_alloc_fail_after(after);
        vindex_status status = vx_head_create(IN, OUT, ROWS, after % 2, &head);
        vx_alloc_fail_after(-1);
        if (status == VINDEX_OK) {
            vx_head_free(&head);
            break;
        }
        ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
    }
}
END_TEST

TEST_MAIN("transform/head", slopes, folded_map_is_that_of_the_batch,
          optimisers_follow_their_formulas, failing_allocations_leave_nothing)
