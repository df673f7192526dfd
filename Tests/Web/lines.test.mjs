import assert from "node:assert/strict";
import test from "node:test";
import { LineSplitter, maxLineLength } from "../../web-static/js/lines.js";

const bytes = (text) => new TextEncoder().encode(text);

function split(chunks) {
  const splitter = new LineSplitter();
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.finish()];
}

test("any cut of the bytes gives the same lines", () => {
  const whole = bytes("eins\nzwei ü\n\n🙂 drei\r\nlast");
  const expected = ["eins", "zwei ü", "", "🙂 drei\r", "last"];
  assert.deepEqual(split([whole]), expected);
  assert.deepEqual(split([...whole].map((byte) => Uint8Array.of(byte))), expected);
  for (let at = 0; at <= whole.length; at += 1) {
    assert.deepEqual(split([whole.subarray(0, at), whole.subarray(at)]), expected, `cut at ${at}`);
  }
});

test("the growing line is visible and ends only once", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(splitter.push(bytes("ab")), []);
  assert.equal(splitter.partial, "ab");
  assert.deepEqual(splitter.push(bytes("c\nd")), ["abc"]);
  assert.equal(splitter.partial, "d");
  assert.deepEqual(splitter.finish(), ["d"]);
  assert.deepEqual(splitter.finish(), []);
});

test("a line at the limit stays whole; one past it is broken", () => {
  assert.deepEqual(split([bytes(`${"x".repeat(maxLineLength)}\n`)]).map((line) => line.length), [maxLineLength]);
  assert.deepEqual(split([bytes(`${"x".repeat(maxLineLength + 1)}\n`)]).map((line) => line.length), [maxLineLength, 1]);
});

test("an endless line keeps memory bounded and loses nothing", () => {
  const splitter = new LineSplitter();
  let length = 0;
  for (let i = 0; i < 50; i += 1) {
    length += splitter.push(bytes("y".repeat(5000))).join("").length;
    assert.ok(splitter.partial.length <= maxLineLength);
  }
  assert.equal(length + splitter.partial.length, 250_000);
});

test("surrogate pairs are not broken; bad UTF-8 becomes the replacement character", () => {
  const text = `${"x".repeat(maxLineLength - 1)}🙂end`;
  assert.equal(split([bytes(text)]).join(""), text);
  assert.ok(split([bytes(text)]).every((line) => line.isWellFormed()));
  assert.deepEqual(split([Uint8Array.of(0x61, 0xff, 0x0a, 0xe2, 0x82)]), ["a\ufffd", "\ufffd"]);
});
