#include "coder_file.h"

enum { HEAD_BYTES = 32, REFINED = 1, MATRIX = 2 };

static void put_double(unsigned char *where, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    vx_put_u64(where, bits);
}

static double get_double(const unsigned char *where) {
    uint64_t bits = vx_get_u64(where);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

vindex_status vx_coder_save(const vx_coder *coder, vx_container_writer *writer) {
    unsigned char head[HEAD_BYTES] = {0};
    if (coder) {
        uint32_t flags = (coder->refined ? REFINED : 0) | (coder->matrix ? MATRIX : 0);
        vx_put_u32(head, 1);
        vx_put_u32(head + 4, flags);
        vx_put_u64(head + 8, coder->head);
        put_double(head + 16, coder->skew);
        put_double(head + 24, coder->forecast);
    }
    VX_TRY(vx_container_begin(writer, "coder"));
    VX_TRY(vx_container_append(writer, head, sizeof head));
    if (coder) {
        VX_TRY(vx_container_append(writer, coder->mean, coder->dim * sizeof(float)));
        if (coder->matrix)
            VX_TRY(vx_container_append(writer, coder->matrix,
                                       coder->head * coder->dim * sizeof(float)));
    }
    return vx_container_end(writer);
}

static vindex_status damaged(const vx_container *file, const char *what) {
    return vx_fail(VINDEX_ERR_FORMAT, "%s: section 'coder' %s; the file is damaged",
                   vx_container_path(file), what);
}

static float *copy_floats(const unsigned char *bytes, size_t count) {
    float *copy = vx_alloc(count, sizeof *copy);
    if (copy) memcpy(copy, bytes, count * sizeof *copy);
    return copy;
}

vindex_status vx_coder_load(const vx_container *file, size_t dim, vx_coder *coder) {
    vx_section section;
    *coder = (vx_coder){0};
    VX_TRY(vx_container_find(file, "coder", true, &section));
    if (section.length < HEAD_BYTES || vx_get_u32(section.bytes) > 1)
        return damaged(file, "has no head");
    uint32_t flags = vx_get_u32(section.bytes + 4);
    uint64_t head = vx_get_u64(section.bytes + 8);
    if (!vx_get_u32(section.bytes))
        return section.length == HEAD_BYTES ? VINDEX_OK : damaged(file, "has more than its head");
    bool matrix = flags & MATRIX;
    double skew = get_double(section.bytes + 16);
    if (flags > (MATRIX | REFINED) || flags == (MATRIX | REFINED) || head < 1 || head > dim ||
        (!matrix && head != dim) || !(skew >= 0 && skew < 1))
        return damaged(file, "has numbers that make no sense");
    size_t count = dim + (matrix ? (size_t)head * dim : 0), where;
    if (section.length != HEAD_BYTES + count * sizeof(float))
        return damaged(file, "is not as long as it says");
    const unsigned char *numbers = section.bytes + HEAD_BYTES;
    if (!vx_all_finite((const float *)(const void *)numbers, count, &where))
        return damaged(file, "has numbers that are not finite");
    float *mean = copy_floats(numbers, dim);
    float *directions = matrix ? copy_floats(numbers + dim * sizeof(float), head * dim) : NULL;
    if (!mean || (matrix && !directions)) {
        vx_free(mean);
        vx_free(directions);
        return vx_fail_memory(count, sizeof(float), "load: codes");
    }
    VX_TRY(vx_coder_make(dim, mean, directions, (size_t)head, coder));
    coder->refined = (flags & REFINED) != 0;
    coder->skew = skew;
    coder->forecast = get_double(section.bytes + 24);
    return VINDEX_OK;
}
