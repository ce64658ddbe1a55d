// The films under the roots.
import { get, query, thumbnail } from "./api.js";
import { bytes, errorBox, folderOf, h, still } from "./dom.js";
import { ofFilm, stateWords, watchJobs } from "./jobs.js";
import { uploadButton } from "./upload.js";

const MANY = 12;
const pane = document.getElementById("films");
const title = h("h2", { id: "films-title", className: "pane-title" }, "Films");
const trail = h("nav", { className: "trail", "aria-label": "Folder" });
const filter = h("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter films by name", hidden: true, oninput: () => draw() });
const list = h("ul", { className: "film-list" });
const message = h("div");
pane.append(title, trail, filter, message, list);

let shown = { path: null, folders: [], films: [] };
let roots = [];
let chosen = "";
let uploads;

export async function openFolder(path) {
  try {
    if (!roots.length) roots = await get("roots");
    if (path === null && roots.length === 1) path = roots[0].name;
    shown = path === null
      ? { path: null, folders: roots.map(root => ({ name: root.name, path: root.name })), films: [] }
      : await get(`files?${query({ path })}`);
    message.replaceChildren();
    filter.value = "";
  } catch (error) {
    message.replaceChildren(errorBox(error));
  }
  draw();
  if (uploads === undefined) {
    uploads = uploadButton(() => shown.path, refresh).catch(() => null);
    const made = await uploads;
    if (made) pane.append(made);
    draw();
  }
}

/** List the folder anew; results and new films appear. */
export async function refresh() {
  if (shown.path === null) return openFolder(null);
  try {
    shown = await get(`files?${query({ path: shown.path })}`);
    draw();
  } catch { /* said by the connection */ }
}

/** Mark the film that is open, and show the folder it lies in. */
export function choose(path) {
  chosen = path;
  if (path && folderOf(path) !== shown.path) openFolder(folderOf(path));
  else mark();
}

function draw() {
  const parts = (shown.path ?? "").split("/").filter(Boolean);
  const steps = parts.map((part, n) => [part, parts.slice(0, n + 1).join("/")]);
  if (roots.length > 1) steps.unshift(["All", null]);
  trail.replaceChildren(...(steps.length > 1 ? steps : []).map(([name, path], n) => n === steps.length - 1
    ? h("span", { "aria-current": "true" }, name)
    : h("button", { type: "button", className: "plain", onclick: () => openFolder(path) }, name)));
  trail.hidden = steps.length < 2;
  const upload = pane.querySelector(".upload");
  if (upload) upload.hidden = shown.path === null;
  filter.hidden = shown.films.length <= MANY;
  const wanted = filter.value.trim().toLowerCase();
  const films = shown.films.filter(film => film.name.toLowerCase().includes(wanted));
  list.replaceChildren(...(wanted ? [] : shown.folders).map(folderItem), ...films.map(filmItem));
  if (!shown.folders.length && !films.length) {
    list.append(h("li", { className: "soft" }, wanted ? "No film has that in its name." : "No films here. Put some into this folder; they appear by themselves."));
  }
  mark();
}

const folderItem = folder => h("li", {}, h("button", { type: "button", className: "folder", onclick: () => openFolder(folder.path) }, folder.name));

function filmItem(film) {
  const picture = still(thumbnail(film.path, 2, 320), thumbnail(film.path, 0, 320), { width: 320, height: 180 });
  const words = h("span", { className: "words" }, h("span", { className: "name" }, film.name),
    h("small", {}, bytes(film.bytes), film.made ? " · made by vsr" : "", h("span", { className: "film-state" })));
  return h("li", {}, h("a", { className: "film", href: `#/film/${encodeURIComponent(film.path)}`, "data-path": film.path }, picture, words));
}

function mark() {
  for (const link of list.querySelectorAll("a.film")) {
    const one = ofFilm(link.dataset.path);
    link.querySelector(".film-state").textContent = one ? ` · ${stateWords(one)}` : "";
    if (link.dataset.path === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

let states = "";
watchJobs(one => {
  const now = one ? `${one.id} ${one.state}` : "";
  if (now === states && one) return;
  states = now;
  mark();
  if (one?.state === "finished") refresh();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh() });
