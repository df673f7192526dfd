#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The configuration is a run of records, each ended by a NUL. The first is the magic, the last is "."; between them
// the first byte of a record tells what the rest is:
//   a argument      e NAME=value    w wrapper argument   d directory    t timeout ms   g grace ms   n niceness
//   A address space, F file size, N open files, P processes: limits
//   c control group   m its memory   p its processes   u its processors in thousandths
// It travels in a memory file and not in argv or the environment, because both can be read by others and it may hold
// secrets.

#define MAGIC "aitbc-supervise/1"
#define BYTES_MAX (8u << 20)
#define RECORDS_MAX 65536u

static int read_all(int fd, char **bytes, size_t *count) {
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  if (status.st_size <= 0 || status.st_size > BYTES_MAX) return EBADMSG;
  size_t size = (size_t)status.st_size, done = 0;
  char *buffer = malloc(size);
  if (!buffer) return ENOMEM;
  while (done < size) {
    ssize_t n = pread(fd, buffer + done, size - done, (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      int code = n < 0 ? errno : EBADMSG;
      free(buffer);
      return code;
    }
    done += (size_t)n;
  }
  *bytes = buffer;
  *count = size;
  return buffer[size - 1] == 0 ? 0 : EBADMSG;
}

static bool number(const char *text, long long *out) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end || value < 0) return false;
  *out = value;
  return true;
}

static bool take(struct configuration *c, char *record, size_t *a, size_t *e, size_t *w) {
  char *rest = record + 1;
  long long niceness;
  switch (record[0]) {
    case 'a': c->arguments[(*a)++] = rest; return true;
    case 'e': c->environment[(*e)++] = rest; return true;
    case 'w': c->wrapper[(*w)++] = rest; return true;
    case 'd': c->directory = rest; return true;
    case 'A': return number(rest, &c->address_space);
    case 'F': return number(rest, &c->file_size);
    case 'N': return number(rest, &c->open_files);
    case 'P': return number(rest, &c->processes);
    case 'c': c->cgroup = rest; return rest[0] == '/' && strlen(rest) < 4096;
    case 'm': return number(rest, &c->group_memory);
    case 'p': return number(rest, &c->group_processes);
    case 'u': return number(rest, &c->group_millicpus);
    case 't': return number(rest, &c->timeout_ms);
    case 'g': return number(rest, &c->grace_ms);
    case 'f': return number(rest, &c->fence_ms);
    case 'n':
      if (!number(rest, &niceness) || niceness > 19) return false;
      c->niceness = (int)niceness;
      return true;
    default: return false;
  }
}

int configuration_read(int fd, struct configuration *out) {
  *out = (struct configuration){
      .address_space = -1, .file_size = -1, .open_files = -1, .processes = -1,
      .group_memory = -1, .group_processes = -1, .group_millicpus = -1, .cgroup_procs = -1};
  size_t size = 0, records = 0;
  int code = read_all(fd, &out->storage, &size);
  if (code) return code;
  for (size_t i = 0; i < size; i++) records += out->storage[i] == 0;
  if (records > RECORDS_MAX) return EBADMSG;
  out->arguments = calloc(records + 1, sizeof(char *));
  out->environment = calloc(records + 1, sizeof(char *));
  out->wrapper = calloc(records + 1, sizeof(char *));
  if (!out->arguments || !out->environment || !out->wrapper) return ENOMEM;

  size_t a = 0, e = 0, w = 0;
  char *record = out->storage, *end = out->storage + size;
  if (strcmp(record, MAGIC) != 0) return EBADMSG;
  for (record += strlen(record) + 1; record < end; record += strlen(record) + 1) {
    if (strcmp(record, ".") == 0) return record + 2 == end && a > 0 && out->directory ? 0 : EBADMSG;
    if (!take(out, record, &a, &e, &w)) return EBADMSG;
  }
  return EBADMSG;
}
