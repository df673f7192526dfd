import assert from "node:assert/strict";
import test from "node:test";
import { LogAssembly, maxHeldMessages, messageBytes, overflow } from "../../web-static/js/logs.js";

const text = (chunks) => new TextDecoder().decode(Uint8Array.from(chunks.flatMap((chunk) => [...chunk])));
const bytes = (value) => new TextEncoder().encode(value);
const message = (offset, data, more = {}) => ({ type: "log", job_id: "job_1", stream: "stdout", try: 1, offset, data, ...more });

test("text and base64 give the same bytes", () => {
  assert.deepEqual([...messageBytes({ data: "ü" })], [0xc3, 0xbc]);
  assert.deepEqual([...messageBytes({ data: "w7z/", encoding: "base64" })], [0xc3, 0xbc, 0xff]);
  assert.equal(messageBytes({ data: null }).length, 0);
});

test("in order, repeated and overlapping", () => {
  const log = new LogAssembly();
  assert.equal(text(log.accept(message(0, "abc")).chunks), "abc");
  assert.equal(text(log.accept(message(0, "abc")).chunks), "");
  assert.equal(text(log.accept(message(1, "bcde")).chunks), "de");
  assert.deepEqual(log.offsets, { stdout: 5, stderr: 0 });
  assert.equal(log.isMissing("stdout"), false);
});

test("offsets count bytes, not characters", () => {
  const log = new LogAssembly();
  log.accept(message(0, "ü"));
  assert.equal(log.offsets.stdout, 2);
  assert.equal(text(log.accept(message(2, "x")).chunks), "x");
});

test("a gap is told, filled, and what was held follows", () => {
  const log = new LogAssembly();
  log.accept(message(0, "ab"));
  const { chunks, gap } = log.accept(message(6, "gh"));
  assert.equal(gap, true);
  assert.equal(text(chunks), "");
  assert.equal(text(log.accept(message(4, "ef")).chunks), "");
  assert.equal(text(log.fill("stdout", 2, bytes("cdef"))), "cdefgh");
  assert.equal(log.isMissing("stdout"), false);
  assert.equal(text(log.accept(message(8, "i")).chunks), "i");
});

test("more messages than are held are known to be missing", () => {
  const log = new LogAssembly();
  for (let i = 0; i <= maxHeldMessages; i += 1) log.accept(message(1 + i, "x"));
  assert.equal(text(log.fill("stdout", 0, bytes("a"))), `a${"x".repeat(maxHeldMessages)}`);
  assert.equal(log.isMissing("stdout"), true);
  assert.equal(text(log.fill("stdout", log.offsets.stdout, bytes("x"))), "x");
  assert.equal(log.isMissing("stdout"), false);
});

test("bytes nobody has are skipped and counted", () => {
  const log = new LogAssembly();
  log.accept(message(0, "ab"));
  log.accept(message(10, "kl"));
  const { skipped, chunks } = log.skipGap("stdout");
  assert.equal(skipped, 8);
  assert.equal(text(chunks), "kl");
  assert.equal(log.offsets.stdout, 12);
});

test("the end: at once, behind a gap, with and without a length", () => {
  const log = new LogAssembly();
  log.accept(message(0, "ab"));
  assert.equal(log.accept(message(2, "", { eof: true, length: 4, sha256: "s" })).gap, true);
  assert.equal(log.isComplete("stdout"), false);
  log.fill("stdout", 2, bytes("cd"));
  assert.equal(log.isComplete("stdout"), true);
  assert.deepEqual(log.end("stdout"), { length: 4, sha256: "s" });
  assert.equal(log.complete, false);
  log.accept(message(0, "", { stream: "stderr", eof: true }));
  assert.equal(log.complete, true);
});

test("a later try starts anew, an earlier one is ignored", () => {
  const log = new LogAssembly();
  log.accept(message(0, "first"));
  const { restarted, chunks } = log.accept(message(0, "second", { try: 2 }));
  assert.equal(restarted, true);
  assert.equal(text(chunks), "second");
  assert.equal(text(log.accept(message(5, "late", { try: 1 })).chunks), "");
  assert.deepEqual(log.offsets, { stdout: 6, stderr: 0 });
});

test("unknown streams, odd names and lacking fields change nothing", () => {
  const log = new LogAssembly();
  for (const stream of ["stdin", "__proto__", "constructor", null, undefined]) {
    assert.deepEqual(log.accept(message(0, "x", { stream })).chunks, []);
  }
  assert.equal(text(log.accept({ stream: "stdout", data: "x" }).chunks), "x");
  assert.equal(text(log.accept({ stream: "stdout", data: "y" }).chunks), "y");
});

test("next_offset says how many bytes lossy text stands for", () => {
  const log = new LogAssembly();
  assert.equal(text(log.accept(message(0, "a\ufffd", { next_offset: 2 })).chunks), "a\ufffd");
  assert.equal(log.offsets.stdout, 2);
});

test("shuffled, repeated, lost messages always give the same bytes (seeded)", () => {
  const seeds = [1, 2, 3, 77, 20260213];
  for (const first of seeds) {
    let seed = first;
    const next = (n) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed >>> 8) % n;
    };
    const whole = Array.from({ length: 400 }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");
    const parts = [];
    for (let at = 0; at < whole.length; ) {
      const size = 1 + next(20);
      if (next(10) > 0) parts.push(message(at, whole.slice(at, at + size)));
      if (next(4) === 0) parts.push(message(at, whole.slice(at, at + size)));
      at += size;
    }
    for (let i = parts.length - 1; i > 0; i -= 1) {
      const j = next(i + 1);
      [parts[i], parts[j]] = [parts[j], parts[i]];
    }
    parts.push(message(400, "", { eof: true, length: 400 }));
    const log = new LogAssembly();
    let out = "";
    for (const part of parts) {
      const { chunks, gap } = log.accept(part);
      out += text(chunks);
      if (gap && next(3) === 0) out += text(log.fill("stdout", log.offsets.stdout, bytes(whole.slice(log.offsets.stdout))));
    }
    if (log.isMissing("stdout")) {
      out += text(log.fill("stdout", log.offsets.stdout, bytes(whole.slice(log.offsets.stdout))));
    }
    assert.equal(out, whole, `seed ${first}`);
    assert.equal(log.isComplete("stdout"), true);
  }
});

test("overflow drops from the fuller stream, at the limit nothing", () => {
  assert.deepEqual(overflow({ stdout: 5, stderr: 5 }, 10), { stdout: 0, stderr: 0 });
  assert.deepEqual(overflow({ stdout: 10, stderr: 1 }, 10), { stdout: 1, stderr: 0 });
  assert.deepEqual(overflow({ stdout: 100_000, stderr: 3 }, 5000), { stdout: 95_003, stderr: 0 });
  const { stdout, stderr } = overflow({ stdout: 9000, stderr: 8000 }, 5000);
  assert.equal(stdout + stderr, 12_000);
  assert.equal(9000 - stdout, 2500);
});
