/* Simulated sets: the same bits everywhere and in whatever order, and the structure promised. */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include <vindex/eval.h>

#include "../harness.h"
#include "core/base.h"

static vindex_simulate_params params_of(vindex_simulated_model model, int64_t dim) {
    vindex_simulate_params params;
    vindex_simulate_params_init(&params);
    params.model = model;
    params.dim = dim;
    return params;
}

static vindex_simulator *create(vindex_simulated_model model, int64_t dim, double scale,
                                bool training) {
    vindex_simulate_params params = params_of(model, dim);
    params.scale = scale;
    params.training = training;
    vindex_simulator *simulator;
    ck_ok(vindex_simulator_create(&params, NULL, 0, &simulator));
    return simulator;
}

static float *read_all(const vindex_simulator *s, int32_t threads) {
    size_t n = (size_t)vindex_simulator_rows(s), dim = (size_t)vindex_simulator_dim(s);
    float *vectors = malloc(n * dim * sizeof *vectors);
    ck_ok(vindex_simulator_read(s, 0, (int64_t)n, threads, vectors));
    return vectors;
}

/* Pinned: another machine or compiler that makes other bits shows here. The numbers say nothing
 * else; they change only when the simulation is meant to change. */
START_TEST(pinned_bits) {
    const struct {
        vindex_simulated_model model;
        bool training;
        uint64_t vectors, cliques;
    } cases[] = {
        {VINDEX_SIMULATED_MOVE, false, 0x007b28f65c58320f, 0x12df3776726ae3f8},
        {VINDEX_SIMULATED_MOVE, true, 0x9c389f033d1c2240, 0x9b6c404a6966b08a},
        {VINDEX_SIMULATED_RE_MOVE, false, 0x1259dab425b7b490, 0x12df3776726ae3f8},
        {VINDEX_SIMULATED_BYTECOVER2, false, 0x2beb3ca11a75bbea, 0x12df3776726ae3f8},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++) {
        vindex_simulator *s = create(cases[i].model, 100, 0.02, cases[i].training);
        size_t n = (size_t)vindex_simulator_rows(s);
        float *vectors = read_all(s, 0);
        uint64_t of_vectors = XXH3_64bits(vectors, n * 100 * sizeof *vectors);
        uint64_t of_cliques = XXH3_64bits(vindex_simulator_cliques(s), n * sizeof(int32_t));
        ck_assert_msg(of_vectors == cases[i].vectors && of_cliques == cases[i].cliques,
                      "case %zu: found 0x%016llx and 0x%016llx", i, (unsigned long long)of_vectors,
                      (unsigned long long)of_cliques);
        free(vectors);
        vindex_simulator_free(s);
    }
}
END_TEST

START_TEST(threads_and_ranges) {
    vindex_simulator *s = create(VINDEX_SIMULATED_MOVE, 45, 0.02, false);
    const size_t n = (size_t)vindex_simulator_rows(s), dim = 45;
    ck_assert_uint_eq(n, 300);
    float *one = read_all(s, 1), *three = read_all(s, 3);
    ck_assert_mem_eq(one, three, n * dim * sizeof *one);
    const struct {
        size_t first, count;
    } ranges[] = {{0, 1}, {299, 1}, {3, 5}, {60, 130}, {1, 299}, {300, 0}};
    for (size_t i = 0; i < VX_COUNT(ranges); i++) {
        size_t first = ranges[i].first, count = ranges[i].count;
        float *part = malloc((count * dim + 1) * sizeof *part);
        part[count * dim] = 42; /* nothing is written past the end */
        ck_ok(vindex_simulator_read(s, (int64_t)first, (int64_t)count, 2, part));
        ck_assert_mem_eq(part, one + first * dim, count * dim * sizeof *part);
        ck_assert(part[count * dim] == 42);
        free(part);
    }
    free(one);
    free(three);
    vindex_simulator_free(s);
}
END_TEST

/* The first dimensions of a larger embedding are those of a smaller one. */
START_TEST(dimensions_nest) {
    vindex_simulator *small = create(VINDEX_SIMULATED_MOVE, 33, 0.01, false);
    vindex_simulator *large = create(VINDEX_SIMULATED_MOVE, 300, 0.01, false);
    float *few = read_all(small, 0), *many = read_all(large, 0);
    for (size_t i = 0; i < (size_t)vindex_simulator_rows(small); i++)
        ck_assert_mem_eq(few + i * 33, many + i * 300, 33 * sizeof(float));
    free(few);
    free(many);
    vindex_simulator_free(small);
    vindex_simulator_free(large);
}
END_TEST

/* A set made from the cliques of another is that other. */
START_TEST(cliques_given) {
    vindex_simulator *own = create(VINDEX_SIMULATED_RE_MOVE, 0, 0.01, false), *given;
    vindex_simulate_params params = params_of(VINDEX_SIMULATED_RE_MOVE, 0);
    int64_t n = vindex_simulator_rows(own);
    ck_ok(vindex_simulator_create(&params, vindex_simulator_cliques(own), n, &given));
    ck_assert_int_eq(vindex_simulator_dim(given), 256);
    float *a = read_all(own, 0), *b = read_all(given, 0);
    ck_assert_mem_eq(a, b, (size_t)n * 256 * sizeof *a);
    free(a);
    free(b);
    vindex_simulator_free(own);
    vindex_simulator_free(given);
}
END_TEST

/* How many cliques there are, the smallest and the largest; numbers follow first appearance. */
static void check_structure(bool training, double scale, int64_t rows, const int64_t expected[3]) {
    vindex_simulator *s = create(VINDEX_SIMULATED_MOVE, 1, scale, training);
    ck_assert_int_eq(vindex_simulator_rows(s), rows);
    const int32_t *cliques = vindex_simulator_cliques(s);
    int64_t *sizes = calloc((size_t)rows, sizeof *sizes), found[3] = {0, INT64_MAX, 0};
    size_t neighbours = 0;
    for (int64_t i = 0; i < rows; i++) {
        ck_assert_int_le(cliques[i], found[0]);
        found[0] += cliques[i] == found[0];
        sizes[cliques[i]]++;
        neighbours += i && cliques[i] == cliques[i - 1];
    }
    for (int64_t c = 0; c < found[0]; c++) {
        found[1] = VX_MIN(found[1], sizes[c]);
        found[2] = VX_MAX(found[2], sizes[c]);
    }
    for (int i = 0; i < 3; i++) ck_assert_int_eq(found[i], expected[i]);
    ck_assert_uint_lt(neighbours, (size_t)rows / 100); /* songs are shuffled */
    free(sizes);
    vindex_simulator_free(s);
}

/* "Less is more", sections 3.2 and 4.1. */
START_TEST(structures) {
    check_structure(false, 1, 15000, (int64_t[]){3000, 1, 13});
    check_structure(false, 0.1, 1500, (int64_t[]){300, 1, 13});
    check_structure(true, 1, 83904, (int64_t[]){14499, 2, 109});
}
END_TEST

/* Two rows at distance zero are one row: neither splits nor seeds may repeat themselves. */
START_TEST(sets_differ) {
    vindex_simulator *s = create(VINDEX_SIMULATED_MOVE, 16, 0.02, false);
    vindex_simulator *training = create(VINDEX_SIMULATED_MOVE, 16, 0.02, true), *seeded;
    vindex_simulate_params params = params_of(VINDEX_SIMULATED_MOVE, 16);
    params.scale = 0.02;
    params.seed = 2;
    ck_ok(vindex_simulator_create(&params, NULL, 0, &seeded));
    float *a = read_all(s, 0), *b = read_all(training, 0), *c = read_all(seeded, 0);
    for (size_t i = 0; i < 300; i++) {
        for (size_t j = 0; j < 300; j++) {
            if (i != j) ck_assert_mem_ne(a + i * 16, a + j * 16, 16 * sizeof *a);
            ck_assert_mem_ne(a + i * 16, b + j * 16, 16 * sizeof *a);
            ck_assert_mem_ne(a + i * 16, c + j * 16, 16 * sizeof *a);
        }
    }
    free(a);
    free(b);
    free(c);
    vindex_simulator_free(s);
    vindex_simulator_free(training);
    vindex_simulator_free(seeded);
}
END_TEST

/* Batch norm: every dimension has mean 0 and variance 1, up to the sample's chance. */
START_TEST(normalised) {
    vindex_simulator *s = create(VINDEX_SIMULATED_MOVE, 24, 1, false);
    float *vectors = read_all(s, 0);
    for (size_t j = 0; j < 24; j++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < 15000; i++) {
            double x = vectors[i * 24 + j];
            sum += x;
            squares += x * x;
        }
        ck_assert_double_eq_tol(sum / 15000, 0, 0.1);
        ck_assert_double_eq_tol(squares / 15000, 1, 0.15);
    }
    free(vectors);
    vindex_simulator_free(s);
}
END_TEST

/* Signal and noise are there: a tenth of the benchmark is found, and not perfectly. */
START_TEST(accuracy_is_believable) {
    for (int model = 0; model < 3; model++) {
        vindex_simulator *s = create((vindex_simulated_model)model, 256, 0.1, false);
        float *vectors = read_all(s, 0);
        vindex_eval_params params;
        vindex_eval_params_init(&params);
        params.metric = vindex_simulator_metric(s);
        vindex_eval_report report;
        ck_ok(vindex_eval(vectors, vindex_simulator_cliques(s), vindex_simulator_rows(s), 256,
                          &params, &report, NULL));
        ck_assert_int_eq(report.queries, 1300);
        ck_assert_int_eq(report.noise, 200);
        ck_assert_double_gt(report.map, 0.5);
        ck_assert_double_lt(report.map, 0.95);
        free(vectors);
        vindex_simulator_free(s);
    }
}
END_TEST

START_TEST(arguments) {
    vindex_simulator *s = NULL;
    vindex_simulate_params params = params_of(VINDEX_SIMULATED_MOVE, 8);
    const int32_t bad[2] = {0, -4};
    ck_fails(VINDEX_ERR_ARGUMENT, "row 1 is -4", vindex_simulator_create(&params, bad, 2, &s));
    ck_fails(VINDEX_ERR_ARGUMENT, "0 rows with", vindex_simulator_create(&params, bad, 0, &s));
    ck_fails(VINDEX_ERR_ARGUMENT, "5 rows without", vindex_simulator_create(&params, NULL, 5, &s));
    params.dim = -1;
    ck_fails(VINDEX_ERR_ARGUMENT, "dim is -1", vindex_simulator_create(&params, NULL, 0, &s));
    params = params_of((vindex_simulated_model)3, 8);
    ck_fails(VINDEX_ERR_ARGUMENT, "model is 3", vindex_simulator_create(&params, NULL, 0, &s));
    params = params_of(VINDEX_SIMULATED_MOVE, 8);
    params.scale = NAN;
    ck_fails(VINDEX_ERR_ARGUMENT, "scale", vindex_simulator_create(&params, NULL, 0, &s));
    params.scale = 0;
    ck_fails(VINDEX_ERR_ARGUMENT, "scale is 0", vindex_simulator_create(&params, NULL, 0, &s));
    params.struct_size = 3;
    ck_fails(VINDEX_ERR_ARGUMENT, "struct_size", vindex_simulator_create(&params, NULL, 0, &s));
    ck_assert_ptr_null(s);
    vindex_simulator_free(NULL);
    s = create(VINDEX_SIMULATED_MOVE, 4, 0.01, false);
    float row[4];
    ck_fails(VINDEX_ERR_ARGUMENT, "stay within", vindex_simulator_read(s, 150, 1, 1, row));
    ck_fails(VINDEX_ERR_ARGUMENT, "stay within", vindex_simulator_read(s, -1, 1, 1, row));
    ck_fails(VINDEX_ERR_ARGUMENT, "stay within", vindex_simulator_read(s, 1, INT64_MAX, 1, row));
    ck_fails(VINDEX_ERR_ARGUMENT, "threads is -2", vindex_simulator_read(s, 0, 1, -2, row));
    vindex_simulator_free(s);
}
END_TEST

START_TEST(memory_runs_out) {
    vindex_simulate_params params = params_of(VINDEX_SIMULATED_MOVE, 8);
    params.scale = 0.01;
    for (int training = 0; training < 2; training++) {
        params.training = training;
        vindex_status status = VINDEX_ERR_MEMORY;
        for (long after = 0; status; after++) {
            vindex_simulator *s = NULL;
            float row[8];
            vx_alloc_fail_after(after);
            status = vindex_simulator_create(&params, NULL, 0, &s);
            if (!status) status = vindex_simulator_read(s, 0, 1, 1, row);
            vx_alloc_fail_after(-1);
            if (status) ck_assert_int_eq(status, VINDEX_ERR_MEMORY);
            ck_assert(after < 100);
            vindex_simulator_free(s);
        }
    }
}
END_TEST

TEST_MAIN("eval/simulate", pinned_bits, threads_and_ranges, dimensions_nest, cliques_given,
          structures, sets_differ, normalised, accuracy_is_believable, arguments, memory_runs_out)
