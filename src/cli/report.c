#include "report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cli_report *cli_report_new(void) {
    struct cli_report *report = cli_alloc(1, sizeof *report, "result");
    if (report == NULL) return NULL;
    report->json = json_object();
    report->failed = report->json == NULL;
    return report;
}

void cli_report_free(struct cli_report *report) {
    if (report == NULL) return;
    json_decref(report->json);
    free(report->lines);
    free(report);
}

static void add_line(struct cli_report *report, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_line(struct cli_report *report, const char *label, const char *format, ...) {
    if (label == NULL) return;
    if (report->count == report->room) {
        int room = report->room ? report->room * 2 : 16;
        struct cli_line *lines = realloc(report->lines, (size_t)room * sizeof *lines);
        if (lines == NULL) {
            report->failed = true;
            return;
        }
        report->lines = lines;
        report->room = room;
    }
    struct cli_line *line = &report->lines[report->count++];
    snprintf(line->label, sizeof line->label, "%s", label);
    va_list words;
    va_start(words, format);
    vsnprintf(line->text, sizeof line->text, format, words);
    va_end(words);
}

void cli_report_json(struct cli_report *report, const char *key, json_t *value) {
    if (key == NULL)
        json_decref(value);
    else if (json_object_set_new(report->json, key, value) != 0)
        report->failed = true;
}

void cli_report_text(struct cli_report *report, const char *key, const char *label,
                     const char *text) {
    /* A path need not be UTF-8, JSON must be. */
    json_t *value = json_string(text);
    cli_report_json(report, key, value != NULL ? value : json_null());
    add_line(report, label, "%s", text);
}

void cli_report_int(struct cli_report *report, const char *key, const char *label, int64_t value) {
    cli_report_json(report, key, json_integer(value));
    add_line(report, label, "%lld", (long long)value);
}

json_t *cli_json_real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

void cli_report_real(struct cli_report *report, const char *key, const char *label, double value,
                     int digits, const char *unit) {
    cli_report_json(report, key, cli_json_real(value));
    if (isfinite(value))
        add_line(report, label, "%.*f%s", digits, value, unit);
    else
        add_line(report, label, "none");
}

void cli_report_bytes(struct cli_report *report, const char *key, const char *label, double value) {
    cli_report_json(report, key, json_integer((json_int_t)value));
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    add_line(report, label, "%.*f %s", unit == 0 ? 0 : 2, value, units[unit]);
}

int cli_report_print(struct cli_report *report) {
    int answer = CLI_DONE;
    cli_progress_end();
    if (report->failed) {
        answer = cli_fail("result: no memory to print it; free some");
    } else if (cli_common.json) {
        if (json_dumpf(report->json, stdout, JSON_REAL_PRECISION(15)) != 0 || putchar('\n') == EOF)
            answer = cli_fail("standard output: cannot be written; check where it leads");
    } else {
        int width = 0;
        for (int i = 0; i < report->count; i++) {
            int length = (int)strlen(report->lines[i].label);
            if (length > width) width = length;
        }
        for (int i = 0; i < report->count; i++)
            printf("%-*s  %s\n", width, report->lines[i].label, report->lines[i].text);
    }
    cli_report_free(report);
    return answer;
}
