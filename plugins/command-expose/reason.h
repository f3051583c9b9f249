/* SPDX-License-Identifier: Apache-2.0 */
/* What the status of Kubernetes' objects says to people. Pure, over jansson. */
#ifndef COMMAND_EXPOSE_REASON_H
#define COMMAND_EXPOSE_REASON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

bool deployment_is_available(const json_t *deployment);
/* Why the Deployment cannot make its pod, or why a pod of the list does not start; false: neither
 * says. One line of printable characters. */
bool deployment_reason(const json_t *deployment, char *buf, size_t size);
bool pods_reason(const json_t *list, char *buf, size_t size);
/* The first address of the Service's load balancer, brackets around IPv6. */
bool load_balancer_address(const json_t *service, char *buf, size_t size);
/* An address of a node that may be reached: external before internal, ready nodes only. */
bool node_address(const json_t *list, char *buf, size_t size);

#endif
