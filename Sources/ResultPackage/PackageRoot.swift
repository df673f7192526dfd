/// The folder that holds all of a package.
public enum PackageRoot {
  /// `job_<id>` without the slash; an id that already begins with `job_` is not prefixed again.
  ///
  /// - Throws: `ManifestError.badJobID` unless the id has 1 to 120 letters, digits, `-` and `_` of ASCII.
  public static func name(jobID: String) throws(ManifestError) -> String {
    let isName = jobID.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    guard isName, (1...120).contains(jobID.utf8.count) else { throw .badJobID(jobID) }
    return jobID.hasPrefix("job_") ? jobID : "job_" + jobID
  }
}
