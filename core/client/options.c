/* SPDX-License-Identifier: Apache-2.0 */
/* The option table of `burrow client`. */
#include "client/options.h"

#include "client/target.h"
#include "client/token.h"
#include "client/url.h"
#include "config/option.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define S struct client_options
#define R BURROW_OPT_RELOADABLE
#define HOUR (3600 * 1000)
#define MAX_CLIENT_ID 128u

/* clang-format off */
const struct burrow_option client_option_table[] = {
    BURROW_OPTION_STRING(S, server_url, "server-url", "ws://127.0.0.1:8080/ws", "URL", 0, NULL,
        "the server: ws://HOST[:PORT]/ws, wss://HOST[:PORT]/ws or tls://HOST:PORT"),
    BURROW_OPTION_STRING(S, connect_addr, "connect-addr", NULL, "HOST[:PORT]", 0, NULL,
        "connect here instead of to the URL's host; Host header and certificate name stay"),
    BURROW_OPTION_STRING(S, admin_addr, "admin-addr", NULL, "HOST:PORT", 0, NULL,
        "serve health and metrics here; port 0 takes any free one"),
    BURROW_OPTION_STRING(S, client_id, "client-id", NULL, "ID", BURROW_OPT_REQUIRED, NULL,
        "the name of this client, equal to the token's subject"),
    BURROW_OPTION_LIST(S, local_target, "local-target", "[NAME=]HOST:PORT|unix:PATH[,port=PORT][,proxy-protocol=v1|v2]",
        BURROW_OPT_REQUIRED | R | OPTION_MAPS, "where connections that come through the tunnel go"),
    BURROW_OPTION_SECRET(S, bearer_token, "bearer-token", "TOKEN", R,
        "the token to show to the server"),
    BURROW_OPTION_PATH(S, bearer_token_file, "bearer-token-file", NULL, "FILE", R,
        "read the token from here, at every connect afresh"),
    BURROW_OPTION_DURATION(S, token_refresh_window, "token-refresh-window", "30s", R, 100,
        24 * HOUR, "how long before the token expires to look for a newer one in its file"),
    BURROW_OPTION_DURATION(S, client_retry_interval, "client-retry-interval", "1s", R, 10, HOUR,
        "first pause after a network error; it doubles up to 15s"),
    BURROW_OPTION_DURATION(S, client_auth_retry_interval, "client-auth-retry-interval", "5s", R, 10,
        HOUR, "first pause after a refusal; it doubles up to 60s"),
    BURROW_OPTION_DURATION(S, drain_timeout, "drain-timeout", "30s", R, 0, HOUR,
        "how long running streams may go on after SIGTERM; 0s ends them at once"),
    BURROW_OPTION_INT(S, max_streams, "max-streams", "1024", "COUNT", R, 1, 65536,
        "streams that the server may have open at once"),
    BURROW_OPTION_BYTES(S, buffer_limit, "buffer-limit", "128MiB", R, 1 << 20, (int64_t)1 << 40,
        "bytes that the server may have under way to this process"),
    BURROW_OPTION_BOOL(S, token_in_register, "token-in-register", "false", R,
        "send the token in the register frame, for a proxy that uses the Authorization header"),
    BURROW_OPTION_END,
};
/* clang-format on */

static int check_client_id(const char *id, struct error *err)
{
    size_t n = id != NULL ? strlen(id) : 0;
    if (n == 0)
        return error_set(err, BURROW_EINVAL,
                         "--client-id (BURROW_CLIENT_ID): required, the name of this client");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)id[i] < ' ' || id[i] == 0x7f)
            return error_set(err, BURROW_EINVAL,
                             "--client-id (BURROW_CLIENT_ID): a control character at position %zu",
                             i + 1);
    if (n > MAX_CLIENT_ID)
        return error_set(err, BURROW_EINVAL,
                         "--client-id (BURROW_CLIENT_ID): %zu bytes long, expected 1 to %u", n,
                         MAX_CLIENT_ID);
    return BURROW_OK;
}

static int check_targets(const struct burrow_list *list, struct error *err)
{
    struct target *targets = NULL;
    int rc = targets_parse(list, &targets, err);
    free(targets);
    return rc;
}

static int check_token(const struct client_options *o, struct error *err)
{
    if (o->bearer_token.data == NULL)
        return BURROW_OK;
    if (o->bearer_token_file != NULL)
        return error_set(err, BURROW_EINVAL,
                         "--bearer-token-file (BURROW_BEARER_TOKEN_FILE): contradicts "
                         "--bearer-token (BURROW_BEARER_TOKEN); give one of them");
    if (!token_is_sound((const char *)o->bearer_token.data, o->bearer_token.len))
        return error_set(err, BURROW_EINVAL,
                         "--bearer-token (BURROW_BEARER_TOKEN): expected 1 to %u printable "
                         "characters without a space",
                         TOKEN_MAX);
    return BURROW_OK;
}

int client_options_check(const struct client_options *options, struct error *err)
{
    struct server_url url;
    char host[256];
    uint16_t port;
    int rc = check_client_id(options->client_id, err);
    if (rc == BURROW_OK)
        rc = check_targets(&options->local_target, err);
    if (rc != BURROW_OK)
        return rc;
    if (server_url_parse(options->server_url, &url, err) != BURROW_OK)
        return error_prefix(err, "--server-url (BURROW_SERVER_URL)");
    if (options->connect_addr != NULL &&
        connect_addr_parse(options->connect_addr, host, &port, err) != BURROW_OK)
        return error_prefix(err, "--connect-addr (BURROW_CONNECT_ADDR)");
    struct endpoint admin;
    if (options->admin_addr != NULL &&
        endpoint_parse(options->admin_addr, ENDPOINT_ANY_PORT | ENDPOINT_NO_HOST, &admin, err) !=
            BURROW_OK)
        return error_prefix(err, "--admin-addr (BURROW_ADMIN_ADDR)");
    return check_token(options, err);
}
