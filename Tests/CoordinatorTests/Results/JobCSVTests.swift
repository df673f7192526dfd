import Marketplace
import Testing

@testable import Coordinator

/// RFC 4180, and nothing that a spreadsheet would run.
struct JobCSVTests {
  @Test(arguments: [
    ("", ""), ("plain", "plain"), ("two words", "two words"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""),
    ("line\nend", "\"line\nend\""), ("cr\rlf", "\"cr\rlf\""), ("=1+1", "\"'=1+1\""), ("+1", "\"'+1\""),
    ("-1", "\"'-1\""), ("@x", "\"'@x\""), ("\t=1", "\"'\t=1\""), ("\r=1", "\"'\r=1\""), ("\n=1", "\"'\n=1\""),
    ("＝1", "\"'＝1\""), ("a=1", "a=1"), ("'=1", "'=1"), ("=\"x\",1", "\"'=\"\"x\"\",1\""), ("ü€😀", "ü€😀"),
  ])
  func fields(_ value: String, _ expected: String) {
    #expect(Array(JobCSV.field(value).utf8) == Array(expected.utf8))
  }

  @Test func `every row has the columns of the header`() {
    var specification = JobSpecification(runner: "process", command: ["echo", "a,b"])
    specification.name = "=cmd|' /C calc'!A0"
    specification.labels = ["b": "2", "a": "1"]
    let job = Job(
      id: Known.job(1), account: Known.account, specification: specification,
      createdAt: Timestamp(milliseconds: 1_770_000_000_000))
    var text: [UInt8] = []
    JobCSV.append(job, at: job.createdAt, to: &text)
    let row = String(decoding: text, as: UTF8.self)
    let header = String(decoding: JobCSV.header, as: UTF8.self)
    #expect(header.hasPrefix("job_id,name,status,") && header.hasSuffix("\r\n"))
    #expect(row.hasPrefix("\(job.id),\"'=cmd|' /C calc'!A0\",pending,QUEUED,process,\"echo a,b\",normal,a=1 b=2,,1,"))
    #expect(row.hasSuffix("\r\n"))
    // The one comma that is quoted is no separator.
    #expect(row.count { $0 == "," } - 1 == header.count { $0 == "," })
  }
}
