/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow check-config [server|client] …`: everything that `burrow server …` does before it
 * opens its first socket. */
#include "cli/cli.h"

#include <string.h>

int cli_check_config(const struct cli_args *args)
{
    struct cli_args rest = *args;
    const char *name = "server";
    if (rest.argc > 0 && rest.argv[0][0] != '-') {
        name = rest.argv[0];
        rest.argc--;
        rest.argv++;
    }
    const struct cli_builtin *builtin = cli_find(name);
    if (!builtin || !builtin->runtime) {
        struct error err;
        char quoted[300];
        error_set(&err, BURROW_EINVAL,
                  "check-config: %s has no configuration; expected server or "
                  "client",
                  option_quote(name, quoted, sizeof quoted));
        return cli_fail(&err);
    }
    return cli_check_runtime(builtin->runtime, &rest);
}
