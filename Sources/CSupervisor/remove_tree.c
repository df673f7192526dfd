#define _GNU_SOURCE
#include "CSupervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A payload may leave a tree of any depth, with directories that forbid entry. Depth is bounded by moving what lies
// too deep up to the top of the tree (a rename within one file system) and taking it up again from there.

#define DEPTH_MAX 24
#define PASSES_MAX 100000

struct removal {
  int top;
  unsigned moved;
  bool again;
  int error;
};

static void note(struct removal *r) {
  if (errno != ENOENT && r->error == 0) r->error = errno;
}

static int open_directory(int parent, const char *name) {
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(parent, name, flags);
  if (fd >= 0 || errno != EACCES) return fd;
  // fchmodat follows links, and this name was just refused as a directory: check that it is one.
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode)) return -1;
  if (fchmodat(parent, name, 0700, 0) != 0) return -1;
  return openat(parent, name, flags);
}

static void remove_entry(struct removal *r, int parent, const char *name, int depth);

static void empty(struct removal *r, int fd, int depth) {
  // Entries can be removed only where the directory may be written.
  fchmod(fd, 0700);
  DIR *directory = fdopendir(fd);
  if (!directory) {
    note(r);
    close(fd);
    return;
  }
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    remove_entry(r, dirfd(directory), entry->d_name, depth);
  }
  closedir(directory);
}

static void remove_entry(struct removal *r, int parent, const char *name, int depth) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) return note(r);
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0) return;
  if (depth >= DEPTH_MAX) {
    char flat[64];
    snprintf(flat, sizeof flat, ".aitbc-removing-%u", r->moved++);
    // The moved directory is found by the next pass over the top.
    if (renameat(parent, name, r->top, flat) == 0) {
      r->again = true;
      return;
    }
    return note(r);
  }
  int fd = open_directory(parent, name);
  if (fd < 0) return note(r);
  empty(r, fd, depth + 1);
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0) return;
  // Some file systems skip entries in a listing that is being emptied.
  if (errno == ENOTEMPTY) {
    r->again = true;
  } else {
    note(r);
  }
}

int aitbc_remove_tree(const char *path) {
  int top = open_directory(AT_FDCWD, path);
  if (top < 0) {
    if (errno == ENOENT) return 0;
    return unlink(path) == 0 ? 0 : errno;
  }
  struct removal r = {.top = top};
  int passes = 0;
  do {
    r.again = false;
    r.error = 0;
    int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
      int code = errno;
      close(top);
      return code;
    }
    empty(&r, fd, 0);
  } while (r.again && r.error == 0 && ++passes < PASSES_MAX);
  close(top);
  if (r.error) return r.error;
  return rmdir(path) == 0 || errno == ENOENT ? 0 : errno;
}
