/* SPDX-License-Identifier: Apache-2.0 */
/* The listener and the heads of requests; see forward.h. passage.c carries the bytes. */
#include "forward.h"

#include "must.h"
#include "passage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define FORWARD_MAGIC 0x44525746u /* "FWRD" in memory order */

struct forward {
    uint32_t magic;
    const struct burrow_host *host;
    struct passages passages;
    int fd;
    struct burrow_watch *watch;
    char url[80];
};

static void on_connection(void *arg, int events)
{
    struct forward *f = arg;
    must(f->magic == FORWARD_MAGIC);
    (void)events;
    int fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        passage_begin(&f->passages, fd);
}

static int listen_on_loopback(struct forward *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    unsigned char random[PASSAGE_SECRET / 2];
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&address, size) < 0 || listen(f->fd, 8) < 0 ||
        getsockname(f->fd, (struct sockaddr *)&address, &size) < 0 ||
        getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return burrow_error(f->host, BURROW_EIO, "cannot listen on 127.0.0.1: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(f->passages.secret + 2 * i, 3, "%02x", random[i]);
    snprintf(f->url, sizeof f->url, "ws://127.0.0.1:%u/%s", (unsigned)ntohs(address.sin_port),
             f->passages.secret);
    f->watch = f->host->watch(f->host->self, f->fd, BURROW_READ, on_connection, f);
    return f->watch ? BURROW_OK : burrow_error(f->host, BURROW_ENOMEM, "out of memory");
}

int forward_create(const struct burrow_host *host, struct kube_client *client, const char *path,
                   struct forward **ret)
{
    struct forward *f = calloc(1, sizeof *f);
    if (!f)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    f->magic = FORWARD_MAGIC;
    f->host = host;
    f->fd = -1;
    f->passages = (struct passages){.host = host, .client = client, .path = path};
    int r = listen_on_loopback(f);
    if (r < 0) {
        forward_destroy(f);
        return r;
    }
    *ret = f;
    return BURROW_OK;
}

void forward_destroy(struct forward *f)
{
    if (!f)
        return;
    must(f->magic == FORWARD_MAGIC);
    passages_end(&f->passages);
    f->host->unwatch(f->watch);
    if (f->fd >= 0)
        close(f->fd);
    explicit_bzero(f, sizeof *f);
    free(f);
}

const char *forward_url(const struct forward *f)
{
    return f->url;
}
