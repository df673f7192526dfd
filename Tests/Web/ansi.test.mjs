import assert from "node:assert/strict";
import test from "node:test";
import { parseLine, stripLine } from "../../web-static/js/ansi.js";

test("plain text is one piece", () => {
  assert.deepEqual(parseLine("loss 0.25\tok"), [{ text: "loss 0.25\tok", classes: "" }]);
  assert.deepEqual(parseLine(""), []);
});

test("colours become class names of a fixed set", () => {
  assert.deepEqual(parseLine("a\x1b[1;31mb\x1b[0mc\x1b[92md\x1b[39me"), [
    { text: "a", classes: "" }, { text: "b", classes: "ansi-bold ansi-red" }, { text: "c", classes: "" },
    { text: "d", classes: "ansi-green" }, { text: "e", classes: "" },
  ]);
  assert.deepEqual(parseLine("\x1b[38;5;31mx\x1b[38;2;1;4;31my\x1b[4mz"), [
    { text: "xy", classes: "" }, { text: "z", classes: "ansi-underline" },
  ]);
});

test("markup stays text", () => {
  const text = "<img src=x onerror=alert(1)>&lt;";
  assert.deepEqual(parseLine(text), [{ text, classes: "" }]);
  assert.equal(parseLine('\x1b[31"><script>m')[0].classes, "");
});

test("other escapes and control characters go", () => {
  const cases = [
    ["\x1b[2J\x1b[1;1Hx", "x"], ["\x1b]0;title\x07x", "x"], ["\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"],
    ["\x1b(Bx", "x"], ["x\x1b", "x"], ["x\x1b[31", "x31"], ["\x1b]never ends", ""], ["a\x00\x08\x7fb", "ab"],
    ["a\x9b31mb", "a31mb"], ["\x1b[>4;1mx", "x"],
  ];
  for (const [line, text] of cases) assert.equal(stripLine(line), text, JSON.stringify(line));
});

test("a carriage return shows the last version, as a terminal does", () => {
  assert.equal(stripLine("10 %\r20 %\r30 %"), "30 %");
  assert.equal(stripLine("windows\r"), "windows");
  assert.equal(stripLine("\r\r"), "");
});

test("hostile input stays linear: 1 MB of escape starts", () => {
  for (const unit of ["\x1b[", "\x1b[1;", "\x1b]", "\x1b("]) {
    assert.ok(stripLine(unit.repeat(250_000)).length <= 1_000_000);
  }
});

test("no control character but tab ever comes out (seeded)", () => {
  let seed = 20260213;
  const next = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  const alphabet = ["\x1b", "[", "]", "m", "3", "1", ";", "\x07", "\r", "\x9b", "\x00", "a", "é", "\\", " ", "P"];
  for (let round = 0; round < 5000; round += 1) {
    const line = Array.from({ length: next(24) }, () => alphabet[next(alphabet.length)]).join("");
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(stripLine(line), /[\x00-\x08\x0a-\x1f\x7f-\x9f]/, `seed 20260213, round ${round}`);
  }
});
