// Putting a film into a folder of the server, where it takes uploads.
import { BASE, get, query } from "./api.js";
import { announce, bytes, errorBox, h } from "./dom.js";

/** A button for the folder that `folder` names; `done` is called with the film's path. Nothing where uploads are not taken. */
export async function uploadButton(folder, done) {
  const { uploads } = await get("server");
  if (!uploads) return null;
  const state = h("p", { className: "soft", role: "status" });
  const input = h("input", { type: "file", accept: "video/*,.mkv,.ts,.mts,.m2ts", className: "unseen", tabIndex: -1, "aria-label": "Film to upload" });
  const button = h("button", { type: "button", onclick: () => input.click() }, "Upload a film");
  input.addEventListener("change", () => {
    const file = input.files[0];
    if (!file) return;
    if (file.size > uploads) { state.replaceChildren(errorBox({ message: `${file.name} is ${bytes(file.size)}; the server takes ${bytes(uploads)} at most` })); return }
    const path = `${folder()}/${file.name}`, request = new XMLHttpRequest();  // which tells how far it is
    request.open("POST", `${BASE}uploads?${query({ path })}`);
    request.upload.onprogress = event => { state.textContent = `${file.name}: ${Math.floor(event.loaded / event.total * 100)} %` };
    request.onload = () => {
      input.value = "";
      button.disabled = false;
      if (request.status < 300) { state.textContent = ""; announce(`${file.name} is uploaded.`); done(path); return }
      let message = `the server answered ${request.status}`;
      try { message = JSON.parse(request.responseText).error } catch { /* as it is */ }
      state.replaceChildren(errorBox({ message }));
    };
    request.onerror = () => { button.disabled = false; state.replaceChildren(errorBox({ message: "the upload broke off; try again" })) };
    button.disabled = true;
    request.send(file);
  });
  return h("div", { className: "upload" }, button, input, state);
}
