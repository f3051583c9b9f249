/* SPDX-License-Identifier: Apache-2.0 */
/* Names and counts what plugins do against their contract; see fault.h. */
#include "base/fault.h"

void plugin_fault(struct plugin_faults *faults, const char *what)
{
    count_add(&faults->count, 1);
    log_at(faults->log, BURROW_LOG_WARN, "plugin_fault", burrow_str("plugin", faults->plugin),
           burrow_str("what", what));
}
