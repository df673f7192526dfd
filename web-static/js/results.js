// What can be done with a finished job's result: sharing it by links, and deleting it.

import { byId, h, setHidden, setText } from "./dom.js";
import { relativeTime } from "./format.js";

/// The body of a request for a link. `downloads` is what was typed; empty means no bound. Null when it is no count.
export function shareBody(expires, downloads) {
  const text = String(downloads).trim();
  if (text === "") return { expires };
  if (!/^[0-9]{1,10}$/.test(text)) return null;
  const count = Number(text);
  return count >= 1 && count <= 1_000_000_000 ? { expires, max_downloads: count } : null;
}

const states = { active: "works until", expired: "ended", used_up: "used up; would end" };

/// One link in a line: whether it works, until when, how often it was used.
export function shareText(share, nowMs) {
  const count = Number(share.downloads ?? 0);
  const used = share.max_downloads ? `${count} of ${share.max_downloads} downloads` : `${count} download${count === 1 ? "" : "s"}`;
  return `${states[share.state] ?? share.state} ${relativeTime(share.expires_at, nowMs)}, ${used}`;
}

export class ResultActions {
  #hooks;
  #id = null;
  #api = null;

  /// `hooks`: `say(text)`, `fail(error)`, `refresh(id)`.
  constructor(hooks) {
    this.#hooks = hooks;
    byId("share").addEventListener("click", () => this.#openShares());
    byId("share-close").addEventListener("click", () => byId("share-dialog").close());
    byId("share-copy").addEventListener("click", () => this.#copy());
    byId("share-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#share();
    });
    // The link is a secret: it does not stay in a page that was left.
    byId("share-dialog").addEventListener("close", () => this.#forget());
    byId("delete-results").addEventListener("click", () => this.#delete());
  }

  /// `id` is the open job when it has results, else null.
  render(id, api) {
    this.#id = id;
    this.#api = api;
    setHidden(byId("share"), id === null);
    setHidden(byId("delete-results"), id === null);
  }

  #forget() {
    byId("share-url").value = "";
    setHidden(byId("share-made"), true);
  }

  async #openShares() {
    this.#forget();
    setText(byId("share-error"), "");
    byId("share-list").replaceChildren();
    byId("share-dialog").showModal();
    await this.#list(this.#id);
  }

  async #list(id) {
    try {
      const answer = await this.#api.shares(id);
      if (id !== this.#id) return;
      const now = Date.now();
      byId("share-list").replaceChildren(...(answer?.shares ?? []).map((share) => {
        const button = h("button", { type: "button", class: "small", "aria-label": `Take back ${share.share_id}`,
          click: () => this.#revoke(id, share.share_id, button) }, "Take back");
        return h("li", {}, h("span", {}, shareText(share, now)), button);
      }));
    } catch (error) {
      setText(byId("share-error"), error.message);
    }
  }

  async #share() {
    const id = this.#id;
    const body = shareBody(byId("share-expires").value, byId("share-max").value);
    if (body === null) return setText(byId("share-error"), "Give a whole number of downloads, or none for any number.");
    setText(byId("share-error"), "");
    byId("share-make").disabled = true;
    try {
      const share = await this.#api.share(id, body);
      byId("share-url").value = share.url;
      setHidden(byId("share-made"), false);
      byId("share-url").select();
      this.#hooks.say("Link made.");
      await this.#list(id);
    } catch (error) {
      setText(byId("share-error"), error.message);
    } finally {
      byId("share-make").disabled = false;
    }
  }

  async #copy() {
    byId("share-url").select();
    try {
      await navigator.clipboard.writeText(byId("share-url").value);
      this.#hooks.say("Link copied.");
    } catch {
      this.#hooks.say("Link selected."); // no clipboard without a secure context
    }
  }

  async #revoke(id, share, button) {
    button.disabled = true;
    try {
      await this.#api.unshare(id, share);
      this.#hooks.say("Link taken back.");
    } catch (error) {
      setText(byId("share-error"), error.message);
    }
    await this.#list(id);
  }

  async #delete() {
    const id = this.#id;
    const dialog = byId("delete-dialog");
    setText(byId("delete-name"), id);
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "confirm") return;
    try {
      await this.#api.deleteResults(id);
      this.#hooks.say("Results deleted.");
    } catch (error) {
      this.#hooks.fail(error);
    }
    this.#hooks.refresh(id);
  }
}
