/* A result: one list of named values, printed as an aligned table or as one JSON object. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>

#include "cli.h"

/* A key of NULL leaves the line out of the JSON, a label of NULL leaves it out of the table. */
struct cli_report {
    json_t *json;
    struct cli_line {
        char label[32], text[640];
    } * lines;
    int count, room;
    bool failed; /* no memory */
};

struct cli_report *cli_report_new(void);
void cli_report_free(struct cli_report *report);

void cli_report_text(struct cli_report *report, const char *key, const char *label,
                     const char *text);
void cli_report_int(struct cli_report *report, const char *key, const char *label, int64_t value);

/* How a number looks in the table: printf's precision, and what follows it. */
void cli_report_real(struct cli_report *report, const char *key, const char *label, double value,
                     int digits, const char *unit);

/* Bytes, in the table as KB, MB or GB. */
void cli_report_bytes(struct cli_report *report, const char *key, const char *label, double value);

/* A JSON value of any shape; takes the reference. Not in the table. */
void cli_report_json(struct cli_report *report, const char *key, json_t *value);

/* A finite number, or null. */
json_t *cli_json_real(double value);

/* Prints the report, as --json says, and frees it. */
int cli_report_print(struct cli_report *report);

#endif
