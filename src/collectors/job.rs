//! Jobs, `batch/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/job-metrics.md>

use super::common::{
    bool_value, condition_states, integer_if_set, integer_or_zero, name, namespace, text, time_if_present,
};
use super::objects::{Job, JobCondition, JobSpec, JobStatus};
use super::parts::{Cut, DESIRED, STATUS};
use super::table::{Api, Family, Identity, Resource, exists};
use crate::exposition::Samples;

/// The resource `jobs`.
pub struct Jobs;

impl Resource for Jobs {
    type Object<'a> = Job<'a>;
    const API: Api = Api::namespaced("batch/v1", "Job", "jobs");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_job_annotations"),
        Family::labels("kube_job_labels").stable(),
        Family::<Self>::gauge("kube_job_info", "Whether the Job exists; always 1.", exists::<Self>)
            .reads(DESIRED)
            .stable(),
        Family::created("kube_job_created").stable(),
        Family::<Self>::gauge(
            "kube_job_spec_parallelism",
            "Number of Pods of the Job that may run at the same time.",
            spec_parallelism,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_job_spec_completions",
            "Number of Pods that must succeed for the Job to complete.",
            spec_completions,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_job_spec_active_deadline_seconds",
            "Number of seconds that the Job may run.",
            spec_active_deadline_seconds,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_job_status_succeeded",
            "Number of Pods of the Job that succeeded.",
            status_succeeded,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_job_status_failed",
            "Number of Pods of the Job that failed; once the Job has failed, 1 for the reason.",
            status_failed,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_job_status_active",
            "Number of Pods of the Job that have neither succeeded nor failed.",
            status_active,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_job_status_ready", "Number of ready Pods of the Job.", status_ready).reads(STATUS),
        Family::<Self>::gauge("kube_job_complete", "Whether the Job completed.", complete).reads(STATUS).stable(),
        Family::<Self>::gauge("kube_job_failed", "Whether the Job failed.", failed).reads(STATUS).stable(),
        Family::<Self>::gauge(
            "kube_job_status_start_time",
            "Unix timestamp of the start of the Job.",
            status_start_time,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_job_status_completion_time",
            "Unix timestamp of the completion of the Job.",
            status_completion_time,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_job_status_suspended", "Whether the Job is suspended.", status_suspended)
            .reads(STATUS),
        Family::owner("kube_job_owner").stable(),
    ];

    const CUT: Cut = Cut::STATUS;

    fn identity<'o>(job: &'o Job<'_>) -> Identity<'o> {
        vec![("namespace", namespace(job)), ("job_name", name(job))]
    }
}

/// The failure reasons that have a series of their own.
const FAILURES: [&str; 3] = ["BackoffLimitExceeded", "DeadlineExceeded", "Evicted"];

fn spec_parallelism(job: &Job, samples: &mut Samples) {
    integer_if_set(spec(job, |s| s.parallelism), samples);
}

fn spec_completions(job: &Job, samples: &mut Samples) {
    integer_if_set(spec(job, |s| s.completions), samples);
}

fn spec_active_deadline_seconds(job: &Job, samples: &mut Samples) {
    integer_if_set(spec(job, |s| s.active_deadline_seconds), samples);
}

fn status_succeeded(job: &Job, samples: &mut Samples) {
    integer_or_zero(status(job, |s| s.succeeded), samples);
}

fn status_failed(job: &Job, samples: &mut Samples) {
    let pods = status(job, |s| s.failed).unwrap_or(0);
    if pods == 0 {
        return samples.sample(&[], 0.0);
    }
    let mut known = false;
    for condition in conditions(job, "Failed") {
        for reason in FAILURES {
            let is_it = text(&condition.reason) == reason;
            known |= is_it;
            samples.sample(&[("reason", reason)], bool_value(is_it));
        }
    }
    if !known {
        samples.sample(&[("reason", "")], f64::from(pods));
    }
}

fn status_active(job: &Job, samples: &mut Samples) {
    integer_or_zero(status(job, |s| s.active), samples);
}

fn status_ready(job: &Job, samples: &mut Samples) {
    integer_or_zero(status(job, |s| s.ready), samples);
}

fn complete(job: &Job, samples: &mut Samples) {
    states(job, "Complete", samples);
}

fn failed(job: &Job, samples: &mut Samples) {
    states(job, "Failed", samples);
}

fn status_start_time(job: &Job, samples: &mut Samples) {
    time_if_present(status(job, |s| s.start_time.as_ref().map(|t| t.0)), samples);
}

fn status_completion_time(job: &Job, samples: &mut Samples) {
    time_if_present(status(job, |s| s.completion_time.as_ref().map(|t| t.0)), samples);
}

fn status_suspended(job: &Job, samples: &mut Samples) {
    for condition in conditions(job, "Suspended") {
        samples.sample(&[], bool_value(condition.status == "True"));
    }
}

fn states(job: &Job, kind: &str, samples: &mut Samples) {
    for condition in conditions(job, kind) {
        for (state, value) in condition_states(&condition.status) {
            samples.sample(&[("condition", state)], value);
        }
    }
}

fn conditions<'a>(job: &'a Job<'a>, kind: &str) -> impl Iterator<Item = &'a JobCondition<'a>> {
    let conditions = job.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().filter(move |condition| condition.type_ == kind)
}

fn spec<T>(job: &Job, field: fn(&JobSpec) -> Option<T>) -> Option<T> {
    job.spec.as_ref().and_then(field)
}

fn status<T>(job: &Job, field: fn(&JobStatus) -> Option<T>) -> Option<T> {
    job.status.as_ref().and_then(field)
}
