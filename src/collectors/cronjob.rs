//! CronJobs, `batch/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/cronjob-metrics.md>

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::jiff::Timestamp;

use super::common::{
    ZERO_TIME, bool_value, created, integer_if_set, is_zero, metadata_resource_version, name, namespace, text,
    time_if_set, unix,
};
use super::schedule::Schedule;
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `cronjobs`.
pub struct CronJobs;

impl Resource for CronJobs {
    type Object = CronJob;
    const FAMILIES: &'static [Family<CronJob>] = &[
        Family::annotations("kube_cronjob_annotations", "Annotations of a CronJob, as far as they are allowed."),
        Family::labels("kube_cronjob_labels", "Labels of a CronJob, as far as they are allowed.").stable(),
        Family::gauge("kube_cronjob_info", "Schedule, concurrency policy and time zone of a CronJob.", info).stable(),
        Family::gauge("kube_cronjob_created", "When the CronJob was created, in Unix seconds.", created).stable(),
        Family::gauge("kube_cronjob_status_active", "Jobs of the CronJob that are running.", status_active).stable(),
        Family::gauge("kube_cronjob_status_last_schedule_time", "When a Job was last scheduled, in Unix seconds.", status_last_schedule_time).stable(),
        Family::gauge("kube_cronjob_status_last_successful_time", "When a Job last succeeded, in Unix seconds.", status_last_successful_time).stable(),
        Family::gauge("kube_cronjob_spec_suspend", "Whether the CronJob is suspended.", spec_suspend).stable(),
        Family::gauge("kube_cronjob_spec_starting_deadline_seconds", "How late a Job may start, in seconds.", spec_starting_deadline_seconds).stable(),
        Family::gauge("kube_cronjob_next_schedule_time", "When the next Job is due, counted from the last one or else from the CronJob's creation, in Unix seconds; a time that has passed means that it is late.", next_schedule_time).stable(),
        Family::gauge("kube_cronjob_schedule_invalid", "Schedule or time zone of the CronJob cannot be read.", schedule_invalid),
        Family::gauge("kube_cronjob_metadata_resource_version", "The resourceVersion of the CronJob.", metadata_resource_version).stable(),
        Family::gauge("kube_cronjob_spec_successful_job_history_limit", "How many succeeded Jobs are kept.", spec_successful_job_history_limit),
        Family::gauge("kube_cronjob_spec_failed_job_history_limit", "How many failed Jobs are kept.", spec_failed_job_history_limit),
    ];

    fn identity(job: &CronJob) -> Identity<'_> {
        vec![("namespace", namespace(job)), ("cronjob", name(job))]
    }
}

fn info(job: &CronJob, samples: &mut Samples) {
    let labels = [
        ("schedule", job.spec.schedule.as_str()),
        ("concurrency_policy", text(&job.spec.concurrency_policy)),
        ("timezone", job.spec.time_zone.as_deref().unwrap_or("local")),
    ];
    samples.sample(&labels, 1.0);
}

fn status_active(job: &CronJob, samples: &mut Samples) {
    let active = job.status.as_ref().and_then(|s| s.active.as_ref());
    samples.sample(&[], active.map_or(0, Vec::len) as f64);
}

fn status_last_schedule_time(job: &CronJob, samples: &mut Samples) {
    time_if_set(last_schedule_time(job), samples);
}

fn status_last_successful_time(job: &CronJob, samples: &mut Samples) {
    let time = job.status.as_ref().and_then(|s| s.last_successful_time.as_ref());
    time_if_set(time.map(|t| t.0), samples);
}

fn spec_suspend(job: &CronJob, samples: &mut Samples) {
    samples.sample(&[], bool_value(job.spec.suspend == Some(true)));
}

fn spec_starting_deadline_seconds(job: &CronJob, samples: &mut Samples) {
    integer_if_set(job.spec.starting_deadline_seconds, samples);
}

fn next_schedule_time(job: &CronJob, samples: &mut Samples) {
    if job.spec.suspend == Some(true) {
        return;
    }
    let created = job.metadata.creation_timestamp.as_ref().map(|t| t.0);
    let Some(start) = [last_schedule_time(job), created].into_iter().flatten().find(|t| !is_zero(*t)) else { return };
    if let Some(schedule) = schedule(job) {
        // NB: upstream prints Go's zero time for a schedule that is never due.
        samples.sample(&[], schedule.next(start).map_or(ZERO_TIME as f64, unix));
    }
}

fn schedule_invalid(job: &CronJob, samples: &mut Samples) {
    if schedule(job).is_none() {
        samples.sample(&[], 1.0);
    }
}

fn spec_successful_job_history_limit(job: &CronJob, samples: &mut Samples) {
    integer_if_set(job.spec.successful_jobs_history_limit, samples);
}

fn spec_failed_job_history_limit(job: &CronJob, samples: &mut Samples) {
    integer_if_set(job.spec.failed_jobs_history_limit, samples);
}

fn schedule(job: &CronJob) -> Option<Schedule> {
    Schedule::parse(&job.spec.schedule, job.spec.time_zone.as_deref())
}

fn last_schedule_time(job: &CronJob) -> Option<Timestamp> {
    job.status.as_ref()?.last_schedule_time.as_ref().map(|t| t.0)
}
