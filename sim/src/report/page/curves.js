// Curves: how things spread, and rates over time.
"use strict";
P.curves = () => {
  const { el, $, data } = P;
  const axis = extra => ({ stroke: P.css("soft"), grid: { stroke: P.css("grid"), width: 1 },
    ticks: { stroke: P.css("line"), width: 1 }, font: "12px system-ui", labelFont: "12px system-ui", ...extra });

  // Spread: one table of points per curve.
  const { over_all: all, items } = data.spread;
  const chosen = new Set();
  const slowest = items.reduce((worst, item, i) =>
    item.reached > 1 && (worst === -1 || item.last_us > items[worst].last_us) ? i : worst, -1);
  if (slowest >= 0) chosen.add(slowest);
  let log = false, chart = null;
  const points = (xs, ys) => {
    const best = new Map();
    xs.forEach((x, i) => { if (x !== null) best.set(Math.max(x / 1e6, log ? 1e-3 : 0), ys[i]); });
    const sorted = [...best.keys()].sort((a, b) => a - b);
    return [sorted, sorted.map(x => best.get(x))];
  };
  const drawSpread = () => {
    const place = $("spread-chart");
    chart?.destroy();
    place.textContent = "";
    if (!items.length) return place.append(el("p", { class: "empty" }, "Nothing spread in this run."));
    const share = item => item.counts.map(count => 100 * count / P.nodes);
    const lines = [
      // Where curves meet, the later ones leave a rim of the earlier.
      { label: "99 % of transactions", hue: "c3", table: points(all.p99_us, all.share), width: 5 },
      { label: "90 %", hue: "c1", table: points(all.p90_us, all.share), width: 3 },
      { label: "50 %", hue: "c0", table: points(all.p50_us, all.share), width: 1.5 },
      ...[...chosen].map(i => ({ label: items[i].name.slice(0, 8), hue: P.hue("item", i), width: 1.2, dash: [5, 3],
        table: points(items[i].delays_us, share(items[i])) })),
    ].filter(line => line.table[0].length);
    const options = {
      width: Math.max(place.clientWidth, 320), height: 340, legend: { show: false }, focus: { alpha: .35 },
      cursor: { focus: { prox: 24 }, points: { size: 6 } },
      scales: { x: { time: false, distr: log ? 3 : 1 }, y: { range: [0, 101] } },
      axes: [axis({ label: "seconds since the first node", values: (_, ticks) => ticks.map(t => t === null ? "" : `${+t.toPrecision(3)}`) }),
        axis({ label: "% of nodes", size: 56 })],
      series: [{ label: "s" }, ...lines.map(line => ({ label: line.label, stroke: P.css(line.hue), width: line.width,
        dash: line.dash, spanGaps: true, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }))],
      hooks: { setCursor: [u => {
        const { left, top } = u.cursor, read = $("spread-read");
        read.textContent = left >= 0 && top >= 0
          ? `${u.posToVal(left, "x").toPrecision(3)} s, ${u.posToVal(top, "y").toFixed(0)} % of nodes` : "";
      }] },
    };
    chart = new uPlot(options, uPlot.join(lines.map(line => line.table)), place);
    const keys = $("spread-keys");
    keys.textContent = "";
    lines.forEach(line => keys.append(el("span", { class: "key" },
      el("i", { style: `width:1.4em;border-top:${line.width}px ${line.dash ? "dashed" : "solid"} var(--${line.hue})` }), line.label)));
  };
  const logBox = el("input", { type: "checkbox", onchange: event => { log = event.target.checked; drawSpread(); } });
  $("spread-tools").append(el("span", { id: "spread-keys" }), el("label", {}, logBox, "logarithmic time"),
    el("output", { id: "spread-read" }));

  // The table of all things that spread.
  const columns = [
    ["item", item => item.name, item => `${item.name.slice(0, 8)}…${/@\d+$/.exec(item.name)?.[0] ?? ""}`],
    ["first", item => item.at, item => P.link(item.node, item.at, `${(item.at / 1e6).toFixed(3)} s, n${item.node}`), 1],
    ["reached", item => item.reached, item => `${(100 * item.reached / P.nodes).toFixed(item.reached < P.nodes ? 1 : 0)} %`, 1],
    ...[["half", "t50_us"], ["90 %", "t90_us"], ["99 %", "t99_us"], ["last", "last_us"]].map(([title, field]) =>
      [title, item => item[field] ?? Infinity, item => P.lasting(item[field]), 1]),
  ];
  let order = [...items.keys()], sorted = null;
  const drawItems = () => {
    const head = el("tr", {}, el("th", {}, ""), columns.map(([title, key, , right], c) => el("th", { class: right ? "n" : "" },
      el("button", { type: "button", onclick: () => {
        const up = sorted === c ? -1 : 1;
        sorted = sorted === c ? null : c;
        order.sort((a, b) => up * (key(items[a]) < key(items[b]) ? -1 : key(items[a]) > key(items[b]) ? 1 : 0));
        drawItems();
      } }, title))));
    const rows = order.map(i => {
      const box = el("input", { type: "checkbox", "aria-label": `curve of ${items[i].name}`, onchange: event => {
        event.target.checked ? chosen.add(i) : chosen.delete(i);
        event.target.closest("tr").classList.toggle("on", event.target.checked);
        drawSpread();
      } });
      box.checked = chosen.has(i);
      return el("tr", { class: chosen.has(i) ? "on" : "" }, el("td", {}, box),
        columns.map(([, , text, right]) => el("td", { class: right ? "n" : "", title: right ? null : items[i].name }, text(items[i]))));
    });
    $("items").replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
  };
  if (items.length) drawItems();
  drawSpread();
  P.redraws.push(drawSpread);

  // Rates.
  const step = data.rates.step_us / 1e6;
  let stacked = true;
  const sync = uPlot.sync("rates");
  const weather = { hooks: { drawClear: [u => {
    const { ctx, bbox } = u, x = us => u.valToPos(us / 1e6, "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = P.css("shade");
    P.faults.filter(fault => fault.kind === "partition" && fault.number !== null).forEach(fault =>
      ctx.fillRect(x(fault.from), bbox.top, Math.max(x(fault.to) - x(fault.from), 1), bbox.height));
    if (data.head.calm_us !== null) {
      ctx.strokeStyle = P.css("soft");
      ctx.setLineDash([6, 4]);
      ctx.beginPath();
      ctx.moveTo(x(data.head.calm_us), bbox.top);
      ctx.lineTo(x(data.head.calm_us), bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }] } };
  const panel = (title, unit, family, series, stackable) => {
    const totals = series.map(([name, counts]) => ({ name, counts, total: d3.sum(counts) })).sort((a, b) => b.total - a.total);
    const on = new Set(totals.slice(0, 10).map(({ name }) => name));
    const place = el("div", { class: "chart" }), read = el("output", { class: "hint" }, " ");
    const length = Math.ceil(P.end / data.rates.step_us);
    const xs = Float64Array.from({ length }, (_, i) => i * step);
    let chart = null;
    const draw = () => {
      chart?.destroy();
      place.textContent = "";
      const shown = totals.filter(({ name }) => on.has(name));
      const rate = ({ counts }) => Float64Array.from({ length }, (_, i) => (counts[i] ?? 0) / step);
      const pile = stacked && stackable;
      let ys = shown.map(rate);
      const plain = ys;
      if (pile) {
        const sum = new Float64Array(length);
        ys = ys.map(values => values.map((value, i) => sum[i] += value));
      }
      const line = (name, i) => ({ label: name, stroke: P.css(P.hue(family, name)), width: pile ? 1 : 1.6,
        fill: pile ? P.css(P.hue(family, name)) : undefined, points: { show: false },
        dash: Math.floor([...P.hues.get(family).keys()].indexOf(name) / 10) % 2 ? [4, 3] : undefined,
        paths: pile ? uPlot.paths.stepped({ align: 1 }) : undefined });
      const lines = shown.map(({ name }, i) => line(name, i));
      // The highest pile is painted first, the others over it.
      if (pile) { ys = ys.reverse(); lines.reverse(); }
      chart = new uPlot({
        width: Math.max(place.clientWidth, 300), height: 250, legend: { show: false }, plugins: [weather],
        cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { range: (_, min, max) => [0, max > 0 ? max * 1.05 : 1] } },
        axes: [axis({ label: "virtual seconds" }), axis({ label: unit, size: 62 })],
        series: [{}, ...lines],
        hooks: { setCursor: [u => {
          const i = u.cursor.idx;
          read.textContent = i === null || i === undefined || u.cursor.left < 0 ? " " : `${xs[i].toFixed(2)} s: ` + (shown
            .map(({ name }, k) => [name, plain[k][i]]).filter(([, value]) => value > 0)
            .map(([name, value]) => `${name} ${+value.toPrecision(3)}`).join(", ") || "none");
        }] },
      }, [xs, ...ys], place);
    };
    totals.forEach(({ name }) => P.hue(family, name));
    const chips = P.chips("", totals.map(({ name, total }) => ({ name, hue: P.hue(family, name), note: P.count(total) })), on, draw);
    const sum = P.count(d3.sum(totals, ({ total }) => total));
    $("rates-charts").append(el("div", {}, el("h3", {}, `${title}: ${sum}`), chips, place, read));
    if (!totals.length) chips.append(el("span", { class: "empty" }, "none"));
    P.redraws.push(draw);
    return draw;
  };
  const { messages, failures, lost, told } = data.rates;
  const draws = [
    panel("Questions asked", "questions per second", "message", messages, true),
    panel("Questions that failed, by reason", "failures per second", "failure", failures, true),
    panel("Messages that were lost", "losses per second", "lost", lost, true),
    panel("Events that nodes told of", "events per second", "event", told, false),
  ];
  // Their places are only as wide as they stay once all are there.
  draws.forEach(draw => draw());
  const pileBox = el("input", { type: "checkbox", checked: true,
    onchange: event => { stacked = event.target.checked; draws.forEach(draw => draw()); } });
  $("rates-tools").append(el("label", {}, pileBox, "stacked"), el("span", { class: "hint", style: "margin:0" },
    `one step is ${P.lasting(data.rates.step_us)}`));
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) { width = innerWidth; drawSpread(); draws.forEach(draw => draw()); }
  });
  $("spread").dataset.ready = items.length;
  $("rates").dataset.ready = d3.sum(messages, ([, counts]) => d3.sum(counts));
  $("rates").dataset.failures = d3.sum(failures, ([, counts]) => d3.sum(counts));
};
