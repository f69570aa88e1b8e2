/* Preloaded into a process: writes down, in order, what it does to the files of one folder.
 *
 * A record is: operation (one byte: W write, T truncate, S sync, U unlink), then as 64-bit little-endian integers the
 * offset and the sizes of path and data, then path and data. IO_LOG names the log, IO_FOLDER the folder.
 *
 * With fail_after(n) called through ctypes, the disk is full at the n-th write or sync from then on, once or for ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static const char *folder;
static int left = -1;    /* writes and syncs until the disk is full; -1: it never is */
static int for_ever = 0; /* whether it stays full */

void fail_after(int count, int stays) {
    pthread_mutex_lock(&turn);
    left = count;
    for_ever = stays;
    pthread_mutex_unlock(&turn);
}

static int fails(void) {
    if (left < 0) return 0;
    if (left > 0) return left--, 0;
    if (!for_ever) left = -1;
    errno = ENOSPC;
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("IO_LOG");
    folder = getenv("IO_FOLDER");
    if (path) log_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

static void record(char operation, const char *path, int64_t offset, const void *data, int64_t size) {
    if (log_fd < 0) return;
    int64_t numbers[3] = {offset, (int64_t)strlen(path), size};
    struct iovec parts[4] = {
        {&operation, 1}, {numbers, sizeof numbers}, {(void *)path, strlen(path)}, {(void *)data, (size_t)size}};
    if (syscall(SYS_writev, log_fd, parts, 4) < 0) abort();
}

static int path_of(int fd, char *path, size_t room) {
    char link[64];
    if (!folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, room - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    char path[4096];
    pthread_mutex_lock(&turn);
    int ours = path_of(fd, path, sizeof path);
    ssize_t done = -1;
    if (!(ours && fails()))
        done = REAL("pwrite64", ssize_t (*)(int, const void *, size_t, off64_t))(fd, data, size, offset);
    if (done > 0 && ours) record('W', path, offset, data, done);
    pthread_mutex_unlock(&turn);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    char path[4096];
    pthread_mutex_lock(&turn);
    off64_t offset = lseek64(fd, 0, SEEK_CUR);
    ssize_t done = REAL("write", ssize_t (*)(int, const void *, size_t))(fd, data, size);
    if (done > 0 && path_of(fd, path, sizeof path)) record('W', path, offset, data, done);
    pthread_mutex_unlock(&turn);
    return done;
}

int ftruncate64(int fd, off64_t size) {
    char path[4096];
    pthread_mutex_lock(&turn);
    int result = REAL("ftruncate64", int (*)(int, off64_t))(fd, size);
    if (result == 0 && path_of(fd, path, sizeof path)) record('T', path, size, "", 0);
    pthread_mutex_unlock(&turn);
    return result;
}

static int synced(int fd, const char *name) {
    char path[4096];
    pthread_mutex_lock(&turn);
    int ours = path_of(fd, path, sizeof path);
    int result = ours && fails() ? -1 : REAL(name, int (*)(int))(fd);
    if (result == 0 && ours) record('S', path, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

int unlink(const char *path) {
    pthread_mutex_lock(&turn);
    int result = REAL("unlink", int (*)(const char *))(path);
    if (result == 0 && folder && strncmp(path, folder, strlen(folder)) == 0) record('U', path, 0, "", 0);
    pthread_mutex_unlock(&turn);
    return result;
}
