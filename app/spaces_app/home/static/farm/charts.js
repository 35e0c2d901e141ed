// Draws the charts: one small picture for each, with its latest and its largest value as text.

import { span } from "../lists.js";

const WIDTH = 320;
const HEIGHT = 90;

const CHARTS = [
  { title: "Waiting tasks", lines: [{ name: "waiting", value: (point) => point.waiting }], words: String },
  {
    title: "Wait", words: span,
    lines: [{ name: "p50", value: (point) => point.wait_p50 }, { name: "p95", value: (point) => point.wait_p95, dashed: true }],
  },
  { title: "Busy share of the GPUs", lines: [{ name: "busy", value: (point) => 100 * point.busy }], words: (value) => `${Math.round(value)} %`, most: 100 },
  { title: "Failed tasks", lines: [{ name: "failed", value: (point) => point.failed }], words: String },
];

export function draw(container, points) {
  container.replaceChildren(...CHARTS.map((chart) => picture(chart, points)));
}

function picture(chart, points) {
  const figure = document.createElement("figure");
  const values = chart.lines.map(({ value }) => points.map(value));
  const known = values.flat().filter((value) => value != null);
  const most = chart.most ?? Math.max(1, ...known);
  const latest = chart.lines.map(({ name }, number) => {
    const last = values[number].findLast((value) => value != null);
    return `${chart.lines.length > 1 ? `${name} ` : ""}${last == null ? "–" : chart.words(last)}`;
  });
  const caption = document.createElement("figcaption");
  caption.append(strong(chart.title), ` ${latest.join(", ")}`, quiet(known.length ? `most ${chart.words(Math.max(...known))}` : "no samples yet"));
  figure.append(caption, drawing(chart, values, points, most, `${chart.title}: ${latest.join(", ")}`));
  return figure;
}

function drawing(chart, values, points, most, label) {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  const [first, last] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 1];
  const x = (at) => (WIDTH * (at - first)) / Math.max(1, last - first);
  const y = (value) => HEIGHT - 3 - ((HEIGHT - 8) * value) / most;
  for (const share of [0, 0.5, 1]) {
    svg.append(element("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(share * most), y2: y(share * most) }));
  }
  chart.lines.forEach(({ dashed }, number) => {
    for (const part of unbroken(values[number].map((value, place) => value == null ? null : [x(points[place].at), y(value)]))) {
      svg.append(element("polyline", { class: dashed ? "line dashed" : "line", points: part.map((spot) => spot.map((each) => each.toFixed(1)).join(",")).join(" ") }));
    }
  });
  return svg;
}

// A value that is not known breaks the line; a lone spot becomes a short line.
function unbroken(spots) {
  const parts = [[]];
  for (const spot of spots) {
    if (spot) parts.at(-1).push(spot);
    else parts.push([]);
  }
  return parts.filter((part) => part.length).map((part) => part.length > 1 ? part : [part[0], [part[0][0] + 2, part[0][1]]]);
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function strong(text) {
  const made = document.createElement("b");
  made.textContent = text;
  return made;
}

function quiet(text) {
  const made = document.createElement("span");
  made.className = "quiet";
  made.textContent = text;
  return made;
}
