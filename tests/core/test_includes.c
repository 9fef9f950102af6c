/* Includes go one way, as the table of src/README.md says: core base <- simd <- exact <- index
 * rooms <- the rest of core; io, eval and cli beside them. */
#include "core/base.h"

#include "../harness.h"

#include <dirent.h>

/* The parts of core that lie below the other rooms. What core has beside them may see everything.
 */
static const char *const base_files[] = {"base", "blas",  "container", "fields",   "file",
                                         "ids",  "names", "rng",       "sections", "topk"};

/* Those that learn, with the exact engine at hand. */
static const char *const learn_files[] = {"kmeans"};

typedef enum part {
    BASE,
    LEARN,
    IMPL,
    UPPER,
    SIMD,
    EXACT,
    CODEC,
    PQ,
    FLAT,
    IVF,
    HNSW,
    TRANSFORM,
    IO,
    EVAL,
    CLI,
    BENCH,
    PARTS
} part;

static const struct {
    const char *room;
    bool may[PARTS];
} rooms[PARTS] = {
    [BASE] = {"core", {[BASE] = true}},
    [LEARN] = {"core", {[BASE] = true, [LEARN] = true, [SIMD] = true, [EXACT] = true}},
    [IMPL] = {"core", {[BASE] = true}}, /* what an index is, for the index rooms */
    [UPPER] = {"core",
               {[BASE] = true,
                [LEARN] = true,
                [IMPL] = true,
                [UPPER] = true,
                [SIMD] = true,
                [EXACT] = true,
                [CODEC] = true,
                [PQ] = true,
                [FLAT] = true,
                [IVF] = true,
                [HNSW] = true,
                [TRANSFORM] = true}},
    [SIMD] = {"simd", {[BASE] = true, [SIMD] = true}},
    [EXACT] = {"exact", {[BASE] = true, [SIMD] = true, [EXACT] = true}},
    [FLAT] = {"flat", {[BASE] = true, [IMPL] = true, [SIMD] = true, [EXACT] = true, [FLAT] = true}},
    [PQ] = {"pq", {[BASE] = true, [SIMD] = true, [EXACT] = true, [CODEC] = true, [PQ] = true}},
    [CODEC] = {"codec", {[BASE] = true, [SIMD] = true, [EXACT] = true, [CODEC] = true}},
    [IVF] = {"ivf",
             {[BASE] = true,
              [LEARN] = true,
              [IMPL] = true,
              [SIMD] = true,
              [EXACT] = true,
              [CODEC] = true,
              [IVF] = true}},
    [HNSW] = {"hnsw",
              {[BASE] = true,
               [LEARN] = true,
               [IMPL] = true,
               [SIMD] = true,
               [EXACT] = true,
               [CODEC] = true,
               [HNSW] = true}},
    [TRANSFORM] = {"transform",
                   {[BASE] = true,
                    [IMPL] = true,
                    [SIMD] = true,
                    [EXACT] = true,
                    [PQ] = true,
                    [TRANSFORM] = true}},
    [IO] = {"io", {[BASE] = true, [IO] = true}},
    [EVAL] = {"eval", {[BASE] = true, [SIMD] = true, [EXACT] = true, [EVAL] = true}},
    [CLI] = {"cli", {[CLI] = true, [BENCH] = true}},
    [BENCH] = {"bench", {[BENCH] = true}}, /* its measurements, which the program offers too */
};

/* The part that room/file belongs to; PARTS when there is no such room. */
static part part_of(const char *path) {
    const char *slash = strchr(path, '/');
    if (!slash || strstr(path, "..")) return PARTS;
    size_t room = (size_t)(slash - path);
    if (room == 4 && !strncmp(path, "core", 4)) {
        size_t length = strcspn(slash + 1, ".");
        for (size_t i = 0; i < VX_COUNT(base_files); i++)
            if (strlen(base_files[i]) == length && !strncmp(slash + 1, base_files[i], length))
                return BASE;
        for (size_t i = 0; i < VX_COUNT(learn_files); i++)
            if (strlen(learn_files[i]) == length && !strncmp(slash + 1, learn_files[i], length))
                return LEARN;
        return !strcmp(slash + 1, "index_impl.h") ? IMPL : UPPER;
    }
    for (int i = SIMD; i < PARTS; i++)
        if (strlen(rooms[i].room) == room && !strncmp(path, rooms[i].room, room)) return (part)i;
    return PARTS;
}

/* Whether the file (room/name) may hold that line. */
static bool line_allowed(const char *file, const char *line) {
    char name[256], target[600];
    if (sscanf(line, " # include \"%255[^\"]\"", name) != 1) {
        bool angled = sscanf(line, " # include <%255[^>]>", name) == 1;
        return !angled || part_of(name) == PARTS; /* rooms are not reached by the back door */
    }
    if (strchr(name, '/'))
        snprintf(target, sizeof target, "%s", name);
    else
        snprintf(target, sizeof target, "%.*s/%s", (int)strcspn(file, "/"), file, name);
    part from = part_of(file), to = part_of(target);
    return from != PARTS && to != PARTS && rooms[from].may[to];
}

static int files_seen, lines_seen;

static void check_file(const char *root, const char *file) {
    char path[1200], line[1000];
    snprintf(path, sizeof path, "%s/%s", root, file);
    FILE *stream = fopen(path, "r");
    ck_assert_msg(stream != NULL, "%s cannot be read", path);
    ck_assert_msg(part_of(file) != PARTS,
                  "%s: a room without a rule; src/README.md and this test "
                  "list the rooms",
                  file);
    files_seen++;
    while (fgets(line, sizeof line, stream)) {
        lines_seen += strstr(line, "#include \"") != NULL;
        ck_assert_msg(line_allowed(file, line), "src/%s may not have: %s", file, line);
    }
    fclose(stream);
}

static void check_folder(const char *root, const char *room) {
    char path[1200], file[600];
    snprintf(path, sizeof path, "%s/%s", root, room);
    DIR *folder = opendir(path);
    if (!folder) return; /* a file beside the rooms */
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || (strcmp(dot, ".c") && strcmp(dot, ".h") && strcmp(dot, ".inc"))) continue;
        snprintf(file, sizeof file, "%.200s/%s", room, entry->d_name);
        check_file(root, file);
    }
    closedir(folder);
}

START_TEST(every_source_keeps_the_rule) {
    const char *root = getenv("VINDEX_SOURCES");
    ck_assert_msg(root != NULL, "VINDEX_SOURCES must name the folder src");
    DIR *folder = opendir(root);
    ck_assert_msg(folder != NULL, "%s cannot be read", root);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') check_folder(root, entry->d_name);
    closedir(folder);
    ck_assert_int_gt(files_seen, 20);
    ck_assert_int_gt(lines_seen, 20);
}
END_TEST

START_TEST(the_rule_forbids) {
    static const struct {
        const char *file, *line;
        bool allowed;
    } cases[] = {
        {"core/topk.c", "#include \"topk.h\"", true},
        {"core/topk.c", "#include <vindex/index.h>", true},
        {"core/topk.c", "#include \"index_impl.h\"", false},
        {"core/topk.c", "#include \"core/index_impl.h\"", false},
        {"core/base.c", "#include \"simd/kernels.h\"", false},
        {"core/base.c", "  #  include \"simd/kernels.h\"", false},
        {"core/base.c", "#include <simd/kernels.h>", false},
        {"core/base.c", "#include \"../simd/kernels.h\"", false},
        {"core/based.c", "#include \"simd/kernels.h\"", true}, /* not the base */
        {"core/kmeans.c", "#include \"exact/nearest.h\"", true},
        {"core/kmeans.c", "#include \"flat/flat.h\"", false},
        {"core/topk.c", "#include \"kmeans.h\"", false},
        {"core/index.c", "#include \"flat/flat.h\"", true},
        {"core/index.c", "#include \"io/format.h\"", false},
        {"simd/avx2.c", "#include \"core/base.h\"", true},
        {"simd/avx2.c", "#include \"exact/search.h\"", false},
        {"exact/search.c", "#include \"simd/kernels.h\"", true},
        {"exact/search.c", "#include \"flat/flat.h\"", false},
        {"exact/search.c", "#include \"core/index_impl.h\"", false},
        {"flat/ops.c", "#include \"core/index_impl.h\"", true},
        {"flat/ops.c", "#include \"io/format.h\"", false},
        {"ivf/ops.c", "#include \"codec/codec.h\"", true},
        {"ivf/ops.c", "#include \"flat/flat.h\"", false},
        {"codec/stored.c", "#include \"core/index_impl.h\"", false},
        {"io/csv.c", "#include \"core/file.h\"", true},
        {"io/csv.c", "#include \"simd/kernels.h\"", false},
        {"io/csv.c", "#include \"eval/job.h\"", false},
        {"eval/job.c", "#include \"exact/rank.h\"", true},
        {"eval/job.c", "#include \"flat/flat.h\"", false},
        {"cli/main.c", "#include \"cli.h\"", true},
        {"cli/main.c", "#include <vindex/vindex.h>", true},
        {"cli/cmd_bench.c", "#include \"bench/kernels.h\"", true},
        {"eval/job.c", "#include \"bench/kernels.h\"", false},
        {"cli/main.c", "#include \"core/base.h\"", false},
        {"cli/main.c", "#include \"io/format.h\"", false},
        {"cellar/main.c", "#include \"core/base.h\"", false},
        {"cli/main.c", "#include \"cellar/wine.h\"", false},
    };
    for (size_t i = 0; i < VX_COUNT(cases); i++)
        ck_assert_msg(line_allowed(cases[i].file, cases[i].line) == cases[i].allowed, "%s: %s",
                      cases[i].file, cases[i].line);
}
END_TEST

TEST_MAIN("core/includes", every_source_keeps_the_rule, the_rule_forbids)
