/* SPDX-License-Identifier: Apache-2.0 */
/* The shared secret: by value or by file, long enough, with errors that name the remedy. */
#include "helper.h"
#include "jwt/secret.h"

#include "fake_host.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct fake_host host;
    char folder[64];
    char file[96];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fake_host_init(&f->host);
    strcpy(f->folder, "/tmp/burrow-secret-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof f->file, "%s/secret", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->file);
    rmdir(f->folder);
    fake_host_finish(&f->host);
    free(f);
    return 0;
}

static void write_file(const struct fixture *f, const char *text, size_t len)
{
    int fd = open(f->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static int load(struct fixture *f, const char *value, const char *file, bool allow_weak,
                struct jwt_secrets *ret)
{
    const struct jwt_secret_options options = {
        .secret = {(const uint8_t *)value, value ? strlen(value) : 0},
        .file = file,
        .allow_weak = allow_weak,
    };
    return jwt_secrets_load(&f->host.table, &options, jwt_alg_find("HS256"), ret);
}

static void refuses_secret(struct fixture *f, const char *value, const char *file, const char *part)
{
    struct jwt_secrets secret;
    assert_int_equal(load(f, value, file, false, &secret), BURROW_EINVAL);
    if (!strstr(f->host.error, part))
        print_error("%s\n", f->host.error);
    assert_non_null(strstr(f->host.error, part));
}

#define GOOD32 "0123456789abcdef0123456789abcdef"

static void a_secret_by_value_is_taken_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct jwt_secrets secret;
    assert_int_equal(load(f, GOOD32 "\n", NULL, false, &secret), BURROW_OK);
    assert_int_equal(secret.current.value.len, 33);
    assert_memory_equal(secret.current.value.data, GOOD32 "\n", 33);
    assert_false(secret.current.weak);
    jwt_secrets_finish(&secret);
    assert_null(secret.current.value.data);
}

static void one_line_end_after_the_secret_in_a_file_does_not_count(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {{GOOD32, 32},        {GOOD32 "\n", 32}, {GOOD32 "\r\n", 32},
                 {GOOD32 "\n\n", 33}, {GOOD32 "\r", 33}, {GOOD32 " ", 33}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jwt_secrets secret;
        write_file(f, cases[i].text, strlen(cases[i].text));
        assert_int_equal(load(f, "", f->file, false, &secret), BURROW_OK);
        assert_int_equal(secret.current.value.len, cases[i].len);
        jwt_secrets_finish(&secret);
    }
}

static void a_file_may_hold_any_bytes(void **state)
{
    struct fixture *f = *state;
    struct jwt_secrets secret;
    char bytes[40];
    memset(bytes, 0, sizeof bytes);
    write_file(f, bytes, sizeof bytes);
    assert_int_equal(load(f, NULL, f->file, false, &secret), BURROW_OK);
    assert_int_equal(secret.current.value.len, sizeof bytes);
    jwt_secrets_finish(&secret);
}

static void no_secret_at_all_names_both_options(void **state)
{
    struct fixture *f = *state;
    refuses_secret(f, NULL, NULL, "--jwt-hmac-secret-file (BURROW_JWT_HMAC_SECRET_FILE)");
    refuses_secret(f, "", "", "--jwt-hmac-secret (BURROW_JWT_HMAC_SECRET)");
}

static void two_secrets_are_refused(void **state)
{
    struct fixture *f = *state;
    refuses_secret(f, GOOD32, f->file, "give only one of --jwt-hmac-secret ");
}

static void a_short_secret_is_refused_with_the_remedy(void **state)
{
    struct fixture *f = *state;
    refuses_secret(f, "0123456789abcdef0123456789abcde", NULL,
                   "the secret has 31 bytes, HS256 needs at least 32");
    refuses_secret(f, "dev-secret", NULL, "--jwt-allow-weak-secret");
    assert_null(strstr(f->host.error, "dev-secret"));
    write_file(f, "short\n", 6);
    refuses_secret(f, NULL, f->file, "the secret has 5 bytes");
}

static void a_short_secret_may_be_allowed(void **state)
{
    struct fixture *f = *state;
    struct jwt_secrets secret;
    assert_int_equal(load(f, "dev-secret", NULL, true, &secret), BURROW_OK);
    assert_true(secret.current.weak);
    jwt_secrets_finish(&secret);
    assert_int_equal(load(f, GOOD32, NULL, true, &secret), BURROW_OK);
    assert_false(secret.current.weak);
    jwt_secrets_finish(&secret);
}

static void longer_hashes_need_longer_secrets(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *alg;
        size_t need;
    } cases[] = {{"HS256", 32}, {"HS384", 48}, {"HS512", 64}};
    for (size_t i = 0; i < 3; i++) {
        struct jwt_secrets secret;
        struct jwt_secret_options options = {.secret = test_secret};
        options.secret.len = cases[i].need - 1;
        assert_int_equal(
            jwt_secrets_load(&f->host.table, &options, jwt_alg_find(cases[i].alg), &secret),
            BURROW_EINVAL);
        options.secret.len = cases[i].need;
        assert_int_equal(
            jwt_secrets_load(&f->host.table, &options, jwt_alg_find(cases[i].alg), &secret),
            BURROW_OK);
        jwt_secrets_finish(&secret);
    }
}

static void a_secret_has_at_most_4096_bytes(void **state)
{
    struct fixture *f = *state;
    static char big[JWT_MAX_SECRET + 100];
    memset(big, 'x', sizeof big - 1);
    struct jwt_secrets secret;
    struct jwt_secret_options options = {.secret = {(const uint8_t *)big, JWT_MAX_SECRET}};
    const struct jwt_alg *alg = jwt_alg_find("HS256");
    assert_int_equal(jwt_secrets_load(&f->host.table, &options, alg, &secret), BURROW_OK);
    jwt_secrets_finish(&secret);
    refuses_secret(f, big, NULL, "longer than 4096 bytes");
    options.secret.len = JWT_MAX_SECRET + 1;
    assert_int_equal(jwt_secrets_load(&f->host.table, &options, alg, &secret), BURROW_EINVAL);

    memcpy(big + JWT_MAX_SECRET, "\r\n", 2);
    write_file(f, big, JWT_MAX_SECRET + 2);
    assert_int_equal(load(f, NULL, f->file, false, &secret), BURROW_OK);
    assert_int_equal(secret.current.value.len, JWT_MAX_SECRET);
    jwt_secrets_finish(&secret);
    memset(big, 'x', sizeof big - 1);
    write_file(f, big, JWT_MAX_SECRET + 1);
    refuses_secret(f, NULL, f->file, "longer than 4096 bytes");
    write_file(f, big, sizeof big - 1);
    refuses_secret(f, NULL, f->file, "is larger than 4098 bytes");
}

static void a_file_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    refuses_secret(f, NULL, f->file, "No such file or directory");
    refuses_secret(f, NULL, f->folder, "is not a regular file");
    refuses_secret(f, NULL, "/dev/zero", "is not a regular file");
    assert_int_equal(mkfifo(f->file, 0600), 0);
    refuses_secret(f, NULL, f->file, "is not a regular file");
}

static void an_empty_file_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file(f, "", 0);
    refuses_secret(f, NULL, f->file, "is empty");
    write_file(f, "\n", 1);
    refuses_secret(f, NULL, f->file, "is empty");
}

static void a_file_that_everyone_may_write_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file(f, GOOD32, 32);
    assert_int_equal(chmod(f->file, 0606), 0);
    refuses_secret(f, NULL, f->file, "chmod o-w");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_secret_by_value_is_taken_as_it_is),
        WITH_FIXTURE(one_line_end_after_the_secret_in_a_file_does_not_count),
        WITH_FIXTURE(a_file_may_hold_any_bytes),
        WITH_FIXTURE(no_secret_at_all_names_both_options),
        WITH_FIXTURE(two_secrets_are_refused),
        WITH_FIXTURE(a_short_secret_is_refused_with_the_remedy),
        WITH_FIXTURE(a_short_secret_may_be_allowed),
        WITH_FIXTURE(longer_hashes_need_longer_secrets),
        WITH_FIXTURE(a_secret_has_at_most_4096_bytes),
        WITH_FIXTURE(a_file_that_is_none_is_refused),
        WITH_FIXTURE(an_empty_file_is_refused),
        WITH_FIXTURE(a_file_that_everyone_may_write_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
