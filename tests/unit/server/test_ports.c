/* SPDX-License-Identifier: Apache-2.0 */
/* Which port a bridge gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RANGE 4
static char range_text[16];

/* Up to which port bind is denied, as it is below 1024 to who has no right to them. */
static uint16_t denied_to;

/* The linker gives these names. */
int __real_bind(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len);

int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct sockaddr_in in = {0};
    if (sa->sa_family == AF_INET && len == sizeof in)
        memcpy(&in, sa, sizeof in);
    if (in.sin_port != 0 && ntohs(in.sin_port) <= denied_to) {
        errno = EACCES;
        return -1;
    }
    return __real_bind(fd, sa, len);
}

static int bind_at(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (const struct sockaddr *)(const void *)&in, sizeof in) == 0 && listen(fd, 1) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Ports in a row that nobody has: the server's range from now on; the first is returned. */
static uint16_t use_free_range(struct rig *rig)
{
    uint16_t first = (uint16_t)(15000 + getpid() % 2000 * 5);
    for (unsigned i = 0; i < RANGE;) {
        int fd = bind_at((uint16_t)(first + i));
        if (fd < 0)
            first = (uint16_t)(first + i + 1);
        i = fd < 0 ? 0 : i + 1;
        close(fd);
    }
    snprintf(range_text, sizeof range_text, "%u-%u", first, first + RANGE - 1);
    rig->options.bridge_port_range = range_text;
    return first;
}

/* Registers services s0, s1, … with these wanted ports and returns the ack. */
static struct control *offer(struct rig *rig, const char *client, const uint16_t *ports, size_t n)
{
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register(client, 'a');
    reg->service_count = n;
    for (size_t i = 0; i < n; i++) {
        reg->services[i].id = (uint16_t)(i + 1);
        reg->services[i].port = ports[i];
        snprintf(reg->services[i].name, sizeof reg->services[i].name, "s%zu", i);
    }
    rig_send_register(conn, reg);
    rig_settle(rig);
    struct control *ack = calloc(1, sizeof *ack);
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, NULL));
    return ack;
}

static uint16_t port_of(const struct control *ack, size_t i)
{
    const char *colon = strrchr(ack->services[i].bridge, ':');
    return colon != NULL ? (uint16_t)atoi(colon + 1) : 0;
}

static const uint16_t NONE[RANGE + 1];

static void a_service_has_the_same_port_of_the_range_after_a_restart(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    uint16_t before[2];
    for (int life = 0; life < 2; life++) {
        rig_start(rig);
        struct control *ack = offer(rig, "pg", NONE, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_in_range(port_of(ack, i), first, first + RANGE - 1);
            if (life == 0)
                before[i] = port_of(ack, i);
            assert_int_equal(port_of(ack, i), before[i]);
        }
        free(ack);
        if (life == 0) {
            server_destroy(rig->server);
            rig->server = NULL;
            rig_settle(rig);
        }
    }
}

static void all_ports_of_the_range_are_given_and_no_more(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    rig_start(rig);
    struct control *ack = offer(rig, "pg", NONE, RANGE + 1);
    unsigned seen = 0;
    for (size_t i = 0; i < RANGE; i++)
        seen |= 1u << (port_of(ack, i) - first);
    assert_int_equal(seen, (1u << RANGE) - 1);
    assert_string_equal(ack->services[RANGE].code, "limit");
    assert_non_null(strstr(ack->services[RANGE].message, range_text));
    free(ack);
}

static void ports_that_the_system_denies_are_passed_over(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    denied_to = (uint16_t)(first + 1);
    struct control *ack = offer(rig, "pg", (const uint16_t[]){0, 0, 0, first}, 4);
    denied_to = 0;
    assert_int_equal(port_of(ack, 0) + port_of(ack, 1), 2 * first + 5);
    assert_string_equal(ack->services[2].code, "limit");
    assert_non_null(strstr(ack->services[2].message, "lets this server"));
    assert_string_equal(ack->services[3].code, "internal");
    assert_non_null(strstr(ack->services[3].message, strerror(EACCES)));
    free(ack);
}

static void a_port_of_a_client_that_was_swept_is_given_again(void **state)
{
    struct rig *rig = *state;
    use_free_range(rig);
    rig_start(rig);
    free(offer(rig, "gone", NONE, RANGE));
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_LOST, 0, 0, "gone");
    rig_settle(rig);
    struct control *ack = offer(rig, "pg", NONE, 1);
    assert_string_equal(ack->services[0].code, "limit"); /* the ports are kept for a while */
    free(ack);
    fake_loop_advance(rig->loop, 660000);
    ack = offer(rig, "pg", NONE, RANGE);
    for (size_t i = 0; i < RANGE; i++)
        assert_string_equal(ack->services[i].code, "");
    free(ack);
}

static void a_wanted_port_is_given_where_that_is_allowed(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    const uint16_t wanted[] = {(uint16_t)(first + RANGE - 1), first, (uint16_t)(first - 1),
                               (uint16_t)(first + RANGE)};
    struct control *ack = offer(rig, "pg", wanted, 4);
    assert_int_equal(port_of(ack, 0), first + RANGE - 1);
    assert_int_equal(port_of(ack, 1), first);
    assert_string_equal(ack->services[2].code, "not_allowed");
    assert_string_equal(ack->services[3].code, "not_allowed");
    free(ack);
}

static void a_wanted_port_that_another_has_is_a_limit(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    int fd = bind_at(first);
    free(offer(rig, "other", &(const uint16_t){(uint16_t)(first + 1)}, 1));
    struct control *ack = offer(
        rig, "pg", (const uint16_t[]){first, (uint16_t)(first + 1), (uint16_t)(first + 2)}, 3);
    assert_string_equal(ack->services[0].code, "limit");
    assert_string_equal(ack->services[1].code, "limit");
    assert_int_equal(port_of(ack, 2), first + 2);
    free(ack);
    close(fd);
}

static void ports_may_change_hands_among_the_services_of_a_client(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    const uint16_t one = first, two = (uint16_t)(first + 1);
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    free(offer(rig, "pg", (const uint16_t[]){one, two}, 2));
    struct control *ack = offer(rig, "pg", (const uint16_t[]){two, one}, 2);
    assert_int_equal(port_of(ack, 0), two);
    assert_int_equal(port_of(ack, 1), one);
    assert_int_equal(rig_record(rig, "pg")->bridge_count, 2);
    free(ack);
}

static void a_port_is_not_taken_from_a_service_that_keeps_it(void **state)
{
    struct rig *rig = *state;
    use_free_range(rig);
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    struct control *ack = offer(rig, "pg", NONE, 1);
    const uint16_t port = port_of(ack, 0);
    free(ack);
    ack = offer(rig, "pg", (const uint16_t[]){0, port}, 2);
    assert_int_equal(port_of(ack, 0), port);
    assert_string_equal(ack->services[1].code, "limit");
    free(ack);
}

static void a_range_is_kept_within_the_clients_grants(void **state)
{
    struct rig *rig = *state;
    const uint16_t first = use_free_range(rig);
    char grants[64];
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    snprintf(grants, sizeof grants, "{\"ports\":[%u]}", first + 2);
    rig->script.grants = grants;
    struct control *ack = offer(rig, "pg", (const uint16_t[]){0, 0, first}, 3);
    assert_int_equal(port_of(ack, 0), first + 2);
    assert_string_equal(ack->services[1].code, "limit");
    assert_string_equal(ack->services[2].code, "not_allowed");
    free(ack);
    rig->script.grants = "{\"ports\":[1]}";
    ack = offer(rig, "other", NONE, 1);
    assert_string_equal(ack->services[0].code, "not_allowed");
    free(ack);
}

static void ranges_are_two_ports_with_a_hyphen(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t first, last; /* 0: refused */
    } rows[] = {
        {"1-65535", 1, 65535},
        {"15000-15000", 15000, 15000},
        {"15000-15999", 15000, 15999},
        {"", 0, 0},
        {"-", 0, 0},
        {"1", 0, 0},
        {"1-", 0, 0},
        {"-1", 0, 0},
        {"0-1", 0, 0},
        {"2-1", 0, 0},
        {"1-65536", 0, 0},
        {"65536-65537", 0, 0},
        {"1-2-3", 0, 0},
        {"1-2 ", 0, 0},
        {" 1-2", 0, 0},
        {"a-b", 0, 0},
        {"4294967297-4294967298", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct port_range range = {7, 7};
        struct error err = {0};
        int rc = port_range_parse(rows[i].text, &range, &err);
        assert_int_equal(rc, rows[i].first != 0 ? BURROW_OK : BURROW_EINVAL);
        assert_int_equal(range.first, rc == BURROW_OK ? rows[i].first : 7);
        assert_int_equal(range.last, rc == BURROW_OK ? rows[i].last : 7);
        assert_true(rc == BURROW_OK || strstr(err.text, "--bridge-port-range (BURROW_") != NULL);
    }
}

/* One of its bridges has to make room for the new port while none of the list is active yet. */
static void one_of_64_services_moves_and_the_others_keep_their_ports(void **state)
{
    struct rig *rig = *state;
    uint16_t wanted[CONTROL_MAX_SERVICES] = {0};
    const uint16_t first = (uint16_t)(30000 + getpid() % 2000);
    char range[16];
    snprintf(range, sizeof range, "%u-%u", first, first + 999);
    rig->options.bridge_port_range = range;
    rig->options.allow_client_ports = 1;
    rig_start(rig);
    struct control *before = offer(rig, "pg", wanted, CONTROL_MAX_SERVICES);
    int fd = -1;
    for (wanted[0] = first; (fd = bind_at(wanted[0])) < 0; wanted[0]++)
        ;
    close(fd);
    struct control *after = offer(rig, "pg", wanted, CONTROL_MAX_SERVICES);
    assert_int_equal(port_of(after, 0), wanted[0]);
    for (size_t i = 1; i < CONTROL_MAX_SERVICES; i++) {
        assert_int_not_equal(port_of(before, i), 0);
        assert_int_equal(port_of(after, i), port_of(before, i));
    }
    assert_int_equal(rig_record(rig, "pg")->bridge_count, CONTROL_MAX_SERVICES);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_has_the_same_port_of_the_range_after_a_restart),
        TEST(all_ports_of_the_range_are_given_and_no_more),
        TEST(ports_that_the_system_denies_are_passed_over),
        TEST(a_port_of_a_client_that_was_swept_is_given_again),
        TEST(a_wanted_port_is_given_where_that_is_allowed),
        TEST(a_wanted_port_that_another_has_is_a_limit),
        TEST(one_of_64_services_moves_and_the_others_keep_their_ports),
        TEST(ports_may_change_hands_among_the_services_of_a_client),
        TEST(a_port_is_not_taken_from_a_service_that_keeps_it),
        TEST(a_range_is_kept_within_the_clients_grants),
        cmocka_unit_test(ranges_are_two_ports_with_a_hyphen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
