/* Selection for the k best. */
#include "topk.h"

#include <math.h>

size_t vx_topk_capacity(size_t k) {
    return k + VX_MAX(k, (size_t)32);
}

void vx_topk_init(vx_topk *top, size_t k, vx_hit *memory) {
    *top = (vx_topk){.hits = memory,
                     .k = k,
                     .capacity = vx_topk_capacity(k),
                     .worst = {.key = INFINITY, .id = INT64_MAX}};
}

static void swap(vx_hit *a, vx_hit *b) {
    vx_hit t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's selection with a median-of-three pivot. */
void vx_hits_select(vx_hit *hits, size_t count, size_t k) {
    size_t low = 0, high = count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (vx_hit_before(hits[middle], hits[low])) swap(&hits[middle], &hits[low]);
        if (vx_hit_before(hits[high], hits[low])) swap(&hits[high], &hits[low]);
        if (vx_hit_before(hits[high], hits[middle])) swap(&hits[high], &hits[middle]);
        vx_hit pivot = hits[middle];
        size_t i = low, j = high;
        while (i <= j) {
            while (vx_hit_before(hits[i], pivot)) i++;
            while (vx_hit_before(pivot, hits[j])) j--;
            if (i > j) break;
            swap(&hits[i++], &hits[j]);
            if (j == 0) break;
            j--;
        }
        if (k - 1 <= j && j < high)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

void vx_topk_cut(vx_topk *top) {
    if (top->count < top->k) return;
    if (top->count > top->k) vx_hits_select(top->hits, top->count, top->k);
    top->count = top->k;
    top->worst = top->hits[0];
    for (size_t i = 1; i < top->k; i++)
        if (vx_hit_before(top->worst, top->hits[i])) top->worst = top->hits[i];
}

static int compare(const void *a, const void *b) {
    const vx_hit *x = a, *y = b;
    return vx_hit_before(*x, *y) ? -1 : vx_hit_before(*y, *x);
}

void vx_hits_sort(vx_hit *hits, size_t count) {
    qsort(hits, count, sizeof *hits, compare);
}

size_t vx_topk_finish(vx_topk *top) {
    vx_topk_cut(top);
    vx_hits_sort(top->hits, top->count);
    return top->count;
}
