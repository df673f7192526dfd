import Cryptography
import Foundation
import ResultPackage
import Testing

/// `docs/results.md` tells how to verify a package with Python and OpenSSL alone: that text is run here.
struct DocumentationTests {
  private func script() throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/results.md"), encoding: .utf8)
    let start = try #require(text.range(of: "```python\n"))
    let end = try #require(text.range(of: "\n```", range: start.upperBound..<text.endIndex))
    return String(text[start.upperBound..<end.lowerBound])
  }

  @Test func documentedScriptVerifiesAndRefuses() throws {
    let folder = try TemporaryFolder()
    try folder.write(Array(try script().utf8), to: "verify.py")
    let (bytes, _) = try PackageVerifierTests.package(padding: 700_000)
    try folder.write(bytes, to: "output.zip")
    let key = try testKey(1).publicKey.id
    let good = try shell("python3 verify.py output.zip \(key)", in: folder.path)
    #expect(good.status == 0 && good.output == "intact: job_01\n", "\(good.output)")

    let foreign = try testKey(9).publicKey.id
    let untrusted = try shell("python3 verify.py output.zip \(foreign)", in: folder.path)
    #expect(untrusted.status == 1 && untrusted.output == "not signed with the trusted key\n", "\(untrusted.output)")

    // The maker's version of the last directory header: no file shows it, the seal does.
    var changed = bytes
    let header = try #require(changed.lastRange(of: [0x50, 0x4B, 0x01, 0x02]))
    changed[header.lowerBound + 4] ^= 1
    try folder.write(changed, to: "changed.zip")
    let sealed = try shell("python3 verify.py changed.zip \(key)", in: folder.path)
    #expect(sealed.status == 1 && sealed.output == "seal: wrong signature\n", "\(sealed.output)")
  }

  @Test func checksumFileOfTheContract() throws {
    let folder = try TemporaryFolder()
    let (bytes, summary) = try PackageVerifierTests.package()
    try folder.write(bytes, to: "output.zip")
    try folder.write(Array("\(summary.sha256.hex)  output.zip\n".utf8), to: "output.sha256")
    #expect(try shell("sha256sum -c output.sha256", in: folder.path).output == "output.zip: OK\n")
  }
}

extension [UInt8] {
  /// The last place where these bytes stand.
  func lastRange(of pattern: [UInt8]) -> Range<Int>? {
    guard count >= pattern.count else { return nil }
    for start in stride(from: count - pattern.count, through: 0, by: -1)
    where self[start..<start + pattern.count].elementsEqual(pattern) { return start..<start + pattern.count }
    return nil
  }
}
