#include "kernels.h"

#include <math.h>
#include <string.h>

#include "core/base.h"
#include "core/rng.h"
#include "memory.h"
#include "simd/kernels.h"

enum { REPEATS = 5, TILE_DEPTH = 128, TILE_PANELS = 32, SETTLE_ROWS = 512 };

/* Memory and the level under test, for all measurements. */
typedef struct bench {
    const bench_options *options;
    int threads;
    const vx_kernels *kernels;
    vindex_dtype dtype;
    char *rows;     /* options->bytes of small finite numbers in every type */
    float *query;   /* padded */
    double *settle; /* padded */
    float *keys;
    float *packed, *queries; /* one tile of rows, TILE_PANELS panels of queries */
    double peak;
    volatile float sink;
} bench;

static size_t row_count(const bench *b) {
    return b->options->bytes / (b->options->dim * vindex_dtype_size(b->dtype));
}

static void run_scan(bench *b, bool l2) {
    enum { AT_ONCE = 256 };
    size_t dim = b->options->dim, stride = dim * vindex_dtype_size(b->dtype);
    for (size_t row = 0, n = row_count(b); row < n; row += AT_ONCE)
        (l2 ? b->kernels->scan_l2
            : b->kernels->scan_ip)[b->dtype](b->query, b->rows + row * stride, stride,
                                             VX_MIN(n - row, (size_t)AT_ONCE), dim, b->keys);
    b->sink = b->keys[0];
}
static void run_scan_l2(bench *b) {
    run_scan(b, true);
}
static void run_scan_ip(bench *b) {
    run_scan(b, false);
}

static size_t settle_rows(const bench *b) {
    return VX_MIN(row_count(b), (size_t)SETTLE_ROWS);
}

static void run_settle(bench *b) {
    size_t stride = b->options->dim * vindex_dtype_size(b->dtype);
    double sum = 0;
    for (size_t i = 0; i < settle_rows(b); i++)
        sum +=
            b->kernels->settle_l2[b->dtype](b->settle, NULL, b->rows + i * stride, b->options->dim);
    b->sink = (float)sum;
}

static void run_tile(bench *b) {
    float ones[VX_TILE_ROWS], zeros[VX_TILE_ROWS] = {0}, limits[VX_TILE_QUERIES];
    uint32_t masks[VX_TILE_QUERIES], any = 0;
    for (size_t i = 0; i < VX_TILE_ROWS; i++) ones[i] = 1;
    for (size_t i = 0; i < VX_TILE_QUERIES; i++) limits[i] = -1e30f; /* nothing passes */
    for (int round = 0; round < 64; round++)
        for (size_t p = 0; p < TILE_PANELS; p++) {
            vx_tile tile = {.rows = b->packed,
                            .queries = b->queries + p * TILE_DEPTH * b->kernels->tile_queries,
                            .depth = TILE_DEPTH,
                            .stride = b->kernels->tile_rows};
            any |= b->kernels->tile_select(&tile, ones, zeros, limits, masks);
        }
    b->sink = (float)any;
}

static void run_peak(bench *b) {
    float sink = 0.5f;
    b->kernels->peak(1 << 18, &sink);
    b->sink = sink;
}

/* The shortest of several runs: what the machine does when its neighbours are quiet. */
static double shortest(bench *b, void (*run)(bench *b)) {
    double best = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        double start = bench_clock();
        run(b);
        best = fmin(best, bench_clock() - start);
    }
    return best;
}

static bool make_data(bench *b) {
    size_t dim = b->options->dim, padded = vx_padded(dim);
    b->rows = vx_alloc(b->options->bytes, 1);
    b->query = vx_alloc_zero(padded, sizeof *b->query);
    b->settle = vx_alloc_zero(padded, sizeof *b->settle);
    b->keys = vx_alloc(256, sizeof *b->keys);
    b->packed = vx_alloc_zero(TILE_DEPTH * VX_TILE_ROWS, sizeof *b->packed);
    b->queries = vx_alloc_zero(TILE_DEPTH * VX_TILE_QUERIES * TILE_PANELS, sizeof *b->queries);
    if (!b->rows || !b->query || !b->settle || !b->keys || !b->packed || !b->queries) {
        vx_fail_memory(b->options->bytes, 1, "bench kernels");
        return false;
    }
    /* 0x3c..3d in both bytes is a small normal number as f32, f16 and bf16. */
    vx_rng rng = vx_rng_seed(1, 0);
    for (size_t i = 0; i + 8 <= b->options->bytes; i += 8) {
        uint64_t bits = (vx_rng_next(&rng) & 0x0101010101010101u) | 0x3c3c3c3c3c3c3c3cu;
        memcpy(b->rows + i, &bits, sizeof bits);
    }
    for (size_t j = 0; j < dim; j++) b->query[j] = (float)vx_rng_normal(&rng), b->settle[j] = 1;
    for (size_t i = 0; i < TILE_DEPTH * VX_TILE_ROWS; i++) b->packed[i] = 1;
    for (size_t i = 0; i < TILE_DEPTH * VX_TILE_QUERIES * TILE_PANELS; i++) b->queries[i] = 1;
    return true;
}

static void free_data(bench *b) {
    vx_free(b->rows);
    vx_free(b->query);
    vx_free(b->settle);
    vx_free(b->keys);
    vx_free(b->packed);
    vx_free(b->queries);
}

/* Kernels that stream rows: bytes and operations per number. */
static const struct {
    const char *name;
    void (*run)(bench *b);
    double operations;
    bool from_memory;
} streaming[] = {
    {"scan l2", run_scan_l2, 3, true},
    {"scan ip", run_scan_ip, 2, true},
    {"settle l2", run_settle, 3, false},
};

static size_t measure_level(bench *b, const bench_machine *machine, bench_row *rows) {
    size_t count = 0;
    for (size_t s = 0; s < VX_COUNT(streaming); s++)
        for (int dtype = 0; dtype < VX_STORED_TYPES; dtype++) {
            b->dtype = (vindex_dtype)dtype;
            size_t n = streaming[s].from_memory ? row_count(b) : settle_rows(b);
            double numbers = (double)n * (double)b->options->dim;
            double time = shortest(b, streaming[s].run);
            double gbs = numbers * (double)vindex_dtype_size(b->dtype) / time / 1e9;
            rows[count++] = (bench_row){
                .kernel = streaming[s].name,
                .level = b->kernels->name,
                .dtype = vindex_dtype_name(b->dtype),
                .gbs = gbs,
                .gflops = numbers * streaming[s].operations / time / 1e9,
                .share = streaming[s].from_memory ? gbs / machine->read_gbs : NAN,
            };
        }
    double operations = 2.0 * 64 * TILE_PANELS * TILE_DEPTH *
                        (double)(b->kernels->tile_rows * b->kernels->tile_queries);
    double gflops = operations / shortest(b, run_tile) / 1e9;
    rows[count++] = (bench_row){.kernel = "tile select",
                                .level = b->kernels->name,
                                .dtype = "f32",
                                .gflops = gflops,
                                .share = gflops / b->peak};
    return count;
}

size_t bench_kernels(const bench_options *options, bench_machine *machine, bench_row *rows) {
    bench b = {.options = options, .threads = vx_threads(options->threads)};
    size_t count = 0, levels = 0;
    if (make_data(&b)) {
        *machine = (bench_machine){.threads = b.threads};
        machine->read_gbs = bench_read_gbs(options->bytes, 1);
        machine->read_all_gbs = bench_read_gbs(options->bytes, b.threads);
        while (vx_kernels_at(levels)) levels++;
        for (size_t i = 0; i < levels; i++) {
            b.kernels = vx_kernels_at(i);
            float sink = 0.5f;
            double operations = b.kernels->peak(1 << 18, &sink);
            b.peak = operations / shortest(&b, run_peak) / 1e9;
            machine->peak_gflops = fmax(machine->peak_gflops, b.peak);
            count += measure_level(&b, machine, rows + count);
            if (vx_progress(options->progress, options->progress_context, "measuring",
                            (double)(i + 1) / (double)levels)) {
                count = 0;
                break;
            }
        }
    }
    free_data(&b);
    return count;
}
