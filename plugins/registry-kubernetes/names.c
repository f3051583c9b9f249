/* SPDX-License-Identifier: Apache-2.0 */
/* Names of Services and their ports; see names.h. */
#include "names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLUG_MAX 40

const char *client_hash(const char *client_id, char buf[HASH_ROOM])
{
    uint32_t hash = 2166136261u;
    for (const unsigned char *p = (const unsigned char *)client_id; *p != '\0'; p++)
        hash = (hash ^ *p) * 16777619u;
    snprintf(buf, HASH_ROOM, "%08x", hash);
    return buf;
}

const char *service_name(const char *client_id, char buf[SERVICE_NAME_ROOM])
{
    char slug[SLUG_MAX + 1], hash[HASH_ROOM];
    size_t n = 0;
    for (const char *p = client_id; *p != '\0' && n < SLUG_MAX; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 'A' && c <= 'Z')
            slug[n++] = (char)(c - 'A' + 'a');
        else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            slug[n++] = (char)c;
        else if (n > 0 && slug[n - 1] != '-')
            slug[n++] = '-';
    }
    while (n > 0 && slug[n - 1] == '-')
        n--;
    slug[n] = '\0';
    snprintf(buf, SERVICE_NAME_ROOM, "burrow-client-%s-%s", n > 0 ? slug : "client",
             client_hash(client_id, hash));
    return buf;
}

bool is_label_value(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > 63 || !isalnum((unsigned char)text[0]) ||
        !isalnum((unsigned char)text[n - 1]))
        return false;
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80 || (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL))
            return false;
    return true;
}

static bool is_port_name(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n >= PORT_NAME_ROOM || text[0] == '-' || text[n - 1] == '-' ||
        strstr(text, "--") != NULL)
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           strspn(text, "0123456789-") != n;
}

const char *port_name(const char *service, uint16_t bridge_port, char buf[PORT_NAME_ROOM])
{
    if (*service == '\0')
        snprintf(buf, PORT_NAME_ROOM, "tcp");
    else if (is_port_name(service))
        snprintf(buf, PORT_NAME_ROOM, "%s", service);
    else
        snprintf(buf, PORT_NAME_ROOM, "tcp-%u", (unsigned)bridge_port);
    return buf;
}

uint16_t target_port(const char *target)
{
    const char *colon = strrchr(target, ':');
    char *end;
    if (colon == NULL || strncmp(target, "unix:", 5) == 0)
        return 80;
    unsigned long port = strtoul(colon + 1, &end, 10);
    return *end == '\0' && port >= 1 && port <= 65535 ? (uint16_t)port : 80;
}
