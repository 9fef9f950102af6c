/* Which table runs: the best this processor has, or the one VINDEX_SIMD names. */
#include <stdatomic.h>
#include <stdio.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels.h"

static bool always(void) {
    return true;
}

#if defined(__x86_64__)
/* Asked of the processor itself: Clang 14's __builtin_cpu_supports does not know the name. */
static bool has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx512vnni(void) {
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

static bool has_avx512vbmi(void) {
    return has_avx512vnni() && __builtin_cpu_supports("avx512vbmi");
}
#endif

#if defined(__aarch64__)
#include <sys/auxv.h>

static bool has_neondot(void) {
    enum { DOT_PRODUCT = 1 << 20 }; /* HWCAP_ASIMDDP */
    return (getauxval(AT_HWCAP) & DOT_PRODUCT) != 0;
}
#endif

/* Slowest first. */
static const struct {
    const vx_kernels *kernels;
    bool (*runs_here)(void);
} levels[] = {
    {&vx_kernels_scalar, always},
#if defined(__x86_64__)
    {&vx_kernels_avx2, has_avx2},
    {&vx_kernels_avx512, has_avx512},
    {&vx_kernels_avx512vnni, has_avx512vnni},
    {&vx_kernels_avx512vbmi, has_avx512vbmi},
#elif defined(__aarch64__)
    {&vx_kernels_neon, always},
    {&vx_kernels_neondot, has_neondot},
#endif
};

const vx_kernels *vx_kernels_at(size_t wanted) {
    for (size_t i = 0; i < VX_COUNT(levels); i++)
        if (levels[i].runs_here() && wanted-- == 0) return levels[i].kernels;
    return NULL;
}

/* Two tables may share a name, the later one using instructions beyond the level's; it wins. */
static const vx_kernels *choose(void) {
    const char *forced = getenv("VINDEX_SIMD");
    const vx_kernels *best = NULL, *named = NULL;
    char here[64] = "";
    for (size_t i = 0; vx_kernels_at(i); i++) {
        const vx_kernels *kernels = vx_kernels_at(i);
        if (forced && !strcmp(forced, kernels->name)) named = kernels;
        if (!best || strcmp(best->name, kernels->name))
            snprintf(here + strlen(here), sizeof here - strlen(here), " %s", kernels->name);
        best = kernels;
    }
    if (named || !forced || !*forced) return named ? named : best;
    vx_fail(VINDEX_ERR_UNSUPPORTED,
            "VINDEX_SIMD is '%.40s': this machine has%s; set one of these or unset it", forced,
            here);
    return NULL;
}

const vx_kernels *vx_kernels_get(void) {
    static _Atomic(const vx_kernels *) chosen;
    const vx_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    if (kernels) return kernels;
    kernels = choose(); /* two threads here at once choose the same */
    if (kernels) atomic_store_explicit(&chosen, kernels, memory_order_release);
    return kernels;
}

const char *vindex_simd_level(void) {
    const vx_kernels *kernels = vx_kernels_get();
    return kernels ? kernels->name : NULL;
}
