import ArgumentParser
import Clocks
import JSON
import Marketplace
import MarketplaceClient

struct DoctorCommand: ClientVerb {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check address, key, coordinator, clocks and versions.")

  @OptionGroup var globals: GlobalOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var timeout: TimeoutOptions

  var callTimeout: TimeSpan? { timeout.timeout ?? TimeSpan(Seconds(10)) }

  struct Check: Hashable {
    enum Outcome: String { case ok, warning, failed }
    let name: String
    let outcome: Outcome
    let text: String
  }

  func run(_ session: ClientSession) async throws {
    var checks = [
      Check(name: "url", outcome: .ok, text: "\(session.settings.url.value) (\(session.settings.url.origin))")
    ]
    checks.append(keyCheck(session))
    let before = session.context.clock.now
    var status = ExitStatus.success
    do {
      let answer = try await session.client.readiness()
      let now = session.context.clock.now
      let isReady = answer.status == 200
      checks.append(
        Check(
          name: "coordinator", outcome: isReady ? .ok : .failed,
          text: isReady ? "ready, \(now.millisecondsSince(before)) ms" : "not ready"))
      if let skew = Self.skew(answer.headers["Date"], between: before, and: now) { checks.append(skew) }
      checks.append(try await versionCheck(session))
      let (access, fault) = await accessCheck(session)
      checks.append(access)
      if let fault { status = ExitStatus(fault) }
    } catch let error as ClientError {
      status = ExitStatus(error)
      checks.append(Check(name: "coordinator", outcome: .failed, text: error.description))
    }
    try write(checks, session)
    if checks.contains(where: { $0.outcome == .failed }) { throw CommandExit(status == .success ? .failure : status) }
  }

  private func keyCheck(_ session: ClientSession) -> Check {
    guard let origin = session.settings.keyOrigin else {
      return Check(
        name: "key", outcome: .failed, text: "none: give --api-key-file or AITBC_API_KEY; keys/client.key is not here")
    }
    return Check(name: "key", outcome: .ok, text: "from \(origin)")
  }

  private func versionCheck(_ session: ClientSession) async throws -> Check {
    let version = try await session.client.health()["version"]?.string ?? "unknown"
    let isSame = version == Version.text
    return Check(
      name: "version", outcome: isSame ? .ok : .warning,
      text: isSame ? version : "coordinator \(version), client \(Version.text)")
  }

  private func accessCheck(_ session: ClientSession) async -> (Check, ClientError?) {
    do {
      let account = try await session.client.account()
      let text = "\(account["name"]?.string ?? "?"), plan \(account["plan"]?.string ?? "?")"
      return (Check(name: "account", outcome: .ok, text: text), nil)
    } catch {
      let known = error as? ClientError
      return (Check(name: "account", outcome: .failed, text: known?.description ?? "\(error)"), known)
    }
  }

  /// Compares the coordinator's `Date` (whole seconds) with our clock around the call.
  static func skew(_ date: String?, between before: Timestamp, and after: Timestamp) -> Check? {
    guard let theirs = date.flatMap(HTTPDate.parse) else { return nil }
    let low = theirs.millisecondsSince(after)
    let high = theirs.millisecondsSince(before) + 1000
    let skew = low > 0 ? low : high < 0 ? high : 0
    let text =
      abs(skew) < 1000
      ? "within a second" : "the coordinator's clock is \(abs(skew) / 1000) s \(skew > 0 ? "ahead" : "behind")"
    return Check(name: "clock", outcome: abs(skew) >= 5000 ? .warning : .ok, text: text)
  }

  private func write(_ checks: [Check], _ session: ClientSession) throws {
    let list = checks.map {
      ["name": .string($0.name), "outcome": .string($0.outcome.rawValue), "text": .string($0.text)] as JSONValue
    }
    let style = session.style()
    try session.write(["checks": .array(list)], session.format(format.output), id: nil) {
      checks.map { check in
        let color: Style.Color = check.outcome == .ok ? .green : check.outcome == .warning ? .yellow : .red
        let word = check.outcome.rawValue
        let padded = word + String(repeating: " ", count: 8 - word.count)
        return style.paint(padded, color) + Printable.line("\(check.name): \(check.text)")
      }
    }
  }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
enum HTTPDate {
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  static func parse(_ text: String) -> Timestamp? {
    let parts = text.split(separator: " ")
    guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: String(parts[2])) else { return nil }
    let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
    return Timestamp(rfc3339: "\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
  }
}
