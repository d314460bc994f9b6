package dashboards

// perWorkload is a family, grouped by the objects of a kind.
func perWorkload(label, family string) string {
	return `max by (cluster, namespace, ` + label + `) (` + family + `{NAMESPACE})`
}

// replicas is the table of a kind: its families, the desired replicas first.
func replicas(title, description, label string, families []string, headings []string) Panel {
	table := Panel{
		Kind: Table, Title: title, Description: description, Width: 12, Height: 8, Unit: "short",
		Columns: []Column{{Field: "namespace", Heading: "Namespace"}, {Field: label, Heading: "Name"}},
	}
	for i, family := range families {
		table.Queries = append(table.Queries, Query{perWorkload(label, family), ""})
		table.Columns = append(table.Columns, Column{Field: letter(i), Heading: headings[i]})
	}
	return table
}

// ofLivePods selects series of running and pending pods, because other pods use no resources.
func ofLivePods(matcher string) string {
	return `
  * on (cluster, namespace, pod) group_left ()
  (max by (cluster, namespace, pod) (kube_pod_status_phase{` + matcher + `, phase=~"Pending|Running"}) == 1)`
}

// requestsOf selects the requests of containers and of native sidecars: init containers that keep running. Other init containers
// are left out, since they do not run beside the rest.
func requestsOf(matchers string) string {
	return `kube_pod_container_resource_requests{` + matchers + `}
    or
    kube_pod_init_container_resource_requests{` + matchers + `}
    and on (cluster, namespace, pod, container)
    kube_pod_init_container_info{CLUSTER, restart_policy="Always"}`
}

// ofRequests is what is used of the requests for a resource, by namespace.
func ofRequests(resource, used string) string {
	return `sum by (cluster, namespace) (` + used + `)
/ on (cluster, namespace)
sum by (cluster, namespace) (max by (cluster, namespace, pod, container) (
  ` + requestsOf(`NAMESPACE, resource="`+resource+`"`) + `
)` + ofLivePods("NAMESPACE") + `)`
}

func workloads() Dashboard {
	return Dashboard{
		UID: workloadsUID, Title: "Kubernetes / Workloads",
		Description: "Deployments, sets, jobs and their pods: desired and actual state.",
		Variables:   []Variable{{"namespace", "Namespace", "kube_namespace_status_phase{CLUSTER}"}},
		Rows: []Row{
			{"Deployments and sets", []Panel{
				replicas("Deployments", "Wanted, of the newest template, and available.", "deployment",
					[]string{"kube_deployment_spec_replicas", "kube_deployment_status_replicas_updated", "kube_deployment_status_replicas_available"},
					[]string{"Wanted", "Updated", "Available"}),
				{
					Kind: Lines, Title: "Pods missing", Width: 12, Height: 8, Unit: "short",
					Description: "Desired pods that are not available, for the workloads that lack most. A short bump is a rollout; a plateau needs attention.",
					Queries: []Query{{`topk(10,
  ` + named("Deployment", "deployment", deploymentsWanted+` -`+onDeployment+deploymentsThere, "") + `
  or
  ` + named("StatefulSet", "statefulset", statefulSetsWanted+` -`+onStatefulSet+statefulSetsThere, "") + `
  or
  ` + named("DaemonSet", "daemonset", daemonSetsWanted+` -`+onDaemonSet+daemonSetsThere, "") + `
) > 0`, "{{namespace}}/{{name}}"}},
				},
				replicas("StatefulSets", "Wanted, of the newest revision, and ready.", "statefulset",
					[]string{"kube_statefulset_replicas", "kube_statefulset_status_replicas_updated", "kube_statefulset_status_replicas_ready"},
					[]string{"Wanted", "Updated", "Ready"}),
				replicas("DaemonSets", "Nodes that should have a pod, and how many are of the newest template, available, or where they should not be.",
					"daemonset",
					[]string{"kube_daemonset_status_desired_number_scheduled", "kube_daemonset_status_updated_number_scheduled",
						"kube_daemonset_status_number_available", "kube_daemonset_status_number_misscheduled"},
					[]string{"Wanted", "Updated", "Available", "Misplaced"}),
			}},
			{"Pods", []Panel{
				{
					Kind: Lines, Title: "Waiting containers by reason", Width: 8, Height: 8, Unit: "short", Stacked: true,
					Description: "ContainerCreating and PodInitializing are part of every start. Other reasons need attention.",
					Queries: []Query{{`sum by (reason) (
  max by (cluster, namespace, pod, container, reason) (
    kube_pod_container_status_waiting_reason{NAMESPACE} or kube_pod_init_container_status_waiting_reason{NAMESPACE}
  )
)`, "{{reason}}"}},
				},
				{
					Kind: Table, Title: "Containers with most restarts", Width: 8, Height: 8, Unit: "short",
					Description: "Restarts since the pod was created, and the reason of the last termination.",
					Queries: []Query{{`topk(20, max by (cluster, namespace, pod, container) (
  kube_pod_container_status_restarts_total{NAMESPACE} or kube_pod_init_container_status_restarts_total{NAMESPACE}
) > 0)
* on (cluster, namespace, pod, container) group_left (reason)
max by (cluster, namespace, pod, container, reason) (
  kube_pod_container_status_last_terminated_reason{NAMESPACE} or kube_pod_init_container_status_last_terminated_reason{NAMESPACE}
)`, ""}},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace"}, {Field: "pod", Heading: "Pod"}, {Field: "container", Heading: "Container"},
						{Field: "reason", Heading: "Last end"}, {Field: "A", Heading: "Restarts"},
					},
				},
				{
					Kind: Lines, Title: "CPU requests by namespace", Width: 8, Height: 8, Unit: "short", Stacked: true,
					Description: "Cores requested by running and pending pods: the ten largest namespaces.",
					Queries: []Query{{`topk(10, sum by (cluster, namespace) (
  max by (cluster, namespace, pod, container) (
    ` + requestsOf(`NAMESPACE, resource="cpu"`) + `
  )` + ofLivePods("NAMESPACE") + `
))`, "{{namespace}}"}},
				},
			}},
			{"Use", []Panel{
				{
					Kind: Bars, Title: "CPU used of requests", Width: 12, Height: 8, Unit: "percentunit", Min: 0, Max: 1,
					Description: "What the containers of a namespace use of the CPU that they request: the ten lowest. It needs the cAdvisor metrics of the kubelet.",
					Steps:       []Step{{0, orange}, {0.3, green}, {1, orange}},
					Queries:     []Query{{`bottomk(10, ` + ofRequests("cpu", usedCPU("NAMESPACE")) + `)`, "{{namespace}}"}},
				},
				{
					Kind: Bars, Title: "Memory used of requests", Width: 12, Height: 8, Unit: "percentunit", Min: 0, Max: 1,
					Description: "What the containers of a namespace use of the memory that they request: the ten lowest. It needs the cAdvisor metrics of the kubelet.",
					Steps:       []Step{{0, orange}, {0.3, green}, {1, orange}},
					Queries:     []Query{{`bottomk(10, ` + ofRequests("memory", usedMemory("NAMESPACE")) + `)`, "{{namespace}}"}},
				},
			}},
			{"Jobs", []Panel{
				{
					Kind: Table, Title: "Jobs", Width: 12, Height: 8, Unit: "short",
					Description: "Active, succeeded and failed pods of each Job, and whether the Job failed.",
					Queries: []Query{
						{perWorkload("job_name", "kube_job_status_active"), ""},
						{perWorkload("job_name", "kube_job_status_succeeded"), ""},
						{perWorkload("job_name", "kube_job_status_failed"), ""},
						{`max by (cluster, namespace, job_name) (kube_job_failed{NAMESPACE, condition="true"})`, ""},
					},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace"}, {Field: "job_name", Heading: "Job"}, {Field: "A", Heading: "Active"},
						{Field: "B", Heading: "Succeeded"}, {Field: "C", Heading: "Failed"}, {Field: "D", Heading: "Given up", Steps: noneIsGood},
					},
				},
				{
					Kind: Table, Title: "CronJobs", Width: 12, Height: 8, Unit: "short",
					Description: "Last start, last success, next start, and whether it is suspended.",
					Queries: []Query{
						{perWorkload("cronjob", "kube_cronjob_status_last_schedule_time") + ` * 1000`, ""},
						{perWorkload("cronjob", "kube_cronjob_status_last_successful_time") + ` * 1000`, ""},
						{perWorkload("cronjob", "kube_cronjob_next_schedule_time") + ` * 1000`, ""},
						{perWorkload("cronjob", "kube_cronjob_spec_suspend"), ""},
					},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace"}, {Field: "cronjob", Heading: "CronJob"},
						{Field: "A", Heading: "Last start", Unit: "dateTimeFromNow"}, {Field: "B", Heading: "Last success", Unit: "dateTimeFromNow"},
						{Field: "C", Heading: "Next", Unit: "dateTimeFromNow"}, {Field: "D", Heading: "Suspended", Steps: noneIsBetter},
					},
				},
			}},
			{"Limits", []Panel{
				{
					Kind: Bars, Title: "Autoscalers", Width: 8, Height: 8, Unit: "percentunit", Min: 0, Max: 1,
					Description: "Replicas relative to the autoscaler's maximum: the ten highest.",
					Steps:       []Step{{0, green}, {0.8, orange}, {1, red}},
					Queries: []Query{{`topk(10, ` + perWorkload("horizontalpodautoscaler", "kube_horizontalpodautoscaler_status_current_replicas") + `
  / on (cluster, namespace, horizontalpodautoscaler)
  ` + perWorkload("horizontalpodautoscaler", "kube_horizontalpodautoscaler_spec_max_replicas") + `)`, "{{namespace}}/{{horizontalpodautoscaler}}"}},
				},
				{
					Kind: Table, Title: "Disruption budgets", Width: 8, Height: 8, Unit: "short",
					Description: "Number of pods that may be evicted now; 0 blocks drains.",
					Queries: []Query{
						{perWorkload("poddisruptionbudget", "kube_poddisruptionbudget_status_pod_disruptions_allowed"), ""},
						{perWorkload("poddisruptionbudget", "kube_poddisruptionbudget_status_current_healthy"), ""},
						{perWorkload("poddisruptionbudget", "kube_poddisruptionbudget_status_desired_healthy"), ""},
					},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace"}, {Field: "poddisruptionbudget", Heading: "Budget"},
						{Field: "A", Heading: "Allowed", Steps: []Step{{0, orange}, {1, green}}}, {Field: "B", Heading: "Healthy"}, {Field: "C", Heading: "Wanted"},
					},
				},
				{
					Kind: Bars, Title: "Quotas", Width: 8, Height: 8, Unit: "percentunit", Min: 0, Max: 1,
					Description: "Use of each quota: the ten highest.",
					Steps:       []Step{{0, green}, {0.9, orange}, {1, red}},
					Queries:     []Query{{`topk(10, ` + quotas + `)`, "{{namespace}} {{resource}}"}},
				},
			}},
		},
	}
}
