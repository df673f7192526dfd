/// Which of a program's two outputs.
public enum LogStream: String, CaseIterable, Hashable, Sendable {
  case stdout
  case stderr
}
