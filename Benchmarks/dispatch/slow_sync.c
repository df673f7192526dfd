// A slower disk, for LD_PRELOAD: each fsync and fdatasync takes SLOW_SYNC_US microseconds longer than it does.
#define _GNU_SOURCE  // RTLD_NEXT
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int (*Sync)(int);

static void wait_longer(void) {
  const char *text = getenv("SLOW_SYNC_US");
  long microseconds = text ? atol(text) : 0;
  struct timespec rest = {microseconds / 1000000, microseconds % 1000000 * 1000};
  while (nanosleep(&rest, &rest) != 0) {
  }
}

int fsync(int descriptor) {
  wait_longer();
  return ((Sync)dlsym(RTLD_NEXT, "fsync"))(descriptor);
}

int fdatasync(int descriptor) {
  wait_longer();
  return ((Sync)dlsym(RTLD_NEXT, "fdatasync"))(descriptor);
}
