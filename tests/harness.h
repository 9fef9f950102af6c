/* The few lines every Check program shares. A test file defines its cases with START_TEST and ends
 * with TEST_MAIN("room/file", case_one, case_two, ...). */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <vindex/status.h>

/* Fails with the library's own sentence. */
#define ck_ok(call)                                                         \
    do {                                                                    \
        vindex_status ck_status_ = (call);                                  \
        ck_assert_msg(ck_status_ == VINDEX_OK, "%s: %s (%s)", #call,        \
                      vindex_status_name(ck_status_), vindex_last_error()); \
    } while (0)

/* As ck_assert_msg, but free while it holds: for inner loops. (Check notes every assertion it
 * passes in a file.) */
#define ck_each(condition, ...)                      \
    do {                                             \
        if (!(condition)) ck_abort_msg(__VA_ARGS__); \
    } while (0)

/* The call must fail with that status and a sentence that contains that text. */
#define ck_fails(status, text, call)                                                   \
    do {                                                                               \
        vindex_status ck_status_ = (call);                                             \
        ck_assert_msg(ck_status_ == (status), "%s: expected %s, got %s (%s)", #call,   \
                      vindex_status_name(status), vindex_status_name(ck_status_),      \
                      vindex_last_error());                                            \
        ck_assert_msg(strstr(vindex_last_error(), (text)) != NULL,                     \
                      "%s: the error should mention '%s', it says: %s", #call, (text), \
                      vindex_last_error());                                            \
    } while (0)

static inline int harness_run(const char *name, const TTest *const *cases, size_t count) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 0);
    for (size_t i = 0; i < count; i++) tcase_add_test(tcase, cases[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST_MAIN(name, ...)                                           \
    int main(void) {                                                   \
        const TTest *const cases[] = {__VA_ARGS__};                    \
        return harness_run(name, cases, sizeof cases / sizeof *cases); \
    }

#endif
