"use strict";
// Polls `fleet` and shows the answer. All values from the answer are set as text, never as markup.

const PERIOD = 2000;
const TIMEOUT = 8000;
const byId = id => document.getElementById(id);
const count = number => new Intl.NumberFormat("en").format(number);
const percent = share => (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %";

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  const { hue, width, ...rest } = options;
  Object.assign(made, rest);
  if (hue !== undefined) made.style.setProperty("--hue", hue);
  if (width !== undefined) made.style.width = width;
  made.append(...children);
  return made;
}

/// Hues of the replicas. Neighbours differ, and none is red, which stands for errors.
const HUES = [218, 160, 32, 275, 190, 320, 80, 245];
const hue = ordinal => HUES[ordinal % HUES.length];

function time(seconds) {
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " d";
}

function bytes(number) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) { number /= 1000; unit += 1; }
  return number.toFixed(unit < 2 || number >= 100 ? 0 : 1) + " " + units[unit];
}

const STANDINGS = {
  serving: ["serving", "good"], loading: ["loading", "busy"], waiting: ["waiting", "busy"], leaving: ["leaving", "busy"],
  expected: ["expected", "busy"], silent: ["no answer", "bad"], isolated: ["isolated", "bad"], absent: ["absent", "odd"], untaken: ["unserved", "bad"],
};
const VERDICTS = {
  exact: ["exact", "good"], missing: ["missing", "bad"], doubled: ["doubled", "bad"],
  missingAndDoubled: ["missing, doubled", "bad"], unproven: ["unproven", "odd"],
};
const WRONG = ["missing", "doubled", "missingAndDoubled"];
const list = items => items.length < 2 ? items.join("") : items.slice(0, -1).join(", ") + " and " + items.at(-1);
const badge = ([text, kind]) => element("span", { className: "badge " + kind, textContent: text });

/// Returns the most important fact about the fleet: its kind, a headline and a detail.
function verdict(fleet) {
  const ordinalsOf = standing => fleet.replicas.filter(replica => replica.standing === standing).map(replica => replica.ordinal);
  const wrong = fleet.resources.filter(of => WRONG.includes(of.cover));
  const names = of => list(of.slice(0, 4).map(resource => resource.resource)) + (of.length > 4 ? " and more" : "");
  const [silent, isolated, untaken, absent] = ["silent", "isolated", "untaken", "absent"].map(ordinalsOf);
  if (wrong.length) return ["bad", "Not every object is served exactly once", names(wrong) + "; run `kube-state-fleet verify` to list the objects"];
  if (untaken.length) return ["bad", "No replica serves the objects of replica " + list(untaken), "the other replicas lack memory for them"];
  if (isolated.length) return ["bad", "Replica " + list(isolated) + " serves nothing", "it reaches neither the API server nor the other replicas"];
  if (silent.length) return ["bad", "Replica " + list(silent) + " does not answer", "if it has failed, the other replicas take over its objects"];
  const busy = loading(fleet);
  if (!fleet.fleet && busy) return busy;
  if (!fleet.fleet && fleet.shards > 1) return ["unknown", "Shard " + fleet.answeredBy + " of " + fleet.shards + ", not coordinated", "set --pod to let the replicas coordinate"];
  if (!fleet.fleet) return ["good", "One replica serves all objects", ""];
  if (!fleet.coordinated) return ["odd", "The replicas do not coordinate", "each replica follows only the StatefulSet; the log names the missing permission"];
  const { state, waitingFor, blockedFor, paused } = fleet.handover;
  const since = ordinal => ordinal + (blockedFor[ordinal] ? " (" + time(blockedFor[ordinal]) + ")" : "");
  const waiting = waitingFor.length ? "waiting for replica " + list(waitingFor.map(since)) : "";
  if (state === "preparing") return ["busy", "Objects are about to change hands", waiting || "replicas load their new objects"];
  if (state === "stamping") return ["busy", "Objects are about to change hands", "waiting for the scrapers of replica " + list(waitingFor) + ", at most 2 minutes (--seamless-handover)"];
  if (state === "switching") return ["busy", "Objects change hands in a moment", "all replicas have loaded their new objects"];
  if (busy) return busy;
  if (absent.length) return ["odd", "Replica " + list(absent) + " is absent", "the other replicas serve its objects"];
  if (paused) return ["odd", "Handovers are paused", "by the annotation kube-state-fleet.io/pause-handovers of the StatefulSet"];
  if (state === "waiting") return ["odd", "The fleet cannot complete a change", waiting];
  const degraded = fleet.resources.filter(isDegraded);
  if (degraded.length) return ["odd", "A resource is degraded", "requests for " + names(degraded) + " fail; nothing waits for it, and its objects may be missing"];
  const unproven = fleet.resources.filter(of => of.cover === "unproven");
  if (unproven.length) return ["odd", "All replicas serve", "no recent proof that each object is served exactly once: " + names(unproven)];
  const provable = fleet.resources.filter(of => of.owned && of.refused === null);
  const proven = provable.filter(of => of.cover === "exact");
  if (proven.length && proven.length === provable.length) {
    return ["good", "Every object is served exactly once", "proven " + time(Math.max(...proven.map(of => of.coverAge))) + " ago"];
  }
  return ["unknown", "All replicas serve", "proven so far that each object is served exactly once: " + proven.length + " of " + provable.length + " resources"];
}

function loading(fleet) {
  const busy = fleet.replicas.filter(replica => ["loading", "waiting", "leaving", "expected"].includes(replica.standing));
  if (!busy.length) return undefined;
  const details = busy.map(replica => "replica " + replica.ordinal + " is " + replica.standing);
  return ["busy", fleet.replicas.length > 1 ? "The fleet is changing" : "Loading", list(details)];
}

function segments(parts, all = parts.reduce((sum, [, part]) => sum + part, 0) || 1) {
  return parts.filter(([, part]) => part > 0).map(([ordinal, part]) => element("span", {
    hue: hue(ordinal), width: part / all * 100 + "%", title: "replica " + ordinal,
  }));
}

function card(replica) {
  const facts = element("dl");
  const fact = (name, value) => facts.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  if (replica.uptime !== null) {
    fact("share", percent(replica.share));
    fact("objects", count(replica.objects));
    if (replica.memory !== null) fact("memory", bytes(replica.memory));
    fact("uptime", time(replica.uptime));
  }
  const title = element("h3", {}, "Replica " + replica.ordinal, badge(STANDINGS[replica.standing]));
  const made = element("article", { className: "card " + replica.standing, hue: hue(replica.ordinal) }, title, facts);
  made.dataset.ordinal = replica.ordinal;
  const more = replica.notes.slice(0, 3);
  if (replica.notes.length > 3) more.push("and " + (replica.notes.length - 3) + " more");
  const role = [replica.pod, replica.coordinator ? "coordinator" : ""].filter(Boolean).join(", ");
  for (const note of [role, ...more].filter(Boolean)) made.append(element("p", { textContent: note }));
  if (replica.metrics) {
    const href = location.protocol + "//" + replica.metrics + "/metrics";
    made.append(element("p", {}, element("a", { href, textContent: replica.metrics + "/metrics" })));
  }
  return made;
}

function row(resource) {
  const parts = Object.entries(resource.byReplica).map(([ordinal, objects]) => [Number(ordinal), objects]);
  // Definitions are watched, and have no metrics.
  const link = resource.resource === "customresourcedefinitions" ? resource.resource
    : element("a", { href: "metrics?resources=" + encodeURIComponent(resource.resource), textContent: resource.resource });
  const cover = VERDICTS[resource.cover] ? badge(VERDICTS[resource.cover]) : "";
  if (cover && resource.coverAge !== null) cover.title = time(resource.coverAge) + " ago";
  const degraded = Object.entries(resource.degraded).map(([ordinal, error]) => "replica " + ordinal + ": " + error);
  const sick = badge(["degraded", "odd"]);
  sick.title = degraded.join("\n");
  const lastEvent = degraded.length ? sick
    : resource.refused !== null ? badge(["refused: " + resource.refused, "odd"])
    : !resource.loaded ? badge(["loading", "busy"])
    : resource.silent !== null ? time(resource.silent) : "";
  const made = element("tr", {},
    element("th", { scope: "row" }, link),
    element("td", { className: "wide" }, element("div", { className: "bar" }, ...segments(parts))),
    element("td", { className: "number", textContent: count(resource.owned) }),
    element("td", { className: "number", textContent: resource.seen === null ? "" : count(resource.seen) }),
    element("td", {}, cover),
    element("td", { className: "number" }, lastEvent));
  made.dataset.resource = resource.resource;
  return made;
}

const isDegraded = of => Object.keys(of.degraded).length > 0;

/// Whether a resource has neither objects nor problems. Such resources are listed below the table.
const isQuiet = of => !of.owned && of.loaded && of.refused === null && !isDegraded(of) && ![...WRONG, "unproven"].includes(of.cover);

function draw(fleet) {
  const [kind, headline, detail] = verdict(fleet);
  byId("verdict").className = "verdict " + kind;
  byId("headline").textContent = headline;
  byId("detail").textContent = detail;
  byId("version").textContent = fleet.version;
  byId("name").textContent = fleet.fleet ?? "";
  document.title = (fleet.fleet ?? "kube-state-fleet") + ": " + headline;

  const serving = fleet.replicas.filter(replica => replica.share > 0);
  byId("count").textContent = fleet.wanted === null || fleet.wanted === fleet.replicas.length
    ? count(fleet.replicas.length) : fleet.replicas.length + ", " + fleet.wanted + " desired";
  byId("shares").replaceChildren(...segments(serving.map(replica => [replica.ordinal, replica.share]), 1));
  [...byId("shares").children].forEach((segment, i) => { segment.textContent = percent(serving[i].share); });
  byId("replicas").replaceChildren(...fleet.replicas.map(card));
  const { last, took, count: handovers } = fleet.handover;
  const facts = fleet.generation ? ["Generation " + fleet.generation] : [];
  if (last !== null) facts.push("last handover " + time(last) + " ago" + (took === null ? "" : ", took " + took.toFixed(1) + " s"));
  if (handovers) facts.push(handovers + " since this replica started");
  if (fleet.handover.paused) facts.push("paused");
  facts.push(...fleet.handover.problems);
  byId("handover").textContent = facts.join(" · ");

  const all = [...fleet.resources].sort((a, b) => b.owned - a.owned || a.resource.localeCompare(b.resource));
  const quiet = all.filter(isQuiet);
  byId("total").textContent = count(all.reduce((sum, of) => sum + of.owned, 0)) + " objects";
  byId("resources").className = fleet.fleet ? "" : "alone";
  byId("resources").tBodies[0].replaceChildren(...all.filter(of => !isQuiet(of)).map(row));
  byId("empty").hidden = !quiet.length;
  byId("empty").querySelector("summary").textContent = quiet.length + " more resources without objects";
  byId("empty").querySelector("p").replaceChildren(...quiet.flatMap(of =>
    [element("a", { href: "metrics?resources=" + encodeURIComponent(of.resource), textContent: of.resource }), " "]));

  const chips = fleet.enabled.map(({ name, value }) => element("li", {}, element("b", { textContent: name }), value));
  byId("enabled").replaceChildren(...(chips.length ? chips : [element("li", { textContent: "all at their defaults" })]));
  byId("asked").textContent = "as seen by replica " + fleet.answeredBy + ", " + new Date().toLocaleTimeString();
}

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch("fleet", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
      if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
      draw(await answer.json());
      document.body.classList.remove("stale");
    } catch (error) {
      byId("verdict").className = "verdict bad";
      byId("headline").textContent = "This replica does not answer";
      byId("detail").textContent = error.message + "; the data below is outdated";
      document.body.classList.add("stale");
    }
  }
  setTimeout(refresh, PERIOD);
}
refresh();
