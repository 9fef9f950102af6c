/* Which rows meet in a batch, and validation's MAP against a full sort. */
#include "data.h"
#include "transform/sampler.h"
#include "transform/validation.h"

enum { ROWS = 120, DIM = 3, OUT = 2 };

typedef struct fixture {
    float *rows;
    int32_t labels[ROWS];
    vx_fit job;
    vx_training_set set;
} fixture;

/* Classes of 1, 2, 3, ... rows, in mixed order; in `notions` parts, each with all classes. */
static void open_fixture(fixture *f, size_t notions) {
    size_t part = ROWS / notions;
    f->rows = data_normal(ROWS, DIM, 3);
    for (size_t i = 0; i < ROWS; i++) {
        size_t place = i % part * 7 % part, class = 0;
        while ((class + 1) * (class + 2) / 2 <= place) class ++;
        f->labels[i] = (int32_t) class;
    }
    f->job = (vx_fit){.word = "test",
                      .rows = {.count = ROWS, .dim = DIM, .vectors = f->rows},
                      .labels = f->labels,
                      .classes = 16,
                      .threads = 1};
    ck_ok(vx_training_set_open(&f->job, notions, false, &f->set));
}

static void close_fixture(fixture *f) {
    vx_training_set_close(&f->set);
    free(f->rows);
}

/* No batch holds a row twice, is too large or mixes notions; answers how many rows were drawn. */
static size_t check_batches(const vx_sampler *s, size_t batch) {
    size_t drawn = 0, part = s->set->entries / s->set->notions;
    for (size_t b = 0; b < s->sample_count; b++) {
        bool seen[2 * ROWS] = {false};
        ck_assert(s->samples[b].count >= 2 && s->samples[b].count <= batch);
        for (size_t i = 0; i < s->samples[b].count; i++) {
            size_t entry = s->order[s->samples[b].first + i];
            ck_assert(entry < s->set->entries && entry / part == s->samples[b].notion);
            if (s->per_class == 0) ck_assert(!seen[entry]);
            seen[entry] = true;
            drawn++;
        }
    }
    return drawn;
}

START_TEST(rows_are_shuffled) {
    for (size_t notions = 1; notions <= 3; notions += 2) {
        fixture f;
        vx_sampler s;
        open_fixture(&f, notions);
        ck_ok(vx_sampler_open(&f.set, 16, 0, 5, &s));
        size_t drawn[ROWS] = {0};
        for (int epoch = 0; epoch < 50; epoch++) {
            vx_sampler_draw(&s);
            size_t count = check_batches(&s, 16);
            ck_assert(count >= ROWS - notions * 8 && count <= ROWS);
            for (size_t b = 0; b < s.sample_count; b++)
                for (size_t i = 0; i < s.samples[b].count; i++)
                    drawn[s.order[s.samples[b].first + i]]++;
        }
        for (size_t i = 0; i < ROWS; i++) ck_assert(drawn[i] >= 35); /* none is left out for good */
        vx_sampler_close(&s);
        close_fixture(&f);
    }
}
END_TEST

/* Every row with another of its class in the batch set finds one in its own batch. */
START_TEST(rows_of_a_class_meet) {
    fixture f;
    vx_sampler s;
    open_fixture(&f, 1);
    ck_ok(vx_sampler_open(&f.set, 20, 4, 5, &s));
    size_t sizes[16] = {0}, drawn[ROWS] = {0};
    for (size_t i = 0; i < ROWS; i++) sizes[f.set.classes[i]]++;
    for (int epoch = 0; epoch < 20; epoch++) {
        vx_sampler_draw(&s);
        check_batches(&s, 20);
        for (size_t b = 0; b < s.sample_count; b++)
            for (size_t i = 0; i < s.samples[b].count; i++) {
                const size_t *order = s.order + s.samples[b].first;
                size_t alike = 0, class = (size_t)f.set.classes[order[i]];
                for (size_t j = 0; j < s.samples[b].count; j++)
                    alike += (size_t)f.set.classes[order[j]] == class && order[j] != order[i];
                ck_assert_uint_ge(alike, sizes[class] < 4 ? sizes[class] - 1 : 3);
                drawn[order[i]]++;
            }
    }
    for (size_t i = 0; i < ROWS; i++) ck_assert_uint_ge(drawn[i], 10);
    vx_sampler_close(&s);
    close_fixture(&f);
}
END_TEST

/* Without labels a row and its second view are a class. */
START_TEST(second_views_make_classes) {
    float *rows = data_normal(6, DIM, 1), *views = data_normal(6, DIM, 2), seen[2 * DIM];
    vx_fit job = {.word = "test",
                  .rows = {.count = 6, .dim = DIM, .vectors = rows},
                  .second = {.count = 6, .dim = DIM, .vectors = views},
                  .threads = 1};
    vx_training_set set;
    ck_ok(vx_training_set_open(&job, 1, false, &set));
    ck_assert_uint_eq(set.entries, 12);
    ck_assert_uint_eq(set.class_count, 6);
    for (int i = 0; i < 12; i++) ck_assert_int_eq(set.classes[i], i % 6);
    vx_training_set_gather(&set, (size_t[]){2, 8}, 2, seen);
    for (size_t j = 0; j < DIM; j++) {
        float shift = set.view.shift[j], scale = set.view.scale;
        ck_assert(seen[j] == (rows[2 * DIM + j] - shift) * scale);
        ck_assert(seen[DIM + j] == (views[2 * DIM + j] - shift) * scale);
    }
    vx_training_set_close(&set);
    free(rows);
    free(views);
}
END_TEST

/* ---- validation ---- */

static double naive_map(const fixture *f, const float *weights, const float *bias,
                        const float *mask, size_t first, size_t part) {
    double mapped[ROWS][OUT], sum = 0;
    int queries = 0;
    for (size_t i = 0; i < part; i++)
        for (size_t j = 0; j < OUT; j++) {
            mapped[i][j] = (double)bias[j];
            for (size_t k = 0; k < DIM; k++)
                mapped[i][j] +=
                    (double)weights[j * DIM + k] *
                    ((double)f->rows[(first + i) * DIM + k] - (double)f->set.view.shift[k]) *
                    (double)f->set.view.scale;
            mapped[i][j] *= (double)mask[j];
        }
    for (size_t q = 0; q < part; q++) {
        double precision = 0;
        int relevant = 0;
        for (size_t c = 0; c < part; c++) { /* each relevant row: who is at least as near */
            if (c == q || f->labels[first + c] != f->labels[first + q]) continue;
            double near = 0, alike = 0, own = 0;
            for (size_t j = 0; j < OUT; j++) own += pow(mapped[c][j] - mapped[q][j], 2);
            for (size_t o = 0; o < part; o++) {
                double far = 0;
                for (size_t j = 0; j < OUT; j++) far += pow(mapped[o][j] - mapped[q][j], 2);
                if (o == q || far > own) continue;
                near++;
                alike += f->labels[first + o] == f->labels[first + q];
            }
            precision += alike / near;
            relevant++;
        }
        if (relevant) sum += precision / relevant, queries++;
    }
    return sum / queries;
}

START_TEST(map_is_that_of_a_full_sort) {
    float weights[OUT * DIM] = {1, -0.5f, 0.25f, 0.3f, 2, -1}, bias[OUT] = {0.5f, -2};
    float masks[3 * OUT] = {1, 0.5f, 0, 1, 2, 2};
    for (size_t notions = 1; notions <= 3; notions += 2) {
        fixture f;
        vx_validation v;
        double map, wanted = 0;
        open_fixture(&f, notions);
        f.job.validation = f.job.rows;
        f.job.validation_labels = f.labels;
        ck_ok(vx_validation_open(&f.set, OUT, VINDEX_L2, &v));
        ck_ok(vx_validation_map(&v, weights, bias, masks, &map));
        size_t part = ROWS / notions;
        for (size_t p = 0; p < notions; p++)
            wanted += naive_map(&f, weights, bias, masks + p * OUT, p * part, part);
        ck_near(map, wanted / (double)notions, 1e-6);
        vx_validation_close(&v);
        close_fixture(&f);
    }
}
END_TEST

START_TEST(validation_that_cannot_be) {
    fixture f;
    vx_validation v;
    int32_t apart[ROWS];
    open_fixture(&f, 3);
    for (int i = 0; i < ROWS; i++) apart[i] = i;
    f.job.validation = f.job.rows;
    ck_fails(VINDEX_ERR_DATA, "without labels", vx_validation_open(&f.set, OUT, VINDEX_L2, &v));
    f.job.validation_labels = apart;
    ck_fails(VINDEX_ERR_DATA, "no two validation rows",
             vx_validation_open(&f.set, OUT, VINDEX_L2, &v));
    f.job.validation.count = ROWS - 1;
    ck_fails(VINDEX_ERR_DATA, "3 equal parts", vx_validation_open(&f.set, OUT, VINDEX_L2, &v));
    close_fixture(&f);
}
END_TEST

TEST_MAIN("transform/sampler", rows_are_shuffled, rows_of_a_class_meet, second_views_make_classes,
          map_is_that_of_a_full_sort, validation_that_cannot_be)
