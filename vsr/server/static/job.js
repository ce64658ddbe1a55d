// One job: how far it is and what the latest frame looks like; when it is finished, the result.
import { get, jobUrl } from "./api.js";
import { duration, errorBox, h, nameOf, say } from "./dom.js";
import { isOver, job, stateWords, watchJobs } from "./jobs.js";
import { buttonsOf, ProgressBar, progressWords } from "./queue.js";
import { Stage } from "./stage.js";

const PICTURE_SECONDS = 5;
const POLL_SECONDS = 2;

export class JobView {
  constructor(root, id) {
    this.id = id;
    this.title = nameOf(job(id)?.path ?? "job");
    this.root = root;
    this.unwatch = watchJobs(one => { if (!one || one.id === id) this.#draw() });
    this.#draw();
    if (!job(id)) this.#absent();
  }

  close() {
    this.unwatch();
    this.closed = true;
  }

  refresh() { this.#draw() }

  async #absent() {
    try {
      await get(`jobs/${encodeURIComponent(this.id)}`);
    } catch (error) {
      if (!this.closed) this.root.replaceChildren(h("div", { className: "welcome" }, h("h1", {}, "No such job."), errorBox(error)));
    }
  }

  #draw() {
    const one = job(this.id);
    if (!one || this.closed) return;
    const key = `${one.state} ${one.request ?? ""}`;
    if (this.key !== key) { this.key = key; this.#build(one) }
    this.bar.update(one);
    say(this.words, [stateWords(one), ...progressWords(one)].join("  ·  "));
    if (one.state === "running") this.#picture(one);
  }

  #build(one) {
    const name = nameOf(one.path);
    this.title = name;
    this.bar = new ProgressBar(name);
    this.words = h("p", { className: "facts" });
    const parts = [h("header", { className: "film-head" }, h("h1", {}, name), this.words, isOver(one) ? "" : this.bar.element)];
    if (one.state === "failed") parts.push(errorBox({ message: one.error ?? "it failed, and left no word" }));
    if (one.state === "finished") parts.push(...this.#result(one));
    else {
      const before = this.stage;
      this.stage = before ?? new Stage();
      parts.push(h("section", { className: "look", "aria-label": "Latest frame, before and after" }, this.stage.element));
    }
    parts.push(h("div", { className: "actions" }, buttonsOf(one, false), h("a", { className: "button", href: `#/film/${encodeURIComponent(one.path)}` }, "Open the film")));
    if (one.notes?.length) parts.push(h("section", {}, h("h2", {}, "Notes"), h("ul", { className: "notes" }, one.notes.map(text => h("li", {}, text)))));
    this.root.replaceChildren(...parts);
    if (one.state !== "finished" && one.progress?.done) this.#picture(one);
  }

  #result(one) {
    const url = jobUrl(one.id, "result");
    const facts = one.started && one.ended ? [`made in ${duration(one.ended - one.started)}`] : [];
    const player = h("video", { src: url, controls: true, preload: "metadata", playsInline: true, className: "player", "aria-label": `The result of ${nameOf(one.path)}` });
    const silent = h("p", { className: "soft", hidden: true }, "This browser can't play the result's codec; download it, or look at it on the comparison page.");
    player.addEventListener("error", () => { player.hidden = true; silent.hidden = false });
    return [
      h("section", { className: "look", "aria-label": "The result" }, player, silent),
      h("div", { className: "links" },
        h("a", { className: "button first", href: jobUrl(one.id, "result?download=1"), download: "" }, "Download"),
        this.#comparison(one),
        h("a", { className: "button", href: jobUrl(one.id, "report"), target: "_blank", rel: "noopener" }, "Report")),
      h("section", { "aria-labelledby": "verified" }, h("h2", { id: "verified" }, "Verified"),
        h("ul", { className: "verified" }, one.verification.map(text => h("li", {}, text))),
        h("p", { className: "soft" }, [one.output, ...facts].filter(Boolean).join(", "))),
    ];
  }

  /** A page of figures and pictures, which takes a while to make when it is first asked for. */
  #comparison(one) {
    const url = jobUrl(one.id, "compare");
    const open = () => h("a", { className: "button", href: url, target: "_blank", rel: "noopener" }, "Open the comparison");
    const state = h("span", { role: "status", className: "soft" });
    const button = h("button", { type: "button" }, "Compare with the film");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        for (;;) {
          const answer = await fetch(url);
          if (this.closed) return;
          if (answer.status === 200) { await answer.body?.cancel(); break }
          const found = await answer.json();
          if (answer.status !== 202) throw new Error(found.error);
          state.textContent = "Comparing frame by frame …";
          await new Promise(done => setTimeout(done, POLL_SECONDS * 1000));
        }
        box.replaceChildren(open());
        box.firstChild.focus();
      } catch (error) {
        state.replaceChildren(errorBox(error));
        button.disabled = false;
      }
    });
    const box = h("span", { className: "comparison" }, button, state);
    return box;
  }

  /** The latest finished frame and its source, once both are there, and not more often than every few seconds. */
  async #picture(one) {
    const now = Date.now();
    const at = one.progress?.chunks_done ?? one.progress?.done ?? 0;
    if (this.loading || (this.shownAt === at && this.shown) || now - (this.tried ?? 0) < PICTURE_SECONDS * 1000) return;
    this.loading = true;
    this.tried = now;
    try {
      const pair = await Promise.all(["before", "after"].map(side => picture(`${jobUrl(this.id, side)}?${at}`)));
      if (!this.closed && this.stage.box.isConnected) {
        await this.stage.compare(...pair, ["Source", "Result"]);
        for (const old of this.shown ?? []) URL.revokeObjectURL(old);
        this.shown = pair;
        this.shownAt = at;
      }
    } catch { /* none is finished yet */ }
    this.loading = false;
  }
}

async function picture(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(String(answer.status));
  return URL.createObjectURL(await answer.blob());
}
