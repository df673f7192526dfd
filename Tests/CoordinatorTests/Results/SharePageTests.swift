import JSON
import Marketplace
import Store
import Testing
import TestRandomness

@testable import Coordinator

/// What people see of a share, whatever a job's names hold.
struct SharePageTests {
  private func overview(name: String?, paths: [String]) -> ShareOverview {
    var specification = JobSpecification(runner: "process", command: ["true"])
    specification.name = name
    let now = Timestamp(milliseconds: 1_770_000_000_000)
    let job = Job(id: Known.job(1), account: Known.account, specification: specification, createdAt: now)
    var random = SeededGenerator(seed: 3)
    let share = ShareRecord(
      id: ShareID(at: now, using: &random), tokenHash: "hash", grantSecret: [1], job: job.id, account: job.account,
      createdAt: now, expiresAt: now + .days(7), maximumDownloads: 5, downloads: 2)
    let entries = paths.map { #"{"path":"\#($0)","sha256":"ab","size":1536}"# }.joined(separator: ",")
    let package = PackageRecord(job: job.id, size: 10, sha256: "cd", createdAt: now)
    return ShareOverview(
      share: share, job: job, package: package, manifest: Array("{\"entries\":[\(entries)]}".utf8))
  }

  @Test func `names can't break out of the page`() {
    #expect(SharePage.escape("<script>\"'&\u{1B}\u{202E}ü") == "&lt;script&gt;&quot;&#39;&amp;??ü")
    let evil = "<img src=x onerror=alert(1)>"
    let page = SharePage.html(overview(name: evil, paths: ["artifacts/\(evil) %\\u0022"]), path: "/share/token")
    #expect(!page.contains("<img") && !page.contains("<script"))
    #expect(page.contains("&lt;img src=x onerror=alert(1)&gt;"))
    #expect(page.contains("href=\"token/artifacts/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%20%25%22\" download"))
  }

  @Test func `links and style sheet are found from every address`() {
    let overview = overview(name: "n", paths: ["artifacts/a/b.txt", "result.txt"])
    for (path, sheet, link) in [
      ("/share/token", "../css/share.css", "token/download"),
      ("/v1/share/token", "../../css/share.css", "token/download"),
      ("/share/token/", "../../css/share.css", "./download"),
    ] {
      let page = SharePage.html(overview, path: path)
      #expect(page.contains("href=\"\(sheet)\"") && page.contains("href=\"\(link)\""), "\(path)")
    }
    let page = SharePage.html(overview, path: "/share/token")
    #expect(page.contains("<td class=\"mono\">result.txt</td><td>1.5 KiB</td>"))
    #expect(page.contains("<dd>3</dd>") && page.contains("2026-02-09 02:40 UTC"))
  }

  @Test func `nothing of the account or other secrets`() throws {
    let overview = overview(name: "n", paths: ["artifacts/a b"])
    let texts = [SharePage.html(overview, path: "/share/token"), overview.document(base: "http://h/v1/share/t").text]
    for text in texts {
      #expect(!text.contains(Known.account.rawValue) && !text.contains("hash") && !text.contains("share_"))
    }
    let document = overview.document(base: "http://h/v1/share/t")
    #expect(document["files"]?.array?.first?["url"]?.string == "http://h/v1/share/t/artifacts/a%20b")
    #expect(document["downloads_left"]?.integer == 3 && document["size"]?.integer == 10)
  }

  @Test func `long lists are cut and say so`() {
    for (count, isCut) in [(ShareOverview.fileLimit, false), (ShareOverview.fileLimit + 1, true)] {
      let overview = overview(name: nil, paths: (0..<count).map { "artifacts/\($0)" })
      #expect(overview.files.count == ShareOverview.fileLimit && overview.fileCount == count)
      #expect(SharePage.html(overview, path: "/share/t").contains("1 more files stand in the") == isCut)
    }
  }

  @Test(
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"),
      (5_905_580_032, "5.5 GiB"),
      (.max, "8.0 EiB"),
    ] as [(Int64, String)])
  func sizes(_ count: Int64, _ text: String) { #expect(ByteCount.text(count) == text) }
}
