package dashboards

// What the coordinator says of the cover, as a number: the higher the worse.
const cover = `max(
  0 * kube_state_fleet_cover{JOB, state="exact"}
  or 1 * (kube_state_fleet_cover{JOB, state="unproven"} == 1)
  or 2 * (kube_state_fleet_cover{JOB, state="doubled"} == 1)
  or 3 * (kube_state_fleet_cover{JOB, state="missing"} == 1)
)`

func fleet() Dashboard {
	return Dashboard{
		UID: fleetUID, Title: "Kubernetes / kube-state-fleet",
		Description: "The exporters themselves: does the fleet expose everything, once, and how well does it do?",
		Variables:   []Variable{{"job", "Job", "kube_state_metrics_build_info{CLUSTER}"}},
		Rows: []Row{
			{"Is everything served, once?", []Panel{
				{
					Kind: Stat, Title: "Cover", Width: 4, Height: 4, Unit: "short",
					Description: "The worst that the last proof showed of any resource: every object exposed once (exact), some twice, some by nobody; or no proof for three minutes.",
					Steps:       []Step{{0, green}, {1, orange}, {3, red}},
					Values:      []Value{{"0", "exact", green}, {"1", "unproven", orange}, {"2", "doubled", orange}, {"3", "missing", red}},
					Queries:     []Query{{cover, "cover"}},
				},
				{
					Kind: Stat, Title: "Replicas missing", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Replicas that the StatefulSet wants and that do not serve for themselves. Others serve in their place.",
					Queries:     []Query{{`max(kube_state_fleet_replicas_wanted{JOB}) - min(kube_state_fleet_members{JOB, state="present"})`, "replicas"}},
				},
				{
					Kind: Stat, Title: "Untaken", Width: 4, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Members whose objects nobody serves, for want of memory.",
					Queries:     []Query{{`max(kube_state_fleet_members{JOB, state="untaken"})`, "members"}},
				},
				{
					Kind: Stat, Title: "Views", Width: 4, Height: 4, Unit: "short", Steps: []Step{{0, green}, {2, orange}},
					Description: "How many different generations replicas follow. More than one for longer than a switch takes is a split.",
					Queries:     []Query{{`count(count_values("generation", kube_state_fleet_generation{JOB}))`, "generations"}},
				},
				{
					Kind: Stat, Title: "Handover waits for", Width: 4, Height: 4, Unit: "s", Steps: []Step{{0, green}, {300, orange}, {900, red}},
					Description: "For how long the fleet has not been as its StatefulSet wants it.",
					Queries:     []Query{{`max(kube_state_fleet_handover_pending_seconds{JOB})`, "pending"}},
				},
				{
					Kind: Stat, Title: "Oldest word", Width: 4, Height: 4, Unit: "s", Steps: []Step{{0, green}, {150, orange}, {300, red}},
					Description: "How long ago the API server last said anything about the resource that was silent for longest. A bookmark comes each minute.",
					Queries:     []Query{{`max(kube_state_fleet_last_event_age_seconds{JOB})`, "age"}},
				},
			}},
			{"Who serves what", []Panel{
				{
					Kind: Lines, Title: "Objects by replica", Width: 12, Height: 8, Unit: "short", Stacked: true,
					Description: "A change of hands shows as a step; the sum does not move.",
					Queries:     []Query{{`sum by (cluster, job, instance) (kube_state_fleet_objects{JOB})`, "{{instance}}"}},
				},
				{
					Kind: Table, Title: "Cover by resource", Width: 12, Height: 8, Unit: "short",
					Description: "Objects in the cluster, objects exposed, and the age of the proof, as the coordinator tells it.",
					Queries: []Query{
						{`max by (cluster, job, resource) (kube_state_fleet_cover_objects{JOB, of="seen"})`, ""},
						{`max by (cluster, job, resource) (kube_state_fleet_cover_objects{JOB, of="exposed"})`, ""},
						{`max by (cluster, job, resource) (kube_state_fleet_cover_age_seconds{JOB})`, ""},
					},
					Columns: []Column{
						{Field: "resource", Heading: "Resource"}, {Field: "A", Heading: "Seen"}, {Field: "B", Heading: "Exposed"},
						{Field: "C", Heading: "Proven", Unit: "s", Steps: []Step{{0, green}, {180, orange}}},
					},
				},
				{
					Kind: Timeline, Title: "Handover", Width: 12, Height: 6, Unit: "short",
					Description: "What each replica does about a change of who serves what.",
					Steps:       []Step{{0, green}},
					Values:      []Value{{"0", "idle", green}, {"1", "preparing", blue}, {"2", "switching", blue}, {"3", "waiting", orange}},
					Queries: []Query{{`max by (cluster, job, instance) (
  0 * kube_state_fleet_handover_state{JOB, state="idle"}
  or 1 * (kube_state_fleet_handover_state{JOB, state="preparing"} == 1)
  or 2 * (kube_state_fleet_handover_state{JOB, state="switching"} == 1)
  or 3 * (kube_state_fleet_handover_state{JOB, state="waiting"} == 1)
)`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "Peers that do not answer", Width: 12, Height: 6, Unit: "short",
					Description: "Members that live and do not answer a replica directly. The API server is then the only way between them.",
					Queries:     []Query{{`kube_state_fleet_peers{JOB} - kube_state_fleet_peers_answering{JOB}`, "{{instance}}"}},
				},
			}},
			{"What comes in", []Panel{
				{
					Kind: Lines, Title: "Events", Width: 8, Height: 8, Unit: "ops", Stacked: true,
					Description: "List items and watch events by what came of them. Foreign ones belong to another shard, and end after a look at their UID.",
					Queries:     []Query{{`sum by (outcome) (rate(kube_state_fleet_events_total{JOB}[$__rate_interval]))`, "{{outcome}}"}},
				},
				{
					Kind: Lines, Title: "Lists and watches", Width: 8, Height: 8, Unit: "ops",
					Description: "Requests to the API server, by result. Errors in a row are an alert.",
					Queries: []Query{
						{`sum by (result) (rate(kube_state_metrics_list_total{JOB}[$__rate_interval]))`, "list, {{result}}"},
						{`sum by (result) (rate(kube_state_metrics_watch_total{JOB}[$__rate_interval]))`, "watch, {{result}}"},
					},
				},
				{
					Kind: Lines, Title: "Last word from the API server", Width: 8, Height: 8, Unit: "s",
					Description: "By resource, of the replica that has waited longest.",
					Queries:     []Query{{`topk(10, max by (resource) (kube_state_fleet_last_event_age_seconds{JOB}))`, "{{resource}}"}},
				},
			}},
			{"What it costs", []Panel{
				{
					Kind: Lines, Title: "Memory", Width: 8, Height: 8, Unit: "bytes",
					Description: "Resident memory of each replica. It takes nobody's place above 80 % of its limit.",
					Queries:     []Query{{`process_resident_memory_bytes{JOB}`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "CPU", Width: 8, Height: 8, Unit: "short",
					Description: "Cores that each replica uses.",
					Queries:     []Query{{`rate(process_cpu_seconds_total{JOB}[$__rate_interval])`, "{{instance}}"}},
				},
				{
					Kind: Lines, Title: "Duration of scrapes", Width: 8, Height: 8, Unit: "s",
					Description: "Of one in ten scrapes at least this long, by replica. A slow reader counts.",
					Queries: []Query{{`histogram_quantile(0.9,
  sum by (cluster, job, instance, le) (rate(http_request_duration_seconds_bucket{JOB, handler="metrics"}[$__rate_interval]))
)`, "{{instance}}"}},
				},
			}},
		},
	}
}
