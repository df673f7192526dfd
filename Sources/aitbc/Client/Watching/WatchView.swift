import Clocks
import JSON
import Marketplace
import MarketplaceClient
import Wire

/// Shows a job's events: a bar on a terminal, plain lines elsewhere, JSON lines for programs.
struct WatchView {
  enum Form: Hashable {
    /// A bar on standard error, changes of state as lines.
    case bar
    case lines
    case jsonLines
    /// Only the end, as one document.
    case silent
  }

  private let form: Form
  private let session: ClientSession
  /// Where lines about the job go: standard output, or standard error when that is the job's own.
  private let lines: any ByteOutput
  /// Columns of what ``lines`` is; nil when that is no terminal.
  private let width: Int?
  private let style: Style
  private var startedAt: Timestamp?
  private var isBarShown = false
  /// Last step of ten percent that was told, and of which try.
  private var told = (tryNumber: 0, step: 0)

  init(_ form: Form, linesToErrors: Bool, _ session: ClientSession) {
    self.form = form
    self.session = session
    lines = linesToErrors ? session.context.errors : session.context.output
    width = session.context.width(forErrors: linesToErrors)
    style = session.style(forErrors: linesToErrors)
  }

  mutating func show(_ event: JobEvent) throws {
    if form == .jsonLines { return try showJSON(event) }
    switch event {
    case .status(let status): try show(status)
    case .progress(let progress): try show(progress)
    case .log(let piece):
      try clear()
      try (piece.stream == .stdout ? session.context.output : session.context.errors).write(piece.data)
    case .gap(let gap):
      try clear()
      try session.remark(
        "\(gap.stream.rawValue): bytes \(gap.range.lowerBound) to \(gap.range.upperBound) can't be had")
    case .connection(let state): try show(state)
    case .end: try clear()
    }
  }

  private mutating func show(_ status: JobStatus) throws {
    try clear()
    if status.status == .running { startedAt = status.at }
    guard form != .silent, !status.isEnd else { return }
    var text = status.status.rawValue
    if let miner = status.miner, status.status == .assigned || status.status == .running { text += " on \(miner)" }
    if status.status == .pending {
      text += Self.reason(of: status)
    } else if status.tryNumber > 1 {
      text += " (try \(status.tryNumber))"
    }
    try line(text, status.status.rawValue, at: status.at)
  }

  /// What the try before came to, and why the job waits.
  private static func reason(of status: JobStatus) -> String {
    var text = ""
    if status.tryNumber > 0, let error = status.summary["error"]?.string {
      text += " after try \(status.tryNumber) (\(error))"
    }
    if let reason = status.summary["pending_reason"]?["message"]?.string { text += ": \(reason)" }
    return text
  }

  private mutating func show(_ progress: JobProgress) throws {
    switch form {
    case .bar: try drawBar(progress)
    case .lines:
      // One line for every ten percent: a log file wants no more.
      let step = progress.progress / 10
      guard progress.tryNumber != told.tryNumber || step > told.step else { return }
      told = (progress.tryNumber, step)
      try line(
        "running \(progress.progress)%" + (progress.message.map { " " + $0 } ?? ""), "running",
        at: session.context.clock.now)
    case .jsonLines, .silent: break
    }
  }

  private mutating func drawBar(_ progress: JobProgress) throws {
    let now = session.context.clock.now
    let elapsed = startedAt.map { max(0, now.millisecondsSince($0) / 1000) }
    let left =
      progress.estimatedCompletion.map { max(0, $0.millisecondsSince(now) / 1000) }
      ?? elapsed.flatMap { ProgressBar.remaining(progress: progress.progress, elapsed: $0) }
    let state = ProgressBar.State(
      status: progress.status.rawValue, progress: progress.progress, message: progress.message, elapsed: elapsed,
      remaining: left)
    try session.context.errors.text("\r\u{1B}[2K" + ProgressBar.line(state, width: session.context.width))
    isBarShown = true
  }

  private mutating func clear() throws {
    guard isBarShown else { return }
    isBarShown = false
    try session.context.errors.text("\r\u{1B}[2K")
  }

  private mutating func show(_ state: FeedConnectionState) throws {
    switch state {
    case .live: break
    case .reconnecting(_, let reason):
      try clear()
      try session.remark("connection lost (\(reason)); trying again")
    case .polling(let reason):
      try clear()
      try session.remark("no live feed (\(reason)); asking every 3 s instead")
    }
  }

  private func line(_ text: String, _ status: String, at time: Timestamp) throws {
    guard form != .silent else { return }
    let clock = String(time.description.dropFirst(11).prefix(8))
    let shown = Printable.line(text)
    let cut = width.map { Printable.cut(shown, to: max(1, $0 - clock.count - 1)) } ?? shown
    try lines.line("\(clock) " + style.paint(cut, Style.color(of: status)))
  }

  private func showJSON(_ event: JobEvent) throws {
    switch event {
    case .status(let status): try lines.line(FeedMessage.status(status).json.text)
    case .progress(let progress): try lines.line(FeedMessage.progress(progress).json.text)
    case .log(let piece): try lines.line(FeedMessage.log(piece).json.text)
    case .gap(let gap):
      let message: JSONValue = [
        "type": "gap", "stream": .string(gap.stream.rawValue), "try": .integer(Int64(gap.tryNumber)),
        "offset": .integer(gap.range.lowerBound), "length": .integer(Int64(gap.range.count)),
      ]
      try lines.line(message.text)
    case .connection, .end: break
    }
  }
}
