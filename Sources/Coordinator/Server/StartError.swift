import Glibc
import Store

/// Why a coordinator did not start; the text is for its operator.
public struct StartError: Error, Sendable, CustomStringConvertible {
  public let description: String
  /// What to do about it.
  public let hint: String?
  /// Another program has what this one needs: exit code 5.
  public let isConflict: Bool

  init(_ description: String, hint: String? = nil, isConflict: Bool = false) {
    self.description = description
    self.hint = hint
    self.isConflict = isConflict
  }

  /// The data directory can't be used.
  init(opening directory: String, _ error: any Error) {
    switch error {
    case let error as DataDirectoryInUse:
      self.init(error.description, hint: "stop that one, or give this one its own --data-dir", isConflict: true)
    case StoreError.newerVersion(let found, let known):
      self.init(
        "the database in \(directory) was made by a newer program (version \(found), this one knows \(known))",
        hint: "start the newer program; there is no way back but a backup")
    case StoreError.diskFull, FileStoreError.diskFull:
      self.init("the data directory \(directory) can't be opened: its disk is full", hint: "make room first")
    case StoreError.failed(let text):
      self.init(
        "the database in \(directory) can't be opened: \(text)",
        hint: "keep a copy of the folder as it is; if the file is damaged, restore the last backup (docs/operations.md)"
      )
    default:
      self.init(
        "the data directory \(directory) can't be used: \(error)",
        hint: "it must be a folder that this user may write to; --data-dir names another")
    }
  }

  /// The address can't be listened on. `code` is the system's error number.
  init(listening configuration: CoordinatorConfiguration, code: Int32) {
    let place = "\(configuration.host) port \(configuration.port)"
    switch code {
    case EADDRINUSE:
      self.init(
        "\(place) is in use by another program", hint: "stop it, or choose another with --port (0 takes a free one)",
        isConflict: true)
    case EACCES, EPERM:
      self.init("this user may not listen on \(place)", hint: "choose a port from 1024 on with --port")
    case EADDRNOTAVAIL:
      self.init("\(configuration.host) is not an address of this machine", hint: "--host names the one to listen on")
    default: self.init("can't listen on \(place): \(String(cString: strerror(code)))")
    }
  }
}
