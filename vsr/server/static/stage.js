// Two pictures of one frame with a line between them, fitted to the page or pixel by pixel.
import "/static/slider.js";
import { h } from "./dom.js";

const ZOOMS = [["fit", "Fit"], ["1", "1:1"], ["2", "2:1"]];

export class Stage {
  constructor() {
    this.box = h("div", { className: "stage-box" });
    this.zoom = "fit";
    this.buttons = ZOOMS.map(([zoom, text]) => h("button", { type: "button", "aria-pressed": zoom === "fit", onclick: () => this.setZoom(zoom) }, text));
    this.tools = h("div", { className: "zoom", role: "group", "aria-label": "Size of the pictures", hidden: true }, this.buttons);
    this.element = h("div", { className: "stage-outer" }, this.box, this.tools);
  }

  /** One picture. */
  show(source, alt) {
    this.key = null;
    if (this.picture?.isConnected) { this.picture.src = source; this.picture.alt = alt }
    else {
      this.picture = h("img", { src: source, alt, className: "frame" });
      this.box.replaceChildren(this.picture);
    }
    this.tools.hidden = true;
    this.#fit("fit");
  }

  /** Before and after, as soon as both are there; what is shown stays until then. */
  async compare(before, after, names = ["Before", "After"]) {
    const key = JSON.stringify([before, after]);
    if (this.key === key && this.slider?.isConnected) return;
    this.key = key;
    await Promise.allSettled([before, after].map(source => Object.assign(new Image(), { src: source }).decode()));
    if (this.key !== key) return;  // something else is wanted by now
    if (this.slider?.isConnected) this.slider.change([before, after]);
    else {
      this.slider = h("before-after", { "data-plain": "" }, h("img", { src: before, alt: names[0] }), h("img", { src: after, alt: names[1] }));
      this.box.replaceChildren(this.slider);
    }
    this.tools.hidden = false;
    this.#fit(this.zoom);
  }

  setZoom(zoom) {
    this.zoom = zoom;
    this.#fit(zoom);
  }

  #fit(zoom) {
    this.buttons.forEach((button, n) => button.setAttribute("aria-pressed", ZOOMS[n][0] === zoom));
    this.box.dataset.zoom = zoom;
    this.box.classList.toggle("free", zoom !== "fit");
    if (zoom === "fit") this.box.removeAttribute("tabindex");
    else this.box.tabIndex = 0;
    for (const picture of this.box.querySelectorAll("before-after img")) {
      const size = () => { picture.style.width = zoom === "fit" ? "" : `${picture.naturalWidth * Number(zoom) / devicePixelRatio}px` };
      if (picture.complete) size();
      else picture.addEventListener("load", size, { once: true });
    }
  }
}
