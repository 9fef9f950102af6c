/* Save an index, then search it straight from the mapped file: opening reads no vectors, and
 * processes that map the same file share its memory. */
#include <stdio.h>
#include <stdlib.h>
#include <vindex/vindex.h>

enum { DIM = 32, SONGS = 500 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "%s\n", vindex_last_error());
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "songs.vindex";
    static float songs[SONGS * DIM];
    for (int i = 0; i < SONGS * DIM; i++) songs[i] = (float)rand() / (float)RAND_MAX;

    vindex_index *index;
    check(vindex_create("Flat", DIM, VINDEX_L2, &index));
    check(vindex_add(index, songs, SONGS, NULL));
    check(vindex_save(index, path, NULL));
    vindex_free(index);

    /* Checksums of the vectors are left for vindex_verify, so that opening costs milliseconds
     * whatever the file's size. */
    check(vindex_load(path, VINDEX_LOAD_MAP | VINDEX_LOAD_DEFER, &index));
    check(vindex_verify(index, NULL));

    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = 1;
    int64_t id;
    float distance;
    check(vindex_search(index, songs + 7 * DIM, 1, &params, &id, &distance));
    printf("%s: %lld vectors; the nearest to song 7 is song %lld\n", path,
           (long long)vindex_count(index), (long long)id);
    vindex_free(index);
    return id == 7 ? EXIT_SUCCESS : EXIT_FAILURE;
}
