/* Search among some of the vectors only: those whose ids a bitset or a callback allows. */
#include <stdio.h>
#include <stdlib.h>
#include <vindex/vindex.h>

enum { DIM = 8, SONGS = 128, K = 3 };

static void check(vindex_status status) {
    if (status == VINDEX_OK) return;
    fprintf(stderr, "%s\n", vindex_last_error());
    exit(EXIT_FAILURE);
}

/* Called from several threads at once: it may read what context points to, not change it. */
static bool is_even(void *context, int64_t id) {
    (void)context;
    return id % 2 == 0;
}

static void print_ids(const char *what, const int64_t *ids) {
    printf("%-16s", what);
    for (int i = 0; i < K; i++) printf(" %lld", (long long)ids[i]);
    printf("\n");
}

int main(void) {
    static float songs[SONGS * DIM];
    for (int i = 0; i < SONGS; i++) songs[i * DIM] = (float)i; /* song i lies at i */
    const float query[DIM] = {9.9f};

    vindex_index *index;
    check(vindex_create("Flat", DIM, VINDEX_L2, &index));
    check(vindex_add(index, songs, SONGS, NULL));

    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    int64_t all[K], low[K], even[K];
    check(vindex_search(index, query, 1, &params, all, NULL));
    print_ids("all:", all);

    const uint64_t first_eight[] = {0xff};
    const vindex_filter below_eight = {.bits = first_eight, .bit_count = 64};
    params.filter = &below_eight;
    check(vindex_search(index, query, 1, &params, low, NULL));
    print_ids("ids below 8:", low);

    const vindex_filter evens = {.allow = is_even};
    params.filter = &evens;
    check(vindex_search(index, query, 1, &params, even, NULL));
    print_ids("even ids:", even);

    vindex_free(index);
    return all[0] == 10 && low[0] == 7 && even[1] == 8 ? EXIT_SUCCESS : EXIT_FAILURE;
}
