// Keys of the page: "/" filter, j k and arrows move, Enter opens (the rows are links), Esc closes.

import { byId } from "./dom.js";

const typing = (target) => target instanceof Element && target.closest("input:not([type=checkbox]), textarea, select") !== null;

export function installKeyboard({ move, close, isOpen, clearFilter }) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || byId("cancel-dialog").open) return;
    const { key, target } = event;
    if (key === "Escape") {
      if (target === byId("filter")) clearFilter();
      if (typing(target)) target.blur();
      else if (isOpen()) close();
      return;
    }
    if (typing(target) || byId("account").hidden) return;
    // Arrows scroll the log when it has the focus.
    const inLog = target instanceof Element && target.closest("#log") !== null;
    const step = key === "j" || (key === "ArrowDown" && !inLog) ? 1 : key === "k" || (key === "ArrowUp" && !inLog) ? -1 : 0;
    if (step !== 0) move(step);
    else if (key === "/") byId("filter").focus();
    else return;
    event.preventDefault();
  });
}
