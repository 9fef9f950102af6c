/* Any bytes as an index file. What opens must answer: search, reconstruct, verify, grow. The first
 * byte of the input says what to make right before, and how to open. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vindex/vindex.h>

#include "fuzz_input.h"
#include "signing.h"

enum { MAP = 8, DEFER = 16 };
enum { MOST = 1 << 16, DIM_MOST = 4096, QUERIES = 6, K = 5 };

static void demand(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "fuzz_index: %s; %s\n", what, vindex_last_error());
    abort();
}

static bool odd(void *context, int64_t id) {
    (void)context;
    return id % 2 == 1;
}

/* A projection may lead beyond float32; nothing else may fail. */
static bool done(const vindex_index *index, vindex_status status, const char *what) {
    bool refused = status == VINDEX_ERR_DATA && vindex_index_transform(index);
    demand(status == VINDEX_OK || refused, what);
    return status == VINDEX_OK;
}

/* Every id answered can be reconstructed, and passes the filter. Where checks are deferred, a file
 * may have a row twice, or lists in which it is not looked up. */
static void search(const vindex_index *index, const float *queries, bool filtered, bool deferred) {
    int64_t ids[QUERIES * K];
    float *vector = malloc((size_t)vindex_dim(index) * sizeof *vector);
    vindex_filter filter = {.allow = odd};
    vindex_search_params params;
    vindex_search_params_init(&params);
    params.k = K;
    params.threads = 1;
    if (filtered) params.filter = &filter;
    for (int64_t count = 1; count <= QUERIES; count += QUERIES - 1) {
        bool found =
            done(index, vindex_search(index, queries, count, &params, ids, NULL), "search");
        for (int64_t i = 0; found && i < count * K; i++) {
            if (ids[i] == -1) continue;
            demand(!filtered || ids[i] % 2 == 1, "a forbidden id");
            if (!(vindex_capabilities(index) & VINDEX_CAN_RECONSTRUCT)) continue;
            vindex_status status = vindex_reconstruct(index, &ids[i], 1, vector);
            demand(status == VINDEX_OK || (deferred && status == VINDEX_ERR_FORMAT), "reconstruct");
        }
    }
    vindex_range_result result;
    if (done(index, vindex_range_search(index, queries, 2, 1, &params, &result), "range")) {
        demand(deferred || result.offsets[2] <= 2 * vindex_count(index),
               "more in range than there are");
        vindex_range_result_free(&result);
    }
    free(vector);
}

/* An operating point that was loaded serves for its k. */
static void search_tuned(const vindex_index *index, const float *queries) {
    vindex_operating_point point;
    vindex_search_params params;
    int64_t count, ids[K];
    vindex_search_params_init(&params);
    demand(vindex_operating_points(index, &point, 1, &count) == VINDEX_OK, "operating points");
    if (!count || point.k > K) return;
    params.k = point.k;
    params.recall = point.recall;
    params.threads = 1;
    done(index, vindex_search(index, queries, 1, &params, ids, NULL), "search for a recall");
}

static void change(vindex_index *index, const float *vectors) {
    int64_t before = vindex_count(index), removed;
    const int64_t ids[] = {1, 2, 3, 100};
    if (vindex_add(index, vectors, 2, NULL) == VINDEX_OK)
        demand(vindex_count(index) == before + 2, "adding counts wrong");
    before = vindex_count(index);
    demand(vindex_remove(index, ids, 4, &removed) == VINDEX_OK, "remove");
    demand(vindex_compact(index, NULL) == VINDEX_OK, "compact");
    demand(vindex_count(index) == before - removed, "removing counts wrong");
}

static void use(vindex_index *index, bool deferred) {
    size_t dim = (size_t)vindex_dim(index);
    if (dim > DIM_MOST || !vindex_is_trained(index)) return;
    float *queries = calloc(QUERIES * dim, sizeof *queries);
    for (size_t i = 0; i < QUERIES * dim; i++) queries[i] = (float)(i * i % 7) - 3;
    search(index, queries, false, deferred);
    search(index, queries, true, deferred);
    search_tuned(index, queries);
    change(index, queries);
    search(index, queries, false, deferred);
    free(queries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned char file[MOST];
    if (size < 1 || size > MOST) return 0;
    int options = data[0];
    size--;
    memcpy(file, data + 1, size);
    sign_container(options, VX_KIND_INDEX, file, size);
    char path[64];
    int fd = memfd_create("index", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, file, size) != (ssize_t)size) abort();
    uint32_t flags =
        (options & MAP ? VINDEX_LOAD_MAP : 0) | (options & DEFER ? VINDEX_LOAD_DEFER : 0);
    vindex_index *index;
    if (vindex_load(path, flags, &index) == VINDEX_OK) {
        demand(vindex_verify(index, NULL) == VINDEX_OK || options & DEFER, "verify");
        use(index, options & DEFER);
        vindex_free(index);
    } else {
        demand(*vindex_last_error(), "a failure without a sentence");
    }
    close(fd);
    return 0;
}
