// Elements from values, and numbers in words.

/** An element; properties that begin with "on" are listeners, names with a dash and `role`, `for` are attributes. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for" || key === "list") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.flat().filter(child => child !== undefined && child !== null && child !== false));
  return element;
}

/** Change an element's text only where it differs, so that screen readers and selections are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const clock = seconds => {
  const whole = Math.max(0, Math.floor(seconds)), part = Math.round((seconds - whole) * 10);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const text = `${minutes}:${String(rest).padStart(2, "0")}${part && part < 10 && seconds < 600 ? `.${part}` : ""}`;
  return hours ? `${hours}:${text.padStart(5, "0")}` : text;
};

/** "1:02:03.5" or "63" -> seconds; NaN for what is no time. */
export const secondsOf = text => {
  const parts = text.trim().split(":").map(Number);
  return text.trim() && parts.length <= 3 ? parts.reduce((sum, part) => sum * 60 + part, 0) : NaN;
};

export const duration = seconds => {
  if (seconds < 1) return "under a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60 ? `${minutes % 60} min` : ""}`.trim();
};

export const bytes = count => {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let place = 0, value = count;
  while (value >= 999.5 && place < units.length - 1) { value /= 1000; place += 1 }
  return `${place === 0 || value >= 99.5 ? Math.round(value) : value.toPrecision(value < 9.95 ? 2 : 3)} ${units[place]}`;
};

export const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
export const nameOf = path => path.slice(path.lastIndexOf("/") + 1);
export const folderOf = path => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** A small picture of a film; where the film is shorter than that or can't be read, its first frame or nothing. */
export function still(source, first, properties) {
  const picture = h("img", { src: source, alt: "", loading: "lazy", decoding: "async", ...properties });
  picture.addEventListener("error", () => {
    if (picture.src.endsWith(first)) picture.classList.add("broken");
    else picture.src = first;
  });
  return picture;
}

const announcer = document.getElementById("announcer");
/** Have a screen reader say something, without moving the focus. */
export const announce = text => say(announcer, text);

/** An error as the command says it: one line, with what to do about it. */
export const errorBox = error => h("p", { className: "error", role: "alert" }, error.message ?? String(error));
