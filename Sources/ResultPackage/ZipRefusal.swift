/// Why an archive, or an entry of it, is refused. Every case names what is wrong; nothing of it was trusted.
public enum ZipRefusal: Error, Equatable, Sendable {
  // The file as a whole.
  /// There is no end record, so this is no ZIP archive, or its end is missing.
  case noEndRecord
  case trailingData
  case prefixedData
  case badComment
  case multipleDisks
  /// A record has not the signature it must have.
  case badSignature(record: String)
  case truncatedDirectory
  /// Bytes that belong to no record.
  case unaccountedBytes(at: UInt64)
  /// A field has a value that this format never has; nothing is ignored.
  case notCanonical(record: String, field: String)

  // Limits.
  case tooManyEntries(count: UInt64, limit: UInt64)
  case directoryTooLarge(size: UInt64, limit: UInt64)
  case entryTooLarge(name: String, size: UInt64, limit: UInt64)
  case totalTooLarge(limit: UInt64)
  case ratioTooHigh(name: String)

  // Entries.
  case badName(String, ArtifactPathError)
  case nameClash(NameClash)
  case outOfOrder(previous: String, name: String)
  case encrypted(name: String)
  case unknownMethod(name: String, method: UInt16)
  case symbolicLink(name: String)
  case directory(name: String)
  case specialFile(name: String)
  case unexpectedExtraField(name: String, id: UInt16)
  /// Entries share bytes, or one reaches into the directory.
  case overlap(name: String)
  /// The local header or the data descriptor says something else than the central directory.
  case headerMismatch(name: String, field: String)

  // Data.
  case corruptData(name: String)
  case sizeMismatch(name: String)
  case checksumMismatch(name: String)
  /// The compressed data ends before the room it is given does.
  case dataAfterEnd(name: String)

  /// The entry it is about, if it is about one.
  public var entryName: String? {
    switch self {
    case .entryTooLarge(let name, _, _), .ratioTooHigh(let name), .badName(let name, _), .outOfOrder(_, let name),
      .encrypted(let name), .unknownMethod(let name, _), .symbolicLink(let name), .directory(let name),
      .specialFile(let name), .unexpectedExtraField(let name, _), .overlap(let name), .headerMismatch(let name, _),
      .corruptData(let name), .sizeMismatch(let name), .checksumMismatch(let name), .dataAfterEnd(let name):
      name
    default: nil
    }
  }
}

extension ZipRefusal: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noEndRecord: "no end record: not a ZIP archive, or cut off"
    case .trailingData: "bytes after the end of the archive"
    case .prefixedData: "bytes before the first entry"
    case .badComment: "the archive's comment is too long or not printable ASCII"
    case .multipleDisks: "the archive is split over several files"
    case .badSignature(let record): "the \(record) has a wrong signature"
    case .truncatedDirectory: "the central directory is cut off"
    case .unaccountedBytes(let offset): "bytes at \(offset) belong to no entry"
    case .notCanonical(let record, let field): "the \(record) has an unexpected \(field)"
    case .tooManyEntries(let count, let limit): "\(count) entries, the limit is \(limit)"
    case .directoryTooLarge(let size, let limit): "the central directory has \(size) bytes, the limit is \(limit)"
    case .entryTooLarge(let name, let size, let limit): "\(name): \(size) bytes, the limit is \(limit)"
    case .totalTooLarge(let limit): "the files have more than \(limit) bytes together"
    case .ratioTooHigh(let name): "\(name): grows too much when it is unpacked"
    case .badName(let name, let error): "\(name): \(error)"
    case .nameClash(let clash): "\(clash)"
    case .outOfOrder(let previous, let name): "\(name) stands after \(previous)"
    case .encrypted(let name): "\(name) is encrypted"
    case .unknownMethod(let name, let method): "\(name): unknown compression method \(method)"
    case .symbolicLink(let name): "\(name) is a symbolic link"
    case .directory(let name): "\(name) is a folder entry"
    case .specialFile(let name): "\(name) is no regular file"
    case .unexpectedExtraField(let name, let id): "\(name): unexpected extra field \(id)"
    case .overlap(let name): "\(name) overlaps other parts of the archive"
    case .headerMismatch(let name, let field): "\(name): its own header and the directory disagree on the \(field)"
    case .corruptData(let name): "\(name): the compressed data is damaged"
    case .sizeMismatch(let name): "\(name): not of the size that the directory tells"
    case .checksumMismatch(let name): "\(name): the CRC-32 does not match"
    case .dataAfterEnd(let name): "\(name): bytes after the end of the compressed data"
    }
  }
}
