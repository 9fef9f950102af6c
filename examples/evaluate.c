/* Read embeddings and labels from files, print MAP. Linked with libvindex-mir. */
#include <stdio.h>
#include <stdlib.h>
#include <vindex/eval.h>
#include <vindex/io.h>

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "%s\n", vindex_last_error());
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: evaluate EMBEDDINGS LABELS\n");
        return 2;
    }
    vindex_embeddings *file;
    vindex_embeddings_info info;
    check(vindex_embeddings_open(argv[1], NULL, &file));
    vindex_embeddings_describe(file, &info);
    float *vectors = (float *)malloc((size_t)info.rows * (size_t)info.dim * sizeof *vectors);
    if (vectors == NULL) return EXIT_FAILURE;
    check(vindex_embeddings_read(file, 0, info.rows, vectors));
    vindex_embeddings_close(file);

    vindex_labels labels;
    check(vindex_labels_read(argv[2], NULL, &labels));
    if (labels.count != info.rows) {
        fprintf(stderr, "%lld labels for %lld rows\n", (long long)labels.count,
                (long long)info.rows);
        return EXIT_FAILURE;
    }

    vindex_eval_params params;
    vindex_eval_report report;
    vindex_eval_params_init(&params);
    params.metric = VINDEX_COSINE;
    check(vindex_eval(vectors, labels.cliques, info.rows, info.dim, &params, &report, NULL));
    printf("MAP %.4f  MR1 %.2f  (%lld queries, %lld candidates)\n", report.map, report.mr1,
           (long long)report.queries, (long long)report.candidates);

    vindex_labels_free(&labels);
    free(vectors);
    return EXIT_SUCCESS;
}
