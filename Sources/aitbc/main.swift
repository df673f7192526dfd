import Dispatch
import Glibc

// A job's supervisor is this executable again; it must start before threads, locks or descriptors exist.
if let code = Daemons.hiddenCommand() { exit(code) }

if CommandLine.arguments.dropFirst() == ["--version"] {
  print(Version.text)
  exit(0)
}

// A reader that has gone is told by EPIPE, not by death.
signal(SIGPIPE, SIG_IGN)
let arguments = Array(CommandLine.arguments.dropFirst())
let work = Task { await Runner.run(arguments, in: .process()) }
let interruption = Daemons.handlesSignals(arguments) ? nil : Interruption.cancel(work)
let code = await work.value
interruption?.cancel()
exit(code)
