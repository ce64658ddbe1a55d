// Two of several pictures, one above the other, with a line to drag. Without scripts the pictures just follow each other.
// data-plain: the two keep their places and are named below, without a choice.
customElements.define("before-after", class extends HTMLElement {
  connectedCallback() {
    if (this.range) return;  // moved within the page
    const pictures = [...this.querySelectorAll("img")], plain = "plain" in this.dataset;
    const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
    const stage = make("div", { className: "stage" }), names = make("div", { className: "names" });
    const shown = [0, pictures.length - 1].map(n => pictures[n].cloneNode());
    const range = make("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, ariaLabel: "Left of the line or right of it" });
    const move = () => {
      stage.style.setProperty("--at", range.value + "%");
      range.setAttribute("aria-valuetext", `${Math.round(range.value)} % from the left`);
    };
    range.addEventListener("input", move);
    for (const [side, label] of ["left of the line", "right of the line"].entries()) {
      if (plain) { names.append(make("span", { textContent: shown[side].alt })); continue }
      const select = make("select", { ariaLabel: label });
      pictures.forEach((picture, n) => select.add(new Option(picture.alt, n)));
      select.value = side ? pictures.length - 1 : 0;
      select.addEventListener("change", () => {
        shown[side].src = pictures[select.value].src;
        shown[side].alt = pictures[select.value].alt;
      });
      names.append(select);
    }
    stage.append(...shown, range, make("div", { className: "line" }));
    this.replaceChildren(stage, names);
    [this.range, this.shown] = [range, shown];
    move();
  }

  /** Show two other pictures, the line where it is. */
  change(sources) {
    sources.forEach((source, side) => { this.shown[side].src = source });
  }
});
