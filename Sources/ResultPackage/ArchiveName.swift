/// Names inside an archive: an `ArtifactPath` under a root folder.
enum ArchiveName {
  /// The longest root folder's name in bytes.
  static let maximumRootBytes = 127

  static func check(_ name: String) throws(ArtifactPathError) {
    try ArtifactPath.check(
      name.utf8, bytes: ArtifactPath.maximumBytes + maximumRootBytes + 1, segments: ArtifactPath.maximumSegments + 1)
  }
}
