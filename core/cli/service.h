/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `burrow server` and `burrow client` do alike between create and destroy: raise the
 * descriptor limit, start the plugins, work until a signal comes, reload at SIGHUP, stop in order,
 * and let a second signal end the process at once.
 */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include "cli/runtime.h"

struct service {
    /* Makes it; stopped(arg) is to be called on the loop when stop has done its work. */
    int (*create)(struct runtime *rt, burrow_timer_fn *stopped, void *arg, void **ret_self,
                  struct error *err);
    int (*start)(void *self, struct error *err); /* all plugins have started */
    void (*stop)(void *self, const char *signal_name);
    runtime_apply_fn *reload;                           /* arg: self */
    void (*destroy)(void *self);                        /* NULL is allowed */
    void (*status)(void *self, char *buf, size_t size); /* in a few words, for people */
    uint64_t stop_ms;                                   /* for the plugins to stop */
};

/* Returns the exit code. */
int service_run(struct runtime *rt, const struct service *service);

#endif
