/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An echo server on the framing and handshake of transport-ws, for the Autobahn test suite:
 * tests/interop/autobahn.sh. One process per connection, blocking; the framing is what is tried,
 * not the plugin's I/O. Listens on loopback and prints the port.
 */
#include "ws_frame.h"
#include "ws_handshake.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAX (1u << 20)

static void put(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            exit(0);
        p += sent;
        n -= (size_t)sent;
    }
}

static void put_control(int fd, uint8_t opcode, const void *p, size_t n)
{
    uint8_t frame[WS_CONTROL_MAX + 6];
    put(fd, frame, ws_put_control(frame, opcode, p, n, NULL));
}

static void put_close(int fd, uint16_t code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    put_control(fd, WS_CLOSE, payload,
                code == WS_CODE_NONE ? 0 : ws_put_close(payload, code, reason));
    shutdown(fd, SHUT_WR);
}

/* Reads the request; what follows it is left in buf, its length returned. */
static size_t upgrade(int fd, uint8_t *buf, size_t size)
{
    size_t len = 0, head;
    while ((head = ws_head_length((const char *)buf, len)) == 0) {
        ssize_t n = len < size ? recv(fd, buf + len, size - len, 0) : 0;
        if (n <= 0)
            exit(1);
        len += (size_t)n;
    }
    static const char name[] = "Sec-WebSocket-Key: ";
    const char *key = (const char *)memmem(buf, head, name, sizeof name - 1);
    char accept[WS_ACCEPT_LEN + 1];
    if (key == NULL || !ws_key_valid(key + sizeof name - 1, WS_KEY_LEN) ||
        ws_accept_value(key + sizeof name - 1, WS_KEY_LEN, accept) < 0)
        exit(1);
    char response[256];
    int n = snprintf(response, sizeof response,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    put(fd, (const uint8_t *)response, (size_t)n);
    memmove(buf, buf + head, len - head);
    return len - head;
}

/* Returns whether the connection goes on. */
static bool answer(int fd, const struct ws_parser *parser, enum ws_event event,
                   const struct ws_found *found, uint8_t *message, size_t *len)
{
    if (event == WS_ERROR) {
        put_close(fd, found->code, found->reason);
        return false;
    }
    if (event == WS_CONTROL) {
        if (found->opcode == WS_PING)
            put_control(fd, WS_PONG, found->p, found->n);
        if (found->opcode == WS_CLOSE)
            put_close(fd, found->code, "");
        return found->opcode != WS_CLOSE;
    }
    memcpy(message + WS_HEADER_MAX + *len, found->p, found->n);
    *len += found->n;
    if (found->message_end) {
        uint8_t *payload = message + WS_HEADER_MAX;
        size_t header = ws_put_header(payload, parser->text ? WS_TEXT : WS_BINARY, *len, NULL);
        put(fd, payload - header, header + *len);
        *len = 0;
    }
    return true;
}

static void serve(int fd)
{
    struct ws_parser parser;
    size_t len = 0, n;
    uint8_t *buf = (uint8_t *)malloc(65536),
            *message = (uint8_t *)malloc(MESSAGE_MAX + WS_HEADER_MAX);
    if (buf == NULL || message == NULL)
        exit(1);
    ws_parser_init(&parser, true, MESSAGE_MAX);
    n = upgrade(fd, buf, 65536);
    for (bool on = true; on;) {
        struct ws_found found;
        uint8_t *p = buf;
        enum ws_event event;
        while (on && (event = ws_next(&parser, &p, buf + n, &found)) != WS_MORE)
            on = answer(fd, &parser, event, &found, message, &len);
        ssize_t got = on ? recv(fd, buf, 65536, 0) : 0;
        if (got <= 0)
            break;
        n = (size_t)got;
    }
    while (recv(fd, buf, 65536, 0) > 0) /* the peer's end, so that no reset overtakes the Close */
        ;
    exit(0);
}

int main(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    signal(SIGCHLD, SIG_IGN);
    if (bind(listener, (const struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(listener, 64) < 0 || getsockname(listener, (struct sockaddr *)&addr, &size) < 0) {
        perror("ws_echo");
        return 1;
    }
    printf("%u\n", ntohs(addr.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && fork() == 0)
            serve(fd);
        close(fd);
    }
}
