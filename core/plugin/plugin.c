/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens plugins: finds the file, checks it before and after dlopen, and keeps what was
 * read. An object is never unloaded: libraries behind it (OpenSSL) do not survive that.
 */
#include "plugin/plugin.h"

#include "config/known.h"
#include "config/option.h"
#include "config/text.h"
#include "plugin/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_name(const char *name, struct error *err)
{
    char quoted[TEXT_QUOTED];
    size_t n = strlen(name);
    if (n > 0 && n <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n)
        return 0;
    return error_set(err, BURROW_EINVAL,
                     "plugin %s: is no name of a plugin; expected lower-case-with-hyphens or an "
                     "absolute path",
                     option_quote(name, quoted, sizeof quoted));
}

/* The real path of the file: *ret is the caller's to free. */
static int find_file(const char *dir, const char *name, char **ret, struct error *err)
{
    char path[PATH_MAX];
    bool absolute = name[0] == '/';
    if (!absolute && check_name(name, err) != 0)
        return BURROW_EINVAL;
    int n = absolute ? snprintf(path, sizeof path, "%s", name)
                     : snprintf(path, sizeof path, "%s/%s.so", dir, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, BURROW_EINVAL, "plugin %.64s: its path is too long", name);
    char *real = realpath(path, NULL);
    if (real) {
        *ret = real;
        return 0;
    }
    const char *package = errno == ENOENT && !absolute ? known_package(name) : NULL;
    return error_set(err, BURROW_EINVAL, "plugin %s: %s%s%s", path,
                     errno == ENOENT ? "no such file" : strerror(errno),
                     package ? "; it comes with the package " : "", package ? package : "");
}

/* Nobody but its owner may write the file, and not everybody its folder; one that is writable but
 * sticky (like /tmp) keeps others from replacing what is not theirs. Who owns either is not asked,
 * nor whether the folder's group may write: plugins are run by another user than they were built
 * by, in user namespaces all files may seem to be of nobody, and where each user has a group of
 * their own a build tree has the mode 0775. Who names a plugin trusts both. */
static int check_writers(const char *path, const struct stat *st, struct error *err)
{
    char dir[PATH_MAX];
    struct stat dir_st;
    if (!S_ISREG(st->st_mode))
        return error_set(err, BURROW_EINVAL, "is no regular file");
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return error_set(err, BURROW_EINVAL,
                         "is writable by %s; expected only its owner (chmod go-w)",
                         st->st_mode & S_IWOTH ? "everybody" : "its group");
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    if (stat(dir, &dir_st) != 0)
        return error_set(err, BURROW_EINVAL, "its folder: %s", strerror(errno));
    if ((dir_st.st_mode & S_IWOTH) && !(dir_st.st_mode & S_ISVTX))
        return error_set(err, BURROW_EINVAL,
                         "its folder is writable by everybody; expected chmod o-w");
    return 0;
}

static int check_file(struct plugin *plugin, struct error *err)
{
    struct stat st;
    int fd = open(plugin->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, BURROW_EINVAL, "%s", strerror(errno));
    int rc = fstat(fd, &st) == 0 ? check_writers(plugin->path, &st, err)
                                 : error_set(err, BURROW_EIO, "%s", strerror(errno));
    if (rc == 0)
        rc = elf_check(fd, (uint64_t)st.st_size, err);
    close(fd);
    if (rc != 0)
        return rc;
    plugin->dev = st.st_dev;
    plugin->ino = st.st_ino;
    return 0;
}

/* The object's own symbol, not that of a library it is linked with. */
static const void *own_symbol(void *handle, const char *name)
{
    struct link_map *map = NULL, *found = NULL;
    Dl_info info;
    const void *symbol = dlsym(handle, name);
    if (!symbol || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 ||
        dladdr1(symbol, &info, (void **)&found, RTLD_DL_LINKMAP) == 0)
        return NULL;
    return map == found ? symbol : NULL;
}

static int no_descriptor(void *handle, struct error *err)
{
    for (unsigned v = 0; v < 100; v++) {
        char name[32];
        snprintf(name, sizeof name, "burrow_plugin_v%u", v);
        if (own_symbol(handle, name))
            return error_set(err, BURROW_EINVAL, "is built for plugin ABI v%u; this burrow has %s",
                             v, &BURROW_PLUGIN_SYMBOL[strlen("burrow_plugin_")]);
    }
    return error_set(err, BURROW_EINVAL, "is no plugin of burrow (it does not export %s)",
                     BURROW_PLUGIN_SYMBOL);
}

/* The linker's message names the file first, which our line already does. */
static const char *linker_says(const char *path)
{
    const char *says = dlerror();
    size_t n = strlen(path);
    if (says && strncmp(says, path, n) == 0 && strncmp(says + n, ": ", 2) == 0)
        return says + n + 2;
    return says ? says : "the dynamic linker refuses it";
}

static int load(struct plugin *plugin, const char *name, struct error *err)
{
    void *handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return error_set(err, BURROW_EINVAL, "%s", linker_says(plugin->path));
    const void *found = own_symbol(handle, BURROW_PLUGIN_SYMBOL);
    int rc = found ? descriptor_read(found, plugin, err) : no_descriptor(handle, err);
    /* Only the reference goes: NODELETE keeps the object. */
    dlclose(handle);
    if (rc == 0 && name[0] != '/' && strcmp(plugin->descriptor.name, name) != 0)
        return error_set(err, BURROW_EINVAL, "its name is %s; expected that of the file",
                         plugin->descriptor.name);
    return rc;
}

int plugin_open(const char *dir, const char *name, struct plugin **ret, struct error *err)
{
    struct plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    plugin->magic = PLUGIN_MAGIC;
    int rc = find_file(dir, name, &plugin->path, err);
    if (rc == 0) {
        rc = check_file(plugin, err);
        if (rc == 0)
            rc = load(plugin, name, err);
        if (rc != 0)
            error_prefix(err, "plugin %s", plugin->path);
    }
    if (rc != 0) {
        plugin_close(plugin);
        return rc;
    }
    *ret = plugin;
    return 0;
}

int plugin_check_distinct(struct plugin *const *plugins, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct plugin *a = plugins[j], *b = plugins[i];
            if (a->dev == b->dev && a->ino == b->ino)
                return error_set(err, BURROW_EINVAL,
                                 "plugin %s: is the same file as %s; expected each plugin once",
                                 b->path, a->path);
            if (strcmp(a->descriptor.name, b->descriptor.name) == 0)
                return error_set(err, BURROW_EINVAL,
                                 "plugin %s: is called %s like %s; expected each name once",
                                 b->path, b->descriptor.name, a->path);
        }
    }
    return 0;
}

const struct burrow_plugin *plugin_descriptor(const struct plugin *plugin)
{
    must_be(plugin, PLUGIN_MAGIC);
    return &plugin->descriptor;
}

const char *plugin_path(const struct plugin *plugin)
{
    must_be(plugin, PLUGIN_MAGIC);
    return plugin->path;
}

void plugin_close(struct plugin *plugin)
{
    if (!plugin)
        return;
    must_be(plugin, PLUGIN_MAGIC);
    plugin->magic = 0;
    free(plugin->path);
    free(plugin);
}
