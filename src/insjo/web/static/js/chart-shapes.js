// The shapes of charts that share no axis of labels: rings and clouds of points.
import { lang } from "./core.js";

const SVG = "http://www.w3.org/2000/svg";

export const short = new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 1 });
export const exact = new Intl.NumberFormat(lang, { maximumFractionDigits: 4 });

/** @param {string} tag @param {Record<string, unknown>} attributes @param {...(Node | string)} children */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {string} name */
const cut = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);

/**
 * A ring of the first series' parts, with their names and shares beside it. What is not above zero has no part.
 * @param {import("./chart.js").Figures} figures @param {number} width @param {string} label
 */
export function ring({ labels, series }, width, label) {
  const parts = labels.map((name, index) => ({ name, value: Math.max(0, series[0]?.values[index] ?? 0) })).filter((part) => part.value > 0);
  const whole = parts.reduce((sum, part) => sum + part.value, 0) || 1;
  const height = Math.max(230, 40 + parts.length * 20);
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const [cx, cy, outer, inner] = [120, height / 2, 92, 56];
  let from = -Math.PI / 2;
  parts.forEach((part, place) => {
    const to = from + Math.min(part.value / whole, 0.99999) * 2 * Math.PI;
    const at = (angle, radius) => `${(cx + radius * Math.cos(angle)).toFixed(2)} ${(cy + radius * Math.sin(angle)).toFixed(2)}`;
    const large = to - from > Math.PI ? 1 : 0;
    const d = `M${at(from, outer)}A${outer} ${outer} 0 ${large} 1 ${at(to, outer)}L${at(to, inner)}A${inner} ${inner} 0 ${large} 0 ${at(from, inner)}Z`;
    const colour = `chart__fill chart__slice chart__series-${(place % 6) + 1}${place >= 6 ? " chart__fill--faint" : ""}`;
    const share = `${exact.format(part.value)} · ${new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 1 }).format(part.value / whole)}`;
    chart.append(svg("path", { class: colour, d }, svg("title", {}, `${part.name}: ${share}`)));
    const y = height / 2 - (parts.length * 20) / 2 + place * 20 + 10;
    chart.append(svg("rect", { class: colour, x: 240, y: y - 5, width: 10, height: 10, rx: 2.5 }), svg("text", { x: 258, y: y + 4 }, `${cut(part.name)}  ${share}`));
    from = to;
  });
  return chart;
}

/**
 * Points over two axes of numbers.
 * @param {import("./chart.js").Figures} figures @param {number} width @param {{height: number, left: number, right: number, top: number, bottom: number}} size
 * @param {(span: number) => number} niceStep @param {string} label
 */
export function points({ labels, series }, width, { height, left, right, top, bottom }, niceStep, label) {
  const all = series.flatMap((one) => one.points ?? []);
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height + 14}`, role: "img", "aria-label": label });
  const axis = (place) => {
    const values = all.map((point) => point[place]);
    const least = values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
    const most = values.reduce((a, b) => Math.max(a, b), values[0] ?? 1);
    const step = niceStep(most - least || 1);
    return { low: Math.floor(least / step) * step, high: Math.max(Math.ceil(most / step) * step, Math.floor(least / step) * step + step), step };
  };
  const [across, up] = [axis(0), axis(1)];
  const x = (value) => left + ((value - across.low) / (across.high - across.low)) * (width - left - right);
  const y = (value) => top + ((up.high - value) / (up.high - up.low)) * (height - top - bottom);
  for (let value = up.low; value <= up.high + up.step / 2; value += up.step) {
    chart.append(svg("line", { class: "chart__line", x1: left, x2: width - right, y1: y(value), y2: y(value) }), svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, short.format(Number(value.toPrecision(12)))));
  }
  for (let value = across.low; value <= across.high + across.step / 2; value += across.step) {
    chart.append(svg("text", { x: x(value), y: height - 8, "text-anchor": "middle" }, short.format(Number(value.toPrecision(12)))));
  }
  chart.append(svg("text", { x: (left + width - right) / 2, y: height + 9, "text-anchor": "middle" }, labels[0] ?? ""));
  series.forEach((one, place) => {
    for (const point of one.points ?? []) {
      const words = `${one.name} · ${labels[0]}: ${exact.format(point[0])} · ${labels[1]}: ${exact.format(point[1])}`;
      chart.append(svg("circle", { class: `chart__fill chart__point chart__series-${place + 1}`, cx: x(point[0]).toFixed(1), cy: y(point[1]).toFixed(1), r: 3 }, svg("title", {}, words)));
    }
  });
  return chart;
}
