/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `burrow client` that belong to the core, and the rules between them. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "base/error.h"

struct client_options {
    const char *server_url;
    const char *connect_addr; /* NULL when unset */
    const char *admin_addr;   /* likewise */
    const char *client_id;
    struct burrow_list local_target; /* as client/target.h has them */
    struct burrow_secret bearer_token;
    const char *bearer_token_file;
    int64_t token_refresh_window;                              /* ms */
    int64_t client_retry_interval, client_auth_retry_interval; /* ms */
    int64_t drain_timeout;                                     /* ms */
    int64_t max_streams;
    int64_t buffer_limit; /* bytes */
    uint8_t token_in_register;
};

extern const struct burrow_option client_option_table[];

/* Looks over what a table cannot say: the URL, the targets, the client id. err has the form
 * "--flag (BURROW_FLAG): …". */
int client_options_check(const struct client_options *options, struct error *err);

#endif
