// A film as a strip of thumbnails, with the moment that is shown and the moments that are picked.
import { thumbnail } from "./api.js";
import { clock, h } from "./dom.js";

const PICTURES = 10;
const MOST = 8;

export class Timeline {
  constructor(film, { at, moments, moved, picked }) {
    this.film = film;
    this.moments = moments;
    this.picked = picked;
    const strip = h("div", { className: "strip", "aria-hidden": "true" }, Array.from({ length: PICTURES }, (_, n) =>
      h("img", { src: thumbnail(film.path, this.#place((n + 0.5) / PICTURES), 160), alt: "", decoding: "async" })));
    this.range = h("input", {
      type: "range", min: 0, max: this.last, step: Math.max(1 / film.rate, 0.001), value: at, "aria-label": "Moment of the film",
      oninput: () => { this.#draw(); moved(this.at) },
      onkeydown: event => { if (event.key === "Enter") this.add() },
    });
    this.line = h("div", { className: "playhead", "aria-hidden": "true" });
    this.marks = h("div", { className: "marks", "aria-hidden": "true" });
    this.now = h("output", { className: "now" });
    this.chips = h("ul", { className: "chips", "aria-label": "Moments picked" });
    this.button = h("button", { type: "button", onclick: () => this.add() }, "Pick this moment");
    this.element = h("div", { className: "timeline" }, h("div", { className: "track" }, strip, this.marks, this.line, this.range),
      h("div", { className: "moments" }, this.now, this.chips, this.button));
    this.#draw();
    this.#list();
  }

  get at() { return Number(this.range.value) }
  get last() { return Math.max(0, this.film.duration - 1 / this.film.rate) }

  go(at) {
    this.range.value = at;
    this.#draw();
  }

  add() {
    const at = Math.round(this.at * 1000) / 1000;
    if (this.moments.includes(at) || this.moments.length >= MOST) return;
    this.moments = [...this.moments, at].sort((a, b) => a - b);
    this.#list();
    this.picked(this.moments, at);
  }

  #remove(at) {
    this.moments = this.moments.filter(moment => moment !== at);
    this.#list();
    this.button.focus();
    this.picked(this.moments, null);
  }

  #place(share) { return Math.round(share * this.last * 1000) / 1000 }

  #draw() {
    this.line.style.left = `${this.last ? this.at / this.last * 100 : 0}%`;
    this.now.textContent = `${clock(this.at)} of ${clock(this.film.duration)}`;
    this.range.setAttribute("aria-valuetext", this.now.textContent);
  }

  #list() {
    this.marks.replaceChildren(...this.moments.map(at => {
      const mark = h("i");
      mark.style.left = `${this.last ? at / this.last * 100 : 0}%`;
      return mark;
    }));
    this.chips.replaceChildren(...this.moments.map(at => h("li", {},
      h("button", { type: "button", className: "chip", onclick: () => { this.go(at); this.picked(this.moments, at) } }, clock(at)),
      h("button", { type: "button", className: "drop", "aria-label": `Remove ${clock(at)}`, onclick: () => this.#remove(at) }, "×"))));
    this.chips.hidden = !this.moments.length;
    this.button.disabled = this.moments.length >= MOST;
  }
}
