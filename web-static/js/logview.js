// The lines of a log in the page: bounded, coloured safely, following the tail when asked.

import { parseLine } from "./ansi.js";
import { coalesced, h } from "./dom.js";
import { LineSplitter } from "./lines.js";
import { overflow } from "./logs.js";

/// Lines kept in the page, both streams together.
export const maxLines = 5000;

function lineElement(stream, text) {
  const element = h("div", { class: `log-line ${stream}` });
  for (const piece of parseLine(text)) {
    if (piece.classes === "") element.append(piece.text);
    else element.append(h("span", { class: piece.classes }, piece.text));
  }
  if (!element.hasChildNodes()) element.append("\u200b");
  return element;
}

export class LogView {
  #pane;
  #note;
  #follow;
  #splitters;
  #elements;
  #partials;
  #waiting = [];
  #dropped = 0;
  #paint = coalesced(() => this.#flush());

  /// `pane` scrolls, `note` tells of lines no longer shown, `follow` is the check box.
  constructor(pane, note, follow) {
    this.#pane = pane;
    this.#note = note;
    this.#follow = follow;
    this.clear();
    follow.addEventListener("change", () => this.#scroll());
    // Scrolling up by hand is a wish to read; scrolling back to the end is a wish to follow.
    pane.addEventListener("scroll", () => {
      const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 24;
      if (this.#scrolledTo !== Math.round(pane.scrollTop)) follow.checked = atEnd;
    });
  }

  clear() {
    this.#splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
    this.#elements = { stdout: [], stderr: [] };
    this.#partials = { stdout: null, stderr: null };
    this.#waiting = [];
    this.#dropped = 0;
    this.#pane.replaceChildren();
    this.#showNote();
  }

  append(stream, bytes) {
    for (const text of this.#splitters[stream].push(bytes)) this.#waiting.push({ stream, text });
    this.#bound();
    this.#paint();
  }

  finish(stream) {
    for (const text of this.#splitters[stream].finish()) this.#waiting.push({ stream, text });
    this.#paint();
  }

  /// A line of the page's own, such as `try 2 began`.
  mark(text) {
    this.#waiting.push({ stream: "stdout", text, mark: true });
    this.#paint();
  }

  // A burst is cut before it ever becomes elements.
  #bound() {
    if (this.#waiting.length <= 2 * maxLines) return;
    const counts = { stdout: 0, stderr: 0 };
    for (const { stream } of this.#waiting) counts[stream] += 1;
    const drop = overflow(counts, maxLines);
    this.#dropped += drop.stdout + drop.stderr;
    this.#waiting = this.#waiting.filter(({ stream }) => {
      drop[stream] -= 1;
      return drop[stream] < 0;
    });
  }

  #flush() {
    const fragment = document.createDocumentFragment();
    for (const name of ["stdout", "stderr"]) {
      this.#partials[name]?.remove();
      this.#partials[name] = null;
    }
    for (const { stream, text, mark } of this.#waiting) {
      const element = lineElement(stream, text);
      if (mark) element.classList.add("log-mark");
      this.#elements[stream].push(element);
      fragment.append(element);
    }
    this.#waiting = [];
    for (const name of ["stdout", "stderr"]) {
      const text = this.#splitters[name].partial;
      if (text === "") continue;
      this.#partials[name] = lineElement(name, text);
      fragment.append(this.#partials[name]);
    }
    this.#pane.append(fragment);
    this.#trim();
    this.#showNote();
    if (this.#follow.checked) this.#scroll();
  }

  #trim() {
    const counts = { stdout: this.#elements.stdout.length, stderr: this.#elements.stderr.length };
    for (const [name, count] of Object.entries(overflow(counts, maxLines))) {
      for (const element of this.#elements[name].splice(0, count)) element.remove();
      this.#dropped += count;
    }
  }

  #scrolledTo = -1;
  #scroll() {
    if (!this.#follow.checked) return;
    this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#scrolledTo = Math.round(this.#pane.scrollTop);
  }

  #showNote() {
    this.#note.hidden = this.#dropped === 0;
    this.#note.textContent =
      `${this.#dropped} earlier lines are not shown here. The download holds the whole log.`;
  }
}
