/* The progress bar and Ctrl-C. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t caught;
static bool drawn;
static double drawn_at, started_at, drawn_fraction;

static void catch_signal(int number) {
    caught = number;
}

void cli_catch_signals(void) {
    struct sigaction action = {.sa_handler = catch_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A file at its size limit is an error to report, not a reason to die. */
    signal(SIGXFSZ, SIG_IGN);
}

int cli_signal(void) {
    return caught;
}

double cli_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void draw(const char *phase, double fraction) {
    enum { WIDTH = 40, REDRAW_MS = 50, TELL_AFTER = 2 };
    double now = cli_clock();
    if (!drawn || fraction < drawn_fraction) started_at = now;
    if (drawn && fraction < 1 && (now - drawn_at) * 1000 < REDRAW_MS) return;
    char bar[WIDTH + 1];
    int filled = (int)(fraction * WIDTH);
    memset(bar, '#', (size_t)filled);
    memset(bar + filled, ' ', (size_t)(WIDTH - filled));
    bar[WIDTH] = 0;
    double left = fraction > 0 ? (now - started_at) * (1 - fraction) / fraction : 0;
    fprintf(stderr, "\r\033[K%-12s [%s] %3d%%", phase, bar, (int)(fraction * 100));
    if (now - started_at > TELL_AFTER && fraction > 0 && fraction < 1)
        fprintf(stderr, ", %.0f s left", left);
    fflush(stderr);
    drawn = true;
    drawn_at = now;
    drawn_fraction = fraction;
}

int cli_progress(void *span, const char *phase, double fraction) {
    const struct cli_span *part = span;
    if (part != NULL) {
        fraction = part->from + (part->to - part->from) * fraction;
        if (part->phase != NULL) phase = part->phase;
    }
    if (fraction < 0) fraction = 0;
    if (fraction > 1) fraction = 1;
    if (!cli_common.quiet && isatty(STDERR_FILENO)) draw(phase, fraction);
    return caught != 0;
}

void cli_progress_end(void) {
    if (drawn) fprintf(stderr, "\r\033[K");
    drawn = false;
}

vindex_call cli_call(struct cli_span *span) {
    vindex_call call;
    vindex_call_init(&call);
    call.threads = cli_common.threads;
    call.progress = cli_progress;
    call.progress_context = span;
    return call;
}
