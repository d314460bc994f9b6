package dashboards

// condition counts nodes by a condition.
func condition(matcher string) string {
	return `count(max by (cluster, node) (kube_node_status_condition{NODE, ` + matcher + `}) == 1) or 0 * count(kube_node_info{NODE})`
}

// requested is the sum of pod requests per node, relative to its allocatable resources.
func requested(resource string) string {
	return `topk(20, sum by (cluster, node) (
  max by (cluster, namespace, pod, container, node) (
    ` + requestsOf(`NODE, resource="`+resource+`"`) + `
  )` + ofLivePods("CLUSTER") + `
)
/ on (cluster, node)
max by (cluster, node) (kube_node_status_allocatable{NODE, resource="` + resource + `"}))`
}

func nodes() Dashboard {
	full := []Step{{0, green}, {0.8, orange}, {0.95, red}}
	return Dashboard{
		UID: nodesUID, Title: "Kubernetes / Nodes",
		Description: "Health, versions and utilization of nodes.",
		Variables:   []Variable{{"node", "Node", "kube_node_info{CLUSTER}"}},
		Rows: []Row{
			{"At a glance", []Panel{
				{
					Kind: Stat, Title: "Nodes", Width: 6, Height: 4, Unit: "short", Steps: neutral,
					Description: "All nodes.",
					Queries:     []Query{{`count(max by (cluster, node) (kube_node_info{NODE}))`, "nodes"}},
				},
				{
					Kind: Stat, Title: "Not ready", Width: 6, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Nodes whose kubelet reports not ready, or does not report.",
					Queries:     []Query{{condition(`condition="Ready", status=~"false|unknown"`), "nodes"}},
				},
				{
					Kind: Stat, Title: "Under pressure", Width: 6, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Nodes that are short of memory, disk or process IDs, and evict pods.",
					Queries:     []Query{{condition(`condition=~"MemoryPressure|DiskPressure|PIDPressure", status="true"`), "nodes"}},
				},
				{
					Kind: Stat, Title: "Cordoned", Width: 6, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Nodes that an administrator or a controller has marked unschedulable.",
					Queries:     []Query{{`sum(max by (cluster, node) (kube_node_spec_unschedulable{NODE}))`, "nodes"}},
				},
			}},
			{"State", []Panel{
				{
					Kind: Timeline, Title: "Ready", Width: 12, Height: 9, Unit: "short",
					Description: "Whether each node was ready. Pods are evicted from a node after five minutes.",
					Steps:       []Step{{0, red}, {1, green}},
					Values:      []Value{{"0", "not ready", red}, {"1", "ready", green}},
					Queries:     []Query{{`max by (cluster, node) (kube_node_status_condition{NODE, condition="Ready", status="true"})`, "{{node}}"}},
				},
				{
					Kind: Table, Title: "Conditions and taints", Width: 12, Height: 9, Unit: "short",
					Description: "Reasons that keep pods off a node: taints, and abnormal conditions.",
					Queries: []Query{{`max by (cluster, node, what, effect) (label_replace(kube_node_spec_taint{NODE}, "what", "$1", "key", "(.+)"))
or
max by (cluster, node, what, effect) (
  label_replace(kube_node_status_condition{NODE, condition!="Ready", status="true"} == 1, "what", "$1", "condition", "(.+)")
  or label_replace(kube_node_status_condition{NODE, condition="Ready", status!="true"} == 1, "what", "not ready: $1", "status", "(.+)")
)`, ""}},
					Columns: []Column{{Field: "node", Heading: "Node"}, {Field: "what", Heading: "Taint or condition"}, {Field: "effect", Heading: "Effect"}},
				},
			}},
			{"Room", []Panel{
				{
					Kind: Bars, Title: "CPU requested", Width: 8, Height: 9, Unit: "percentunit", Min: 0, Max: 1, Steps: full,
					Description: "Requests of the pods of a node, relative to its allocatable resources: the twenty highest.",
					Queries:     []Query{{requested("cpu"), "{{node}}"}},
				},
				{
					Kind: Bars, Title: "Memory requested", Width: 8, Height: 9, Unit: "percentunit", Min: 0, Max: 1, Steps: full,
					Description: "Requests of the pods of a node, relative to its allocatable resources: the twenty highest.",
					Queries:     []Query{{requested("memory"), "{{node}}"}},
				},
				{
					Kind: Bars, Title: "Pods", Width: 8, Height: 9, Unit: "percentunit", Min: 0, Max: 1, Steps: full,
					Description: "Pods, relative to the kubelet's maximum: the twenty highest.",
					Queries: []Query{{`topk(20, count by (cluster, node) (
  max by (cluster, namespace, pod, node) (kube_pod_info{NODE})
  and on (cluster, namespace, pod)
  max by (cluster, namespace, pod) (kube_pod_status_phase{CLUSTER, phase=~"Pending|Running"}) == 1
)
/ on (cluster, node)
max by (cluster, node) (kube_node_status_allocatable{NODE, resource="pods"}))`, "{{node}}"}},
				},
			}},
			{"What they are", []Panel{
				{
					Kind: Table, Title: "Nodes", Width: 24, Height: 9, Unit: "short",
					Description: "Versions and allocatable resources.",
					Queries: []Query{
						{`max by (cluster, node, kubelet_version, os_image, kernel_version, container_runtime_version, internal_ip) (kube_node_info{NODE})`, ""},
						{`max by (cluster, node) (kube_node_status_allocatable{NODE, resource="cpu"})`, ""},
						{`max by (cluster, node) (kube_node_status_allocatable{NODE, resource="memory"})`, ""},
						{`max by (cluster, node) (kube_node_status_allocatable{NODE, resource="pods"})`, ""},
						{`max by (cluster, node) (kube_node_created{NODE}) * 1000`, ""},
					},
					Columns: []Column{
						{Field: "node", Heading: "Node"}, {Field: "kubelet_version", Heading: "Kubelet"}, {Field: "os_image", Heading: "System"},
						{Field: "kernel_version", Heading: "Kernel"}, {Field: "container_runtime_version", Heading: "Runtime"},
						{Field: "internal_ip", Heading: "Address"}, {Field: "B", Heading: "CPU"}, {Field: "C", Heading: "Memory", Unit: "bytes"},
						{Field: "D", Heading: "Pods"}, {Field: "E", Heading: "Made", Unit: "dateTimeFromNow"},
					},
				},
			}},
		},
	}
}
