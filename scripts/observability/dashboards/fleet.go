package dashboards

// The coordinator's coverage result as a number: higher is worse.
const cover = `max(
  0 * kube_state_fleet_cover{JOB, state="exact"}
  or 1 * (kube_state_fleet_cover{JOB, state="unproven"} == 1)
  or 2 * (kube_state_fleet_cover{JOB, state="doubled"} == 1)
  or 3 * (kube_state_fleet_cover{JOB, state="missing"} == 1)
)`

// orNone adds a zero to each fleet of which the query finds nothing, so that nothing wrong looks different from nothing known.
func orNone(query string) string {
	return query + "\nor on (cluster, job)\n0 * max by (cluster, job) (kube_state_fleet_coordinator{JOB})"
}

func fleet() Dashboard {
	return Dashboard{
		UID: fleetUID, Title: "Kubernetes / kube-state-fleet",
		Description: "The exporters: whether the fleet exposes every object exactly once, and at what cost.",
		Marked:      true,
		Variables:   []Variable{{"job", "Job", "kube_state_metrics_build_info{CLUSTER}"}},
		Rows: []Row{
			{"Is everything served, once?", []Panel{
				{
					Kind: Stat, Title: "Coverage", Width: 4, Height: 4, Unit: "short",
					Description: "The worst result of the last proof over all resources: every object exposed once (exact), some twice, some not at all; or no proof for two minutes.",
					Steps:       []Step{{0, green}, {1, orange}, {3, red}},
					Values:      []Value{{"0", "exact", green}, {"1", "unproven", orange}, {"2", "doubled", orange}, {"3", "missing", red}},
					Queries:     []Query{{cover, "cover"}},
				},
				{
					Kind: Stat, Title: "Replicas missing", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Replicas that the StatefulSet wants and that do not serve. Others have taken over.",
					Queries:     []Query{{`max(kube_state_fleet_replicas_wanted{JOB}) - min(kube_state_fleet_members{JOB, state="present"})`, "replicas"}},
				},
				{
					Kind: Stat, Title: "Untaken", Width: 4, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Absent members whose objects no other member has the memory to serve.",
					Queries:     []Query{{`max(kube_state_fleet_members{JOB, state="untaken"})`, "members"}},
				},
				{
					Kind: Stat, Title: "Generations", Width: 4, Height: 4, Unit: "short", Steps: []Step{{0, green}, {2, orange}},
					Description: "Number of different generations that replicas follow. More than one for longer than a switch is a split.",
					Queries:     []Query{{`count(count_values("generation", kube_state_fleet_generation{JOB}))`, "generations"}},
				},
				{
					Kind: Stat, Title: "Handover pending", Width: 4, Height: 4, Unit: "s", Steps: []Step{{0, green}, {300, orange}, {900, red}},
					Description: "How long the fleet has differed from its StatefulSet.",
					Queries:     []Query{{`max(kube_state_fleet_handover_pending_seconds{JOB})`, "pending"}},
				},
				{
					Kind: Stat, Title: "Oldest event", Width: 4, Height: 4, Unit: "s", Steps: []Step{{0, green}, {150, orange}, {300, red}},
					Description: "Time since the last event of the resource that has been silent for longest. The API server sends a bookmark every minute.",
					Queries:     []Query{{`max(kube_state_fleet_last_event_age_seconds{JOB})`, "age"}},
				},
			}},
			{"Who serves what", []Panel{
				{
					Kind: Lines, Title: "Objects by replica", Width: 12, Height: 8, Unit: "short", Stacked: true,
					Description: "A handover shows as a step; the sum does not change.",
					Queries:     []Query{{`sum by (cluster, job, instance) (kube_state_fleet_objects{JOB})`, "{{instance}}"}},
				},
				{
					Kind: Table, Title: "Coverage by resource", Width: 12, Height: 8, Unit: "short",
					Description: "Objects in the cluster, exposed objects, and the age of the proof, from the coordinator.",
					Queries: []Query{
						{`max by (cluster, job, resource) (kube_state_fleet_cover_objects{JOB, of="seen"})`, ""},
						{`max by (cluster, job, resource) (kube_state_fleet_cover_objects{JOB, of="exposed"})`, ""},
						{`max by (cluster, job, resource) (kube_state_fleet_cover_age_seconds{JOB})`, ""},
					},
					Columns: []Column{
						{Field: "resource", Heading: "Resource"}, {Field: "A", Heading: "Seen"}, {Field: "B", Heading: "Exposed"},
						{Field: "C", Heading: "Proven", Unit: "s", Steps: []Step{{0, green}, {120, orange}}},
					},
				},
				{
					Kind: Timeline, Title: "Handover", Width: 12, Height: 6, Unit: "short",
					Description: "The handover state of each replica.",
					Steps:       []Step{{0, green}},
					Values:      []Value{{"0", "idle", green}, {"1", "preparing", blue}, {"2", "stamping", blue}, {"3", "switching", blue}, {"4", "waiting", orange}},
					Queries: []Query{{`max by (cluster, job, instance) (
  0 * kube_state_fleet_handover_state{JOB, state="idle"}
  or 1 * (kube_state_fleet_handover_state{JOB, state="preparing"} == 1)
  or 2 * (kube_state_fleet_handover_state{JOB, state="stamping"} == 1)
  or 3 * (kube_state_fleet_handover_state{JOB, state="switching"} == 1)
  or 4 * (kube_state_fleet_handover_state{JOB, state="waiting"} == 1)
)`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "Peers that do not answer", Width: 12, Height: 6, Unit: "short",
					Description: "Live members that do not answer a replica directly. They then communicate only through the API server.",
					Queries:     []Query{{`kube_state_fleet_peers{JOB} - kube_state_fleet_peers_answering{JOB}`, "{{instance}}"}},
				},
			}},
			{"Handovers", []Panel{
				{
					Kind: Lines, Title: "Handovers by cause", Width: 8, Height: 8, Unit: "short",
					Description: "Changes of the assignment within an hour, as the replica counts them that saw the most: scaling, a member that was lost, that left in order or came back, or room for the objects of an absent one.",
					Queries:     []Query{{`max by (cause) (increase(kube_state_fleet_handovers_total{JOB, cause!="start"}[1h]))`, "{{cause}}"}},
				},
				{
					Kind: Lines, Title: "Blocked by", Width: 8, Height: 8, Unit: "s",
					Description: "How long each member has blocked a change, as the coordinator sees it; 0 without an ordinal if none does.",
					Queries:     []Query{{orNone(`max by (cluster, job, ordinal) (kube_state_fleet_handover_blocked_by{JOB})`), "{{ordinal}}"}},
				},
				{
					Kind: Lines, Title: "Exactness of the last switch", Width: 8, Height: 8, Unit: "s",
					Description: "How long objects were missing (gap), or exposed twice (overlap), at most, in the last change of each cause that the coordinator measured.",
					Queries: []Query{
						{`max by (cluster, job, cause) (kube_state_fleet_handover_gap_seconds{JOB})`, "gap, {{cause}}"},
						{`max by (cluster, job, cause) (kube_state_fleet_handover_overlap_seconds{JOB})`, "overlap, {{cause}}"},
					},
				},
				{
					Kind: Lines, Title: "Time since the last confirmation", Width: 8, Height: 8, Unit: "s",
					Description: "Since the API server confirmed the assignment to a replica or to one of its peers. After 15 s, --on-lost-quorum decides what the replica serves.",
					Queries:     []Query{{`kube_state_fleet_confirmed_age_seconds{JOB}`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "Degraded resources", Width: 8, Height: 8, Unit: "short",
					Description: "Replicas on which a resource fails for so long that neither readiness nor handovers wait for it; 0 without a name if none does.",
					Queries:     []Query{{orNone(`count by (cluster, job, resource) (kube_state_fleet_degraded{JOB} > 0)`), "{{resource}}"}},
				},
				{
					Kind: Lines, Title: "Kubernetes Events", Width: 8, Height: 8, Unit: "short",
					Description: "Events about the fleet within an hour: posted, or dropped, by the reason.",
					Queries:     []Query{{`sum by (outcome) (increase(kube_state_fleet_kubernetes_events_total{JOB}[1h]))`, "{{outcome}}"}},
				},
			}},
			{"What comes in", []Panel{
				{
					Kind: Lines, Title: "Events", Width: 8, Height: 8, Unit: "ops", Stacked: true,
					Description: "List items and watch events by outcome. Foreign ones belong to another shard and are dropped after reading their UID.",
					Queries:     []Query{{`sum by (outcome) (rate(kube_state_fleet_events_total{JOB}[$__rate_interval]))`, "{{outcome}}"}},
				},
				{
					Kind: Lines, Title: "Lists and watches", Width: 8, Height: 8, Unit: "ops",
					Description: "Requests to the API server, by result. Repeated errors fire an alert.",
					Queries: []Query{
						{`sum by (result) (rate(kube_state_metrics_list_total{JOB}[$__rate_interval]))`, "list, {{result}}"},
						{`sum by (result) (rate(kube_state_metrics_watch_total{JOB}[$__rate_interval]))`, "watch, {{result}}"},
					},
				},
				{
					Kind: Lines, Title: "Time since the last event", Width: 8, Height: 8, Unit: "s",
					Description: "By resource, for the replica that has waited longest.",
					Queries:     []Query{{`topk(10, max by (resource) (kube_state_fleet_last_event_age_seconds{JOB}))`, "{{resource}}"}},
				},
			}},
			{"What it costs", []Panel{
				{
					Kind: Lines, Title: "Memory", Width: 8, Height: 8, Unit: "bytes",
					Description: "Resident memory of each replica. Above 80 % of its limit, it does not take over.",
					Queries:     []Query{{`process_resident_memory_bytes{JOB}`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "CPU", Width: 8, Height: 8, Unit: "short",
					Description: "Cores that each replica uses.",
					Queries:     []Query{{`rate(process_cpu_seconds_total{JOB}[$__rate_interval])`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "Scrape duration", Width: 8, Height: 8, Unit: "s",
					Description: "90th percentile by replica, including the time of a slow reader.",
					Queries: []Query{{`histogram_quantile(0.9,
  sum by (cluster, job, instance, le) (rate(http_request_duration_seconds_bucket{JOB, handler="metrics"}[$__rate_interval]))
)`, "{{instance}}"}},
				},
			}},
		},
	}
}
