#define _GNU_SOURCE
#include "CSupervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int aitbc_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno; }

int aitbc_socket_pair(int ends[2]) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : errno;
}

int aitbc_send(int socket, const void *bytes, size_t count) {
  ssize_t n;
  while ((n = send(socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EINTR) {}
  if (n < 0) return errno;
  return (size_t)n == count ? 0 : EAGAIN;
}

int aitbc_sealed_memory(const char *name, const void *bytes, size_t count) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -errno;
  for (size_t done = 0; done < count;) {
    ssize_t n = write(fd, (const char *)bytes + done, count - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      int code = n < 0 ? errno : EIO;
      close(fd);
      return -code;
    }
    done += (size_t)n;
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return fd;
}

static int spawn(const char *path, const char *label, const int high[6], pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int code = posix_spawn_file_actions_init(&actions);
  if (code) return code;
  code = posix_spawnattr_init(&attributes);
  if (code) {
    posix_spawn_file_actions_destroy(&actions);
    return code;
  }
  for (int i = 0; i < 6 && !code; i++) code = posix_spawn_file_actions_adddup2(&actions, high[i], i);
  sigset_t set;
  sigemptyset(&set);
  posix_spawnattr_setsigmask(&attributes, &set);
  sigfillset(&set);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  char *arguments[] = {(char *)"aitbc", (char *)AITBC_SUPERVISE, (char *)label, NULL};
  char *environment[] = {NULL};
  if (!code) code = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return code;
}

int aitbc_spawn_supervisor(const char *path, const char *label, const int descriptors[6], pid_t *pid) {
  // First out of the way of the numbers 0-5, so that no dup2 overwrites a descriptor that a later one needs.
  int high[6], code = 0, made = 0;
  for (; made < 6; made++) {
    high[made] = fcntl(descriptors[made], F_DUPFD_CLOEXEC, 16);
    if (high[made] < 0) {
      code = errno;
      break;
    }
  }
  if (!code) code = spawn(path, label, high, pid);
  while (made-- > 0) close(high[made]);
  return code;
}
