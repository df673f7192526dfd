import Testing

@testable import Coordinator

/// Tokens that stand in paths never reach the log.
struct LoggablePathTests {
  @Test(arguments: [
    ("/v1/leases/lt_secret/artifacts/a.txt", "/v1/leases/…/artifacts/a.txt"), ("/v1/leases/lt_secret", "/v1/leases/…"),
    ("/v1/share/tok/download", "/v1/share/…/download"), ("/share/tok", "/share/…"), ("/share//tok/x", "/share//…/x"),
    ("/v1/%73hare/tok", "/v1/%73hare/…"), ("/V1/Share/tok", "/V1/Share/…"), ("/x/sh_tok", "/x/…"), ("/ak_key", "/…"),
    ("/v1/jobs/job_1", "/v1/jobs/job_1"), ("/v1/jobs/job_1/share", "/v1/jobs/job_1/share"),
    ("/v1/jobs/job_1/shares/share_1", "/v1/jobs/job_1/shares/share_1"),
  ])
  func hides(path: String, expected: String) {
    #expect(LoggablePath.of(path) == expected)
  }
}
