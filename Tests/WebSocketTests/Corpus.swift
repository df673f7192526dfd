import FoundationEssentials
import Testing
import WebSocket

/// `Tests/Corpus`, found from where the tests stand.
enum Corpus {
  static func file(_ path: String, from file: String = #filePath) throws -> [UInt8] {
    let folder = URL(filePath: file).deletingLastPathComponent().deletingLastPathComponent()
    let path = folder.appending(path: "Corpus/" + path).path
    return Array(try #require(FileManager.default.contents(atPath: path), "\(path) is missing"))
  }

  static func lines(_ path: String) throws -> [[String]] {
    String(decoding: try file(path), as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map { $0.split(separator: path.hasSuffix(".txt") ? " " : "\t").map(String.init) }
  }

  static let failures: [String: ProtocolFailure] = [
    "reservedBits": .reservedBits, "unknownOpcode": .unknownOpcode, "unmaskedFrame": .unmaskedFrame,
    "maskedFrame": .maskedFrame, "lengthNotMinimal": .lengthNotMinimal, "lengthTooLarge": .lengthTooLarge,
    "fragmentedControlFrame": .fragmentedControlFrame, "controlFrameTooLong": .controlFrameTooLong,
    "unexpectedContinuation": .unexpectedContinuation, "messageInterrupted": .messageInterrupted,
    "closePayloadTooShort": .closePayloadTooShort, "invalidCloseCode": .invalidCloseCode, "invalidUTF8": .invalidUTF8,
    "invalidDeflate": .invalidDeflate, "frameTooLarge": .frameTooLarge, "messageTooLarge": .messageTooLarge,
    "deflateBomb": .deflateBomb, "tooManyFragments": .tooManyFragments, "tooManyControlFrames": .tooManyControlFrames,
  ]

  /// A connection as a corpus file's first octet says; `frame_cases.py` describes it.
  static func endpoint(_ setup: UInt8, pool: DeflatePool) -> Endpoint {
    let bits = [15, 12, 9, 8][Int(setup >> 3 & 3)]
    let forgets = setup & 4 != 0
    let deflate = DeflateAgreement(
      serverNoContextTakeover: forgets, clientNoContextTakeover: forgets, serverMaxWindowBits: bits,
      clientMaxWindowBits: bits)
    let small = Limits(
      maximumFrameSize: 1000, maximumMessageSize: 2000, maximumFragments: 8, maximumControlFramesPerSecond: 5,
      deflateBomb: 1500)
    return Endpoint(
      setup & 1 == 0 ? .server : .client, limits: setup & 64 != 0 ? small : Limits(),
      deflate: setup & 2 != 0 ? deflate : nil, pool: pool, maskingKey: MaskingKey(0x1234_5678))
  }
}

@Suite struct CorpusTests {
  @Test func everyFrameFileComesToWhatItMust() throws {
    let cases = try Corpus.lines("frames.index")
    #expect(cases.filter { $0[1] != "fine" }.count >= 300)
    for line in cases {
      let octets = try Corpus.file("frames/" + line[0])
      let setup = try #require(octets.first)
      let (events, failedAt) = Verifier { Corpus.endpoint(setup, pool: $0) }.verify(Array(octets.dropFirst()), line[0])
      if line[1] == "fine" {
        #expect(failure(events) == nil, "\(line[0])")
      } else {
        let expected = try #require(Corpus.failures[line[1]])
        #expect(failure(events) == expected, "\(line[0])")
        if let octet = Int(line[2]) { #expect(failedAt == octet, "\(line[0])") }
      }
    }
  }

  @Test func everyRequestGetsItsStatus() throws {
    let cases = try Corpus.lines("requests.index")
    #expect(cases.filter { $0[1] != "101" }.count >= 100)
    for line in cases {
      let octets = try Corpus.file("requests/" + line[0])
      for size in [octets.count, 1, 7] {
        #expect(Self.status(octets, inPiecesOf: size) == Int(line[1]), "\(line[0]) in pieces of \(size)")
      }
    }
  }

  /// 0: the head is not whole.
  private static func status(_ octets: [UInt8], inPiecesOf size: Int) -> Int {
    var parser = HTTPHeadParser()
    var rest = octets[...]
    do {
      while !rest.isEmpty {
        let piece = Array(rest.prefix(size))
        rest = rest.dropFirst(size)
        let isWhole = try piece.withUnsafeBytes { raw in
          var input = raw
          return try parser.append(&input)
        }
        guard isWhole else { continue }
        let origins = OriginPolicy.sameHost(also: ["https://partner.example"])
        _ = try ServerHandshake(try parser.request(), deflate: DeflateConfiguration(), origins: origins)
        return 101
      }
      return 0
    } catch let error as HTTPHeadError {
      return error == .tooLarge ? 431 : 400
    } catch {
      return (error as? HandshakeRejection)?.status ?? 500
    }
  }
}
