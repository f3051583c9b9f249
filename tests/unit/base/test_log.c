/* SPDX-License-Identifier: Apache-2.0 */
/* A log line is one line, escaped and bounded, whatever is logged. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TIME_LEN strlen("2026-11-21T08:00:00.123Z")

struct fixture {
    struct log log;
    int fds[2];
    char text[8192];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || pipe2(f->fds, O_CLOEXEC) != 0)
        return -1;
    fcntl(f->fds[0], F_SETFL, O_NONBLOCK);
    log_init(&f->log, f->fds[1], BURROW_LOG_INFO, LOG_LOGFMT);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->fds[0]);
    close(f->fds[1]);
    free(f);
    return 0;
}

/* What was written, "" if nothing. */
static const char *written(struct fixture *f)
{
    ssize_t n = read(f->fds[0], f->text, sizeof f->text - 1);
    f->text[n > 0 ? n : 0] = '\0';
    return f->text;
}

/* The line behind its time stamp and level. */
static const char *fields_of(struct fixture *f)
{
    const char *p = strstr(written(f), f->log.format == LOG_JSON ? "\"event\"" : "event=");
    assert_non_null(p);
    return p;
}

static void a_line_begins_with_time_level_and_event(void **state)
{
    struct fixture *f = *state;
    log_at(&f->log, BURROW_LOG_WARN, "it_happened", burrow_int("n", -3));
    const char *text = written(f);
    struct tm tm = {0};
    assert_memory_equal(text, "time=", 5);
    const char *end = strptime(text + 5, "%Y-%m-%dT%H:%M:%S", &tm);
    assert_non_null(end);
    assert_int_equal(end[0], '.');
    assert_int_equal(end[4], 'Z');
    assert_string_equal(text + 5 + TIME_LEN, " level=warn event=it_happened n=-3\n");
    time_t then = timegm(&tm), now = time(NULL);
    assert_true(now - then >= 0 && now - then < 60);
}

static void json_has_the_same_members(void **state)
{
    struct fixture *f = *state;
    f->log.format = LOG_JSON;
    log_at(&f->log, BURROW_LOG_INFO, "it_happened", burrow_uint("n", UINT64_MAX),
           burrow_str("s", "a b"));
    const char *text = written(f);
    assert_memory_equal(text, "{\"time\":\"", 9);
    assert_string_equal(text + 9 + TIME_LEN, "\",\"level\":\"info\",\"event\":\"it_happened\","
                                             "\"n\":18446744073709551615,\"s\":\"a b\"}\n");
}

static void a_level_that_is_off_writes_nothing(void **state)
{
    struct fixture *f = *state;
    log_at(&f->log, BURROW_LOG_DEBUG, "quiet", burrow_int("n", 1));
    assert_string_equal(written(f), "");
    log_event(&f->log, BURROW_LOG_DEBUG, "quiet", NULL, 0);
    assert_string_equal(written(f), "");
}

static void an_event_needs_no_fields(void **state)
{
    struct fixture *f = *state;
    log_event(&f->log, BURROW_LOG_ERROR, "bare", NULL, 0);
    assert_string_equal(fields_of(f), "event=bare\n");
}

static void values_with_blanks_quotes_or_nothing_are_quoted(void **state)
{
    struct fixture *f = *state;
    log_at(&f->log, BURROW_LOG_INFO, "e", burrow_str("a", "x y"), burrow_str("b", ""),
           burrow_str("c", "q\"\\"), burrow_str("d", "k=v"), burrow_str("e", "[::1]:80"),
           burrow_str("f", NULL), burrow_mem("g", "abcdef", 3));
    assert_string_equal(fields_of(f), "event=e a=\"x y\" b=\"\" c=\"q\\\"\\\\\" "
                                      "d=\"k=v\" e=[::1]:80 f=\"\" g=abc\n");
}

static void controls_and_ansi_sequences_are_escaped(void **state)
{
    struct fixture *f = *state;
    static const char bad[] = "\x1b[31mred\r\nlevel=error\t\x7f\x01\0z";
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        f->log.format = (enum log_format)format;
        log_at(&f->log, BURROW_LOG_INFO, "e", burrow_mem("v", bad, sizeof bad - 1));
        assert_non_null(
            strstr(fields_of(f), "\"\\u001b[31mred\\r\\nlevel=error\\t\\u007f\\u0001\\u0000z\""));
        assert_ptr_equal(strchr(f->text, '\n'), f->text + strlen(f->text) - 1);
    }
}

static void characters_that_hide_or_turn_text_are_escaped(void **state)
{
    struct fixture *f = *state;
    /* C1 CSI, right-to-left override, zero-width space, line separator, a tag
     * character */
    log_at(&f->log, BURROW_LOG_INFO, "e",
           burrow_str("v", "\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xe2\x80\xa8\xf3\xa0\x81\x81"));
    assert_string_equal(fields_of(f), "event=e v=\"\\u009b\\u202e\\u200b\\u2028\\udb40\\udc41\"\n");
}

static void good_utf8_passes_and_bad_bytes_are_replaced(void **state)
{
    struct fixture *f = *state;
    log_at(&f->log, BURROW_LOG_INFO, "e",
           burrow_str("good", "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
           burrow_str("lone", "a\x80z\xff"), burrow_str("overlong", "\xc0\xaf\xe0\x80\x80"),
           burrow_str("surrogate", "\xed\xa0\x80"), burrow_str("high", "\xf4\x90\x80\x80"),
           burrow_str("cut", "\xe2\x82"));
    assert_string_equal(fields_of(f),
                        "event=e good=\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\" "
                        "lone=\"a\\ufffdz\\ufffd\" "
                        "overlong=\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\" "
                        "surrogate=\"\\ufffd\\ufffd\\ufffd\" "
                        "high=\"\\ufffd\\ufffd\\ufffd\\ufffd\" cut=\"\\ufffd\\ufffd\"\n");
}

static void names_cannot_break_the_line_or_stand_in_for_the_event(void **state)
{
    struct fixture *f = *state;
    log_at(&f->log, BURROW_LOG_INFO, "e", burrow_str("a b=\"\n", "1"), burrow_str("event", "x"),
           burrow_str("level", "y"), burrow_str("", "z"));
    assert_string_equal(fields_of(f), "event=e a_b___=1 event_=x level_=y _=z\n");
}

static void a_long_value_is_cut_and_the_fields_behind_it_stay(void **state)
{
    struct fixture *f = *state;
    char *huge = malloc(100000);
    memset(huge, 'x', 100000);
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        f->log.format = (enum log_format)format;
        log_at(&f->log, BURROW_LOG_INFO, "e", burrow_mem("big", huge, 100000),
               burrow_mem("more", huge, 100000), burrow_uint("n", UINT64_MAX),
               burrow_str("last", "here"));
        const char *text = written(f);
        size_t n = strlen(text);
        assert_true(n > 1900 && n <= 2048);
        assert_non_null(strstr(text, "xxx...\""));
        assert_non_null(strstr(text, "18446744073709551615"));
        const char *end = format == LOG_JSON ? "\"last\":\"here\"}\n" : " last=here\n";
        assert_string_equal(text + n - strlen(end), end);
    }
    free(huge);
}

static void a_cut_never_splits_an_escape_or_a_character(void **state)
{
    struct fixture *f = *state;
    static const char *const units[] = {"\x1b", "\xe2\x82\xac", "\xf3\xa0\x81\x81", "\""};
    char value[4096];
    f->log.format = LOG_JSON;
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        for (size_t shift = 0; shift < 16; shift++) {
            size_t n = shift, len = strlen(units[u]);
            memset(value, 'x', shift);
            for (; n + len < sizeof value; n += len)
                memcpy(value + n, units[u], len);
            log_at(&f->log, BURROW_LOG_INFO, "e", burrow_mem("v", value, n));
            const char *text = written(f);
            size_t total = strlen(text);
            assert_true(total > 2000 && total <= 2048);
            /* Whole units, then the mark. */
            const char *p = strstr(text, "\"v\":\"") + 5 + shift;
            static const char *const shown[] = {"\\u001b", "\xe2\x82\xac", "\\udb40\\udc41",
                                                "\\\""};
            while (strncmp(p, shown[u], strlen(shown[u])) == 0)
                p += strlen(shown[u]);
            assert_string_equal(p, "...\"}\n");
        }
    }
}

static void too_many_fields_lose_the_last_ones_whole(void **state)
{
    struct fixture *f = *state;
    struct burrow_field fields[200];
    for (size_t i = 0; i < 200; i++)
        fields[i] = burrow_str("a_rather_long_field_name", "and a value with blanks in it");
    f->log.format = LOG_JSON;
    log_event(&f->log, BURROW_LOG_INFO, "e", fields, 200);
    const char *text = written(f);
    size_t n = strlen(text);
    assert_true(n <= 2048);
    static const char end[] = "\"a_rather_long_field_name\":\"and a value with blanks in it\"}\n";
    assert_string_equal(text + n - strlen(end), end);
}

static void a_full_pipe_loses_the_line_and_does_not_block(void **state)
{
    struct fixture *f = *state;
    static const char block[4096] = {0};
    /* The writing end blocks, as standard error does; fill it by another
     * description of it. */
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", f->fds[1]);
    int filler = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(filler >= 0);
    while (write(filler, block, sizeof block) > 0)
        ;
    while (write(filler, block, 1) > 0)
        ;
    close(filler);
    alarm(60); /* ends the test if it blocks */
    errno = 4242;
    log_at(&f->log, BURROW_LOG_INFO, "lost", burrow_int("n", 1));
    assert_int_equal(errno, 4242);
    alarm(0);
    while (written(f)[0] != '\0' || read(f->fds[0], f->text, sizeof f->text) > 0)
        ;
    log_at(&f->log, BURROW_LOG_INFO, "kept", burrow_int("n", 2));
    assert_string_equal(fields_of(f), "event=kept n=2\n");
}

static void a_broken_pipe_is_no_matter(void **state)
{
    struct fixture *f = *state;
    signal(SIGPIPE, SIG_IGN);
    close(f->fds[0]);
    log_at(&f->log, BURROW_LOG_INFO, "lost", burrow_int("n", 1));
    f->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct log closed = f->log;
    closed.fd = -1;
    log_at(&closed, BURROW_LOG_INFO, "lost", burrow_int("n", 1));
}

static void a_file_takes_every_line(void **state)
{
    struct fixture *f = *state;
    FILE *file = tmpfile();
    assert_non_null(file);
    f->log.fd = fileno(file);
    for (int i = 0; i < 500; i++)
        log_at(&f->log, BURROW_LOG_INFO, "e", burrow_int("n", i));
    rewind(file);
    int lines = 0;
    while (fgets(f->text, sizeof f->text, file) != NULL)
        lines++;
    assert_int_equal(lines, 500);
    fclose(file);
}

static void levels_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int level = BURROW_LOG_DEBUG; level <= BURROW_LOG_ERROR; level++) {
        assert_string_equal(log_level_name(level), names[level]);
        assert_int_equal(log_level_parse(names[level]), level);
    }
    assert_int_equal(log_level_parse("INFO"), -1);
    assert_int_equal(log_level_parse(""), -1);
    assert_string_equal(log_level_name(9), "unknown");
}

#define with_pipe(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_pipe(a_line_begins_with_time_level_and_event),
        with_pipe(json_has_the_same_members),
        with_pipe(a_level_that_is_off_writes_nothing),
        with_pipe(an_event_needs_no_fields),
        with_pipe(values_with_blanks_quotes_or_nothing_are_quoted),
        with_pipe(controls_and_ansi_sequences_are_escaped),
        with_pipe(characters_that_hide_or_turn_text_are_escaped),
        with_pipe(good_utf8_passes_and_bad_bytes_are_replaced),
        with_pipe(names_cannot_break_the_line_or_stand_in_for_the_event),
        with_pipe(a_long_value_is_cut_and_the_fields_behind_it_stay),
        with_pipe(a_cut_never_splits_an_escape_or_a_character),
        with_pipe(too_many_fields_lose_the_last_ones_whole),
        with_pipe(a_full_pipe_loses_the_line_and_does_not_block),
        with_pipe(a_broken_pipe_is_no_matter),
        with_pipe(a_file_takes_every_line),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
