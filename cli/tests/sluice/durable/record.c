/* Preloaded into a program: writes a line to RECORD_TO for each operation that changes something below RECORD_ROOT,
   before it is done: "write PATH", "sync PATH", "mkdir PATH", "link FROM<TAB>TO", "rename FROM<TAB>TO". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root;
static int to = -1;

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("RECORD_TO");
    root = getenv("RECORD_ROOT");
    if (name && root) to = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void note(const char *what, const char *from, const char *path) {
    char line[4096];
    if (to < 0 || strncmp(path, root, strlen(root))) return;
    int length = snprintf(line, sizeof line, from ? "%s %s\t%s\n" : "%s %s%s\n", what, from ? from : "", path);
    if (syscall(SYS_write, to, line, length) != length) abort();
}

static void note_file(const char *what, int file) {
    char link[64], path[2048];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = to < 0 ? -1 : readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    note(what, NULL, path);
}

ssize_t write(int file, const void *bytes, size_t length) {
    note_file("write", file);
    return syscall(SYS_write, file, bytes, length);
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
    note_file("write", file);
    return syscall(SYS_writev, file, pieces, count);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    note_file("write", file);
    return syscall(SYS_pwrite64, file, bytes, length, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    note_file("write", file);
    return syscall(SYS_pwrite64, file, bytes, length, at);
}

ssize_t copy_file_range(int from, off64_t *from_at, int file, off64_t *at, size_t length, unsigned flags) {
    note_file("write", file);
    return syscall(SYS_copy_file_range, from, from_at, file, at, length, flags);
}

int fsync(int file) {
    int done = syscall(SYS_fsync, file);
    if (!done) note_file("sync", file);
    return done;
}

int fdatasync(int file) {
    int done = syscall(SYS_fdatasync, file);
    if (!done) note_file("sync", file);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    struct stat there;
    if (stat(path, &there)) note("mkdir", NULL, path);
    return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rename(const char *from, const char *path) {
    note("rename", from, path);
    return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, path);
}

int link(const char *from, const char *path) {
    note("link", from, path);
    return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, path, 0);
}

int linkat(int from_folder, const char *from, int folder, const char *path, int flags) {
    note("link", from, path);
    return syscall(SYS_linkat, from_folder, from, folder, path, flags);
}
