package dashboards

const (
	overviewUID  = "kubernetes-overview"
	workloadsUID = "kubernetes-workloads"
	nodesUID     = "kubernetes-nodes"
	storageUID   = "kubernetes-storage"
	fleetUID     = "kube-state-fleet"
)

// Each object counts once, even if several replicas expose it: queries take the maximum over replicas before they sum.
const (
	deploymentsWanted  = `max by (cluster, namespace, deployment) (kube_deployment_spec_replicas{NAMESPACE})`
	deploymentsThere   = `max by (cluster, namespace, deployment) (kube_deployment_status_replicas_available{NAMESPACE})`
	statefulSetsWanted = `max by (cluster, namespace, statefulset) (kube_statefulset_replicas{NAMESPACE})`
	statefulSetsThere  = `max by (cluster, namespace, statefulset) (kube_statefulset_status_replicas_ready{NAMESPACE})`
	daemonSetsWanted   = `max by (cluster, namespace, daemonset) (kube_daemonset_status_desired_number_scheduled{NAMESPACE})`
	daemonSetsThere    = `max by (cluster, namespace, daemonset) (kube_daemonset_status_number_available{NAMESPACE})`

	onDeployment  = ` on (cluster, namespace, deployment) `
	onStatefulSet = ` on (cluster, namespace, statefulset) `
	onDaemonSet   = ` on (cluster, namespace, daemonset) `

	// 0 without a match, if any replica exposes anything.
	elseZero = ` or 0 * count(kube_node_info{CLUSTER})`
)

// Reasons of failing pods, one series per reason.
const failingPods = `max by (cluster, namespace, pod, container, reason) (
  kube_pod_container_status_waiting_reason{NAMESPACE, reason!~"ContainerCreating|PodInitializing"} == 1
  or kube_pod_init_container_status_waiting_reason{NAMESPACE, reason!~"ContainerCreating|PodInitializing"} == 1
  or kube_pod_container_status_terminated_reason{NAMESPACE, reason!="Completed"} == 1
  or kube_pod_init_container_status_terminated_reason{NAMESPACE, reason!="Completed"} == 1
  or kube_pod_status_reason{NAMESPACE} == 1
  or label_replace(kube_pod_status_unschedulable{NAMESPACE} == 1, "reason", "Unschedulable", "", "")
)`

func overview() Dashboard {
	return Dashboard{
		UID: overviewUID, Title: "Kubernetes / Overview",
		Description: "Health of the cluster: failing objects, and reasons.",
		Variables:   []Variable{{"namespace", "Namespace", "kube_namespace_status_phase{CLUSTER}"}},
		Rows: []Row{
			{"At a glance", []Panel{
				{
					Kind: Stat, Title: "Nodes not ready", Width: 4, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Nodes whose kubelet reports not ready, or does not report.",
					Queries:     []Query{{`sum(max by (cluster, node) (kube_node_status_condition{CLUSTER, condition="Ready", status=~"false|unknown"}))`, "nodes"}},
				},
				{
					Kind: Stat, Title: "Deployments lacking pods", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Deployments with fewer available pods than desired. That can be normal during a rollout.",
					Queries:     []Query{{`sum(` + deploymentsWanted + ` > bool` + onDeployment + deploymentsThere + `)` + elseZero, "deployments"}},
				},
				{
					Kind: Stat, Title: "Sets lacking pods", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "StatefulSets and DaemonSets with fewer ready or available pods than desired.",
					Queries: []Query{{`sum(
  (` + statefulSetsWanted + ` > bool` + onStatefulSet + statefulSetsThere + `)
  or (` + daemonSetsWanted + ` > bool` + onDaemonSet + daemonSetsThere + `)
)` + elseZero, "sets"}},
				},
				{
					Kind: Stat, Title: "Waiting pods", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Pods in the phases Pending and Unknown: not scheduled, not started, or on an unreachable node.",
					Queries:     []Query{{`sum(max by (cluster, namespace, pod) (kube_pod_status_phase{NAMESPACE, phase=~"Pending|Unknown"}))` + elseZero, "pods"}},
				},
				{
					Kind: Stat, Title: "Crashing containers", Width: 4, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Containers in CrashLoopBackOff.",
					Queries: []Query{{`sum(max by (cluster, namespace, pod, container) (
  kube_pod_container_status_waiting_reason{NAMESPACE, reason="CrashLoopBackOff"}
  or kube_pod_init_container_status_waiting_reason{NAMESPACE, reason="CrashLoopBackOff"}
))` + elseZero, "containers"}},
				},
				{
					Kind: Stat, Title: "Failed jobs", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Jobs that have exhausted their retries or their deadline, until they are deleted.",
					Queries:     []Query{{`sum(max by (cluster, namespace, job_name) (kube_job_failed{NAMESPACE, condition="true"}))` + elseZero, "jobs"}},
				},
			}},
			{"What is wrong", []Panel{
				{
					Kind: Table, Title: "Workloads with missing replicas", Width: 12, Height: 9, Unit: "short",
					Description: "Actual and desired replicas. Empty is good.",
					Queries: []Query{
						{named("Deployment", "deployment", deploymentsWanted+` >`+onDeployment+deploymentsThere, "") + "\nor\n" +
							named("StatefulSet", "statefulset", statefulSetsWanted+` >`+onStatefulSet+statefulSetsThere, "") + "\nor\n" +
							named("DaemonSet", "daemonset", daemonSetsWanted+` >`+onDaemonSet+daemonSetsThere, ""), ""},
						{named("Deployment", "deployment", deploymentsThere+` <`+onDeployment+deploymentsWanted, "") + "\nor\n" +
							named("StatefulSet", "statefulset", statefulSetsThere+` <`+onStatefulSet+statefulSetsWanted, "") + "\nor\n" +
							named("DaemonSet", "daemonset", daemonSetsThere+` <`+onDaemonSet+daemonSetsWanted, ""), ""},
					},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace", Link: workloadsUID + "?namespace"},
						{Field: "kind", Heading: "Kind"}, {Field: "name", Heading: "Name"},
						{Field: "A", Heading: "Wanted"}, {Field: "B", Heading: "There", Steps: []Step{{0, red}, {1, orange}}},
					},
				},
				{
					Kind: Table, Title: "Failing pods and reasons", Width: 12, Height: 9, Unit: "short",
					Description: "The reason from the kubelet or the scheduler. Empty is good.",
					Queries:     []Query{{failingPods, ""}},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace", Link: workloadsUID + "?namespace"},
						{Field: "pod", Heading: "Pod"}, {Field: "container", Heading: "Container"}, {Field: "reason", Heading: "Reason"},
					},
				},
				{
					Kind: Table, Title: "Firing alerts", Width: 24, Height: 7, Unit: "short",
					Description: "Alerts that fire now: those of manifests/alerts, and others with a namespace or node label.",
					Queries: []Query{{`max by (cluster, alertname, severity, namespace, node, pod, container, deployment, statefulset, daemonset, job_name) (
  ALERTS{CLUSTER, alertstate="firing", namespace=~"$namespace|"}
)`, ""}},
					Columns: []Column{
						{Field: "severity", Heading: "Severity"}, {Field: "alertname", Heading: "Alert"},
						{Field: "namespace", Heading: "Namespace", Link: workloadsUID + "?namespace"},
						{Field: "node", Heading: "Node", Link: nodesUID + "?node"}, {Field: "pod", Heading: "Pod"},
						{Field: "container", Heading: "Container"},
					},
				},
			}},
			{"Over time", []Panel{
				{
					Kind: Lines, Title: "Pods by phase", Width: 8, Height: 8, Unit: "short", Stacked: true,
					Description: "All pods. Succeeded and Failed pods have ended and use no resources.",
					Queries:     []Query{{`sum by (phase) (max by (cluster, namespace, pod, phase) (kube_pod_status_phase{NAMESPACE}))`, "{{phase}}"}},
				},
				{
					Kind: Lines, Title: "Failing pods by reason", Width: 8, Height: 8, Unit: "short", Stacked: true,
					Description: "Number of containers and pods by reason, as in the table above.",
					Queries:     []Query{{`count by (reason) (` + failingPods + `)`, "{{reason}}"}},
				},
				{
					Kind: Lines, Title: "Restarts", Width: 8, Height: 8, Unit: "short",
					Description: "Container restarts in five minutes: the ten highest namespaces.",
					Queries: []Query{{`topk(10, sum by (cluster, namespace) (
  increase(max by (cluster, namespace, pod, uid, container) (
    kube_pod_container_status_restarts_total{NAMESPACE} or kube_pod_init_container_status_restarts_total{NAMESPACE}
  )[5m:])
))`, "{{namespace}}"}},
					Link: workloadsUID + "?namespace",
				},
			}},
			{"Room", []Panel{
				{
					Kind: Bars, Title: "Requests relative to nodes", Width: 8, Height: 6, Unit: "percentunit", Min: 0, Max: 1,
					Description: "Requests of running and pending pods, relative to the allocatable resources of all nodes.",
					Steps:       []Step{{0, green}, {0.8, orange}, {0.95, red}},
					Queries: []Query{{`sum by (resource) (
  max by (cluster, namespace, pod, container, resource) (
    ` + requestsOf(`CLUSTER, resource=~"cpu|memory"`) + `
  )` + ofLivePods("CLUSTER") + `
)
/ on (resource)
sum by (resource) (max by (cluster, node, resource) (kube_node_status_allocatable{CLUSTER, resource=~"cpu|memory"}))`, "{{resource}}"}},
				},
				{
					Kind: Bars, Title: "Fullest quotas", Width: 8, Height: 6, Unit: "percentunit", Min: 0, Max: 1,
					Description: "The five quotas with the highest use.",
					Steps:       []Step{{0, green}, {0.9, orange}, {1, red}},
					Queries:     []Query{{`topk(5, ` + quotas + `)`, "{{namespace}} {{resource}}"}},
					Link:        workloadsUID + "?namespace",
				},
				{
					Kind: Lines, Title: "Claims by phase", Width: 8, Height: 6, Unit: "short", Stacked: true,
					Description: "PersistentVolumeClaims. Pending ones wait for a volume or a first pod. Lost ones have lost their volume.",
					Queries: []Query{{`sum by (phase) (
  max by (cluster, namespace, persistentvolumeclaim, phase) (kube_persistentvolumeclaim_status_phase{NAMESPACE})
)`, "{{phase}}"}},
				},
				{
					Kind: Bars, Title: "Quotas relative to nodes", Width: 12, Height: 6, Unit: "percentunit", Min: 0, Max: 2,
					Description: "The hard limits of all quotas on requests, relative to the allocatable resources of all nodes. Above 100 %, the cluster cannot give what the quotas promise.",
					Steps:       []Step{{0, green}, {1, orange}, {1.5, red}},
					Queries:     []Query{{overcommit("cpu"), "cpu"}, {overcommit("memory"), "memory"}},
				},
				{
					Kind: Lines, Title: "Use relative to requests", Width: 12, Height: 6, Unit: "percentunit",
					Description: "What containers use of the CPU and memory that they request. Far below 100 %, nodes are reserved and idle. It needs the cAdvisor metrics of the kubelet.",
					Queries: []Query{
						{`sum(` + usedCPU("CLUSTER") + `)
/
sum(max by (cluster, namespace, pod, container) (
  ` + requestsOf(`CLUSTER, resource="cpu"`) + `
)` + ofLivePods("CLUSTER") + `)`, "cpu"},
						{`sum(` + usedMemory("CLUSTER") + `)
/
sum(max by (cluster, namespace, pod, container) (
  ` + requestsOf(`CLUSTER, resource="memory"`) + `
)` + ofLivePods("CLUSTER") + `)`, "memory"},
					},
				},
			}},
		},
	}
}

const quotas = `max by (cluster, namespace, resourcequota, resource) (kube_resourcequota{NAMESPACE, type="used"})
  / on (cluster, namespace, resourcequota, resource)
  (max by (cluster, namespace, resourcequota, resource) (kube_resourcequota{NAMESPACE, type="hard"}) > 0)`

// overcommit is the sum of the quotas on the requests of a resource, relative to all nodes.
func overcommit(resource string) string {
	return `sum(max by (cluster, namespace, resourcequota) (kube_resourcequota{CLUSTER, type="hard", resource=~"(requests.)?` + resource + `"}))
/
sum(max by (cluster, node) (kube_node_status_allocatable{CLUSTER, resource="` + resource + `"}))`
}

// usedCPU and usedMemory are what each container uses, from the kubelet's cAdvisor. Without an image it is the cgroup of the pod.
func usedCPU(matchers string) string {
	return `max by (cluster, namespace, pod, container) (rate(container_cpu_usage_seconds_total{` + matchers + `, container!="", image!=""}[$__rate_interval]))`
}

func usedMemory(matchers string) string {
	return `max by (cluster, namespace, pod, container) (container_memory_working_set_bytes{` + matchers + `, container!="", image!=""})`
}

// named gives series of one kind the labels kind and name, so that several kinds fit into one table.
func named(kind, label, expr, more string) string {
	return `max by (cluster, namespace, kind, name` + more + `) (
  label_replace(label_replace(` + expr + `, "name", "$1", "` + label + `", "(.+)"), "kind", "` + kind + `", "", "")
)`
}
