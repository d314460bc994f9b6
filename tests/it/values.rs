//! The values of unusual objects, through `render`.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use kube_state_fleet::commands;
use tempfile::NamedTempFile;

/// Compares the series that `render` prints for `input`, of the families that `families` matches, in any order.
#[track_caller]
fn expect(families: &str, input: &str, expected: &[&str]) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(input.as_bytes()).expect("room for a file");
    let allow = format!("--metric-allowlist=^({families})$");
    let args = ["kube-state-fleet", "render", &allow, file.path().to_str().expect("UTF-8")].map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = commands::execute(args, &mut out, &mut err);
    assert_eq!(code, ExitCode::SUCCESS, "{}", String::from_utf8_lossy(&err));
    let out = String::from_utf8(out).expect("UTF-8");
    let mut series: Vec<_> = out.lines().filter(|line| !line.starts_with('#')).collect();
    let mut expected = expected.to_vec();
    series.sort_unstable();
    expected.sort_unstable();
    assert_eq!(series, expected);
}

#[test]
fn times_beyond_the_year_9999_cost_no_object() {
    expect(
        "kube_job_(created|info|status_(active|start_time))|kube_configmap_(created|info)",
        r#"
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: d, creationTimestamp: "9999-12-31T23:59:59Z"}
status: {startTime: "10000-01-01T00:00:00Z", active: 1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: d, creationTimestamp: "9999-12-30T22:00:01Z"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: before, namespace: d, creationTimestamp: "0000-01-01T00:00:00Z"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: odd, namespace: d, creationTimestamp: "soon"}
"#,
        &[
            r#"kube_job_created{namespace="d",job_name="j"} 2.53402300799e+11"#,
            r#"kube_job_info{namespace="d",job_name="j"} 1"#,
            r#"kube_job_status_active{namespace="d",job_name="j"} 1"#,
            r#"kube_job_status_start_time{namespace="d",job_name="j"} 2.534023008e+11"#,
            r#"kube_configmap_created{namespace="d",configmap="c"} 2.53402207201e+11"#,
            r#"kube_configmap_created{namespace="d",configmap="before"} -6.21672192e+10"#,
            r#"kube_configmap_info{namespace="d",configmap="before"} 1"#,
            r#"kube_configmap_info{namespace="d",configmap="c"} 1"#,
            r#"kube_configmap_info{namespace="d",configmap="odd"} 1"#,
        ],
    );
}

#[test]
fn the_last_internal_address_of_a_node_is_shown() {
    expect(
        "kube_node_info",
        r#"
apiVersion: v1
kind: Node
metadata: {name: n}
status: {addresses: [{type: InternalIP, address: 192.168.1.2}, {type: InternalIP, address: "fd00::2"}, {type: Hostname, address: h}]}
"#,
        &[
            r#"kube_node_info{node="n",kernel_version="",os_image="",container_runtime_version="",kubelet_version="",kubeproxy_version="deprecated",provider_id="",pod_cidr="",system_uuid="",internal_ip="fd00::2"} 1"#,
        ],
    );
}

#[test]
fn of_several_statuses_of_a_claim_the_last_with_a_name_is_shown() {
    expect(
        "kube_pod_resourceclaim_info",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: d, uid: u}
spec: {containers: [], resourceClaims: [{name: gpu, resourceClaimTemplateName: t}]}
status: {resourceClaimStatuses: [{name: gpu, resourceClaimName: first}, {name: gpu, resourceClaimName: second}, {name: gpu}]}
"#,
        &[
            r#"kube_pod_resourceclaim_info{namespace="d",pod="p",uid="u",claim_name="gpu",resourceclaim_name="second",resourceclaim_template_name="t"} 1"#,
        ],
    );
}

#[test]
fn a_namespace_without_a_phase_is_in_none() {
    let zeros = [
        r#"kube_namespace_status_phase{namespace="a",phase="Active"} 0"#,
        r#"kube_namespace_status_phase{namespace="a",phase="Terminating"} 0"#,
    ];
    for status in ["", "status: {}", "status: null", "status: {phase: null}"] {
        let input = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: a}}\n{status}\n");
        expect("kube_namespace_status_phase", &input, &zeros);
    }
}

#[test]
fn null_in_a_map_is_an_empty_text_or_zero() {
    expect(
        "kube_pod_container_resource_requests|kube_resourcequota",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: d, uid: u}
spec: {containers: [{name: a, resources: {requests: {cpu: null, memory: 1Ki}}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: q, namespace: d}
status: {hard: {pods: null}, used: {pods: 2}}
"#,
        &[
            r#"kube_pod_container_resource_requests{namespace="d",pod="p",uid="u",container="a",node="",resource="cpu",unit="core"} 0"#,
            r#"kube_pod_container_resource_requests{namespace="d",pod="p",uid="u",container="a",node="",resource="memory",unit="byte"} 1024"#,
            r#"kube_resourcequota{namespace="d",resourcequota="q",resource="pods",type="hard"} 0"#,
            r#"kube_resourcequota{namespace="d",resourcequota="q",resource="pods",type="used"} 2"#,
        ],
    );
}

#[test]
fn names_of_a_fibre_channel_volume_are_joined_without_a_leading_comma() {
    let input = r#"
apiVersion: v1
kind: PersistentVolume
metadata: {name: v}
spec: {fc: {targetWWNs: ["", a, "", b], wwids: []}}
"#;
    let empty = r#"iscsi_target_portal="",iscsi_iqn="",iscsi_lun="",iscsi_initiator_name="",nfs_server="",nfs_path="",csi_driver="",csi_volume_handle="",local_path="",local_fs="",host_path="",host_path_type="",reclaim_policy="""#;
    let info = format!(
        r#"kube_persistentvolume_info{{persistentvolume="v",storageclass="",gce_persistent_disk_name="",ebs_volume_id="",azure_disk_name="",fc_wwids="",fc_lun="",fc_target_wwns="a,,b",{empty}}} 1"#
    );
    expect("kube_persistentvolume_info", input, &[&info]);
}

#[test]
fn a_schedule_that_is_never_due_has_no_next_time() {
    expect(
        "kube_cronjob_(next_schedule_time|schedule_invalid)",
        r#"
apiVersion: batch/v1
kind: CronJob
metadata: {name: never, namespace: d, creationTimestamp: "2026-10-02T10:10:10Z"}
spec: {schedule: "0 0 31 2 *"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: either-day, namespace: d, creationTimestamp: "2026-10-02T10:10:10Z"}
spec: {schedule: "0 0 13 * 5"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nowhere, namespace: d, creationTimestamp: "2026-10-02T10:10:10Z"}
spec: {schedule: "0 0 * * *", timeZone: Nowhere/City}
"#,
        &[
            r#"kube_cronjob_next_schedule_time{namespace="d",cronjob="either-day"} 1.791504e+09"#,
            r#"kube_cronjob_schedule_invalid{namespace="d",cronjob="nowhere"} 1"#,
        ],
    );
}

#[test]
fn the_zero_time_counts_as_set_except_in_metadata() {
    expect(
        "kube_cronjob_(created|status_last_.*time)|kube_job_(created|status_.*_time)|kube_lease_renew_time",
        r#"
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: d, creationTimestamp: "0001-01-01T00:00:00Z"}
status: {startTime: "0001-01-01T00:00:00Z", completionTime: "0001-01-01T00:00:00Z"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: none, namespace: d}
status: {startTime: null}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: c, namespace: d}
status: {lastScheduleTime: "0001-01-01T00:00:00Z", lastSuccessfulTime: "0001-01-01T00:00:00Z"}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l, namespace: d}
spec: {renewTime: "0001-01-01T00:00:00.000000Z"}
"#,
        &[
            r#"kube_job_status_start_time{namespace="d",job_name="j"} -6.21355968e+10"#,
            r#"kube_job_status_completion_time{namespace="d",job_name="j"} -6.21355968e+10"#,
            r#"kube_cronjob_status_last_schedule_time{namespace="d",cronjob="c"} -6.21355968e+10"#,
            r#"kube_cronjob_status_last_successful_time{namespace="d",cronjob="c"} -6.21355968e+10"#,
        ],
    );
}
