// What the feed's messages do to what the page knows. Pure: (state, message) → effects; the caller does the effects.

import { isFinal } from "./format.js";

/// Jobs kept; beyond it the oldest finished ones are forgotten and can be loaded again.
export const maxJobs = 5000;

export function emptyFeed() {
  return { epoch: null, seq: null, tick: 0, jobs: new Map(), touched: new Map(), market: null };
}

// The fields a live message may set. Everything else about a job comes from REST.
const liveFields = [
  "status", "state", "progress", "attempt_no", "try", "miner_id", "estimated_completion", "error", "error_detail",
  "pending_reason", "started_at", "completed_at", "created_at", "name", "results_available", "cost", "cancel", "result",
  "labels", "command",
];

function liveUpdate(message) {
  const update = {};
  for (const field of liveFields) if (message[field] !== undefined) update[field] = message[field];
  const text = message.progress_message ?? (message.type === "progress" ? message.message : undefined);
  if (text !== undefined) update.progress_message = text;
  return update;
}

// Progress never falls within a try, and a finished job never moves.
function mergeLive(job, update) {
  if (isFinal(job.status) && update.status !== job.status) return job;
  const sameTry = update.try === undefined || update.try === job.try;
  const next = { ...job, ...update };
  if (sameTry && job.status === "running" && next.status === "running" && typeof job.progress === "number") {
    next.progress = Math.max(job.progress, next.progress ?? 0);
  }
  if (!sameTry && update.progress_message === undefined) next.progress_message = null;
  return next;
}

function touch(state, id) {
  state.tick += 1;
  state.touched.set(id, state.tick);
}

function prune(state) {
  if (state.jobs.size <= maxJobs) return;
  const finished = [...state.jobs.values()].filter((job) => isFinal(job.status)).sort(newestFirst);
  while (state.jobs.size > maxJobs && finished.length > 0) {
    const { job_id: id } = finished.pop();
    state.jobs.delete(id);
    state.touched.delete(id);
  }
}

// Durable messages are numbered. One already counted is a repetition; another epoch is another history.
function acceptSequence(state, message) {
  if (message.epoch !== undefined && message.epoch !== null) {
    if (state.epoch !== null && state.epoch !== message.epoch) return "reset";
    state.epoch = message.epoch;
  }
  if (typeof message.seq !== "number") return "new";
  if (state.seq !== null && message.seq <= state.seq) return "old";
  state.seq = message.seq;
  return "new";
}

function onSnapshot(state, message) {
  const again = state.seq !== null;
  state.epoch = message.epoch ?? state.epoch;
  if (typeof message.seq === "number") state.seq = message.seq;
  const jobs = Array.isArray(message.jobs) ? message.jobs : message.job ? [message.job] : [];
  for (const job of jobs) {
    if (!job?.job_id) continue;
    state.jobs.set(job.job_id, { ...state.jobs.get(job.job_id), ...job });
    touch(state, job.job_id);
  }
  // After a pause a snapshot says nothing about jobs that came and went meanwhile.
  return again ? [{ type: "refetch" }] : [];
}

function onDurable(state, message) {
  const verdict = acceptSequence(state, message);
  if (verdict === "reset") return onReset(state, message);
  const id = message.job_id;
  if (verdict === "old" || typeof id !== "string") return [];
  const known = state.jobs.get(id);
  state.jobs.set(id, known ? mergeLive(known, liveUpdate(message)) : { job_id: id, ...liveUpdate(message) });
  touch(state, id);
  prune(state);
  // An unknown job's name and times, and a finished job's result and cost, are fetched.
  const fetch = !known || message.type === "end" ? [{ type: "fetch-job", id }] : [];
  return message.type === "end" ? [...fetch, { type: "ended", id }] : fetch;
}

function onProgress(state, message) {
  const known = state.jobs.get(message.job_id);
  if (!known || isFinal(known.status)) return [];
  if (message.try !== undefined && typeof known.try === "number" && message.try < known.try) return [];
  const { status, state: word, ...update } = liveUpdate(message);
  state.jobs.set(message.job_id, mergeLive(known, update));
  touch(state, message.job_id);
  return [];
}

function onReset(state, message) {
  state.epoch = message.epoch ?? null;
  state.seq = typeof message.seq === "number" ? message.seq : null;
  return [{ type: "refetch" }];
}

/// Applies one message. Returns effects: `{type: "refetch"}` (load the list again), `{type: "fetch-job", id}`,
/// `{type: "ended", id}`, `{type: "log", message}`, `{type: "error", message}`.
export function applyMessage(state, message) {
  switch (message?.type) {
    case "snapshot": return onSnapshot(state, message);
    case "status":
    case "end": return onDurable(state, message);
    case "progress": return onProgress(state, message);
    case "reset": return onReset(state, message);
    case "market": state.market = message; return [];
    case "log": return [{ type: "log", message }];
    case "error": return [{ type: "error", message }];
    default: return []; // pong, and what later versions add
  }
}

/// Takes jobs read over REST by a request begun at `tick`. A job that the feed has touched since keeps what the feed
/// said; the answer may be older than that.
export function applyFetched(state, jobs, tick) {
  for (const job of jobs) {
    if (!job?.job_id) continue;
    const known = state.jobs.get(job.job_id);
    const newer = known && (state.touched.get(job.job_id) ?? 0) > tick && !isFinal(job.status);
    const stale = known && isFinal(known.status) && !isFinal(job.status);
    if (!known) state.jobs.set(job.job_id, job);
    else if (newer || stale) state.jobs.set(job.job_id, { ...job, ...definedOf(known) });
    else state.jobs.set(job.job_id, { ...known, ...job });
  }
  prune(state);
}

const definedOf = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== null));

/// What to send after `auth` on a new connection: nothing the first time.
export function resumeMessage(state) {
  return state.epoch === null || state.seq === null
    ? null
    : { type: "resume", epoch: state.epoch, after: state.seq };
}

/// Ids sort by time, also before a new job's `created_at` is known.
export function newestFirst(a, b) {
  return a.job_id < b.job_id ? 1 : a.job_id > b.job_id ? -1 : 0;
}

/// The jobs to show, newest first: those of `status` (or all) whose name, id, miner, command or labels hold `text`,
/// and those in `matches`, which the server found for the same text.
export function visibleJobs(state, { status = "", text = "", matches = null } = {}) {
  const needle = text.trim().toLowerCase();
  const found = [];
  for (const job of state.jobs.values()) {
    if (status !== "" && job.status !== status) continue;
    if (needle !== "" && !matches?.has(job.job_id) && !haystack(job).includes(needle)) continue;
    found.push(job);
  }
  return found.sort(newestFirst);
}

function haystack(job) {
  const labels = Object.entries(job.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const command = Array.isArray(job.command) ? job.command : [];
  return [job.name, job.job_id, job.miner_id, ...command, ...labels].filter(Boolean).join("\n").toLowerCase();
}
