/* Writes the golden files into a folder. Run once per released file format, never by the tests. */
#include "golden.h"

#include <stdio.h>

static vindex_status make(const golden_file *golden, const char *folder) {
    vindex_index *index;
    float rows[GOLDEN_ROWS * GOLDEN_DIM];
    int64_t ids[GOLDEN_ROWS];
    const int64_t gone = GOLDEN_GONE;
    char path[4096];
    for (int i = 0; i < GOLDEN_ROWS; i++) {
        ids[i] = golden_id(i);
        for (int j = 0; j < GOLDEN_DIM; j++) rows[i * GOLDEN_DIM + j] = golden_number(i, j);
    }
    vindex_status status = vindex_create(golden->spec, GOLDEN_DIM, golden->metric, &index);
    if (status != VINDEX_OK) return status;
    status = vindex_train(index, rows, GOLDEN_ROWS, NULL);
    if (status == VINDEX_OK) status = vindex_add_with_ids(index, rows, GOLDEN_ROWS, ids, NULL);
    if (status == VINDEX_OK) status = vindex_remove(index, &gone, 1, NULL);
    snprintf(path, sizeof path, "%s/%s", folder, golden->name);
    if (status == VINDEX_OK) status = vindex_save(index, path, NULL);
    vindex_free(index);
    return status;
}

/* The chain, and an index of the golden rows behind it. */
static vindex_status make_projected(const char *folder) {
    vindex_transform *chain, *next;
    vindex_index *index;
    float rows[GOLDEN_ROWS * GOLDEN_DIM];
    char path[4096];
    for (int i = 0; i < GOLDEN_ROWS; i++)
        for (int j = 0; j < GOLDEN_DIM; j++) rows[i * GOLDEN_DIM + j] = golden_number(i, j);
    vindex_status status = vindex_transform_affine("golden", GOLDEN_DIM, 3, &golden_weights[0][0],
                                                   golden_bias, &chain);
    if (status != VINDEX_OK) return status;
    status = vindex_transform_affine("next", 3, GOLDEN_OUT, &golden_next[0][0], NULL, &next);
    if (status != VINDEX_OK) return status;
    status = vindex_transform_append(chain, next);
    snprintf(path, sizeof path, "%s/%s", folder, golden_model);
    if (status == VINDEX_OK) status = vindex_transform_save(chain, path);
    if (status == VINDEX_OK) status = vindex_index_with_transform(chain, "Flat", VINDEX_L2, &index);
    if (status != VINDEX_OK) return status;
    status = vindex_add(index, rows, GOLDEN_ROWS, NULL);
    snprintf(path, sizeof path, "%s/%s", folder, golden_projected);
    if (status == VINDEX_OK) status = vindex_save(index, path, NULL);
    vindex_free(index);
    vindex_transform_free(chain);
    vindex_transform_free(next);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_golden FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof golden_files / sizeof *golden_files; i++)
        if (make(&golden_files[i], argv[1]) != VINDEX_OK) {
            fprintf(stderr, "%s: %s\n", golden_files[i].name, vindex_last_error());
            return 1;
        }
    const char *name = golden_turned.name;
    vindex_status status = make(&golden_turned, argv[1]);
    if (status == VINDEX_OK) {
        name = golden_projected;
        status = make_projected(argv[1]);
    }
    if (status == VINDEX_OK) return 0;
    fprintf(stderr, "%s: %s\n", name, vindex_last_error());
    return 1;
}
