#include "picture.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

void cli_picture_quote(FILE *script, const char *text) {
    fputc('\'', script);
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("''", script);
        else
            fputc(*text == '\n' ? ' ' : *text, script);
    fputc('\'', script);
}

int cli_picture_begin(const char *flag, const char *path, int width, struct cli_picture *p) {
    *p = (struct cli_picture){.path = path};
    bool svg = cli_ends(path, ".svg");
    if (!svg && !cli_ends(path, ".png"))
        return cli_words("%s %s: the picture is drawn as .svg or .png; give such a name", flag,
                         path);
    size_t room = strlen(path) + 16;
    p->script_path = cli_alloc((int64_t)room, 1, flag);
    p->part = cli_alloc((int64_t)room, 1, flag);
    if (p->script_path == NULL || p->part == NULL) return CLI_FAILED;
    snprintf(p->script_path, room, "%s.XXXXXX", path);
    snprintf(p->part, room, "%s.part", path);
    int file = mkstemp(p->script_path);
    p->script = file >= 0 ? fdopen(file, "w") : NULL;
    if (p->script == NULL)
        return cli_fail("%s %s: gnuplot's script cannot be made beside it (%s); check the folder",
                        flag, path, strerror(errno));
    if (svg)
        fprintf(p->script,
                "set terminal svg size %d,420 font 'DejaVu Sans,12' background 'white'\n", width);
    else
        fprintf(p->script, "set terminal pngcairo size %d,420 font 'DejaVu Sans,10'\n", width);
    fputs("set output ", p->script);
    cli_picture_quote(p->script, p->part);
    fputs("\nset grid\nset encoding utf8\n", p->script);
    return CLI_DONE;
}

static int run_gnuplot(const char *script) {
    char name[] = "gnuplot";
    char *const words[] = {name, (char *)(uintptr_t)script, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int state = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0); /* O_WRONLY */
    int error = posix_spawnp(&child, name, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT)
        return cli_fail("gnuplot: the program is not there to draw with; install the package "
                        "gnuplot");
    if (error != 0)
        return cli_fail("gnuplot: it does not start (%s); check its installation", strerror(error));
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(state) && WEXITSTATUS(state) == 0
               ? CLI_DONE
               : cli_fail("gnuplot: it could not draw; check that the folder can be written and "
                          "that gnuplot knows the terminals svg and pngcairo");
}

int cli_picture_finish(struct cli_picture *p, int answer) {
    bool written = p->script != NULL && fflush(p->script) == 0 && !ferror(p->script);
    if (answer == CLI_DONE && !written)
        answer = cli_fail("%s: gnuplot's script cannot be written beside it; make room", p->path);
    if (p->script != NULL) fclose(p->script);
    if (answer == CLI_DONE) answer = run_gnuplot(p->script_path);
    if (answer == CLI_DONE && rename(p->part, p->path) != 0)
        answer =
            cli_fail("%s: it cannot be written (%s); check the folder", p->path, strerror(errno));
    if (answer != CLI_DONE && p->part != NULL) unlink(p->part);
    if (p->script != NULL) unlink(p->script_path);
    free(p->script_path);
    free(p->part);
    return answer;
}
