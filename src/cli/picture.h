/* Pictures, drawn by gnuplot. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include <stdio.h>

/* A picture on its way: gnuplot reads the script, which lies beside it, and draws into `part`,
 * which takes its name when it is whole. */
struct cli_picture {
    const char *path;
    char *script_path, *part;
    FILE *script;
};

/* Starts a script for a picture of that width, .svg or .png by its name; flag ("--plot") is for
 * errors. cli_picture_finish is due whatever it answers. */
int cli_picture_begin(const char *flag, const char *path, int width, struct cli_picture *p);

/* Writes text between gnuplot's single quotes. */
void cli_picture_quote(FILE *script, const char *text);

/* Draws what the script says, where answer is CLI_DONE, and clears up; answers the outcome. */
int cli_picture_finish(struct cli_picture *p, int answer);

#endif
