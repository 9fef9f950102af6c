/* The names of metrics and number types, as the command line, errors and reports write them. */
#include "base.h"

static const char *const metric_names[] = {
    [VINDEX_L2] = "l2",
    [VINDEX_INNER_PRODUCT] = "ip",
    [VINDEX_COSINE] = "cosine",
    [VINDEX_PEARSON] = "pearson",
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [VINDEX_F32] = {"f32", 4}, [VINDEX_F16] = {"f16", 2}, [VINDEX_BF16] = {"bf16", 2},
    [VINDEX_F64] = {"f64", 8}, [VINDEX_I8] = {"i8", 1},   [VINDEX_U8] = {"u8", 1},
    [VINDEX_I16] = {"i16", 2}, [VINDEX_U16] = {"u16", 2}, [VINDEX_I32] = {"i32", 4},
    [VINDEX_I64] = {"i64", 8},
};

const char *vindex_metric_name(vindex_metric metric) {
    return (unsigned)metric < VX_COUNT(metric_names) ? metric_names[metric] : NULL;
}

bool vindex_metric_parse(const char *name, vindex_metric *metric) {
    for (size_t i = 0; i < VX_COUNT(metric_names); i++)
        if (!strcmp(name, metric_names[i])) {
            *metric = (vindex_metric)i;
            return true;
        }
    return false;
}

const char *vindex_dtype_name(vindex_dtype dtype) {
    return (unsigned)dtype < VX_COUNT(dtypes) ? dtypes[dtype].name : NULL;
}

size_t vindex_dtype_size(vindex_dtype dtype) {
    return (unsigned)dtype < VX_COUNT(dtypes) ? dtypes[dtype].size : 0;
}
