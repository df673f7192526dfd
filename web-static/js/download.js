// Downloads with the key in a header, so that it never stands in a link.

import { ApiError, artifactPath, jobPath } from "./api.js";

/// Larger archives are not hashed in the page: the browser's digest wants all bytes at once.
const hashLimit = 512 * 1024 * 1024;

/// The 64 hex digits of a `sha256sum` line, or null.
export function parseChecksum(text) {
  const match = /^([0-9a-fA-F]{64})(?:\s|$)/.exec(String(text).trim());
  return match ? match[1].toLowerCase() : null;
}

/// A file name safe to save under: the last path part without control characters.
export function safeName(path) {
  // eslint-disable-next-line no-control-regex
  const name = String(path).split(/[/\\]/).pop().replace(/[\x00-\x1f\x7f]/g, "").replace(/^\.+/, "");
  return name === "" ? "download" : name;
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = safeName(name);
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has taken the blob by then; keeping the URL would keep the bytes.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function sha256(blob) {
  if (!globalThis.crypto?.subtle || blob.size > hashLimit) return null;
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/// Saves the result package. Returns `{size, expected, actual}`; throws when the digests differ.
export async function downloadPackage(api, id) {
  const checksum = await (await api.request(jobPath(id, "checksum"), { accept: "*/*" })).text();
  const expected = parseChecksum(checksum);
  const blob = await (await api.request(jobPath(id, "download"), { accept: "application/zip, */*" })).blob();
  const actual = await sha256(blob);
  if (expected !== null && actual !== null && expected !== actual) {
    throw new ApiError(0, "INTEGRITY", `The download is damaged: its SHA-256 is ${actual}, not ${expected}.`);
  }
  save(blob, `${id}.zip`);
  return { size: blob.size, expected, actual };
}

export async function downloadArtifact(api, id, path) {
  save(await (await api.request(artifactPath(id, path), { accept: "*/*" })).blob(), path);
}
