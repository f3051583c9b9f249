/* SPDX-License-Identifier: Apache-2.0 */
/* burrow-load's command line; load.h says what it is. */
#include "load.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char usage[] =
    "burrow-load MODE -a HOST:PORT [options]\n"
    "  target   [-s STATS]                          the service behind the tunnel\n"
    "  bulk     -d up|down [-n N] [-t S] [-w S] [-R BYTES/S] [-s STATS]\n"
    "  pingpong [-n N] [-t S] [-b BYTES]            messages there and back\n"
    "  connect  [-n N] [-t S]                       short connections\n"
    "  idle     [-n N] [-t S] [-T S]                held until standard input ends\n"
    "  verify   [-n N] [-b BYTES] [-T S] [-R BYTES/S] [-r BYTES/S | -z] [-p S] [-H]\n";

static const struct mode {
    const char *name;
    int (*run)(struct load *load);
} modes[] = {
    {"target", load_target},   {"bulk", load_bulk}, {"pingpong", load_pingpong},
    {"connect", load_connect}, {"idle", load_idle}, {"verify", load_verify},
};

static _Noreturn void fail(void)
{
    fputs(usage, stderr);
    exit(2);
}

static struct addr4 parse_address(const char *text)
{
    char host[64];
    unsigned port;
    struct in_addr at;
    if (sscanf(text, "%63[^:]:%5u", host, &port) != 2 || port > 65535 ||
        inet_pton(AF_INET, host, &at) != 1)
        fail();
    return (struct addr4){.host = ntohl(at.s_addr), .port = (uint16_t)port};
}

static void parse_options(struct options *opt, int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "a:n:t:w:d:b:s:r:R:p:T:Hz")) != -1) {
        switch (o) {
        case 'a':
            opt->addr = parse_address(optarg);
            break;
        case 'n':
            opt->count = atoi(optarg);
            break;
        case 't':
            opt->seconds = atof(optarg);
            break;
        case 'w':
            opt->warm_up = atof(optarg);
            break;
        case 'd':
            opt->direction = optarg[0];
            break;
        case 'b':
            opt->bytes = strtoull(optarg, NULL, 10);
            break;
        case 's':
            opt->stats_path = optarg;
            break;
        case 'r':
            opt->slow_rate = strtoull(optarg, NULL, 10);
            break;
        case 'R':
            opt->rate = strtoull(optarg, NULL, 10);
            break;
        case 'p':
            opt->pause = atof(optarg);
            break;
        case 'T':
            opt->timeout = atof(optarg);
            break;
        case 'H':
            opt->half_close = true;
            break;
        case 'z':
            opt->stall = true;
            break;
        default:
            fail();
        }
    }
    bool direction = opt->direction == 'u' || opt->direction == 'd';
    if (!opt->addr.port || opt->count < 1 || opt->bytes < 1 || !direction || optind != argc)
        fail();
}

static char *buffer(void)
{
    char *p = malloc(BUFFER_SIZE);
    if (!p)
        die("malloc");
    memset(p, 'x', BUFFER_SIZE);
    return p;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct load load = {.opt = {.count = 1,
                                .seconds = 3,
                                .warm_up = 0.5,
                                .timeout = 60,
                                .bytes = 64,
                                .direction = 'd'}};
    const struct mode *mode = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(argv[1], modes[i].name))
            mode = &modes[i];
    if (!mode)
        fail();
    parse_options(&load.opt, argc - 1, argv + 1);
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);

    struct stats *own = calloc(1, sizeof *own);
    load.conns = calloc((size_t)load.opt.count, sizeof *load.conns);
    load.ep = epoll_create1(EPOLL_CLOEXEC);
    if (!own || !load.conns || load.ep < 0)
        die("start");
    for (int i = 0; i < load.opt.count; i++)
        load.conns[i].fd = -1;
    load.in = buffer();
    load.out = buffer();
    load.check = buffer();
    bool is_target = mode->run == load_target;
    if (load.opt.stats_path)
        map_stats(&load, is_target);
    else if (is_target)
        load.stats = own;

    int code = mode->run(&load);
    for (int i = 0; i < load.opt.count; i++)
        conn_hang_up(&load.conns[i]);
    free(load.in);
    free(load.out);
    free(load.check);
    free(load.conns);
    free(own);
    close(load.ep);
    return code;
}
