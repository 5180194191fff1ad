// A chart as a picture: the drawing with the colours it has now, its title above it and the label of its content below.
const SVG = "http://www.w3.org/2000/svg";
const COPIED = ["fill", "stroke", "stroke-width", "stroke-linejoin", "stroke-linecap", "font-size", "font-weight", "font-family", "text-anchor", "opacity", "fill-opacity"];
const SCALE = 2;
const MARGIN = 16;
const LINE = 22;

/** @param {SVGElement} chart @param {{title: string, label: string}} words */
function picture(chart, { title, label }) {
  const box = /** @type {SVGSVGElement} */ (chart).viewBox.baseVal;
  const copy = /** @type {SVGElement} */ (chart.cloneNode(true));
  const originals = chart.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((made, index) => {
    const style = getComputedStyle(originals[index]);
    for (const name of COPIED) if (style.getPropertyValue(name)) made.setAttribute(name, style.getPropertyValue(name));
  });
  const page = getComputedStyle(document.body);
  const [width, height] = [box.width + 2 * MARGIN, box.height + 2 * MARGIN + 2 * LINE];
  const whole = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` })) whole.setAttribute(name, String(value));
  const ground = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ width, height, fill: getComputedStyle(chart.closest(".card, .grid, insjo-sql-chart") ?? document.body).backgroundColor })) ground.setAttribute(name, String(value));
  if (/rgba\(.*, 0\)|transparent/.test(ground.getAttribute("fill") ?? "")) ground.setAttribute("fill", page.backgroundColor);
  const text = (words, y, size) => {
    const made = document.createElementNS(SVG, "text");
    for (const [name, value] of Object.entries({ x: MARGIN, y, fill: page.color, "font-size": size, "font-family": page.fontFamily })) made.setAttribute(name, String(value));
    made.textContent = words;
    return made;
  };
  for (const [name, value] of Object.entries({ x: MARGIN, y: MARGIN + LINE, width: box.width, height: box.height })) copy.setAttribute(name, String(value));
  whole.append(ground, text(title, MARGIN + 12, 15), copy, text(label, height - MARGIN + 4, 11));
  return { source: new XMLSerializer().serializeToString(whole), width, height };
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** @param {SVGElement} chart @param {{title: string, label: string}} words @param {"svg" | "png"} form */
export async function saveChart(chart, words, form) {
  const { source, width, height } = picture(chart, words);
  const name = `${words.title || "chart"}.${form}`;
  if (form === "svg") {
    save(new Blob([source], { type: "image/svg+xml" }), name);
    return;
  }
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * SCALE, height * SCALE];
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) save(blob, name);
}
