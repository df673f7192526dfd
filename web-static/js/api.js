// REST, with errors in words. The key travels in a header only.

export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const fallback = {
  401: "The key is missing or not known here.",
  403: "This key may not do that.",
  404: "There is no such thing here, or it belongs to another account.",
  409: "The job's state does not allow that.",
  410: "The result has been purged.",
  413: "That is too large.",
  425: "The job has not finished yet.",
  429: "Too many requests; wait a moment.",
  503: "The coordinator is busy; try again in a moment.",
  507: "The coordinator's disk is full.",
};

/// The sentence for a failed answer: problem+json's `detail` with the fields it names, else words for the status.
export function problemText(status, body) {
  if (body && typeof body === "object") {
    const errors = Array.isArray(body.errors) ? body.errors : [];
    const fields = errors
      .map((error) => [error.pointer ?? error.field, error.detail ?? error.message].filter(Boolean).join(": "))
      .filter(Boolean);
    const text = typeof body.detail === "string" ? body.detail : body.title;
    if (text) return fields.length > 0 ? `${text} (${fields.join("; ")})` : text;
  }
  return fallback[status] ?? `The coordinator answered with status ${status}.`;
}

const base = new URL("/v1/", globalThis.location?.href ?? "http://localhost/");

export class Api {
  #key;

  constructor(key) {
    this.#key = key;
  }

  /// One request. Throws `ApiError` for every answer that is not 2xx and when there is none (status 0).
  async request(path, { method = "GET", body, signal, accept = "application/json" } = {}) {
    const headers = { Accept: accept, "X-Api-Key": this.#key };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(new URL(path, base), {
        method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "UNREACHABLE", "The coordinator cannot be reached.");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => null);
    throw new ApiError(
      response.status, problem?.code ?? null, problemText(response.status, problem), response.headers.get("Retry-After"));
  }

  async json(path, options) {
    const response = await this.request(path, options);
    if (response.status === 204) return null;
    return response.json().catch(() => {
      throw new ApiError(response.status, "BAD_ANSWER", "The coordinator's answer could not be read.");
    });
  }

  jobs({ status, text, cursor, limit = 50, signal } = {}) {
    const query = new URLSearchParams({ limit: String(limit) });
    if (status) query.set("status", status);
    if (text) query.set("q", text);
    if (cursor) query.set("cursor", cursor);
    return this.json(`jobs?${query}`, { signal });
  }

  job(id, signal) {
    return this.json(jobPath(id), { signal });
  }
  tries(id, signal) {
    return this.json(jobPath(id, "tries"), { signal });
  }
  artifacts(id, signal) {
    return this.json(jobPath(id, "artifacts"), { signal });
  }
  cancel(id, reason) {
    return this.json(jobPath(id, "cancel"), { method: "POST", body: { reason } });
  }
  rerun(id, reason) {
    return this.json(jobPath(id, "rerun"), { method: "POST", body: { reason } });
  }
  moveToFront(id) {
    return this.json("queue/move", { method: "POST", body: { job_id: id, top: true } });
  }

  share(id, body) {
    return this.json(jobPath(id, "share"), { method: "POST", body });
  }
  shares(id, signal) {
    return this.json(jobPath(id, "shares"), { signal });
  }
  unshare(id, share) {
    return this.json(jobPath(id, "shares", share), { method: "DELETE" });
  }
  deleteResults(id) {
    return this.json(jobPath(id, "results"), { method: "DELETE" });
  }

  /// The raw bytes of one stream from `offset` on, as a response to read piece by piece.
  logs(id, stream, offset, number, signal) {
    const query = new URLSearchParams({ stream, offset: String(offset) });
    if (Number.isInteger(number) && number > 0) query.set("try", String(number));
    return this.request(`${jobPath(id, "logs")}?${query}`, { accept: "*/*", signal });
  }
}

/// `jobs/ID/part`, every piece escaped.
export function jobPath(id, ...parts) {
  return ["jobs", id, ...parts].map(encodeURIComponent).join("/");
}

/// An artifact's path keeps its slashes.
export function artifactPath(id, path) {
  return `${jobPath(id, "artifacts")}/${path.split("/").map(encodeURIComponent).join("/")}`;
}
