// The pattern as SVG: measured points, background, fit, difference, found lines, ticks of the lattice.
// A range of angles is chosen by dragging, by buttons or by keys; everything is then drawn anew for it.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 46, RIGHT = 10, TOP = 12, BOTTOM = 40, ROW = 13;

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Places of about `wanted` round numbers between low and high.
function rounded(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((x) => x * power >= 0.7 * rough);
  const places = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) places.push(Number((i * step).toPrecision(12)));
  return places;
}

// First index of an ascending list whose value is at least x.
function firstAt(list, x) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < x) low = middle + 1; else high = middle;
  }
  return low;
}

export class Chart {
  constructor(svg, readout) {
    this.svg = svg;
    this.readout = readout;
    this.data = null;
    this.from = null;
    new ResizeObserver(() => this.draw()).observe(svg);
    svg.addEventListener("pointerdown", (event) => this.begin(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", (event) => this.end(event));
    svg.addEventListener("pointercancel", () => { this.from = null; this.draw(); });
    svg.addEventListener("dblclick", () => this.zoom("whole"));
    svg.addEventListener("keydown", (event) => {
      const how = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "whole" }[event.key];
      if (how && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); this.zoom(how); }
    });
  }

  show(data) {
    this.data = data;
    const places = [...(data.measured ? data.measured.two_theta : []), ...data.found.map((line) => line.two_theta)]
      .filter(Number.isFinite);
    const low = places.reduce((a, b) => Math.min(a, b), Infinity), high = places.reduce((a, b) => Math.max(a, b), -Infinity);
    const margin = data.measured ? 0 : 2;
    this.whole = places.length ? [low - margin, high + margin] : [0, 90];
    this.range = this.whole;
    this.draw();
  }

  zoom(how) {
    if (!this.data) return;
    const [low, high] = this.range, middle = (low + high) / 2, width = high - low;
    const [first, last] = this.whole;
    if (how === "whole") this.range = this.whole;
    if (how === "in") this.set(middle - width / 4, middle + width / 4);
    if (how === "out") this.set(middle - width, middle + width);
    if (how === "left") { const by = Math.min(width / 4, low - first); this.set(low - by, high - by); }
    if (how === "right") { const by = Math.min(width / 4, last - high); this.set(low + by, high + by); }
    this.draw();
  }

  set(low, high) {
    const [first, last] = this.whole;
    if (high - low >= 0.2) this.range = [Math.max(low, first), Math.min(high, last)];
  }

  begin(event) {
    if (!this.data || event.button) return;
    this.from = this.angle(event);
    this.svg.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.data) return;
    const at = this.angle(event);
    if (this.from !== null) {
      const [a, b] = [this.x(this.from), this.x(at)];
      this.band.setAttribute("x", Math.min(a, b));
      this.band.setAttribute("width", Math.abs(a - b));
    }
    this.tell(at);
  }

  end(event) {
    if (this.from === null) return;
    const at = this.angle(event), [low, high] = [Math.min(this.from, at), Math.max(this.from, at)];
    this.from = null;
    // A click is no range.
    if (this.x(high) - this.x(low) > 6) this.set(low, high);
    this.draw();
  }

  // What stands at an angle: the intensity, and the nearest mark within a few pixels.
  tell(at) {
    const { measured, ticks } = this.data;
    let text = `2\u03b8 ${at.toFixed(3)}\u00b0`;
    if (measured) {
      const i = Math.min(firstAt(measured.two_theta, at), measured.two_theta.length - 1);
      const value = measured.intensity[i];
      text += value === null ? ", not measured" : `, intensity ${value.toPrecision(4)}`;
    }
    let best = null;
    for (const row of ticks) {
      row.two_theta.forEach((place, i) => {
        const far = Math.abs(this.x(place) - this.x(at));
        if (far < 5 && (!best || far < best.far)) best = { far, place, row, hkl: row.hkl[i] };
      });
    }
    if (best) text += `; ${best.hkl ? `${best.hkl} ` : ""}at ${best.place.toFixed(3)}\u00b0 (${best.row.name})`;
    this.readout.textContent = text;
  }

  angle(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    return this.range[0] + Math.max(0, Math.min(1, share)) * (this.range[1] - this.range[0]);
  }

  x(angle) {
    return LEFT + (angle - this.range[0]) / (this.range[1] - this.range[0]) * (this.width - LEFT - RIGHT);
  }

  draw() {
    const { width, height } = this.svg.getBoundingClientRect();
    if (!this.data || !width) return;
    this.width = width;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren();
    const rows = this.data.ticks.filter((row) => row.two_theta.length);
    const lower = this.data.fit ? 64 : 0;
    const floor = height - BOTTOM - lower - rows.length * ROW - 8;
    this.axis(height - BOTTOM);
    this.upper(floor);
    rows.forEach((row, i) => this.marks(row, floor + 8 + i * ROW));
    if (this.data.fit) this.difference(height - BOTTOM - lower, height - BOTTOM);
    this.band = element("rect", { class: "band", y: TOP, height: height - BOTTOM - TOP, width: 0, x: 0 });
    this.svg.append(this.band);
  }

  axis(y) {
    let path = `M${LEFT} ${y}H${this.width - RIGHT}`;
    for (const place of rounded(...this.range, Math.max(4, this.width / 110))) {
      const x = this.x(place);
      path += `M${x} ${y}v5`;
      this.svg.append(element("text", { x, y: y + 18, "text-anchor": "middle" }, String(place)));
    }
    const middle = (LEFT + this.width - RIGHT) / 2;
    this.svg.append(
      element("path", { class: "axis", d: path }),
      element("text", { x: middle, y: y + 34, "text-anchor": "middle" }, "2\u03b8 (degrees)"),
    );
  }

  // The part of a curve that the range shows, with a neighbour on each side.
  part(angles, values) {
    const first = Math.max(0, firstAt(angles, this.range[0]) - 1), last = firstAt(angles, this.range[1]) + 1;
    return [angles.slice(first, last), values.slice(first, last)];
  }

  // Values that were not measured are null: the curve is broken there.
  curve(name, angles, values, y) {
    const [places, heights] = this.part(angles, values);
    let path = "", pen = "M";
    places.forEach((place, i) => {
      if (heights[i] !== null) path += `${pen}${this.x(place).toFixed(1)} ${y(heights[i]).toFixed(1)}`;
      pen = heights[i] === null ? "M" : "L";
    });
    if (path) this.svg.append(element("path", { class: name, d: path }));
  }

  upper(floor) {
    const { measured, fit, found } = this.data;
    const [low, high] = this.range;
    const inside = found.filter((line) => line.two_theta >= low && line.two_theta <= high);
    if (!measured) {
      const y = (value) => floor - Math.max(value, 0) / 105 * (floor - TOP);
      const path = inside.map((line) => `M${this.x(line.two_theta)} ${floor}V${y(line.area)}`).join("");
      this.svg.append(element("path", { class: "measured", d: path }), element("path", { class: "axis", d: `M${LEFT} ${floor}H${this.width - RIGHT}` }));
      return;
    }
    const [, seen] = this.part(measured.two_theta, measured.intensity);
    const [, under] = this.part(measured.two_theta, measured.background);
    const top = Math.sqrt(Math.max(1.05 * seen.reduce((a, b) => Math.max(a, b), 0), 1e-9));
    const bottom = Math.sqrt(Math.max(0, 0.5 * under.reduce((a, b) => Math.min(a, b), Infinity)));
    const y = (value) => floor - Math.max(0, Math.sqrt(Math.max(value, 0)) - bottom) / (top - bottom || 1) * (floor - TOP);
    let axis = `M${LEFT} ${TOP}V${floor}H${this.width - RIGHT}`, last = Infinity;
    for (const value of rounded(bottom ** 2, top ** 2, 6)) {
      // The root crowds large values less than small ones.
      if (last - y(value) < 16) continue;
      last = y(value);
      axis += `M${LEFT} ${last}h-4`;
      this.svg.append(element("text", { x: LEFT - 6, y: last + 4, "text-anchor": "end" }, value >= 1e4 ? value.toExponential(0).replace("e+", "e") : String(value)));
    }
    this.svg.append(element("path", { class: "axis", d: axis }));
    const peaks = inside.map((line) => `M${this.x(line.two_theta)} ${floor}v-7`).join("");
    if (peaks) this.svg.append(element("path", { class: "peak", d: peaks }));
    this.curve("measured", measured.two_theta, measured.intensity, y);
    const curves = fit || measured;
    this.curve("background", curves.two_theta, curves.background, y);
    if (fit) this.curve("fitted", fit.two_theta, fit.fitted, y);
  }

  marks(row, y) {
    const group = element("g", {});
    row.two_theta.forEach((place, i) => {
      if (place < this.range[0] || place > this.range[1]) return;
      const mark = element("path", { class: row.kind, d: `M${this.x(place).toFixed(1)} ${y}v${ROW - 4}` });
      mark.append(element("title", {}, `${row.hkl[i]} ${place.toFixed(3)} (${row.name})`.trim()));
      group.append(mark);
    });
    this.svg.append(group);
  }

  difference(top, bottom) {
    const { two_theta: angles, residual } = this.data.fit;
    const [, values] = this.part(angles, residual);
    const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9), middle = (top + bottom) / 2;
    const y = (value) => middle - value / most * (bottom - top - 6) / 2;
    this.svg.append(element("path", { class: "axis", d: `M${LEFT} ${middle}H${this.width - RIGHT}`, "stroke-dasharray": "2 3" }));
    this.curve("residual", angles, residual, y);
  }
}
