#define _GNU_SOURCE
#include "CSupervisor.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void close_from(unsigned first) {
  if (close_range(first, ~0u, 0) == 0) return;
  struct rlimit limit;
  rlim_t end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1u << 20 ? limit.rlim_cur : 1u << 20;
  for (rlim_t fd = first; fd < end; fd++) close((int)fd);
}

void report_send(int fd, enum report_kind kind, int value, int stage) {
  struct report report = {kind, value, stage};
  while (write(fd, &report, sizeof report) < 0 && errno == EINTR) {}
}

const char *launch_stage_name(int stage) {
  static const char *const names[] = {"none", "configuration", "fork", "limits", "directory", "exec", "sandbox"};
  return stage >= 0 && stage < (int)(sizeof names / sizeof *names) ? names[stage] : "none";
}

static _Noreturn void fail(int failure, int stage) {
  report_send(failure, REPORT_FAILED, errno, stage);
  _exit(127);
}

static bool limit(__rlimit_resource_t resource, long long value) {
  if (value < 0) return true;
  struct rlimit current;
  if (getrlimit(resource, &current) != 0) return false;
  rlim_t wanted = (rlim_t)value;
  // A limit may only be tightened: asking for more than the miner itself has gives what it has.
  if (current.rlim_max != RLIM_INFINITY && wanted > current.rlim_max) wanted = current.rlim_max;
  struct rlimit next = {wanted, wanted};
  return setrlimit(resource, &next) == 0;
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t ignored = write(fd, text, strlen(text));
  (void)ignored;
  close(fd);
}

/// What both a payload and a sandbox need before exec: own session, death with the parent, no way to gain privileges.
static void settle(pid_t parent) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the line above took effect.
  if (getppid() != parent) _exit(127);
  // A set-user-ID program would get out of reach of our signals.
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  umask(022);
}

static void apply_mask(bool hold_termination) {
  sigset_t mask;
  sigemptyset(&mask);
  if (hold_termination) {
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
  }
  sigprocmask(SIG_SETMASK, &mask, NULL);
}

static _Noreturn void become_payload(const struct configuration *c, int failure, pid_t parent) {
  settle(parent);
  if (!cgroup_enter(c)) fail(failure, STAGE_LIMITS);
  // The supervisor hides its memory; a process that does may not write its own /proc files.
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  // When memory runs out the payload goes before the miner.
  write_file("/proc/self/oom_score_adj", "500");
  if (c->niceness > 0) setpriority(PRIO_PROCESS, 0, c->niceness);
  if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, c->open_files) || !limit(RLIMIT_FSIZE, c->file_size) ||
      !limit(RLIMIT_NPROC, c->processes) || !limit(RLIMIT_AS, c->address_space))
    fail(failure, STAGE_LIMITS);
  if (chdir(c->directory) != 0) fail(failure, STAGE_DIRECTORY);
  close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  apply_mask(false);
  // execvp looks in the PATH of the payload's environment, not in the miner's.
  environ = c->environment;
  execvp(c->arguments[0], c->arguments);
  fail(failure, STAGE_EXEC);
}

pid_t payload_start(const struct configuration *configuration, int *failure) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) become_payload(configuration, ends[1], parent);
  int code = errno;
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return -code;
  }
  *failure = ends[0];
  return child;
}

pid_t wrapper_start(const struct configuration *c, int configuration_fd, int report) {
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child < 0 ? -errno : child;
  settle(parent);
  if (!cgroup_enter(c) || chdir("/") != 0) fail(report, STAGE_SANDBOX);
  // Fixed numbers for the launcher inside; both were opened close-on-exec.
  int passed_report = fcntl(report, F_DUPFD, 16);
  int passed_configuration = fcntl(configuration_fd, F_DUPFD, 16);
  if (passed_report < 0 || passed_configuration < 0) fail(report, STAGE_SANDBOX);
  close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  if (dup2(passed_configuration, 3) < 0 || dup2(passed_report, 4) < 0) fail(passed_report, STAGE_SANDBOX);
  // A polite TERM is for the payload: bubblewrap's own processes must outlive it. They inherit this mask, the payload
  // does not.
  apply_mask(true);
  char *empty[] = {NULL};
  execve(c->wrapper[0], c->wrapper, empty);
  fail(passed_report, STAGE_SANDBOX);
}
