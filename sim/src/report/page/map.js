// Who knows whom at a moment, with the sides of partitions.
"use strict";
P.map = () => {
  const { el, $, data } = P, canvas = $("map-canvas"), HEIGHT = 680, { moments } = data.peers;
  const SIDES = ["c0", "c1", "c2", "c4", "c5", "c6", "c7", "c9"];
  let index = Math.max(moments.length - 1, 0), layout = P.nodes > 60 ? "sides" : "ring", show = { session: true, known: P.nodes <= 60 }, chosen = null, timer = null;
  const edges = data.peers.edge_a.map((a, i) => ({ a, b: data.peers.edge_b[i], session: data.peers.edge_session[i] === 1,
    from: data.peers.edge_from[i], to: data.peers.edge_from[i] + data.peers.edge_lasts[i] }));
  // Begin where there is something to see: in the middle of the first partition.
  const cut = P.faults.find(fault => fault.kind === "partition");
  if (cut && moments.length) {
    const middle = (cut.from + cut.to) / 2;
    index = d3.leastIndex(moments, (a, b) => Math.abs(a.at - middle) - Math.abs(b.at - middle));
  }

  // By node: on which sides of the partitions of a time it is.
  const sides = at => {
    const cuts = P.faults.filter(fault => fault.kind === "partition" && fault.from <= at && at < fault.to);
    const of = d3.range(P.nodes).map(node => cuts.map(cut => P.groups[cut.a][node] ? "a" : P.groups[cut.b][node] ? "b" : "-").join(""));
    const names = [...new Set(of)].sort();
    const apart = (a, b) => cuts.some(({ a: one, b: other, one_way }) =>
      P.groups[one][a] && P.groups[other][b] || P.groups[one][b] && P.groups[other][a] && !one_way || P.groups[one][b] && P.groups[other][a]);
    return { cuts, of: of.map(name => names.indexOf(name)), names, apart };
  };

  const forced = { positions: null };
  const force = () => {
    if (forced.positions) return forced.positions;
    const points = d3.range(P.nodes).map(node => ({ node }));
    const pairs = new Map();
    edges.forEach(({ a, b, session }) => { if (session) pairs.set(a < b ? a * P.nodes + b : b * P.nodes + a, { source: Math.min(a, b), target: Math.max(a, b) }); });
    const simulation = d3.forceSimulation(points).force("charge", d3.forceManyBody().strength(-60))
      .force("link", d3.forceLink([...pairs.values()]).distance(60).strength(.02)).force("x", d3.forceX().strength(.06)).force("y", d3.forceY().strength(.06)).stop();
    simulation.tick(120);
    const [x0, x1] = d3.extent(points, p => p.x), [y0, y1] = d3.extent(points, p => p.y);
    return forced.positions = points.map(p => [(p.x - x0) / (x1 - x0 || 1), (p.y - y0) / (y1 - y0 || 1)]);
  };
  const positions = (width, height, side) => {
    const circle = (cx, cy, r, list, put) => list.forEach((node, i) => {
      const angle = 2 * Math.PI * i / list.length - Math.PI / 2;
      put[node] = [cx + r * Math.cos(angle), cy + r * Math.sin(angle)];
    });
    const put = new Array(P.nodes), pad = 34;
    if (layout === "force") force().forEach(([x, y], node) => { put[node] = [pad + x * (width - 2 * pad), pad + y * (height - 2 * pad)]; });
    else if (layout === "sides" && side.names.length > 1) {
      const n = side.names.length, wide = Math.ceil(Math.sqrt(n * width / height)), tall = Math.ceil(n / wide);
      side.names.forEach((_, k) => {
        const cell = [width / wide, height / tall];
        circle((k % wide + .5) * cell[0], (Math.floor(k / wide) + .5) * cell[1], Math.min(...cell) / 2 - pad, d3.range(P.nodes).filter(node => side.of[node] === k), put);
      });
    } else circle(width / 2, height / 2, Math.min(width, height) / 2 - pad, d3.range(P.nodes), put);
    return put;
  };

  let spots = [];
  const draw = () => {
    const { context: c, width, height } = P.canvas(canvas, HEIGHT);
    if (!moments.length) return;
    const moment = moments[index], at = moment.at, side = sides(at);
    spots = positions(width, height, side);
    const now = edges.filter(edge => edge.from <= at && at < edge.to && (edge.session ? show.session : show.known));
    const mine = edge => chosen !== null && (edge.a === chosen || edge.b === chosen);
    const strokes = (list, hue, alpha, thick) => {
      c.strokeStyle = P.css(hue);
      c.globalAlpha = alpha;
      c.lineWidth = thick;
      c.beginPath();
      for (const { a, b } of list) { c.moveTo(...spots[a]); c.lineTo(...spots[b]); }
      c.stroke();
    };
    const groups = { known: [], session: [], cut: [], mine: [], lost: [] };
    for (const edge of now) {
      const cut = side.cuts.length && side.apart(edge.a, edge.b);
      groups[mine(edge) ? cut ? "lost" : "mine" : cut ? "cut" : edge.session ? "session" : "known"].push(edge);
    }
    const dim = (chosen === null ? 1 : .25) * Math.min(1, Math.max(.06, 900 / now.length));
    strokes(groups.known, "soft", .35 * dim, .7);
    strokes(groups.session, "c2", .6 * dim, 1);
    strokes(groups.cut, "bad", .5 * dim, 1);
    strokes(groups.mine, "accent", .8, 1.2);
    strokes(groups.lost, "bad", .9, 1.4);
    c.globalAlpha = 1;
    const r = P.nodes <= 60 ? 9 : P.nodes <= 300 ? 5 : 2.6;
    const afflicted = P.during(at).filter(fault => fault.kind !== "partition" && fault.b === null);
    spots.forEach(([x, y], node) => {
      const plight = P.plight(node, at);
      c.beginPath();
      c.arc(x, y, node === chosen ? r + 3 : r, 0, 7);
      c.fillStyle = plight === "runs" ? P.css(SIDES[side.of[node] % SIDES.length]) : plight === "paused" ? P.css("pause") : P.css("card");
      c.fill();
      const struck = afflicted.some(fault => P.groups[fault.a][node]);
      if (plight !== "runs" || struck || node === chosen) {
        c.lineWidth = struck ? 2.5 : 1.5;
        c.strokeStyle = struck ? P.css("warn") : node === chosen ? P.css("accent") : P.css("down");
        c.stroke();
      }
      if (P.nodes <= 60) {
        c.fillStyle = plight === "runs" || plight === "paused" ? P.css("card") : P.css("soft");
        c.font = "600 9px system-ui, sans-serif";
        c.textAlign = "center";
        c.textBaseline = "middle";
        c.fillText(node, x, y);
      }
    });
    // In words.
    const per = d3.rollup(d3.range(P.nodes), list => list.length, node => side.of[node]);
    const label = name => side.cuts.length === 0 ? "not parted" : [...name].map((s, k) => `${side.cuts.length > 1 ? `cut ${k + 1}: ` : ""}${{ a: "one side", b: "other side", "-": "neither side" }[s]}`).join(", ");
    $("map-legend").replaceChildren(
      el("table", {}, el("tbody", {}, [["nodes that run", P.count(moment.running)], ["peers known, in all", P.count(moment.known)],
        ["smallest and largest table", `${moment.least} to ${moment.most}`], ["of them in session", P.count(moment.sessions)], ["islands", moment.islands],
        ["edges drawn", P.count(now.length)]].map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "n" }, value))))),
      el("p", {}, side.names.slice(0, 16).map((name, k) => el("span", { class: "key" },
        el("i", { style: `width:.8em;height:.8em;border-radius:50%;background:var(--${SIDES[k % SIDES.length]})` }), `${label(name)} (${per.get(k)})`))),
      el("p", {}, [["c2", "in session"], ["soft", "known only"], ["bad", "across a cut"]].map(([hue, text]) => el("span", { class: "key" },
        el("i", { style: `width:1.4em;border-top:2px solid var(--${hue})` }), text)),
        [["down", "down"], ["warn", "has a fault"]].map(([hue, text]) => el("span", { class: "key" },
          el("i", { style: `width:.8em;height:.8em;border-radius:50%;border:2px solid var(--${hue})` }), text))),
      el("h3", {}, "Faults at this time"),
      el("div", { style: "max-height:11rem;overflow:auto" }, P.during(at).length ? P.during(at).slice(0, 40).map(fault =>
        el("p", { style: `margin:.15rem 0;border-left:4px solid var(--${P.hue("fault", fault.kind)});padding-left:.4rem;overflow-wrap:anywhere` },
          fault.text.length > 130 ? `${fault.text.slice(0, 130)}…` : fault.text)) : "none"));
    stamp.textContent = P.time(at);
    slider.setAttribute("aria-valuetext", P.time(at));
    if (chosen !== null) {
      const out = now.filter(edge => edge.a === chosen), into = now.filter(edge => edge.b === chosen);
      const list = (text, party) => el("p", {}, `${text} (${party.length}): `, party.slice(0, 60).flatMap((node, k) => [k ? ", " : "",
        el("button", { type: "button", class: "link", onclick: () => { chosen = node; draw(); } }, P.name(node))]), party.length > 60 ? " …" : "");
      $("map-detail").replaceChildren(el("h3", {}, `${P.name(chosen)}: ${P.plight(chosen, at)}`), el("p", {}, P.link(chosen, at), " – ",
        el("button", { type: "button", class: "link", onclick: () => P.showNode(chosen, at) }, "its row in the timeline")),
      list("in session with", out.filter(e => e.session).map(e => e.b)), list("knows beside them", out.filter(e => !e.session).map(e => e.b)),
      list("known by, as drawn", into.map(e => e.a)));
    } else $("map-detail").replaceChildren(el("p", { class: "hint" }, "Click a node to see whom it knows."));
  };

  const slider = el("input", { type: "range", min: 0, max: Math.max(moments.length - 1, 0), value: index, "aria-label": "time", oninput: event => { index = +event.target.value; draw(); } });
  const stamp = el("output", {});
  const play = el("button", { type: "button", onclick: () => {
    if (timer) { clearInterval(timer); timer = null; play.textContent = "▶ Play"; return; }
    play.textContent = "❚❚ Stop";
    timer = setInterval(() => { index = (index + 1) % moments.length; slider.value = index; draw(); }, 350);
  } }, "▶ Play");
  const box = (name, text) => el("label", {}, el("input", { type: "checkbox", checked: show[name], onchange: event => { show[name] = event.target.checked; draw(); } }), text);
  const layouts = [["ring", "ring, by number"], ["sides", "a ring per side"], ...(P.nodes <= 400 ? [["force", "by sessions"]] : [])];
  const share = name => data.kept[`edge_share_${name}_65536`] / 65536;
  $("map-tools").append(play, slider, stamp, el("label", {}, "Layout", el("select", { onchange: event => { layout = event.target.value; draw(); } },
    layouts.map(([value, text]) => el("option", { value, selected: value === layout }, text)))), box("session", "sessions"), box("known", "all that is known"),
    share("known") < 1 ? el("span", { class: "hint", style: "margin:0" }, `of what is only known, ${(100 * share("known")).toFixed(0)} % is in this report`
      + (share("sessions") < 1 ? `, of sessions ${(100 * share("sessions")).toFixed(0)} %` : "")) : "");
  canvas.addEventListener("click", event => {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const near = d3.leastIndex(spots, (a, b) => Math.hypot(a[0] - px, a[1] - py) - Math.hypot(b[0] - px, b[1] - py));
    chosen = near >= 0 && Math.hypot(spots[near][0] - px, spots[near][1] - py) < 14 ? near : null;
    draw();
  });
  canvas.addEventListener("keydown", event => {
    const act = { ArrowRight: () => { chosen = chosen === null ? 0 : (chosen + 1) % P.nodes; }, ArrowLeft: () => { chosen = chosen === null ? 0 : (chosen + P.nodes - 1) % P.nodes; },
      ArrowUp: () => { index = Math.min(index + 1, moments.length - 1); }, ArrowDown: () => { index = Math.max(index - 1, 0); }, Escape: () => { chosen = null; },
      Enter: () => { if (chosen !== null) P.go(chosen, moments[index].at); } }[event.key];
    if (act) { event.preventDefault(); act(); slider.value = index; draw(); }
  });
  draw();
  P.redraws.push(draw);
  addEventListener("resize", draw);
  $("map").dataset.ready = edges.length;
  $("map").dataset.moments = moments.length;
};
