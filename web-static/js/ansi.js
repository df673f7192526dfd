// Terminal output to plain pieces of text with class names. Nothing here makes HTML.

// CSI, then OSC/DCS/SOS/PM/APC strings up to BEL, ST or the end, then two-byte escapes with intermediates, then a
// lone ESC, then C0/C1 controls but for tab. Every alternative is linear: no nested repetition.
const escape =
  // eslint-disable-next-line no-control-regex
  /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|\x1b|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

const colours = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

function applyStyle(style, parameters) {
  const codes = parameters === "" ? [0] : parameters.split(/[;:]/).map((part) => Number(part) || 0);
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) Object.assign(style, { bold: false, dim: false, underline: false, colour: null });
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 4) style.underline = true;
    else if (code === 22) Object.assign(style, { bold: false, dim: false });
    else if (code === 24) style.underline = false;
    else if (code === 39) style.colour = null;
    else if (code >= 30 && code <= 37) style.colour = colours[code - 30];
    else if (code >= 90 && code <= 97) style.colour = colours[code - 90];
    // 256 and true colours are left out: their arguments are skipped, so that they are not read as codes.
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : codes[i + 1] === 2 ? 4 : 0;
  }
}

function classNames(style) {
  const names = [];
  if (style.bold) names.push("ansi-bold");
  if (style.dim) names.push("ansi-dim");
  if (style.underline) names.push("ansi-underline");
  if (style.colour) names.push(`ansi-${style.colour}`);
  return names.join(" ");
}

/// One line as `[{text, classes}]`. Colours of SGR become class names out of a fixed set; every other escape and
/// control character goes. Of text overwritten by carriage returns the last version stays, as on a terminal.
export function parseLine(line) {
  const trimmed = line.replace(/\r+$/, "");
  const visible = trimmed.slice(trimmed.lastIndexOf("\r") + 1);
  const style = { bold: false, dim: false, underline: false, colour: null };
  const pieces = [];
  const push = (text) => {
    if (text === "") return;
    const classes = classNames(style);
    const last = pieces[pieces.length - 1];
    if (last && last.classes === classes) last.text += text;
    else pieces.push({ text, classes });
  };
  let position = 0;
  for (const match of visible.matchAll(escape)) {
    push(visible.slice(position, match.index));
    position = match.index + match[0].length;
    if (match[2] === "m" && /^[0-9;:]*$/.test(match[1])) applyStyle(style, match[1]);
  }
  push(visible.slice(position));
  return pieces;
}

/// The line with no escapes at all.
export const stripLine = (line) => parseLine(line).map((piece) => piece.text).join("");
