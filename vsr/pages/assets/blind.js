// Two pictures at a time on random sides; what was said of each, in the order of the names.
const data = JSON.parse(document.getElementById("data").textContent);
// Which side shows which picture: an odd number of bits means that the second of the names comes first.
const parity = byte => { let bits = 0; for (let b = byte; b; b >>= 1) bits ^= b & 1; return bits };
const key = [...atob(data.key)].map(c => parity(c.charCodeAt(0)));
const draw = most => crypto.getRandomValues(new Uint32Array(1))[0] % most;
const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
const find = id => document.getElementById(id);
const words = ["bad", "poor", "fair", "good", "excellent"];

const trials = [...document.querySelectorAll(".trial")].map((element, n) => {
  let swapped = Boolean(key[n]);
  const sides = element.querySelector(".sides");
  if (draw(2)) { sides.append(sides.firstElementChild); swapped = !swapped }
  const trial = { element, swapped, seconds: Number(element.dataset.seconds), said: [0, 0] };
  [...sides.children].forEach((side, place) => {
    const where = ["first", "second"][place];
    side.querySelector("img, video")[side.querySelector("img") ? "alt" : "ariaLabel"] = `the ${where} picture`;
    const field = make("fieldset", { className: "rate" }), row = make("div");
    words.forEach((word, value) => {
      const label = make("label"), input = make("input", { type: "radio", name: `${n}-${where}`, value: value + 1, ariaLabel: `${where}: ${value + 1}, ${word}` });
      input.addEventListener("change", () => { trial.said[place] = value + 1; show() });
      label.append(input, make("b", { textContent: value + 1 }), make("small", { textContent: word }));
      row.append(label);
    });
    field.append(make("legend", { textContent: `The ${where} picture is` }), row);
    side.append(field);
  });
  return trial;
});
for (let n = trials.length - 1; n > 0; n--) { const other = draw(n + 1); [trials[n], trials[other]] = [trials[other], trials[n]] }

let place = 0;
function show() {
  const done = place === trials.length;
  find("test").hidden = done;
  find("result").hidden = !done;
  trials.forEach((trial, n) => {
    trial.element.hidden = n !== place;
    for (const clip of trial.element.querySelectorAll("video")) { if (n === place && clip.paused) { clip.currentTime = 0; clip.play() } else if (n !== place) clip.pause() }
  });
  if (done) { sum(); return }
  find("place").textContent = `Pair ${place + 1} of ${trials.length}`;
  find("back").disabled = place === 0;
  find("next").disabled = trials[place].said.includes(0);
  find("next").textContent = place === trials.length - 1 ? "See which was which" : "Next";
}
const step = by => { place += by; show(); scrollTo(0, 0) };
find("next").addEventListener("click", () => step(1));
find("back").addEventListener("click", () => step(-1));
find("again").addEventListener("click", () => step(-1));

const ratings = () => trials.map(t => ({ seconds: t.seconds, ratings: t.swapped ? [t.said[1], t.said[0]] : t.said }));
function sum() {
  const all = ratings().map(r => r.ratings), count = all.length;
  const share = all.reduce((s, [a, b]) => s + (a > b ? 1 : a === b ? 0.5 : 0), 0) / count;
  document.querySelector("#result tbody").replaceChildren(...data.names.map((name, n) => {
    const own = all.map(r => r[n]), mean = own.reduce((a, b) => a + b) / count;
    const deviation = Math.sqrt(own.reduce((s, r) => s + (r - mean) ** 2, 0) / (count - 1));
    const interval = count > 1 ? ` ± ${(1.96 * deviation / Math.sqrt(count)).toFixed(2)}` : "";
    const row = make("tr");
    row.append(make("th", { textContent: name, scope: "row" }), make("td", { textContent: mean.toFixed(2) + interval }),
      make("td", { textContent: `${Math.round((n ? 1 - share : share) * 100)} %` }));
    return row;
  }));
}
const rater = crypto.getRandomValues(new Uint32Array(4)).reduce((text, n) => text + n.toString(16).padStart(8, "0"), "");
find("save").addEventListener("click", () => {
  const saved = { format: data.format, test: data.test, rater, name: find("rater").value.trim(), names: data.names, trials: ratings() };
  const link = make("a", { href: URL.createObjectURL(new Blob([JSON.stringify(saved, null, 1)], { type: "application/json" })), download: `ratings-${data.test}-${rater.slice(0, 8)}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});
show();
