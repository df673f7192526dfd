import JSON
import Marketplace
import Store
import Wire

/// What a share shows: the job in a few words, its package, its files. Nothing of keys, accounts or other jobs.
struct ShareOverview: Sendable {
  /// Files that are listed; the manifest has all.
  static let fileLimit = 1_000

  struct File: Hashable, Sendable {
    let path: String
    let size: Int64
    /// Lower-case hex.
    let sha256: String

    /// The path below `artifacts/`, which can be fetched alone; nil for other files.
    var artifact: Substring? { path.hasPrefix("artifacts/") ? path.dropFirst(10) : nil }
  }

  let jobID: JobID
  let title: String
  let status: JobState
  let completedAt: Timestamp?
  let expiresAt: Timestamp
  let downloadsLeft: Int64?
  let packageSize: Int64
  let packageSHA256: String
  /// At most ``fileLimit``.
  let files: [File]
  let fileCount: Int

  /// - manifest: the package's, as JSON.
  init(share: ShareRecord, job: Job, package: PackageRecord, manifest: [UInt8]) {
    jobID = job.id
    title = job.specification.name ?? job.id.rawValue
    status = job.state
    completedAt = job.completedAt
    expiresAt = share.expiresAt
    downloadsLeft = share.downloadsLeft
    packageSize = package.size
    packageSHA256 = package.sha256
    let entries = (try? JSONParser.parse(manifest))?["entries"]?.array ?? []
    fileCount = entries.count
    files = entries.prefix(Self.fileLimit).compactMap { entry in
      guard let path = entry["path"]?.string, let size = entry["size"]?.integer, let sha256 = entry["sha256"]?.string
      else { return nil }
      return File(path: path, size: size, sha256: sha256)
    }
  }

  /// For programs. `base` is the share's own address.
  func document(base: String) -> JSONValue {
    var object = JSONObject([
      ("job_id", .string(jobID.rawValue)), ("name", .string(title)), ("status", .string(status.rawValue)),
      ("state", .string(status.aitbcWord)),
    ])
    object.append(time: completedAt, as: "completed_at")
    object.append(time: expiresAt, as: "expires_at")
    object.append("downloads_left", JSONValue(downloadsLeft))
    object.append("size", .integer(packageSize))
    object.append("sha256", .string(packageSHA256))
    for (name, part) in [("download_url", "download"), ("checksum_url", "checksum"), ("manifest_url", "manifest")] {
      object.append(name, .string(base + "/" + part))
    }
    object.append("file_count", .integer(Int64(fileCount)))
    object.append(
      "files",
      .array(
        files.map { file in
          [
            "path": .string(file.path), "size": .integer(file.size), "sha256": .string(file.sha256),
            "url": JSONValue(file.artifact.map { base + "/artifacts/" + Self.encode($0) }),
          ]
        }))
    return .object(object)
  }

  /// A path of files as it stands in a URL.
  static func encode(_ path: Substring) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in path.utf8 {
      switch byte {
      case 48...57, 65...90, 97...122, 45, 46, 47, 95, 126: bytes.append(byte)
      default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
