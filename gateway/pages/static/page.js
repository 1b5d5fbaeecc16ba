// What a page does beyond links and forms: light or dark, keys, charts. All else is HTML from the gateway (htmx).
"use strict";

const root = document.documentElement;
const kept = (name, value) => {
  try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); } catch { return null; }
};
const chosen = kept("mneme-theme");
if (chosen) root.dataset.theme = chosen;

const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

document.addEventListener("click", (event) => {
  if (!event.target.closest("#theme")) return;
  root.dataset.theme = isDark() ? "light" : "dark";
  kept("mneme-theme", root.dataset.theme);
  drawAll(document);
});

// Keys: / searches and Down leads to what was found; j and k walk a list, Enter opens what is current, x ticks it.
const items = () => [...document.querySelectorAll(".memories > li.memory, .memories > li.item")];

function walk(step) {
  const all = items();
  const now = all.findIndex((item) => item.classList.contains("current"));
  const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
  if (!next) return;
  all[now]?.classList.remove("current");
  next.classList.add("current");
  next.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" && event.target.id === "q") { event.preventDefault(); walk(1); }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "/") {
    const search = document.querySelector("#q");
    if (search) { event.preventDefault(); search.focus(); }
    return;
  }
  if (event.key === "j") walk(1);
  if (event.key === "k") walk(-1);
  if (event.key === "x") items().find((item) => item.classList.contains("current"))?.querySelector("input")?.click();
});

// Charts: <figure class="chart" data-chart='{"x": [...], "lines": [{"label", "values"}], "unit", "time", "log"}'>.
const COLOURS = ["#6a5af0", "#e0762f", "#1f9d6b", "#d6457f", "#2b8fd0", "#a08a00", "#8a6d5a", "#7f8894"];
const drawn = new WeakMap();

function draw(figure) {
  const told = JSON.parse(figure.dataset.chart);
  drawn.get(figure)?.destroy();
  const ink = getComputedStyle(root).getPropertyValue("color") || "currentColor";
  const line = isDark() ? "#34333f" : "#dddbe8";
  const tens = (_, splits) => splits.map((v) => (!told.log || Number.isInteger(Math.log10(v)) ? v : null));
  const axis = { stroke: isDark() ? "#a5a3b8" : "#5d5b70", grid: { stroke: line, width: 1 }, ticks: { stroke: line }, font: "11px system-ui" };
  const clock = (seconds, digits) => new Date(seconds * 1000).toISOString().slice(11, digits); // UTC, as on all pages
  const clocks = (_, ticks, __, ___, step) => ticks.map((at) => clock(at, step < 60 ? 19 : 16));
  const unit = told.unit || "";
  const lines = told.lines.map((one, i) => ({
    label: one.label, stroke: COLOURS[i % COLOURS.length], width: 1.8, spanGaps: true,
    value: (_, value) => (value == null ? "–" : `${+value.toPrecision(3)}${unit}`),
    points: { show: told.x.length < 3 },
  }));
  const options = {
    width: Math.max(figure.clientWidth, 200), height: told.height || 190, legend: { live: true },
    scales: { x: { time: Boolean(told.time) }, y: told.log ? { distr: 3 } : { range: (_, low, high) => [Math.min(low ?? 0, 0), (high || 1) * 1.05] } },
    axes: [told.time ? { ...axis, values: clocks } : axis, { ...axis, size: 68, grid: { ...axis.grid, filter: tens }, ticks: { ...axis.ticks, filter: tens }, values: (_, ticks) => ticks.map((v) => (v == null ? "" : `${+v.toPrecision(4)}${unit}`)) }],
    series: [{ label: told.label || (told.time ? "at" : "x"), value: (_, v) => (v == null ? "–" : told.time ? clock(v, 19) : `${v}`) }, ...lines],
    cursor: { drag: { x: false, y: false } },
  };
  figure.querySelector(".uplot")?.remove();
  drawn.set(figure, new uPlot(options, [told.x, ...told.lines.map((one) => one.values)], figure));
  figure.style.color = ink;
}

function drawAll(within) {
  within.querySelectorAll("figure.chart[data-chart]").forEach(draw);
}

document.addEventListener("DOMContentLoaded", () => drawAll(document));
document.addEventListener("htmx:afterSwap", (event) => drawAll(event.detail.target ?? document));
document.addEventListener("htmx:sseMessage", (event) => drawAll(event.target));
document.addEventListener("htmx:oobAfterSwap", (event) => drawAll(event.detail.target));
// New numbers for a chart that stands, so that the pointer on it and the page around it stay where they are.
document.addEventListener("htmx:sseMessage", (event) => event.target.querySelectorAll("data[data-chart]").forEach((fed) => {
  const figure = document.getElementById(fed.dataset.for);
  if (!figure) return;
  figure.dataset.chart = fed.dataset.chart;
  const told = JSON.parse(fed.dataset.chart), plot = drawn.get(figure);
  const named = told.lines.map((one) => one.label).join();
  if (plot && plot.series.slice(1).map((one) => one.label).join() === named) plot.setData([told.x, ...told.lines.map((one) => one.values)]);
  else draw(figure);
}));
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => drawAll(document), 150); });

// What an act has said must be heard and reached: a question takes the focus, so that Enter and Tab go on from there.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "notice") event.detail.target.querySelector("[autofocus], button, a")?.focus();
});
