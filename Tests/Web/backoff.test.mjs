import assert from "node:assert/strict";
import test from "node:test";
import { baseDelayMs, maxDelayMs, reconnectDelay, restartDelay, shouldReconnect } from "../../web-static/js/backoff.js";

test("the wait doubles up to the cap and covers the whole range", () => {
  const top = (attempt) => reconnectDelay(attempt, () => 1 - 2 ** -53);
  assert.equal(top(0), baseDelayMs - 1);
  assert.equal(top(1), 2 * baseDelayMs - 1);
  assert.equal(top(5), 32 * baseDelayMs - 1);
  assert.equal(top(6), maxDelayMs - 1);
  assert.equal(top(100_000), maxDelayMs - 1);
  for (const attempt of [0, 1, 9]) assert.equal(reconnectDelay(attempt, () => 0), 0);
});

test("a nonsense attempt counts as the first", () => {
  for (const attempt of [-1, NaN, undefined]) assert.equal(reconnectDelay(attempt, () => 0.5), baseDelayMs / 2);
});

test("a restart's hint is waited for, and nothing else is taken for one", () => {
  assert.equal(restartDelay(1012, "reconnect_after_ms=0"), 0);
  assert.equal(restartDelay(1012, "reconnect_after_ms=7350"), 7350);
  assert.equal(restartDelay(1012, "reconnect_after_ms=999999999"), 60_000);
  for (const reason of ["", "reconnect_after_ms=", "reconnect_after_ms=-1", "reconnect_after_ms=1e9", "xreconnect_after_ms=1"]) {
    assert.equal(restartDelay(1012, reason), null, reason);
  }
  assert.equal(restartDelay(1001, "reconnect_after_ms=5"), null);
});

test("close codes: the ranges' edges and the passing ones", () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000, 3499, 4000, 4008, 4499]) {
    assert.equal(shouldReconnect(code), true, String(code));
  }
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 2999, 3500, 3999, 4500, 4999]) {
    assert.equal(shouldReconnect(code), false, String(code));
  }
});
