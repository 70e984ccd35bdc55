"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const explorer = data.explorer;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- small helpers -------------------------------------------------------------------------
  const SVG = "http://www.w3.org/2000/svg";
  function element(name, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  function html(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  function text(x, y, content, attributes = {}) {
    return element("text", { x, y, style: "fill:var(--muted)", "font-size": 11, ...attributes }, content);
  }
  const csvField = (value) => /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const toCsv = (rows) => rows.map((row) => row.map(csvField).join(",")).join("\n") + "\n";
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  function fill(select, options, chosen) {
    select.replaceChildren(...options.map(([value, label]) => html("option", { value }, label)));
    if (options.some(([value]) => String(value) === String(chosen))) select.value = chosen;
  }
  const distinct = (values) => [...new Set(values)];
  const groupLabel = (number) => `${explorer.names[number]} (${number})`;

  // The numbers behind each interactive figure, by figure name.
  const current = {};

  // ---- hover texts ---------------------------------------------------------------------------
  const tip = $("#tip");
  function tipText(node) {
    const holder = node.closest?.("[data-tip], g.tip");
    if (!holder) return null;
    return holder.dataset.tip ?? $("title", holder)?.textContent ?? holder.dataset.title;
  }
  // Native titles would appear a second time: keep their text, drop the element.
  for (const group of $$("g.tip")) {
    const title = $("title", group);
    group.dataset.title = title.textContent;
    group.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  function place(event) {
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 6))}px`;
    tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18}px`;
  }
  document.addEventListener("pointermove", (event) => {
    const content = event.target instanceof Element ? tipText(event.target) : null;
    tip.hidden = !content;
    if (content) {
      if (tip.textContent !== content) tip.textContent = content;
      place(event);
    }
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  // ---- downloads -----------------------------------------------------------------------------
  // A saved figure stands alone: the light palette, a white ground, no reference to this page.
  const LIGHT = {
    "--paper": "#ffffff", "--panel": "#f3f1ea", "--ink": "#1c1f23", "--muted": "#5b6169", "--rule": "#d9d6cc",
    "--ceiling": "#b3261e", "--c1": "#0b6aa8", "--c2": "#c06000", "--c3": "#14805e", "--c4": "#8b4a9c",
    "--c5": "#7a6a00", "--c6": "#b0305c", "--c7": "#30343b",
  };
  function standaloneSvg(svg) {
    const copy = svg.cloneNode(true);
    const box = svg.viewBox.baseVal;
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    copy.setAttribute("font-family", "Arial, Helvetica, sans-serif");
    copy.prepend(element("rect", { x: box.x, y: box.y, width: box.width, height: box.height, fill: "#ffffff" }));
    for (const node of $$("[data-tip], [data-title]", copy)) {
      node.prepend(element("title", {}, node.dataset.tip ?? node.dataset.title));
      node.removeAttribute("data-tip");
      node.removeAttribute("data-title");
    }
    return new XMLSerializer().serializeToString(copy).replace(/var\((--[a-z0-9]+)\)/g, (_, name) => LIGHT[name]);
  }
  function save(name, type, content) {
    const link = html("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-save]");
    if (!button) return;
    const holder = button.closest("[data-name]");
    const name = holder.dataset.name;
    if (button.dataset.save === "svg") return save(`${name}.svg`, "image/svg+xml", standaloneSvg($("svg", holder)));
    const table = holder.matches("table") ? holder : null;
    const stored = $("script.csv", holder);
    const csv = table
      ? toCsv($$("tr", table).map((row) => $$("th, td", row).map((cell) => cell.textContent.replace(/\s+/g, " ").trim())))
      : stored ? JSON.parse(stored.textContent) : toCsv(current[name]);
    save(`${name}.csv`, "text/csv", csv);
  });
  for (const table of $$("table[data-name]")) {
    const caption = table.caption ?? table.createCaption();
    caption.append(" ", html("span", { class: "tools", style: "display:inline-flex" },
      html("button", { type: "button", "data-save": "csv" }, "CSV")));
  }

  // ---- confusion matrices --------------------------------------------------------------------
  // Series of a chart that have colours of their own.
  const COLOURS = 7;
  const KINDS = { extinction_class: "extinction class", spacegroup: "space group", crystal_system: "crystal system" };
  const ORDER = ["family", "experiment", "test_set", "kind", "seed"];
  function confusionMatrix() {
    const form = $("#confusion-form");
    if (!form) return;
    const all = data.confusion.matrices;
    const order = ORDER;
    const shown = {
      kind: (value) => KINDS[value],
      test_set: (value) => data.sets[value] ?? value,
      experiment: (value) => {
        const matrix = all.find((m) => m.experiment === value);
        if (matrix.train_set in data.methods) return data.methods[matrix.train_set];
        return matrix.train_set === value ? value : `${value} (trained on ${data.sets[matrix.train_set] ?? matrix.train_set})`;
      },
    };
    function choose(wanted = {}) {
      // Each choice narrows the next; what is still possible stays chosen.
      let left = all;
      for (const key of order) {
        const select = form.elements[key];
        const values = distinct(left.map((m) => m[key]));
        fill(select, values.map((v) => [v, (shown[key] ?? String)(v)]), wanted[key] ?? select.value);
        select.parentElement.hidden = key === "seed" && values.length < 2;
        left = left.filter((m) => String(m[key]) === select.value);
      }
      draw(left[0]);
    }
    function draw(matrix) {
      const labels = data.confusion.labels[matrix.family][matrix.kind];
      const groups = matrix.kind === "spacegroup";
      const n = labels.length;
      const name = (i) => groups ? groupLabel(labels[i]) : labels[i];
      const size = 560;
      const cell = size / n;
      const left = groups ? 40 : 96, top = groups ? 40 : 96, bars = 110;
      const font = Math.min(11, Math.max(6, cell * 0.82));
      const svg = element("svg", { viewBox: `0 0 ${left + size + bars} ${top + size + 12}`, role: "img",
        "aria-label": `confusion matrix, ${matrix.family}, ${matrix.experiment} on ${matrix.test_set}` });
      const totals = new Array(n).fill(0), hits = new Array(n).fill(0);
      let highest = 0;
      for (let i = 0; i < matrix.cells.length; i += 3) {
        const [t, p, count] = matrix.cells.slice(i, i + 3);
        totals[t] += count;
        if (t === p) hits[t] += count;
        highest = Math.max(highest, count);
      }
      svg.append(element("rect", { x: left, y: top, width: size, height: size, style: "fill:var(--panel)" }));
      const logarithmic = form.elements.scale.value === "log";
      for (let i = 0; i < matrix.cells.length; i += 3) {
        const [t, p, count] = matrix.cells.slice(i, i + 3);
        const share = count / totals[t];
        const strength = logarithmic ? Math.log1p(count) / Math.log1p(highest) : share;
        svg.append(element("rect", { x: left + p * cell, y: top + t * cell, width: cell, height: cell,
          style: `fill:var(${blockOf(t) === blockOf(p) ? "--c1" : "--c2"});fill-opacity:${(0.28 + 0.72 * strength).toFixed(3)}`,
          "data-tip": `true: ${name(t)}\npredicted: ${name(p)}\n${count} of ${totals[t]} (${percent(share)})` }));
      }
      function blockOf(i) { return groups ? data.confusion.labels[matrix.family].class_of[i] : i; }
      for (let i = 0, start = 0; i < n; i++) {
        if (i + 1 < n && blockOf(i + 1) === blockOf(i)) continue;
        const width = (i + 1 - start) * cell;
        svg.append(element("rect", { x: left + start * cell, y: top + start * cell, width, height: width,
          style: "fill:none;stroke:var(--muted)", "stroke-width": 0.8, "pointer-events": "none" }));
        start = i + 1;
      }
      const most = Math.max(1, ...totals);
      for (let i = 0; i < n; i++) {
        const y = top + (i + 0.5) * cell, x = left + (i + 0.5) * cell;
        const opens = groups ? labels[i] : data.confusion.labels[matrix.family].opens[i];
        // A crystal system is no entry of the explorer.
        const link = matrix.kind === "crystal_system" ? {} : { class: "hit", "data-group": opens };
        const common = { "font-size": font.toFixed(1), ...link, "data-tip": name(i) };
        svg.append(text(left - 4, y, String(labels[i]), { ...common, "text-anchor": "end", "dominant-baseline": "central" }));
        svg.append(text(0, 0, String(labels[i]), { ...common, "dominant-baseline": "central",
          transform: `translate(${x.toFixed(2)} ${top - 4}) rotate(-90)` }));
        const width = (bars - 20) * Math.sqrt(totals[i] / most);
        svg.append(element("rect", { x: left + size + 8, y: (top + i * cell + cell * 0.12).toFixed(2), width: width.toFixed(2),
          height: (cell * 0.76).toFixed(2), style: "fill:var(--muted);fill-opacity:.55",
          "data-tip": `${name(i)}\n${totals[i]} test samples${totals[i] ? `, ${hits[i]} right (${percent(hits[i] / totals[i])})` : ""}` }));
      }
      $("#confusion-plot").replaceChildren(svg);
      const samples = totals.reduce((a, b) => a + b, 0);
      const present = totals.filter(Boolean).length;
      const recall = totals.reduce((sum, total, i) => sum + (total ? hits[i] / total : 0), 0) / (present || 1);
      $("#confusion-text").textContent = `${samples.toLocaleString("en")} test samples of ${present} of ${n} labels; ` +
        `right ${percent(hits.reduce((a, b) => a + b, 0) / (samples || 1))}, mean over the labels present ${percent(recall)}.`;
      const rows = [["true", "predicted", "count"]];
      for (let i = 0; i < matrix.cells.length; i += 3) {
        rows.push([labels[matrix.cells[i]], labels[matrix.cells[i + 1]], matrix.cells[i + 2]]);
      }
      current.confusion = rows;
    }
    form.addEventListener("change", () => choose());
    choose();
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-matrix]");
      if (!link) return;
      const values = JSON.parse(link.dataset.matrix);
      choose(Object.fromEntries(ORDER.map((key, i) => [key, values[i]])));
    });
  }

  // ---- the table of all models: sorted by a click on a heading, restricted by choices and words ------
  function modelTable() {
    const table = $("#models-table");
    if (!table) return;
    const form = $("#models-form"), body = $("tbody", table);
    const rows = $$("tr", body);
    const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    function restrict() {
      const asked = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const chosen = $$("select", form).every((select) => !select.value || row.dataset[select.name] === select.value);
        row.hidden = !(chosen && asked.every((word) => words.get(row).includes(word)));
        shown += !row.hidden;
      }
      $("#models-count").textContent = `${shown} of ${rows.length} rows`;
    }
    const value = (row, i) => row.children[i].dataset.value ?? row.children[i].textContent.trim();
    function sort(heading, i) {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of $$("thead th", table)) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const missing = (text) => text === "–";
      const order = (a, b) => {
        const [x, y] = [value(a, i), value(b, i)];
        // What has no number stands last, whichever way.
        if (missing(x) || missing(y)) return missing(x) - missing(y);
        const numbers = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        return (down ? -1 : 1) * (numbers ? x - y : x.localeCompare(y, "en", { numeric: true }));
      };
      body.append(...[...rows].sort(order));
    }
    $$("thead th", table).forEach((heading, i) => {
      if ("plain" in heading.dataset) return;
      const button = html("button", { type: "button" }, heading.textContent);
      heading.replaceChildren(button);
      button.addEventListener("click", () => sort(heading, i));
    });
    form.addEventListener("input", restrict);
    restrict();
  }

  // ---- lattice parameters of a group ---------------------------------------------------------
  const GREEK = { alpha: "α", beta: "β", gamma: "γ" };
  const DATASETS = [["ulbd", "--c1"], ["cddd", "--c2"], ["gcdd", "--c3"]];
  function fillGroups(select, numbers) {
    for (const [family, content] of Object.entries(explorer.families)) {
      const mine = Object.keys(content.present).map(Number).filter((g) => numbers.has(g)).sort((a, b) => a - b);
      if (mine.length) {
        select.append(html("optgroup", { label: family },
          ...mine.map((g) => html("option", { value: g }, `${g}  ${explorer.names[g]}`))));
      }
    }
  }
  function latticeHistograms() {
    const form = $("#lattice-form");
    if (!form) return;
    const select = form.elements.group;
    fillGroups(select, new Set(Object.keys(data.lattices).map(Number)));
    select.value = data.shown[data.shown.length - 1];
    function draw() {
      const parameters = data.lattices[select.value];
      const names = Object.keys(parameters).sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
      const width = 300, height = 150, gap = 34;
      const columns = innerWidth < 640 ? 1 : Math.min(3, names.length);
      const rows = Math.ceil(names.length / columns);
      const svg = element("svg", { viewBox: `0 0 ${columns * width} ${rows * (height + gap) + 24}`, role: "img",
        "aria-label": `lattice parameters of ${groupLabel(select.value)}` });
      svg.style.maxWidth = `${columns * 24}rem`;
      const table = [["spacegroup_number", "parameter", "dataset", "from", "to", "count"]];
      const shown = DATASETS.filter(([dataset]) => names.some((name) => dataset in parameters[name]));
      shown.forEach(([dataset, colour], i) => {
        svg.append(element("rect", { x: 8 + i * 80, y: 4, width: 11, height: 11, style: `fill:var(${colour})` }),
          text(23 + i * 80, 14, dataset.toUpperCase()));
      });
      names.forEach((name, index) => {
        const x0 = (index % columns) * width + 8, y0 = Math.floor(index / columns) * (height + gap) + 24;
        const inner = width - 24, base = y0 + height - 6;
        const entries = Object.entries(parameters[name]);
        const low = Math.min(...entries.map(([, [, , , shown]]) => shown[0]));
        const high = Math.max(...entries.map(([, [, , , shown]]) => shown[1]));
        const scale = inner / (high - low);
        const unit = name.length === 1 ? "Å" : "°";
        const symbol = GREEK[name] ?? name;
        svg.append(text(x0, y0 + 12, symbol, { "font-style": "italic", "font-size": 13, style: "fill:var(--ink)" }));
        svg.append(element("line", { x1: x0, x2: x0 + inner, y1: base, y2: base, style: "stroke:var(--muted)" }));
        for (const value of [low, (low + high) / 2, high]) {
          svg.append(text(x0 + (value - low) * scale, base + 14, `${+value.toFixed(1)} ${unit}`,
            { "text-anchor": value === low ? "start" : value === high ? "end" : "middle" }));
        }
        DATASETS.forEach(([dataset, colour]) => {
          const entry = parameters[name][dataset];
          if (!entry) return;
          const [first, bin, counts] = entry;
          const most = Math.max(...counts);
          let path = `M${(x0 + Math.max(first - low, 0) * scale).toFixed(2)} ${base}`;
          counts.forEach((count, i) => {
            const from = +(first + i * bin).toFixed(2), to = +(first + (i + 1) * bin).toFixed(2);
            if (count) table.push([select.value, name, dataset, from, to, count]);
            if (from < low - 1e-6 || to > high + 1e-6) return;
            const left = x0 + (from - low) * scale;
            const y = (base - (height - 30) * count / most).toFixed(2);
            path += `V${y}H${(left + bin * scale).toFixed(2)}`;
            if (count) {
              svg.append(element("rect", { x: left.toFixed(2), y, width: (bin * scale).toFixed(2), height: (base - y).toFixed(2),
                style: `fill:var(${colour});fill-opacity:.16`,
                "data-tip": `${dataset.toUpperCase()}: ${count} with ${symbol} from ${from} to ${to} ${unit}` }));
            }
          });
          svg.append(element("path", { d: `${path}V${base}`, style: `fill:none;stroke:var(${colour})`, "stroke-width": 1.4,
            "pointer-events": "none" }));
        });
      });
      $("#lattice-plot").replaceChildren(svg);
      current["lattice-parameters"] = table;
    }
    form.addEventListener("change", draw);
    addEventListener("resize", draw);
    draw();
  }

  // ---- charts to choose from: certainty, robustness, training sets; generated crystals ---------
  function chartChooser(id, charts, order) {
    const form = $(`#${id}-form`);
    if (!form) return;
    // Names that were clicked in the legend: those alone are drawn, in charts that have one of them.
    const picked = new Set();
    const TARGETS = { ...KINDS, crystal_system: "crystal system" };
    const shown = { on: (value) => data.sets[value] ?? value.replaceAll("_", " "), target: (value) => TARGETS[value] ?? value };
    function choose() {
      let left = charts;
      for (const key of order) {
        const select = form.elements[key];
        const values = distinct(left.map((chart) => chart[key]));
        fill(select, values.map((v) => [v, (shown[key] ?? String)(v)]), select.value);
        select.parentElement.hidden = key === "target" && values.length < 2;
        left = left.filter((chart) => chart[key] === select.value);
      }
      draw(left[0]);
    }
    function span(axis, values) {
      let low = axis.low ?? Math.min(...values), high = axis.high ?? Math.max(...values);
      if (low === high) [low, high] = axis.log ? [low / 2, high * 2] : [low - 1, high + 1];
      return [low, high];
    }
    const nice = (axis, value) => axis.percent ? `${+(100 * value).toFixed(1)} %`
      : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
    function ticks(axis, low, high) {
      if (axis.log) {
        const found = [];
        for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
          for (const m of high / low > 30 ? [1] : [1, 2, 5]) {
            if (m * 10 ** p >= low && m * 10 ** p <= high) found.push(m * 10 ** p);
          }
        }
        return found.length ? found : [low, high];
      }
      const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough);
      const found = [];
      for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
      return found;
    }
    function draw(chart) {
      const narrow = innerWidth < 640;
      const width = narrow ? 380 : 720, height = narrow ? 270 : 360, left = 52, right = 12, top = 10, bottom = 42;
      const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": order.map((key) => chart[key]).join(", ") });
      const points = chart.series.flatMap((series) => series.points);
      const [x0, x1] = span(chart.x, points.map((p) => p[0]));
      const [y0, y1] = span(chart.y, points.map((p) => p[1]).concat(chart.ceiling ?? []));
      const along = (axis, low, high, value) => axis.log
        ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      const x = (value) => left + 6 + (width - left - right - 12) * along(chart.x, x0, x1, value);
      const y = (value) => height - bottom - (height - top - bottom) * along(chart.y, y0, y1, value);
      for (const value of ticks(chart.y, y0, y1)) {
        svg.append(element("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), style: "stroke:var(--rule)" }),
          text(left - 5, y(value), nice(chart.y, value), { "text-anchor": "end", "dominant-baseline": "central" }));
      }
      for (const value of ticks(chart.x, x0, x1)) {
        svg.append(text(x(value), height - bottom + 15, nice(chart.x, value), { "text-anchor": "middle" }));
      }
      svg.append(element("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, style: "stroke:var(--muted)" }),
        text((left + width - right) / 2, height - 8, chart.x.title, { "text-anchor": "middle" }),
        text(0, 0, chart.y.title, { "text-anchor": "middle", transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)` }));
      if (chart.diagonal) {
        svg.append(element("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), style: "stroke:var(--muted)", "stroke-dasharray": "4 4" }));
      }
      if (chart.ceiling) {
        svg.append(element("line", { x1: left, x2: width - right, y1: y(chart.ceiling), y2: y(chart.ceiling),
          style: "stroke:var(--ceiling)", "stroke-width": 2, "data-tip": `ceiling ${percent(chart.ceiling)}` }));
      }
      const table = [["series", chart.x.title, chart.y.title, "low", "high", "note"]];
      const alone = chart.series.some((series) => picked.has(series.name));
      chart.series.forEach((series, i) => {
        if (alone && !picked.has(series.name)) return;
        const colour = `stroke:var(--c${i % COLOURS + 1})`, solid = `fill:var(--c${i % COLOURS + 1})`;
        if (chart.bin) {
          const half = chart.bin / 2;
          let path = `M${x(x0).toFixed(1)} ${y(0).toFixed(1)}`;
          for (const [px, py, , , note] of series.points) {
            path += `V${y(py).toFixed(1)}H${x(px + half).toFixed(1)}`;
            table.push([series.name, px, py, "", "", note]);
            svg.append(element("rect", { x: x(px - half).toFixed(1), width: (x(px + half) - x(px - half)).toFixed(1),
              y: y(py).toFixed(1), height: (y(0) - y(py)).toFixed(1), style: `${solid};fill-opacity:.16`,
              "data-tip": `${series.name}: ${nice(chart.y, py)}\n${chart.x.title} ${note}` }));
          }
          svg.append(element("path", { d: `${path}V${y(0).toFixed(1)}`, style: `fill:none;${colour}`, "stroke-width": 1.6,
            "pointer-events": "none" }));
          return;
        }
        if (!series.scatter) {
          svg.append(element("polyline", { points: series.points.map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" "),
            style: `fill:none;${colour}`, "stroke-width": 1.6, ...(i >= COLOURS ? { "stroke-dasharray": "5 3" } : {}) }));
        }
        for (const [px, py, low, high, note] of series.points) {
          table.push([series.name, px, py, low ?? "", high ?? "", note]);
          if (low !== null) {
            svg.append(element("line", { x1: x(px), x2: x(px), y1: y(low), y2: y(high), style: colour, "stroke-width": 1.2,
              "pointer-events": "none" }));
          }
          const interval = low === null ? "" : ` [${nice(chart.y, low)}, ${nice(chart.y, high)}]`;
          svg.append(element("circle", { cx: x(px).toFixed(1), cy: y(py).toFixed(1), r: 3.6, style: solid,
            "data-tip": `${series.name}\n${chart.x.title}: ${nice(chart.x, px)}\n${chart.y.title}: ${nice(chart.y, py)}${interval}\n${note}` }));
        }
      });
      $(`#${id}-plot`).replaceChildren(svg);
      $(`#${id}-legend`).replaceChildren(...chart.series.map((series, i) => {
        const button = html("button", { type: "button", "aria-pressed": picked.has(series.name) },
          html("i", { class: `s${i % COLOURS + 1}` }), series.name);
        button.addEventListener("click", () => {
          if (!picked.delete(series.name)) picked.add(series.name);
          choose();
          $(`#${id}-legend`).children[i].focus();
        });
        return button;
      }));
      current[id] = table;
    }
    form.addEventListener("change", choose);
    addEventListener("resize", choose);
    choose();
  }

  // ---- class explorer ------------------------------------------------------------------------
  const familyOf = (group) => Object.keys(explorer.families).find((f) => group in explorer.families[f].present);
  function groupLinks(numbers) {
    return numbers.flatMap((g, i) => [i ? " · " : "", html("a", { href: "#explorer", class: "group", "data-group": g }, explorer.names[g]),
      " ", html("small", { class: "inline" }, String(g))]);
  }
  const cellText = ([a, b, c, alpha, beta, gamma]) => `a = ${a}, b = ${b}, c = ${c} Å, α = ${alpha}, β = ${beta}, γ = ${gamma}°`;
  function drawDatasets(group, width, narrow) {
    const figure = $("#dataset-patterns");
    if (!figure) return;
    const examples = data.patterns[group] ?? {};
    const shown = DATASETS.filter(([dataset]) => dataset in examples);
    figure.hidden = $("#dataset-caption").hidden = !shown.length;
    const band = 96, left = 10, [low, high] = data.range;
    const x = (angle) => left + (width - 2 * left) * (angle - low) / (high - low);
    const svg = element("svg", { viewBox: `0 0 ${width} ${shown.length * band + 22}`, role: "img", "aria-label": `samples of ${groupLabel(group)}` });
    const table = [["dataset", "sample", "two_theta", "intensity"]];
    shown.forEach(([dataset, colour], i) => {
      const { origin, cell, lines } = examples[dataset];
      const base = (i + 1) * band;
      svg.append(text(left, base - band + 14, `${dataset.toUpperCase()}  ${origin}`, { style: `fill:var(${colour})`, "data-tip": `${origin}\n${cellText(cell)}` }),
        element("line", { x1: left, x2: width - left, y1: base, y2: base, style: "stroke:var(--muted)" }));
      for (const [angle, intensity] of lines) {
        const at = x(angle).toFixed(2);
        table.push([dataset, origin, angle, intensity]);
        svg.append(element("line", { x1: at, x2: at, y1: base, y2: (base - Math.max(1.5, intensity * (band - 24))).toFixed(2),
          style: `stroke:var(${colour})`, "stroke-width": 1.6, "data-tip": `2θ = ${angle}°\nintensity ${intensity}` }));
      }
    });
    for (let angle = Math.ceil(low / 10) * 10; angle <= high; angle += narrow ? 20 : 10) {
      svg.append(text(x(angle), shown.length * band + 16, `${angle}°`, { "text-anchor": "middle" }));
    }
    $("#dataset-plot").replaceChildren(svg);
    current["dataset-patterns"] = table;
  }
  function drawExplorer() {
    const group = $("#explorer-form").elements.group.value;
    const family = familyOf(group);
    const content = explorer.families[family];
    const index = content.classes.findIndex((c) => c.members.includes(Number(group)));
    const mine = content.classes[index];
    const rivals = mine.members.filter((g) => g !== Number(group));
    $("#explorer-head").replaceChildren(html("b", {}, explorer.names[group]), ` (No. ${group}, ${family}) belongs to the extinction class `,
      html("span", { class: "badge" }, mine.symbol),
      rivals.length ? ". Absences cannot tell it from " : ". No other group shares its absences: they decide the group.",
      ...(rivals.length ? groupLinks(rivals) : []), rivals.length ? "." : "");
    const conditions = explorer.conditions[group];
    $("#explorer-conditions").replaceChildren(html("h3", {}, "Reflection conditions"),
      conditions.length ? html("p", {}, conditions.join("; ")) : html("p", {}, "None: every line may appear."));

    const narrow = innerWidth < 640;
    const width = narrow ? 380 : 900, height = narrow ? 210 : 240, left = 10, base = height - 42;
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `example pattern of ${groupLabel(group)}` });
    // A lattice stretched by s has its lines at sin(theta) / s; those beyond 90 degrees vanish.
    const stretch = Number($("#explorer-form").elements.scale.value);
    const moved = (angle) => 360 / Math.PI * Math.asin(Math.sin(angle * Math.PI / 360) / stretch);
    const lines = content.lines.map(([label, angle, intensity], i) => [label, moved(angle), intensity, content.present[group][i] === "1"])
      .filter(([, angle]) => !Number.isNaN(angle));
    // At a long wavelength no line is left, and the axis is that of all angles.
    const angles = lines.length ? lines.map((line) => line[1]) : [1.5, 178.5];
    const first = angles[0] - 1.5, last = angles[angles.length - 1] + 1.5;
    const x = (angle) => left + (width - 2 * left) * (angle - first) / (last - first);
    svg.append(element("line", { x1: left, x2: width - left, y1: base, y2: base, style: "stroke:var(--muted)" }));
    const step = (last - first > 60 ? 10 : 5) * (narrow ? 2 : 1);
    for (let angle = Math.ceil(first / step) * step; angle <= last; angle += step) {
      svg.append(element("line", { x1: x(angle), x2: x(angle), y1: base, y2: base + 4, style: "stroke:var(--muted)" }),
        text(x(angle), base + 30, `${angle}°`, { "text-anchor": "middle" }));
    }
    svg.append(text(width - left, height - 0.5, "2θ", { "text-anchor": "end" }));
    const table = [["hkl", "two_theta", "allowed", "intensity"]];
    lines.forEach(([label, angle, intensity, allowed]) => {
      const at = x(angle).toFixed(2);
      table.push([label, angle.toFixed(3), allowed, allowed ? intensity : 0]);
      const mark = element("g", { "data-tip": `${label}  2θ = ${angle.toFixed(2)}°\n${allowed ? "allowed" : "systematically absent"}` });
      mark.append(element("rect", { x: at - 3, y: 6, width: 6, height: base + 12, style: "fill:transparent" }));
      if (allowed) {
        const y = base - (0.12 + 0.88 * intensity) * (base - 14);
        mark.append(element("line", { x1: at, x2: at, y1: base, y2: y.toFixed(2), style: "stroke:var(--c1)", "stroke-width": 2 }));
      } else {
        mark.append(element("path", { d: `M${at - 3} ${base + 8}l6 6m0 -6l-6 6`, style: "stroke:var(--c4)", "stroke-width": 1.5 }));
      }
      svg.append(mark);
    });
    $("#explorer-plot").replaceChildren(svg);
    current["example-pattern"] = table;
    $("#explorer-cell").textContent = cellText(content.cell.map((value, i) => (i < 3 ? +(value * stretch).toFixed(2) : value)));
    drawDatasets(group, width, narrow);

    $("#explorer-searched").textContent = content.searched;
    const rows = content.rivals[index].map(([other, count, onlyMine, onlyTheirs]) => {
      const their = content.classes[other];
      return html("tr", {}, html("th", { scope: "row" }, html("a", { href: "#explorer", class: "group", "data-group": their.members[0] }, their.symbol)),
        html("td", {}, String(their.members.length)), html("td", {}, String(count)),
        html("td", { class: "text" }, onlyMine.join(", ") || "–"), html("td", { class: "text" }, onlyTheirs.join(", ") || "–"));
    });
    const rivalTable = $("#explorer-rivals");
    $$("thead, tbody", rivalTable).forEach((part) => part.remove());
    rivalTable.append(
      html("thead", {}, html("tr", {}, ...["Class", "groups", "deciding lines", `shown by ${mine.symbol} alone`, "shown by the other alone"]
        .map((title) => html("th", { scope: "col" }, title)))),
      html("tbody", {}, ...rows));
  }
  function openGroup(group) {
    const select = $("#explorer-form").elements.group;
    select.value = group;
    drawExplorer();
  }
  fillGroups($("#explorer-form").elements.group, new Set(Object.keys(explorer.names).map(Number)));
  openGroup(Object.keys(explorer.names).includes("225") ? 225 : Object.keys(explorer.names)[0]);
  $("#explorer-form").addEventListener("input", drawExplorer);
  addEventListener("resize", drawExplorer);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-group]");
    if (!link) return;
    openGroup(link.dataset.group);
    $("#explorer").scrollIntoView();
  });

  confusionMatrix();
  modelTable();
  if (data.portraits) chartChooser("portraits", data.portraits, ["experiment", "what", "on"]);
  chartChooser("certainty", data.charts, ["what", "scope", "on", "target"]);
  chartChooser("generated", data.generated, ["scope", "on"]);
  latticeHistograms();
  addEventListener("beforeprint", () => { for (const part of $$("details")) part.open = true; });
})();
