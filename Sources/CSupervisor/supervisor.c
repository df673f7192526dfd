#define _GNU_SOURCE
#include "CSupervisor.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER (-1LL)

struct supervisor {
  struct configuration configuration;
  struct descendants descendants;
  int signals, report;
  bool control_open, sandboxed;
  pid_t main;
  int main_status;
  bool main_ended, childless;
  /// What the payload's end looked like from nearest by; kind 0 while unknown.
  struct report outcome;
  bool launching, started, terminating, killing, timed_out, fenced;
  /// KILL went out while the main process still lived: its end may be ours.
  bool struck;
  long long began, ended, kill_at, timeout_at, oom_kills;
  /// When the job's lease could be given away unless the miner says that it was renewed.
  long long fence_at;
  int sweep_pause;
  char line[64];
  size_t line_length;
};

static long long oom_kills(void) {
  long long value = 0;
  char text[128];
  FILE *file = fopen("/proc/vmstat", "re");
  if (!file) return 0;
  while (fgets(text, sizeof text, file))
    if (sscanf(text, "oom_kill %lld", &value) == 1) break;
  fclose(file);
  return value;
}

static void tell_started(struct supervisor *s) {
  if (s->started) return;
  s->started = true;
  s->began = monotonic_ms();
  if (s->configuration.timeout_ms > 0) s->timeout_at = s->began + s->configuration.timeout_ms;
  dprintf(AITBC_FD_STATUS, "started\n");
  // A TERM that came while the program was being started met only its launcher.
  if (s->terminating) descendants_signal(&s->descendants, SIGTERM);
}

static void terminate(struct supervisor *s, long long grace_ms) {
  long long deadline = monotonic_ms() + grace_ms;
  // A second request may shorten the grace, never lengthen it.
  if (s->kill_at == NEVER || deadline < s->kill_at) s->kill_at = deadline;
  if (s->terminating) return;
  s->terminating = true;
  descendants_signal(&s->descendants, SIGTERM);
}

static void obey(struct supervisor *s, const char *command) {
  long long grace, fence;
  if (strcmp(command, "K") == 0) s->killing = true;
  // Only ever later: a command that was overtaken must not shorten what was renewed meanwhile.
  if (sscanf(command, "F %lld", &fence) == 1 && fence > s->fence_at) s->fence_at = fence;
  if (sscanf(command, "T %lld", &grace) == 1 && grace >= 0 && grace <= 86400000) terminate(s, grace);
}

static void read_control(struct supervisor *s) {
  char bytes[64];
  ssize_t n = recv(AITBC_FD_CONTROL, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    // The miner is gone: nobody can renew the lease, so nothing of the job may go on.
    s->control_open = false;
    s->killing = true;
    return;
  }
  for (ssize_t i = 0; i < n; i++) {
    if (bytes[i] == '\n') {
      s->line[s->line_length] = 0;
      obey(s, s->line);
      s->line_length = 0;
    } else if (s->line_length < sizeof s->line - 1) {
      s->line[s->line_length++] = bytes[i];
    }
  }
}

/// Takes what the payload (bare) or the launcher (sandboxed) reports. The end of file of the bare one means: exec
/// succeeded.
static void read_report(struct supervisor *s) {
  struct report report;
  ssize_t n = read(s->report, &report, sizeof report);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n != sizeof report) {
    close(s->report);
    s->report = -1;
    if (!s->sandboxed && s->outcome.kind == 0 && !s->killing) tell_started(s);
    return;
  }
  switch (report.kind) {
    case REPORT_LAUNCHING: s->launching = true; break;
    case REPORT_STARTED: tell_started(s); break;
    default: s->outcome = report;
  }
}

static void reap(struct supervisor *s) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
    if (pid < 0 && errno == EINTR) continue;
    s->childless = pid < 0 && errno == ECHILD;
    if (pid <= 0) return;
    if (pid == s->main) {
      s->main_ended = true;
      s->main_status = status;
      s->ended = monotonic_ms();
    }
  }
}

static void drain_signals(struct supervisor *s) {
  struct signalfd_siginfo info[8];
  while (read(s->signals, info, sizeof info) > 0) {}
}

static bool launch(struct supervisor *s) {
  int ends[2];
  if (!s->sandboxed) {
    s->main = payload_start(&s->configuration, &s->report);
  } else if (pipe2(ends, O_CLOEXEC) == 0) {
    s->main = wrapper_start(&s->configuration, AITBC_FD_CONFIGURATION, ends[1]);
    close(ends[1]);
    s->report = ends[0];
  } else {
    s->main = -errno;
  }
  if (s->main < 0) {
    s->outcome = (struct report){REPORT_FAILED, -s->main, STAGE_FORK};
    return false;
  }
  fcntl(s->report, F_SETFL, O_NONBLOCK);
  // From here on only the job holds the log pipes: their end means that nothing can write any more.
  dup2(0, 1);
  dup2(0, 2);
  close(AITBC_FD_CONFIGURATION);
  return true;
}

static int next_timeout(const struct supervisor *s) {
  long long next = s->killing ? NEVER : s->kill_at;
  if (!s->timed_out && s->timeout_at != NEVER && (next == NEVER || s->timeout_at < next)) next = s->timeout_at;
  if (!s->killing && s->fence_at != NEVER && (next == NEVER || s->fence_at < next)) next = s->fence_at;
  long long wait = next == NEVER ? NEVER : next - monotonic_ms();
  if (next != NEVER && wait < 0) wait = 0;
  if (s->killing && (wait == NEVER || wait > s->sweep_pause)) wait = s->sweep_pause;
  return wait > 60000 ? 60000 : (int)wait;
}

static void check_deadlines(struct supervisor *s) {
  long long now = monotonic_ms();
  if (s->timeout_at != NEVER && !s->timed_out && !s->main_ended && now >= s->timeout_at) {
    s->timed_out = true;
    terminate(s, s->configuration.grace_ms);
  }
  if (s->kill_at != NEVER && now >= s->kill_at) s->killing = true;
  // The miner itself stands still, or it would have ended the job before: nobody renews the lease.
  if (s->fence_at != NEVER && now >= s->fence_at && !s->killing && !s->main_ended) s->killing = s->fenced = true;
  // Whatever is left when the main process has ended is a stray; during a grace period it may still tidy up.
  if (s->main_ended && !s->terminating) s->killing = true;
}

/// Runs until the main process has ended and no process of the job is left.
static void run(struct supervisor *s) {
  for (;;) {
    reap(s);
    check_deadlines(s);
    if (s->childless) return;
    if (s->killing) {
      s->struck = s->struck || !s->main_ended;
      s->descendants.killed += cgroup_kill(&s->configuration, &s->descendants, s->main);
      descendants_kill(&s->descendants, s->main);
      reap(s);
      if (s->childless) return;
      // What is left now waits in the kernel or was born during the sweep: sweep again, ever less eagerly.
      s->sweep_pause = s->sweep_pause < 50 ? s->sweep_pause * 2 : 100;
    }
    struct pollfd set[] = {
        {.fd = s->signals, .events = POLLIN},
        {.fd = s->control_open ? AITBC_FD_CONTROL : -1, .events = POLLIN},
        {.fd = s->report, .events = POLLIN},
    };
    if (poll(set, 3, next_timeout(s)) < 0) continue;
    if (set[2].revents) read_report(s);
    if (set[1].revents) read_control(s);
    if (set[0].revents) drain_signals(s);
  }
}

static void settle_outcome(struct supervisor *s) {
  // All writers are dead: what they reported is in the pipe, then comes the end.
  while (s->report >= 0) {
    int before = s->report;
    struct pollfd one = {.fd = before, .events = POLLIN};
    if (poll(&one, 1, 0) <= 0) break;
    read_report(s);
  }
  if (s->outcome.kind != 0) return;
  if (!s->sandboxed) {
    bool signaled = WIFSIGNALED(s->main_status);
    s->outcome.kind = signaled ? REPORT_SIGNALED : REPORT_EXITED;
    s->outcome.value = signaled ? WTERMSIG(s->main_status) : WEXITSTATUS(s->main_status);
  } else if (s->launching || s->struck) {
    // The launcher was killed before it could report: by us, for want of memory, or by its payload.
    s->outcome = (struct report){REPORT_SIGNALED, SIGKILL, STAGE_NONE};
  } else {
    s->outcome = (struct report){REPORT_FAILED, 0, STAGE_SANDBOX};
  }
}

/// Nothing of the job is left when this is called; nor is its group afterwards.
static void tell_ended(struct supervisor *s) {
  static const char *const words[] = {"none", "started", "launch-failed", "exited", "signaled"};
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  bool oom = cgroup_ran_out_of_memory(&s->configuration) || oom_kills() > s->oom_kills;
  cgroup_close(&s->configuration);
  long long wall = s->started && s->ended > s->began ? s->ended - s->began : 0;
  dprintf(
      AITBC_FD_STATUS,
      "ended outcome=%s value=%d stage=%s wall_ms=%lld user_ms=%lld system_ms=%lld max_rss_kib=%ld strays=%u "
      "timed_out=%d terminated=%d killed=%d fenced=%d oom=%d\n",
      words[s->outcome.kind], s->outcome.value, launch_stage_name(s->outcome.stage), wall,
      (long long)usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000,
      (long long)usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000, usage.ru_maxrss, s->descendants.killed,
      s->timed_out, s->terminating, s->killing, s->fenced, oom);
}

static bool prepare(struct supervisor *s) {
  close_from(AITBC_FD_STATUS + 1);
  for (int fd = AITBC_FD_CONFIGURATION; fd <= AITBC_FD_STATUS; fd++)
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return false;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, 0) < 0) return false;
  close(null);
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // The payload runs as the same user: it must not attach to us, nor open our end of the status pipe.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  // Everything that can be blocked is: this process ends when its job has ended, not when somebody signals a whole
  // group.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  s->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  return s->signals >= 0 && descendants_init(&s->descendants) && chdir("/") == 0;
}

int aitbc_supervisor_main(int argc, char *const *argv) {
  (void)argc;
  (void)argv;
  struct supervisor s = {
      .report = -1, .control_open = true, .kill_at = NEVER, .timeout_at = NEVER, .fence_at = NEVER, .sweep_pause = 1};
  if (!prepare(&s)) return 64;
  s.oom_kills = oom_kills();
  int code = configuration_read(AITBC_FD_CONFIGURATION, &s.configuration);
  if (code == 0 && (code = cgroup_open(&s.configuration)) != 0) {
    s.outcome = (struct report){REPORT_FAILED, code, STAGE_LIMITS};
    tell_ended(&s);
    return 0;
  }
  if (code == 0 && s.configuration.fence_ms > 0) s.fence_at = s.configuration.fence_ms;
  s.sandboxed = code == 0 && s.configuration.wrapper[0] != NULL;
  if (code) {
    s.outcome = (struct report){REPORT_FAILED, code, STAGE_CONFIGURATION};
  } else if (s.configuration.fence_ms > 0 && monotonic_ms() >= s.configuration.fence_ms) {
    // The miner stood still between its decision to start this and now.
    s.fenced = true;
    s.outcome = (struct report){REPORT_FAILED, 0, STAGE_NONE};
  } else if (launch(&s)) {
    run(&s);
    settle_outcome(&s);
  }
  tell_ended(&s);
  return 0;
}

int aitbc_hidden_command(int argc, char *const *argv) {
  if (argc > 1 && strcmp(argv[1], AITBC_SUPERVISE) == 0) return aitbc_supervisor_main(argc, argv);
  if (argc > 1 && strcmp(argv[1], AITBC_LAUNCH) == 0) return aitbc_launcher_main(argc, argv);
  return -1;
}
