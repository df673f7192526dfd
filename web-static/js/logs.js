// Puts the log of one job together from messages that may repeat, overlap or leave gaps. Pure: no network, no page.

/// Messages kept while a gap is being filled; what does not fit is fetched again.
export const maxHeldMessages = 256;
export const maxHeldBytes = 1 << 20;

const encoder = new TextEncoder();

/// The bytes of a log message: `data` is text, or base64 when `encoding` says so.
export function messageBytes(message) {
  const data = typeof message.data === "string" ? message.data : "";
  if (message.encoding !== "base64") return encoder.encode(data);
  const binary = atob(data);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/// One stream of one try. `next` is the offset of the first byte not seen yet.
class Stream {
  next = 0;
  end = null; // {length, sha256} of the last message
  knownEnd = 0; // the highest offset any message told of
  held = [];
  heldBytes = 0;

  get missing() {
    return this.next < this.knownEnd;
  }
  get complete() {
    return this.end !== null && this.next >= this.end.length;
  }

  // What of [offset, offset + bytes) is new, or null when it begins past `next`.
  take(offset, bytes, end = offset + bytes.length) {
    this.knownEnd = Math.max(this.knownEnd, end);
    if (offset > this.next) return null;
    if (end <= this.next) return new Uint8Array(0);
    const fresh = bytes.subarray(Math.min(bytes.length, this.next - offset));
    this.next = end;
    return fresh;
  }

  hold(offset, bytes, end) {
    if (this.held.length >= maxHeldMessages || this.heldBytes + bytes.length > maxHeldBytes) return;
    this.held.push({ offset, bytes, end });
    this.heldBytes += bytes.length;
  }

  // Everything held that now continues the stream.
  release() {
    const out = [];
    const held = this.held.sort((a, b) => a.offset - b.offset);
    this.held = [];
    this.heldBytes = 0;
    for (const { offset, bytes, end } of held) {
      const fresh = this.take(offset, bytes, end);
      if (fresh === null) this.hold(offset, bytes, end);
      else if (fresh.length > 0) out.push(fresh);
    }
    return out;
  }
}

export class LogAssembly {
  try = null;
  #streams = { stdout: new Stream(), stderr: new Stream() };

  /// Offsets to subscribe or fetch from.
  get offsets() {
    return { stdout: this.#streams.stdout.next, stderr: this.#streams.stderr.next };
  }
  get complete() {
    return this.#streams.stdout.complete && this.#streams.stderr.complete;
  }
  isComplete(stream) {
    return this.#streams[stream]?.complete ?? false;
  }
  end(stream) {
    return this.#streams[stream]?.end ?? null;
  }

  /// Takes one `log` message. Returns `{restarted, chunks, gap}`: whether another try began, the new bytes in order,
  /// and whether bytes are missing before what arrived (fetch from `offsets[stream]` and give them to `fill`).
  accept(message) {
    const { stream } = message;
    const none = { stream, restarted: false, chunks: [], gap: false };
    if (!Object.hasOwn(this.#streams, stream ?? "")) return none;
    const number = message.try ?? this.try;
    if (this.try !== null && number !== null && number < this.try) return none;
    const restarted = this.begin(number);
    const state = this.#streams[stream];
    const offset = Number.isSafeInteger(message.offset) ? message.offset : state.next;
    const bytes = messageBytes(message);
    const end = Number.isSafeInteger(message.next_offset) ? message.next_offset : offset + bytes.length;
    const chunks = [];
    if (bytes.length > 0 || end > offset) {
      const fresh = state.take(offset, bytes, end);
      if (fresh === null) state.hold(offset, bytes, end);
      else if (fresh.length > 0) chunks.push(fresh);
      chunks.push(...state.release());
    }
    if (message.eof) {
      const length = Number.isSafeInteger(message.length) ? message.length : state.knownEnd;
      state.end = { length, sha256: message.sha256 ?? null };
      state.knownEnd = Math.max(state.knownEnd, length);
    }
    return { stream, restarted, chunks, gap: state.missing };
  }

  /// Turns to try `number`; true when that drops an earlier try's offsets.
  begin(number) {
    if (number === null || number === undefined || number === this.try) return false;
    const restarted = this.try !== null;
    this.try = number;
    if (restarted) this.#streams = { stdout: new Stream(), stderr: new Stream() };
    return restarted;
  }

  /// Takes bytes fetched from `offset` on, then whatever they set free. Returns the new bytes in order.
  fill(stream, offset, bytes) {
    const state = this.#streams[stream];
    const fresh = state.take(offset, bytes);
    const chunks = fresh !== null && fresh.length > 0 ? [fresh] : [];
    return [...chunks, ...state.release()];
  }

  isMissing(stream) {
    return this.#streams[stream].missing;
  }

  /// Gives up on bytes nobody has: continues at the first byte held, or at the known end.
  /// Returns `{skipped, chunks}`; `skipped` is the number of bytes that will never be shown.
  skipGap(stream) {
    const state = this.#streams[stream];
    const offsets = state.held.map((message) => message.offset);
    const target = Math.min(state.knownEnd, ...offsets);
    const skipped = Math.max(0, target - state.next);
    state.next = Math.max(state.next, target);
    return { skipped, chunks: state.release() };
  }
}

/// Which streams' oldest lines go when there are more than `limit`: always from the one that has most, so that a
/// flood on one never pushes out the few lines of the other. Returns how many to drop of each.
export function overflow(counts, limit) {
  const left = { ...counts };
  const drop = Object.fromEntries(Object.keys(counts).map((name) => [name, 0]));
  let extra = Object.values(left).reduce((sum, n) => sum + n, 0) - limit;
  while (extra > 0) {
    const [first, second] = Object.keys(left).sort((a, b) => left[b] - left[a]);
    const ahead = second === undefined ? extra : Math.max(1, left[first] - left[second]);
    const step = Math.min(extra, ahead, left[first]);
    left[first] -= step;
    drop[first] += step;
    extra -= step;
  }
  return drop;
}
