/* A layer between a process and its files, loaded before the C library (LD_PRELOAD): it counts what the process does to
   the files below one directory, and makes one of these operations fail, or kills the process in the middle of it.

   faults_arm(directory, pattern, n, code): the n-th operation from now on that the pattern fits ("write /metrics.jsonl",
   say) fails with errno = code; code 0: SIGKILL. n 0: none. faults_log(path): each operation is written there, a line. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char below[PATH_MAX], fits[PATH_MAX];
static long count, target;
static int code, log_to = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void faults_arm(const char *directory, const char *pattern, long n, int errno_or_kill) {
  pthread_mutex_lock(&mutex);
  snprintf(below, sizeof below, "%s", directory);
  snprintf(fits, sizeof fits, "%s", pattern);
  count = 0, target = n, code = errno_or_kill;
  pthread_mutex_unlock(&mutex);
}

void faults_log(const char *path) { log_to = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644); }

/* 0: go on. Else this is the operation that fails. */
static int hit(const char *what, const char *path) {
  size_t length = strlen(below);
  if (!length || strncmp(path, below, length) || (path[length] && path[length] != '/')) return 0;
  char operation[PATH_MAX + 16];
  snprintf(operation, sizeof operation, "%s %s", what, path + length);
  pthread_mutex_lock(&mutex);
  if (log_to >= 0) dprintf(log_to, "%s\n", operation);
  int now = !fnmatch(fits, operation, 0) && ++count == target;
  pthread_mutex_unlock(&mutex);
  return now;
}

static void path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
}

static int hit_fd(const char *what, int fd) {
  char path[PATH_MAX];
  if (!*below || fd < 0 || fd == log_to) return 0;
  path_of(fd, path);
  return hit(what, path);
}

static int hit_at(const char *what, int folder, const char *name) {
  char path[PATH_MAX], start[PATH_MAX];
  if (!*below) return 0;
  if (*name == '/') return hit(what, name);
  if (folder == AT_FDCWD) {
    if (!getcwd(start, sizeof start)) return 0;
  } else {
    path_of(folder, start);
  }
  if ((size_t)snprintf(path, sizeof path, "%s/%s", start, name) >= sizeof path) return 0;
  return hit(what, path);
}

static int fail(void) {
  if (!code) kill(getpid(), SIGKILL);
  errno = code;
  return -1;
}

/* A write that fails has written the half of it. */
ssize_t write(int fd, const void *data, size_t size) {
  if (!hit_fd("write", fd)) return REAL(write)(fd, data, size);
  if (size > 1) REAL(write)(fd, data, size / 2);
  return fail();
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  if (!hit_fd("write", fd)) return REAL(pwrite)(fd, data, size, at);
  if (size > 1) REAL(pwrite)(fd, data, size / 2, at);
  return fail();
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
  if (!hit_fd("write", fd)) return REAL(pwrite64)(fd, data, size, at);
  if (size > 1) REAL(pwrite64)(fd, data, size / 2, at);
  return fail();
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
  if (!hit_fd("write", fd)) return REAL(writev)(fd, parts, number);
  if (number > 1) REAL(writev)(fd, parts, 1);
  return fail();
}

size_t fwrite(const void *data, size_t size, size_t number, FILE *file) {
  if (!hit_fd("write", fileno(file))) return REAL(fwrite)(data, size, number, file);
  size_t half = REAL(fwrite)(data, size, number / 2, file);
  if (!code) REAL(fflush)(file);
  fail();
  return half;
}

int fflush(FILE *file) {
  if (file && hit_fd("flush", fileno(file))) return fail() ? EOF : 0;
  return REAL(fflush)(file);
}

int fclose(FILE *file) {
  int failed = hit_fd("close", fileno(file));
  if (failed && !code) fail();
  int result = REAL(fclose)(file);
  return failed ? (fail() ? EOF : 0) : result;
}

#define FD_CALL(name, what, ...) \
  { return hit_fd(what, fd) ? fail() : REAL(name)(__VA_ARGS__); }
int fsync(int fd) FD_CALL(fsync, "fsync", fd)
int fdatasync(int fd) FD_CALL(fdatasync, "fsync", fd)
int ftruncate(int fd, off_t size) FD_CALL(ftruncate, "truncate", fd, size)
int ftruncate64(int fd, off_t size) FD_CALL(ftruncate64, "truncate", fd, size)

int posix_fallocate(int fd, off_t at, off_t size) {
  if (hit_fd("allocate", fd)) return fail(), code;
  return REAL(posix_fallocate)(fd, at, size);
}

int posix_fallocate64(int fd, off_t at, off_t size) {
  if (hit_fd("allocate", fd)) return fail(), code;
  return REAL(posix_fallocate64)(fd, at, size);
}

#define AT_CALL(name, what, folder, path, ...) \
  { return hit_at(what, folder, path) ? fail() : REAL(name)(__VA_ARGS__); }
int rename(const char *from, const char *to) AT_CALL(rename, "rename", AT_FDCWD, to, from, to)
int renameat(int a, const char *from, int b, const char *to) AT_CALL(renameat, "rename", b, to, a, from, b, to)
int unlink(const char *path) AT_CALL(unlink, "unlink", AT_FDCWD, path, path)
int unlinkat(int folder, const char *path, int flags) AT_CALL(unlinkat, "unlink", folder, path, folder, path, flags)
int rmdir(const char *path) AT_CALL(rmdir, "unlink", AT_FDCWD, path, path)
int mkdir(const char *path, mode_t mode) AT_CALL(mkdir, "mkdir", AT_FDCWD, path, path, mode)
int mkdirat(int a, const char *path, mode_t mode) AT_CALL(mkdirat, "mkdir", a, path, a, path, mode)

/* A file that is made, or emptied. */
#define OPEN(name)                                                                       \
  int name(const char *path, int flags, ...) {                                           \
    va_list rest;                                                                        \
    va_start(rest, flags);                                                               \
    mode_t mode = va_arg(rest, mode_t);                                                  \
    va_end(rest);                                                                        \
    if ((flags & (O_CREAT | O_TRUNC)) && hit_at("create", AT_FDCWD, path)) return fail(); \
    return REAL(name)(path, flags, mode);                                                \
  }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                             \
  FILE *name(const char *path, const char *mode) {                                              \
    if (*mode != 'r' && hit_at("create", AT_FDCWD, path)) return fail(), NULL;                   \
    return REAL(name)(path, mode);                                                              \
  }
FOPEN(fopen)
FOPEN(fopen64)
