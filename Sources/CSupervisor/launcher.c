#define _GNU_SOURCE
#include "CSupervisor.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// bubblewrap tells how its command ended only as an exit code (128 + n for a signal) and an exec error only as text.
// This launcher runs inside the sandbox as that command, starts the payload itself and reports exactly what happened.

static int wait_for(pid_t payload, int report) {
  for (;;) {
    int status;
    pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) return 1;
    if (ended != payload) continue;
    if (WIFSIGNALED(status)) report_send(report, REPORT_SIGNALED, WTERMSIG(status), STAGE_NONE);
    if (WIFEXITED(status)) report_send(report, REPORT_EXITED, WEXITSTATUS(status), STAGE_NONE);
    return 0;
  }
}

int aitbc_launcher_main(int argc, char *const *argv) {
  if (argc != 4) return 64;
  int configuration_fd = atoi(argv[2]), report = atoi(argv[3]);
  if (configuration_fd < 3 || report < 3) return 64;
  fcntl(configuration_fd, F_SETFD, FD_CLOEXEC);
  fcntl(report, F_SETFD, FD_CLOEXEC);
  // The payload runs as the same user: without this it could attach to us and write the report itself.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  for (int number = 1; number < NSIG; number++)
    if (number != SIGCHLD) signal(number, SIG_IGN);

  // Said before the payload exists: it may kill us before we can say that it runs.
  report_send(report, REPORT_LAUNCHING, 0, STAGE_NONE);
  struct configuration configuration;
  int code = configuration_read(configuration_fd, &configuration);
  close(configuration_fd);
  if (code) {
    report_send(report, REPORT_FAILED, code, STAGE_CONFIGURATION);
    return 1;
  }
  int failure;
  pid_t payload = payload_start(&configuration, &failure);
  if (payload < 0) {
    report_send(report, REPORT_FAILED, -payload, STAGE_FORK);
    return 1;
  }
  struct report failed;
  ssize_t n;
  while ((n = read(failure, &failed, sizeof failed)) < 0 && errno == EINTR) {}
  close(failure);
  if (n == sizeof failed) {
    report_send(report, failed.kind, failed.value, failed.stage);
    waitpid(payload, NULL, 0);
    return 127;
  }
  report_send(report, REPORT_STARTED, 0, STAGE_NONE);
  // Only the payload may hold the log pipes now.
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    dup2(null, 1);
    dup2(null, 2);
  }
  return wait_for(payload, report);
}
