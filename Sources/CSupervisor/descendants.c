#define _GNU_SOURCE
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// All processes below this one are found by walking /proc and following parents: as this process is a subreaper,
// every orphan's parent is this process, so the walk misses only what is born while it walks. Signals go out during
// the walk (pids rise, so the newest come last and are hit microseconds after they are seen), to whole process groups
// (one step for the kernel, which no fork slips through), and the walk is repeated until it finds nothing new.

enum { BELOW = 1, STOPPED = 2 };
#define STOP_ROUNDS 64

struct process {
  pid_t pid, parent, group;
  /// No thread of it runs any more. A process whose first thread has ended looks like a zombie and is none.
  bool dead;
};

typedef void (*action)(struct descendants *, const struct process *, void *);

long long monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool descendants_init(struct descendants *set) {
  long long limit = 1 << 22;
  FILE *file = fopen("/proc/sys/kernel/pid_max", "re");
  if (file) {
    if (fscanf(file, "%lld", &limit) != 1 || limit < 1 || limit > 1 << 22) limit = 1 << 22;
    fclose(file);
  }
  *set = (struct descendants){.capacity = (size_t)limit + 1, .self = getpid()};
  set->marks = calloc(set->capacity, 1);
  return set->marks != NULL;
}

static bool describe(int proc, const char *name, struct process *out) {
  char path[32], line[512];
  snprintf(path, sizeof path, "%.16s/stat", name);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, line, sizeof line - 1);
  close(fd);
  if (n <= 0) return false;
  line[n] = 0;
  // The name in parentheses is the payload's to choose and may hold anything: the fields begin after the last
  // parenthesis.
  char *fields = strrchr(line, ')');
  if (!fields) return false;
  out->pid = atoi(name);
  char state;
  int threads = 1;
  int found = sscanf(
      fields + 1, " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &state, &out->parent,
      &out->group, &threads);
  out->dead = (state == 'Z' || state == 'X') && threads <= 1;
  return found == 4;
}

static bool is_below(struct descendants *set, const struct process *p) {
  if (p->pid <= 0 || (size_t)p->pid >= set->capacity || p->pid == set->self) return false;
  if (p->parent == set->self) return true;
  return p->parent > 0 && (size_t)p->parent < set->capacity && (set->marks[p->parent] & BELOW);
}

/// Those whose parent has a higher pid than they (numbers wrap round) are settled after the walk.
static void settle(struct descendants *set, struct process *rest, size_t count, action act, void *context) {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < count; i++) {
      if (rest[i].pid == 0 || !is_below(set, &rest[i])) continue;
      set->marks[rest[i].pid] |= BELOW;
      act(set, &rest[i], context);
      rest[i].pid = 0;
      changed = true;
    }
  }
}

static void walk(struct descendants *set, action act, void *context) {
  DIR *directory = opendir("/proc");
  if (!directory) return;
  for (size_t i = 0; i < set->capacity; i++) set->marks[i] &= (uint8_t)~BELOW;
  struct process *rest = NULL;
  size_t count = 0, room = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    struct process p;
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !describe(dirfd(directory), entry->d_name, &p)) continue;
    if (is_below(set, &p)) {
      set->marks[p.pid] |= BELOW;
      act(set, &p, context);
      continue;
    }
    if (count == room) {
      room = room ? room * 2 : 256;
      struct process *more = realloc(rest, room * sizeof *rest);
      if (!more) break;
      rest = more;
    }
    rest[count++] = p;
  }
  settle(set, rest, count, act, context);
  free(rest);
  closedir(directory);
}

/// A group other than our own was made by a descendant, and only its descendants can be in it.
static void signal_group(const struct process *p, int number) {
  if (p->group > 1 && p->group != getpgrp()) kill(-p->group, number);
}

static void polite(struct descendants *set, const struct process *p, void *context) {
  (void)set;
  kill(p->pid, *(int *)context);
  // A stopped process acts on a signal only once it goes on.
  kill(p->pid, SIGCONT);
}

void descendants_signal(struct descendants *set, int number) { walk(set, polite, &number); }

struct sweep {
  pid_t spare;
  bool found;
};

static void stop(struct descendants *set, const struct process *p, void *context) {
  struct sweep *sweep = context;
  if (p->dead || (set->marks[p->pid] & STOPPED)) return;
  kill(p->pid, SIGSTOP);
  signal_group(p, SIGSTOP);
  set->marks[p->pid] |= STOPPED;
  // Counted here: when the kill comes, one for a whole group, the others are dead before they are visited.
  if (p->pid != sweep->spare) set->killed++;
  sweep->found = true;
}

static void finish(struct descendants *set, const struct process *p, void *context) {
  (void)set;
  (void)context;
  if (p->dead) return;
  kill(p->pid, SIGKILL);
  signal_group(p, SIGKILL);
}

unsigned descendants_note(struct descendants *set, pid_t pid, pid_t spare) {
  if (pid <= 0 || (size_t)pid >= set->capacity || (set->marks[pid] & STOPPED)) return 0;
  set->marks[pid] |= STOPPED;
  return pid != spare;
}

void descendants_kill(struct descendants *set, pid_t spare) {
  // Be faster than a fork loop where we may; without the privilege this changes nothing.
  setpriority(PRIO_PROCESS, 0, -20);
  struct sweep sweep = {.spare = spare, .found = true};
  for (int round = 0; sweep.found && round < STOP_ROUNDS; round++) {
    sweep.found = false;
    walk(set, stop, &sweep);
  }
  walk(set, finish, NULL);
}
