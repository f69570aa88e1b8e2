"use strict";
// How each figure looks: from the numbers of /api/… to what Plotly draws. Names come from the record: Plotly reads
// some marks of HTML in texts, so each goes through `plain`.

// The page's policy forbids styles as attributes, and plotly sets a few so; through the object model they are allowed.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

const PLAIN = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function plain(text, longest = 32) {
  const letters = [...String(text)];
  const short = letters.length > longest ? "…" + letters.slice(1 - longest).join("") : letters.join("");
  return short.replace(/[&<>]/g, (letter) => PLAIN[letter]);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function layoutOf(more) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("grey"), automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("ink"), size: 12, family: "system-ui, DejaVu Sans, sans-serif" },
    margin: { l: 50, r: 14, t: more.showlegend && !more.legend ? 34 : 10, b: 42 },
    hovermode: "closest",
    hoverlabel: { bgcolor: colour("paper"), bordercolor: colour("grey"), font: { color: colour("ink") } },
    showlegend: false,
    legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0 },
    dragmode: false,
    ...more,
    xaxis: { ...axis, showgrid: false, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

function better(name, direction) {
  const word = { maximize: " (higher is better)", minimize: " (lower is better)" }[direction] || "";
  return plain(name) + word;
}

const PAINT = {
  progress(found) {
    const sees = "trial %{x}: %{y:.5g}<extra></extra>";
    const points = (what, name, marker) => ({
      ...what, name, type: "scatter", mode: "markers", marker, hovertemplate: sees, customdata: what.x,
    });
    const pruned = points(found.pruned, "pruned, its last value", { color: colour("grey"), symbol: "x-thin", size: 6, line: { width: 1.2, color: colour("grey") } });
    const complete = points(found.complete, "complete", { color: colour("mark"), size: 6, opacity: 0.75 });
    const failed = {
      x: found.failed, y: found.failed.map(() => 0), yaxis: "y2", name: "failed", type: "scatter", mode: "markers", customdata: found.failed,
      marker: { color: colour("orange"), symbol: "line-ns", size: 9, line: { width: 2, color: colour("orange") } }, hovertemplate: "trial %{x} failed<extra></extra>",
    };
    const best = {
      x: [...found.best.x, found.last], y: [...found.best.y, found.best.y.at(-1)], name: "best so far", type: "scatter", mode: "lines",
      line: { shape: "hv", color: colour("ink"), width: 1.6 }, hoverinfo: "skip",
    };
    const drawn = [pruned, complete].filter((trace) => trace.x.length);
    if (found.failed.length) drawn.push(failed);
    if (found.best.x.length) drawn.push(best);
    return {
      data: drawn,
      layout: layoutOf({
        showlegend: drawn.length > 1,
        xaxis: { title: { text: "trial" }, rangemode: "tozero" },
        yaxis: { title: { text: better(found.name, found.direction) }, range: rangeOf(found) },
        yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
      }),
    };
  },

  importance(found, width) {
    const shown = found.bars.slice(0, 12).reverse();
    const names = shown.map((bar, i) => ({ at: i, text: plain(bar.name) }));
    const whiskers = shown.map((bar) => bar.interval || [bar.share, bar.share]);
    return {
      height: 90 + 26 * shown.length,
      data: [{
        type: "bar", orientation: "h", x: shown.map((bar) => bar.share), y: names.map((name) => name.at),
        marker: { color: found.is_believable ? colour("mark") : colour("pale") },
        error_x: { type: "data", symmetric: false, array: whiskers.map((w, i) => Math.max(0, w[1] - shown[i].share)),
          arrayminus: whiskers.map((w, i) => Math.max(0, shown[i].share - w[0])), color: colour("ink"), thickness: 1.3, width: 4 },
        hovertemplate: "%{x:.1%}<extra></extra>",
      }],
      layout: layoutOf({
        xaxis: { title: { text: width < 500 ? "share of the variance" : "share of the variance that each explains alone" }, tickformat: ".0%", showgrid: true, rangemode: "tozero" },
        yaxis: { tickvals: names.map((name) => name.at), ticktext: names.map((name) => name.text), showgrid: false },
      }),
    };
  },

  parallel(found) {
    const last = Math.max(1, found.ranks.length - 1);
    const bands = [[0, 9], [10, last / 4], [last / 4, last / 2], [last / 2, last]];
    const looks = [[colour("orange"), 2, 1], [colour("mark"), 1, 0.6], [colour("pale"), 0.8, 0.6], [colour("grey"), 0.6, 0.35]];
    const data = bands.map(([from, to], band) => {
      const x = [], y = [], customdata = [];
      found.ranks.forEach((rank, trial) => {
        if (rank < from || rank > to || (band && rank <= bands[band - 1][1])) return;
        found.rulers.forEach((ruler, place) => { x.push(place); y.push(ruler.places[trial] ?? -0.12); customdata.push(found.numbers[trial]); });
        x.push(null); y.push(null); customdata.push(null);
      });
      const [shade, width, opacity] = looks[band];
      return { x, y, customdata, type: "scatter", mode: "lines", opacity, line: { color: shade, width }, hovertemplate: "trial %{customdata}<extra></extra>" };
    }).reverse();
    const notes = found.rulers.flatMap((ruler, place) => ruler.ticks.map(([y, label]) => ({
      x: place, y, text: plain(label, 16), showarrow: false, xanchor: "left", xshift: 4, font: { size: 10 }, bgcolor: colour("paper"), opacity: 0.85,
    })));
    const rules = found.rulers.map((_, place) => ({ type: "line", x0: place, x1: place, y0: 0, y1: 1, line: { color: colour("ink"), width: 1 } }));
    return {
      data,
      layout: layoutOf({
        annotations: notes, shapes: rules, margin: { l: 30, r: 60, t: 10, b: 60 },
        xaxis: { tickvals: found.rulers.map((_, place) => place), ticktext: found.rulers.map((ruler) => plain(ruler.title, 22)), zeroline: false, range: [-0.2, found.rulers.length - 0.6] },
        yaxis: { visible: false, range: [-0.2, 1.08] },
      }),
    };
  },

  slices(found, width) {
    const across = width < 560 ? 1 : width < 1000 ? 2 : Math.min(4, found.panels.length);
    const down = Math.ceil(found.panels.length / across);
    const layout = layoutOf({ grid: { rows: down, columns: across, pattern: "independent", ygap: 0.42, xgap: across > 2 ? 0.16 : 0.12 } });
    const { xaxis, yaxis } = layout;
    const data = found.panels.map((panel, i) => {
      const n = i ? i + 1 : "";
      const axis = { ...xaxis, title: { text: plain(panel.name, 26), standoff: 4 }, type: panel.log ? "log" : undefined, nticks: 5, automargin: false };
      if (panel.log) {
        const decades = Math.log10(Math.max(...panel.x) / Math.min(...panel.x));
        Object.assign(axis, { exponentformat: "power", dtick: decades >= 1.5 ? Math.ceil(decades / 4) : undefined });
      }
      layout["xaxis" + n] = axis;
      layout["yaxis" + n] = { ...yaxis, automargin: false, nticks: 5, title: i % across ? undefined : { text: plain(found.name, 18) } };
      return {
        x: panel.x.map((value) => (typeof value === "string" ? plain(value, 24) : value)), y: panel.y, customdata: panel.numbers, type: "scatter", mode: "markers",
        xaxis: "x" + n, yaxis: "y" + n, marker: { color: panel.numbers, colorscale: [[0, colour("pale")], [1, colour("mark")]], size: 5, opacity: 0.85 },
        hovertemplate: "trial %{customdata}: %{y:.5g} at %{x}<extra></extra>",
      };
    });
    return { height: Math.max(260, 210 * down), data, layout };
  },

  curves(found) {
    const first = found.curves.length - 1;
    const shades = SHADES.map((shade) => (shade.startsWith("--") ? colour(shade.slice(2)) : shade));
    const data = found.curves.map((curve, i) => ({
      x: curve.steps, y: curve.values, name: plain(curve.label), customdata: curve.steps.map(() => curve.trial), type: "scatter",
      mode: curve.steps.length > 1 ? "lines" : "markers", line: { color: shades[i % SHADES.length], width: i ? 1.3 : 2.4, dash: DASHES[Math.floor(i / SHADES.length) % DASHES.length] },
      marker: { color: shades[i % SHADES.length] }, hovertemplate: plain(curve.label) + ", step %{x}: %{y:.5g}<extra></extra>",
    })).reverse();
    return {
      data,
      layout: layoutOf({
        showlegend: first > 0, legend: { traceorder: "reversed", orientation: "v", x: 1.01, y: 1, font: { size: 11 } },
        xaxis: { title: { text: "step" } }, yaxis: { title: { text: plain(found.name) } },
      }),
    };
  },

  timeline(found) {
    const shades = { complete: colour("mark"), pruned: colour("grey"), fail: colour("orange"), running: colour("busy") };
    const longest = Math.max(...found.bars.map((bar) => bar.start + bar.took));
    const [seconds, word] = longest > 10800 ? [3600, "hours"] : longest > 180 ? [60, "minutes"] : [1, "seconds"];
    const states = Object.keys(shades).filter((state) => found.bars.some((bar) => bar.state === state));
    const data = states.map((state) => {
      const bars = found.bars.filter((bar) => bar.state === state);
      return {
        type: "bar", orientation: "h", name: state, base: bars.map((bar) => bar.start / seconds), x: bars.map((bar) => bar.took / seconds), y: bars.map((bar) => bar.lane),
        customdata: bars.map((bar) => bar.number), marker: { color: shades[state], line: { color: colour("paper"), width: 0.5 } }, width: 0.76,
        hovertemplate: "trial %{customdata}, " + state + "<extra></extra>",
      };
    });
    const firsts = found.lanes.map((lane, i) => i).filter((i) => !i || found.lanes[i] !== found.lanes[i - 1]);
    return {
      height: 130 + 16 * found.lanes.length,
      data,
      layout: layoutOf({
        barmode: "overlay", showlegend: states.length > 1,
        xaxis: { title: { text: word + " since " + plain(found.since) }, showgrid: true, rangemode: "tozero" },
        yaxis: { autorange: "reversed", tickvals: firsts, ticktext: firsts.map((i) => plain(found.lanes[i], 22)), showgrid: false, zeroline: false },
      }),
    };
  },
};

// Okabe and Ito's palette, the best trial first in orange.
const SHADES = ["--orange", "--mark", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a"];
const DASHES = ["solid", "dash", "dot"];

// Room for all values, unless a few are so bad that the good ones could not be told apart.
function rangeOf(found) {
  const sign = found.direction === "maximize" ? -1 : 1;
  const losses = [...found.complete.y, ...found.pruned.y].map((value) => sign * value).sort((a, b) => a - b);
  if (losses.length < 4) return undefined;
  const at = (share) => losses[Math.floor(share * (losses.length - 1))];
  const worst = Math.min(losses.at(-1), at(0.75) + 3 * (at(0.75) - at(0.25)));
  const margin = 0.06 * (worst - losses[0]) || 0.06 * Math.abs(losses[0]) || 1;
  return [sign * (losses[0] - margin), sign * (worst + margin)].sort((a, b) => a - b);
}
