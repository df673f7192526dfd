// Preloaded into a coordinator by lane_faults.py: the N-th write, fsync or rename below a folder fails, once or from
// then on. What to do stands in a small file that the test shares.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct control {
  // Which call fails; 0 for none.
  _Atomic int64_t armed;
  // Calls since it was armed.
  _Atomic int64_t count;
  _Atomic int64_t code;
  _Atomic int64_t forever;
  // Calls that failed.
  _Atomic int64_t fired;
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTS_CONTROL");
  folder = getenv("FAULTS_FOLDER");
  if (!path || !folder) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *memory = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory != MAP_FAILED) control = memory;
  close(fd);
}

static int is_below(const char *path) { return strncmp(path, folder, strlen(folder)) == 0; }

static int strikes(void) {
  int64_t armed = control->armed;
  if (armed == 0) return 0;
  int64_t number = ++control->count;
  if (number != armed && !(control->forever && number > armed)) return 0;
  control->fired++;
  errno = (int)control->code;
  return 1;
}

static int fails(int fd) {
  if (!control || control->armed == 0) return 0;
  int saved = errno;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path) && strikes();
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) { return fails(fd) ? -1 : NEXT(write)(fd, bytes, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  return fails(fd) ? -1 : NEXT(pwrite)(fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return fails(fd) ? -1 : NEXT(pwrite64)(fd, bytes, count, at);
}
int fsync(int fd) { return fails(fd) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fails(fd) ? -1 : NEXT(fdatasync)(fd); }
int rename(const char *from, const char *to) {
  if (control && control->armed && is_below(to) && strikes()) return -1;
  return NEXT(rename)(from, to);
}
