/* Real files, where they are at hand: NSynth's features, SIFT descriptors, the lists of Da-TACOS
 * and Covers80. VINDEX_SHARED_DATA names their folder; the build passes ../shared/data. */
#include "core/base.h"
#include "files.h"

/* Numbers and names as a text editor shows them in the files' first and last lines. */
START_TEST(nsynth) {
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.id_column = "0";
    options.label_column = "instrument";
    static const struct {
        const char *name;
        int64_t rows;
    } files[] = {{"nsynth/nsynth_train.csv", 1000},
                 {"nsynth/nsynth_valid.csv", 200},
                 {"nsynth/nsynth_test.csv", 200}};
    for (size_t i = 0; i < VX_COUNT(files); i++)
        free(read_all(data_path(files[i].name), &options, files[i].rows, 33));
    vindex_embeddings *file;
    ck_ok(vindex_embeddings_open(data_path("nsynth/nsynth_test.csv"), &options, &file));
    float row[33];
    ck_ok(vindex_embeddings_read(file, 0, 1, row));
    ck_assert(row[0] == -515.5030517578125f && row[1] == 84.59962463378906f &&
              row[32] == 64.599609375f);
    ck_assert_str_eq(vindex_embeddings_id(file, 0), "test/bass_electronic_018-035-100.wav");
    ck_assert_str_eq(vindex_embeddings_label(file, 0), "bass");
    vindex_labels labels;
    ck_ok(vindex_embeddings_labels(file, &labels));
    ck_assert_int_eq(labels.count, 200);
    ck_assert_str_eq(labels.names[0], "bass");
    vindex_labels_free(&labels);
    vindex_embeddings_close(file);
}
END_TEST

START_TEST(sift) {
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    free(read_all(data_path("sift5k/sift-dataset-5k.tsv"), &options, 5000, 129));
    options.id_column = "128";
    float *rows = read_all(data_path("sift5k/sift-dataset-5k.tsv"), &options, 5000, 128);
    const float start[] = {0, 0, 0, 0, 0, 0, 0, 0, 13, 10, 15, 17};
    ck_assert_mem_eq(rows, start, sizeof start);
    for (size_t i = 0; i < 5000 * 128; i++) ck_assert(rows[i] >= 0 && rows[i] <= 255);
    free(rows);
    vindex_embeddings *file;
    ck_ok(vindex_embeddings_open(data_path("sift5k/sift-dataset-5k.tsv"), &options, &file));
    ck_assert_str_eq(vindex_embeddings_id(file, 0), "100001");
    vindex_embeddings_close(file);
    rows = read_all(data_path("sift5k/sift-query-3.tsv"), NULL, 3, 128);
    ck_assert(rows[0] == 17 && rows[127] == 22);
    free(rows);
}
END_TEST

START_TEST(label_files) {
    vindex_labels labels;
    ck_ok(vindex_labels_read(data_path("da-tacos/da-tacos_benchmark_subset.csv"), NULL, &labels));
    ck_assert_int_eq(labels.count, 15000);
    ck_assert_int_eq(labels.clique_count, 3000);
    ck_assert_str_eq(labels.names[0], "W_163930");
    ck_assert_str_eq(labels.ids[0], "P_546633");
    int *sizes = calloc(3000, sizeof *sizes);
    ck_assert_ptr_nonnull(sizes);
    for (int i = 0; i < 15000; i++) sizes[labels.cliques[i]]++;
    int of_13 = 0, of_1 = 0;
    for (int i = 0; i < 3000; i++) of_13 += sizes[i] == 13, of_1 += sizes[i] == 1;
    ck_assert(of_13 == 1000 && of_1 == 2000);
    free(sizes);
    vindex_labels_free(&labels);
    ck_ok(vindex_labels_read(data_path("covers80/covers80_annotations.csv"), NULL, &labels));
    ck_assert_int_eq(labels.count, 164);
    ck_assert_int_eq(labels.clique_count, 80);
    vindex_labels_free(&labels);
}
END_TEST

int main(void) {
    FILE *file = fopen(data_path("README.md"), "r");
    if (!file) {
        printf("io/data: %s is not here, so the tests on real files are skipped\n", folder());
        return SKIPPED;
    }
    fclose(file);
    const TTest *const cases[] = {nsynth, sift, label_files};
    return harness_run("io/data", cases, VX_COUNT(cases));
}
