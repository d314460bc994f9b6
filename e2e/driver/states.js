// Makes the status page get made-up answers, for states that a real fleet shows rarely. Runs before the script of the page, after
// a line that sets `state` and `replicas`.
const RESOURCES = ["pods", "configmaps", "secrets", "services", "deployments", "jobs", "nodes"];
let polls = 0;

function fleet() {
  polls += 1;
  const young = state === "young";
  const ordinals = [...Array(replicas).keys()];
  const members = ordinals.map(ordinal => ({
    ordinal, pod: "kube-state-fleet-" + ordinal, standing: "serving", notes: [], coordinator: ordinal === 0,
    metrics: ordinal ? "10.2.0." + ordinal + ":8080" : null, share: 1 / replicas, objects: 1000 + ordinal, memory: 81e6, uptime: young ? 40 : 86400 + polls,
  }));
  // The order changes with every answer, as it does while objects come and go.
  const resources = RESOURCES.map((resource, at) => ({
    resource, owned: replicas * (1000 + (at + polls) % 7), byReplica: Object.fromEntries(ordinals.map(ordinal => [ordinal, 1000 + (at + polls) % 7])),
    seen: replicas * 1000, cover: young ? "unknown" : "exact", coverAge: young ? null : polls, loaded: true, refused: null, degraded: {}, silent: polls,
  }));
  if (state === "bad") {
    const [silent, loading] = [members[1], members[replicas - 1]];
    Object.assign(silent, { standing: "silent", notes: ["no answer within 2 s"], pod: null, metrics: null, share: 0, objects: 0, memory: null, uptime: null });
    Object.assign(loading, { standing: "loading", notes: ["pods: 1,200 of 3,000 objects"] });
    Object.assign(resources[2], { refused: 403, owned: 0, byReplica: {}, seen: null, cover: "unknown", coverAge: null });
    Object.assign(resources[3], { degraded: { 0: "list services: <b>503</b>" }, cover: "unproven" });
    Object.assign(resources[4], { cover: "missing" });
  }
  if (state === "long") {
    const long = (text, size) => text.repeat(size).slice(0, size);
    for (const member of members) {
      Object.assign(member, { pod: long("exporter", 52) + "-" + member.ordinal, metrics: "[2001:db8:1234:5678:9abc:def0:1234:" + member.ordinal + "]:8080" });
    }
    Object.assign(members[1], { standing: "loading", notes: [long("widgets", 253) + ": 1,200 of 3,000 objects"] });
    const custom = { resource: long("widgets", 63) + "." + long("example.", 189), degraded: { 1: "list: " + long("error", 256) }, owned: 123456789, seen: 123456789 };
    resources.push({ ...resources[0], ...custom }, { ...resources[0], ...custom, resource: "q" + custom.resource, degraded: {}, owned: 0, byReplica: {} });
    return {
      ...answer(members, resources), fleet: long("namespace", 63) + "/" + long("exporter", 52),
      enabled: [{ name: "--metric-labels-allowlist", value: long("pods=[app.kubernetes.io/name],", 300) }, { name: "--" + long("flag", 60), value: long("value", 200) }],
    };
  }
  const made = answer(members, resources);
  if (state === "preparing") Object.assign(made.handover, { state, waitingFor: ordinals.slice(1, 10), blockedFor: { 3: 5 }, last: 60, took: 1, count: 1 });
  return made;
}

function answer(members, resources) {
  return {
    fleet: replicas > 1 ? "monitoring/kube-state-fleet" : null, answeredBy: 0, version: "0.1.0", coordinated: true, shards: replicas,
    wanted: replicas > 1 ? replicas : null, generation: replicas > 1 ? 7 : 0,
    handover: { state: "idle", waitingFor: [], pending: null, last: null, took: null, count: 0, blockedFor: {}, paused: false, problems: [] },
    replicas: members, resources: state === "empty" ? [] : resources, enabled: [{ name: "--coverage-watch", value: "true" }],
  };
}

window.fetch = async () => {
  if (state === "loading") await new Promise(() => {});
  if (state === "unreachable") throw new TypeError("Failed to fetch");
  if (state === "error") return new Response("", { status: 503, statusText: "Service Unavailable" });
  if (state === "foreign") return new Response("<html>");
  if (state === "stale" && polls) return new Response("", { status: 401 });
  return Response.json(fleet());
};
