"use strict";
// What makes a page comfortable; every page reads well without it.

// --- A page of a sweep that runs moves by itself: its regions are fetched anew when the mark of the record changes.
const QUICK_MS = 2000, SLOW_MS = 5000;

async function regions(address) {
  const answer = await fetch(marked(address), { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-region]")) {
    const next = fresh.querySelector(`[data-region="${old.dataset.region}"]`);
    if (!next || next.innerHTML === old.dataset.was) continue;
    const picked = new Set([...old.querySelectorAll("input:checked")].map((box) => box.value));
    const focused = old.contains(document.activeElement) ? document.activeElement.closest("[href], input, [tabindex]") : null;
    const key = focused && (focused.getAttribute("href") || focused.value);
    const left = old.querySelector(".sheet")?.scrollLeft;
    old.dataset.was = next.innerHTML;
    old.replaceChildren(...next.childNodes);
    for (const box of old.querySelectorAll("input[type=checkbox]")) box.checked = picked.has(box.value);
    if (left) old.querySelector(".sheet").scrollLeft = left;
    if (key) [...old.querySelectorAll("[href], input")].find((one) => (one.getAttribute("href") || one.value) === key)?.focus();
  }
  count();
}

// What is shown may be old: that is said for as long as it may be so.
function stale(why) {
  let line = document.getElementById("stale");
  if (!why) { line?.remove(); return; }
  if (!line) {
    line = Object.assign(document.createElement("p"), { id: "stale", className: "stale" });
    line.setAttribute("role", "status");
    document.getElementById("main").prepend(line);
  }
  line.textContent = why;
}

// An answer may have been kept for a moment; one of this mark is not older than the mark.
function marked(address) {
  const { mark } = document.body.dataset;
  const url = new URL(address, location);
  if (mark) url.searchParams.set("mark", mark);
  return url.pathname + url.search;
}

function live(address) {
  const shown = document.body.dataset;
  async function look() {
    let wait = SLOW_MS;
    try {
      const answer = await fetch(address);
      if (answer.status === 401) { stale("The server was started anew: open the link that it printed. This page shows what it last knew."); return; }
      const found = await answer.json();
      stale(answer.ok ? "" : `${found.error} This page shows what was last known.`);
      if (found.mark && found.mark !== shown.mark) {
        const before = shown.mark;
        shown.mark = found.mark;
        try { await regions(location.href); }
        catch (error) { shown.mark = before; throw error; }
        document.dispatchEvent(new Event("moved"));
      }
      if (found.live) wait = QUICK_MS;
    } catch { stale("The server cannot be reached: this page shows what it last said."); }
    setTimeout(look, document.hidden ? SLOW_MS : wait);
  }
  look();
}

// --- Sorting and paging without a new page, where it would do the same.
async function swap(address) {
  await regions(address);
  history.pushState(null, "", address);
  document.querySelector("input[name=sort]")?.remove();
  const sort = new URL(address, location).searchParams.get("sort");
  if (sort) {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: "sort", value: sort });
    document.querySelector("form.controls")?.append(field);
  }
  document.dispatchEvent(new CustomEvent("swapped", { detail: address }));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  swap(link.href).catch(() => location.assign(link.href));
});
addEventListener("popstate", () => location.reload());

// --- Trials are picked to be compared.
function count() {
  const button = document.querySelector("#compare button");
  if (!button) return;
  const n = document.querySelectorAll("input[name=trial]:checked").length;
  button.disabled = n < 2 || n > 20;
  button.textContent = n < 2 ? "Compare: pick two or more" : `Compare ${n} trials`;
}
document.addEventListener("change", (event) => { if (event.target.name === "trial") count(); });

// --- Commands are copied.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code").textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(button.parentElement.querySelector("code")); button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// --- A log is followed while its trial writes.
for (const log of document.querySelectorAll("[data-follow]")) {
  const LONGEST = 400000;
  log.scrollTop = log.scrollHeight;
  async function more() {
    try {
      const answer = await fetch(log.dataset.follow + "&after=" + log.dataset.end);
      const found = answer.ok ? await answer.json() : null;
      if (found) {
        const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
        if (found.text) log.firstElementChild.append(found.text);
        if (log.textContent.length > LONGEST) log.firstElementChild.textContent = log.textContent.slice(-LONGEST / 2);
        log.dataset.end = found.end;
        if (isAtEnd) log.scrollTop = log.scrollHeight;
        if (found.state !== "RUNNING" && !found.text) return;
      }
    } catch { /* asked again */ }
    setTimeout(more, 1500);
  }
  more();
}

// --- Keys.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const rows = [...document.querySelectorAll("[data-region=board] tbody tr, [data-region=studies] tbody tr")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const step = { j: 1, k: -1 }[event.key];
  if (step) rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.querySelector("a")?.focus();
  else if (event.key === "x" && at >= 0) { const box = rows[at].querySelector("input"); if (box) box.click(); }
  else if (event.key === "c") document.querySelector("#compare button:enabled")?.click();
  else if (event.key === "g") location.assign("/");
  else if (event.key === "/") { const field = document.getElementById("where"); if (!field) return; event.preventDefault(); field.focus(); }
});

count();
if (document.body.dataset.live) live(document.body.dataset.live);
