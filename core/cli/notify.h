/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the service manager how the program is: sd_notify(3), whose protocol is a datagram of
 * VARIABLE=value lines to the socket that NOTIFY_SOCKET names. It is sent here and not by
 * libsystemd, which would bring four more libraries into the process for one sendmsg.
 *
 * Without NOTIFY_SOCKET nothing is sent and every call is free.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

#include "loop/loop.h"

struct notify;

#define NOTIFY_STATUS_MAX 200

/* Writes what the program does, in a few words, into buf. */
typedef void notify_status_fn(void *arg, char *buf, size_t size);

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. With a watchdog a sign of life goes every
 * third of its time; status is asked then, or every five seconds, and sent when it changed.
 * status may be NULL. NULL: no memory or descriptors.
 */
struct notify *notify_create(struct loop *loop, notify_status_fn *status, void *arg);
void notify_destroy(struct notify *notify); /* NULL is allowed, here and below */

void notify_ready(struct notify *notify);
/* With the time of the clock, as Type=notify-reload wants it; notify_ready ends it. */
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);

#endif
