import CSupervisor
import Glibc

/// The hidden subcommands by which a miner's executable becomes the supervisor of a job, or the launcher in its
/// sandbox.
public enum ProcessSupervisor {
  /// To be called first thing in `main`, before threads, locks or descriptors exist. Nil: an ordinary start, go on.
  /// Otherwise the process has done its work: exit with this code.
  public static func runIfAsked() -> Int32? {
    let code = aitbc_hidden_command(CommandLine.argc, CommandLine.unsafeArgv)
    return code < 0 ? nil : code
  }
}
