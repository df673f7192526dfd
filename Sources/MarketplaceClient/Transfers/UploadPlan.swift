import Marketplace
import Wire

/// Decides, answer by answer, what an upload does next. A value without any I/O.
///
/// Protocol: `HEAD` answers 200 when the whole is there, else 404 with `Upload-Offset` when a part is. `PUT` carries
/// `Content-Range: bytes A-B/TOTAL` (none when it carries the whole file; `bytes */TOTAL` and no body when all bytes
/// are there and only the confirmation is missing) and answers 201 when the whole is there and verified, 200 or 202 with
/// `Upload-Offset` when more is to come, 409 with `Upload-Offset` when A was wrong.
///
/// What is under way when the coordinator refuses (a full disk, say) is lost. So after a refusal the next piece is
/// small, and the pieces grow again as they are taken.
struct UploadPlan: Hashable, Sendable {
  enum Step: Hashable, Sendable {
    /// Ask how much is there.
    case probe
    /// Send these bytes. The whole range (an empty one for an empty file) goes without `Content-Range`; an empty one at
    /// the end of a file asks for the confirmation.
    case send(Range<Int64>)
    /// Wait a little (longer each time without headway), then ask how much is there.
    case waitAndProbe(stalls: Int)
    case done(wasThere: Bool)
    case fail(ClientError)
  }

  /// So many failures in a row without a single new byte end an upload that is not patient.
  static let maximumStalls = 8
  /// Bytes in the first request after a refusal: 256 KiB.
  static let cautiousBytes: Int64 = 256 << 10

  let size: Int64
  /// Bytes in one request: what at most is sent again to a server that keeps only whole requests.
  let pieceBytes: Int64
  /// Failures that may pass are waited out, however many there are.
  let isPatient: Bool
  /// What the present wait is for.
  private(set) var trouble: ClientError?
  private var reached: Int64 = 0
  /// What the next request carries at most.
  private var nextBytes: Int64
  private var isConfirming = false
  private var stalls = 0
  private var hasSent = false

  init(size: Int64, pieceBytes: Int64 = 64 << 20, isPatient: Bool = false) {
    self.size = size
    self.pieceBytes = max(1, pieceBytes)
    nextBytes = self.pieceBytes
    self.isPatient = isPatient
  }

  mutating func probed(_ answer: APIAnswer) -> Step {
    switch answer.status {
    case 200, 204: .done(wasThere: !hasSent)
    case 404: send(from: answer.headers.integer("Upload-Offset") ?? 0)
    default: refused(answer)
    }
  }

  mutating func sent(_ answer: APIAnswer) -> Step {
    hasSent = true
    if isConfirming, answer.status == 422 || answer.status == 400 {
      // Other bytes than it should have, which it has forgotten now; or a coordinator that only takes bytes.
      isConfirming = false
      return .send(0..<size)
    }
    let offset = answer.headers.integer("Upload-Offset")
    switch answer.status {
    case 201: return .done(wasThere: false)
    case 200, 202, 204, 409:
      guard let offset else {
        if answer.status == 409 { return refused(answer) }
        return .probe
      }
      return send(from: offset)
    default: return refused(answer)
    }
  }

  /// The connection broke, or the request failed before an answer.
  mutating func failed(_ error: ClientError) -> Step {
    hasSent = true
    return RetryPolicy.isTransient(error) ? stall(error) : .fail(error)
  }

  private mutating func send(from offset: Int64) -> Step {
    guard offset <= size else {
      return .fail(.unexpected("the coordinator says it has \(offset) bytes of a file of \(size)"))
    }
    let isRepeated = trouble != nil
    trouble = nil
    if offset > reached {
      if hasSent, !isRepeated { nextBytes = min(pieceBytes, nextBytes * 2) }
      reached = offset
      stalls = 0
    } else if hasSent, !isRepeated {
      // Asked again for what was sent: bounded like any other failure.
      let error = ClientError.unexpected("the upload makes no headway at byte \(offset) of \(size)")
      stalls += 1
      guard stalls < Self.maximumStalls else { return isPatient ? wait(for: error) : .fail(error) }
    }
    isConfirming = offset == size && size > 0
    return .send(offset..<min(size, offset + nextBytes))
  }

  private mutating func refused(_ answer: APIAnswer) -> Step {
    var error = HTTPTransport.error(of: answer)
    // The answer to HEAD has no body that could tell.
    if answer.status == 507, answer.body.isEmpty, case .problem(let bare) = error {
      let detail = "the coordinator's disk is full"
      error = .problem(Problem(507, "disk_full", detail, retryAfter: bare.retryAfter))
    }
    // Another connection of this very upload may not have noticed yet that it is dead: it is told when to come back.
    let isBusy = answer.status == 409 && answer.headers["Retry-After"] != nil
    nextBytes = min(pieceBytes, Self.cautiousBytes)
    return isBusy || RetryPolicy.isTransient(error) ? stall(error) : .fail(error)
  }

  private mutating func stall(_ error: ClientError) -> Step {
    stalls += 1
    return isPatient || stalls < Self.maximumStalls ? wait(for: error) : .fail(error)
  }

  private mutating func wait(for error: ClientError) -> Step {
    trouble = error
    return .waitAndProbe(stalls: stalls)
  }
}
