// The feed's connection: auth, resume, liveness, reconnect. What the messages mean is `feed.js`'s matter.

import { reconnectDelay, restartDelay, shouldReconnect } from "./backoff.js";

const pingEveryMs = 25_000;
const silenceLimitMs = 45_000;

/// `handlers`: `onMessage(object)`, `onState(state, detail)` with state `connecting | open | waiting | closed`, and
/// `greeting()` → the messages to send first on every new connection.
export class FeedSocket {
  #url;
  #handlers;
  #socket = null;
  #attempt = 0;
  #retry = null;
  #watch = null;
  #heardAt = 0;

  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
  }

  open() {
    this.close();
    this.#connect();
  }

  /// Leaves for good; `open` begins again.
  close() {
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt = 0;
    socket?.close(1000);
  }

  /// Sends when connected; otherwise says no, and the greeting of the next connection has to say it.
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /// Skips the rest of a back-off, for a browser that came back on line.
  retryNow() {
    if (this.#socket !== null || this.#retry === null) return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  #connect() {
    this.#retry = null;
    this.#handlers.onState("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#heardAt = performance.now();
      for (const message of this.#handlers.greeting()) this.send(message);
      this.#handlers.onState("open");
      this.#watch = setInterval(() => this.#checkAlive(socket), pingEveryMs);
    };
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code, event.reason);
    };
  }

  #receive(data) {
    this.#heardAt = performance.now();
    if (typeof data !== "string") return;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    // Only a connection that brings something counts as working: an accept-and-drop loop keeps backing off.
    this.#attempt = 0;
    this.#handlers.onMessage(message);
  }

  // A half-open connection is noticed here: browsers do not show protocol pings.
  #checkAlive(socket) {
    if (performance.now() - this.#heardAt > silenceLimitMs) {
      this.#lost(1006, "");
      socket.close();
    } else {
      this.send({ type: "ping" });
    }
  }

  #lost(code, reason) {
    clearInterval(this.#watch);
    this.#socket = null;
    if (!shouldReconnect(code)) {
      this.#handlers.onState("closed", { code, reason });
      return;
    }
    const delay = restartDelay(code, reason) ?? reconnectDelay(this.#attempt);
    this.#attempt += 1;
    this.#handlers.onState("waiting", { code, reason, delay });
    this.#retry = setTimeout(() => this.#connect(), delay);
  }
}
