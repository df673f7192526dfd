// Making and changing elements. Text only ever goes in as text.

/// `h("p", {class: "note"}, "text", child)`. Properties that are functions become listeners of that name.
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/// Changes text only when it differs, so that selections and screen readers are left in peace.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

export const byId = (id) => document.getElementById(id);

/// Runs `work` once before the next frame, however often it is asked for. In a hidden tab, where there are no frames,
/// once in half a second.
export function coalesced(work) {
  let asked = false;
  const run = () => {
    asked = false;
    work();
  };
  return () => {
    if (asked) return;
    asked = true;
    if (document.hidden) setTimeout(run, 500);
    else requestAnimationFrame(run);
  };
}

/// A status word with its colour and meaning.
export function badge(status, meaning) {
  return h("span", { class: `badge status-${/^[a-z]+$/.test(status ?? "") ? status : "unknown"}`, title: meaning },
    String(status ?? "unknown"));
}
