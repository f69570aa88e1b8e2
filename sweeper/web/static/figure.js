"use strict";
// Figures are drawn when they come into view, again when what is on record has changed, the width or the theme.

const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false };

const watching = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) { watching.unobserve(entry.target); load(entry.target); }
  }
}, { rootMargin: "300px" });

async function load(figure) {
  figure.dataset.seen = "1";
  try {
    const answer = await fetch(marked(figure.dataset.source), { headers: { Accept: "application/json" } });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error || answer.statusText);
    figure.found = found;
    draw(figure);
    if (found.pending) setTimeout(() => load(figure), 1500);
  } catch (error) {
    said(figure, "This figure cannot be had now: " + error.message);
  }
}

function draw(figure) {
  const found = figure.found;
  said(figure, found.gist + (found.r2 == null ? "" : `. ${found.trials} trials; the forest behind this foretells ${Math.max(0, Math.round(100 * found.r2))}% of unseen ones`));
  const plot = figure.querySelector(".plot");
  const parts = found.curves || found.bars || found.panels || found.rulers || (found.last !== undefined ? [1] : []);
  if (!parts.length) { plot.hidden = true; return; }
  plot.hidden = false;
  const width = plot.clientWidth;
  const { data, layout, height } = PAINT[figure.dataset.figure](found, width);
  if (height) Object.assign(plot.style, { height: height + "px", minHeight: 0 });
  Plotly.react(plot, data, { ...layout, width, height: height || plot.clientHeight }, CONFIG);
  if (!plot.dataset.listens) {
    plot.dataset.listens = "1";
    plot.on("plotly_click", (event) => follow(figure, event.points[0].customdata));
  }
  advise(figure, found);
}

// A point leads to its trial.
function follow(figure, trial) {
  if (trial === undefined || trial === null) return;
  const study = new URL(figure.dataset.source, location).searchParams.get("study");
  const name = typeof trial === "string" ? trial : study + "/" + trial;
  location.assign("/trial?" + new URLSearchParams({ trial: name }));
}

function said(figure, text) {
  figure.querySelector(".gist").textContent = text;
  figure.querySelector(".plot").setAttribute("aria-label", text);
}

function advise(figure, found) {
  const pieces = [...(found.advice || []), ...(found.notes || [])].slice(0, 6);
  let list = figure.querySelector("ul.advice");
  if (!list && pieces.length) { list = document.createElement("ul"); list.className = "advice"; figure.append(list); }
  if (list) list.replaceChildren(...pieces.map((piece) => { const item = document.createElement("li"); item.textContent = piece; return item; }));
}

function redraw() {
  for (const figure of document.querySelectorAll("figure[data-figure]")) if (figure.found) draw(figure);
}

function reload() {
  for (const figure of document.querySelectorAll("figure[data-figure]")) if (figure.dataset.seen) load(figure);
}

let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
document.addEventListener("moved", reload);

// The curves are those of the table: another metric, another order of trials.
function ask(figure, given) {
  const source = new URL(figure.dataset.source, location);
  for (const [name, value] of Object.entries(given)) value ? source.searchParams.set(name, value) : source.searchParams.delete(name);
  figure.dataset.source = source.pathname + source.search;
  if (figure.dataset.seen) load(figure);
}
document.addEventListener("change", (event) => {
  const choice = event.target.closest("[data-chooses]");
  if (choice) ask(document.getElementById(choice.dataset.chooses), { [choice.name]: choice.value });
});
document.addEventListener("swapped", (event) => {
  const figure = document.getElementById("curves");
  if (figure) ask(figure, { sort: new URL(event.detail, location).searchParams.get("sort") });
});

for (const figure of document.querySelectorAll("figure[data-figure]")) watching.observe(figure);
