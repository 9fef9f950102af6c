/* vindex convert: any readable embedding file to any writable one, by blocks of rows. */
#include "report.h"
#include "rows.h"

static const struct cli_usage usage = {
    .verb = "convert",
    .form = "IN OUT [--dtype f32|f16|...]",
    .does = "Writes an embedding file in another format; the endings name the formats. Rows are\n"
            "streamed, so that a file need not fit in memory.",
    .example = "  vindex convert embeddings.csv embeddings.npy --dtype f16\n"
               "  vindex convert base.fvecs base.fbin",
    .words = "IN OUT",
    .word_count = 2,
};

/* NaN and infinity pass, as the format allows. */
static int append_block(void *writer, int64_t first, int64_t count, const float *vectors) {
    (void)first;
    return cli_status(vindex_embeddings_append(writer, vectors, count));
}

static int report_result(const char *path, const vindex_embeddings_info *info, vindex_dtype dtype) {
    struct cli_report *report = cli_report_new();
    if (report == NULL) return CLI_FAILED;
    cli_report_text(report, "output", "output", path);
    cli_report_text(report, "dtype", "dtype", vindex_dtype_name(dtype));
    cli_report_int(report, "rows", "rows", info->rows);
    cli_report_int(report, "dim", "dim", info->dim);
    return cli_report_print(report);
}

static int choose_dtype(const char *path, const vindex_embeddings_info *info, const char *text,
                        vindex_dtype *dtype) {
    if (text != NULL) return cli_dtype(text, dtype);
    /* Numbers pass through float32, so that a wider type would only be larger. */
    vindex_dtype wanted = info->dtype == VINDEX_F64 ? VINDEX_F32 : info->dtype;
    return cli_status_words(vindex_embeddings_dtype(path, wanted, dtype));
}

static int convert(const char *in_path, const char *out_path, const char *dtype_text) {
    const char *paths[] = {in_path, NULL};
    struct cli_rows rows;
    int answer = cli_rows_open(paths, "IN", 0, &rows);
    if (answer != CLI_DONE) return answer;
    vindex_embeddings_info info;
    vindex_embeddings_describe(rows.files[0], &info);
    vindex_dtype dtype = VINDEX_F32;
    vindex_embeddings_writer *out = NULL;
    answer = choose_dtype(out_path, &info, dtype_text, &dtype);
    if (answer == CLI_DONE)
        answer =
            cli_status_words(vindex_embeddings_create(out_path, info.rows, info.dim, dtype, &out));
    if (answer == CLI_DONE) answer = cli_rows_each(&rows, "converting", append_block, out);
    if (answer == CLI_DONE)
        answer = cli_status(vindex_embeddings_finish(out));
    else
        vindex_embeddings_abort(out);
    cli_rows_close(&rows);
    return answer == CLI_DONE ? report_result(out_path, &info, dtype) : answer;
}

int cmd_convert(int argc, const char **argv) {
    char *dtype = NULL;
    struct poptOption options[] = {
        {"dtype", 0, POPT_ARG_STRING, &dtype, 0,
         "how to store a number: f32, f16, f64, i8, u8, ... (default: as in IN, if OUT can)",
         "TYPE"},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_column_options, 0, NULL, NULL},
        {NULL, 0, POPT_ARG_INCLUDE_TABLE, cli_common_options, 0, "Common to all verbs:", NULL},
        POPT_TABLEEND,
    };
    struct cli_parsed parsed;
    int answer = cli_parse(&usage, options, argc, argv, &parsed);
    if (answer == CLI_PROCEED) answer = convert(parsed.words[0], parsed.words[1], dtype);
    cli_release(options, &parsed);
    return answer;
}
