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
#define RUN_HEX 17u
#define EXPOSE_URL 700u
#define EXPOSE_FILE 256u
#define EXPOSE_COMMAND 600u

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

/* One object in the cluster. */
struct standing {
    bool present; /* it is there, or may be, and is to be deleted at the end */
    char uid[64]; /* that this run made; "": not known, its mark counts */
};

struct forward;

struct expose {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_command_host *command;
    const struct expose_config *config;

    struct exposure wanted;
    char secret[HMAC_HEX];
    char run[RUN_HEX]; /* the mark of what it makes; a uid is known only from an answer */
    char *name_space;
    /* As they will be created, or with --reuse as they were found; NULL: not at all. */
    json_t *objects[OBJECT_COUNT];

    struct kube_config kube;
    struct kube_client *client;
    struct kube_call *call;
    struct burrow_timer *timer;
    enum object at; /* the step of the walk through the objects */
    struct standing standing[OBJECT_COUNT];
    unsigned deleted;
    bool lost; /* something could not be deleted */

    bool deleting;     /* `burrow expose delete` */
    bool creating;     /* an answer must be waited for, so that we know what is there */
    bool ending;       /* clean-up was asked for; no step begins any more */
    bool tunnelled;    /* the client was started */
    int32_t exit_code; /* what the end will be */
    uint64_t deadline; /* of the wait, in the host's milliseconds */
    uint64_t patience; /* with the load balancer, the same; 0: not yet asked */
    char reason[400];  /* why it waits, as told last */

    enum way way;
    int service_port, node_port;
    char url[EXPOSE_URL], proxy_path[300];
    struct forward *forward;

    char folder[EXPOSE_FILE]; /* "": none yet */
    char token_path[EXPOSE_FILE + 8];
    struct burrow_timer *renewal;
    pid_t child; /* 0: none */
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

/* ---- command_expose.c ---- */

/* "burrow expose delete …" with what names this run's objects; returns buf. */
const char *expose_delete_command(const struct expose *e, char buf[EXPOSE_COMMAND]);

/* Explains a failure and begins the end, with exit code 2 for BURROW_EINVAL, else 1. */
__attribute__((format(printf, 3, 4))) void expose_fail(struct expose *e, int result,
                                                       const char *format, ...);
/* Begins the end: the client, then what was created, then the command. The first code counts. */
void expose_end(struct expose *e, int32_t exit_code);
/* The steps of the end, in this order. */
void expose_wind_up(struct expose *e);  /* nothing is asked of the cluster any more: the client */
void expose_clean_up(struct expose *e); /* the client is gone: what was created */
void expose_finished(struct expose *e); /* all is deleted, or told */

/* ---- plan.c: from options to objects. 0 or a negative result that has been explained. ---- */

int plan_check(const struct burrow_host *host, const struct expose_config *config, bool deleting);
int plan_connect(struct expose *e); /* the kubeconfig and the namespace */
int plan_objects(struct expose *e);
int plan_print(struct expose *e); /* the objects as YAML, for --dry-run */

/* ---- apply.c, wait.c, tunnel.c: each begins the next, or the end ---- */

void apply_begin(struct expose *e);
void apply_undo(struct expose *e);       /* ends by expose_finished */
void apply_delete_all(struct expose *e); /* likewise */
/* The objects that would stay, as "secret/burrow-api-auth …"; how many. */
size_t apply_standing(const struct expose *e, char *buf, size_t size);

void wait_begin(struct expose *e);

void tunnel_begin(struct expose *e);
void tunnel_end(struct expose *e); /* ends by expose_clean_up */
void tunnel_destroy(struct expose *e);

#endif
