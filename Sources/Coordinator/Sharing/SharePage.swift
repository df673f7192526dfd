import HTTPTypes
import Hummingbird
import Marketplace
import Wire

/// A share as a page for people: HTML and one style sheet, no script.
enum SharePage {
  /// Nothing but our style sheet is loaded, nothing is sent, nobody frames it.
  private static let policy =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  /// `path` is the page's own, from which its links are told.
  static func response(_ overview: ShareOverview, path: String) -> Response {
    respond(html(overview, path: path), status: .ok)
  }

  static func html(_ overview: ShareOverview, path: String) -> String {
    page(title: overview.title, path: path, body: body(overview, base: base(of: path)))
  }

  static func failure(_ problem: Problem, path: String) -> Response {
    let text: (String, String) =
      switch problem.status {
      case 404: ("Nothing to see here", "This link does not exist, was taken back, or has been used up.")
      case 410: ("This link is over", problem.detail + ".")
      default: ("That did not work", problem.detail + ".")
      }
    return respond(
      page(title: text.0, path: path, body: "<h1>\(text.0)</h1>\n<p>\(escape(text.1))</p>\n"),
      status: HTTPResponse.Status(code: problem.status))
  }

  private static func respond(_ html: String, status: HTTPResponse.Status) -> Response {
    .raw(
      Array(html.utf8), type: "text/html; charset=utf-8", status: status, headers: [.contentSecurityPolicy: policy])
  }

  private static func page(title: String, path: String, body: String) -> String {
    // Relative, so that a proxy may put all of it below a folder.
    let up = String(repeating: "../", count: max(0, path.utf8.count { $0 == UInt8(ascii: "/") } - 1))
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="robots" content="noindex">
      <meta name="referrer" content="no-referrer">
      <title>\(escape(title)) – shared result</title>
      <link rel="stylesheet" href="\(up)css/base.css">
      <link rel="stylesheet" href="\(up)css/share.css">
      </head>
      <body class="share">
      <main>
      \(body)</main>
      </body>
      </html>

      """
  }

  private static func base(of path: String) -> String {
    path.hasSuffix("/") ? "." : escape(path.split(separator: "/").last.map(String.init) ?? ".")
  }

  private static func body(_ overview: ShareOverview, base: String) -> String {
    var facts: [(String, String)] = [
      ("Job", code(overview.jobID.rawValue)), ("Status", escape(overview.status.rawValue)),
    ]
    if let ended = overview.completedAt { facts.append(("Ended", time(ended))) }
    facts.append(("This link works until", time(overview.expiresAt)))
    if let left = overview.downloadsLeft { facts.append(("Downloads left", "\(left)")) }
    facts.append(("Archive", escape(ByteCount.text(overview.packageSize))))
    facts.append(("SHA-256", code(overview.packageSHA256)))
    let list = facts.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>\n" }.joined()
    return """
      <h1>\(escape(overview.title))</h1>
      <p class="quiet">The result of a computing job, shared with whoever has this link.</p>
      <dl class="facts">
      \(list)</dl>
      <p><a class="download" href="\(base)/download" download="output.zip">Download output.zip</a></p>
      <h2>Files</h2>
      <div class="scroll"><table>
      <thead><tr><th scope="col">File</th><th scope="col">Size</th><th scope="col">SHA-256</th></tr></thead>
      <tbody>
      \(overview.files.map { row($0, base: base) }.joined())</tbody>
      </table></div>
      \(rest(overview, base: base))<h2>Is it what the job made?</h2>
      <p>Save <a href="\(base)/checksum" download="output.sha256">output.sha256</a> beside <code>output.zip</code> and \
      run</p>
      <pre><code>sha256sum -c output.sha256
      unzip -t output.zip</code></pre>
      <p>The archive's <a href="\(base)/manifest">manifest</a> names every file with its digest and is signed. To check \
      the signatures too, save the coordinator's public keys from <code>/v1/keys</code> as <code>keys.json</code> and \
      run</p>
      <pre><code>aitbc client verify --file output.zip --keys keys.json</code></pre>

      """
  }

  private static func row(_ file: ShareOverview.File, base: String) -> String {
    let name = escape(file.path)
    let cell = file.artifact.map { "<a href=\"\(base)/artifacts/\(ShareOverview.encode($0))\" download>\(name)</a>" }
    return "<tr><td class=\"mono\">\(cell ?? name)</td><td>\(escape(ByteCount.text(file.size)))</td>"
      + "<td>\(code(file.sha256))</td></tr>\n"
  }

  private static func rest(_ overview: ShareOverview, base: String) -> String {
    let more = overview.fileCount - overview.files.count
    return more > 0 ? "<p>\(more) more files stand in the <a href=\"\(base)/manifest\">manifest</a>.</p>\n" : ""
  }

  private static func code(_ text: String) -> String { "<code>\(escape(text))</code>" }

  private static func time(_ time: Timestamp) -> String {
    "<time datetime=\"\(time)\">\(String(time.description.prefix(16)).replacing("T", with: " ")) UTC</time>"
  }

  /// Text as it may stand in HTML, attributes included. Characters that turn the direction of writing or can't be seen
  /// are shown as `?`, so that a file's name can't pass for another.
  static func escape(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x26: result += "&amp;"
      case 0x3C: result += "&lt;"
      case 0x3E: result += "&gt;"
      case 0x22: result += "&quot;"
      case 0x27: result += "&#39;"
      case 0..<32, 127..<160, 0x202A...0x202E, 0x2066...0x2069: result += "?"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// Sizes for people: `812 B`, `1.5 KiB`.
enum ByteCount {
  static func text(_ count: Int64) -> String {
    guard count >= 1024 else { return "\(count) B" }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var (value, unit) = (count, 0)
    while value >= 1024 * 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    let tenths = (value * 10 + 512) / 1024
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }
}
