//! Jobs, `batch/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/job-metrics.md>

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};

use super::common::{
    bool_value, condition_states, created, exists, integer_if_set, integer_or_zero, name, namespace, owner, text,
    time_if_set,
};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `jobs`.
pub struct Jobs;

impl Resource for Jobs {
    type Object = Job;
    const FAMILIES: &'static [Family<Job>] = &[
        Family::annotations("kube_job_annotations", "Annotations of a Job, as far as they are allowed."),
        Family::labels("kube_job_labels", "Labels of a Job, as far as they are allowed.").stable(),
        Family::gauge("kube_job_info", "A Job exists.", exists).stable(),
        Family::gauge("kube_job_created", "When the Job was created, in Unix seconds.", created).stable(),
        Family::gauge("kube_job_spec_parallelism", "The most pods that may run at once.", spec_parallelism).stable(),
        Family::gauge("kube_job_spec_completions", "How many pods must succeed.", spec_completions).stable(),
        Family::gauge(
            "kube_job_spec_active_deadline_seconds",
            "How long the Job may run, in seconds.",
            spec_active_deadline_seconds,
        )
        .stable(),
        Family::gauge("kube_job_status_succeeded", "Pods that succeeded.", status_succeeded).stable(),
        Family::gauge(
            "kube_job_status_failed",
            "Pods that failed where no reason is known; else 1 for the reason why the Job failed.",
            status_failed,
        )
        .stable(),
        Family::gauge("kube_job_status_active", "Pods that are neither succeeded nor failed.", status_active).stable(),
        Family::gauge("kube_job_status_ready", "Pods that are ready.", status_ready),
        Family::gauge("kube_job_complete", "Whether the Job completed.", complete).stable(),
        Family::gauge("kube_job_failed", "Whether the Job failed.", failed).stable(),
        Family::gauge("kube_job_status_start_time", "When the Job was started, in Unix seconds.", status_start_time)
            .stable(),
        Family::gauge(
            "kube_job_status_completion_time",
            "When the Job completed, in Unix seconds.",
            status_completion_time,
        )
        .stable(),
        Family::gauge("kube_job_status_suspended", "Whether the Job is suspended.", status_suspended),
        Family::gauge("kube_job_owner", "An owner of the Job; empty if it has none.", owner).stable(),
    ];

    fn identity(job: &Job) -> Identity<'_> {
        vec![("namespace", namespace(job)), ("job_name", name(job))]
    }
}

/// The reasons why a Job fails that have a series of their own.
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
    time_if_set(status(job, |s| s.start_time.as_ref().map(|t| t.0)), samples);
}

fn status_completion_time(job: &Job, samples: &mut Samples) {
    time_if_set(status(job, |s| s.completion_time.as_ref().map(|t| t.0)), samples);
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

fn conditions<'a>(job: &'a Job, kind: &str) -> impl Iterator<Item = &'a JobCondition> {
    let conditions = job.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().filter(move |condition| condition.type_ == kind)
}

fn spec<T>(job: &Job, field: fn(&JobSpec) -> Option<T>) -> Option<T> {
    job.spec.as_ref().and_then(field)
}

fn status<T>(job: &Job, field: fn(&JobStatus) -> Option<T>) -> Option<T> {
    job.status.as_ref().and_then(field)
}
