import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import Wire

/// The browser pages, read once at the start: they are few and small.
struct StaticFiles {
  private struct File {
    let bytes: [UInt8]
    let type: String
  }

  private let files: [String: File]

  /// A page may load only what we serve, talk only to us, and be framed by nobody.
  private static let policy =
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    + "form-action 'self'; frame-ancestors 'none'"

  private static let types = [
    "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml", "json": "application/json", "png": "image/png", "ico": "image/x-icon",
  ]
  private static let largest = 4 * 1024 * 1024

  /// Reads a folder. A missing one serves nothing.
  init(directory: String?) {
    var files: [String: File] = [:]
    if let directory {
      let manager = FileManager.default
      for name in (try? manager.subpathsOfDirectory(atPath: directory)) ?? [] where !name.hasPrefix("tests") {
        let kind = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
        guard let type = Self.types[kind], let data = manager.contents(atPath: directory + "/" + name),
          data.count <= Self.largest
        else { continue }
        files["/" + name] = File(bytes: Array(data), type: type)
      }
    }
    files["/"] = files["/index.html"]
    self.files = files
  }

  func add(to router: Router<AppContext>) {
    for (path, file) in files {
      for method in [HTTPRequest.Method.get, .head] {
        router.on(RouterPath(path), method: method) { _, _ in
          var headers: HTTPFields = [
            .contentSecurityPolicy: Self.policy, .cacheControl: "no-cache", .contentType: file.type,
          ]
          if method == .head { headers[.contentLength] = String(file.bytes.count) }
          return Response(
            status: .ok, headers: headers,
            body: method == .head ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
        }
      }
    }
  }
}
