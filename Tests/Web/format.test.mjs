import assert from "node:assert/strict";
import test from "node:test";
import * as format from "../../web-static/js/format.js";

test("durations at each step's edge", () => {
  const cases = [
    [null, "–"], [undefined, "–"], [NaN, "–"], [-5, "0 s"], [0, "0 ms"], [999, "999 ms"], [1000, "1.0 s"],
    [59_949, "59.9 s"], [59_950, "1 min 00 s"], [60_000, "1 min 00 s"], [3_599_000, "59 min 59 s"],
    [3_600_000, "1 h 00 min"], [86_399_000, "23 h 59 min"], [86_400_000, "1 d 0 h"], [100 * 3_600_000, "4 d 4 h"],
  ];
  for (const [ms, text] of cases) assert.equal(format.duration(ms), text);
});

test("bytes at each step's edge", () => {
  const cases = [
    [0, "0 B"], [1023, "1023 B"], [1024, "1.0 KiB"], [1024 ** 2 - 1, "1.0 MiB"], [1024 ** 2, "1.0 MiB"],
    [5.5 * 1024 ** 3, "5.5 GiB"], [-1, "–"], [NaN, "–"],
  ];
  for (const [n, text] of cases) assert.equal(format.bytes(n), text);
});

test("relative times", () => {
  const now = Date.parse("2026-02-13T10:00:00Z");
  const at = (seconds) => format.relativeTime(new Date(now - seconds * 1000).toISOString(), now);
  assert.deepEqual([0, 2, 3, 59, 60, 3599, 3600, 86_399, 86_400].map(at),
    ["just now", "just now", "3 s ago", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "23 h ago", "1 d ago"]);
  assert.equal(at(-120), "in 2 min");
  assert.equal(format.relativeTime(null, now), "–");
  assert.equal(format.relativeTime("yesterday", now), "–");
});

test("run time: not started, running, finished, finished without an end", () => {
  const started_at = "2026-02-13T10:00:00Z";
  const now = Date.parse(started_at) + 5000;
  assert.equal(format.runTime({ status: "pending" }, now), null);
  assert.equal(format.runTime({ status: "running", started_at }, now), 5000);
  assert.equal(format.runTime({ status: "completed", started_at, completed_at: "2026-02-13T10:00:02Z" }, now), 2000);
  assert.equal(format.runTime({ status: "lost", started_at, completed_at: null }, now), null);
});

test("remaining only while running and ahead", () => {
  const now = Date.parse("2026-02-13T10:00:00Z");
  const job = { status: "running", estimated_completion: "2026-02-13T10:00:09.2Z" };
  assert.equal(format.remaining(job, now), "about 10 s left");
  assert.equal(format.remaining(job, now + 20_000), "");
  assert.equal(format.remaining({ ...job, status: "completed" }, now), "");
  assert.equal(format.remaining({ status: "running" }, now), "");
});

test("a job of nothing but nulls is shown, not an error", () => {
  const names = ["name", "status", "progress", "error", "error_detail", "pending_reason", "command", "payload", "cost"];
  const job = Object.fromEntries(names.map((name) => [name, null]));
  assert.equal(format.jobTitle(job), "job");
  assert.equal(format.reason(job), "");
  assert.equal(format.progressPercent(job), null);
  assert.equal(format.cost(job.cost), "–");
  assert.equal(format.resultText(null), "");
  assert.equal(format.statusMeaning(null), "unknown");
});

test("titles, reasons, cost, progress", () => {
  assert.equal(format.jobTitle({ name: "n", command: ["a"] }), "n");
  assert.equal(format.jobTitle({ command: ["python3", "t.py"] }), "python3 t.py");
  assert.equal(format.jobTitle({ payload: { type: "noop" }, job_id: "job_1" }), "noop");
  assert.equal(format.reason({ status: "pending", pending_reason: { code: "NO_MINERS", message: "no miner" } }), "no miner");
  assert.equal(format.reason({ status: "failed", error_detail: { code: "SIGNALED", message: "by 9" } }), "SIGNALED: by 9");
  assert.equal(format.reason({ status: "failed", error: "boom" }), "boom");
  assert.equal(format.reason({ status: "running", pending_reason: { message: "old" } }), "");
  const error = { error_detail: { code: "LOST", message: "the lease ran out" } };
  assert.equal(format.reason({ status: "running", try: 2, ...error }), "earlier try 1: LOST: the lease ran out");
  assert.equal(format.reason({ status: "pending", try: 1, ...error }), "earlier try 1: LOST: the lease ran out");
  assert.equal(format.reason({ status: "lost", try: 3, ...error }), "LOST: the lease ran out");
  assert.equal(format.cost("0.025000"), "0.025000");
  assert.equal(format.cost({ amount: "1.50", currency: "AITBC" }), "1.50 AITBC");
  assert.equal(format.cost(0.1), "–", "money is never a float");
  assert.deepEqual([-1, 0, 45.9, 100, 140].map((progress) => format.progressPercent({ progress })), [0, 0, 45, 100, 100]);
  assert.equal(format.progressPercent({ status: "completed", progress: null }), 100);
});

test("a long result is cut at the limit and one past it", () => {
  assert.equal(format.resultText("abcd", 4), "abcd");
  assert.match(format.resultText("abcde", 4), /^abcd\n… \(cut/);
  assert.equal(format.resultText({ a: 1 }), '{\n  "a": 1\n}');
});

test("states: every word is either final or can move", () => {
  for (const status of format.statuses) {
    assert.equal(typeof format.isFinal(status), "boolean");
    assert.ok(!(format.isFinal(status) && format.canCancel(status)));
    assert.notEqual(format.statusMeaning(status), status === "running" ? "" : status);
  }
  assert.equal(format.canCancel("canceling"), false);
});

test("queue positions", () => {
  assert.equal(format.queuePosition({ queue_position: 3 }), "3");
  assert.equal(format.queuePosition({ queue_position: 1001, queue_position_is_minimum: true }), "1001+");
  for (const job of [{}, { queue_position: null }, { queue_position: "x" }]) assert.equal(format.queuePosition(job), null);
});

test("what the nearest miner lacks", () => {
  assert.equal(format.nearestLacks({ nearest: { miner_id: "m", missing: ["gpu", "region"] } }), "gpu, region");
  for (const waiting of [null, {}, { nearest: null }, { nearest: { missing: [] } }, { nearest: "x" }]) {
    assert.equal(format.nearestLacks(waiting), null);
  }
});
