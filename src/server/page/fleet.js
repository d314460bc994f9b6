"use strict";
// Polls `fleet` and shows the answer. All values from the answer are set as text, never as markup. A refresh changes only what
// differs, so that focus, selection and scroll positions survive.

const PERIOD = 2000;
const TIMEOUT = 5000;
/// From this number of replicas on, a table with the unhealthy first replaces the cards.
const TABLE_FROM = 12;
/// Largest numbers of rows and of parts of a bar: more would make each refresh slow.
const MOST_ROWS = 128;
const MOST_FINDINGS = 12;
const MOST_PARTS = 64;
/// Seconds within which a resource has its first proof: two rounds of one minute, and the start.
const FIRST_PROOF = 180;

const byId = id => document.getElementById(id);
const count = number => new Intl.NumberFormat("en").format(number);
const percent = share => (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %";

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  const { part, width, key, label, ...rest } = options;
  Object.assign(made, rest);
  // The stylesheet has eight colours. Neighbours differ, and none is red, which stands for errors.
  if (part !== undefined) made.classList.add("p" + part % 8);
  if (width !== undefined) made.style.width = width;
  if (key !== undefined) made.dataset.key = key;
  if (label !== undefined) { made.setAttribute("role", "img"); made.setAttribute("aria-label", label); }
  made.append(...children);
  return made;
}

/// Makes `children` the content of `parent`. Nodes of the same name and key stay, and take over what differs.
function show(parent, ...children) {
  const wanted = children.map(child => child instanceof Node ? child : document.createTextNode(child));
  const keyOf = node => node.dataset?.key;
  const keys = new Set(wanted.map(keyOf).filter(Boolean));
  const known = new Map();
  for (const child of [...parent.children]) {
    if (keyOf(child) === undefined) continue;
    if (keys.has(keyOf(child))) known.set(keyOf(child), child);
    else child.remove();
  }
  let next = parent.firstChild;
  for (const made of wanted) {
    const key = keyOf(made);
    const kept = key ? known.get(key) : next && keyOf(next) === undefined ? next : undefined;
    if (kept?.nodeName !== made.nodeName) {
      parent.insertBefore(made, next);
      continue;
    }
    known.delete(key);
    if (kept === next) next = next.nextSibling;
    else parent.insertBefore(kept, next);
    if (kept instanceof Text) setText(kept, made.data);
    else become(kept, made);
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

function become(kept, made) {
  // The policy of the page forbids the attribute `style`, but not the property.
  for (const { name } of [...kept.attributes]) if (name !== "style" && !made.hasAttribute(name)) kept.removeAttribute(name);
  for (const { name, value } of made.attributes) if (name !== "style" && kept.getAttribute(name) !== value) kept.setAttribute(name, value);
  if (kept.style.cssText !== made.style.cssText) kept.style.cssText = made.style.cssText;
  show(kept, ...made.childNodes);
}

function setText(node, text) {
  if (node.data !== text) node.data = text;
}

const write = (id, text) => show(byId(id), ...(text ? [text] : []));

/// Runs `change`, and gives the focus and the selection back where moved rows or new texts take them away.
function keeping(change) {
  const [focused, selection] = [document.activeElement, getSelection()];
  const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = selection;
  change();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  if (isCollapsed || !anchorNode?.isConnected || !focusNode?.isConnected) return;
  const same = selection.anchorNode === anchorNode && selection.anchorOffset === anchorOffset
    && selection.focusNode === focusNode && selection.focusOffset === focusOffset;
  const within = (node, offset) => Math.min(offset, node instanceof Text ? node.length : node.childNodes.length);
  if (!same) selection.setBaseAndExtent(anchorNode, within(anchorNode, anchorOffset), focusNode, within(focusNode, focusOffset));
}

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
const standing = replica => STANDINGS[replica.standing] ?? [replica.standing, "odd"];
const list = items => items.length < 2 ? items.join("") : items.slice(0, -1).join(", ") + " and " + items.at(-1);
const badge = ([text, kind]) => element("span", { className: "badge " + kind, textContent: text });
const isDegraded = of => Object.keys(of.degraded).length > 0;
/// Whether the API server refuses a resource that it has: 404 and 405 mean that it has no such resource.
const isRefused = of => of.refused !== null && ![404, 405].includes(of.refused);
const names = of => list(of.slice(0, 4).map(resource => resource.resource)) + (of.length > 4 ? " and " + (of.length - 4) + " more" : "");

/// Returns ordinals as text, in ranges: "1, 2 and 5 to 9".
function ranges(ordinals) {
  const found = [];
  for (const ordinal of ordinals) {
    const last = found.at(-1);
    if (last && last[1] + 1 === ordinal) last[1] = ordinal;
    else found.push([ordinal, ordinal]);
  }
  const texts = found.flatMap(([from, to]) => to - from > 1 ? [from + " to " + to] : from === to ? [from] : [from, to]);
  return texts.length > 6 ? texts.slice(0, 5).join(", ") + " and others" : list(texts);
}

/// Returns a sentence about replicas: `plural` and `singular` follow their names.
const about = (ordinals, singular, plural) =>
  ordinals.length > 1 ? "Replicas " + ranges(ordinals) + " " + plural : "Replica " + ranges(ordinals) + " " + singular;

/// Returns what to know about the fleet, the most important first: the kind, a headline that names the cause, and a detail.
function findings(fleet) {
  const found = [];
  const add = (kind, headline, detail = "") => found.push([kind, headline, detail]);
  const ordinalsOf = standing => fleet.replicas.filter(replica => replica.standing === standing).map(replica => replica.ordinal);
  const [silent, isolated, untaken, absent] = ["silent", "isolated", "untaken", "absent"].map(ordinalsOf);
  const noteOf = ordinals => fleet.replicas.find(replica => replica.ordinal === ordinals[0])?.notes[0] ?? "";

  if (untaken.length) add("bad", about(untaken, "is absent: its objects are missing", "are absent: their objects are missing"), "the other replicas lack memory for them");
  if (isolated.length) add("bad", about(isolated, "is isolated: its objects are missing", "are isolated: their objects are missing"), "no contact to the API server and the other replicas for 15 s");
  if (silent.length) {
    const reason = silent.length === 1 && noteOf(silent) ? noteOf(silent) + "; " : "";
    add("bad", about(silent, "does not answer: its objects may be missing", "do not answer: their objects may be missing"), reason + "after a failure, the other replicas take over");
  }
  const said = { missing: "missing", doubled: "served more than once", missingAndDoubled: "missing or served more than once" };
  for (const cover of WRONG) {
    const wrong = fleet.resources.filter(of => of.cover === cover);
    if (wrong.length) add("bad", "Objects are " + said[cover] + ": " + names(wrong), "to list the objects, run: kube-state-fleet verify");
  }

  const busy = fleet.replicas.filter(replica => ["loading", "waiting", "leaving", "expected"].includes(replica.standing));
  const { state, waitingFor, blockedFor, paused } = fleet.handover;
  const addBusy = () => {
    if (!busy.length) return;
    if (fleet.replicas.length === 1 && busy[0].standing === "loading") {
      const resources = fleet.resources.filter(of => !of.loaded);
      return add("busy", "Loading: metrics follow when all objects are known", resources.length ? "not loaded yet: " + names(resources) : "");
    }
    const standings = [...new Set(busy.map(replica => replica.standing))];
    const [first, ...rest] = standings.map(standing => about(ordinalsOf(standing), "is " + standing, "are " + standing));
    add("busy", list([first, ...rest.map(text => text[0].toLowerCase() + text.slice(1))]), noteOf(ordinalsOf(standings[0])));
  };
  if (!fleet.fleet) addBusy();
  else if (!fleet.coordinated) add("odd", "The replicas do not coordinate", "each follows only the StatefulSet; the log names the missing permission");
  else {
    const named = waitingFor.length > 1 ? "replicas " + ranges(waitingFor) : "replica " + waitingFor[0];
    const longest = Math.max(0, ...waitingFor.map(ordinal => blockedFor[ordinal] ?? 0));
    const since = longest ? (waitingFor.length > 1 ? ", up to " : ", for ") + time(longest) : "";
    const waiting = waitingFor.length ? "waiting for " + named + since : "";
    if (state === "preparing") add("busy", "A handover is being prepared", waiting || "replicas load their new objects");
    if (state === "stamping") add("busy", "A handover is being prepared", "waiting for the scrapers" + (waitingFor.length ? " of " + named : "") + ", at most 2 minutes (--seamless-handover)");
    if (state === "switching") add("busy", "Objects change hands in a moment", "all replicas have loaded their new objects");
    addBusy();
    if (absent.length) add("odd", about(absent, "is absent: the others serve its objects", "are absent: the others serve their objects"));
    if (paused) add("odd", "Handovers are paused", "by the annotation kube-state-fleet.io/pause-handovers of the StatefulSet");
    if (state === "waiting") add("odd", "The fleet cannot complete a change", waiting);
  }
  const refused = fleet.resources.filter(isRefused);
  if (refused.length) {
    const codes = [...new Set(refused.map(of => of.refused))].slice(0, 4).join(", ");
    add("odd", "The API server refuses " + names(refused) + ": no metrics for these objects", "HTTP " + codes + "; grant list and watch, or leave them out of --resources");
  }
  const degraded = fleet.resources.filter(isDegraded);
  if (degraded.length) add("odd", "Requests for " + names(degraded) + " fail: objects may be missing", errorsOf(degraded[0])[0]);
  const unproven = fleet.resources.filter(of => of.cover === "unproven");
  if (unproven.length) add("odd", "No recent proof that each object is served exactly once: " + names(unproven), "the last proof is older than 2 minutes");
  if (!found.length) found.push(calm(fleet));
  return found;
}

/// Returns the headline if nothing is wrong and nothing changes.
function calm(fleet) {
  if (!fleet.fleet && fleet.shards > 1) return ["unknown", "Shard " + fleet.answeredBy + " of " + fleet.shards + ", not coordinated", "set --pod to let the replicas coordinate"];
  if (!fleet.resources.some(of => of.owned)) return ["unknown", "There are no objects to serve", fleet.resources.length ? "the cluster has none of the enabled resources" : "no resource is enabled"];
  if (!fleet.fleet) return ["good", "One replica serves all objects", ""];
  const provable = fleet.resources.filter(of => of.owned && of.refused === null);
  const proven = provable.filter(of => of.cover === "exact");
  if (proven.length && proven.length === provable.length) {
    return ["good", "Every object is served exactly once", "proven " + time(Math.max(...proven.map(of => of.coverAge))) + " ago"];
  }
  const so = "proven so far that each object is served exactly once: " + proven.length + " of " + provable.length + " resources";
  return ["unknown", "All replicas serve", so + (isYoung(fleet) ? "; the first proof takes about a minute" : "")];
}

/// Whether the fleet started too recently for all proofs.
const isYoung = fleet => Math.max(0, ...fleet.replicas.map(replica => replica.uptime ?? 0)) < FIRST_PROOF;

const errorsOf = resource => Object.entries(resource.degraded).map(([ordinal, error]) => "replica " + ordinal + ": " + error);

/// Returns the parts of a bar. Many replicas are taken together by neighbours.
function segments(parts, all = parts.reduce((sum, [, part]) => sum + part, 0) || 1) {
  const size = Math.ceil(parts.length / MOST_PARTS);
  const groups = [];
  for (let at = 0; at < parts.length; at += size) groups.push(parts.slice(at, at + size));
  return groups.flatMap((group, at) => {
    const part = group.reduce((sum, [, part]) => sum + part, 0);
    if (part <= 0) return [];
    const [first, last] = [group[0][0], group.at(-1)[0]];
    const title = first === last ? "replica " + first : "replicas " + first + " to " + last;
    return [element("span", { key: title, part: size > 1 ? at : first, width: part / all * 100 + "%", title })];
  });
}

/// Describes the parts of a bar, for those who do not see it.
function inWords(parts, text) {
  if (!parts.length) return "no objects";
  if (parts.length < TABLE_FROM) return parts.map(([ordinal, part]) => "replica " + ordinal + ": " + text(part)).join(", ");
  const numbers = parts.map(([, part]) => part);
  return parts.length + " replicas, from " + text(Math.min(...numbers)) + " to " + text(Math.max(...numbers)) + " each";
}

/// Returns a link to the metrics of a replica. The one that answers has the address of this page.
function linkOf(replica, fleet, text) {
  const own = replica.ordinal === fleet.answeredBy;
  if (!own && !replica.metrics) return undefined;
  const [href, address] = own ? ["metrics", location.host] : [location.protocol + "//" + replica.metrics + "/metrics", replica.metrics];
  return element("a", { href, textContent: text ?? address + "/metrics", title: "metrics of replica " + replica.ordinal + " at " + address });
}

const roleOf = replica => [replica.pod, replica.coordinator ? "coordinator" : ""].filter(Boolean).join(", ");

function notesOf(replica) {
  const shown = replica.notes.slice(0, 3);
  if (replica.notes.length > 3) shown.push("and " + (replica.notes.length - 3) + " more");
  return shown;
}

/// Returns names and values of a replica; empty if it does not answer.
function factsOf(replica) {
  if (replica.uptime === null) return [];
  const facts = [["share", percent(replica.share)], ["objects", count(replica.objects)]];
  if (replica.memory !== null) facts.push(["memory", bytes(replica.memory)]);
  return [...facts, ["uptime", time(replica.uptime)]];
}

function card(replica, fleet) {
  const facts = element("dl");
  for (const [name, value] of factsOf(replica)) facts.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  const title = element("h3", {}, "Replica " + replica.ordinal, badge(standing(replica)));
  const made = element("article", { key: replica.ordinal, className: "card " + replica.standing, part: replica.ordinal }, title, facts);
  for (const note of [roleOf(replica), ...notesOf(replica)].filter(Boolean)) made.append(element("p", { textContent: note }));
  const link = linkOf(replica, fleet);
  if (link) made.append(element("p", {}, link));
  return made;
}

const KINDS = ["bad", "odd", "busy", "good"];
const severity = replica => KINDS.indexOf(standing(replica)[1]) * 2 + (replica.notes.length ? 0 : 1);

function memberRow(replica, fleet) {
  const facts = Object.fromEntries(factsOf(replica));
  const cell = (name, className = "number") => element("td", { className, textContent: facts[name] ?? "" });
  const role = roleOf(replica);
  const notes = notesOf(replica).join("; ");
  return element("tr", { key: replica.ordinal },
    element("th", { scope: "row" }, element("span", { className: "mark", part: replica.ordinal }), linkOf(replica, fleet, "Replica " + replica.ordinal) ?? "Replica " + replica.ordinal,
      ...(notes ? [element("span", { className: "under", textContent: notes })] : [])),
    element("td", {}, badge(standing(replica))),
    cell("share"), cell("objects"), cell("memory", "number spare"), cell("uptime", "number spare"),
    element("td", { className: "notes spare", textContent: [role, notes].filter(Boolean).join("; ") }));
}

let showAll = false;

function members(fleet) {
  const replicas = fleet.replicas;
  if (replicas.length < TABLE_FROM) return element("div", { key: "cards", className: "cards" }, ...replicas.map(replica => card(replica, fleet)));
  const sorted = [...replicas].sort((a, b) => severity(a) - severity(b) || a.ordinal - b.ordinal);
  const heads = [["Replica"], ["State"], ["Share", "number"], ["Objects", "number"], ["Memory", "number spare"], ["Uptime", "number spare"], ["Notes", "spare"]];
  const head = element("tr", {}, ...heads.map(([textContent, className = ""]) => element("th", { scope: "col", textContent, className })));
  const rows = sorted.slice(0, showAll ? undefined : MOST_ROWS).map(replica => memberRow(replica, fleet));
  const made = element("div", { key: "table", className: "scroll", tabIndex: 0 },
    element("table", { className: "members" }, element("thead", {}, head), element("tbody", {}, ...rows)));
  made.setAttribute("role", "region");
  made.setAttribute("aria-labelledby", "replicas-head");
  return made;
}

const titleOf = (resource, fleet) => "metrics of " + resource.resource + (fleet.shards > 1 ? " on replica " + fleet.answeredBy : "");
const linkTo = (resource, fleet) =>
  element("a", { key: resource.resource, href: "metrics?resources=" + encodeURIComponent(resource.resource), textContent: resource.resource, title: titleOf(resource, fleet) });

function row(resource, fleet) {
  const parts = Object.entries(resource.byReplica).map(([ordinal, objects]) => [Number(ordinal), objects]).filter(([, objects]) => objects > 0);
  // Definitions are watched, and have no metrics.
  const link = resource.resource === "customresourcedefinitions" ? resource.resource : linkTo(resource, fleet);
  const known = VERDICTS[resource.cover];
  const cover = known ? badge(known)
    : resource.refused !== null ? ""
    : element("span", { className: "dim", textContent: isYoung(fleet) ? "not yet known" : "no proof" });
  if (known && resource.coverAge !== null) cover.title = time(resource.coverAge) + " ago";
  const lastEvent = isDegraded(resource) ? badge(["degraded", "odd"])
    : resource.refused !== null ? badge([isRefused(resource) ? "refused: " + resource.refused : "not in the API", "odd"])
    : !resource.loaded ? badge(["loading", "busy"])
    : resource.silent !== null ? time(resource.silent) : "";
  const made = element("tr", { key: resource.resource },
    element("th", { scope: "row" }, link),
    element("td", { className: "wide" }, element("div", { className: "bar", label: inWords(parts, count) }, ...segments(parts))),
    element("td", { className: "number", textContent: count(resource.owned) }),
    element("td", { className: "number", textContent: resource.seen === null ? "" : count(resource.seen) }),
    element("td", {}, cover),
    element("td", { className: "number" }, lastEvent));
  made.dataset.resource = resource.resource;
  return made;
}

/// Whether a resource needs attention. Such resources come first.
const isSick = of => isRefused(of) || isDegraded(of) || [...WRONG, "unproven"].includes(of.cover);

/// Whether a resource has neither objects nor problems. Such resources are listed below the table.
const isQuiet = of => !of.owned && of.loaded && !isSick(of);

/// Says what the table cannot: empty and missing columns, and which slice the links show.
function hints(fleet, shown, hidden) {
  const said = [];
  if (!shown.length) said.push(fleet.resources.length ? "No enabled resource has objects." : "No resource is enabled.");
  if (hidden) said.push(count(hidden) + " more resources are in the JSON.");
  if (fleet.fleet && shown.some(of => of.refused === null && !VERDICTS[of.cover])) {
    said.push(isYoung(fleet) ? "Served once: the fleet proves it once a minute; the first proof follows within 2 minutes of the start."
      : "Served once, no proof: no replica sees all objects (--node, --object-limit, server-side sharding without --coverage-watch), or replicas do not answer.");
  }
  for (const of of shown.filter(isDegraded).slice(0, 10)) said.push(of.resource + " is degraded, " + errorsOf(of).slice(0, 3).join("; ") + ".");
  if (fleet.shards > 1 && shown.length) said.push("Links of resources lead to the metrics of replica " + fleet.answeredBy + " only. Other replicas serve the other objects.");
  return said;
}

function draw(fleet) {
  const [[kind, headline, detail], ...also] = findings(fleet);
  byId("verdict").className = "verdict " + kind;
  write("headline", headline);
  write("detail", detail);
  const others = also.slice(0, MOST_FINDINGS).map(([, headline, detail]) => headline + (detail ? "; " + detail : ""));
  if (also.length > others.length) others.push("and " + (also.length - others.length) + " more");
  show(byId("also"), ...others.map(textContent => element("li", { textContent })));
  byId("also").hidden = !also.length;
  write("version", fleet.version);
  write("name", fleet.fleet ?? "");
  document.title = (fleet.fleet ?? "kube-state-fleet") + ": " + headline;

  const shares = fleet.replicas.filter(replica => replica.share > 0).map(replica => [replica.ordinal, replica.share]);
  write("count", fleet.wanted === null || fleet.wanted === fleet.replicas.length
    ? count(fleet.replicas.length) : count(fleet.replicas.length) + ", " + count(fleet.wanted) + " desired");
  const bar = segments(shares, 1);
  if (shares.length < TABLE_FROM) bar.forEach((segment, at) => { segment.textContent = percent(shares[at][1]); });
  show(byId("shares"), ...bar);
  byId("shares").setAttribute("aria-label", "Share of objects: " + inWords(shares, percent));
  show(byId("replicas"), members(fleet));
  const all = byId("all");
  all.hidden = fleet.replicas.length <= MOST_ROWS;
  show(all, showAll ? "Show the first " + MOST_ROWS : "Show all " + count(fleet.replicas.length) + " replicas");
  const { last, took, count: handovers } = fleet.handover;
  const facts = fleet.generation ? ["Generation " + fleet.generation] : [];
  if (last !== null) facts.push("last handover " + time(last) + " ago" + (took === null ? "" : ", took " + took.toFixed(1) + " s"));
  if (handovers) facts.push(count(handovers) + (handovers === 1 ? " handover" : " handovers") + " since this replica started");
  if (fleet.handover.paused) facts.push("paused");
  facts.push(...fleet.handover.problems.slice(0, 10));
  write("handover", facts.join(" · "));

  const sorted = [...fleet.resources].sort((a, b) => isSick(b) - isSick(a) || b.owned - a.owned || a.resource.localeCompare(b.resource));
  const quiet = sorted.filter(isQuiet).slice(0, MOST_ROWS);
  const rows = sorted.filter(of => !isQuiet(of));
  const shown = rows.slice(0, MOST_ROWS);
  write("total", count(sorted.reduce((sum, of) => sum + of.owned, 0)) + " objects");
  byId("resources").className = fleet.fleet ? "" : "alone";
  byId("table").hidden = !shown.length;
  show(byId("resources").tBodies[0], ...shown.map(of => row(of, fleet)));
  show(byId("hint"), ...hints(fleet, shown, rows.length - shown.length).flatMap(text => [text, element("br")]));
  byId("empty").hidden = !quiet.length;
  show(byId("empty").querySelector("summary"), count(sorted.length - rows.length) + " more resources without objects");
  show(byId("empty").querySelector("p"), ...quiet.map(of => element("span", { key: of.resource }, linkTo(of, fleet), " ")));

  const chips = fleet.enabled.slice(0, MOST_ROWS).map(({ name, value }) => element("li", { key: name }, element("b", { textContent: name }), value));
  show(byId("enabled"), ...(chips.length ? chips : [element("li", { textContent: "all at their defaults" })]));
  write("metrics", "metrics of " + (fleet.shards > 1 ? "replica " + fleet.answeredBy : "this replica"));
}

/// The last answer, and when it arrived.
let known;
let paused = false;

/// Requests the state. Returns the answer, or an error as headline and detail.
async function ask() {
  const signal = AbortSignal.timeout(TIMEOUT);
  let answer;
  try {
    answer = await fetch("fleet", { cache: "no-store", signal });
  } catch (error) {
    const detail = error.name === "TimeoutError" ? "no answer within " + time(TIMEOUT / 1000) : "the connection failed; it has ended, or a port-forward is closed";
    return { error: ["This replica does not answer", detail] };
  }
  const status = "HTTP " + answer.status + (answer.statusText ? " " + answer.statusText : "");
  if ([401, 403].includes(answer.status)) return { error: ["This page may not read the state of the fleet", status + "; reload the page to sign in"] };
  if (!answer.ok) return { error: ["This replica answers with an error", status] };
  try {
    const fleet = await answer.json();
    if (Array.isArray(fleet?.replicas) && Array.isArray(fleet.resources) && fleet.handover) return { fleet };
  } catch (error) {
    if (error.name === "TimeoutError") return { error: ["This replica does not answer", "the answer is not complete after " + time(TIMEOUT / 1000)] };
  }
  return { error: ["The answer is not the state of a fleet", "something else answers at this address"] };
}

function fail([headline, detail]) {
  byId("verdict").className = "verdict bad";
  write("headline", headline);
  write("detail", detail + "; asking again every " + time(PERIOD / 1000));
  byId("also").hidden = true;
  document.title = "kube-state-fleet: " + headline;
  document.body.classList.add("stale");
  byId("outdated").hidden = !known;
  if (known) write("outdated", "Outdated: the data below is of " + known.at.toLocaleTimeString() + ", " + time((Date.now() - known.at) / 1000) + " ago.");
}

function succeed(fleet) {
  known = { fleet, at: new Date() };
  draw(fleet);
  byId("content").hidden = false;
  byId("outdated").hidden = true;
  document.body.classList.remove("stale");
  write("asked", "as seen by replica " + fleet.answeredBy + ", " + known.at.toLocaleTimeString());
}

let timer;
let asking = false;

async function refresh() {
  if (asking) return;
  clearTimeout(timer);
  if (!document.hidden && !paused) {
    asking = true;
    const { fleet, error } = await ask();
    asking = false;
    keeping(() => error ? fail(error) : succeed(fleet));
  }
  timer = setTimeout(refresh, PERIOD);
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", paused);
  if (!paused) refresh();
});
byId("all").addEventListener("click", () => {
  showAll = !showAll;
  if (known) keeping(() => draw(known.fleet));
});
document.addEventListener("visibilitychange", refresh);
refresh();
