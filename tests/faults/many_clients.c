/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burrow-many: as many clients as MANY_CLIENTS says, in one process, on one loop, with one
 * instance of each plugin. Everything else is as `burrow client` has it; the client id and the
 * first target's name are the given ones with a number behind.
 */
#include "cli/cli.h"
#include "cli/limits.h"
#include "client/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 1000u
#define MANY_MAX 100000

struct one {
    struct client_options options;
    struct client *client;
    const char *target;
    char id[160], target_text[512];
};

struct many {
    struct loop *loop;
    struct one *list;
    size_t count, running;
};

static void on_stopped(void *arg)
{
    struct many *many = arg;
    if (--many->running == 0)
        loop_break(many->loop);
}

static void on_terminate(void *arg)
{
    struct many *many = arg;
    for (size_t i = 0; i < many->count; i++)
        client_stop(many->list[i].client, "SIGTERM");
}

static int create_one(const struct runtime *rt, struct many *many, size_t number, struct error *err)
{
    const struct client_options *given = rt->options;
    struct one *one = &many->list[number];
    snprintf(one->id, sizeof one->id, "%.100s-%zu", given->client_id, number);
    snprintf(one->target_text, sizeof one->target_text, "%s=%.300s", one->id,
             given->local_target.items[0]);
    one->target = one->target_text;
    one->options = *given;
    one->options.client_id = one->id;
    one->options.local_target = (struct burrow_list){.items = &one->target, .count = 1};
    const struct client_config config = {
        .options = &one->options,
        .loop = rt->loop,
        .log = &rt->log,
        .instances = rt->workers[0].instances,
        .instance_count = rt->workers[0].instance_count,
        .stopped = on_stopped,
        .arg = many,
    };
    return client_create(&config, &one->client, err);
}

static int start_all(struct runtime *rt, struct many *many, struct error *err)
{
    int rc = BURROW_OK;
    for (; rc == BURROW_OK && many->running < many->count; many->running++)
        rc = create_one(rt, many, many->running, err);
    if (rc == BURROW_OK)
        rc = runtime_start(rt, err);
    for (size_t i = 0; rc == BURROW_OK && i < many->count; i++)
        rc = client_start(many->list[i].client, err);
    return rc;
}

static int run(struct runtime *rt)
{
    struct error err = {0};
    const char *text = getenv("MANY_CLIENTS");
    long count = text != NULL ? strtol(text, NULL, 10) : 0;
    struct many many = {.loop = rt->loop};
    if (count < 1 || count > MANY_MAX) {
        error_set(&err, BURROW_EINVAL, "MANY_CLIENTS: a number from 1 to %d", MANY_MAX);
        return cli_fail(&err);
    }
    limits_raise_descriptors(&rt->log);
    many.count = (size_t)count;
    many.list = calloc(many.count, sizeof *many.list);
    struct loop_signal *terminate = loop_signal(rt->loop, SIGTERM, on_terminate, &many);
    int code = 0;
    if (many.list == NULL || terminate == NULL)
        code = 1;
    else if (start_all(rt, &many, &err) != BURROW_OK)
        code = cli_fail(&err);
    else
        loop_run(rt->loop);
    loop_signal_destroy(terminate);
    runtime_stop(rt, STOP_MS);
    for (size_t i = 0; many.list != NULL && i < many.count; i++)
        client_destroy(many.list[i].client);
    free(many.list);
    return code;
}

static const struct cli_command command = {
    .name = "client",
    .summary = "many clients in one process",
    .options = client_option_table,
    .options_size = sizeof(struct client_options),
    .kinds = 1u << BURROW_KIND_TRANSPORT,
    .run = run,
};

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const struct cli_args args = {.argc = argc - 1, .argv = argv + 1, .envp = environ};
    return cli_run_runtime(&command, &args);
}
