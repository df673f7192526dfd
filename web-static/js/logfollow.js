// Follows the log of one job: subscribes on the feed, fills gaps over REST, reads finished jobs over REST only.

import { LogAssembly } from "./logs.js";

const streams = ["stdout", "stderr"];
/// Fruitless attempts to fill one gap before it is marked as lost.
const maxFruitless = 3;

export class LogFollower {
  #id;
  #api;
  #send;
  #view;
  #assembly = new LogAssembly();
  #abort = new AbortController();
  #filling = new Set();
  #fruitless = { stdout: 0, stderr: 0 };
  #finished = new Set();

  /// `send` puts a message on the feed; `view` is a `LogView`.
  constructor(id, { api, send, view }) {
    this.#id = id;
    this.#api = api;
    this.#send = send;
    this.#view = view;
  }

  /// Asks the feed for the log from where this page is. Called at first and on every new connection.
  subscribe() {
    if (!this.#abort.signal.aborted && !this.#assembly.complete) this.#send(this.subscription);
  }

  get subscription() {
    return { type: "subscribe", job_id: this.#id, logs: true, log_offsets: this.#assembly.offsets };
  }

  stop() {
    this.#abort.abort();
    this.#send({ type: "unsubscribe", job_id: this.#id });
  }

  accept(message) {
    if (message.job_id !== this.#id || this.#abort.signal.aborted) return;
    const { stream, restarted, chunks, gap } = this.#assembly.accept(message);
    if (restarted) {
      this.#view.clear();
      this.#finished.clear();
      this.#view.mark(`— try ${this.#assembly.try} —`);
    }
    this.#show(stream, chunks);
    if (gap) this.#fill(stream);
  }

  /// Reads what is there over REST to the end: the whole log of a finished job, or what the feed has not brought.
  async readAll(number) {
    this.#assembly.begin(number);
    for (const stream of streams) {
      if (this.#assembly.isComplete(stream)) continue;
      await this.#fetch(stream);
      this.#finish(stream);
    }
  }

  #show(stream, chunks) {
    for (const bytes of chunks) this.#view.append(stream, bytes);
    if (stream !== undefined && this.#assembly.isComplete(stream)) this.#finish(stream);
  }

  #finish(stream) {
    if (this.#finished.has(stream)) return;
    this.#finished.add(stream);
    this.#view.finish(stream);
  }

  async #fill(stream) {
    if (this.#filling.has(stream)) return;
    this.#filling.add(stream);
    try {
      while (this.#assembly.isMissing(stream) && !this.#abort.signal.aborted) {
        const got = await this.#fetch(stream);
        this.#fruitless[stream] = got > 0 ? 0 : this.#fruitless[stream] + 1;
        if (this.#fruitless[stream] >= maxFruitless) this.#skip(stream);
        else if (got === 0) await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** this.#fruitless[stream]));
      }
    } catch (error) {
      // The next message of this stream, or the next connection, asks again.
      if (error.name !== "AbortError") console.warn(`log of ${this.#id}: ${error.message}`);
    } finally {
      this.#filling.delete(stream);
    }
  }

  #skip(stream) {
    const { skipped, chunks } = this.#assembly.skipGap(stream);
    this.#fruitless[stream] = 0;
    if (skipped > 0) this.#view.mark(`— ${skipped} bytes of ${stream} are missing —`);
    this.#show(stream, chunks);
  }

  // Returns the number of bytes that were new. Reads piece by piece: the log may be larger than memory.
  async #fetch(stream) {
    const attempt = this.#assembly.try;
    let offset = this.#assembly.offsets[stream];
    const from = offset;
    const response = await this.#api.logs(this.#id, stream, offset, attempt, this.#abort.signal);
    const reader = response.body?.getReader();
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (done || this.#assembly.try !== attempt) break;
      this.#show(stream, this.#assembly.fill(stream, offset, value));
      offset += value.length;
    }
    await reader?.cancel().catch(() => {});
    return offset - from;
  }
}
