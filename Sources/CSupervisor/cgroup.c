#define _GNU_SOURCE
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Where the machine has control groups of version 2 and lets the miner make some, each try has one of its own. What a
// payload forks is born in it, so one write to cgroup.kill ends all of it at once, whatever it forks meanwhile: no
// scan can be outrun. The scan follows all the same, for what may have left the group.

static bool write_text(const char *directory, const char *name, const char *text) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = write(fd, text, strlen(text));
  int code = errno;
  close(fd);
  errno = code;
  return n == (ssize_t)strlen(text);
}

static bool write_number(const char *directory, const char *name, long long value) {
  char text[32];
  snprintf(text, sizeof text, "%lld", value);
  return value < 0 || write_text(directory, name, text);
}

static bool limit_group(const struct configuration *c) {
  const char *path = c->cgroup;
  if (!write_number(path, "memory.max", c->group_memory) || !write_number(path, "pids.max", c->group_processes))
    return false;
  // What does not fit is not to be hidden in swap; where there is none, there is no such file.
  if (c->group_memory >= 0) write_text(path, "memory.swap.max", "0");
  if (c->group_millicpus < 0) return true;
  char quota[64];
  snprintf(quota, sizeof quota, "%lld 100000", c->group_millicpus * 100);
  return write_text(path, "cpu.max", quota);
}

int cgroup_open(struct configuration *c) {
  c->cgroup_procs = -1;
  if (!c->cgroup) return 0;
  if (mkdir(c->cgroup, 0755) != 0 && errno != EEXIST) return errno;
  char path[4200];
  snprintf(path, sizeof path, "%s/cgroup.procs", c->cgroup);
  if (!limit_group(c) || (c->cgroup_procs = open(path, O_WRONLY | O_CLOEXEC)) < 0) {
    int code = errno;
    rmdir(c->cgroup);
    return code;
  }
  return 0;
}

bool cgroup_enter(const struct configuration *c) {
  return c->cgroup_procs < 0 || write(c->cgroup_procs, "0", 1) == 1;
}

unsigned cgroup_kill(const struct configuration *c, struct descendants *set, pid_t spare) {
  if (c->cgroup_procs < 0) return 0;
  char path[4200];
  snprintf(path, sizeof path, "%s/cgroup.procs", c->cgroup);
  // Counted before they die; those marked here are not counted again by the scan.
  unsigned count = 0;
  FILE *file = fopen(path, "re");
  if (file) {
    int pid;
    while (fscanf(file, "%d", &pid) == 1) count += descendants_note(set, pid, spare);
    fclose(file);
  }
  write_text(c->cgroup, "cgroup.kill", "1");
  return count;
}

bool cgroup_ran_out_of_memory(const struct configuration *c) {
  if (c->cgroup_procs < 0) return false;
  char path[4200], line[128];
  long long kills = 0;
  snprintf(path, sizeof path, "%s/memory.events", c->cgroup);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "oom_kill %lld", &kills) == 1) break;
  fclose(file);
  return kills > 0;
}

/// Groups that the payload made in its own go first; deeper than this nothing is looked for.
static void remove_groups(const char *path, int depth) {
  DIR *directory = depth > 0 ? opendir(path) : NULL;
  if (directory) {
    for (struct dirent *entry; (entry = readdir(directory));) {
      char inner[4200];
      if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
      if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner)
        remove_groups(inner, depth - 1);
    }
    closedir(directory);
  }
  // The dead leave a group a moment after they were reaped.
  for (int round = 0; rmdir(path) != 0 && errno == EBUSY && round < 100; round++)
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

void cgroup_close(struct configuration *c) {
  if (c->cgroup_procs < 0) return;
  close(c->cgroup_procs);
  c->cgroup_procs = -1;
  remove_groups(c->cgroup, 16);
}

int aitbc_end_cgroup(const char *path) {
  if (access(path, F_OK) != 0) return errno == ENOENT ? 0 : errno;
  if (!write_text(path, "cgroup.kill", "1")) return errno;
  remove_groups(path, 16);
  return access(path, F_OK) == 0 ? EBUSY : 0;
}
