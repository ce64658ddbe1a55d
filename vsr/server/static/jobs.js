// What the server has told about its jobs; whoever shows them subscribes.
import { get } from "./api.js";
import { announce, nameOf } from "./dom.js";

const jobs = new Map();
let order = new Map();
const watchers = new Set();

export const job = id => jobs.get(id);
export const isOver = one => ["finished", "failed", "cancelled"].includes(one.state);

/** Running, then waiting in their order, then ended ones, latest first. */
export function inOrder() {
  const rank = one => (one.state === "running" ? 0 : isOver(one) ? 2 : 1);
  const place = one => order.get(one.id) ?? Infinity;
  return [...jobs.values()].sort((a, b) => rank(a) - rank(b) || (isOver(a) ? b.ended - a.ended : place(a) - place(b)));
}

export const ofFilm = path => inOrder().find(one => one.path === path);

/** Call `changed` with the job that changed, or with nothing where all may have. */
export function watchJobs(changed) {
  watchers.add(changed);
  return () => watchers.delete(changed);
}

const tell = one => { for (const changed of [...watchers]) changed(one) };

export async function refetch() {
  const found = await get("jobs");
  jobs.clear();
  for (const one of found) jobs.set(one.id, one);
  order = new Map(found.map((one, n) => [one.id, n]));
  tell();
}

export function update(one) {
  const before = jobs.get(one.id);
  jobs.set(one.id, one);
  if (before?.state !== one.state) announce(spoken(one));
  else if (one.state === "running" && tenth(one) > tenth(before)) announce(`${nameOf(one.path)}: ${tenth(one) * 10} %`);
  tell(one);
}

/** All ids, in the order of the queue. */
export function reorder(ids) {
  order = new Map(ids.map((id, n) => [id, n]));
  for (const id of jobs.keys()) if (!order.has(id)) jobs.delete(id);
  tell();
}

export function forget(id) {
  jobs.delete(id);
  tell();
}

const tenth = one => (one.progress?.frames ? Math.floor(one.progress.done / one.progress.frames * 10) : 0);
const spoken = one => `${nameOf(one.path)}: ${{ queued: "waiting", running: "begun" }[one.state] ?? one.state}`;

/** What a job is at, in a few words. */
export const stateWords = one => ({ queued: "waiting", running: one.progress?.phase || "running", finished: "finished and verified" })[one.state] ?? one.state;
