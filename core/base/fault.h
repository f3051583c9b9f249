/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults of one plugin: what it does against its contract is named in the log and counted
 * (burrow_plugin_faults_total). Who finds one goes on as if the plugin had said nothing.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/count.h"
#include "base/log.h"

struct plugin_faults {
    const struct log *log;
    const char *plugin; /* its name; outlives this */
    uint64_t count;     /* by count_add, on its instance's thread */
};

/* `what` is a short clause for the log: "an auth request was not answered in time". */
void plugin_fault(struct plugin_faults *faults, const char *what);

#endif
