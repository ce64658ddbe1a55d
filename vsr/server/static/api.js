// The server's HTTP interface, and its events.
export const BASE = "/api/v1/";

export class ApiError extends Error {
  constructor(status, message) { super(message); this.status = status }
}

/** A request; what it answers as JSON. Throws ApiError, with status 0 where the server can't be reached. */
export async function call(method, path, body, signal) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(BASE + path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the server can't be reached; the page continues when it is back");
  }
  const text = await answer.text();
  let found = null;
  try { found = text ? JSON.parse(text) : null } catch { /* said below */ }
  if (!answer.ok) throw new ApiError(answer.status, found?.error ?? `the server answered ${answer.status}`);
  return found;
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body, signal) => call("POST", path, body, signal);
export const query = values => new URLSearchParams(values).toString();
export const thumbnail = (path, at, width) => `${BASE}thumbnail?${query({ path, at, width })}`;
export const jobUrl = (id, what) => `${BASE}jobs/${encodeURIComponent(id)}/${what}`;

/** Server-sent events for as long as the page lives; `opened` is called after every (re)connection, `lost` when one breaks. */
export function listen({ opened, lost, ...handlers }) {
  let source, timer;
  const connect = () => {
    clearTimeout(timer);
    source = new EventSource(BASE + "events");
    source.onopen = opened;
    source.onerror = () => {
      lost();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, 2000);  // it tries again by itself only where it was answered
    };
    for (const [kind, handler] of Object.entries(handlers)) source.addEventListener(kind, event => handler(JSON.parse(event.data)));
  };
  connect();
  const again = () => { if (source.readyState !== EventSource.OPEN) { source.close(); connect() } };
  addEventListener("online", again);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again() });
  addEventListener("pagehide", () => source.close());
}
