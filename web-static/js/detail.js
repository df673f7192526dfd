// One job, opened: its fields, progress, tries, artifacts and log.

import { ApiError } from "./api.js";
import { badge, byId, h, setHidden, setText } from "./dom.js";
import { downloadArtifact, downloadPackage } from "./download.js";
import {
  bytes, canCancel, cost, duration, isFinal, jobTitle, nearestLacks, progressPercent, queuePosition, reason,
  relativeTime, remaining, resultText, resultsUntil, runTime, statusMeaning,
} from "./format.js";
import { LogFollower } from "./logfollow.js";
import { LogView } from "./logview.js";
import { ResultActions } from "./results.js";

/// How long the feed has to bring the last log lines after a job's end, before they are fetched.
const logGraceMs = 1500;

export class JobDetail {
  #hooks;
  #element = byId("detail");
  #logView = new LogView(byId("log"), byId("log-note"), byId("follow"));
  #id = null;
  #api = null;
  #follower = null;
  #abort = new AbortController();
  #logTimer = null;
  #shownFacts = "";
  #shownStatus = null;
  #loadedFor = null;
  #results;

  /// `hooks`: `send(message)` to the feed, `say(text)` for outcomes, `fail(error)` for errors, `refresh(id)`.
  constructor(hooks) {
    this.#hooks = hooks;
    this.#results = new ResultActions(hooks);
    byId("download").addEventListener("click", () => this.#download());
    byId("copy-id").addEventListener("click", () => this.#copyId());
    for (const box of document.querySelectorAll("[data-stream]")) {
      box.addEventListener("change", () => byId("log").classList.toggle(`hide-${box.dataset.stream}`, !box.checked));
    }
  }

  get id() {
    return this.#id;
  }

  open(id, api) {
    if (id === this.#id) return;
    this.close();
    this.#id = id;
    this.#api = api;
    this.#abort = new AbortController();
    this.#logView.clear();
    byId("follow").checked = true;
    for (const name of ["result-section", "artifacts-section", "tries-section"]) setHidden(byId(name), true);
    setText(byId("download-note"), "");
    setHidden(this.#element, false);
    this.#follower = new LogFollower(id, { api, send: this.#hooks.send, view: this.#logView });
  }

  close() {
    if (this.#id === null) return;
    clearTimeout(this.#logTimer);
    this.#logTimer = null;
    this.#abort.abort();
    this.#follower?.stop();
    this.#follower = null;
    this.#id = null;
    this.#shownFacts = "";
    this.#shownStatus = null;
    this.#loadedFor = null;
    setHidden(this.#element, true);
  }

  /// Messages to send on a new connection of the feed.
  get subscriptions() {
    return this.#follower === null || isFinal(this.#shownStatus) ? [] : [this.#follower.subscription];
  }

  acceptLog(message) {
    this.#follower?.accept(message);
  }

  render(job, now) {
    if (this.#id === null || job === undefined || job.job_id !== this.#id) return;
    this.#renderHead(job, now);
    this.#renderFacts(job, now);
    setText(byId("result"), resultText(job.result));
    setHidden(byId("result-section"), job.result === null || job.result === undefined);
    this.#load(job);
  }

  #renderHead(job, now) {
    setText(byId("detail-title"), jobTitle(job));
    setText(byId("detail-id"), job.job_id);
    if (this.#shownStatus !== job.status) {
      byId("detail-badge").replaceChildren(badge(job.status, statusMeaning(job.status)));
    }
    const percent = progressPercent(job);
    // Nothing to show before a start, nor for a job that ended without ever telling any.
    setHidden(byId("detail-progress"), percent === null || (percent === 0 && job.status !== "running"));
    if (percent !== null) byId("detail-bar").value = percent;
    const parts = [percent === null ? "" : `${percent} %`, job.progress_message, remaining(job, now)];
    setText(byId("detail-progress-text"), parts.filter(Boolean).join(" · "));
    const why = reason(job);
    setText(byId("detail-reason"), why);
    setHidden(byId("detail-reason"), why === "");
    byId("detail-reason").classList.toggle("bad", isFinal(job.status) && job.status !== "completed");
    setHidden(byId("cancel"), !canCancel(job.status));
    setHidden(byId("rerun"), !isFinal(job.status));
    setHidden(byId("to-front"), job.status !== "pending");
    const hasResults = isFinal(job.status) && job.results_available !== false;
    setHidden(byId("download"), !hasResults);
    this.#results.render(hasResults ? job.job_id : null, this.#api);
  }

  #renderFacts(job, now) {
    const ran = runTime(job, now);
    const labels = Object.entries(job.labels ?? {}).map(([key, value]) => `${key}=${value}`).join(", ");
    const meaning = statusMeaning(job.status);
    const waiting = job.status === "pending" ? job.pending_reason : null;
    const time = (text) => (text ? `${relativeTime(text, now)} (${text})` : null);
    const facts = [
      ["Status", meaning === job.status ? meaning : `${job.status ?? "unknown"} (${meaning})`],
      ["Command", Array.isArray(job.command) ? job.command.join(" ") : null],
      ["Miner", job.miner_id],
      ["Try", job.try],
      ["Attempt", job.attempt_no],
      ["Exit code", job.exit_code],
      ["Priority", job.priority],
      ["Run key", job.run_key],
      ["Fitting miners", waiting?.fitting_miners],
      ["Nearest miner lacks", nearestLacks(waiting)],
      ["Queue position", job.status === "pending" ? queuePosition(job) : null],
      ["May start", job.status === "pending" ? time(job.estimated_start) : null],
      ["Created", time(job.created_at)],
      ["Started", time(job.started_at)],
      ["Finished", time(job.completed_at)],
      ["Run time", ran === null ? null : duration(ran)],
      ["Cost", job.cost === null || job.cost === undefined ? null : cost(job.cost)],
      ["Labels", labels || null],
      ["Cancel", job.cancel?.outcome ? `${job.cancel.outcome}${job.cancel.reason ? `: ${job.cancel.reason}` : ""}` : null],
      [job.results_available === false ? "Results" : "Results until", resultsUntil(job, now)],
    ].filter(([, value]) => value !== null && value !== undefined && value !== "");
    const text = JSON.stringify(facts);
    if (text === this.#shownFacts) return;
    this.#shownFacts = text;
    byId("facts").replaceChildren(
      ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
  }

  // Reads what belongs to the state just reached: the log while it runs, everything once it is over.
  #load(job) {
    const before = this.#shownStatus;
    this.#shownStatus = job.status;
    if (before === null && !isFinal(job.status)) this.#follower.subscribe();
    const phase = `${isFinal(job.status)} ${job.try ?? ""}`;
    if (phase === this.#loadedFor) return;
    this.#loadedFor = phase;
    this.#loadTries();
    if (!isFinal(job.status)) return;
    if (job.results_available !== false) this.#loadArtifacts();
    clearTimeout(this.#logTimer);
    const wait = before === null || isFinal(before) ? 0 : logGraceMs;
    this.#logTimer = setTimeout(() => this.#guard(this.#follower?.readAll(job.try ?? null)), wait);
  }

  // Errors of reads that a later state repeats: 404, 410 and 425 only mean "nothing there (yet)".
  async #guard(work) {
    try {
      return await work;
    } catch (error) {
      const nothing = error instanceof ApiError && [404, 410, 425].includes(error.status);
      if (!nothing && error.name !== "AbortError") this.#hooks.fail(error);
      return null;
    }
  }

  async #loadTries() {
    const id = this.#id;
    const answer = await this.#guard(this.#api.tries(id, this.#abort.signal));
    const tries = Array.isArray(answer) ? answer : answer?.tries ?? [];
    if (id !== this.#id) return;
    setHidden(byId("tries-section"), tries.length === 0);
    byId("tries").replaceChildren(...tries.map((entry) => {
      const ran = runTime({ ...entry, completed_at: entry.completed_at ?? entry.ended_at }, Date.now());
      const outcome = entry.outcome ?? entry.status ?? entry.state ?? "–";
      return h("tr", {}, h("td", {}, String(entry.try ?? "–")), h("td", {}, String(outcome)),
        h("td", { class: "mono" }, String(entry.miner_id ?? "–")), h("td", {}, ran === null ? "–" : duration(ran)),
        h("td", {}, reason(entry)));
    }));
  }

  async #loadArtifacts() {
    const id = this.#id;
    const answer = await this.#guard(this.#api.artifacts(id, this.#abort.signal));
    const artifacts = Array.isArray(answer) ? answer : answer?.artifacts ?? [];
    if (id !== this.#id) return;
    setHidden(byId("artifacts-section"), artifacts.length === 0);
    byId("artifacts").replaceChildren(...artifacts.map((artifact) => {
      const path = String(artifact.path ?? artifact.name ?? "");
      const sha = typeof artifact.sha256 === "string" ? artifact.sha256 : "";
      const button = h("button", { type: "button", class: "small", "aria-label": `Save ${path}`,
        click: () => this.#busy(button, () => downloadArtifact(this.#api, id, path)) }, "Save");
      return h("li", {}, h("span", { class: "mono artifact-path" }, path),
        h("span", { class: "quiet" }, bytes(artifact.size ?? NaN)),
        sha === "" ? null : h("code", { class: "quiet", title: `SHA-256 ${sha}` }, sha.slice(0, 12)), button);
    }));
  }

  async #download() {
    const id = this.#id;
    const note = byId("download-note");
    setText(note, "Downloading…");
    const outcome = await this.#busy(byId("download"), () => downloadPackage(this.#api, id));
    if (id !== this.#id) return;
    if (outcome === null) return setText(note, "");
    const { size, expected, actual } = outcome;
    const checked = actual === null ? "not checked in this browser" : "checked: matches";
    setText(note, `${bytes(size)} saved. SHA-256 ${expected ?? actual ?? "unknown"}${expected ? ` (${checked})` : ""}`);
  }

  async #busy(button, work) {
    button.disabled = true;
    try {
      return await work();
    } catch (error) {
      this.#hooks.fail(error);
      return null;
    } finally {
      button.disabled = false;
    }
  }

  async #copyId() {
    try {
      await navigator.clipboard.writeText(this.#id);
      this.#hooks.say("Job id copied.");
    } catch {
      // No clipboard without a secure context: select the text instead.
      getSelection().selectAllChildren(byId("detail-id"));
      this.#hooks.say("Job id selected.");
    }
  }
}
