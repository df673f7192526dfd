// Wires the page together: key, list, detail, feed. The other modules know nothing of each other beyond their imports.

import { Api, ApiError } from "./api.js";
import { JobDetail } from "./detail.js";
import { byId, coalesced, h, setHidden, setText } from "./dom.js";
import { applyFetched, applyMessage, emptyFeed, resumeMessage, visibleJobs } from "./feed.js";
import { statuses } from "./format.js";
import { JobList } from "./jobs.js";
import { installKeyboard } from "./keyboard.js";
import { Market } from "./market.js";
import { keyProblem, savedKey, saveKey } from "./session.js";
import { FeedSocket } from "./socket.js";

const pageSize = 50;
const list = new JobList(byId("jobs"));
const market = new Market(byId("market"));
const detail = new JobDetail({ send: (message) => socket.send(message), say, fail: showError, refresh: fetchSoon });

let feed = emptyFeed();
let key = null;
let api = null;
let shown = pageSize;
let page = { cursor: null, total: null, loaded: false, matches: null };
let loading = new AbortController();

const feedUrl = new URL("/v1/jobs/ws", location.href.replace(/^http/, "ws"));
feedUrl.hash = "";
const socket = new FeedSocket(feedUrl, {
  greeting: () => (key === null ? [] : [{ type: "auth", api_key: key }, resumeMessage(feed), ...detail.subscriptions])
    .filter((message) => message !== null),
  onMessage: receive,
  onState: showConnection,
});

// --- What is shown

const filter = () => ({ status: byId("status").value, text: byId("filter").value });
const openId = () => /^#\/([^/]+)$/.exec(location.hash)?.[1] ?? null;

function decodedOpenId() {
  try {
    const id = openId();
    return id === null ? null : decodeURIComponent(id);
  } catch {
    return null;
  }
}

function render() {
  market.render(feed.market);
  if (key === null) return;
  const now = Date.now();
  const wanted = filter();
  const all = visibleJobs(feed, { ...wanted, matches: page.matches });
  list.render(all.slice(0, shown), now, detail.id);
  const filtered = wanted.status !== "" || wanted.text.trim() !== "";
  setHidden(byId("more"), all.length <= shown && page.cursor === null);
  setHidden(byId("empty"), !page.loaded || all.length > 0 || filtered);
  setHidden(byId("no-match"), !page.loaded || all.length > 0 || !filtered);
  const count = `${Math.min(all.length, shown)} of ${Math.max(page.total ?? 0, all.length)} jobs`;
  setText(byId("count"), page.loaded ? count : "Loading…");
  detail.render(feed.jobs.get(detail.id), now);
  const running = [...feed.jobs.values()].filter((job) => job.status === "running").length;
  document.title = running > 0 ? `(${running} running) aitbc` : "aitbc";
}
const renderSoon = coalesced(render);

const connectionWords = {
  connecting: "Connecting…",
  open: "Live",
  waiting: "Connection lost; trying again…",
  closed: "Disconnected",
};

function showConnection(state, information) {
  const element = byId("connection");
  element.dataset.state = state;
  setText(element, connectionWords[state]);
  setHidden(byId("reconnect"), state !== "closed");
  if (state === "closed" && information.reason) showError(new Error(`The feed was closed: ${information.reason}`));
}

function say(text) {
  setText(byId("said"), text);
}

function showError(error) {
  if (error.name === "AbortError") return;
  if (error instanceof ApiError && error.status === 401 && key !== null) return signOut(error.message);
  byId("error-text").textContent = error.message;
  setHidden(byId("error"), false);
}

// --- The feed

function receive(message) {
  for (const effect of applyMessage(feed, message)) {
    if (effect.type === "log") detail.acceptLog(effect.message);
    else if (effect.type === "refetch") reload();
    else if (effect.type === "fetch-job") fetchSoon(effect.id);
    else if (effect.type === "error") showError(new Error(feedErrorText(effect.message)));
    else if (effect.type === "ended" && effect.id === detail.id) say(`Job ${feed.jobs.get(effect.id).status}.`);
  }
  renderSoon();
}

const feedErrorText = (message) => message.message ?? message.detail ?? "The feed reports an error.";

// Jobs to read one by one are collected first: a burst of new ones costs one list request instead.
const wanted = new Set();
let fetchTimer = null;
function fetchSoon(id) {
  wanted.add(id);
  fetchTimer ??= setTimeout(fetchWanted, 200);
}

async function fetchWanted() {
  fetchTimer = null;
  const ids = [...wanted];
  wanted.clear();
  if (api === null) return;
  if (ids.length > 10) {
    if (ids.includes(detail.id)) await fetchJob(detail.id);
    return reload();
  }
  await Promise.all(ids.map(fetchJob));
}

async function fetchJob(id) {
  const [reader, tick] = [api, feed.tick];
  try {
    const job = await reader.job(id);
    if (reader !== api) return;
    applyFetched(feed, [job], tick);
    renderSoon();
  } catch (error) {
    if (reader !== api) return;
    if (error.status === 404 && id === detail.id) closeDetail();
    showError(error);
  }
}

// --- The list

/// Reads the first page again. What is known already stays; the feed keeps it true.
async function reload() {
  loading.abort();
  loading = new AbortController();
  page = { ...page, cursor: null };
  await loadPage(null);
}

async function loadPage(cursor) {
  const [reader, tick, { status, text }, { signal }] = [api, feed.tick, filter(), loading];
  if (reader === null) return;
  try {
    const answer = await reader.jobs({ status, text: text.trim(), cursor, limit: pageSize, signal });
    if (reader !== api || signal.aborted) return;
    const jobs = answer?.jobs ?? answer?.items ?? [];
    applyFetched(feed, jobs, tick);
    const matches = new Set([...(cursor === null ? [] : page.matches ?? []), ...jobs.map((job) => job.job_id)]);
    page = { cursor: answer?.next_cursor ?? null, total: answer?.total ?? null, loaded: true, matches };
    renderSoon();
  } catch (error) {
    if (reader === api) showError(error);
  }
}

async function showMore() {
  shown += pageSize;
  if (page.cursor !== null) await loadPage(page.cursor);
  renderSoon();
}

// The browser's own clearing of a search field does not always tell; this does.
function clearText() {
  if (byId("filter").value === "") return;
  byId("filter").value = "";
  filterChanged();
}

let filterTimer = null;
function filterChanged() {
  shown = pageSize;
  page = { ...page, matches: null };
  clearTimeout(filterTimer);
  filterTimer = setTimeout(reload, 250);
  renderSoon();
}

// --- One job

function route() {
  const id = decodedOpenId();
  document.body.classList.toggle("has-detail", id !== null && key !== null);
  if (key === null) return;
  if (id === null) {
    const before = detail.id;
    detail.close();
    if (before !== null) list.focus(before);
  } else if (id !== detail.id) {
    detail.open(id, api);
    fetchJob(id);
    byId("detail-title").focus();
  }
  renderSoon();
}

function closeDetail() {
  if (location.hash !== "") location.hash = "";
}

async function cancelJob() {
  const id = detail.id;
  const dialog = byId("cancel-dialog");
  setText(byId("cancel-name"), id);
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "confirm") return;
  try {
    await api.cancel(id, "canceled from the web page");
    say("Cancel requested.");
    fetchSoon(id);
  } catch (error) {
    showError(error);
    fetchSoon(id); // a refusal means that the page was behind
  }
}

async function rerunJob() {
  const button = byId("rerun");
  button.disabled = true;
  try {
    const job = await api.rerun(detail.id, "run again from the web page");
    say(`Attempt ${job.attempt_no} submitted.`);
    location.hash = `#/${job.job_id}`;
  } catch (error) {
    showError(error);
  } finally {
    button.disabled = false;
  }
}

async function moveToFront() {
  const id = detail.id;
  try {
    await api.moveToFront(id);
    say("Now the first of your jobs with this priority.");
  } catch (error) {
    showError(error);
  }
  fetchSoon(id);
}

// --- The key

async function signIn(candidate) {
  const problem = keyProblem(candidate);
  if (problem !== null) return setText(byId("key-error"), problem);
  const trial = new Api(candidate);
  byId("key-submit").disabled = true;
  try {
    const tick = feed.tick;
    const answer = await trial.jobs({ limit: pageSize });
    [key, api] = [candidate, trial];
    saveKey(key);
    byId("key").value = "";
    applyFetched(feed, answer?.jobs ?? [], tick);
    page = { cursor: answer?.next_cursor ?? null, total: answer?.total ?? null, loaded: true, matches: null };
    showSignedIn(true);
    if (!socket.send({ type: "auth", api_key: key })) socket.retryNow();
    route();
  } catch (error) {
    showSignedIn(false);
    if (error.status === 401) saveKey(null);
    else byId("key").value = candidate; // one press tries again
    setText(byId("key-error"), error.message);
  } finally {
    byId("key-submit").disabled = false;
  }
}

function signOut(message = "") {
  loading.abort();
  detail.close();
  [key, api] = [null, null];
  saveKey(null);
  feed = { ...emptyFeed(), market: feed.market };
  page = { cursor: null, total: null, loaded: false, matches: null };
  list.render([], 0, null);
  showSignedIn(false);
  setText(byId("key-error"), message);
  socket.open(); // a new connection: the old one still speaks for the account
  byId("key").focus();
}

function showSignedIn(yes) {
  setHidden(byId("sign-in"), yes);
  setHidden(byId("account"), !yes);
  setHidden(byId("sign-out"), !yes);
  setText(byId("key-error"), "");
  setHidden(byId("error"), true);
  document.body.classList.toggle("has-detail", yes && openId() !== null);
  if (!yes) document.title = "aitbc";
  renderSoon();
}

// --- Start

byId("status").append(...statuses.map((status) => h("option", { value: status }, status)));
for (const element of document.querySelectorAll(".origin")) element.textContent = location.origin;
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(byId("key").value.trim());
});
byId("sign-out").addEventListener("click", () => signOut());
byId("filter-form").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", filterChanged);
byId("status").addEventListener("change", filterChanged);
byId("clear-filter").addEventListener("click", () => {
  byId("filter-form").reset();
  filterChanged();
});
byId("more").addEventListener("click", showMore);
byId("close").addEventListener("click", closeDetail);
byId("cancel").addEventListener("click", cancelJob);
byId("rerun").addEventListener("click", rerunJob);
byId("to-front").addEventListener("click", moveToFront);
byId("reconnect").addEventListener("click", () => socket.open());
byId("error-close").addEventListener("click", () => setHidden(byId("error"), true));
addEventListener("hashchange", route);
addEventListener("online", () => socket.retryNow());
document.addEventListener("visibilitychange", () => document.hidden || socket.retryNow());
// Times and estimates move by themselves; a hidden tab need not.
setInterval(() => document.hidden || renderSoon(), 1000);
installKeyboard({
  move: (step) => list.move(step), close: closeDetail, isOpen: () => detail.id !== null, clearFilter: clearText,
});

showSignedIn(false);
socket.open();
const remembered = savedKey();
if (remembered !== null) signIn(remembered);
