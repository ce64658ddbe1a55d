// What is seen before a film is chosen: how it goes, and whether a run works on the server.
import { get } from "./api.js";
import { errorBox, h } from "./dom.js";

export function welcome() {
  const found = h("div", { role: "status" });
  const button = h("button", { type: "button" }, "Check this machine");
  button.addEventListener("click", async () => {
    button.disabled = true;
    found.replaceChildren(h("p", { className: "soft" }, "Looking …"));
    try {
      const { works, findings } = await get("doctor");
      found.replaceChildren(h("p", {}, works ? "Runs work here." : "Something is in the way of runs here."),
        h("dl", { className: "findings" }, findings.map(one => h("div", { "data-level": one.level }, h("dt", {}, one.subject),
          h("dd", {}, one.text, one.remedy ? h("span", { className: "remedy" }, one.remedy) : null)))));
    } catch (error) {
      found.replaceChildren(errorBox(error));
    }
    button.disabled = false;
  });
  return h("div", { className: "welcome" }, h("h1", {}, "Choose a film."),
    h("p", {}, "See what it would become, before and after, then add it to the queue. Work continues when this page is closed, and resumes after a restart."),
    h("div", { className: "actions" }, button), found);
}
