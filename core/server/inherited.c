/* SPDX-License-Identifier: Apache-2.0 */
/* Socket activation; see inherited.h. */
#include "server/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3
#define MAX_FDS 64

/* A whole number of a variable; -1: not there, or no number. */
static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    long value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? value : -1;
}

/* How many were passed to this process and not to its parent. */
static int count(void)
{
    long pid = number_of("LISTEN_PID"), n = number_of("LISTEN_FDS");
    return pid == (long)getpid() && n > 0 && n <= MAX_FDS ? (int)n : 0;
}

/* The place of a name in LISTEN_FDNAMES ("a:b:c"); -1: not there. */
static int place_of(const char *option)
{
    const char *names = getenv("LISTEN_FDNAMES");
    size_t len = strlen(option);
    for (int i = 0; names != NULL; i++) {
        size_t n = strcspn(names, ":");
        if (n == len && memcmp(names, option, n) == 0)
            return i;
        names = names[n] == ':' ? names + n + 1 : NULL;
    }
    return -1;
}

static bool is_listening(int fd)
{
    int type = 0, listening = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
        return false;
    len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

int inherited_socket(const char *option, int *ret_fd, struct error *err)
{
    int n = count(), place = place_of(option);
    if (place < 0 && n == 1 && strcmp(option, "server-addr") == 0 && place_of("tls-addr") < 0 &&
        place_of("admin-addr") < 0)
        place = 0;
    if (place < 0 || place >= n) {
        *ret_fd = -1;
        return BURROW_OK;
    }
    int fd = FIRST_FD + place, flags = fcntl(fd, F_GETFL);
    if (!is_listening(fd))
        return error_set(
            err, BURROW_EINVAL,
            "LISTEN_FDS: descriptor %d (%s) is not a listening stream socket; expected "
            "ListenStream= in the socket unit",
            fd, option);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_set(err, BURROW_EIO, "LISTEN_FDS: descriptor %d (%s): %s", fd, option,
                         strerror(errno));
    *ret_fd = fd;
    return BURROW_OK;
}
