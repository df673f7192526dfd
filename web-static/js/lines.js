// Bytes of one stream to lines, however the bytes were cut.

/// Longer lines are broken here, so that one endless line cannot fill the page's memory.
export const maxLineLength = 8192;

export class LineSplitter {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #rest = "";

  /// The lines that `bytes` completes. A line cut by `maxLineLength` counts as complete.
  push(bytes) {
    return this.#split(this.#decoder.decode(bytes, { stream: true }));
  }

  /// What came after the last newline, shown while it grows.
  get partial() {
    return this.#rest;
  }

  /// Ends the stream: an unfinished line and unfinished UTF-8 become a line.
  finish() {
    const lines = this.#split(this.#decoder.decode());
    if (this.#rest !== "") lines.push(this.#rest);
    this.#rest = "";
    return lines;
  }

  #split(text) {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop();
    const lines = [];
    for (const part of parts) this.#cut(part, lines, 0);
    this.#rest = this.#cut(this.#rest, lines, 1);
    return lines;
  }

  // Breaks `text` into full pieces; with `keep` the last piece is returned instead of added.
  #cut(text, lines, keep) {
    let from = 0;
    while (text.length - from > maxLineLength) {
      // Never between the halves of a surrogate pair.
      const code = text.charCodeAt(from + maxLineLength - 1);
      const to = from + maxLineLength - (code >= 0xd800 && code <= 0xdbff ? 1 : 0);
      lines.push(text.slice(from, to));
      from = to;
    }
    if (keep) return text.slice(from);
    lines.push(text.slice(from));
    return "";
  }
}
