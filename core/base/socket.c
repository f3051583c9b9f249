/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for sockets; see socket.h. */
#include "base/socket.h"

#include <sys/socket.h>
#include <unistd.h>

void socket_reset(int fd)
{
    const struct linger off = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    close(fd);
}
