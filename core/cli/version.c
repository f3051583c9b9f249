/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow version`: one line. */
#include "cli/cli.h"

int cli_version(const struct cli_args *args)
{
    if (args->argc > 0) {
        fprintf(stderr, "burrow: version: takes no arguments\n");
        return 2;
    }
    printf("burrow %s (plugin ABI %s, minor %u)\n", BURROW_VERSION,
           &BURROW_PLUGIN_SYMBOL[sizeof("burrow_plugin_") - 1], BURROW_ABI_MINOR);
    return fflush(stdout) == 0 ? 0 : 1;
}
