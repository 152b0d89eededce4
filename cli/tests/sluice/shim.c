/* Preloaded into the real binary by shim.rs: stops it, or fails it, at a file operation.
 *
 * SHIM_MATCH  part of "OPERATION PATH", where OPERATION is create, link, rename or mkdir
 * SHIM_DO     "stop", once, or the number of an error, from then on
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *match;
static int error;
static atomic_int stopped;

__attribute__((constructor)) static void begin(void) {
    const char *action = getenv("SHIM_DO");
    match = getenv("SHIM_MATCH");
    error = action && strcmp(action, "stop") ? atoi(action) : 0;
}

/* Whether the operation is to fail; errno says why. */
static int fails(const char *operation, const char *path) {
    char line[4096];
    if (!match || !path) return 0;
    snprintf(line, sizeof line, "%s %s", operation, path);
    if (!strstr(line, match)) return 0;
    if (error) {
        errno = error;
        return 1;
    }
    if (!atomic_exchange(&stopped, 1)) syscall(SYS_kill, getpid(), SIGSTOP);
    return 0;
}

static int open_file(int folder, const char *path, int flags, mode_t mode) {
    if ((flags & (O_CREAT | O_TRUNC)) && fails("create", path)) return -1;
    return syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags)                                        \
    mode_t mode = 0;                                       \
    if (flags & O_CREAT) {                                 \
        va_list rest;                                      \
        va_start(rest, flags);                             \
        mode = va_arg(rest, mode_t);                       \
        va_end(rest);                                      \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_file(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_file(folder, path, flags, mode);
}

int link(const char *from, const char *to) {
    return fails("link", to) ? -1 : syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    return fails("link", to) ? -1 : syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int rename(const char *from, const char *to) {
    return fails("rename", to) ? -1 : syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int mkdir(const char *path, mode_t mode) {
    struct stat there;
    if (!stat(path, &there)) {
        errno = EEXIST;
        return -1;
    }
    return fails("mkdir", path) ? -1 : syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
