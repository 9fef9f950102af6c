/* Cells, columns and numbers: every quoting by hand, every number against the C library. */
#include "io/text.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "../core/scratch.h"
#include "../harness.h"
#include "core/rng.h"

static vx_text text_of(const char *bytes, char separator) {
    vx_map map = {(const unsigned char *)bytes, strlen(bytes)};
    return vx_text_begin("t.csv", &map, separator);
}

/* Cuts a whole text and writes it down as |cell|cell| per line. */
static const char *cut(const char *bytes, char separator) {
    static char seen[1024];
    vx_text text = text_of(bytes, separator);
    seen[0] = 0;
    while (vx_text_line(&text)) {
        vx_pool cells = {0};
        ck_ok(vx_text_columns(&text, &cells));
        for (size_t i = 0; i < cells.count; i++) {
            strcat(seen, "|");
            strcat(seen, vx_pool_get(&cells, i));
        }
        strcat(seen, "|\n");
        vx_pool_free(&cells);
    }
    return seen;
}

START_TEST(lines_are_cut_into_cells) {
    ck_assert_str_eq(cut("a,b\nc,d\n", ','), "|a|b|\n|c|d|\n");
    ck_assert_str_eq(cut("a,b\r\nc,d", ','), "|a|b|\n|c|d|\n");
    ck_assert_str_eq(cut("\xEF\xBB\xBF"
                         "a\tb\r\n",
                         '\t'),
                     "|a|b|\n");
    ck_assert_str_eq(cut("\n\r\na\n\n\nb\n\n", ','), "|a|\n|b|\n");
    ck_assert_str_eq(cut(",\n", ','), "|||\n");
    ck_assert_str_eq(cut("a,", ','), "|a||\n");
    ck_assert_str_eq(cut(",a,,", ','), "||a|||\n");
    ck_assert_str_eq(cut("\"a,b\",\"c\"\"d\",\"\"\r\n\"\"\"\"", ','), "|a,b|c\"d||\n|\"|\n");
    ck_assert_str_eq(cut("\"two\nlines\",x\r\n", ','), "|two\nlines|x|\n");
    ck_assert_str_eq(cut("say \"hi\",5\" disc\n", ','), "|say \"hi\"|5\" disc|\n");
    ck_assert_str_eq(cut("a\rb,c\r", ','), "|a\rb|c|\n");
    ck_assert_str_eq(cut("\"whole\", line\r\n", 0), "|\"whole\", line|\n");
    ck_assert_str_eq(cut("", ','), "");
    ck_assert_str_eq(cut("\r", ','), "||\n");
}
END_TEST

static vindex_status cut_all(const char *bytes, size_t length) {
    vx_map map = {(const unsigned char *)bytes, length};
    vx_text text = vx_text_begin("t.csv", &map, ',');
    vx_pool cells = {0};
    vindex_status status = VINDEX_OK;
    while (status == VINDEX_OK && vx_text_line(&text)) status = vx_text_columns(&text, &cells);
    vx_pool_free(&cells);
    return status;
}

START_TEST(broken_quotes_say_the_line) {
    const char *open = "a,b\n\"c\nd,e\n";
    ck_fails(VINDEX_ERR_FORMAT, "t.csv: line 2: a quote opens", cut_all(open, strlen(open)));
    const char *even = "a\n\"b\"\"";
    ck_fails(VINDEX_ERR_FORMAT, "line 2: a quote opens", cut_all(even, strlen(even)));
    const char *follows = "a\n\"b\nc\" d,e\n";
    ck_fails(VINDEX_ERR_FORMAT, "line 3: text follows", cut_all(follows, strlen(follows)));
    ck_fails(VINDEX_ERR_FORMAT, "zero byte", cut_all("a,b\0c\n", 6));
}
END_TEST

START_TEST(columns_are_found_by_name_and_index) {
    vx_text text = text_of(",name,7,\"a \"\"b\"\"\"\n", ',');
    vx_pool columns = {0};
    ck_ok(vx_text_columns(&text, &columns));
    size_t column;
    const struct {
        const char *word;
        size_t column;
    } found[] = {{"", 0}, {"name", 1}, {"7", 2}, {"2", 2}, {"0", 0}, {"a \"b\"", 3}, {"3", 3}};
    for (size_t i = 0; i < VX_COUNT(found); i++) {
        ck_ok(vx_column_find("t.csv", &columns, true, found[i].word, &column));
        ck_assert_uint_eq(column, found[i].column);
    }
    ck_fails(VINDEX_ERR_NOT_FOUND, "the header has '', 'name', '7'",
             vx_column_find("t.csv", &columns, true, "title", &column));
    ck_fails(VINDEX_ERR_NOT_FOUND, "from 0 to 3",
             vx_column_find("t.csv", &columns, true, "4", &column));
    ck_fails(VINDEX_ERR_NOT_FOUND, "from 0 to 3",
             vx_column_find("t.csv", &columns, false, "7", &column));
    ck_fails(VINDEX_ERR_NOT_FOUND, "no header",
             vx_column_find("t.csv", &columns, false, "name", &column));
    ck_fails(VINDEX_ERR_NOT_FOUND, "column 99999",
             vx_column_find("t.csv", &columns, true, "99999999999999999999999999", &column));
    for (int i = 0; i < 20; i++) ck_assert(vx_pool_add(&columns, "x", 1));
    ck_fails(VINDEX_ERR_NOT_FOUND, "'x', ... (24 in all)",
             vx_column_find("t.csv", &columns, true, "title", &column));
    vx_pool_free(&columns);
}
END_TEST

static bool number(const char *text, float *value) {
    vx_locale locale;
    ck_ok(vx_locale_enter(&locale));
    bool found = vx_cell_number(&(vx_cell){.text = text, .length = strlen(text)}, value);
    vx_locale_leave(&locale);
    return found;
}

static void expect_number(const char *text) {
    float value = 7, expected = strtof(text, NULL);
    ck_assert_msg(number(text, &value), "%s", text);
    ck_assert_msg(!memcmp(&value, &expected, sizeof value), "%s: %.9g, expected %.9g", text,
                  (double)value, (double)expected);
}

START_TEST(numbers_are_rounded_correctly) {
    static const char *const cases[] = {"0",
                                        "-0",
                                        "+1",
                                        "1.",
                                        ".5",
                                        "-.5e1",
                                        "007",
                                        "1e5",
                                        "1E+5",
                                        "1e-5",
                                        "16777217",
                                        "16777219",
                                        "33554435",
                                        "1.00000005960464477539062",
                                        "1.00000005960464477539063",
                                        "8388609.5",
                                        "1.000000059604644775390625",
                                        "1.0000000596046447753906250000000000000000000001",
                                        "1.00000017881393432617187499",
                                        "3.4028234e38",
                                        "3.40282346638528859e38",
                                        "3.4028235677973366e38",
                                        "3.4028235677973367e38",
                                        "1e39",
                                        "-1e400",
                                        "1e99999999999999999999",
                                        "1.17549435e-38",
                                        "1.1754943e-38",
                                        "1e-45",
                                        "7.0064923216240853e-46",
                                        "7.1e-46",
                                        "1e-46",
                                        "1e-400",
                                        "123456789012345678901234567890",
                                        "0.000000000000000000000000000001",
                                        "9007199254740993",
                                        "18446744073709551616",
                                        "0e999999999",
                                        "4.5e-44",
                                        "00000000000000000000000000000000000000000001.5"};
    for (size_t i = 0; i < VX_COUNT(cases); i++) expect_number(cases[i]);
    char zeros[900];
    memset(zeros, '0', sizeof zeros);
    memcpy(zeros, "0.", 2);
    snprintf(zeros + 850, 20, "123e845");
    expect_number(zeros);
}
END_TEST

START_TEST(random_numbers_agree_with_the_library) {
    vx_rng rng = vx_rng_seed(3, 0);
    char text[64];
    for (int i = 0; i < 200000; i++) {
        uint64_t random = vx_rng_next(&rng);
        uint32_t bits = (uint32_t)random;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        /* Full digits, few digits, and the middle between two neighbours with and without a crumb.
         */
        snprintf(text, sizeof text, "%.*g", (int)(random >> 32) % 20 + 1, (double)value);
        expect_number(text);
        double middle = ((double)value + (double)nextafterf(value, INFINITY)) / 2;
        if (!isfinite(middle)) continue;
        snprintf(text, sizeof text, "%.*g", (int)(random >> 40) % 10 + 15, middle);
        expect_number(text);
    }
}
END_TEST

START_TEST(words_and_spaces) {
    float value;
    ck_assert(number("nan", &value) && isnan(value));
    ck_assert(number("-NaN", &value) && isnan(value));
    ck_assert(number("inf", &value) && value == INFINITY);
    ck_assert(number("-Infinity", &value) && value == -INFINITY);
    ck_assert(number(" \t12.5 ", &value) && value == 12.5f);
    static const char *const bad[] = {"",     " ",    "-",     "+",         ".",     "e5",
                                      "1e",   "1e+",  "0x1",   "1,5",       "1 2",   "--1",
                                      "+-1",  "nanx", "in",    "infi",      "1.2.3", "1f",
                                      "1e5.", "abc",  "1_000", "\302\2401", "nan(1)"};
    for (size_t i = 0; i < VX_COUNT(bad); i++) ck_assert_msg(!number(bad[i], &value), "%s", bad[i]);
    static char digits[5000];
    memset(digits, '3', sizeof digits - 1);
    ck_assert(!number(digits, &value));
}
END_TEST

/* Sets a language that writes 1,5: an installed one, or one made for the occasion. */
static bool set_comma_language(void) {
    static const char *const languages[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8"};
    for (size_t i = 0; i < VX_COUNT(languages); i++)
        if (setlocale(LC_ALL, languages[i]) && *localeconv()->decimal_point == ',') return true;
    char command[600];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s' >/dev/null 2>&1",
             scratch_path("de_DE.UTF-8"));
    setenv("LOCPATH", scratch, 1);
    return system(command) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") &&
           *localeconv()->decimal_point == ',';
}

START_TEST(the_language_does_not_matter) {
    scratch_make();
    bool found = set_comma_language();
    if (!found) printf("no locale with a decimal comma can be had: only C is tested\n");
    float value;
    ck_assert(number("1.00000005960464477539063", &value) && value == 1 + FLT_EPSILON);
    ck_assert(!number("1,5", &value));
    vx_locale locale;
    vx_writer *file;
    ck_ok(vx_writer_open(scratch_path("a.csv"), &file));
    ck_ok(vx_locale_enter(&locale));
    ck_ok(vx_number_write(file, 1.5f));
    vx_locale_leave(&locale);
    ck_ok(vx_writer_commit(file));
    ck_assert(scratch_holds("a.csv", "1.5", 3));
    char after[8];
    snprintf(after, sizeof after, "%.1f", 1.5);
    ck_assert_str_eq(after, found ? "1,5" : "1.5");
    setlocale(LC_ALL, "C");
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch_path("de_DE.UTF-8"));
    ck_assert_int_eq(system(command), 0);
    scratch_remove();
}
END_TEST

START_TEST(what_is_written_reads_back) {
    scratch_make();
    static const char *const cells[] = {"plain", "with, comma",        "with \"quotes\"",
                                        "\"",    "line\nbreak",        "cr\r",
                                        "",      "\xC3\xA9t\xC3\xA9 ", "tab\t"};
    vx_writer *file;
    ck_ok(vx_writer_open(scratch_path("a.csv"), &file));
    for (size_t i = 0; i < VX_COUNT(cells); i++) {
        ck_ok(vx_cell_write(file, cells[i], ','));
        ck_ok(vx_writer_write(file, ",", 1));
    }
    ck_ok(vx_number_write(file, -NAN));
    ck_ok(vx_writer_write(file, ",", 1));
    ck_ok(vx_number_write(file, 0.1f));
    ck_ok(vx_writer_commit(file));
    vx_map map;
    ck_ok(vx_map_open(scratch_path("a.csv"), &map));
    vx_text text = vx_text_begin("a.csv", &map, ',');
    vx_pool columns = {0};
    ck_ok(vx_text_columns(&text, &columns));
    ck_assert_uint_eq(columns.count, VX_COUNT(cells) + 2);
    for (size_t i = 0; i < VX_COUNT(cells); i++)
        ck_assert_str_eq(vx_pool_get(&columns, i), cells[i]);
    ck_assert_str_eq(vx_pool_get(&columns, VX_COUNT(cells)), "nan");
    ck_assert_str_eq(vx_pool_get(&columns, VX_COUNT(cells) + 1), "0.100000001");
    vx_pool_free(&columns);
    vx_map_close(&map);
    scratch_remove();
}
END_TEST

START_TEST(excerpts_are_short_and_printable) {
    char excerpt[VX_EXCERPT];
    ck_assert_str_eq(vx_excerpt("a\nb\x01", 4, excerpt), "a?b?");
    char accents[101];
    for (size_t i = 0; i < 100; i += 2) memcpy(accents + i, "\xC3\xA9", 2);
    for (size_t from = 0; from < 2; from++) {
        vx_excerpt(accents + from, 100 - from, excerpt);
        size_t length = strlen(excerpt);
        ck_assert_str_eq(excerpt + length - 3, "...");
        ck_assert_int_eq((unsigned char)excerpt[length - 4], 0xA9);
    }
}
END_TEST

TEST_MAIN("io/text", lines_are_cut_into_cells, broken_quotes_say_the_line,
          columns_are_found_by_name_and_index, numbers_are_rounded_correctly,
          random_numbers_agree_with_the_library, words_and_spaces, the_language_does_not_matter,
          what_is_written_reads_back, excerpts_are_short_and_printable)
