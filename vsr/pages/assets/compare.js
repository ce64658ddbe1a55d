// One chart at a time, and the figures under the pointer.
const charts = [...document.querySelectorAll("figure[data-metric]")], tabs = document.querySelector(".tabs");
const show = name => {
  charts.forEach(chart => { chart.hidden = chart.dataset.metric !== name });
  tabs.querySelectorAll("button").forEach(b => b.setAttribute("aria-selected", b.dataset.metric === name));
};
tabs.hidden = false;
tabs.addEventListener("click", event => { if (event.target.dataset.metric) show(event.target.dataset.metric) });
show(charts[0].dataset.metric);
const clock = s => `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, "0")}:${(s % 60).toFixed(3).padStart(6, "0")}`;
for (const chart of charts) {
  const data = JSON.parse(chart.querySelector("script").textContent), end = data.at.at(-1) || 1;
  const plot = chart.querySelector(".plot"), cross = chart.querySelector(".cross"), output = chart.querySelector("output");
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect(), wanted = (event.clientX - box.left) / box.width * end;
    let place = data.at.findIndex(t => t > wanted) - 1;
    if (place < -1) place = data.at.length - 1;
    place = Math.max(0, place);
    cross.style.display = "block";
    cross.style.left = data.at[place] / end * 100 + "%";
    const shown = data.values.map((v, n) => (data.names.length > 1 ? data.names[n] + " " : "") + v[place].toFixed(data.digits));
    output.textContent = clock(data.at[place]) + ": " + shown.join(", ");
  });
  plot.addEventListener("pointerleave", () => { cross.style.display = "none"; output.textContent = "" });
}
