// One film: what it is, what it would become, and what a run would do.
import { get, post, query, thumbnail } from "./api.js";
import { announce, bytes, clock, counted, duration, errorBox, h, nameOf } from "./dom.js";
import { ofFilm, stateWords, watchJobs } from "./jobs.js";
import { SettingsForm } from "./settings.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";

let current = null;
export const previewChanged = preview => current?.onPreview(preview.id);

let offered = null;
/** Presets and networks, asked for once. */
const offers = () => (offered ??= Promise.all([get("presets"), get("networks")]).catch(error => { offered = null; throw error }));

export class FilmView {
  constructor(root, path) {
    this.path = path;
    this.title = nameOf(path);
    this.key = `vsr:${path}`;
    this.draft = { settings: {}, moments: [], ...JSON.parse(localStorage.getItem(this.key) ?? "{}") };
    this.stage = new Stage();
    this.words = h("dl", { className: "probe" });
    this.reading = h("p", { className: "soft", role: "status" }, "Reading the film …");
    this.body = h("div");
    this.already = h("p", { className: "already", hidden: true });
    root.replaceChildren(h("header", { className: "film-head" }, h("h1", {}, this.title), this.reading, this.words, this.already), this.body);
    this.unwatch = watchJobs(() => this.#showJob());
    current = this;
    this.#load();
  }

  close() {
    current = null;
    this.unwatch();
    this.planning?.abort();
    clearTimeout(this.timer);
    clearTimeout(this.moving);
  }

  refresh() {
    if (!this.form) this.#load();
    else { this.#plan(); if (this.draft.preview) this.onPreview(this.draft.preview.id) }
  }

  #keep() { localStorage.setItem(this.key, JSON.stringify(this.draft)) }

  async #load() {
    let film, presets, networks;
    try {
      [film, [presets, networks]] = await Promise.all([get(`probe?${query({ path: this.path })}`), offers()]);
    } catch (error) {
      if (current !== this) return;
      this.reading.remove();
      this.body.replaceChildren(errorBox(error));
      return;
    }
    if (current !== this) return;
    this.film = film;
    this.reading.remove();
    this.words.replaceChildren(...film.words.map(factOf));
    const at = Math.min(this.draft.at ?? Math.round(film.duration / 3 * 100) / 100, film.duration);
    this.stage.box.style.aspectRatio = `${film.width} / ${film.height}`;
    this.stage.show(thumbnail(this.path, at, 1280), `The film at ${clock(at)}`);  // asked for before the small ones
    this.timeline = new Timeline(film, {
      at, moments: this.draft.moments,
      moved: moment => this.#show(moment),
      picked: (moments, moment) => { this.draft.moments = moments; this.#keep(); if (moment !== null) this.#showMoment(moment) },
    });
    this.form = new SettingsForm(presets, networks, this.draft.settings, {
      changed: settings => { this.draft.settings = settings; this.#keep(); this.#marks(); this.#planSoon() },
      here: () => this.timeline.at,
    });
    this.previewButton = h("button", { type: "button", onclick: () => this.#preview() }, "Show before and after");
    this.previewState = h("p", { className: "soft preview-state", role: "status" });
    this.plan = h("section", { className: "plan", "aria-labelledby": "plan-title" });
    this.add = h("button", { type: "button", className: "first", onclick: () => this.#enqueue() }, "Add to queue");
    this.message = h("div");
    this.planWords = h("div", { className: "plan-words" });
    this.plan.append(h("h2", { id: "plan-title" }, "Plan"), this.planWords, this.message, h("div", { className: "actions" }, this.add));
    this.body.replaceChildren(
      h("section", { className: "look", "aria-label": "Preview" }, this.stage.element, this.timeline.element,
        h("div", { className: "look-actions" }, this.previewButton, this.previewState)),
      h("div", { className: "choices" }, h("section", { "aria-labelledby": "settings-title" }, h("h2", { id: "settings-title" }, "Settings"), this.form.element), this.plan));
    this.#showJob();
    this.#plan();
    if (this.draft.preview) this.onPreview(this.draft.preview.id);
  }

  /** The frame at a moment, as it is. */
  #show(at) {
    this.draft.at = at;
    clearTimeout(this.moving);
    this.moving = setTimeout(() => {
      this.#keep();
      this.stage.show(thumbnail(this.path, at, 1280), `The film at ${clock(at)}`);
    }, 120);
  }

  /** The pair of a moment, where there is one. */
  #showMoment(at) {
    const found = this.moments?.find(moment => Math.abs(moment.at - at) < 0.001);
    if (!found) { this.#show(at); return }
    clearTimeout(this.moving);
    this.draft.at = at;
    this.#keep();
    this.timeline.go(at);
    this.stage.compare(found.before, found.after, ["Before", "After"]);
  }

  async #preview() {
    if (!this.draft.moments.length) this.timeline.add();
    const moments = this.draft.moments;
    this.previewButton.disabled = true;
    this.previewState.textContent = "Asked for …";
    try {
      const made = await post("previews", { path: this.path, settings: this.draft.settings, moments });
      this.draft.preview = { id: made.id, settings: JSON.stringify(this.draft.settings) };
      this.#keep();
      this.onPreview(made.id);
    } catch (error) {
      this.previewButton.disabled = false;
      this.previewState.replaceChildren(errorBox(error));
    }
  }

  async onPreview(id) {
    if (this.draft.preview?.id !== id || !this.form) return;
    let found;
    try {
      found = await get(`previews/${id}`);
    } catch (error) {
      if (error.status === 404) { delete this.draft.preview; this.#keep() }
      this.previewButton.disabled = false;
      this.previewState.textContent = "";
      return;
    }
    if (current !== this) return;
    const busy = found.state === "queued" || found.state === "running";
    this.previewButton.disabled = busy;
    const first = !this.moments?.length;
    this.moments = found.moments;
    if (found.state === "failed") this.previewState.replaceChildren(errorBox({ message: found.error }));
    else if (busy) this.previewState.textContent = found.state === "queued" ? "Waiting for its turn …" : "The network is at it …";
    else this.#marks();
    const changed = this.shownPreview !== id;
    if (found.moments.length && (first || changed)) {
      this.shownPreview = id;
      const near = found.moments.reduce((a, b) => (Math.abs(b.at - this.timeline.at) < Math.abs(a.at - this.timeline.at) ? b : a));
      this.#showMoment(near.at);
      announce("The preview is ready: drag the line, or move it by the arrow keys.");
    }
  }

  /** Say whether the preview is of the settings as they are now. */
  #marks() {
    if (!this.moments?.length || this.previewButton.disabled) return;
    const same = this.draft.preview?.settings === JSON.stringify(this.draft.settings);
    this.previewState.textContent = same ? "Drag the line between before and after." : "Made with other settings than those below.";
  }

  #planSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#plan(), 300);
  }

  async #plan(measure = false) {
    this.planning?.abort();
    const own = this.planning = new AbortController();
    this.planWords.setAttribute("aria-busy", "true");
    if (!this.planWords.firstChild) this.planWords.append(h("p", { className: "soft" }, "Looking at its frames …"));
    if (measure) this.planWords.querySelector(".measure")?.replaceChildren("Trying a few frames …");
    try {
      const plan = await post("plan", { path: this.path, settings: this.draft.settings, ...(measure ? { measure } : {}) }, own.signal);
      this.message.replaceChildren();
      this.planWords.replaceChildren(...planElements(plan, () => this.#plan(true)));
      this.add.disabled = false;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.planWords.replaceChildren();
      this.message.replaceChildren(errorBox(error));
      this.add.disabled = true;
    }
    this.planWords.setAttribute("aria-busy", "false");
  }

  async #enqueue() {
    this.add.disabled = true;
    try {
      const made = await post("jobs", { path: this.path, settings: this.draft.settings });
      announce(`${this.title} is in the queue.`);
      this.message.replaceChildren(h("p", { className: "added" }, "In the queue. ", h("a", { href: `#/job/${made.id}` }, "Follow it")));
    } catch (error) {
      this.message.replaceChildren(errorBox(error));
    }
    this.add.disabled = false;
  }

  #showJob() {
    const one = ofFilm(this.path);
    this.already.hidden = !one;
    if (one) this.already.replaceChildren("Latest job: ", h("a", { href: `#/job/${one.id}` }, stateWords(one)));
  }
}

/** "audio     aac und" -> a term and what is said of it. */
function factOf(line) {
  const [, term, words] = line.match(/^(\S+)\s{2,}(.*)$/) ?? [null, "", line];
  return h("div", {}, h("dt", {}, term || "note"), h("dd", {}, words));
}

function planElements(plan, measure) {
  const figure = (term, value) => h("div", {}, h("dt", {}, term), h("dd", {}, value));
  const lines = [h("p", { className: "plan-line" }, h("b", {}, `${plan.width} × ${plan.height}`), " by ", h("b", {}, plan.network), `, ${counted(plan.frames, "frame")}.`)];
  if (plan.reason) lines.push(h("p", {}, `${plan.reason[0].toUpperCase()}${plan.reason.slice(1)}.`));
  const time = plan.seconds === null
    ? h("button", { type: "button", className: "plain measure", onclick: measure }, "Estimate")
    : duration(plan.seconds);
  const most = plan.seconds === null ? "up to " : "about ";
  lines.push(h("dl", { className: "figures" }, figure("Time", time), figure("Result", most + bytes(plan.bytes)),
    plan.disk === null ? null : figure("Disk meanwhile", bytes(plan.disk)), plan.free === null ? null : figure("Free", bytes(plan.free))));
  lines.push(h("p", { className: "soft" }, "Result: ", h("span", { className: "path" }, plan.output)));
  lines.push(h("details", {}, h("summary", {}, "All of the plan, and the command"), h("pre", { tabIndex: 0 }, plan.lines.join("\n")), h("pre", { className: "command", tabIndex: 0 }, plan.command)));
  return lines;
}
