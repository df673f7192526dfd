#ifndef AITBC_SUPERVISOR_INTERNAL_H
#define AITBC_SUPERVISOR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/// What to run and how. Made by `configuration_read`; all strings lie in `storage`.
struct configuration {
  char *storage;
  /// Payload command, NULL-terminated.
  char **arguments;
  /// Payload environment, whole: nothing is added to it.
  char **environment;
  /// Sandbox command in front of the launcher, NULL-terminated; empty when the payload runs bare.
  char **wrapper;
  const char *directory;
  /// Limits; -1 leaves the inherited one.
  long long address_space, file_size, open_files, processes;
  /// Run time in milliseconds after which the job is ended with TERM, then KILL; 0 for none.
  long long timeout_ms;
  /// Time between TERM and KILL when the timeout strikes.
  long long grace_ms;
  /// CLOCK_MONOTONIC in milliseconds from which on nothing of the job may run; 0 for none. The control socket may name
  /// a later one.
  long long fence_ms;
  int niceness;
  /// Directory of a control group (version 2) to be made for the payload; NULL: none.
  const char *cgroup;
  /// Limits of that group; -1: none. Memory in bytes, processors in thousandths.
  long long group_memory, group_processes, group_millicpus;
  /// Its `cgroup.procs`, open for writing; -1 when there is no group. Only the supervisor opens it.
  int cgroup_procs;
};

/// Reads the configuration from the start of `fd`. Returns 0 or an errno value; EBADMSG when it is not one.
int configuration_read(int fd, struct configuration *out);

/// What happened to the payload: sent over the report pipe, whole records of less than PIPE_BUF bytes.
enum report_kind {
  REPORT_STARTED = 1,
  REPORT_FAILED = 2,
  REPORT_EXITED = 3,
  REPORT_SIGNALED = 4,
  /// The sandbox stands: its launcher runs and is about to start the payload.
  REPORT_LAUNCHING = 5,
};

/// The step at which starting the payload failed.
enum launch_stage {
  STAGE_NONE,
  STAGE_CONFIGURATION,
  STAGE_FORK,
  STAGE_LIMITS,
  STAGE_DIRECTORY,
  STAGE_EXEC,
  STAGE_SANDBOX,
};

struct report {
  int32_t kind;
  /// errno, exit code or signal number.
  int32_t value;
  int32_t stage;
};

const char *launch_stage_name(int stage);

/// Starts the payload in a session of its own. It dies with the calling process. `*failure` becomes the reading end
/// of a pipe: one REPORT_FAILED record, or the end of file once the program runs. Returns the pid or minus an errno
/// value.
pid_t payload_start(const struct configuration *configuration, int *failure);

/// Starts the sandbox command, with the configuration and the writing end of `report` passed on. Returns the pid or
/// minus an errno.
pid_t wrapper_start(const struct configuration *configuration, int configuration_fd, int report);

/// Closes every descriptor from `first` on.
void close_from(unsigned first);

/// Writes one record; an absent reader is no error.
void report_send(int fd, enum report_kind kind, int value, int stage);

/// A set of all processes ever seen below this one, to stop and count each once.
struct descendants {
  uint8_t *marks;
  size_t capacity;
  pid_t self;
  unsigned killed;
};

bool descendants_init(struct descendants *set);
/// Sends `signal` and then SIGCONT to everything below this process, once.
void descendants_signal(struct descendants *set, int signal);
/// Stops everything below this process until a look finds nothing new, then kills it all. `spare` is not counted.
void descendants_kill(struct descendants *set, pid_t spare);

/// Marks a process that is about to be killed by other means, so that it is counted once. Returns 1 when it is new and
/// is not `spare`.
unsigned descendants_note(struct descendants *set, pid_t pid, pid_t spare);

/// Makes the payload's control group with its limits. Returns 0 or an errno value; nothing is left then.
int cgroup_open(struct configuration *configuration);
/// Puts the calling process into the group, if there is one.
bool cgroup_enter(const struct configuration *configuration);
/// Kills everything in the group, children that are being born too. Returns how many others than `spare` there were.
unsigned cgroup_kill(const struct configuration *configuration, struct descendants *set, pid_t spare);
/// Whether the kernel killed a process of the group for want of memory.
bool cgroup_ran_out_of_memory(const struct configuration *configuration);
/// Removes the group, once nothing runs in it.
void cgroup_close(struct configuration *configuration);

/// CLOCK_MONOTONIC in milliseconds.
long long monotonic_ms(void);

#endif
