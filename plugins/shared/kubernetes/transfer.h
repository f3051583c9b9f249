/* SPDX-License-Identifier: Apache-2.0 */
/* What client.c and watch.c share: one request to the API with its credentials. Also
 * for who speaks to the API past the client. */
#ifndef KUBERNETES_TRANSFER_H
#define KUBERNETES_TRANSFER_H

#include "kubernetes/client.h"
#include "kubernetes/login.h"

struct kube_transfer {
    const char *method, *path, *body, *type;
    uint32_t total_ms, idle_ms; /* 0: no limit */
    http_head_fn *head;
    http_data_fn *data; /* NULL: the body is kept whole */
    http_done_fn *done;
    void *arg;
};

/* To be asked for credentials before a transfer. */
struct kube_login *kube_client_login(struct kube_client *client);
/* As http_start; why says what went wrong (a token file that cannot be read). */
int kube_transfer(struct kube_client *client, const struct kube_transfer *transfer,
                  struct http_request **ret, char why[FILE_WHY]);
/* "Bearer TOKEN" into buf, from the configuration or its file; *ret_has false without any. As
 * file_read. */
int kube_authorization(const struct kube_config *config, char *buf, size_t size, bool *ret_has,
                       char why[FILE_WHY]);
const struct burrow_host *kube_client_host(const struct kube_client *client);
uint32_t kube_jitter(uint32_t limit_ms);
/* "the API answered 403: services is forbidden …" */
void kube_error_text(char *buf, size_t size, int status, const json_t *body);

#endif
