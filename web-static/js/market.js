// The public figures, shown to everyone.

import { h, setText } from "./dom.js";

const known = {
  pending: "jobs waiting",
  running: "jobs running",
  miners_online: "miners online",
  miners_busy: "miners busy",
  completed: "jobs completed",
  completed_24h: "completed in 24 h",
};

/// `[name, words, value]` of the whole-number figures in a market message, the known ones first.
export function figures(message) {
  const words = (name) => known[name] ?? name.replaceAll("_", " ");
  const order = Object.keys(known);
  const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(message ?? {})
    .filter(([name, value]) => Number.isSafeInteger(value) && !["seq", "epoch", "at", "at_unix"].includes(name))
    .sort(([a], [b]) => rank(a) - rank(b))
    .slice(0, 8)
    .map(([name, value]) => [name, words(name), value]);
}

export class Market {
  #list;
  #cells = new Map();

  constructor(list) {
    this.#list = list;
  }

  render(message) {
    for (const [name, words, value] of figures(message)) {
      let cell = this.#cells.get(name);
      if (cell === undefined) {
        if (this.#cells.size === 0) this.#list.replaceChildren();
        cell = h("dd");
        this.#cells.set(name, cell);
        this.#list.append(h("div", {}, h("dt", {}, words), cell));
      }
      setText(cell, String(value));
    }
  }
}
