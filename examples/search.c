/* Build an index in memory, add vectors, search it. */
#include <stdio.h>
#include <stdlib.h>
#include <vindex/vindex.h>

enum { DIM = 64, SONGS = 1000, QUERIES = 3, K = 5 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "%s\n", vindex_last_error());
    exit(EXIT_FAILURE);
}

int main(void) {
    static float songs[SONGS * DIM], queries[QUERIES * DIM];
    for (int i = 0; i < SONGS * DIM; i++) songs[i] = (float)rand() / (float)RAND_MAX;
    /* Query i is song i, slightly changed: that song should come first. */
    for (int i = 0; i < QUERIES * DIM; i++) queries[i] = songs[i] + 0.01f;

    vindex_index *index;
    check(vindex_create("Flat", DIM, VINDEX_COSINE, &index));
    check(vindex_add(index, songs, SONGS, NULL));

    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    int64_t ids[QUERIES * K];
    float similarities[QUERIES * K];
    check(vindex_search(index, queries, QUERIES, &params, ids, similarities));

    for (int q = 0; q < QUERIES; q++) {
        printf("query %d:", q);
        for (int i = q * K; i < (q + 1) * K; i++)
            printf("  %lld (%.4f)", (long long)ids[i], (double)similarities[i]);
        printf("\n");
    }
    vindex_free(index);
    return ids[0] == 0 && ids[K] == 1 && ids[2 * K] == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
