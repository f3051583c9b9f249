/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the way through the API server believes. curl_easy_init is wrapped: every handle comes with
 * a folder of authorities, as libcurl has it from the system.
 */
#include "../http/rig.h"
#include "passage.h"
#include "test_certs.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef0123456789abcdef"

static char *folder;

CURL *__real_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void)
{
    CURL *easy = __real_curl_easy_init();
    assert_non_null(easy);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_CAPATH, folder), CURLE_OK);
    return easy;
}

static bool answer(void *arg, struct http_peer *peer)
{
    (void)arg;
    return http_peer_ok(peer, "", "the API");
}

/* As c_rehash names it. */
static void put_into_folder(const struct test_cert *authority)
{
    char name[16];
    snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(authority->cert));
    free(test_cert_write(authority, folder, name));
}

static struct file_bytes pem(const struct test_cert *authority)
{
    char *path = test_cert_write(authority, folder, "kubeconfig.pem"), why[FILE_WHY];
    struct file_bytes bytes = {0};
    assert_int_equal(file_read(path, 65536, false, &bytes, why), BURROW_OK);
    unlink(path);
    free(path);
    return bytes;
}

/* What a client hears whose API server has a certificate of `issuer`, up to the end of either
 * answer. */
static void ask(const struct test_cert *trusted, const struct test_cert *issuer, char *buf,
                size_t size)
{
    static const char head[] = "GET /" SECRET " HTTP/1.1\r\n\r\n";
    const struct test_cert_plan plan = {.name = "api", .alt = "IP:127.0.0.1", .issuer = issuer};
    struct test_cert cert = test_cert_make(&plan);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    struct rig rig;
    char url[64];
    int fds[2];
    assert_int_equal(SSL_CTX_use_certificate(tls, cert.cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, cert.key), 1);
    rig_init(&rig, tls, answer, NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", http_server_port(rig.server));
    struct kube_config config = {.server = url, .ca = pem(trusted)};
    struct passages passages = {.host = &rig.host.table, .path = "/ws"};
    assert_int_equal(kube_client_create(&rig.host.table, &config, &passages.client), BURROW_OK);
    memcpy(passages.secret, SECRET, sizeof SECRET);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    passage_begin(&passages, fds[0]);
    assert_int_equal(write(fds[1], head, strlen(head)), strlen(head));
    size_t heard = 0;
    buf[0] = '\0';
    for (unsigned i = 0; i < 30000 && !strstr(buf, "the API") && !strstr(buf, "502"); i++) {
        rig_linger(&rig, 1);
        ssize_t n = read(fds[1], buf + heard, size - 1 - heard);
        heard += n > 0 ? (size_t)n : 0;
        buf[heard] = '\0';
    }
    passages_end(&passages);
    kube_client_destroy(passages.client);
    close(fds[1]);
    file_free(&config.ca);
    rig_finish(&rig);
    SSL_CTX_free(tls);
    test_cert_free(&cert);
}

static void an_authority_of_the_system_alone_is_refused(void **state)
{
    (void)state;
    char said[4096];
    struct test_cert ours = test_cert_make(&(struct test_cert_plan){.name = "ours", .is_ca = 1});
    struct test_cert systems =
        test_cert_make(&(struct test_cert_plan){.name = "the system's", .is_ca = 1});
    folder = test_dir_make();
    put_into_folder(&systems);
    ask(&ours, &systems, said, sizeof said);
    assert_non_null(strstr(said, "502"));
    ask(&ours, &ours, said, sizeof said);
    assert_non_null(strstr(said, "the API"));
    test_dir_remove(folder);
    test_cert_free(&ours);
    test_cert_free(&systems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authority_of_the_system_alone_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
