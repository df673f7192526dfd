#ifndef AITBC_CSUPERVISOR_H
#define AITBC_CSUPERVISOR_H

#include <stddef.h>
#include <sys/types.h>

/// Process control for the miner: one supervisor process stands between the miner and each job.
///
/// The supervisor is a child subreaper, so nothing that a job starts can leave its subtree: whatever a payload does
/// with double forks, own sessions or ignored signals, the supervisor finds it, kills it, reaps it, and only then
/// says that the job has ended. When the miner dies, its end of the control socket closes and the supervisor does the
/// same at once.

#ifdef __cplusplus
extern "C" {
#endif

/// The first argument that makes an executable a supervisor. Not for people.
#define AITBC_SUPERVISE "__supervise"
/// The first argument that makes an executable the launcher inside a sandbox. Not for people.
#define AITBC_LAUNCH "__launch"

/// Descriptors that a supervisor is started with (0 is /dev/null, 1 and 2 are the payload's stdout and stderr).
enum {
  /// A sealed memory file with the configuration, see `configuration.c`.
  AITBC_FD_CONFIGURATION = 3,
  /// Socket to the miner. Commands in: "T <grace ms>\n", "K\n", and "F <CLOCK_MONOTONIC ms>\n": kill everything at
  /// that moment unless a later one was named by then. Its end means: the miner is gone, kill everything.
  AITBC_FD_CONTROL = 4,
  /// Pipe to the miner: "started\n", then one "ended ...\n".
  AITBC_FD_STATUS = 5,
};

/// Runs a hidden subcommand when `argv[1]` names one and returns its exit code; returns -1 otherwise.
/// To be called first thing in `main`, before threads, locks or descriptors exist.
int aitbc_hidden_command(int argc, char *const *argv);

/// The body of `__supervise`. Returns the exit code: 0 when the job's end was told, 64 when started wrongly.
int aitbc_supervisor_main(int argc, char *const *argv);

/// The body of `__launch <configuration fd> <report fd>`: runs the payload as a child inside a sandbox and reports
/// how it ended.
int aitbc_launcher_main(int argc, char *const *argv);

/// Starts `path __supervise label` with the given descriptors as 0-5, default signal dispositions, an empty mask and
/// nothing else inherited. The caller keeps its descriptors. Returns 0 or an errno value.
int aitbc_spawn_supervisor(const char *path, const char *label, const int descriptors[6], pid_t *pid);

/// `pipe2(O_CLOEXEC)`. Returns 0 or an errno value.
int aitbc_pipe(int ends[2]);

/// A connected pair of close-on-exec stream sockets. Returns 0 or an errno value.
int aitbc_socket_pair(int ends[2]);

/// A close-on-exec memory file that holds `bytes` and can no longer be changed. Returns the descriptor or minus an
/// errno value.
int aitbc_sealed_memory(const char *name, const void *bytes, size_t count);

/// Writes all bytes to a socket without ever raising SIGPIPE and without blocking. Returns 0 or an errno value.
int aitbc_send(int socket, const void *bytes, size_t count);

/// Removes `path` with all below it. Symbolic links are removed, never followed; directories that forbid entry are
/// opened up first; depth is unbounded, descriptors are not (at most 32 at once). A path that is not there is no
/// error. Returns 0 or an errno value.
int aitbc_remove_tree(const char *path);

/// Kills (SIGKILL) every process whose environment holds exactly `entry` ("NAME=value"), again and again until none
/// is left or `rounds` is used up. Zombies and the caller are left out. Returns how many processes were killed, or
/// minus an errno value.
int aitbc_kill_marked(const char *entry, int rounds);

/// Kills everything in the control group (version 2) at `path` and removes it with all below it. One that is not there
/// is no error. Returns 0 or an errno value.
int aitbc_end_cgroup(const char *path);

/// How many processes hold exactly `entry` in their environment; zombies and the caller are left out. Minus an errno
/// value on error.
int aitbc_count_marked(const char *entry);

#ifdef __cplusplus
}
#endif

#endif
