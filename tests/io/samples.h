/* One small good file of each kind, for what all formats must do alike. */
#ifndef TESTS_IO_SAMPLES_H
#define TESTS_IO_SAMPLES_H

#include "core/base.h"
#include "files.h"

#define SAMPLE(name, bytes, id_column) \
    { name, bytes, sizeof(bytes) - 1, id_column }

/* Rows (1, 2), (3, 4), (5, 6). */
static const struct sample {
    const char *name, *bytes;
    size_t length;
    const char *id_column;
} samples[] = {
    SAMPLE("c.npy",
           "\x93NUMPY\x01\0\x45\0{'descr': '|i1', 'fortran_order': False, 'shape': (3, 2), }"
           "         \n\1\2\3\4\5\6",
           NULL),
    SAMPLE("fortran.npy",
           "\x93NUMPY\x02\0\x3e\0\0\0{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2), }"
           "   \n\1\3\5\2\4\6",
           NULL),
    SAMPLE("s.bvecs", "\2\0\0\0\1\2\2\0\0\0\3\4\2\0\0\0\5\6", NULL),
    SAMPLE("s.u8bin", "\3\0\0\0\2\0\0\0\1\2\3\4\5\6", NULL),
    SAMPLE("s.csv", "id,x,\"y\"\na,1,2\n\"b\",3,4\r\nc,5,6\n", "id"),
    SAMPLE("s.tsv", "1\t2\n3\t4\n5\t6\n", NULL),
    SAMPLE("s.json", "{\"ids\": [\"a\", 7, \"c\"], \"x\": [[1, 2], [3, 4.0], [5, 6]]}", "ids"),
    SAMPLE("s.jsonl",
           "{\"id\": 1, \"x\": [1,2]}\n{\"id\": 2, \"x\": [3,4]}\n{\"id\": 3, \"x\": [5,6]}", "id"),
    SAMPLE("s.safetensors",
           "\x37\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"U8\",\"shape\":[3,2],\"data_offsets\":[0,6]}}"
           "\1\2\3\4\5\6",
           NULL),
};

static const float sample_values[] = {1, 2, 3, 4, 5, 6};

static inline vindex_embeddings_options sample_options(const struct sample *sample) {
    vindex_embeddings_options options;
    vindex_embeddings_options_init(&options);
    options.id_column = sample->id_column;
    return options;
}

static inline const char *sample_file(const struct sample *sample) {
    write_anew(sample->name, sample->bytes, sample->length);
    return scratch_path(sample->name);
}

#endif
