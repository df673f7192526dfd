// package-bench OUT FOLDER [THREADS]: packs all files of a folder as a job's artifacts, as the coordinator does, and
// prints what it took. For Benchmarks/package.

import Cryptography
import Glibc
import ResultPackage

func names(in folder: String) -> [String] {
  guard let directory = opendir(folder) else { return [] }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if !name.hasPrefix(".") { names.append(name) }
  }
  return names.sorted()
}

func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

func pack(_ folder: String, to path: String, threads: Int) throws {
  let entries = try names(in: folder).map { name in
    let file = folder + "/" + name
    return PackageEntry(
      path: try ArtifactPath(validating: "artifacts/" + name),
      source: .file(path: file, offset: 0, length: try FileSource(path: file).size))
  }
  let logs = try ["logs/stdout.log", "logs/stderr.log", "output.json", "result.txt"].map {
    PackageEntry(path: try ArtifactPath(validating: $0), source: .bytes([]))
  }
  let builder = try PackageBuilder(
    jobID: "job_00000000000000000000000000", signer: Ed25519PrivateKey.generate(), threads: threads)
  unlink(path)
  let clock = ContinuousClock()
  let start = clock.now
  let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
  guard descriptor >= 0 else { throw FileError(path: path, operation: "open", code: errno) }
  defer { close(descriptor) }
  let summary = try builder.build(entries + logs, to: FileDescriptorSink(descriptor: descriptor, path: path))
  let wall = (clock.now - start) / .seconds(1)
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  let processor = seconds(usage.ru_utime) + seconds(usage.ru_stime)
  print(
    "{\"seconds\":\(wall),\"cpu_seconds\":\(processor),\"peak_kib\":\(usage.ru_maxrss),"
      + "\"size\":\(summary.size),\"sha256\":\"\(summary.sha256)\"}")
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
  print("usage: package-bench OUT FOLDER [THREADS]")
  exit(2)
}
do {
  let threads = arguments.count > 3 ? Int(arguments[3]) : nil
  try pack(arguments[2], to: arguments[1], threads: threads ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
} catch {
  print("package-bench: \(error)")
  exit(1)
}
