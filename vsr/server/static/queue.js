// The queue: what runs, what waits, what has ended.
import { call, jobUrl, post, thumbnail } from "./api.js";
import { announce, counted, duration, errorBox, h, nameOf, say, still } from "./dom.js";
import { forget, inOrder, isOver, refetch, stateWords, watchJobs } from "./jobs.js";

const pane = document.getElementById("queue");
const message = h("div");
const empty = h("p", { className: "soft" }, "Nothing in the queue.");
const lists = { now: h("ul", { className: "jobs" }), waiting: h("ul", { className: "jobs waiting" }), over: h("ul", { className: "jobs over" }) };
const headings = { waiting: h("h3", {}, "Waiting"), over: h("h3", {}, "Ended") };
const cards = new Map();

export function drawQueue() {
  if (pane.firstChild) return;
  pane.append(h("h2", { id: "queue-title", className: "pane-title" }, "Queue"), message, empty, lists.now, headings.waiting, lists.waiting, headings.over, lists.over);
  watchJobs(one => (one && cards.get(one.id)?.place === placeOf(one) ? cards.get(one.id).update(one) : arrange()));
  arrange();
}

const placeOf = one => (isOver(one) ? "over" : one.state === "running" ? "now" : "waiting");

function arrange() {
  const jobs = inOrder();
  const ids = new Set(jobs.map(one => one.id));
  for (const [id, card] of cards) if (!ids.has(id)) { card.element.remove(); cards.delete(id) }
  const held = [...cards.values()].map(card => [card, [...card.order?.children ?? []].indexOf(document.activeElement)]).find(([, n]) => n >= 0);
  const focused = document.activeElement;
  const next = { now: 0, waiting: 0, over: 0 };
  for (const one of jobs) {
    const place = placeOf(one);
    if (!cards.has(one.id)) cards.set(one.id, new Card(one.id));
    const card = cards.get(one.id);
    card.place = place;
    const at = lists[place].children[next[place]];
    if (at !== card.element) lists[place].insertBefore(card.element, at ?? null);
    next[place] += 1;
    card.update(one);
  }
  for (const [place, heading] of Object.entries(headings)) heading.hidden = !next[place];
  for (const [place, list] of Object.entries(lists)) list.hidden = !next[place];
  empty.hidden = jobs.length > 0;
  const order = jobs.filter(one => placeOf(one) === "waiting");
  order.forEach((one, n) => cards.get(one.id).setPlace(order, n));
  if (held?.[0].order.childElementCount) {
    const button = held[0].order.children[held[1]];
    (button.disabled ? held[0].order.querySelector("button:enabled") : button)?.focus({ preventScroll: true });
  } else if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

async function act(what) {
  try {
    await what();
    message.replaceChildren();
  } catch (error) {
    message.replaceChildren(errorBox(error));
  }
}

export const control = (one, action) => act(async () => { await post(`jobs/${one.id}/${action}`); await refetch() });

const move = (id, before, words) => act(async () => { await post(`jobs/${id}/move`, { before }); await refetch(); announce(words) });

/** Buttons that a job's state allows. */
export function buttonsOf(one, downloads = true) {
  const name = nameOf(one.path);
  const button = (text, run, className = "") => h("button", { type: "button", className, "aria-label": `${text} ${name}`, onclick: run, disabled: Boolean(one.request) }, text);
  const able = {
    running: ["pause", "cancel"], queued: ["pause", "cancel"], paused: ["resume", "cancel"], failed: ["retry"], cancelled: ["retry"], finished: [],
  }[one.state] ?? [];
  const made = able.map(action => button(action[0].toUpperCase() + action.slice(1), () => control(one, action)));
  if (one.state === "finished" && downloads) made.push(h("a", { className: "button", href: jobUrl(one.id, "result?download=1"), download: "", "aria-label": `Download the result of ${name}` }, "Download"));
  if (isOver(one)) made.push(button("Clear", () => act(async () => { await call("DELETE", `jobs/${one.id}`); forget(one.id); if (location.hash === `#/job/${one.id}`) location.hash = "#/queue" })));
  return made;
}

/** "43 %, 1.6 fps, limited by the network, 12 min left", in parts. */
export function progressWords(one) {
  const progress = one.progress;
  if (!progress?.frames) return [];
  const words = [`${Math.floor(progress.done / progress.frames * 100)} %`];
  if (one.state !== "running") return words;
  if (one.request) words.push(one.request === "pause" ? "pausing after the part under way" : "ending");
  if (progress.fps) words.push(`${progress.fps.toFixed(progress.fps < 10 ? 2 : 0)} fps`);
  if (progress.bottleneck) words.push(`limited by ${progress.bottleneck}`);
  if (progress.seconds_left !== null && progress.seconds_left !== undefined) words.push(`${duration(progress.seconds_left)} left`);
  return words;
}

export class ProgressBar {
  constructor(name) {
    this.fill = h("i");
    this.element = h("div", { className: "bar", role: "progressbar", "aria-label": `Progress of ${name}`, "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
  }

  update(one) {
    const share = one.progress?.frames ? one.progress.done / one.progress.frames : 0;
    this.fill.style.width = `${share * 100}%`;
    this.element.setAttribute("aria-valuenow", Math.floor(share * 100));
    this.element.setAttribute("aria-valuetext", progressWords(one).join(", ") || "0 %");
  }
}

class Card {
  constructor(id) {
    this.id = id;
    this.element = h("li", { className: "job" });
  }

  #build(one) {
    const name = nameOf(one.path);
    this.state = one.state;
    this.asked = one.request;
    this.words = h("p", { className: "job-words" });
    this.bar = new ProgressBar(name);
    this.order = h("span", { className: "order" });
    const showsBar = ["running", "paused"].includes(one.state);
    this.element.dataset.state = one.state;
    this.element.replaceChildren(
      h("a", { className: "job-link", href: `#/job/${one.id}` }, still(thumbnail(one.path, 2, 160), thumbnail(one.path, 0, 160), { width: 64, height: 36 }), h("b", {}, name)),
      showsBar ? this.bar.element : "", this.words, h("div", { className: "job-actions" }, buttonsOf(one), this.order));
  }

  update(one) {
    if (this.state !== one.state || this.asked !== one.request) {
      const index = [...this.element.querySelectorAll("button, a")].indexOf(document.activeElement);
      this.#build(one);
      if (index >= 0) (this.element.querySelectorAll("button, a")[index] ?? this.element.querySelector("a")).focus({ preventScroll: true });
    }
    this.bar.update(one);
    const progress = progressWords(one).slice(one.state === "running" || one.state === "paused" ? 0 : 99);
    say(this.words, one.error && one.state === "failed" ? one.error : [stateWords(one), ...progress].join(" · "));
    this.words.classList.toggle("failed", one.state === "failed");
  }

  /** Its place among those that wait: buttons, and dragging with a mouse. */
  setPlace(order, place) {
    const one = order[place], name = nameOf(one.path), last = order.length - 1;
    const key = `${place}/${last}/${order[place - 1]?.id}/${order[place + 2]?.id}`;
    if (this.placeKey === key && this.order.firstChild) return;
    this.placeKey = key;
    const up = () => move(one.id, order[place - 1].id, `${name} is now ${place} of ${counted(order.length, "job")} that wait`);
    const down = () => move(one.id, order[place + 2]?.id ?? null, `${name} is now ${place + 2} of ${counted(order.length, "job")} that wait`);
    this.order.replaceChildren(
      h("button", { type: "button", className: "arrow", "aria-label": `Move ${name} up`, disabled: place === 0, onclick: up }, "↑"),
      h("button", { type: "button", className: "arrow", "aria-label": `Move ${name} down`, disabled: place === last, onclick: down }, "↓"));
    this.order.hidden = order.length < 2;
    this.element.draggable = order.length > 1;
    this.element.ondragstart = event => { event.dataTransfer.setData("text/plain", one.id); event.dataTransfer.effectAllowed = "move"; this.element.classList.add("dragged") };
    this.element.ondragend = () => { this.element.classList.remove("dragged"); for (const card of cards.values()) card.element.classList.remove("above", "below") };
    const isBelow = event => event.clientY > this.element.getBoundingClientRect().top + this.element.offsetHeight / 2;
    this.element.ondragover = event => {
      event.preventDefault();
      this.element.classList.toggle("below", isBelow(event));
      this.element.classList.toggle("above", !isBelow(event));
    };
    this.element.ondragleave = () => this.element.classList.remove("above", "below");
    this.element.ondrop = event => {
      event.preventDefault();
      const id = event.dataTransfer.getData("text/plain");
      const before = isBelow(event) ? order[place + 1]?.id ?? null : one.id;
      if (id !== one.id && before !== id && order.some(other => other.id === id)) move(id, before, "Moved");
    };
  }
}
