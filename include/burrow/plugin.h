/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between burrow and every plugin, whatever its kind.
 *
 * A plugin is one shared object that exports one symbol, a struct burrow_plugin made
 * with BURROW_PLUGIN(). This header is the reference for that struct, for the options
 * that a plugin declares and for the host table that it is given. Each kind adds one
 * header of its own: transport.h, auth.h, registry.h, command.h.
 *
 * The five sentences that hold throughout:
 *   1. Every request is answered exactly once, or cancelled and never answered.
 *   2. `closed` is always the last event of a link.
 *   3. A buffer given to `send` is the transport's until it gives it back by `release`;
 *      `drained` tells, once, when a queue that was full has room again.
 *   4. All else that is passed in is borrowed until return (received data until
 *      `batch_end`); what must live on is copied. Nobody frees the other's memory.
 *   5. One thread, except `post`.
 *
 * ABI changelog
 *   v0, minor 0: first version. While the symbol is burrow_plugin_v0, anything may change.
 *   v0, minor 1: host: watch_files, unwatch_files. auth: host check_grants, credential method
 *     CERTIFICATE, code with ABSTAIN. transport: burrow_dial.fd instead of reserved, flag TOKEN.
 *   v0, minor 2: command: host judge, ops judging.
 *   v0, minor 3: registry: host self, changed.
 *   v0, minor 4: auth: credential method SEVERAL, burrow_verdict.request_id.
 */
#ifndef BURROW_PLUGIN_H
#define BURROW_PLUGIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_PLUGIN_MAGIC 0x30575242u /* "BRW0" in memory order */
#define BURROW_ABI_MINOR 4u             /* goes up with each addition; see the changelog */
/* The one symbol that a plugin exports. */
#define BURROW_PLUGIN_SYMBOL "burrow_plugin_v0"

/*
 * Tables grow only at their end and begin with `uint32_t size`. A field is there when
 * the giver's size reaches past it; ask before using what a later minor version added.
 */
#define BURROW_HAS(table, field)                                                                   \
    ((size_t)(table)->size >=                                                                      \
     (size_t)((const char *)&(table)->field - (const char *)(table)) + sizeof((table)->field))

/* Results: 0 or one of these; texts by burrow's own table. */
#define BURROW_OK 0
#define BURROW_EINVAL (-1)  /* an argument or option is wrong */
#define BURROW_ENOMEM (-2)  /* out of memory, or a stated limit is reached */
#define BURROW_EAGAIN (-3)  /* not now; an event tells when */
#define BURROW_EIO (-4)     /* a system call or library failed */
#define BURROW_EPROTO (-5)  /* the peer broke a protocol */
#define BURROW_EDENIED (-6) /* not allowed */
#define BURROW_ENOSYS (-7)  /* not supported */

/* Levels for log lines and events. ERROR means that an operator must act. */
#define BURROW_LOG_DEBUG 0
#define BURROW_LOG_INFO 1  /* worth knowing */
#define BURROW_LOG_WARN 2  /* something is not as it should be, and work goes on */
#define BURROW_LOG_ERROR 3 /* an operator must act */

/* Readiness of a descriptor, a bit set. */
#define BURROW_READ 1
#define BURROW_WRITE 2 /* ready to be written to */

/* Kinds of plugins. A new kind is a number here and a header of its own. */
#define BURROW_KIND_TRANSPORT 1u
#define BURROW_KIND_AUTH 2u     /* auth.h */
#define BURROW_KIND_REGISTRY 3u /* registry.h */
#define BURROW_KIND_COMMAND 4u  /* command.h */

struct burrow_self;   /* the host's name for one plugin instance */
struct burrow_watch;  /* a watched descriptor */
struct burrow_timer;  /* a running timer */
struct burrow_lookup; /* a running name look-up */
struct burrow_files;  /* watched files */

/* A descriptor is ready. `events` is a set of BURROW_READ and BURROW_WRITE. Runs on the
 * instance's loop; may call unwatch on its own watch. */
typedef void burrow_io_fn(void *arg, int events);
/* A timer ended (it is gone by then), or a posted call runs. Runs on the instance's loop. */
typedef void burrow_timer_fn(void *arg);

/* One address of a look-up or peer: 4 or 16 bytes (family 4 or 6), port in host order.
 * Family 0 is "none" (a Unix socket's peer). */
struct burrow_addr {
    uint8_t family;    /* 4, 6, or 0 */
    uint8_t reserved;  /* 0 */
    uint16_t port;     /* in host order */
    uint32_t scope;    /* IPv6 scope id, else 0 */
    uint8_t bytes[16]; /* as they travel; 4 or 16 of them count */
};

/* A look-up ended: result 0 and n > 0 addresses, or a negative result, no addresses and a
 * short English reason in `error`. All is borrowed for the call. */
typedef void burrow_resolve_fn(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                               const char *error);

/* Watched files have changed: read all of them again. Returns 0, or a negative result that
 * host->verror has explained, and then nothing has changed in the instance. The host logs and
 * counts either, so that the plugin need not. Runs on the instance's loop, on a turn of its own;
 * may call unwatch_files on its own watch and make another. */
typedef int burrow_files_fn(void *arg);

/* Types of a log event's values. */
#define BURROW_FIELD_STR 1u
#define BURROW_FIELD_INT 2u  /* num */
#define BURROW_FIELD_UINT 3u /* num, as the bits of a uint64_t */

/* One named value of a log event; burrow_str, burrow_mem, burrow_int and burrow_uint make it. */
struct burrow_field {
    const char *name; /* lower_snake_case */
    uint32_t type;    /* BURROW_FIELD_* */
    uint32_t len;     /* BURROW_FIELD_STR: bytes at str; UINT32_MAX: up to its NUL */
    const char *str;  /* BURROW_FIELD_STR */
    int64_t num;      /* BURROW_FIELD_INT, or the bits of BURROW_FIELD_UINT */
};

/*
 * What the host gives to an instance. The table and everything it returns belong to the
 * host. All entries but `post` are called on the instance's loop only.
 */
struct burrow_host {
    uint32_t size;            /* sizeof of this struct, as the host knows it */
    uint32_t abi_minor;       /* BURROW_ABI_MINOR, as the host knows it */
    struct burrow_self *self; /* the first argument of most entries */

    /* A free-text log line; the host adds the plugin's name, escapes and caps it. */
    void (*vlog)(struct burrow_self *, int32_t level, const char *fmt, va_list);
    /* Explains a negative result that the plugin is about to return from check, create,
     * start or reload, or an exit code of a command: one line that names the option or file and
     * what was expected. */
    void (*verror)(struct burrow_self *, int32_t code, const char *fmt, va_list);
    /* Monotonic milliseconds, constant within one turn of the loop. */
    uint64_t (*now_ms)(struct burrow_self *);

    /* Calls fn while fd is ready for `events` (level-triggered). NULL: out of memory. The
     * descriptor stays the caller's; unwatch before closing it. */
    struct burrow_watch *(*watch)(struct burrow_self *, int fd, int events, burrow_io_fn *fn,
                                  void *arg);
    int (*rewatch)(struct burrow_watch *, int events); /* 0 pauses it */
    void (*unwatch)(struct burrow_watch *);            /* NULL is allowed */
    /* Calls the watch's fn on the next turn as if `events` had come (SSL_has_pending). */
    void (*feed)(struct burrow_watch *, int events);

    /* Calls fn once, ms milliseconds from now. NULL: out of memory. */
    struct burrow_timer *(*after)(struct burrow_self *, uint64_t ms, burrow_timer_fn *fn,
                                  void *arg);
    void (*cancel)(struct burrow_timer *); /* NULL is allowed; not after fn ran */

    /* From any thread: run fn on the instance's loop. */
    int (*post)(struct burrow_self *, burrow_timer_fn *fn, void *arg);

    /* The loop's own object, for libraries that must have it: "libev" gives struct
     * ev_loop *. NULL: another flavour runs. */
    void *(*native_loop)(struct burrow_self *, const char *flavour);
    /* At least n bytes (n <= 256 KiB) shared by all instances of the loop, valid only until
     * the current callback returns to the loop. NULL when n is too large. */
    void *(*scratch)(struct burrow_self *, size_t n);

    /* Resolves a host name or address literal off the loop. fn is called exactly once, on
     * a later turn, unless resolve_cancel came first. NULL: out of memory. */
    struct burrow_lookup *(*resolve)(struct burrow_self *, const char *name, uint16_t port,
                                     burrow_resolve_fn *fn, void *arg);
    void (*resolve_cancel)(struct burrow_lookup *); /* NULL is allowed; not after fn ran */

    /* A structured log event; `name` is lower_snake_case. Values are escaped and capped. */
    void (*event)(struct burrow_self *, int32_t level, const char *name,
                  const struct burrow_field *fields, size_t n);
    /* Adds delta to metric number `index` of the plugin's metrics table. */
    void (*metric_add)(struct burrow_self *, uint32_t index, int64_t delta);

    /* Answers stop(): the instance holds nothing any more and destroy may be called. */
    void (*stopped)(struct burrow_self *);

    /* Calls fn when one of the files is another one or has other contents than before: for
     * certificates, keys, secrets and tokens that somebody renews. The host looks about once a
     * second, through symbolic links, and waits until all of them have been the same for one
     * look, so that a pair that is being replaced is seen whole. A file that goes away has
     * changed, too: fn finds it missing. A file that was broken or missing when fn read it is
     * told again only after its next change. paths are copied; NULL and empty ones are passed
     * over, so that optional files can be listed as they stand in the config; at most
     * BURROW_FILES_MAX. NULL: out of memory, or too many. */
    struct burrow_files *(*watch_files)(struct burrow_self *, const char *const *paths, uint32_t n,
                                        burrow_files_fn *fn, void *arg);
    void (*unwatch_files)(struct burrow_files *); /* NULL is allowed */
};
#define BURROW_FILES_MAX 16u /* paths of one watch_files */

/*
 * Options. The host reads flag, variable and file for all plugins alike and fills the
 * plugin's config struct before create. The struct and all it points to belong to the
 * host and are immutable; they live until destroy or the next successful reload.
 */
#define BURROW_OPT_STRING 1u   /* const char *, NULL when unset */
#define BURROW_OPT_INT 2u      /* int64_t */
#define BURROW_OPT_BOOL 3u     /* uint8_t, 0 or 1 */
#define BURROW_OPT_DURATION 4u /* int64_t milliseconds; typed as 10s, 250ms, 1h30m */
#define BURROW_OPT_BYTES 5u    /* int64_t bytes; typed as 64KiB, 16MiB, 1000 */
#define BURROW_OPT_PATH 6u     /* const char *, a file or folder name, NULL when unset */
#define BURROW_OPT_SECRET 7u   /* struct burrow_secret; never shown or logged */
#define BURROW_OPT_LIST 8u     /* struct burrow_list; given repeatedly or as a YAML list */

#define BURROW_OPT_REQUIRED 1u   /* create is not reached without it */
#define BURROW_OPT_RELOADABLE 2u /* a reload may change it; else a change needs a restart */

/* The value of an option of type SECRET, in a config struct. */
struct burrow_secret {
    const uint8_t *data; /* NULL when unset */
    size_t len;          /* bytes at data */
};

/* The value of an option of type LIST, in a config struct. */
struct burrow_list {
    const char *const *items; /* texts, in the order in which they were given */
    size_t count;             /* of items; 0 when unset */
};

/* One option, made by a BURROW_OPTION_* macro; the table ends with BURROW_OPTION_END. */
struct burrow_option {
    const char *name;    /* lower-case-with-hyphens, as in --name */
    uint32_t type;       /* BURROW_OPT_STRING and its like */
    uint32_t flags;      /* a set of BURROW_OPT_REQUIRED and BURROW_OPT_RELOADABLE */
    uint32_t offset;     /* into the config struct, by a BURROW_OPTION_* macro */
    uint32_t reserved;   /* 0 */
    const char *def;     /* as a user would type it; NULL: unset, 0, false or empty */
    const char *metavar; /* what --help shows for the value, e.g. "FILE"; NULL for a bool */
    const char *help;    /* one sentence without a full stop */
    int64_t min;         /* for INT, DURATION, BYTES; min and max both 0: any value >= 0 */
    int64_t max;         /* the largest value allowed */
    const char *choices; /* for STRING: "a|b|c", or NULL */
};

/* The offset of a config field, refused by the compiler when the field's type is not T. */
#ifdef __cplusplus
extern "C++" {
template <typename T> constexpr int burrow_same_type(T *, T *)
{
    return 0;
}
}
#define BURROW_OFFSET(S, field, T)                                                                 \
    ((uint32_t)(offsetof(S, field) + 0 * sizeof(burrow_same_type<T>(static_cast<T *>(nullptr),     \
                                                                    &((S *)nullptr)->field))))
#else
#define BURROW_OFFSET(S, field, T) ((uint32_t) _Generic(((S *)0)->field, T : offsetof(S, field)))
#endif

/* One row of the table of options: for the field `field`, a const char *, of the config struct S.
 * `name`, `def` and the like are the members of struct burrow_option. */
#define BURROW_OPTION_STRING(S, field, name, def, metavar, flags, choices, help)                   \
    {                                                                                              \
        name, BURROW_OPT_STRING, flags, BURROW_OFFSET(S, field, const char *), 0, def, metavar,    \
            help, 0, 0, choices                                                                    \
    }
/* The same for a file or folder name, a const char *. */
#define BURROW_OPTION_PATH(S, field, name, def, metavar, flags, help)                              \
    {                                                                                              \
        name, BURROW_OPT_PATH, flags, BURROW_OFFSET(S, field, const char *), 0, def, metavar,      \
            help, 0, 0, NULL                                                                       \
    }
/* The same for a whole number from min to max, an int64_t. */
#define BURROW_OPTION_INT(S, field, name, def, metavar, flags, min, max, help)                     \
    {                                                                                              \
        name, BURROW_OPT_INT, flags, BURROW_OFFSET(S, field, int64_t), 0, def, metavar, help, min, \
            max, NULL                                                                              \
    }
/* The same for a duration, an int64_t of milliseconds. */
#define BURROW_OPTION_DURATION(S, field, name, def, flags, min, max, help)                         \
    {                                                                                              \
        name, BURROW_OPT_DURATION, flags, BURROW_OFFSET(S, field, int64_t), 0, def, "DURATION",    \
            help, min, max, NULL                                                                   \
    }
/* The same for a number of bytes, an int64_t. */
#define BURROW_OPTION_BYTES(S, field, name, def, flags, min, max, help)                            \
    {                                                                                              \
        name, BURROW_OPT_BYTES, flags, BURROW_OFFSET(S, field, int64_t), 0, def, "BYTES", help,    \
            min, max, NULL                                                                         \
    }
/* The same for a yes or no, a uint8_t. */
#define BURROW_OPTION_BOOL(S, field, name, def, flags, help)                                       \
    {                                                                                              \
        name, BURROW_OPT_BOOL, flags, BURROW_OFFSET(S, field, uint8_t), 0, def, NULL, help, 0, 0,  \
            NULL                                                                                   \
    }
/* The same for a secret, a struct burrow_secret. It has no default. */
#define BURROW_OPTION_SECRET(S, field, name, metavar, flags, help)                                 \
    {                                                                                              \
        name, BURROW_OPT_SECRET, flags, BURROW_OFFSET(S, field, struct burrow_secret), 0, NULL,    \
            metavar, help, 0, 0, NULL                                                              \
    }
/* The same for a list of texts, a struct burrow_list. It has no default. */
#define BURROW_OPTION_LIST(S, field, name, metavar, flags, help)                                   \
    {                                                                                              \
        name, BURROW_OPT_LIST, flags, BURROW_OFFSET(S, field, struct burrow_list), 0, NULL,        \
            metavar, help, 0, 0, NULL                                                              \
    }
/* The last row of every table of options. */
#define BURROW_OPTION_END                                                                          \
    {                                                                                              \
        NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, NULL                                             \
    }

/* Types of metrics: a counter only grows. */
#define BURROW_METRIC_COUNTER 1u
#define BURROW_METRIC_GAUGE 2u /* goes up and down */

/* One metric, exported as burrow_plugin_NAME_<name>. */
struct burrow_metric {
    const char *name;  /* lower_snake_case; counters end in _total */
    uint32_t type;     /* BURROW_METRIC_COUNTER or _GAUGE */
    uint32_t reserved; /* 0 */
    const char *help;  /* one sentence */
};

/*
 * The plugin. Life: dlopen, check, create (no I/O, no threads), bind of the kind's host
 * table, start (I/O begins), work, stop, host->stopped, destroy, end of the process. An
 * instance lives on one loop; two instances of one plugin must work side by side.
 */
struct burrow_plugin {
    uint32_t magic;                      /* BURROW_PLUGIN_MAGIC */
    uint32_t size;                       /* sizeof(struct burrow_plugin) */
    uint32_t abi_minor;                  /* BURROW_ABI_MINOR */
    uint32_t kind;                       /* BURROW_KIND_* */
    uint32_t kind_abi;                   /* BURROW_AUTH_ABI and its like, of the kind's header */
    uint32_t config_size;                /* sizeof the config struct; 0 without options */
    const char *name;                    /* "auth-hmac": kind, hyphen, own name */
    const char *version;                 /* the plugin's own */
    const char *summary;                 /* one line for `burrow plugins` */
    const struct burrow_option *options; /* ends with BURROW_OPTION_END; NULL: none */
    const struct burrow_metric *metrics; /* ends with a NULL name; NULL: none */
    const void *ops;                     /* struct burrow_<kind>_ops */
    /* Optional, without side effects but for reading the files that the config names; may
     * explain by host->verror. Asked before create and before a reload. */
    int (*check)(const struct burrow_host *host, const void *config);
    /* Makes an instance: 0 with *ret_self, or a negative result that verror has explained. No I/O
     * but reading the files that the config names, no threads, nothing of the loop. host and config
     * live until destroy. */
    int (*create)(const struct burrow_host *host, const void *config, void **ret_self);
    /* Optional. I/O begins here. After a negative result, which verror has explained, the program
     * ends. */
    int (*start)(void *self);
    /* Optional. Every check has allowed the new configuration; files are to be read again even
     * when their names are the same. Options without BURROW_OPT_RELOADABLE have the values of
     * before. On failure nothing changed, and the config of before stays in force; it goes after
     * a success. Without reload the config stays what it was at create. */
    int (*reload)(void *self, const void *config);
    /* Answered by host->stopped, maybe later. Requests that are open may be answered before that,
     * never after it. */
    void (*stop)(void *self);
    /* After stopped, or instead of stop where start was never called. Frees the instance. */
    void (*destroy)(void *self);
};

#if defined(_WIN32)
#error "burrow plugins are ELF shared objects"
#endif
/* What makes a symbol visible outside of the plugin; all others are hidden. */
#ifdef __cplusplus
#define BURROW_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define BURROW_EXPORT __attribute__((visibility("default")))
#endif
/* BURROW_PLUGIN = { .magic = BURROW_PLUGIN_MAGIC, .size = sizeof(struct burrow_plugin), … }; */
#ifdef __cplusplus
#define BURROW_PLUGIN                                                                              \
    BURROW_EXPORT const struct burrow_plugin burrow_plugin_v0;                                     \
    const struct burrow_plugin burrow_plugin_v0
#else
#define BURROW_PLUGIN                                                                              \
    BURROW_EXPORT extern const struct burrow_plugin burrow_plugin_v0;                              \
    const struct burrow_plugin burrow_plugin_v0
#endif

/* Log and error calls with a format, for any struct burrow_host pointer. */
__attribute__((format(printf, 3, 4))) static inline void
burrow_log(const struct burrow_host *host, int32_t level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    host->vlog(host->self, level, fmt, ap);
    va_end(ap);
}

/* Reports and returns code, so that `return burrow_error(host, BURROW_EINVAL, …)` reads well. */
__attribute__((format(printf, 3, 4))) static inline int
burrow_error(const struct burrow_host *host, int32_t code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    host->verror(host->self, code, fmt, ap);
    va_end(ap);
    return code;
}

/* A text up to its NUL, as a field of an event. Borrowed like all fields. */
static inline struct burrow_field burrow_str(const char *name, const char *value)
{
    struct burrow_field f = {name, BURROW_FIELD_STR, UINT32_MAX, value, 0};
    return f;
}

/* n bytes of text as a field of an event. */
static inline struct burrow_field burrow_mem(const char *name, const void *p, size_t n)
{
    struct burrow_field f = {name, BURROW_FIELD_STR, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX - 1,
                             (const char *)p, 0};
    return f;
}

/* A number as a field of an event. */
static inline struct burrow_field burrow_int(const char *name, int64_t value)
{
    struct burrow_field f = {name, BURROW_FIELD_INT, 0, NULL, value};
    return f;
}

/* A number that is never negative as a field of an event. */
static inline struct burrow_field burrow_uint(const char *name, uint64_t value)
{
    struct burrow_field f = {name, BURROW_FIELD_UINT, 0, NULL, (int64_t)value};
    return f;
}

#ifdef __cplusplus
}
#endif
#endif
