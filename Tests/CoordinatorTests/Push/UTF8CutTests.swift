import Testing

@testable import Coordinator

@Suite struct UTF8CutTests {
  @Test(arguments: ["", "a", "ä", "€", "🙂", "aä€🙂"])
  func wholeTextStays(_ text: String) { #expect(UTF8Cut.length(Array(text.utf8)) == text.utf8.count) }

  @Test(arguments: ["ä", "€", "🙂"])
  func tornCharactersAreCut(_ character: String) {
    let bytes = Array(("ab" + character).utf8)
    for length in 3..<bytes.count { #expect(UTF8Cut.length(bytes.prefix(length)) == 2) }
  }

  @Test func otherBytesStay() {
    #expect(UTF8Cut.length([0xFF]) == 1)
    #expect(UTF8Cut.length([0x80, 0x80, 0x80, 0x80]) == 4)
    #expect(UTF8Cut.length([0x41, 0xC0]) == 2)
    #expect(UTF8Cut.length([0xF5, 0x80]) == 2)
  }

  @Test func everyCutOfTextGivesTextBack() {
    let bytes = Array("Grüße, 世界! 🙂🙃 naïve — ∑".utf8)
    for start in bytes.indices where String(validating: bytes[start...], as: UTF8.self) != nil {
      for end in start...bytes.count {
        let length = UTF8Cut.length(bytes[start..<end])
        #expect(String(validating: bytes[start..<(start + length)], as: UTF8.self) != nil)
        #expect(end - start - length < 4)
      }
    }
  }
}
