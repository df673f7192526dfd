import assert from "node:assert/strict";
import test from "node:test";
import {
  applyFetched, applyMessage, emptyFeed, maxJobs, newestFirst, resumeMessage, visibleJobs,
} from "../../web-static/js/feed.js";

const status = (seq, word, more = {}) => ({ type: "status", epoch: "e1", seq, job_id: "job_a", status: word, ...more });
const words = (effects) => effects.map((effect) => effect.type);

function started() {
  const feed = emptyFeed();
  applyMessage(feed, { type: "snapshot", epoch: "e1", seq: 10, jobs: [{ job_id: "job_a", status: "running", try: 1, progress: 20 }] });
  return feed;
}

test("the first snapshot fills, and resuming continues from it", () => {
  const feed = emptyFeed();
  assert.equal(resumeMessage(feed), null);
  assert.deepEqual(applyMessage(feed, { type: "snapshot", epoch: "e1", seq: 7, jobs: [{ job_id: "job_a", status: "pending" }] }), []);
  assert.deepEqual(resumeMessage(feed), { type: "resume", epoch: "e1", after: 7 });
  assert.equal(feed.jobs.get("job_a").status, "pending");
});

test("a later snapshot asks for the list: jobs may have come and gone", () => {
  assert.deepEqual(words(applyMessage(started(), { type: "snapshot", epoch: "e1", seq: 30, jobs: [] })), ["refetch"]);
});

test("a repeated durable message is counted once", () => {
  const feed = started();
  applyMessage(feed, status(11, "canceling"));
  assert.deepEqual(applyMessage(feed, status(11, "running")), []);
  assert.deepEqual(applyMessage(feed, status(3, "pending")), []);
  assert.equal(feed.jobs.get("job_a").status, "canceling");
  assert.equal(feed.seq, 11);
});

test("another epoch or a reset: the list is read again, and resuming starts from there", () => {
  const feed = started();
  assert.deepEqual(words(applyMessage(feed, status(2, "failed", { epoch: "e2" }))), ["refetch"]);
  assert.equal(feed.jobs.get("job_a").status, "running");
  assert.deepEqual(resumeMessage(feed), { type: "resume", epoch: "e2", after: 2 });
  assert.deepEqual(words(applyMessage(feed, { type: "reset", epoch: "e3", seq: 0 })), ["refetch"]);
  assert.deepEqual(resumeMessage(feed), { type: "resume", epoch: "e3", after: 0 });
  applyMessage(feed, { type: "reset" });
  assert.equal(resumeMessage(feed), null);
});

test("an unknown job is shown at once and fetched", () => {
  const feed = started();
  assert.deepEqual(applyMessage(feed, status(12, "pending", { job_id: "job_b" })), [{ type: "fetch-job", id: "job_b" }]);
  assert.equal(feed.jobs.get("job_b").status, "pending");
});

test("the end is final: nothing moves the job afterwards", () => {
  const feed = started();
  assert.deepEqual(words(applyMessage(feed, { ...status(12, "completed"), type: "end", progress: 100 })), ["fetch-job", "ended"]);
  applyMessage(feed, status(13, "running"));
  applyMessage(feed, { type: "progress", job_id: "job_a", try: 1, progress: 50 });
  applyFetched(feed, [{ job_id: "job_a", status: "running", progress: 40, name: "n" }], feed.tick);
  const job = feed.jobs.get("job_a");
  assert.equal(job.status, "completed");
  assert.equal(job.progress, 100);
  assert.equal(job.name, "n");
});

test("progress rises within a try, starts anew in the next, and never makes a job", () => {
  const feed = started();
  const progress = (value, number = 1) =>
    applyMessage(feed, { type: "progress", job_id: "job_a", try: number, progress: value, message: `at ${value}` });
  progress(30);
  progress(25);
  assert.equal(feed.jobs.get("job_a").progress, 30);
  assert.equal(feed.jobs.get("job_a").progress_message, "at 25");
  applyMessage(feed, status(12, "running", { try: 2, progress: 0 }));
  assert.equal(feed.jobs.get("job_a").progress, 0);
  progress(90, 1);
  assert.equal(feed.jobs.get("job_a").progress, 0);
  progress(5, 2);
  assert.equal(feed.jobs.get("job_a").progress, 5);
  assert.deepEqual(applyMessage(feed, { type: "progress", job_id: "job_zz", progress: 1 }), []);
  assert.equal(feed.jobs.has("job_zz"), false);
});

test("a job that goes back to the queue may lose its progress", () => {
  const feed = started();
  applyMessage(feed, status(12, "pending", { progress: 0, try: 1 }));
  assert.equal(feed.jobs.get("job_a").progress, 0);
});

test("an answer older than the feed does not win; an untouched job takes it", () => {
  const feed = started();
  const tick = feed.tick;
  applyMessage(feed, status(12, "canceling"));
  applyFetched(feed, [{ job_id: "job_a", status: "running", name: "train" }, { job_id: "job_b", status: "pending" }], tick);
  assert.equal(feed.jobs.get("job_a").status, "canceling");
  assert.equal(feed.jobs.get("job_a").name, "train");
  applyFetched(feed, [{ job_id: "job_b", status: "assigned" }], feed.tick);
  assert.equal(feed.jobs.get("job_b").status, "assigned");
});

test("a fetched end always counts", () => {
  const feed = started();
  const tick = feed.tick;
  applyMessage(feed, status(12, "canceling"));
  applyFetched(feed, [{ job_id: "job_a", status: "canceled" }], tick);
  assert.equal(feed.jobs.get("job_a").status, "canceled");
});

test("market, log, error, pong, unknown and nonsense", () => {
  const feed = started();
  assert.deepEqual(applyMessage(feed, { type: "market", pending: 3 }), []);
  assert.equal(feed.market.pending, 3);
  assert.deepEqual(words(applyMessage(feed, { type: "log", job_id: "job_a" })), ["log"]);
  assert.deepEqual(words(applyMessage(feed, { type: "error", detail: "no" })), ["error"]);
  for (const message of [{ type: "pong" }, { type: "later" }, {}, null, 7, "x"]) assert.deepEqual(applyMessage(feed, message), []);
  assert.deepEqual(applyMessage(feed, { type: "status", seq: 50, epoch: "e1" }), []);
  applyFetched(feed, [null, {}, { job_id: null }], 0);
  assert.equal(feed.jobs.size, 1);
});

test("jobs are bounded: at the limit all stay, one past it the oldest finished one goes, never an active one", () => {
  const feed = emptyFeed();
  const id = (i) => `job_${String(i).padStart(6, "0")}`;
  const job = (i) => ({ job_id: id(i), status: i === 0 ? "running" : "completed" });
  applyFetched(feed, Array.from({ length: maxJobs }, (_, i) => job(i)), 0);
  assert.equal(feed.jobs.size, maxJobs);
  applyFetched(feed, [job(maxJobs)], 0);
  assert.equal(feed.jobs.size, maxJobs);
  assert.equal(feed.jobs.has(id(0)), true);
  assert.equal(feed.jobs.has(id(1)), false);
  assert.equal(feed.jobs.has(id(maxJobs)), true);
});

test("the list: newest first, filtered by status and by text over several fields", () => {
  const feed = emptyFeed();
  applyFetched(feed, [
    { job_id: "job_1", status: "completed", name: "Train", labels: { team: "vision" } },
    { job_id: "job_3", status: "running", command: ["python3", "x.py"], labels: null },
    { job_id: "job_2", status: "running", name: null, miner_id: "miner_q" },
  ], 0);
  const ids = (filter) => visibleJobs(feed, filter).map((job) => job.job_id);
  assert.deepEqual(ids(), ["job_3", "job_2", "job_1"]);
  assert.deepEqual(ids({ status: "running" }), ["job_3", "job_2"]);
  assert.deepEqual(ids({ text: " TRAIN " }), ["job_1"]);
  assert.deepEqual(ids({ text: "team=vision" }), ["job_1"]);
  assert.deepEqual(ids({ text: "x.py" }), ["job_3"]);
  assert.deepEqual(ids({ text: "MINER_Q" }), ["job_2"]);
  assert.deepEqual(ids({ text: "nothing", matches: new Set(["job_2"]) }), ["job_2"]);
  assert.equal(newestFirst({ job_id: "a" }, { job_id: "a" }), 0);
});
