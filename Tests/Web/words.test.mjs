import assert from "node:assert/strict";
import test from "node:test";
import { artifactPath, jobPath, problemText } from "../../web-static/js/api.js";
import { parseChecksum, safeName } from "../../web-static/js/download.js";
import { figures } from "../../web-static/js/market.js";
import { keyProblem } from "../../web-static/js/session.js";

test("errors in words", () => {
  assert.equal(problemText(409, { detail: "the job has ended" }), "the job has ended");
  assert.equal(problemText(422, { detail: "bad", errors: [{ pointer: "/limit", detail: "1 to 500" }] }), "bad (/limit: 1 to 500)");
  assert.equal(problemText(400, { title: "Bad Request" }), "Bad Request");
  assert.match(problemText(401, null), /key/);
  assert.match(problemText(418, "x"), /418/);
});

test("paths are escaped piece by piece", () => {
  assert.equal(jobPath("job_1", "cancel"), "jobs/job_1/cancel");
  assert.equal(jobPath("../a?b#c"), "jobs/..%2Fa%3Fb%23c");
  assert.equal(artifactPath("job_1", "a b/ü#.svg"), "jobs/job_1/artifacts/a%20b/%C3%BC%23.svg");
});

test("checksum lines", () => {
  const hex = "Ab".repeat(32);
  assert.equal(parseChecksum(`${hex}  output.zip\n`), hex.toLowerCase());
  assert.equal(parseChecksum(hex), hex.toLowerCase());
  for (const bad of ["", `${hex}0  x`, hex.slice(1), "zz".repeat(32)]) assert.equal(parseChecksum(bad), null);
});

test("file names are safe to save under", () => {
  assert.equal(safeName("a/b/learning_curve.svg"), "learning_curve.svg");
  assert.equal(safeName("..\\..\\x.exe"), "x.exe");
  assert.equal(safeName(".bashrc"), "bashrc");
  assert.equal(safeName("a\u0000\nb"), "ab");
  for (const name of ["", "..", "a/"]) assert.equal(safeName(name), "download");
});

test("market figures: whole numbers, the known ones first, eight at most", () => {
  const found = figures({ type: "market", at: 5, zebra_count: 4, miners_online: 1, pending: 0, price: "0.1", x: 1.5 });
  assert.deepEqual(found, [["pending", "jobs waiting", 0], ["miners_online", "miners online", 1], ["zebra_count", "zebra count", 4]]);
  assert.equal(figures(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, i]))).length, 8);
  assert.deepEqual(figures(null), []);
});

test("keys that cannot be header values are refused before anything is sent", () => {
  assert.equal(keyProblem("ak_abc"), null);
  assert.equal(keyProblem("x".repeat(256)), null);
  for (const bad of ["", "a b", "ak_ü", "a\nb", "x".repeat(257)]) assert.notEqual(keyProblem(bad), null);
});
