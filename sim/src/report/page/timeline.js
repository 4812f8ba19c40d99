// Rows of nodes, with what befell them and what they told.
"use strict";
P.timeline = () => {
  const { el, $ } = P, canvas = $("timeline-canvas"), tip = $("timeline-tip");
  const GUTTER = 80, AXIS = 24, LANE = 13, HEIGHT = 620;
  const kinds = [...new Set(P.faults.map(fault => fault.kind))].sort();
  const marks = [...P.marks].sort((a, b) => a.count - b.count);
  const kindsOn = new Set(kinds), namesOn = new Set(marks.filter(m => m.every === 1).slice(0, 8).map(m => m.name));
  kinds.forEach(kind => P.hue("fault", kind));
  marks.forEach(({ name }) => P.hue("event", name));
  let filter = () => true, troubled = false, rows = [], view = { x0: 0, x1: P.end, y0: 0, y1: P.nodes };
  let cursor = null;

  const choose = () => {
    const struck = node => P.plights[node].some(span => span.what !== "not started")
      || P.faults.some(fault => fault.b === null && kindsOn.has(fault.kind) && fault.hits(node));
    rows = d3.range(P.nodes).filter(node => filter(node) && (!troubled || struck(node)));
    places = new Map(rows.map((node, row) => [node, row]));
    reset(true);
  };
  let places = new Map();
  const reset = rowsOnly => {
    view = { ...(rowsOnly ? view : { x0: 0, x1: P.end }), y0: 0, y1: Math.max(rows.length, 1) };
    later();
  };

  // One lane per fault kind that is on, above the rows.
  const lanes = () => kinds.filter(kind => kindsOn.has(kind));
  const top = () => AXIS + lanes().length * LANE + 4;
  let size = { width: 300, height: HEIGHT };
  const x = at => GUTTER + (at - view.x0) / (view.x1 - view.x0) * (size.width - GUTTER);
  const at = px => view.x0 + (px - GUTTER) / (size.width - GUTTER) * (view.x1 - view.x0);
  const y = row => top() + (row - view.y0) / (view.y1 - view.y0) * (size.height - top());
  const row = py => view.y0 + (py - top()) / (size.height - top()) * (view.y1 - view.y0);

  const weights = P.groups.map(members => d3.sum(members)), weight = group => weights[group];
  let queued = false;
  const later = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; draw(); });
  };
  let drawn = 0;
  const draw = () => {
    const { context: c, width, height } = P.canvas(canvas, HEIGHT);
    size = { width, height };
    const rowHeight = (height - top()) / (view.y1 - view.y0);
    const first = Math.max(0, Math.floor(view.y0)), last = Math.min(rows.length, Math.ceil(view.y1));
    const bar = (from, to, y0, h) => {
      const left = Math.max(x(from), GUTTER), right = Math.min(Math.max(x(to), x(from) + 1.5), width);
      if (right > left) c.fillRect(left, y0, right - left, h);
    };
    // Time.
    const scale = d3.scaleLinear([view.x0 / 1e6, view.x1 / 1e6], [GUTTER, width]);
    const ticks = scale.ticks(Math.max(2, width / 110)), format = scale.tickFormat(Math.max(2, width / 110));
    c.textBaseline = "middle";
    c.textAlign = "center";
    for (const tick of ticks) {
      c.fillStyle = P.css("grid");
      c.fillRect(scale(tick), AXIS, 1, height);
      c.fillStyle = P.css("soft");
      c.fillText(`${format(tick)} s`, Math.min(Math.max(scale(tick), GUTTER + 16), width - 22), AXIS / 2);
    }
    // Faults, one lane each.
    c.textAlign = "right";
    lanes().forEach((kind, lane) => {
      const y0 = AXIS + lane * LANE;
      c.fillStyle = P.css("soft");
      c.font = "10px system-ui, sans-serif";
      c.fillText(kind, GUTTER - 5, y0 + LANE / 2);
      c.fillStyle = P.css(P.hue("fault", kind));
      P.faults.forEach(fault => { if (fault.kind === kind) bar(fault.from, fault.to, y0 + 2, LANE - 4); });
    });
    c.save();
    c.beginPath();
    c.rect(0, top(), width, height);
    c.clip();
    // Rows and their labels.
    const every = Math.max(1, Math.ceil(15 / rowHeight));
    c.font = `${Math.min(12, Math.max(9, rowHeight))}px system-ui, sans-serif`;
    for (let r = first; r < last; r++) {
      if (rowHeight > 6 && r % 2) {
        c.fillStyle = P.css("bg");
        c.fillRect(GUTTER, y(r), width, rowHeight);
      }
      if (r % every === 0) {
        c.fillStyle = P.css("soft");
        c.fillText(`n${rows[r]}`, GUTTER - 5, Math.max(y(r + .5), top() + 6));
      }
    }
    // Faults of nodes: under what became of the node.
    const thin = Math.max(Math.min(rowHeight * .8, 16), 1);
    for (const fault of P.faults) {
      if (!kindsOn.has(fault.kind) || fault.to < view.x0 || fault.from > view.x1) continue;
      const link = fault.b !== null;
      c.globalAlpha = link ? .16 : .45;
      c.fillStyle = P.css(P.hue("fault", fault.kind));
      // Of links, the smaller side is shown: with the other, everybody would be.
      const members = P.groups[link && weight(fault.b) < weight(fault.a) ? fault.b : fault.a];
      for (let r = first; r < last; r++) {
        if (members[rows[r]]) bar(fault.from, fault.to, y(r) + (link ? 0 : (rowHeight - thin) / 2), link ? Math.max(rowHeight, 1) : thin);
      }
    }
    c.globalAlpha = 1;
    for (let r = first; r < last; r++) {
      for (const span of P.plights[rows[r]]) {
        c.fillStyle = P.css(P.shade(span.what));
        bar(span.from, span.to, y(r) + rowHeight * .3, Math.max(rowHeight * .4, 1));
      }
    }
    // Events.
    drawn = 0;
    const tall = Math.max(Math.min(rowHeight * .7, 12), 2);
    for (const mark of marks) {
      if (!namesOn.has(mark.name)) continue;
      c.fillStyle = P.css(P.hue("event", mark.name));
      for (let i = d3.bisectLeft(mark.at, view.x0); i < mark.at.length && mark.at[i] <= view.x1; i++) {
        const r = places.get(mark.node[i]);
        if (r === undefined || r < first || r >= last) continue;
        c.fillRect(x(mark.at[i]) - 1, y(r + .5) - tall / 2, 2, tall);
        drawn++;
      }
    }
    // Findings, the end of the storm, and the chosen point.
    for (const finding of P.data.findings) {
      const px = x(finding.at);
      if (px < GUTTER) continue;
      c.fillStyle = P.css("bad");
      const r = places.get(finding.node);
      if (r === undefined) c.fillRect(px - .5, top(), 1, height);
      else { c.beginPath(); c.arc(px, y(r + .5), 5, 0, 7); c.fill(); }
    }
    const calm = P.data.head.calm_us;
    if (calm !== null && x(calm) >= GUTTER) {
      c.strokeStyle = P.css("soft");
      c.setLineDash([6, 4]);
      c.beginPath(); c.moveTo(x(calm), top()); c.lineTo(x(calm), height); c.stroke();
      c.setLineDash([]);
    }
    if (cursor && places.has(cursor.node)) {
      c.strokeStyle = P.css("accent");
      const r = places.get(cursor.node);
      c.strokeRect(x(cursor.at) - 5, y(r) - 1, 10, Math.max(rowHeight, 3) + 2);
    }
    c.restore();
    note.textContent = `${P.count(rows.length)} nodes, ${P.count(drawn)} marks in view`;
  };

  // What is at a point.
  const what = (node, time, slack) => {
    const lines = [`${P.name(node)} at ${P.time(time)}: ${P.plight(node, time)}`];
    P.faults.forEach(fault => {
      if (kindsOn.has(fault.kind) && fault.hits(node) && fault.from - slack <= time && time <= fault.to + slack) lines.push(fault.text);
    });
    marks.forEach(mark => {
      if (!namesOn.has(mark.name)) return;
      for (let i = d3.bisectLeft(mark.at, time - slack); i < mark.at.length && mark.at[i] <= time + slack; i++) {
        if (mark.node[i] === node) lines.push(`${P.time(mark.at[i])} ${mark.name}${mark.text[i] ? `: ${mark.text[i]}` : ""}`);
      }
    });
    P.data.findings.forEach(finding => {
      if (finding.node === node && Math.abs(finding.at - time) <= slack) lines.push(`FINDING ${finding.oracle}: ${finding.text}`);
    });
    return lines;
  };
  const short = text => text.length > 160 ? `${text.slice(0, 160)}…` : text;
  const point = event => {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const node = px >= GUTTER && py >= top() ? rows[Math.floor(row(py))] : undefined;
    return { px, py, node, at: Math.min(Math.max(at(px), 0), P.end) };
  };
  const slack = () => (view.x1 - view.x0) / (size.width - GUTTER) * 4;
  const detail = () => {
    const lines = what(cursor.node, cursor.at, slack());
    $("timeline-detail").replaceChildren(el("p", {}, el("b", {}, lines[0]), " – ", P.link(cursor.node, cursor.at)),
      ...lines.slice(1, 40).map(line => el("p", {}, line)));
    later();
  };
  let drag = null;
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    drag = { ...point(event), view: { ...view }, moved: false };
  });
  canvas.addEventListener("pointermove", event => {
    const here = point(event);
    if (drag) {
      drag.moved ||= Math.abs(here.px - drag.px) + Math.abs(here.py - drag.py) > 4;
      if (!drag.moved) return;
      const dx = (here.px - drag.px) / (size.width - GUTTER) * (drag.view.x1 - drag.view.x0);
      const dy = (here.py - drag.py) / (size.height - top()) * (drag.view.y1 - drag.view.y0);
      move(drag.view.x0 - dx, drag.view.x1 - dx, drag.view.y0 - dy, drag.view.y1 - dy);
      return;
    }
    let lines = here.node === undefined ? [] : what(here.node, here.at, slack());
    const lane = lanes()[Math.floor((here.py - AXIS) / LANE)];
    if (here.py < top() && here.py > AXIS && here.px > GUTTER && lane) {
      lines = P.faults.filter(fault => fault.kind === lane && fault.from - slack() <= here.at && here.at <= fault.to + slack()).map(f => f.text);
    }
    tip.style.display = lines.length ? "block" : "none";
    tip.replaceChildren(...lines.slice(0, 8).map(line => el("div", {}, short(line))), lines.length > 8 ? `and ${lines.length - 8} more` : "");
    tip.style.left = `${Math.min(here.px + 14, size.width - Math.min(430, size.width / 2))}px`;
    tip.style.top = `${here.py > HEIGHT - 170 ? here.py - 20 - tip.offsetHeight : here.py + 14}px`;
  });
  canvas.addEventListener("pointerup", event => {
    const here = point(event);
    if (drag && !drag.moved && here.node !== undefined) { cursor = { node: here.node, at: Math.round(here.at) }; detail(); }
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
  canvas.addEventListener("dblclick", event => { const here = point(event); if (here.node !== undefined) P.go(here.node, here.at); });
  const move = (x0, x1, y0, y1) => {
    const wide = Math.min(Math.max(x1 - x0, 2_000), P.end), tall = Math.min(Math.max(y1 - y0, 4), Math.max(rows.length, 4));
    x0 = Math.min(Math.max(x0, 0), P.end - wide);
    y0 = Math.min(Math.max(y0, 0), Math.max(rows.length - tall, 0));
    view = { x0, x1: x0 + wide, y0, y1: y0 + tall };
    later();
  };
  const zoom = (fx, fy, mx, my) => move(mx - (mx - view.x0) * fx, mx + (view.x1 - mx) * fx, my - (my - view.y0) * fy, my + (view.y1 - my) * fy);
  canvas.addEventListener("wheel", event => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    const here = point(event), factor = Math.exp((event.deltaY || event.deltaX) * .0015);
    event.shiftKey ? zoom(1, factor, here.at, row(here.py)) : zoom(factor, 1, here.at, row(here.py));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const { x0, x1, y0, y1 } = view, dx = (x1 - x0) / 8, dy = Math.max((y1 - y0) / 8, 1), mx = cursor?.at ?? (x0 + x1) / 2, my = (y0 + y1) / 2;
    const act = {
      ArrowLeft: () => move(x0 - dx, x1 - dx, y0, y1), ArrowRight: () => move(x0 + dx, x1 + dx, y0, y1),
      ArrowUp: () => move(x0, x1, y0 - dy, y1 - dy), ArrowDown: () => move(x0, x1, y0 + dy, y1 + dy),
      "+": () => zoom(.7, 1, mx, my), "=": () => zoom(.7, 1, mx, my), "-": () => zoom(1.4, 1, mx, my),
      "[": () => zoom(1, 1.4, mx, my), "]": () => zoom(1, .7, mx, my), 0: () => reset(false),
      Enter: () => P.go(cursor?.node ?? rows[Math.floor(my)] ?? 0, mx), Escape: () => canvas.blur(),
    }[event.key];
    if (act && !event.metaKey && !event.altKey) { event.preventDefault(); act(); }
  });

  const note = el("output", {});
  const group = el("input", { type: "text", size: 18, placeholder: "all, n0-n9,n17, !n3", "aria-label": "nodes to show", oninput: event => {
    const parsed = P.parse(event.target.value);
    event.target.style.borderColor = parsed ? "" : "var(--bad)";
    if (parsed) { filter = parsed; choose(); }
  } });
  const only = el("input", { type: "checkbox", onchange: event => { troubled = event.target.checked; choose(); } });
  $("timeline-tools").append(el("label", {}, "Nodes", group), el("label", {}, only, "only those that stopped, paused or had a fault of their own"),
    el("button", { type: "button", onclick: () => reset(false) }, "Show all"), note);
  const tally = kind => P.faults.filter(fault => fault.kind === kind).length;
  $("timeline-chips").append(
    kinds.length ? P.chips("Faults", kinds.map(name => ({ name, hue: P.hue("fault", name), note: tally(name) })), kindsOn, later) : "",
    P.chips("Events", marks.map(({ name, count, every }) => ({ name, hue: P.hue("event", name),
      note: every > 1 ? `${P.count(count)}, 1 in ${every} shown` : P.count(count) })), namesOn, later),
    el("div", { class: "chips" }, el("b", {}, "Nodes"), ...[["down", "down or not started"], ["pause", "paused"], ["bad", "refuses its disk; a finding"]]
      .map(([hue, text]) => el("span", { class: "key" }, el("i", { style: `width:1.2em;height:.6em;background:var(--${hue})` }), text))));
  choose();
  draw();
  P.redraws.push(draw);
  addEventListener("resize", later);
  P.showNode = (node, time) => {
    cursor = { node, at: time };
    canvas.scrollIntoView({ block: "center" });
    detail();
  };
  $("timeline").dataset.ready = d3.sum(P.marks, mark => mark.at.length);
  $("timeline").dataset.faults = P.faults.length;
};
