/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from a kubeconfig's program: real programs of /bin/sh, on a fake host. */
#include "../http/rig.h"
#include "kubernetes/login.h"
#include "test_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SAYS(token) "echo '{\"status\": {\"token\": \"" token "\"}}'"

struct waiting {
    struct kube_waiter waiter;
    unsigned woken;
    int result;
    char why[KUBE_WHY];
};

/* A login by `program`, a script. */
struct trial {
    struct rig rig;
    struct kube_config config;
    struct kube_login login;
    struct waiting first, second;
    char *folder;
};

static void on_wake(void *arg, int result, const char *why)
{
    struct waiting *w = arg;
    w->woken++;
    w->result = result;
    snprintf(w->why, sizeof w->why, "%s", why);
}

static void begin(struct trial *t, const char *entry, const char *program)
{
    char path[300], text[4096], why[KUBE_WHY];
    memset(t, 0, sizeof *t);
    t->folder = test_dir_make();
    free(test_text_write(t->folder, "login", program));
    snprintf(path, sizeof path, "%s/login", t->folder);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(text, sizeof text,
             "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
             " clusters: [{name: c, cluster: {server: 'https://api.example:6443/x',"
             " extensions: [{name: client.authentication.k8s.io/exec, extension: {a: 1}}]}}],"
             " users: [{name: u, user: {exec: {command: ./login%s}}}]}",
             entry);
    char *kubeconfig = test_text_write(t->folder, "kubeconfig", text);
    const struct kube_config_choice choice = {kubeconfig, NULL, true};
    if (kube_config_load(&choice, &t->config, why) != BURROW_OK)
        fail_msg("%s", why);
    free(kubeconfig);
    rig_init(&t->rig, NULL, NULL, NULL);
    kube_login_init(&t->login, &t->rig.host.table, &t->config);
    t->first.waiter = (struct kube_waiter){.wake = on_wake, .arg = &t->first};
    t->second.waiter = (struct kube_waiter){.wake = on_wake, .arg = &t->second};
}

static void end(struct trial *t)
{
    kube_login_finish(&t->login);
    rig_finish(&t->rig); /* fails when something is held */
    kube_config_finish(&t->config);
    test_dir_remove(t->folder);
}

static int ask(struct trial *t, struct waiting *w)
{
    return kube_log_in(&t->login, &w->waiter, w->why);
}

/* One run, and what it came to. */
static int once(struct trial *t)
{
    unsigned woken = t->first.woken;
    assert_int_equal(ask(t, &t->first), BURROW_EAGAIN);
    rig_run(&t->rig, &t->first.woken, woken + 1);
    return t->first.result;
}

static void it_runs_once_for_all_who_wait(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "", "#!/bin/sh\necho >>\"${0%/*}/runs\"\n" SAYS("secret") "\n");
    assert_null(t.config.token); /* nothing is run before it is needed */
    assert_int_equal(ask(&t, &t.first), BURROW_EAGAIN);
    assert_int_equal(ask(&t, &t.second), BURROW_EAGAIN);
    kube_wait_no_more(&t.second.waiter);
    assert_int_equal(ask(&t, &t.second), BURROW_EAGAIN);
    rig_run(&t.rig, &t.first.woken, 1);
    rig_run(&t.rig, &t.second.woken, 1);
    assert_int_equal(t.first.result, BURROW_OK);
    assert_string_equal(t.config.token, "secret");
    assert_int_equal(ask(&t, &t.first), BURROW_OK);
    assert_int_equal(t.login.number, 1);
    end(&t);
}

static void it_runs_again_when_the_token_has_expired_or_was_refused(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "",
          "#!/bin/sh\necho '{\"status\": {\"token\": \"t\", \"expirationTimestamp\": "
          "\"2099-01-01T00:00:00Z\"}}'\n");
    assert_int_equal(once(&t), BURROW_OK);
    assert_int_equal(t.login.expires, 4070908800);
    assert_int_equal(ask(&t, &t.first), BURROW_OK);
    t.login.expires = 1700000000; /* the time has come */
    assert_int_equal(once(&t), BURROW_OK);
    assert_int_equal(t.login.number, 2);
    assert_true(kube_login_refused(&t.login, 1)); /* of those before: there are others already */
    assert_int_equal(ask(&t, &t.first), BURROW_OK);
    assert_true(kube_login_refused(&t.login, 2));
    assert_int_equal(once(&t), BURROW_OK);
    assert_int_equal(t.login.number, 3);
    end(&t);
}

static void what_has_expired_already_counts_for_a_while(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "",
          "#!/bin/sh\necho '{\"status\": {\"token\": \"t\", \"expirationTimestamp\": "
          "\"2020-01-01T00:00:00Z\"}}'\n");
    assert_int_equal(once(&t), BURROW_OK);
    assert_true(t.login.expires > 1700000000);
    end(&t);
}

static void what_it_does_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *script, *why;
    } faults[] = {
        {"exit 3", "login failed (code 3)"},
        {"kill -9 $$", "login failed (signal 9)"},
        {"echo hello", "neither a token nor a client certificate"},
        {"head -c 70000 /dev/zero", "more than 65536 bytes"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct trial t;
        char script[64];
        snprintf(script, sizeof script, "#!/bin/sh\n%s\n", faults[i].script);
        begin(&t, "", script);
        assert_true(once(&t) < 0);
        if (strstr(t.first.why, faults[i].why) == NULL)
            fail_msg("%s: \"%s\"", faults[i].script, t.first.why);
        assert_null(t.config.token);
        end(&t);
    }
}

static void one_that_is_not_there_is_told_at_once(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "r", "");
    assert_int_equal(ask(&t, &t.first), BURROW_EIO);
    assert_non_null(strstr(t.first.why, "loginr: No such file"));
    end(&t);
}

/* Its output, its end and its time are watched: without one of them it does not run. */
static void where_the_host_has_no_memory_nothing_is_left(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        struct trial t;
        begin(&t, "", "#!/bin/sh\n" SAYS("t") "\n");
        unsigned before = open_descriptors();
        t.rig.host.fail_at = n;
        assert_int_equal(ask(&t, &t.first), BURROW_ENOMEM);
        assert_int_equal(t.rig.host.fail_at, 0);
        assert_int_equal(t.rig.host.watches + t.rig.host.timers, 0);
        assert_int_equal(open_descriptors(), before);
        assert_int_equal(once(&t), BURROW_OK);
        end(&t);
    }
}

/* It has said all, and closed its output, but goes on; a minute passes on the host's clock. */
static void one_that_does_not_end_is_ended(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "", "#!/bin/sh\n" SAYS("t") "\nexec >&-\nsleep 1000\n");
    assert_int_equal(ask(&t, &t.first), BURROW_EAGAIN);
    fake_host_advance(&t.rig.host, KUBE_EXEC_MS);
    rig_run(&t.rig, &t.first.woken, 1);
    assert_true(t.first.result < 0);
    assert_non_null(strstr(t.first.why, "not done after 60 s"));
    end(&t);
}

static void what_it_has_started_may_keep_its_output_open(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "", "#!/bin/sh\n" SAYS("t") "\nsleep 1 &\n");
    assert_int_equal(once(&t), BURROW_OK);
    assert_string_equal(t.config.token, "t");
    end(&t);
}

static void it_ends_with_who_has_started_it(void **state)
{
    (void)state;
    struct trial t;
    begin(&t, "", "#!/bin/sh\nsleep 1000\n");
    assert_int_equal(ask(&t, &t.first), BURROW_EAGAIN);
    kube_wait_no_more(&t.first.waiter);
    end(&t);
    assert_int_equal(t.first.woken, 0);
}

static void it_gets_the_whole_environment_with_its_own(void **state)
{
    (void)state;
    struct trial t;
    char name[32];
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "MANY_%d", i);
        assert_int_equal(setenv(name, name, 1), 0);
    }
    setenv("OWN", "ours", 1);
    begin(&t, ", env: [{name: OWN, value: its}]",
          "#!/bin/sh\necho '{\"status\": {\"token\": \"'$MANY_399.$OWN.${PATH:+path}'\"}}'\n");
    assert_int_equal(once(&t), BURROW_OK);
    assert_string_equal(t.config.token, "MANY_399.its.path");
    end(&t);
}

static void it_is_told_of_the_cluster_when_it_asks(void **state)
{
    (void)state;
    static const char *const entries[] = {"", ", provideClusterInfo: true"};
    for (size_t i = 0; i < 2; i++) {
        struct trial t;
        begin(&t, entries[i], "");
        const char *text =
            json_string_value(json_object_get(t.config.exec->own, "KUBERNETES_EXEC_INFO"));
        json_t *info = json_loads(text, 0, NULL);
        const json_t *cluster = json_object_get(json_object_get(info, "spec"), "cluster");
        const char *server = json_string_value(json_object_get(cluster, "server"));
        assert_string_equal(json_string_value(json_object_get(info, "kind")), "ExecCredential");
        assert_string_equal(server ? server : "", i ? "https://api.example:6443/x" : "");
        assert_int_equal(json_object_size(json_object_get(cluster, "config")), i);
        json_decref(info);
        end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_once_for_all_who_wait),
        cmocka_unit_test(it_runs_again_when_the_token_has_expired_or_was_refused),
        cmocka_unit_test(what_has_expired_already_counts_for_a_while),
        cmocka_unit_test(what_it_does_wrong_is_told),
        cmocka_unit_test(one_that_is_not_there_is_told_at_once),
        cmocka_unit_test(where_the_host_has_no_memory_nothing_is_left),
        cmocka_unit_test(one_that_does_not_end_is_ended),
        cmocka_unit_test(what_it_has_started_may_keep_its_output_open),
        cmocka_unit_test(it_ends_with_who_has_started_it),
        cmocka_unit_test(it_gets_the_whole_environment_with_its_own),
        cmocka_unit_test(it_is_told_of_the_cluster_when_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
