import Testing

@testable import Coordinator

/// Tokens that stand in paths never reach the log.
struct LoggablePathTests {
  @Test(arguments: [
    ("/v1/leases/lt_secret/artifacts/a.txt", "/v1/leases/…/artifacts/a.txt"), ("/v1/leases/lt_secret", "/v1/leases/…"),
    ("/v1/share/tok/download", "/v1/share/…/download"), ("/v1/jobs/job_1", "/v1/jobs/job_1"),
  ])
  func hides(path: String, expected: String) {
    #expect(LoggablePath.of(path) == expected)
  }
}
