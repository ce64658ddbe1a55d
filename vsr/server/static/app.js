// Which view is shown; the connection to the server.
import { get, listen } from "./api.js";
import { errorBox, h } from "./dom.js";
import { welcome } from "./machine.js";
import { choose, openFolder, refresh } from "./films.js";
import { FilmView, previewChanged } from "./film.js";
import { inOrder, isOver, refetch, reorder, update, watchJobs } from "./jobs.js";
import { JobView } from "./job.js";
import { drawQueue } from "./queue.js";

const work = document.getElementById("work");
const connection = document.getElementById("connection");
let view = null;

/** "#/film/NAME" -> "film" and the name; of an address that is none, nothing. */
function parts(hash) {
  const [kind, ...rest] = hash.slice(2).split("/");
  try {
    return [kind, decodeURIComponent(rest.join("/"))];
  } catch {
    return ["", ""];
  }
}

function show() {
  const hash = location.hash || "#/";
  if (!hash.startsWith("#/")) return;  // the skip link
  const [kind, rest] = parts(hash);
  view?.close();
  view = null;
  document.body.dataset.view = ["film", "job", "queue"].includes(kind) ? kind : "films";
  choose(kind === "film" ? rest : "");
  if (kind === "film") view = new FilmView(work, rest);
  else if (kind === "job") view = new JobView(work, rest);
  else work.replaceChildren(welcome());
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === (["queue", "job"].includes(kind) ? "#/queue" : "#/")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view ? `${view.title} – vsr` : "vsr";
  if (shownBefore) work.focus({ preventScroll: true });
  work.scrollTop = 0;
  scrollTo(0, 0);
  shownBefore = true;
}
let shownBefore = false;

function count() {
  const open = inOrder().filter(one => !isOver(one));
  const running = open.find(one => one.state === "running" && one.progress?.frames);
  document.getElementById("count").textContent = open.length ? `(${open.length})` : "";
  const share = running ? `${Math.floor(running.progress.done / running.progress.frames * 100)} % – ` : "";
  document.title = share + (view ? `${view.title} – vsr` : "vsr");
}

let away = null;
function lost() {
  away ??= setTimeout(() => {
    connection.hidden = false;
    connection.textContent = "Connection lost. Trying again …";
    document.body.classList.add("away");
  }, 700);  // a server that restarts at once is none to speak of
}

let connected = false;
async function opened() {
  clearTimeout(away);
  away = null;
  try {
    await refetch();
  } catch (error) {
    if (error.status === 0) { lost(); return }
    throw error;
  }
  document.body.classList.remove("away");
  if (!connection.hidden) connection.textContent = "";
  connection.hidden = true;
  if (connected) { refresh(); view?.refresh() }
  connected = true;
}

async function begin() {
  try {
    await get("roots");
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      document.body.dataset.view = "film";
      work.replaceChildren(h("div", { className: "welcome" }, h("h1", {}, "This page needs its token."), errorBox(error)));
      return;
    }
    lost();
    setTimeout(begin, 2000);
    return;
  }
  drawQueue();
  watchJobs(count);
  listen({ opened, lost, job: update, queue: reorder, preview: previewChanged });
  if (!location.hash.startsWith("#/film")) openFolder(null);
  addEventListener("hashchange", show);
  await refetch().catch(() => {});
  show();
}

document.querySelector(".skip").addEventListener("click", event => { event.preventDefault(); work.focus() });
begin();

