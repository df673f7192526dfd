import Glibc

/// What an `errno` means, in the C library's words.
func systemMessage(_ code: Int32) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
    guard let storage = buffer.baseAddress, strerror_r(code, storage, buffer.count) == 0 else {
      return "error \(code)"
    }
    return String(cString: storage)
  }
}
