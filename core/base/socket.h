/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with sockets in several parts. */
#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

/* Closes a TCP socket so that the peer sees RST, not FIN. */
void socket_reset(int fd);

#endif
