/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the process a safe place, then hands over to the commands. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* gcc and clang say it in different ways. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* A file opened later must not become standard output. */
static int open_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    if (open_standard_files() != 0)
        return 1;
    /* Once, for every library in the process. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* who started us may ignore it: then nobody could wait for a child */
    umask(077);
#if !defined(SANITIZED)
    /* No core dump and no debugger of others: the memory holds keys. (The leak checker of a
     * sanitized build is such a debugger.) */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    return cli_main(argc, argv, environ);
}
