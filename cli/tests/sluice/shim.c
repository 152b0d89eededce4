// Preloaded into a program: stops it at a chosen file operation, and sets its clock.
//
// Operations that change something below SHIM_ROOT are numbered from 1: create, write, truncate, rename, link, unlink, mkdir,
// rmdir and fsync. With SHIM_MATCH only those count whose line, such as "create /t/x.json" or "rename /t/a -> /t/b", has that
// text. At number SHIM_AT (1 if only SHIM_MATCH is set), before the operation, the program is killed (SHIM_DO=kill), stopped
// (SHIM_DO=stop, until SIGCONT), or the operation fails (SHIM_DO=<errno>, with SHIM_STICKY=1 all later ones as well).
// SHIM_LOG appends a line for each operation.
//
// SHIM_CLOCK is a file of two 64-bit integers: seconds that the clock is ahead, and the real time, in nanoseconds, after which
// files that are written are not yet dated by that clock. Their modification times are moved as far as the clock is.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum action { NOTHING, KILL, STOP, FAIL };

static const char *root, *match;
static long at = -1;
static enum action action = NOTHING;
static int failure, sticky, log_file = -1;
static const volatile int64_t *clock_page;
static atomic_long operations;

static void clock_file(const char *path) {
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) abort();
    void *page = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    syscall(SYS_close, file);
    clock_page = page;
}

__attribute__((constructor)) static void begin(void) {
    const char *number = getenv("SHIM_AT"), *what = getenv("SHIM_DO"), *log = getenv("SHIM_LOG"), *clock = getenv("SHIM_CLOCK");
    root = getenv("SHIM_ROOT");
    match = getenv("SHIM_MATCH");
    at = number ? atol(number) : 1;
    sticky = getenv("SHIM_STICKY") != NULL;
    if (what) {
        failure = atoi(what);
        action = !strcmp(what, "kill") ? KILL : !strcmp(what, "stop") ? STOP : FAIL;
    }
    if (log) log_file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (clock) clock_file(clock);
}

static void absolute(int folder, const char *path, char *into, size_t size) {
    char link[64], base[4096] = "";
    if (path[0] == '/') { snprintf(into, size, "%s", path); return; }
    if (folder == AT_FDCWD) { if (syscall(SYS_getcwd, base, sizeof base) < 0) base[0] = 0; }
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (length > 0) base[length] = 0;
    }
    snprintf(into, size, "%s/%s", base, path);
}

static int is_below_root(const char *path) {
    size_t length = strlen(root);
    return !strncmp(path, root, length) && (path[length] == '/' || path[length] == 0);
}

// Comes before an operation on absolute paths; `to` may be null. Gives 1 when the operation is to fail, with errno set.
static int operation(const char *name, const char *path, const char *to) {
    if (!root || !(is_below_root(path) || (to && is_below_root(to)))) return 0;
    char line[9000];
    int length = snprintf(line, sizeof line, to ? "%s %s -> %s\n" : "%s %s\n", name, path, to);
    if (match && !strstr(line, match)) return 0;
    long number = atomic_fetch_add(&operations, 1) + 1;
    if (log_file >= 0 && syscall(SYS_write, log_file, line, length) < 0) abort();
    if (action == NOTHING || (number != at && !(sticky && action == FAIL && number > at))) return 0;
    if (action == FAIL) { errno = failure; return 1; }
    // To this thread: another one would let it go on for a moment.
    syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), action == KILL ? SIGKILL : SIGSTOP);
    return 0;
}

static int at_path(const char *name, int folder, const char *path) {
    if (!root) return 0;
    char full[4200];
    absolute(folder, path, full, sizeof full);
    return operation(name, full, NULL);
}

static int at_paths(const char *name, int folder, const char *path, int to_folder, const char *to) {
    if (!root) return 0;
    char from[4200], into[4200];
    absolute(folder, path, from, sizeof from);
    absolute(to_folder, to, into, sizeof into);
    return operation(name, from, into);
}

static int at_file(const char *name, int file) {
    if (!root) return 0;
    char link[64], path[4200];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return operation(name, path, NULL);
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    if ((flags & (O_CREAT | O_TRUNC)) && at_path("create", folder, path)) return -1;
    return syscall(SYS_openat, folder, path, flags, mode);
}
#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return open_at(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return open_at(folder, path, flags, mode); }

ssize_t write(int file, const void *bytes, size_t count) { return at_file("write", file) ? -1 : syscall(SYS_write, file, bytes, count); }
ssize_t writev(int file, const struct iovec *parts, int count) { return at_file("write", file) ? -1 : syscall(SYS_writev, file, parts, count); }
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) { return at_file("write", file) ? -1 : syscall(SYS_pwrite64, file, bytes, count, offset); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) { return at_file("write", out) ? -1 : syscall(SYS_copy_file_range, in, from, out, to, count, flags); }
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) { return at_file("write", out) ? -1 : syscall(SYS_sendfile, out, in, offset, count); }
int ftruncate64(int file, off64_t size) { return at_file("truncate", file) ? -1 : syscall(SYS_ftruncate, file, size); }
int fsync(int file) { return at_file("fsync", file) ? -1 : syscall(SYS_fsync, file); }
int fdatasync(int file) { return at_file("fsync", file) ? -1 : syscall(SYS_fdatasync, file); }
int rename(const char *from, const char *to) { return at_paths("rename", AT_FDCWD, from, AT_FDCWD, to) ? -1 : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int folder, const char *from, int to_folder, const char *to) { return at_paths("rename", folder, from, to_folder, to) ? -1 : syscall(SYS_renameat2, folder, from, to_folder, to, 0); }
int renameat2(int folder, const char *from, int to_folder, const char *to, unsigned flags) { return at_paths("rename", folder, from, to_folder, to) ? -1 : syscall(SYS_renameat2, folder, from, to_folder, to, flags); }
int link(const char *from, const char *to) { return at_paths("link", AT_FDCWD, from, AT_FDCWD, to) ? -1 : syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int folder, const char *from, int to_folder, const char *to, int flags) { return at_paths("link", folder, from, to_folder, to) ? -1 : syscall(SYS_linkat, folder, from, to_folder, to, flags); }
int unlink(const char *path) { return at_path("unlink", AT_FDCWD, path) ? -1 : syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return at_path(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, path) ? -1 : syscall(SYS_unlinkat, folder, path, flags); }
int rmdir(const char *path) { return at_path("rmdir", AT_FDCWD, path) ? -1 : syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }

int mkdir(const char *path, mode_t mode) {
    // What is there already changes nothing, and has no number.
    if (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0) { errno = EEXIST; return -1; }
    return at_path("mkdir", AT_FDCWD, path) ? -1 : syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

// The clock.
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (!status && clock_page && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += clock_page[0];
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    int status = clock_gettime(CLOCK_REALTIME, &exact);
    if (!status) { now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000; }
    return status;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

// How far a file's time of modification is behind the clock that it was written by.
static int64_t behind(int64_t seconds, int64_t nanoseconds) {
    if (!clock_page || seconds * 1000000000 + nanoseconds <= clock_page[1]) return 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return seconds <= now.tv_sec - clock_page[0] + 1 ? clock_page[0] : 0;
}

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict found) {
    int status = syscall(SYS_statx, folder, path, flags, mask, found);
    if (!status) found->stx_mtime.tv_sec += behind(found->stx_mtime.tv_sec, found->stx_mtime.tv_nsec);
    return status;
}

static int stat_at(int folder, const char *path, struct stat *found, int flags) {
    int status = syscall(SYS_newfstatat, folder, path, found, flags);
    if (!status) found->st_mtim.tv_sec += behind(found->st_mtim.tv_sec, found->st_mtim.tv_nsec);
    return status;
}
int stat(const char *restrict path, struct stat *restrict found) { return stat_at(AT_FDCWD, path, found, 0); }
int stat64(const char *restrict path, struct stat64 *restrict found) { return stat_at(AT_FDCWD, path, (struct stat *)found, 0); }
int lstat(const char *restrict path, struct stat *restrict found) { return stat_at(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW); }
int lstat64(const char *restrict path, struct stat64 *restrict found) { return stat_at(AT_FDCWD, path, (struct stat *)found, AT_SYMLINK_NOFOLLOW); }
int fstat(int file, struct stat *found) { return stat_at(file, "", found, AT_EMPTY_PATH); }
int fstat64(int file, struct stat64 *found) { return stat_at(file, "", (struct stat *)found, AT_EMPTY_PATH); }
int fstatat(int folder, const char *restrict path, struct stat *restrict found, int flags) { return stat_at(folder, path, found, flags); }
int fstatat64(int folder, const char *restrict path, struct stat64 *restrict found, int flags) { return stat_at(folder, path, (struct stat *)found, flags); }
