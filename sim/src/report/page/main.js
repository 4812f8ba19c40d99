// The head of the page, the verdicts, and the order in which the parts are drawn.
"use strict";
// Where to look for a finding: at its node, or at the first that its text names.
P.place = finding => ({ at: finding.at, node: finding.node ?? Math.min(+(/\bn(\d+)\b/.exec(finding.text)?.[1] ?? 0), P.nodes - 1) });

// When what was found began, where its text tells.
P.began = finding => {
  const found = /\b(?:since|call of) (\d+) µs/.exec(finding.text);
  return found ? +found[1] : null;
};

P.head = () => {
  const { el, $, data } = P, { head, kept, totals } = data;
  document.title = `peerage-sim, seed ${head.seed_text}, ${head.nodes} nodes`;
  $("title").textContent = `seed ${head.seed_text}, ${P.count(head.nodes)} nodes, ${P.lasting(head.duration_us)}`;
  const misses = d3.sum(data.oracles, oracle => oracle.misses);
  $("verdict").textContent = head.good ? "all oracles hold" : `${P.count(misses)} violated`;
  $("verdict").classList.toggle("bad", !head.good);
  const sum = counts => P.count(d3.sum(counts, ([, count]) => count));
  const facts = [["seed", head.seed_text], ["nodes", P.count(head.nodes)], ["users", P.count(head.users)], ["wire", head.wire],
    ["storm", P.time(head.duration_us)], ["virtual time in all", P.time(head.virtual_us)],
    ["all well after the storm", head.settled_us === null ? "never" : P.lasting(head.settled_us)],
    ["events simulated", P.count(head.events)], ["questions asked", sum(totals.messages)], ["of them failed", sum(totals.failures)],
    ["faults", sum(totals.faults)], ["transactions that spread", P.count(data.spread.items.length)],
    ["hash", head.hash], ["commit", head.commit], ["version", head.program]];
  $("facts").append(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  $("again").textContent = head.again;
  $("copy").addEventListener("click", () => navigator.clipboard?.writeText(head.again).then(() => { $("copy").textContent = "Copied"; }));
  $("options").textContent = head.options;
  const thinned = data.marks.filter(marks => marks.every > 1).map(marks => `${marks.name} (1 in ${marks.every})`);
  const left = (count, what) => count ? [`${P.count(count)} ${what} were left out.`] : [];
  $("kept").append(...[
    "Counts, rates, percentiles and findings are of the whole run, exactly.",
    `${P.count(kept.exchanges)} of ${P.count(kept.exchanges_seen)} exchanges are kept one by one, at most ${P.count(kept.exchanges_max)} (--report-messages): `
      + "those around findings, those in which something was lost or failed, and all of the nodes that are followed.",
    data.followed.length === head.nodes ? "Every node is followed." : `Followed (more with --report-nodes): ${data.followed.slice(0, 100).map(P.name).join(", ")}.`,
    `${P.count(kept.marks)} of ${P.count(kept.marks_seen)} events are kept as marks${thinned.length ? `; thinned are ${thinned.join(", ")}` : ""}.`,
    `${P.count(kept.edge_spans)} spans of edges between peers are kept, at ${data.peers.moments.length} moments.`,
    ...left(kept.exchanges_refused, "exchanges of the only node that is followed"), ...left(kept.items_left_out, "transactions"),
    ...left(kept.lives_left_out, "starts and stops"), ...left(kept.faults_left_out, "faults"),
  ].map(text => el("li", {}, text)));

  $("oracles").append(...data.oracles.map(({ name, looks, misses }) => el("span", { class: `chip${misses ? " bad" : ""}`,
    title: misses ? "violated" : looks ? "held" : "not asked in such a run" }, el("span", {}, misses ? "✕" : looks ? "✓" : "–"), el("span", {}, name),
  el("small", {}, misses ? `${P.count(misses)} of ${P.count(looks)}` : looks ? `${P.count(looks)} looks` : "not asked"))));
  if (!data.findings.length) $("findings").append(el("p", { class: "empty" }, "Nothing was found."));
  else {
    if (misses > data.findings.length) $("findings").append(el("p", { class: "hint" }, `The first ${data.findings.length} of ${P.count(misses)}:`));
    $("findings").append(el("table", {}, el("thead", {}, el("tr", {}, ["when", "node", "oracle", "what was seen", ""].map(text => el("th", {}, text)))),
      el("tbody", {}, data.findings.map(finding => {
        const { node, at } = P.place(finding);
        return el("tr", {}, el("td", {}, P.link(node, at, P.time(at))), el("td", {}, finding.node === null ? "–" : P.name(finding.node)),
          el("td", {}, finding.oracle), el("td", { class: "wrap" }, finding.text.length > 400 ? `${finding.text.slice(0, 400)}…` : finding.text),
          el("td", {}, P.link(node, at), " · ", P.began(finding) === null ? "" : [P.link(node, P.began(finding), "where it began"), " · "], el("button", { type: "button", class: "link", onclick: () => P.showNode(node, at) }, "timeline")));
      }))));
  }
  $("scheme").addEventListener("click", () => P.scheme(document.documentElement.dataset.scheme === "dark" ? "light" : "dark"));
  $("run").dataset.ready = head.nodes;
  $("verdicts").dataset.ready = data.findings.length;
};

for (const part of ["head", "curves", "timeline", "flow", "map"]) {
  try { P[part](); } catch (error) {
    P.errors.push(`${part}: ${error.stack ?? error}`);
    document.documentElement.dataset.errors = P.errors.join(" | ");
  }
}
// Charts are painted a moment later. For whoever checks the page without eyes: how much of each
// canvas has colour.
setTimeout(() => {
  document.querySelectorAll("canvas").forEach(canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let inked = 0;
    for (let i = 3; i < data.length; i += 4) inked += data[i] > 0;
    canvas.dataset.inked = inked;
  });
  document.documentElement.dataset.ready = P.errors.length ? "no" : "yes";
}, 50);
