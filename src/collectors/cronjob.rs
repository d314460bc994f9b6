//! CronJobs, `batch/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/cronjob-metrics.md>

use std::sync::LazyLock;

use jiff::Timestamp;

use super::common::{bool_value, integer_if_set, is_zero, name, namespace, text, time_if_present};
use super::objects::{CronJob, CronJobSpec};
use super::schedule::Schedule;
use super::table::{Api, Family, Identity, Resource};
use super::time::seconds;
use crate::exposition::Samples;

/// The resource `cronjobs`.
pub struct CronJobs;

impl Resource for CronJobs {
    type Object<'a> = CronJob<'a>;
    const API: Api = Api::namespaced("batch/v1", "CronJob", "cronjobs");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_cronjob_annotations"),
        Family::labels("kube_cronjob_labels").stable(),
        Family::<Self>::gauge(
            "kube_cronjob_info",
            "Schedule, concurrency policy and time zone of the CronJob, as labels.",
            info,
        )
        .stable(),
        Family::created("kube_cronjob_created").stable(),
        Family::<Self>::gauge("kube_cronjob_status_active", "Number of running Jobs of the CronJob.", status_active)
            .stable(),
        Family::<Self>::gauge(
            "kube_cronjob_status_last_schedule_time",
            "Unix timestamp of the most recent scheduling of a Job.",
            status_last_schedule_time,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_cronjob_status_last_successful_time",
            "Unix timestamp of the most recent success of a Job.",
            status_last_successful_time,
        )
        .stable(),
        Family::<Self>::gauge("kube_cronjob_spec_suspend", "Whether the CronJob is suspended.", spec_suspend).stable(),
        Family::<Self>::gauge(
            "kube_cronjob_spec_starting_deadline_seconds",
            "Number of seconds by which a Job may start late.",
            spec_starting_deadline_seconds,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_cronjob_next_schedule_time",
            "Unix timestamp at which the next Job is due; if it is in the past, the Job is late.",
            next_schedule_time,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_cronjob_schedule_invalid",
            "Whether the schedule or the time zone of the CronJob is invalid.",
            schedule_invalid,
        ),
        Family::resource_version("kube_cronjob_metadata_resource_version").stable(),
        Family::<Self>::gauge(
            "kube_cronjob_spec_successful_job_history_limit",
            "Number of successful Jobs that the CronJob keeps.",
            spec_successful_job_history_limit,
        ),
        Family::<Self>::gauge(
            "kube_cronjob_spec_failed_job_history_limit",
            "Number of failed Jobs that the CronJob keeps.",
            spec_failed_job_history_limit,
        ),
    ];

    fn identity<'o>(job: &'o CronJob<'_>) -> Identity<'o> {
        vec![("namespace", namespace(job)), ("cronjob", name(job))]
    }
}

fn info(job: &CronJob, samples: &mut Samples) {
    let labels = [
        ("schedule", &*spec(job).schedule),
        ("concurrency_policy", text(&spec(job).concurrency_policy)),
        ("timezone", spec(job).time_zone.as_deref().unwrap_or("local")),
    ];
    samples.sample(&labels, 1.0);
}

fn status_active(job: &CronJob, samples: &mut Samples) {
    let active = job.status.as_ref().and_then(|s| s.active.as_ref());
    samples.sample(&[], active.map_or(0, Vec::len) as f64);
}

fn status_last_schedule_time(job: &CronJob, samples: &mut Samples) {
    time_if_present(last_schedule_time(job), samples);
}

fn status_last_successful_time(job: &CronJob, samples: &mut Samples) {
    let time = job.status.as_ref().and_then(|s| s.last_successful_time.as_ref());
    time_if_present(time.map(|t| t.0), samples);
}

fn spec_suspend(job: &CronJob, samples: &mut Samples) {
    samples.sample(&[], bool_value(spec(job).suspend == Some(true)));
}

fn spec_starting_deadline_seconds(job: &CronJob, samples: &mut Samples) {
    integer_if_set(spec(job).starting_deadline_seconds, samples);
}

fn next_schedule_time(job: &CronJob, samples: &mut Samples) {
    if spec(job).suspend == Some(true) {
        return;
    }
    let created = job.metadata.creation_timestamp.as_ref().map(|t| t.0);
    let Some(start) = [last_schedule_time(job), created].into_iter().flatten().find(|t| !is_zero(*t)) else { return };
    if let Some(schedule) = schedule(job) {
        // NB: upstream prints Go's zero time, in year 1, for a schedule that is never due.
        integer_if_set(schedule.next(seconds(start)), samples);
    }
}

fn schedule_invalid(job: &CronJob, samples: &mut Samples) {
    if schedule(job).is_none() {
        samples.sample(&[], 1.0);
    }
}

fn spec_successful_job_history_limit(job: &CronJob, samples: &mut Samples) {
    integer_if_set(spec(job).successful_jobs_history_limit, samples);
}

fn spec_failed_job_history_limit(job: &CronJob, samples: &mut Samples) {
    integer_if_set(spec(job).failed_jobs_history_limit, samples);
}

static NO_SPEC: LazyLock<CronJobSpec<'static>> = LazyLock::new(CronJobSpec::default);

fn spec<'a>(job: &'a CronJob<'a>) -> &'a CronJobSpec<'a> {
    job.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn schedule(job: &CronJob) -> Option<Schedule> {
    Schedule::parse(&spec(job).schedule, spec(job).time_zone.as_deref())
}

fn last_schedule_time(job: &CronJob) -> Option<Timestamp> {
    job.status.as_ref()?.last_schedule_time.as_ref().map(|t| t.0)
}
