/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of command-expose share: the options, the instance, and who does which step. */
#ifndef COMMAND_EXPOSE_EXPOSE_H
#define COMMAND_EXPOSE_EXPOSE_H

#include "must.h"
#include "objects.h"

#include "kubernetes/client.h"

#include <burrow/command.h>
#include <sys/types.h>

#define EXPOSE_MAGIC 0x45505845u /* "EXPE" in memory order */
#define HMAC_HEX 65u             /* 32 bytes in hexadecimal, and a NUL */
#define EXPOSE_URL 700u
#define EXPOSE_FILE 256u

struct expose_config {
    const char *client_id, *hostname, *service_type, *connect_addr, *tls_secret, *ingress_class;
    const char *image, *server_name, *name_space, *kubeconfig, *kube_context;
    struct burrow_list local_target, ingress_annotation;
    const char *patch_deployment, *patch_service, *patch_ingress;
    int64_t server_port, wait_ms;
    uint8_t allow_exec, reuse, keep, dry_run;
};

/* How the client gets to its server. */
enum way { WAY_INGRESS, WAY_LOAD_BALANCER, WAY_NODE_PORT, WAY_API };

/* What an earlier or this run left of one object in the cluster. */
struct standing {
    bool present; /* it is there, or may be */
    bool lost;    /* could not be deleted */
    char uid[64]; /* that this run made; "": any that is ours */
};

struct forward;

struct expose {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_command_host *command;
    const struct expose_config *config;

    struct exposure wanted;
    char secret[HMAC_HEX];
    char *name_space;
    json_t *objects[OBJECT_COUNT]; /* as they will be created; NULL: not at all */

    struct kube_config kube;
    struct kube_client *client;
    struct kube_call *call;
    struct burrow_timer *timer;
    enum object at; /* the step of the walk through the objects */
    bool looking;   /* a walk that only reads, before the first change */
    struct standing standing[OBJECT_COUNT];

    bool ending;       /* clean-up was asked for; no step begins any more */
    int32_t exit_code; /* what the end will be */
    uint64_t deadline; /* of the wait, in the host's milliseconds */
    char reason[400];  /* why it waits, as told last */

    enum way way;
    char url[EXPOSE_URL];
    bool way_known;

    struct forward *forward;
    char folder[EXPOSE_FILE]; /* "": none yet */
    char token_path[EXPOSE_FILE + 8];
    struct burrow_timer *renewal;
    pid_t child;
    int child_fd;
    struct burrow_watch *child_watch;
};

static inline struct expose *expose_of(void *arg)
{
    struct expose *e = arg;
    must(e && e->magic == EXPOSE_MAGIC);
    return e;
}

/* A line of progress for the person who waits. */
__attribute__((format(printf, 1, 2))) void expose_say(const char *format, ...);

/* plan.c: from options to objects. 0 or a negative result that has been explained. */
int plan_check(const struct burrow_host *host, const struct expose_config *config, bool deleting);
int plan_connect(struct expose *e); /* the kubeconfig and the namespace */
int plan_objects(struct expose *e);
int plan_print(struct expose *e); /* the objects as YAML, for --dry-run */

#endif
