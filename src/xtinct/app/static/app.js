// The page: a file and what is known of it go to the server, the answer comes back and is shown.
// Everything that comes from a file is put into the page as text, never as HTML.

import { Chart } from "/static/chart.js";

// Rows of a table, and space groups of a class, that are shown; the JSON has all.
const TOLD = 6, SHOWN = 8;
const at = (id) => document.getElementById(id);
const fields = ["wavelength", "family", "elements", "prior", "kind", "axis", "scan"];
const chart = new Chart(at("chart"), at("readout"));
let file = null, key = null, turn = 0, largest = 32 * 2 ** 20;

function make(name, content = [], attributes = {}) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...[content].flat());
  return made;
}

function table(caption, header, rows, text = 1) {
  const cell = (name, value, i) => {
    const made = make(name, value instanceof Node || Array.isArray(value) ? value : String(value));
    if (i < text) made.className = "text";
    if (name === "th") made.scope = "col";
    return made;
  };
  const row = (name, values) => make("tr", values.map((value, i) => cell(name, value, i)));
  const parts = [make("thead", row("th", header)), make("tbody", rows.map((values) => row("td", values)))];
  return make("table", caption ? [make("caption", caption), ...parts] : parts);
}

const share = (probability) => (probability >= 0.005 ? probability.toFixed(2) : "< 0.01");
// Symbols are not broken over lines.
const whole = (symbol) => symbol.replaceAll(" ", "\u00a0");
const group = (one) => whole(`${one.symbol} (${one.number})`);

function say(text, refused = false) {
  at("status").textContent = text;
  at("status").className = refused ? "refusal" : "";
}

// A table of what is ranked: [name, probability, small print].
function ranking(caption, ranked) {
  const rows = ranked.slice(0, TOLD).filter(([, probability], i) => i === 0 || probability >= 0.005);
  const made = table(caption, ["", "probability"], rows.map(([name, probability, small]) => [
    small ? [name, make("small", small)] : name, share(probability),
  ]));
  made.querySelectorAll("tbody tr").forEach((row, i) => {
    row.lastElementChild.style.setProperty("--share", `${(100 * rows[i][1]).toFixed(1)}%`);
  });
  return made;
}

function showRanks(answer) {
  const members = new Map(answer.observation.classes.map((one) => [`${one.family} ${one.symbol}`, one.space_groups]));
  const inSet = new Set(answer.class_set_90.map((one) => `${one.family} ${one.symbol}`));
  const classes = answer.classes.map((one) => {
    const name = `${one.family} ${one.symbol}`;
    const every = members.get(name) || [];
    const groups = every.slice(0, SHOWN).map(group).join(", ") + (every.length > SHOWN ? ` and ${every.length - SHOWN} more` : "");
    return [`${whole(one.symbol)}${inSet.has(name) ? " *" : ""}`, one.probability, `${one.family}${groups ? `: ${groups}` : ""}`];
  });
  at("ranks").replaceChildren(
    ranking("Crystal system", Object.entries(answer.crystal_systems)),
    ranking("Crystal family", Object.entries(answer.families)),
    ranking("Bravais lattice", Object.entries(answer.bravais_lattices)),
    ranking("Extinction class", classes),
    ranking("Space group", answer.groups.map((one) => [group(one), one.probability])),
    make("p", "* in the set that holds the true class for 90 % of patterns", { class: "note" }),
  );
}

function showLattices({ observation, summary }, cells) {
  const header = ["lattice", "a (\u00c5)", "b (\u00c5)", "c (\u00c5)", "\u03b1 (\u00b0)", "\u03b2 (\u00b0)", "\u03b3 (\u00b0)", "V (\u00c5\u00b3)", "M20", "probability"];
  const rows = observation.lattices.slice(0, TOLD).map((one, i) => [
    one.bravais, ...cells[i], one.volume.toFixed(1), one.M20.toFixed(0), share(one.probability),
  ]);
  at("lattices").replaceChildren(...(rows.length
    ? [table("", header, rows), make("p", `None of these: ${share(observation.no_lattice_probability)}`, { class: "note" })]
    : [make("p", summary)]));
}

function showDeciding(observation) {
  const remarks = observation.statements.map((one) => make("li", one.help
    ? [one.text, make("span", `What would help: ${one.help}`, { class: "help" })] : one.text));
  at("remarks").replaceChildren(remarks.length ? make("ul", remarks) : make("p", "Nothing is to be remarked."));
  const own = observation.class_of_best_lattice, best = own ? whole(own.symbol) : "";
  const tables = Object.entries(observation.deciding_lines).filter(([, lines]) => lines.length).slice(0, 3).map(([rival, lines]) => {
    const rows = lines.slice(0, TOLD).map((line) => [
      line.hkl[0].join(" ") + (line.hkl.length > 1 ? " ..." : ""), line.two_theta.toFixed(3),
      line.allowed_by_best ? "allowed" : "forbidden", (line.decibans > 0 ? "+" : "") + line.decibans.toFixed(0),
    ]);
    const made = table(`${best} against ${whole(rival)}`, ["hkl", "2\u03b8 (\u00b0)", `in ${best}`, "decibans"], rows);
    return make("div", made, { class: "scroll", tabindex: "0", role: "region", "aria-label": `${best} against ${rival}` });
  });
  if (tables.length) tables.unshift(make("h4", "Lines of the best lattice that decide between its best class and rivals (10 decibans: ten times as probable)"));
  at("deciding").replaceChildren(...tables);
}

function showKnown({ recognition, asked: which }) {
  if (!recognition) {
    at("known").replaceChildren(make("p", which));
    return;
  }
  const rows = recognition.structures.slice(0, TOLD).map((one) => [
    one.also.length ? [one.formula, make("small", `and ${one.also.slice(0, 3).map((other) => `${other.formula} (${other.structure_id})`).join(", ")}`)] : one.formula,
    one.structure_id, whole(`${one.spacegroup} (${one.spacegroup_number})`),
    one.cell.map((x) => x.toPrecision(5)).join(" "), one.cosine.toFixed(2), one.explained.toFixed(2), share(one.probability),
  ]);
  const notes = [...recognition.notes, ...recognition.other_phases.filter((other) => other.structures.length)
    .map((other) => `A further phase may be ${other.structures[0].formula} (${other.structures[0].structure_id}): ${share(other.probability)}.`)];
  const asked = `Of ${recognition.database_structures.toLocaleString("en")} structures. What is not among them cannot be recognised.`;
  at("known").replaceChildren(
    ...(rows.length ? [table("", ["formula", "structure", "space group", "cell (\u00c5, \u00b0)", "likeness", "explained", "probability"], rows, 3)] : [make("p", "None fits.")]),
    ...notes.map((note) => make("p", note)), make("p", asked, { class: "note" }),
  );
}

function showLines(found) {
  const rows = found.map((line) => [line.hkl || "-", line.two_theta.toFixed(3), line.d.toFixed(4), line.area.toFixed(1)]);
  at("lines").replaceChildren(table("", ["hkl", "2\u03b8 (\u00b0)", "d (\u00c5)", "area (%)"], rows));
}

function showLegend(data) {
  const keys = data.measured
    ? [["measured", "measured"], ["background", "background"], ...(data.fit ? [["fitted", "fit of the lattice's lines"], ["residual", "difference"], ["peak", "found lines"]] : [])]
    : [];
  keys.push(...data.ticks.filter((row) => row.two_theta.length).map((row) => [row.kind, row.name]));
  at("legend").replaceChildren(...keys.map(([kind, name]) => make("li", name, { class: `key-${kind}` })));
}

function headline(answer) {
  const { observation } = answer;
  if (!observation.lattices.length) return `${observation.name}: no lattice`;
  const system = Object.entries(answer.crystal_systems)[0], best = answer.classes[0], first = answer.groups[0];
  return `${observation.name}: ${system[0]} (${share(system[1])}), extinction class ${whole(best.symbol)} (${share(best.probability)}), `
    + `space group ${group(first)} (${share(first.probability)})`;
}

function show(said) {
  const { answer } = said;
  at("result").hidden = false;
  at("headline").textContent = headline(answer);
  at("agreement").textContent = answer.agreement;
  at("json").href = `/questions/${key}/answer.json`;
  at("svg").href = `/questions/${key}/picture.svg`;
  at("svg").hidden = !said.has_picture;
  showRanks(answer);
  showLattices(answer, said.cells);
  showDeciding(answer.observation);
  showKnown(answer);
  showLines(said.chart.found);
  showLegend(said.chart);
  chart.show(said.chart);
}

// Ask for what the server says would help.
function want(said) {
  document.querySelectorAll(".wanted").forEach((one) => one.classList.remove("wanted"));
  if (!said.needs) return;
  if (said.needs === "scan") {
    at("scan-label").hidden = false;
    at("scan").replaceChildren(make("option", "choose one", { value: "" }),
      ...said.scans.map((name, i) => make("option", `${i + 1}: ${name}`, { value: String(i + 1) })));
  }
  at(said.needs).classList.add("wanted");
  at(said.needs).focus();
}

function working(is) {
  at("go").disabled = is || !file;
  at("stop").hidden = !is;
}

async function forget() {
  if (key) fetch(`/questions/${key}`, { method: "DELETE", keepalive: true }).catch(() => {});
  key = null;
}

async function ask() {
  if (!file) return;
  const mine = turn += 1;
  await forget();
  want({});
  at("result").hidden = true;
  if (file.size > largest) {
    say(`${file.name} has more than ${largest / 2 ** 20} MiB, as no powder pattern has.`, true);
    return;
  }
  const query = new URLSearchParams({ name: file.name });
  for (const name of fields) if (at(name).value) query.set(name, at(name).value.trim());
  working(true);
  say(`${file.name} is sent`);
  try {
    const sent = await fetch(`/questions?${query}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    const said = await sent.json();
    if (mine !== turn) {
      if (said.key) fetch(`/questions/${said.key}`, { method: "DELETE" }).catch(() => {});
      return;
    }
    if (!sent.ok) throw new Error(said.error);
    key = said.key;
    await wait(mine);
  } catch (error) {
    if (mine === turn) say(error instanceof TypeError ? "The server does not answer; is xtinct app still running?" : error.message, true);
  } finally {
    if (mine === turn) working(false);
  }
}

async function wait(mine) {
  const since = performance.now();
  for (;;) {
    const asked = await fetch(`/questions/${key}`);
    const said = await asked.json();
    if (mine !== turn) return;
    if (!asked.ok) throw new Error(said.error);
    if (said.state === "done") {
      say(said.error || "", Boolean(said.error));
      if (said.error) want(said); else { show(said); at("headline").focus({ preventScroll: true }); }
      return;
    }
    const seconds = ((performance.now() - since) / 1000).toFixed(0);
    say(said.state === "waiting"
      ? `Waiting: ${said.before} ${said.before === 1 ? "question is" : "questions are"} before this one (${seconds} s)`
      : `Reading ${said.name} (${seconds} s); the first answer after an installation takes minutes`);
    await new Promise((done) => setTimeout(done, 400));
    if (mine !== turn) return;
  }
}

function take(chosen) {
  if (!chosen) return;
  file = chosen;
  at("scan-label").hidden = true;
  at("scan").replaceChildren(make("option", "choose one", { value: "" }));
  ask();
}

at("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
at("file").addEventListener("change", () => take(at("file").files[0]));
at("stop").addEventListener("click", () => { turn += 1; forget(); working(false); say("Stopped."); });
document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => chart.zoom(button.dataset.zoom)));
addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("drop").classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
// Work for a page that is closed is in vain; an answer that is there may still be fetched.
addEventListener("pagehide", () => { if (!at("stop").hidden) forget(); });

const about = await (await fetch("/about")).json();
largest = about.largest_upload;
at("family").append(...about.families.map((name) => make("option", name, { value: name })));
at("about").textContent = about.database
  ? `Known structures: ${about.database}.`
  : "No table of known structures was given: lattice and absences are read alone.";
at("elements").disabled = !about.database;
