/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow token mint` from outside: what it prints, and what it refuses to make. */
#include "../auth-hmac/loaded.h"

#include "fake_command.h"
#include "jwt/base64url.h"
#include "jwt/jwt.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int set_up(void **state)
{
    struct loaded *l = calloc(1, sizeof *l);
    assert_non_null(l);
    loaded_init(l, PLUGIN_FILE, "command-token", BURROW_KIND_COMMAND);
    assert_string_equal(loaded_option(l, "expires-in")->def, "1h");
    loaded_set_number(l, "expires-in", 3600000);
    loaded_set_string(l, "sub", "client-a");
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    loaded_finish(*state);
    free(*state);
    return 0;
}

/* Runs mint with standard output going to out_fd and returns the exit code. */
static int run(struct loaded *l, int out_fd)
{
    struct fake_command command = {.judgement = NULL};
    void *self = loaded_start(l);
    fake_command_adopt(&command, &l->host, l->plugin, self);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0);
    fake_command_run(&command, "mint");
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    assert_int_equal(command.finished, 1);
    loaded_end(l, self);
    fake_command_forget(&command);
    return command.exit_code;
}

/* What mint prints, without the newline that must end it. */
static char *mint(struct loaded *l)
{
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_int_equal(run(l, fileno(out)), 0);
    char *text = calloc(1, JWT_MAX_TOKEN + 16);
    assert_non_null(text);
    rewind(out);
    size_t n = fread(text, 1, JWT_MAX_TOKEN + 15, out);
    fclose(out);
    assert_true(n > 1);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    text[n - 1] = '\0';
    return text;
}

/* The claims of the token that mint prints. */
static json_t *mint_claims(struct loaded *l)
{
    char *token = mint(l);
    char *payload = strchr(token, '.') + 1;
    uint8_t bytes[JWT_MAX_TOKEN];
    size_t n = 0;
    assert_int_equal(base64url_decode(payload, (size_t)(strchr(payload, '.') - payload), bytes,
                                      sizeof bytes, &n),
                     BURROW_OK);
    json_t *claims = json_loadb((const char *)bytes, n, 0, NULL);
    assert_non_null(claims);
    free(token);
    return claims;
}

static void refuses(struct loaded *l, const char *part)
{
    FILE *out = tmpfile();
    assert_non_null(out);
    l->host.error[0] = '\0';
    assert_int_equal(run(l, fileno(out)), 2);
    assert_int_equal(lseek(fileno(out), 0, SEEK_END), 0); /* nothing is printed */
    fclose(out);
    if (!strstr(l->host.error, part))
        print_error("%s\n", l->host.error);
    assert_non_null(strstr(l->host.error, part));
}

static void the_token_and_a_newline_are_all_that_is_printed(void **state)
{
    struct loaded *l = *state;
    loaded_set_string(l, "jwt-issuer", "dev-local");
    loaded_set_string(l, "jwt-audience", "burrow-server");
    char *token = mint(l);
    const struct burrow_secret secret = {(const uint8_t *)SECRET, strlen(SECRET)};
    const struct jwt_rules rules = {
        .alg = jwt_alg_find("HS256"), .issuer = "dev-local", .audience = "burrow-server"};
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(jwt_check(token, strlen(token), &rules, jwt_verify_hmac, &secret,
                               (int64_t)time(NULL) * 1000, &who, &why),
                     BURROW_OK);
    assert_string_equal(who.subject, "client-a");
    assert_int_equal(l->host.log_count, 0);
    free(token);
}

static void the_claims_are_those_of_the_options(void **state)
{
    struct loaded *l = *state;
    int64_t before = (int64_t)time(NULL);
    json_t *claims = mint_claims(l);
    int64_t iat = json_integer_value(json_object_get(claims, "iat"));
    assert_true(iat >= before && iat <= (int64_t)time(NULL));
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), iat + 3600);
    assert_string_equal(json_string_value(json_object_get(claims, "sub")), "client-a");
    assert_int_equal(json_object_size(claims), 3);
    json_decref(claims);
}

static void further_claims_are_text_or_json(void **state)
{
    struct loaded *l = *state;
    static const char *const items[] = {
        "team=7", "admin:=true", "empty=", "eq=a=b", "burrow:={\"services\":[\"pg\"]}", "u:v=w"};
    loaded_set_list(l, "claim", items, 6);
    json_t *claims = mint_claims(l);
    assert_string_equal(json_string_value(json_object_get(claims, "team")), "7");
    assert_true(json_is_true(json_object_get(claims, "admin")));
    assert_string_equal(json_string_value(json_object_get(claims, "empty")), "");
    assert_string_equal(json_string_value(json_object_get(claims, "eq")), "a=b");
    assert_string_equal(json_string_value(json_object_get(claims, "u:v")), "w");
    assert_true(json_is_object(json_object_get(claims, "burrow")));
    json_decref(claims);
}

static void bad_claims_are_refused(void **state)
{
    struct loaded *l = *state;
    static const struct {
        const char *item, *part;
    } bad[] = {
        {"novalue", "is not NAME=TEXT"},
        {"=x", "is not NAME=TEXT"},
        {":=1", "is not NAME=TEXT"},
        {"", "is not NAME=TEXT"},
        {"sub=x", "sub is set by --sub"},
        {"exp:=1", "exp is set by --expires-in"},
        {"iss=x", "iss is set by --jwt-issuer"},
        {"iat:=1", "always the time of minting"},
        {"x:={", "the value of x is no JSON"},
        {"x:={\"a\":1,\"a\":2}", "no JSON: duplicate"},
        {"x=\xff", "no valid UTF-8"},
        {"\xff=x", "no valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        loaded_set_list(l, "claim", &bad[i].item, 1);
        refuses(l, bad[i].part);
    }
    static const char *const twice[] = {"x=1", "x=2"};
    loaded_set_list(l, "claim", twice, 2);
    refuses(l, "x is given twice");
}

static void not_before_is_unix_time_a_date_or_a_distance(void **state)
{
    struct loaded *l = *state;
    loaded_set_number(l, "expires-in", (int64_t)10 * 365 * 86400 * 1000);
    static const struct {
        const char *text;
        int64_t at, from_now;
    } good[] = {{"1790000000", 1790000000, 0},
                {"2026-09-21T14:13:20Z", 1790000000, 0},
                {"0", 0, 0},
                {"90s", 0, 90},
                {"5m", 0, 300},
                {"2h", 0, 7200},
                {"1d", 0, 86400}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        loaded_set_string(l, "not-before", good[i].text);
        json_t *claims = mint_claims(l);
        int64_t iat = json_integer_value(json_object_get(claims, "iat"));
        assert_int_equal(json_integer_value(json_object_get(claims, "nbf")),
                         good[i].from_now ? iat + good[i].from_now : good[i].at);
        json_decref(claims);
    }
}

static void not_before_of_another_form_is_refused(void **state)
{
    struct loaded *l = *state;
    static const char *const bad[] = {"soon",
                                      "-5m",
                                      "+5m",
                                      " 5m",
                                      "5 m",
                                      "5w",
                                      "1e9",
                                      "m",
                                      "2026-02-30T00:00:00Z",
                                      "2026-11-21",
                                      "2026-11-21T08:00:00",
                                      "2026-11-21T08:00:60Z",
                                      "99999999999999999999",
                                      "253402300799d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        loaded_set_string(l, "not-before", bad[i]);
        refuses(l, "is no moment");
    }
}

static void a_token_that_is_never_valid_is_refused(void **state)
{
    struct loaded *l = *state;
    loaded_set_string(l, "not-before", "1h");
    refuses(l, "raise --expires-in");
}

static void a_subject_that_no_server_accepts_is_refused(void **state)
{
    struct loaded *l = *state;
    char long_sub[JWT_MAX_SUBJECT + 2];
    memset(long_sub, 'x', sizeof long_sub - 1);
    long_sub[sizeof long_sub - 1] = '\0';
    loaded_set_string(l, "sub", long_sub);
    refuses(l, "sub has 129 bytes");
    loaded_set_string(l, "sub", "a\nb");
    refuses(l, "control character");
    loaded_set_string(l, "sub", "\xff");
    refuses(l, "--sub: the value is no valid UTF-8");
    loaded_set_string(l, "sub", "");
    refuses(l, "--sub (BURROW_SUB) is missing");
    loaded_set_string(l, "sub", NULL);
    refuses(l, "--sub (BURROW_SUB) is missing");
}

static void a_token_longer_than_8192_bytes_is_refused(void **state)
{
    struct loaded *l = *state;
    static char item[7000] = "x=";
    memset(item + 2, 'x', sizeof item - 3);
    const char *items[] = {item};
    loaded_set_list(l, "claim", items, 1);
    refuses(l, "longer than 8192 bytes");
}

static void secrets_follow_the_servers_rules(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", "");
    refuses(l, "a secret is missing");
    loaded_set_secret(l, "jwt-hmac-secret", "dev-secret");
    refuses(l, "--jwt-allow-weak-secret");
    loaded_set_bool(l, "jwt-allow-weak-secret", 1);
    free(mint(l));
    assert_true(fake_host_logged(&l->host, BURROW_LOG_WARN, "for development only"));
    loaded_set_string(l, "jwt-alg", "RS256");
    refuses(l, "--jwt-alg");
}

static void every_algorithm_signs(void **state)
{
    struct loaded *l = *state;
    static const char *const algs[] = {"HS256", "HS384", "HS512"};
    static const size_t macs[] = {43, 64, 86};
    for (size_t i = 0; i < 3; i++) {
        loaded_set_string(l, "jwt-alg", algs[i]);
        char *token = mint(l);
        assert_int_equal(strlen(strrchr(token, '.') + 1), macs[i]);
        free(token);
    }
}

static void output_that_cannot_be_written_is_exit_1(void **state)
{
    struct loaded *l = *state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(run(l, fileno(full)), 1);
    assert_non_null(strstr(l->host.error, "No space left on device"));
    fclose(full);
    clearerr(stdout);
}

#define WITH_PLUGIN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLUGIN(the_token_and_a_newline_are_all_that_is_printed),
        WITH_PLUGIN(the_claims_are_those_of_the_options),
        WITH_PLUGIN(further_claims_are_text_or_json),
        WITH_PLUGIN(bad_claims_are_refused),
        WITH_PLUGIN(not_before_is_unix_time_a_date_or_a_distance),
        WITH_PLUGIN(not_before_of_another_form_is_refused),
        WITH_PLUGIN(a_token_that_is_never_valid_is_refused),
        WITH_PLUGIN(a_subject_that_no_server_accepts_is_refused),
        WITH_PLUGIN(a_token_longer_than_8192_bytes_is_refused),
        WITH_PLUGIN(secrets_follow_the_servers_rules),
        WITH_PLUGIN(every_algorithm_signs),
        WITH_PLUGIN(output_that_cannot_be_written_is_exit_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
