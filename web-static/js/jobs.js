// The list of jobs: keyed rows that change in place.

import { badge, h, setHidden, setText } from "./dom.js";
import { duration, jobTitle, progressPercent, reason, relativeTime, runTime, statusMeaning } from "./format.js";

class Row {
  #status = null;
  #badge = h("span");
  #title = h("span", { class: "job-title" });
  #id = h("span", { class: "job-id mono" });
  #note = h("span", { class: "job-note" });
  #time = h("span", { class: "job-time" });
  #bar = h("progress", { max: 100, value: 0, "aria-label": "progress" });
  link;
  element;

  constructor(id) {
    this.link = h("a", { href: `#/${encodeURIComponent(id)}`, class: "job-link" },
      h("span", { class: "job-head" }, this.#badge, this.#title, this.#time),
      h("span", { class: "job-foot" }, this.#id, this.#note), this.#bar);
    this.element = h("li", { class: "job-row", "data-id": id }, this.link);
    setText(this.#id, id);
  }

  update(job, now, selected) {
    if (this.#status !== job.status) {
      this.#status = job.status;
      const next = badge(job.status, statusMeaning(job.status));
      this.#badge.replaceWith(next);
      this.#badge = next;
    }
    setText(this.#title, jobTitle(job));
    const ran = runTime(job, now);
    setText(this.#time, relativeTime(job.created_at, now) + (ran === null ? "" : ` · ${duration(ran)}`));
    const percent = progressPercent(job);
    const running = job.status === "running" || job.status === "canceling";
    const progress = running && percent !== null ? [`${percent} %`, job.progress_message].filter(Boolean).join(" · ") : "";
    setText(this.#note, progress || reason(job));
    setHidden(this.#bar, !running || percent === null);
    if (percent !== null) this.#bar.value = percent;
    if (selected) this.link.setAttribute("aria-current", "true");
    else this.link.removeAttribute("aria-current");
  }
}

export class JobList {
  #list;
  #rows = new Map();

  constructor(list) {
    this.#list = list;
  }

  /// Shows `jobs` in their order. Rows are moved only where the order changed, so that focus and scroll stay.
  render(jobs, now, selectedId) {
    const wanted = new Set(jobs.map((job) => job.job_id));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    let place = this.#list.firstElementChild;
    for (const job of jobs) {
      let row = this.#rows.get(job.job_id);
      if (row === undefined) {
        row = new Row(job.job_id);
        this.#rows.set(job.job_id, row);
      }
      row.update(job, now, job.job_id === selectedId);
      if (row.element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(row.element, place);
    }
  }

  focus(id) {
    this.#rows.get(id)?.link.focus();
  }

  /// Moves the focus by `step` rows; from outside the list to its first row.
  move(step) {
    const links = [...this.#list.querySelectorAll(".job-link")];
    if (links.length === 0) return;
    const at = links.indexOf(document.activeElement);
    const from = at >= 0 ? at : links.findIndex((link) => link.hasAttribute("aria-current"));
    const to = from < 0 ? 0 : Math.min(links.length - 1, Math.max(0, from + step));
    links[to].focus();
    links[to].scrollIntoView({ block: "nearest" });
  }
}
