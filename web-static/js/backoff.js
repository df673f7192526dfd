// When to reconnect, and how long to wait first.

export const baseDelayMs = 500;
export const maxDelayMs = 30_000;

/// Full jitter: a uniformly random wait in [0, min(cap, base · 2^attempt)), so that clients cut off together
/// do not come back together. `attempt` counts failures since the last connection that worked, from 0.
export function reconnectDelay(attempt, random = Math.random, base = baseDelayMs, cap = maxDelayMs) {
  const exponent = Math.min(Math.max(Math.trunc(attempt) || 0, 0), 30);
  return Math.floor(random() * Math.min(cap, base * 2 ** exponent));
}

/// The wait that a coordinator asks for when it restarts (1012, `reconnect_after_ms=N`), at most a minute; null: none.
/// Each client is given another one, so that they do not come back together.
export function restartDelay(code, reason) {
  const match = code === 1012 && /^reconnect_after_ms=(\d{1,15})$/.exec(reason);
  return match ? Math.min(Number(match[1]), 60_000) : null;
}

// Standard codes that say "the connection or the server went away", not "you did something wrong".
// 1005 and 1006 are made up by the browser when no close frame, or one without a code, arrived.
const passing = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014]);

/// Whether a close code lets the client come back: the two ranges set aside for this, and the passing standard codes.
export function shouldReconnect(code) {
  return (code >= 3000 && code <= 3499) || (code >= 4000 && code <= 4499) || passing.has(code);
}
