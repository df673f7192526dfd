// Values to words. Pure; every input may be null.

const activeStates = new Set(["pending", "assigned", "running", "canceling"]);
const finalStates = new Set(["completed", "failed", "canceled", "expired", "lost", "skipped"]);

export const statuses = [...activeStates, "completed", "failed", "canceled", "expired", "lost"];

export const isFinal = (status) => finalStates.has(status);
export const canCancel = (status) => status === "pending" || status === "assigned" || status === "running";

const meanings = {
  pending: "waiting for a miner",
  assigned: "given to a miner, starting",
  running: "running",
  canceling: "being stopped",
  completed: "finished",
  failed: "ended with an error",
  canceled: "stopped on request",
  expired: "waited too long in the queue",
  lost: "every try was lost with its miner",
};

/// What a status word means, for titles and screen readers. An unknown word stands for itself.
export const statusMeaning = (status) => meanings[status] ?? String(status ?? "unknown");

/// A job's name, or its first command words, or its runner, or its id.
export function jobTitle(job) {
  if (job.name) return String(job.name);
  if (Array.isArray(job.command) && job.command.length > 0) return job.command.join(" ");
  return String(job.payload?.type ?? job.type ?? job.job_id ?? "job");
}

/// Milliseconds of an RFC 3339 time, or null when absent or unreadable.
export function parseTime(text) {
  if (typeof text !== "string") return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/// `850 ms`, `4.2 s`, `3 min 05 s`, `2 h 07 min`, `3 d 4 h`; `–` for nothing. Negative counts as zero: clocks differ.
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms < 0) return "0 s";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const pad = (n) => String(n).padStart(2, "0");
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/// `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; `in …` for the future.
export function relativeTime(text, nowMs) {
  const at = parseTime(text);
  if (at === null) return "–";
  const seconds = Math.round((nowMs - at) / 1000);
  const size = Math.abs(seconds);
  if (size < 3) return "just now";
  const [n, unit] =
    size < 60 ? [size, "s"]
    : size < 3600 ? [Math.floor(size / 60), "min"]
    : size < 86_400 ? [Math.floor(size / 3600), "h"]
    : [Math.floor(size / 86_400), "d"];
  return seconds >= 0 ? `${n} ${unit} ago` : `in ${n} ${unit}`;
}

/// How long a job ran, or has been running; null before it started.
export function runTime(job, nowMs) {
  const started = parseTime(job.started_at);
  if (started === null) return null;
  const ended = parseTime(job.completed_at) ?? (isFinal(job.status) ? null : nowMs);
  return ended === null ? null : Math.max(0, ended - started);
}

/// What remains until `estimated_completion`, as `about 40 s left`; empty when unknown, past or no longer of use.
export function remaining(job, nowMs) {
  if (job.status !== "running") return "";
  const end = parseTime(job.estimated_completion);
  if (end === null || end <= nowMs) return "";
  const seconds = Math.ceil((end - nowMs) / 1000);
  return seconds < 60 ? `about ${seconds} s left` : `about ${duration(seconds * 1000)} left`;
}

/// `0 B`, `999 B`, `1.0 KiB`, `3.4 MiB`: binary steps, one decimal.
export function bytes(n) {
  if (!Number.isFinite(n) || n < 0) return "–";
  if (n < 1024) return `${n} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = n / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/// Progress as an integer from 0 to 100, or null when the job has told none.
export function progressPercent(job) {
  if (job.status === "completed") return 100;
  if (typeof job.progress !== "number" || !Number.isFinite(job.progress)) return null;
  return Math.min(100, Math.max(0, Math.trunc(job.progress)));
}

/// Until when the results of a finished job are here, or since when they are not; null while there are none.
export function resultsUntil(job, nowMs) {
  if (!isFinal(job.status)) return null;
  if (job.results_available === false) return job.results_purged_at ? `removed ${dated(job.results_purged_at, nowMs)}` : "removed";
  return job.result_expires_at ? dated(job.result_expires_at, nowMs) : null;
}

const dated = (text, nowMs) => `${relativeTime(text, nowMs)} (${text})`;

/// Cost as the API gives it: a decimal string, or an object that holds one. Never turned into a float.
export function cost(value) {
  if (typeof value === "string") return value;
  if (value && typeof value === "object") {
    const amount = value.amount ?? value.charged ?? value.total ?? null;
    if (typeof amount === "string") return value.currency ? `${amount} ${value.currency}` : amount;
  }
  return "–";
}

/// Why a job waits or how it ended wrong, in one sentence; empty when there is nothing to say.
export function reason(job) {
  if (job.status === "pending" && job.pending_reason) {
    const { message, code } = job.pending_reason;
    return String(message ?? code ?? "");
  }
  const text = errorText(job);
  // The error of a job that has not ended is what its last try before came to.
  if (text === "" || !activeStates.has(job.status) || !Number.isInteger(job.try)) return text;
  return `earlier try ${job.status === "pending" ? job.try : job.try - 1}: ${text}`;
}

function errorText(job) {
  if (job.error_detail) {
    const { code, message } = job.error_detail;
    if (code && message) return `${code}: ${message}`;
    return String(message ?? code ?? "");
  }
  return typeof job.error === "string" ? job.error : "";
}

/// A result for display: text as it is, anything else as indented JSON, cut at `limit` characters.
export function resultText(value, limit = 20_000) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return text.length <= limit ? text : `${text.slice(0, limit)}\n… (cut here; the download holds all of it)`;
}

/// The place in the queue; `1001+` where the coordinator stopped counting.
export function queuePosition(job) {
  if (!Number.isInteger(job.queue_position)) return null;
  return `${job.queue_position}${job.queue_position_is_minimum === true ? "+" : ""}`;
}

/// What the miner that comes nearest lacks, of a `pending_reason`.
export function nearestLacks(waiting) {
  const missing = waiting?.nearest?.missing;
  return Array.isArray(missing) && missing.length > 0 ? missing.map(String).join(", ") : null;
}
