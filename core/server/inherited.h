/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets that the service manager passed (sd_listen_fds(3)): descriptors from 3 on,
 * counted by LISTEN_FDS for the process LISTEN_PID, named by LISTEN_FDNAMES. So the server can
 * listen at a low port without privileges, and no connection is refused while it restarts.
 */
#ifndef SERVER_INHERITED_H
#define SERVER_INHERITED_H

#include "base/error.h"

/*
 * The descriptor passed in place of this option ("server-addr", "tls-addr", "admin-addr": the
 * FileDescriptorName= of the socket unit), made non-blocking and closed on exec; -1: none. A
 * single descriptor with another name is for server-addr. On failure (what was passed is no
 * listening stream socket) err says so, and *ret_fd is untouched.
 */
int inherited_socket(const char *option, int *ret_fd, struct error *err);

#endif
