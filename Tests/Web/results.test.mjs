import assert from "node:assert/strict";
import test from "node:test";
import { resultsUntil } from "../../web-static/js/format.js";
import { shareBody, shareText } from "../../web-static/js/results.js";

const now = Date.parse("2026-02-13T10:00:00Z");

test("what a link is asked for with", () => {
  assert.deepEqual(shareBody("7d", ""), { expires: "7d" });
  assert.deepEqual(shareBody("1d", " 3 "), { expires: "1d", max_downloads: 3 });
  assert.deepEqual(shareBody("1d", "1000000000"), { expires: "1d", max_downloads: 1_000_000_000 });
  for (const text of ["0", "-1", "1.5", "1e3", "1000000001", "many", "99999999999"]) assert.equal(shareBody("1d", text), null, text);
});

test("a link in a line", () => {
  const share = { state: "active", expires_at: "2026-02-15T10:00:00Z", downloads: 0, max_downloads: null };
  assert.equal(shareText(share, now), "works until in 2 d, 0 downloads");
  assert.equal(shareText({ ...share, downloads: 1 }, now), "works until in 2 d, 1 download");
  assert.equal(shareText({ ...share, state: "used_up", downloads: 2, max_downloads: 2 }, now),
    "used up; would end in 2 d, 2 of 2 downloads");
  assert.equal(shareText({ ...share, state: "expired", expires_at: "2026-02-13T09:00:00Z" }, now),
    "ended 1 h ago, 0 downloads");
});

test("how long results stay", () => {
  const job = { status: "completed", results_available: true, result_expires_at: "2026-02-20T10:00:00Z" };
  assert.equal(resultsUntil(job, now), "in 7 d (2026-02-20T10:00:00Z)");
  assert.equal(resultsUntil({ ...job, status: "running" }, now), null);
  assert.equal(resultsUntil({ ...job, result_expires_at: null }, now), null);
  const gone = { ...job, results_available: false };
  assert.equal(resultsUntil(gone, now), "removed");
  assert.equal(resultsUntil({ ...gone, results_purged_at: "2026-02-13T09:59:00Z" }, now), "removed 1 min ago (2026-02-13T09:59:00Z)");
});
