// Messages between a node and those it talks to, in a window of time: a Lamport diagram.
"use strict";
P.flow = () => {
  const { el, $ } = P, stage = $("flow-stage"), NS = "http:" + "//www.w3.org/2000/svg";
  const HUES = ["c0", "c2", "bad", "c8"], TOP = 40, HEIGHT = 660, LEFT = 96, ARROWS = 500;
  let choice = { node: 0, at: 0 }, half = 500_000, columns = 9, whole = true, picked = null, shown = [];

  // Who takes part in what, found by node.
  const by = new Map();
  P.exchanges.forEach((exchange, i) => [exchange.from, exchange.to].forEach(party => {
    if (party === null) return;
    if (!by.has(party)) by.set(party, []);
    by.get(party).push(i);
  }));
  const near = (party, from, to) => (by.get(party) ?? []).filter(i => P.exchanges[i].sent <= to && P.exchanges[i].last >= from);

  const svg = (tag, attributes = {}, ...children) => {
    const element = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) {
      name.startsWith("on") ? element.addEventListener(name.slice(2), value) : element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  const draw = () => {
    const from = choice.at - half, to = choice.at + half;
    const own = near(choice.node, from, to);
    const talk = new Map();
    for (const i of own) {
      const { from: a, to: b, reason, legs } = P.exchanges[i], other = a === choice.node ? b : a;
      // A failure or a loss outweighs ten quiet exchanges.
      if (other !== null) talk.set(other, (talk.get(other) ?? 0) + (reason || legs.some(leg => leg.fate) ? 10 : 1));
    }
    if (picked !== null) {
      const exchange = P.exchanges[picked], other = exchange.from === choice.node ? exchange.to : exchange.from;
      if (other !== null && talk.has(other)) talk.set(other, Infinity);
    }
    const others = [...talk.keys()].filter(other => other !== choice.node).sort((a, b) => talk.get(b) - talk.get(a));
    const drawn = others.slice(0, columns - 1).sort((a, b) => a - b);
    const middle = Math.ceil(drawn.length / 2), parties = [...drawn.slice(0, middle), choice.node, ...drawn.slice(middle)];
    const place = new Map(parties.map((party, i) => [party, i]));
    const all = new Set(own.filter(i => [P.exchanges[i].from, P.exchanges[i].to].every(p => p === null || place.has(p))));
    if (whole) drawn.forEach(party => near(party, from, to).forEach(i => {
      if (place.has(P.exchanges[i].from) && place.has(P.exchanges[i].to)) all.add(i);
    }));
    // The nearest in time, if there are too many; the chosen node's own first.
    const mine = i => P.exchanges[i].from === choice.node || P.exchanges[i].to === choice.node;
    shown = [...all].sort((a, b) => mine(b) - mine(a) || Math.abs(P.exchanges[a].sent - choice.at) - Math.abs(P.exchanges[b].sent - choice.at));
    const cut = Math.max(shown.length - ARROWS, 0);
    shown = shown.slice(0, ARROWS).sort((a, b) => P.exchanges[a].sent - P.exchanges[b].sent);

    const width = Math.max(stage.clientWidth, 320), gap = (width - LEFT) / parties.length;
    const x = party => LEFT + (place.get(party) + .5) * gap, y = at => TOP + (at - from) / (to - from) * (HEIGHT - TOP - 8);
    const clip = at => Math.min(Math.max(at, from), to);
    const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": `messages around ${P.name(choice.node)}` });
    const defs = svg("defs");
    [...HUES, "soft"].forEach((hue, i) => defs.append(svg("marker", { id: `tip${i}`, viewBox: "0 0 8 8", refX: 7.5, refY: 4, markerWidth: 7, markerHeight: 7,
      orient: "auto", markerUnits: "userSpaceOnUse" }, svg("path", { d: "M0,1 L8,4 L0,7 z", style: `fill:var(--${hue})` }))));
    defs.append(svg("clipPath", { id: "window" }, svg("rect", { x: 0, y: TOP, width, height: HEIGHT - TOP })));
    root.append(defs);
    // Time.
    const scale = d3.scaleLinear([from / 1e6, to / 1e6], [TOP, HEIGHT - 8]), format = scale.tickFormat(12);
    for (const tick of scale.ticks(12)) {
      root.append(svg("line", { x1: LEFT - 6, x2: width, y1: scale(tick), y2: scale(tick), style: "stroke:var(--grid)" }),
        svg("text", { x: LEFT - 12, y: scale(tick) + 4, "text-anchor": "end", class: "soft" }, `${format(tick)} s`));
    }
    root.append(svg("line", { x1: LEFT - 6, x2: width, y1: y(choice.at), y2: y(choice.at), style: "stroke:var(--accent);stroke-dasharray:2 3" }));
    // Faults that begin or end here.
    let under = -Infinity;
    const edges = P.faults.flatMap(fault => [[fault.from, "begins", fault], ...(fault.open ? [] : [[fault.to, "ends", fault]])])
      .filter(([at, , fault]) => at >= from && at <= to && parties.some(party => party < P.nodes && fault.hits(party)))
      .sort((a, b) => a[0] - b[0]);
    for (const [at, word, fault] of edges.slice(0, 40)) {
      const hue = P.hue("fault", fault.kind), label = svg("text", { x: width - 4, y: Math.max(y(at) - 3, under + 12), "text-anchor": "end", class: "soft", style: `fill:var(--${hue})` }, `${fault.kind} ${word}`);
      under = +label.getAttribute("y");
      label.append(svg("title", {}, fault.text));
      root.append(svg("line", { x1: LEFT - 6, x2: width, y1: y(at), y2: y(at), style: `stroke:var(--${hue});stroke-dasharray:7 4` }), label);
    }
    // Nodes.
    for (const party of parties) {
      const chosen = party === choice.node, user = party >= P.nodes;
      const spans = user ? [] : P.plights[party].filter(span => span.to > from && span.from < to);
      root.append(svg("line", { x1: x(party), x2: x(party), y1: TOP, y2: HEIGHT - 8, style: `stroke:var(--${chosen ? "accent" : "soft"});stroke-width:${chosen ? 2 : 1}` }));
      for (const span of spans) {
        const bar = svg("rect", { x: x(party) - 5, y: y(clip(span.from)), width: 10, height: Math.max(y(clip(span.to)) - y(clip(span.from)), 1.5), style: `fill:var(--${P.shade(span.what)})` });
        bar.append(svg("title", {}, `${P.name(party)} ${span.what}, ${P.time(span.from)} to ${P.time(span.to)}`));
        root.append(bar);
      }
      const go = () => P.go(party, choice.at);
      root.append(svg("text", { x: x(party), y: 18, "text-anchor": "middle", class: user ? "" : "head", tabindex: user ? -1 : 0, role: user ? "img" : "link",
        onclick: () => user || go(), onkeydown: event => { if (event.key === "Enter" && !user) { event.stopPropagation(); go(); } } }, P.name(party)),
        svg("text", { x: x(party), y: 32, "text-anchor": "middle", class: "soft" }, chosen ? "chosen" : user ? "" : P.plight(party, choice.at)));
    }
    // Messages.
    const layer = svg("g", { "clip-path": "url(#window)", class: picked === null ? "" : "any-on" });
    for (const i of shown) {
      const exchange = P.exchanges[i];
      const group = svg("g", { class: `msg${i === picked ? " on" : ""}`, tabindex: -1, "data-i": i, onclick: () => pick(i) });
      group.append(svg("title", {}, `#${exchange.number} ${exchange.name} ${P.name(exchange.from)} → ${P.name(exchange.to)}: ${P.outcome(exchange)}`));
      for (const leg of exchange.legs) {
        // Nobody answers for a host that does not exist: the news comes from the node's own side.
        const x0 = leg.from === null ? x(leg.whom) - 14 : x(leg.from), x1 = leg.whom === null ? x(leg.from) + 14 : x(leg.whom);
        const slow = leg.fate === 1 ? Math.max((to - from) / 40, 1) : leg.to - leg.at, reach = [1, .35, .9][leg.fate];
        const ax = x0, ay = y(leg.at), bx = x0 + (x1 - x0) * reach, by = y(leg.at + slow * (leg.fate === 1 ? 1 : reach));
        const line = { x1: ax, y1: ay, x2: bx, y2: by };
        group.append(svg("line", { ...line, class: "hit" }), svg("line", { ...line, class: "ray",
          style: `stroke:var(--${HUES[leg.carries]})${leg.carries === 3 ? ";stroke-dasharray:3 3" : leg.fate ? ";stroke-dasharray:6 3" : ""}`,
          ...(leg.fate ? {} : { "marker-end": `url(#tip${leg.carries})` }) }));
        if (leg.fate) group.append(svg("path", { d: `M${bx - 4},${by - 4}l8,8m0,-8l-8,8`, style: "stroke:var(--bad);stroke-width:2;fill:none" }));
      }
      layer.append(group);
    }
    root.append(layer);
    // Events and findings on the lines.
    let dots = 0;
    for (const mark of P.marks) {
      for (let i = d3.bisectLeft(mark.at, from); i < mark.at.length && mark.at[i] <= to && dots < 1500; i++) {
        if (!place.has(mark.node[i])) continue;
        dots++;
        const dot = svg("circle", { cx: x(mark.node[i]), cy: y(mark.at[i]), r: 3, style: `fill:var(--${P.hue("event", mark.name)});stroke:var(--card);stroke-width:.8` });
        dot.append(svg("title", {}, `${P.time(mark.at[i])} ${P.name(mark.node[i])} ${mark.text[i] ? `${mark.name}: ${mark.text[i]}` : mark.name}`));
        root.append(dot);
      }
    }
    for (const finding of P.data.findings) {
      if (finding.at < from || finding.at > to || (finding.node !== null && !place.has(finding.node))) continue;
      const cx = finding.node === null ? LEFT - 4 : x(finding.node);
      const star = svg("path", { d: d3.symbol(d3.symbolStar, 130)(), transform: `translate(${cx},${y(finding.at)})`, style: "fill:var(--bad);stroke:var(--card)" });
      star.append(svg("title", {}, `${finding.oracle}: ${finding.text}`));
      root.append(star);
    }
    stage.replaceChildren(root);
    if (!shown.length) {
      root.append(svg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "No message that was kept is here."));
    }
    const followed = P.data.followed, complete = followed.length === P.nodes && !P.data.kept.exchanges_refused || followed.includes(choice.node);
    $("flow-note").textContent = [
      `${shown.length} exchange${shown.length === 1 ? "" : "s"}${cut ? `, ${cut} more are left out: narrow the window` : ""}`,
      others.length > drawn.length ? `${others.length - drawn.length} quieter neighbours are left out` : "",
      complete ? `all messages of ${P.name(choice.node)} are in this report`
        : `of ${P.name(choice.node)} only some messages are in this report; all with --report-nodes ${P.name(choice.node)}`,
    ].filter(Boolean).join("; ") + ".";
    $("flow-h").textContent = `Messages around ${P.name(choice.node)} at ${P.time(choice.at)}`;
    nodeBox.value = P.name(choice.node);
    timeBox.value = (choice.at / 1e6).toFixed(4);
  };

  const pick = i => {
    picked = i;
    const e = P.exchanges[i], party = (who, at) => who === null ? "a host that does not exist" : who < P.nodes ? P.link(who, at, P.name(who)) : P.name(who);
    stage.querySelectorAll(".msg").forEach(group => group.classList.toggle("on", +group.dataset.i === i));
    stage.querySelector(".msg")?.parentNode.classList.add("any-on");
    $("flow-detail").replaceChildren(
      ...keys(), ...blame(),
      el("h3", {}, `#${e.number} ${e.name}`),
      el("p", {}, party(e.from, e.sent), " asks ", party(e.to, e.sent), ": ", el("b", {}, P.outcome(e))),
      el("table", {}, el("thead", {}, el("tr", {}, ["", "leaves", "takes"].map(text => el("th", {}, text)))),
        el("tbody", {}, e.legs.map(leg => el("tr", {}, el("td", {}, P.CARRIES[leg.carries]), el("td", { title: `${P.lasting(leg.at - e.sent)} after the question` }, P.time(leg.at)),
          el("td", { class: "wrap" }, leg.fate === 1 ? "is lost at once" : `${leg.fate ? "is swallowed after " : ""}${P.lasting(leg.to - leg.at)}`))))),
      e.failed !== null ? el("p", {}, `The caller learns at ${P.time(e.failed)}, after ${P.lasting(e.failed - e.sent)}: ${e.reason}.`) : "",
      e.told.length ? el("p", {}, `Events at once where it arrived: ${[...new Set(e.told)].join(", ")}.`) : "",
      el("p", {}, e.to !== null && e.to < P.nodes ? P.link(e.to === choice.node && e.from < P.nodes ? e.from : e.to, e.sent, "See it from the other side") : ""));
  };

  // Moving about.
  const turn = at => P.go(choice.node, Math.min(Math.max(at, 0), P.end));
  const widen = factor => { half = Math.min(Math.max(half * factor, 1_000), P.end); halfBox.value = String(half / 1e3); draw(); };
  const nodeBox = el("input", { type: "text", size: 7, "aria-label": "node", onchange: event => {
    const found = /^\s*n?(\d+)\s*$/.exec(event.target.value);
    found && +found[1] < P.nodes ? P.go(+found[1], choice.at) : draw();
  } });
  const timeBox = el("input", { type: "text", size: 9, "aria-label": "seconds", onchange: event => {
    const at = parseFloat(event.target.value) * 1e6;
    Number.isFinite(at) ? turn(at) : draw();
  } });
  const halfBox = el("input", { type: "number", min: 1, step: "any", value: half / 1e3, style: "width:6rem", "aria-label": "milliseconds before and after",
    onchange: event => { const ms = parseFloat(event.target.value); if (ms >= 1) { half = ms * 1e3; draw(); } } });
  const columnBox = el("select", { "aria-label": "columns", onchange: event => { columns = +event.target.value; draw(); } },
    [5, 9, 15, 25].map(n => el("option", { value: n, ...(n === columns ? { selected: "" } : {}) }, n)));
  const wholeBox = el("input", { type: "checkbox", checked: true, onchange: event => { whole = event.target.checked; draw(); } });
  // What is worth a look: failures and losses, by kind.
  const worth = d3.groups(P.exchanges.map((e, i) => [P.outcome(e), i]).filter(([text]) => !/^answered|^given up$|^no answer$/.test(text)), ([text]) => text)
    .sort((a, b) => a[1].length - b[1].length);
  const jump = el("select", { "aria-label": "failures and losses", onchange: event => {
    if (event.target.value === "") return;
    const i = +event.target.value, e = P.exchanges[i];
    picked = i;
    const node = e.from < P.nodes ? e.from : e.to;
    half = Math.max(half, (e.last - e.sent) * .7);
    halfBox.value = String(+(half / 1e3).toPrecision(4));
    const hash = P.around(node, (e.sent + e.last) / 2);
    location.hash === hash ? show() : location.hash = hash;
    pick(i);
  } }, el("option", { value: "" }, `go to one of ${P.count(d3.sum(worth, ([, list]) => list.length))} …`), worth.map(([text, list]) => {
    const some = list.length > 60 ? d3.range(60).map(k => list[Math.floor(k * list.length / 60)]) : list;
    return el("optgroup", { label: `${text} (${P.count(list.length)})` }, some.map(([, i]) => {
      const e = P.exchanges[i];
      return el("option", { value: i }, `${P.time(e.sent)} ${P.name(e.from)} → ${P.name(e.to)} ${e.name}`);
    }));
  }));
  const followed = P.data.followed.length === P.nodes ? null : el("select", { "aria-label": "nodes that are followed", onchange: event => {
    if (event.target.value !== "") P.go(+event.target.value, choice.at);
    event.target.value = "";
  } }, el("option", { value: "" }, "followed …"), P.data.followed.map(node => el("option", { value: node }, P.name(node))));
  $("flow-tools").append(el("label", {}, "Node", nodeBox), followed ?? "", el("label", {}, "at", timeBox, "s"), el("label", {}, "±", halfBox, "ms"),
    el("label", {}, "columns", columnBox), el("label", {}, wholeBox, "also among neighbours"),
    el("button", { type: "button", onclick: () => turn(choice.at - half) }, "◀ earlier"), el("button", { type: "button", onclick: () => turn(choice.at + half) }, "later ▶"),
    el("button", { type: "button", onclick: () => widen(.5), "aria-label": "zoom in" }, "+"), el("button", { type: "button", onclick: () => widen(2), "aria-label": "zoom out" }, "−"),
    el("label", {}, "Failures and losses", jump));
  const keys = () => [el("p", {}, P.CARRIES.map((name, i) => el("span", { class: "key" },
    el("i", { style: `width:1.6em;border-top:2px ${i === 3 ? "dashed" : "solid"} var(--${HUES[i]})` }), name)),
  el("span", { class: "key" }, el("b", { style: "color:var(--bad)" }, "✕"), "lost"), el("span", { class: "key" }, el("b", { style: "color:var(--bad)" }, "★"), "finding"))];
  stage.addEventListener("keydown", event => {
    const step = direction => {
      const now = shown.indexOf(picked), next = shown[now < 0 ? 0 : Math.min(Math.max(now + direction, 0), shown.length - 1)];
      if (next !== undefined) pick(next);
    };
    const act = { ArrowDown: () => step(1), ArrowUp: () => step(-1), ArrowLeft: () => turn(choice.at - half / 2), ArrowRight: () => turn(choice.at + half / 2),
      "+": () => widen(.5), "=": () => widen(.5), "-": () => widen(2) }[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); act(); }
  });

  const show = () => { draw(); if (picked !== null) pick(picked); else accuse(); };
  // At a finding: the message that the node took in or sent at that very moment.
  const accused = () => P.data.findings.filter(finding => P.place(finding).node === choice.node
    && (finding.at === choice.at || P.began(finding) === choice.at));
  const culprit = () => accused().length === 0 ? null : near(choice.node, choice.at, choice.at).find(i => P.exchanges[i].legs.some(leg =>
    leg.at === choice.at && leg.from === choice.node || leg.to === choice.at && leg.whom === choice.node && leg.fate === 0)) ?? null;
  const accuse = () => $("flow-detail").replaceChildren(...keys(), ...blame(), accused().length ? "" : el("p", { class: "hint" }, "Choose an arrow."));
  const blame = () => accused().slice(0, 6).map(finding => el("p", { style: "border-left:4px solid var(--bad);padding-left:.5rem" },
    el("b", {}, `${finding.oracle} is violated at ${P.time(finding.at)}: `), finding.text.length > 300 ? `${finding.text.slice(0, 300)}…` : finding.text));
  const read = () => {
    const found = /^#flow=(\d+)@(\d+)$/.exec(location.hash);
    if (!found) return;
    choice = { node: Math.min(+found[1], P.nodes - 1), at: +found[2] };
    if (picked !== null && !near(choice.node, choice.at - half, choice.at + half).includes(picked)) picked = null;
    picked = culprit() ?? picked;
    show();
    $("flow").scrollIntoView();
  };
  addEventListener("hashchange", read);
  // At first: the first finding, else the rarest failure of a node of which all is known, else the
  // first message.
  const whole_ones = new Set(P.data.followed);
  const rare = worth.flatMap(([, list]) => list).find(([, i]) => whole_ones.has(P.exchanges[i].from));
  if (P.data.findings[0]) {
    choice = P.place(P.data.findings[0]);
    picked = culprit();
  } else if (rare) {
    const e = P.exchanges[picked = rare[1]];
    choice = { node: e.from, at: e.sent };
  } else choice = { node: P.data.followed[0] ?? 0, at: P.exchanges[0]?.sent ?? 0 };
  show();
  read();
  addEventListener("resize", draw);
  $("flow").dataset.ready = P.exchanges.length;
};
