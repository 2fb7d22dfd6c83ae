/* Makes system calls fail that change files below a directory. Preloaded by tests/test_faults.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { NO_SPACE, BROKEN, SHORT };
static char below[PATH_MAX];
static long seen, failing = -1;
static int kind;

/* Fail call number `number` below `directory`; a full disk stays full. -1 only counts. */
void faults_arm(const char *directory, long number, int kind_of_fault) {
  strncpy(below, directory, sizeof below - 1);
  seen = 0, failing = number, kind = kind_of_fault;
}
long faults_seen(void) { return seen; }
void faults_disarm(void) { below[0] = 0; }

static int is_below(const char *path) { return below[0] && strncmp(path, below, strlen(below)) == 0; }

static int fails_at(const char *path) {
  if (!is_below(path)) return 0;
  long number = seen++;
  if (failing < 0 || number < failing || (kind != NO_SPACE && number > failing)) return 0;
  errno = kind == NO_SPACE ? ENOSPC : EIO;
  return 1;
}

static int fails(int descriptor) {
  char link[64], path[PATH_MAX];
  if (!below[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return fails_at(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int descriptor, const void *bytes, size_t size) {
  if (fails(descriptor)) {
    if (kind != SHORT) return -1;
    size = size > 1 ? size / 2 : size;
  }
  return REAL(write)(descriptor, bytes, size);
}
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
  if (kind != SHORT && fails(fileno(file))) return 0;
  return REAL(fwrite)(bytes, size, count, file);
}
int fflush(FILE *file) { return kind != SHORT && file && fails(fileno(file)) ? EOF : REAL(fflush)(file); }
int fsync(int descriptor) { return kind != SHORT && fails(descriptor) ? -1 : REAL(fsync)(descriptor); }
int rename(const char *from, const char *to) { return kind != SHORT && fails_at(to) ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return kind != SHORT && fails_at(path) ? -1 : REAL(mkdir)(path, mode); }

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  return kind != SHORT && (flags & O_CREAT) && fails_at(path) ? -1 : real(path, flags, mode);
}
#define OPEN(name)                              \
  int name(const char *path, int flags, ...) {  \
    mode_t mode = 0;                            \
    if (flags & (O_CREAT | O_TMPFILE)) {        \
      va_list rest;                             \
      va_start(rest, flags);                    \
      mode = va_arg(rest, mode_t);              \
      va_end(rest);                             \
    }                                           \
    return opened(REAL(name), path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
