// What all parts of the page share: the data, times and colours, and small builders of elements.
"use strict";
const P = { errors: [] };
window.addEventListener("error", event => {
  P.errors.push(String(event.message));
  document.documentElement.dataset.errors = P.errors.join(" | ");
});

P.data = JSON.parse(document.getElementById("data").textContent);
P.nodes = P.data.head.nodes;
P.end = Math.max(P.data.head.virtual_us, 1);
P.$ = id => document.getElementById(id);

// An element; `on…` attributes are listeners, children may be text.
P.el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter(child => child !== null && child !== undefined));
  return element;
};

// Users have the numbers after the nodes.
P.name = party => party === null ? "nobody" : party < P.nodes ? `n${party}` : `user ${party - P.nodes}`;
P.time = us => us === null || us === undefined ? "–" : `${(us / 1e6).toFixed(us < 1e7 ? 4 : 3)} s`;
P.lasting = us => us === null || us === undefined ? "–"
  : us < 1e3 ? `${us} µs` : us < 1e6 ? `${+(us / 1e3).toPrecision(3)} ms` : `${+(us / 1e6).toPrecision(4)} s`;
P.count = number => number.toLocaleString("en");

P.css = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// Names that appear in several parts have the same colour in all of them.
P.hues = new Map();
P.hue = (family, name) => {
  if (!P.hues.has(family)) P.hues.set(family, new Map());
  const known = P.hues.get(family);
  if (!known.has(name)) known.set(name, known.size);
  return `c${known.get(name) % 10}`;
};

// Whoever draws with colours read from the style is told when the scheme changes.
P.redraws = [];
P.scheme = wanted => {
  document.documentElement.dataset.scheme = wanted;
  P.redraws.forEach(redraw => redraw());
};
document.documentElement.dataset.scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

// A canvas as large as its place, sharp on every screen.
P.canvas = (canvas, height) => {
  const width = Math.max(canvas.parentElement.clientWidth, 300), ratio = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return { context, width, height };
};

// Toggles with a colour; a double click leaves one alone. `on` is a set that is changed.
P.chips = (title, entries, on, changed) => {
  const buttons = new Map();
  const show = () => buttons.forEach((button, name) => button.setAttribute("aria-pressed", on.has(name)));
  for (const { name, hue, note } of entries) {
    const button = P.el("button", { type: "button", class: "chip", style: `--k: var(--${hue})` },
      P.el("i"), name, note === undefined ? null : P.el("small", {}, note));
    button.addEventListener("click", () => {
      on.has(name) ? on.delete(name) : on.add(name);
      show(); changed();
    });
    button.addEventListener("dblclick", () => {
      on.clear(); on.add(name);
      show(); changed();
    });
    buttons.set(name, button);
  }
  const every = P.el("button", { type: "button", class: "link", onclick: () => {
    const all = on.size < entries.length;
    entries.forEach(({ name }) => all ? on.add(name) : on.delete(name));
    show(); changed();
  } }, "all/none");
  show();
  return P.el("div", { class: "chips" }, title ? P.el("b", {}, title) : null, [...buttons.values()],
    entries.length > 2 ? every : null);
};

// Groups as `n3`, `n0-n9,n17`, `!n3`, `all`, or bare numbers; null for what names nobody.
P.parse = text => {
  text = text.trim();
  if (text === "" || text === "all") return () => true;
  if (text.startsWith("!")) {
    const inner = P.parse(text.slice(1));
    return inner && (node => !inner(node));
  }
  const spans = text.split(",").map(part => /^\s*n?(\d+)(?:\s*-\s*n?(\d+))?\s*$/.exec(part));
  if (spans.some(span => !span)) return null;
  return node => spans.some(([, a, b]) => node >= +a && node <= +(b ?? a));
};
P.groups = P.data.groups.map(spans => {
  const members = new Uint8Array(P.nodes);
  spans.forEach(([a, b]) => members.fill(1, a, b + 1));
  return members;
});

// By node: spans of time in which it was not simply running.
P.plights = (() => {
  const spans = Array.from({ length: P.nodes }, () => []), state = new Map();
  const { at, node, life } = P.data.lives;
  for (let n = 0; n < P.nodes; n++) state.set(n, { what: "not started", from: 0 });
  const close = (n, to) => {
    const open = state.get(n);
    if (open && to > open.from) spans[n].push({ ...open, to });
    state.delete(n);
  };
  for (let i = 0; i < at.length; i++) {
    const n = node[i];
    close(n, at[i]);
    const what = { stops: "down", refuses: "refuses its disk", pauses: "paused" }[life[i]];
    if (what) state.set(n, { what, from: at[i] });
  }
  [...state.keys()].forEach(n => close(n, P.end));
  return spans;
})();
P.plight = (node, at) => P.plights[node]?.find(span => span.from <= at && at < span.to)?.what ?? "runs";
P.shade = what => what === "paused" ? "pause" : what === "refuses its disk" ? "bad" : "down";

// Without a number is who need not become well, and stays apart when the storm is over.
P.faults = P.data.faults.map(fault => ({ ...fault, to: fault.to ?? P.end, open: fault.to === null,
  text: fault.number === null ? `${fault.text} (who need not become well stays apart)` : fault.text,
  hits: node => P.groups[fault.a][node] === 1 || (fault.b !== null && P.groups[fault.b][node] === 1) }));
P.during = at => P.faults.filter(fault => fault.from <= at && (at < fault.to || fault.from === fault.to && at === fault.from));

P.marks = P.data.marks.map((marks, place) => ({ ...marks, place }));

P.CARRIES = ["question", "answer", "failure", "hang-up"];
P.exchanges = (() => {
  const x = P.data.exchanges, all = [];
  let leg = 0;
  for (let i = 0; i < x.number.length; i++) {
    const legs = [];
    let last = x.sent[i];
    for (let k = 0; k < x.legs[i]; k++, leg++) {
      const carries = x.leg_carries[leg], back = carries === 1 || carries === 2;
      const at = x.sent[i] + x.leg_at[leg], to = at + x.leg_takes[leg];
      legs.push({ carries, at, to, fate: x.leg_fate[leg],
        from: back ? x.to[i] : x.from[i], whom: back ? x.from[i] : x.to[i] });
      last = Math.max(last, to);
    }
    const failed = x.failed[i] === null ? null : x.sent[i] + x.failed[i];
    all.push({ number: x.number[i], name: x.names[x.name[i]], from: x.from[i], to: x.to[i], sent: x.sent[i],
      last, legs, failed, reason: x.reason[i] === null ? null : x.reasons[x.reason[i]],
      told: x.told[i].map(place => P.data.marks[place].name) });
  }
  return all;
})();
// What came of an exchange, in a few words.
P.outcome = exchange => {
  const leg = kind => exchange.legs.find(leg => leg.carries === kind);
  if (exchange.reason) return `failed: ${exchange.reason}`;
  const [question, answer] = [leg(0), leg(1)];
  if (question && question.fate) return "question lost";
  if (answer && answer.fate) return "answer lost";
  if (answer) return leg(3) && leg(3).at < answer.to ? "answered, given up before" : "answered";
  if (leg(2)) return leg(2).fate ? "news of failure lost" : "failed";
  return leg(3) ? "given up" : "no answer";
};

// The diagram of messages is chosen in the address, so that the way back leads back.
P.around = (node, at) => `#flow=${node}@${Math.round(at)}`;
P.go = (node, at) => { location.hash = P.around(node, at); };
P.link = (node, at, text) => P.el("a", { href: P.around(node, at) }, text ?? `messages around ${P.name(node)}`);
