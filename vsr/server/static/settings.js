// The few settings that people choose, as a form. What is left at its default is not sent: the command or the preset decides.
import { clock, h, secondsOf } from "./dom.js";

const SIZES = [["", "Default"], ["1440p", "1440p"], ["4k", "4K"], ["8k", "8K"], ["×2", "×2"]];
const CODECS = [["", "Default (HEVC)"], ["hevc", "HEVC"], ["h264", "H.264"], ["av1", "AV1"], ["prores", "ProRes"], ["ffv1", "FFV1, lossless"]];

let serial = 0;

/** The form of one film. `changed` is called with the settings after every change; `here` gives the moment that is shown. */
export class SettingsForm {
  constructor(presets, networks, settings, { changed, here }) {
    this.settings = { ...settings };
    this.changed = changed;
    this.here = here;
    this.presets = presets;
    this.networks = networks;
    this.element = h("form", { className: "settings", "aria-label": "Settings", onsubmit: event => event.preventDefault() },
      this.#preset(), this.#size(), this.#network(), this.#codec(), this.#level(), this.#detail(), this.#range());
  }

  #set(values) {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete this.settings[name];
      else this.settings[name] = value;
    }
    this.changed(this.settings);
  }

  #field(label, control, hint) {
    const id = `setting-${++serial}`;
    control.id = id;
    const about = hint && Object.assign(hint, { id: `${id}-about`, className: "hint" });
    if (about) control.setAttribute("aria-describedby", about.id);
    return h("div", { className: "field" }, h("label", { for: id }, label), control, about);
  }

  #preset() {
    const hint = h("p");
    const select = h("select", {}, new Option("None", ""), ...this.presets.filter(p => p.name !== "default").map(p => new Option(p.name, p.name)));
    select.value = this.settings.config ?? "";
    const describe = () => { hint.textContent = this.presets.find(p => p.name === select.value)?.description ?? "Defaults that suit most films." };
    select.addEventListener("change", () => { describe(); this.#set({ config: select.value || undefined }) });
    describe();
    return this.#field("Preset", select, hint);
  }

  #size() {
    const now = this.settings.scale ? `×${this.settings.scale}` : this.settings.to ?? "";
    const name = `size-${++serial}`;
    const choose = value => this.#set(value.startsWith("×") ? { scale: Number(value.slice(1)), to: undefined } : { to: value || undefined, scale: undefined });
    return h("fieldset", { className: "field" }, h("legend", {}, "Size"), h("div", { className: "segments" }, SIZES.map(([value, text]) =>
      h("label", {}, h("input", { type: "radio", name, value, checked: value === now, onchange: () => choose(value) }), h("span", {}, text)))));
  }

  #network() {
    const hint = h("p");
    const select = h("select", {}, new Option("Chosen by the film", ""));
    for (const purpose of new Set(this.networks.map(n => n.purpose))) {
      const group = h("optgroup", { label: purpose });
      for (const network of this.networks.filter(n => n.purpose === purpose)) group.append(new Option(network.name, network.name));
      select.append(group);
    }
    select.value = this.settings.model ?? "";
    const describe = () => {
      hint.textContent = this.networks.find(n => n.name === select.value)?.description ?? "By how compressed or noisy the frames are, and by this machine.";
    };
    select.addEventListener("change", () => { describe(); this.#set({ model: select.value || undefined }) });
    describe();
    return this.#field("Network", select, hint);
  }

  #codec() {
    const select = h("select", {}, ...CODECS.map(([value, text]) => new Option(text, value)));
    select.value = this.settings.codec ?? "";
    select.addEventListener("change", () => this.#set({ codec: select.value || undefined }));
    return this.#field("Codec", select);
  }

  #level() {
    const automatic = !(typeof this.settings.restore === "number");
    const output = h("output");
    const range = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: automatic ? 0.5 : this.settings.restore, disabled: automatic });
    const box = h("input", { type: "checkbox", checked: automatic });
    const show = () => {
      output.textContent = box.checked ? "" : Number(range.value).toFixed(2);
      range.setAttribute("aria-valuetext", `${Math.round(range.value * 100)} %`);
    };
    range.addEventListener("input", show);
    range.addEventListener("change", () => this.#set({ restore: Number(range.value) }));
    box.addEventListener("change", () => {
      range.disabled = box.checked;
      show();
      this.#set({ restore: box.checked ? undefined : Number(range.value) });
    });
    show();
    const field = this.#field("Damage to remove", range, h("p", {}, "Compression and noise: 0 leaves all, 1 takes the most away."));
    field.firstChild.append(" ", output);
    field.insertBefore(h("label", { className: "check" }, box, "By the film's frames"), range);
    return field;
  }

  #detail() {
    const output = h("output");
    let automatic = typeof this.settings.detail !== "number";
    const range = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: automatic ? 0.75 : this.settings.detail });
    const show = () => {
      output.textContent = automatic ? "" : Number(range.value).toFixed(2);
      range.setAttribute("aria-valuetext", automatic ? "by the film's damage" : `${Math.round(range.value * 100)} %`);
    };
    range.addEventListener("input", () => {
      automatic = false;
      show();
    });
    range.addEventListener("change", () => this.#set({ detail: Number(range.value) }));
    show();
    const field = this.#field("Detail", range, h("p", {}, "Of restoring networks: 0 is faithful, 1 crisp. Until moved: 0.75, less for films with little damage."));
    field.firstChild.append(" ", output);
    return field;
  }

  #range() {
    const [first, last] = (this.settings.range ?? "-").split("-");
    const hint = h("p", { className: "hint", id: `setting-${++serial}` }, "Seconds or h:mm:ss; empty for all of it.");
    const part = (label, value) => h("input", {
      type: "text", inputMode: "decimal", value, autocomplete: "off", "aria-label": label, "aria-describedby": hint.id, onchange: () => read(),
    });
    const from = part("Part of the film: from", first), to = part("Part of the film: to", last);
    const read = () => {
      let good = true;
      for (const box of [from, to]) {
        const wrong = box.value.trim() !== "" && !Number.isFinite(secondsOf(box.value));
        box.setAttribute("aria-invalid", wrong);
        good &&= !wrong;
      }
      hint.textContent = good ? "Seconds or h:mm:ss; empty for all of it." : "That is not a time. Seconds or h:mm:ss, such as 1:30.";
      if (good) this.#set({ range: from.value.trim() || to.value.trim() ? `${from.value.trim() || 0}-${to.value.trim()}` : undefined });
    };
    const here = (box, words) => h("button", { type: "button", className: "plain", onclick: () => { box.value = clock(this.here()); read() } }, words);
    return h("fieldset", { className: "field" }, h("legend", {}, "Part of the film"),
      h("div", { className: "range" }, from, h("span", { "aria-hidden": "true" }, "–"), to),
      h("div", { className: "range-here" }, here(from, "From the moment shown"), here(to, "To the moment shown")), hint);
  }
}
