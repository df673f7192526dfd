import Cryptography
import JSON
import Marketplace
import Wire

/// What is known of a job's receipt before it is checked.
enum ReceiptStatement: Hashable, Sendable {
  /// Signed, from the coordinator or from a file.
  case given(JSONValue)
  /// The coordinator says that the job has none.
  case absent
  /// Nobody was asked.
  case unknown
}

/// One thing that is wrong with a receipt.
enum ReceiptFinding: Hashable, Sendable, CustomStringConvertible {
  /// It can't be trusted, whatever it says.
  case fault(ReceiptFault)
  case wrongJob(expected: String, actual: String)
  /// It and the package's `output.json` tell different things.
  case differs(member: String, receipt: String, output: String)
  /// The job was paid for, and still there is none.
  case missing(cost: String)
  /// There is no readable `output.json` to compare it with.
  case noOutput

  var description: String {
    switch self {
    case .fault(let fault): "\(fault)"
    case .wrongJob(let expected, let actual): "the receipt is of job \(actual), expected \(expected)"
    case .differs(let member, let receipt, let output):
      "the receipt's \(member) is \(receipt), output.json says \(output)"
    case .missing(let cost): "there is no receipt, but output.json says that the job cost \(cost)"
    case .noOutput: "the receipt can't be compared: output.json can't be read"
    }
  }
}

/// Checks a job's receipt: signed with a trusted key, its price right, of this job, and in accord with the package.
///
/// The receipt is not in the package, because packages are given to others: it names who paid and what the market kept.
struct ReceiptCheck {
  enum State: String, Sendable {
    case valid
    case invalid
    /// The job was not charged for, so it has none.
    case none
    case notChecked = "not_checked"
  }

  let state: State
  /// What was paid, when the receipt is valid.
  let price: String?
  let findings: [ReceiptFinding]

  /// Members of a receipt, and those of `output.json` that must say the same.
  private static let pairs = [
    ("try", "try"), ("provider", "miner_id"), ("status", "status"), ("priority", "priority"), ("price", "cost"),
    ("started_at", "started_at"), ("completed_at", "completed_at"),
  ]

  /// - Parameters:
  ///   - job: the job it must be of; nil when nobody knows.
  ///   - output: the package's `output.json`; nil when it can't be read.
  init(_ statement: ReceiptStatement, job: String?, output: JSONValue?, keys: [Ed25519PublicKey]) {
    var findings: [ReceiptFinding] = []
    var price: String?
    switch statement {
    case .unknown: state = .notChecked
    case .absent:
      if let cost = output?["cost"]?.string, cost.contains(where: { ("1"..."9").contains($0) }) {
        findings.append(.missing(cost: cost))
      }
      state = findings.isEmpty ? .none : .invalid
    case .given(let signed):
      do throws(ReceiptFault) {
        let receipt = try Receipt.verify(signed, keys: keys)
        price = receipt.price.description
        findings = Self.compare(receipt, job, output)
      } catch {
        findings = [.fault(error)]
      }
      state = findings.isEmpty ? .valid : .invalid
    }
    self.price = findings.isEmpty ? price : nil
    self.findings = findings
  }

  private static func compare(_ receipt: Receipt, _ job: String?, _ output: JSONValue?) -> [ReceiptFinding] {
    if let job, job != receipt.job.rawValue { return [.wrongJob(expected: job, actual: receipt.job.rawValue)] }
    guard let output else { return [.noOutput] }
    let said = receipt.json
    return pairs.compactMap { member, other in
      let (left, right) = (text(said[member]), text(output[other]))
      return left == right ? nil : .differs(member: member, receipt: left, output: right)
    }
  }

  private static func text(_ value: JSONValue?) -> String { value?.string ?? value?.numberText ?? "nothing" }
}
