package dashboards

// ofClaims is a family of claims, once per claim.
func ofClaims(family, matcher string) string {
	return `max by (cluster, namespace, persistentvolumeclaim) (` + family + `{NAMESPACE` + matcher + `})`
}

const (
	onClaim  = ` on (cluster, namespace, persistentvolumeclaim) `
	claimed  = `max by (cluster, namespace, persistentvolumeclaim) (kube_persistentvolumeclaim_resource_requests_storage_bytes{NAMESPACE})`
	ofVolume = `max by (cluster, persistentvolume) (kube_persistentvolume_capacity_bytes{CLUSTER})`

	// The kubelet's own metrics, of volumes that a pod mounts.
	usedBytes = `max by (cluster, namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes{NAMESPACE})`
	roomBytes = `max by (cluster, namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{NAMESPACE})`
)

func storage() Dashboard {
	return Dashboard{
		UID: storageUID, Title: "Kubernetes / Storage",
		Description: "Claims, volumes and attachments: what waits, what is lost, and what fills up.",
		Variables:   []Variable{{"namespace", "Namespace", "kube_namespace_status_phase{CLUSTER}"}},
		Rows: []Row{
			{"At a glance", []Panel{
				{
					Kind: Stat, Title: "Claims pending", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Claims that wait for a volume, or for the first pod that uses them.",
					Queries:     []Query{{`sum(` + ofClaims("kube_persistentvolumeclaim_status_phase", `, phase="Pending"`) + `)` + elseZero, "claims"}},
				},
				{
					Kind: Stat, Title: "Claims lost", Width: 4, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Claims whose volume does not exist any more.",
					Queries:     []Query{{`sum(` + ofClaims("kube_persistentvolumeclaim_status_phase", `, phase="Lost"`) + `)` + elseZero, "claims"}},
				},
				{
					Kind: Stat, Title: "Volumes failed", Width: 4, Height: 4, Unit: "short", Steps: noneIsGood,
					Description: "Volumes that could not be deleted or recycled after their claim was gone.",
					Queries:     []Query{{`sum(max by (cluster, persistentvolume) (kube_persistentvolume_status_phase{CLUSTER, phase="Failed"}))` + elseZero, "volumes"}},
				},
				{
					Kind: Stat, Title: "Volumes released", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Volumes that their reclaim policy keeps although their claim is gone. They cost money until somebody deletes them.",
					Queries:     []Query{{`sum(max by (cluster, persistentvolume) (kube_persistentvolume_status_phase{CLUSTER, phase="Released"}))` + elseZero, "volumes"}},
				},
				{
					Kind: Stat, Title: "Attachments waiting", Width: 4, Height: 4, Unit: "short", Steps: noneIsBetter,
					Description: "Volumes that a node waits for.",
					Queries:     []Query{{`sum(max by (cluster, volumeattachment) (kube_volumeattachment_status_attached{CLUSTER}) == bool 0)` + elseZero, "attachments"}},
				},
				{
					Kind: Stat, Title: "Claimed", Width: 4, Height: 4, Unit: "bytes", Steps: neutral,
					Description: "Bytes that all claims request.",
					Queries:     []Query{{`sum(` + claimed + `)`, "bytes"}},
				},
			}},
			{"What is wrong", []Panel{
				{
					Kind: Table, Title: "Claims without a volume", Width: 12, Height: 8, Unit: "short",
					Description: "Pending and lost claims, and their storage class. Empty is good.",
					Queries: []Query{{`max by (cluster, namespace, persistentvolumeclaim, phase) (
  kube_persistentvolumeclaim_status_phase{NAMESPACE, phase=~"Pending|Lost"} == 1
)
* on (cluster, namespace, persistentvolumeclaim) group_left (storageclass)
max by (cluster, namespace, persistentvolumeclaim, storageclass) (kube_persistentvolumeclaim_info{NAMESPACE})`, ""}},
					Columns: []Column{
						{Field: "namespace", Heading: "Namespace", Link: workloadsUID + "?namespace"},
						{Field: "persistentvolumeclaim", Heading: "Claim"}, {Field: "phase", Heading: "Phase"},
						{Field: "storageclass", Heading: "Class"},
					},
				},
				{
					Kind: Table, Title: "Volumes without a claim", Width: 12, Height: 8, Unit: "bytes",
					Description: "Released and failed volumes, and their size. Empty is good.",
					Queries: []Query{{`max by (cluster, persistentvolume, phase) (kube_persistentvolume_status_phase{CLUSTER, phase=~"Released|Failed"} == 1)
* on (cluster, persistentvolume) group_left ()
` + ofVolume, ""}},
					Columns: []Column{
						{Field: "persistentvolume", Heading: "Volume"}, {Field: "phase", Heading: "Phase"}, {Field: "A", Heading: "Size", Unit: "bytes"},
					},
				},
			}},
			{"How full", []Panel{
				{
					Kind: Bars, Title: "Fullest volumes", Width: 12, Height: 8, Unit: "percentunit", Min: 0, Max: 1,
					Description: "Used bytes of mounted volumes relative to their size: the ten highest. It needs the metrics of the kubelet.",
					Steps:       []Step{{0, green}, {0.8, orange}, {0.95, red}},
					Queries:     []Query{{`topk(10, ` + usedBytes + ` /` + onClaim + roomBytes + `)`, "{{namespace}}/{{persistentvolumeclaim}}"}},
					Link:        workloadsUID + "?namespace",
				},
				{
					Kind: Lines, Title: "Free space", Width: 12, Height: 8, Unit: "bytes",
					Description: "Free bytes of the ten mounted volumes with the least. It needs the metrics of the kubelet.",
					Queries:     []Query{{`bottomk(10, ` + roomBytes + ` -` + onClaim + usedBytes + `)`, "{{namespace}}/{{persistentvolumeclaim}}"}},
					Link:        workloadsUID + "?namespace",
				},
			}},
			{"Who claims", []Panel{
				{
					Kind: Lines, Title: "Claimed by namespace", Width: 8, Height: 8, Unit: "bytes", Stacked: true,
					Description: "Bytes that claims request: the ten largest namespaces.",
					Queries:     []Query{{`topk(10, sum by (cluster, namespace) (` + claimed + `))`, "{{namespace}}"}},
					Link:        workloadsUID + "?namespace",
				},
				{
					Kind: Lines, Title: "Volumes by class", Width: 8, Height: 8, Unit: "bytes", Stacked: true,
					Description: "Bytes of all volumes by storage class.",
					Queries: []Query{{`sum by (storageclass) (
  ` + ofVolume + `
  * on (cluster, persistentvolume) group_left (storageclass)
  max by (cluster, persistentvolume, storageclass) (kube_persistentvolume_info{CLUSTER})
)`, "{{storageclass}}"}},
				},
				{
					Kind: Lines, Title: "Volumes by phase", Width: 8, Height: 8, Unit: "short", Stacked: true,
					Description: "Bound volumes have a claim. Available ones wait for one.",
					Queries:     []Query{{`sum by (phase) (max by (cluster, persistentvolume, phase) (kube_persistentvolume_status_phase{CLUSTER}))`, "{{phase}}"}},
				},
			}},
		},
	}
}
