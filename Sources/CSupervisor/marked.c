#define _GNU_SOURCE
#include "CSupervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// The last resort, for the case that a miner and its supervisor were both killed at once: the payload's environment
// carries a random marker that the job's directory remembers, so what it left running can be told from everybody
// else's processes.

#define ENVIRONMENT_MAX (4u << 20)

/// Whether the environment of a process, or of one thread as the kernel shows it, holds `entry`; -1 when it shows none.
static int environment_holds(int directory, const char *name, const char *entry) {
  char path[64];
  snprintf(path, sizeof path, "%.32s/environ", name);
  int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  // Entries are matched whole, across the edges of what one read brings.
  size_t wanted = strlen(entry) + 1, at = 0, total = 0;
  bool matching = true, found = false;
  char bytes[4096];
  for (ssize_t n; !found && total < ENVIRONMENT_MAX && (n = read(fd, bytes, sizeof bytes)) > 0; total += (size_t)n) {
    for (ssize_t i = 0; i < n && !found; i++) {
      matching = matching && at < wanted && bytes[i] == entry[at];
      at++;
      if (bytes[i] != 0) continue;
      found = matching && at == wanted;
      at = 0;
      matching = true;
    }
  }
  close(fd);
  return total == 0 && !found ? -1 : found;
}

static bool holds(int proc, const char *pid, const char *entry) {
  int found = environment_holds(proc, pid, entry);
  if (found >= 0) return found;
  // A process whose first thread has ended shows its environment only through the threads that live.
  char path[32];
  snprintf(path, sizeof path, "%.16s/task", pid);
  int tasks = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = tasks < 0 ? NULL : fdopendir(tasks);
  if (!directory) {
    if (tasks >= 0) close(tasks);
    return false;
  }
  for (struct dirent *item; found <= 0 && (item = readdir(directory));)
    if (item->d_name[0] != '.') found = environment_holds(tasks, item->d_name, entry);
  closedir(directory);
  return found > 0;
}

static int visit(const char *entry, int number) {
  DIR *directory = opendir("/proc");
  if (!directory) return -errno;
  int count = 0;
  for (struct dirent *item; (item = readdir(directory));) {
    if (item->d_name[0] < '1' || item->d_name[0] > '9') continue;
    pid_t pid = atoi(item->d_name);
    // A zombie's environment is empty, so only living processes match.
    if (pid == getpid() || !holds(dirfd(directory), item->d_name, entry)) continue;
    if (number == 0 || kill(pid, number) == 0) count++;
  }
  closedir(directory);
  return count;
}

int aitbc_count_marked(const char *entry) { return visit(entry, 0); }

int aitbc_kill_marked(const char *entry, int rounds) {
  int total = 0;
  for (int round = 0; round < rounds; round++) {
    int stopped = visit(entry, SIGSTOP);
    int killed = stopped > 0 ? visit(entry, SIGKILL) : stopped;
    if (killed < 0) return killed;
    if (killed == 0) return total;
    total += killed;
    // The dead stay visible until the kernel has taken them down.
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
  return total;
}
