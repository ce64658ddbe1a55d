// Two of several pictures, one above the other, with a line to drag. Without scripts the pictures just follow each other.
customElements.define("before-after", class extends HTMLElement {
  connectedCallback() {
    const pictures = [...this.querySelectorAll("img")];
    const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
    const stage = make("div", { className: "stage" }), names = make("div", { className: "names" });
    const shown = [0, pictures.length - 1].map(n => pictures[n].cloneNode());
    const range = make("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, ariaLabel: "Left of the line or right of it" });
    const move = () => stage.style.setProperty("--at", range.value + "%");
    range.addEventListener("input", move);
    for (const [side, label] of ["left of the line", "right of the line"].entries()) {
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
    move();
  }
});
