//! Sums up failures of lists and watches in the log: an API server that refuses or fails all resources takes a line, not one for each.
//!
//! It looks at the resources from time to time, and knows neither requests nor their retries.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::resources::Resources;
use super::url::without_password;
use crate::shown;
use crate::sync::watch;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Maximum number of looks that a refusal waits for others.
const GATHER: u32 = 5;
/// The pause after the first line about failures. It doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Maximum number of errors, one a line, that one look logs.
const ERRORS: usize = 3;
/// Maximum number of refused resources that a line names: those that are built in.
const REFUSED_NAMES: usize = 50;
/// Maximum number of resources that a line about failures names. Mostly they are all, as the count says.
const FAILING_NAMES: usize = 5;

/// Why a resource has no data, or no new data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The HTTP status, if the API server refuses the resource.
    pub refused: Option<u16>,
    /// The error, on one line of limited length.
    pub error: String,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// The API server refuses these resources with a status. The error is that of the first.
    Refused { status: u16, resources: Vec<String>, error: String },
    /// Requests for these resources fail with an error.
    Failing { resources: Vec<String>, error: String },
    /// No request fails any longer.
    Recovered,
}

/// The faults that were seen and logged.
#[derive(Debug, Default)]
struct FailureLog {
    /// The refused resources, with the status that was logged.
    refused: BTreeMap<String, u16>,
    /// Refused resources that are not logged yet, with the error.
    gathered: BTreeMap<String, (u16, String)>,
    /// Number of looks since the first of them.
    gathering: u32,
    /// Resources whose requests failed at the last look.
    failing: BTreeMap<String, String>,
    /// Whether the last line about requests says that they fail.
    is_failing: bool,
    /// When the next line may say so, and the pause before it.
    next: Option<(Instant, Duration)>,
}

/// Logs faults until it is dropped.
pub(super) async fn run(resources: Arc<Resources>, config: Option<watch::Receiver<kube::Config>>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut log = FailureLog::default();
    loop {
        ticks.tick().await;
        let all = resources.all();
        let faults = all.iter().filter_map(|resource| {
            let (refused, trouble) = resource.trouble()?;
            Some((resource.name().to_owned(), Fault { refused, error: trouble.error.clone() }))
        });
        let url = || config.as_ref().map(|config| without_password(&config.borrow().cluster_url));
        for line in log.look(faults.collect(), Instant::now()) {
            line.write(url());
        }
    }
}

impl FailureLog {
    /// Returns what to log, given the faults of all resources now.
    fn look(&mut self, faults: BTreeMap<String, Fault>, now: Instant) -> Vec<Line> {
        let (refused, failing): (BTreeMap<_, _>, BTreeMap<_, _>) =
            faults.into_iter().partition(|(_, fault)| fault.refused.is_some());
        let mut lines = self.refusals(refused);
        lines.extend(self.failures(failing.into_iter().map(|(name, fault)| (name, fault.error)).collect(), now));
        lines
    }

    /// Names each refused resource once, together with those that follow soon.
    fn refusals(&mut self, faults: BTreeMap<String, Fault>) -> Vec<Line> {
        self.refused.retain(|name, _| faults.contains_key(name));
        self.gathered.retain(|name, _| faults.contains_key(name));
        let before = self.gathered.len();
        for (name, Fault { refused, error }) in faults {
            if let Some(status) = refused
                && self.refused.get(&name) != Some(&status)
            {
                self.gathered.insert(name, (status, error));
            }
        }
        if self.gathered.is_empty() {
            self.gathering = 0;
            return Vec::new();
        }
        self.gathering += 1;
        if self.gathered.len() > before && self.gathering < GATHER {
            return Vec::new();
        }
        self.gathering = 0;
        let mut lines: BTreeMap<u16, (Vec<String>, String)> = BTreeMap::new();
        for (name, (status, error)) in mem::take(&mut self.gathered) {
            self.refused.insert(name.clone(), status);
            lines.entry(status).or_insert_with(|| (Vec::new(), error)).0.push(name);
        }
        lines.into_iter().map(|(status, (resources, error))| Line::Refused { status, resources, error }).collect()
    }

    /// Names the resources that fail at two looks in a row, less and less often: connections break now and then.
    fn failures(&mut self, failing: BTreeMap<String, String>, now: Instant) -> Vec<Line> {
        let before = mem::replace(&mut self.failing, failing);
        if self.failing.is_empty() {
            if !before.is_empty() || !mem::take(&mut self.is_failing) {
                return Vec::new();
            }
            self.next = Some((now + FIRST_PAUSE, Duration::ZERO));
            return vec![Line::Recovered];
        }
        if self.next.is_some_and(|(next, _)| now < next) {
            return Vec::new();
        }
        let mut by_error: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (name, error) in self.failing.iter().filter(|(name, _)| before.contains_key(*name)) {
            by_error.entry(error).or_default().push(name.clone());
        }
        if by_error.is_empty() {
            return Vec::new();
        }
        let pause = self.next.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE));
        (self.is_failing, self.next) = (true, Some((now + pause, pause)));
        let mut lines: Vec<_> =
            by_error.into_iter().map(|(error, resources)| Line::Failing { resources, error: error.clone() }).collect();
        lines.sort_by_key(|line| match line {
            Line::Failing { resources, .. } => std::cmp::Reverse(resources.len()),
            _ => std::cmp::Reverse(0),
        });
        lines.truncate(ERRORS);
        lines
    }
}

impl Line {
    fn write(self, url: Option<String>) {
        let named = |resources: &[String], most| shown::few(resources, most, ", ", Clone::clone);
        match self {
            Self::Refused { status, resources, error } => {
                let (count, resources) = (resources.len(), named(&resources, REFUSED_NAMES));
                let example = shown::value(&error);
                warn!(count, status, resources, example, "resources refused; retrying soon, later every few minutes");
            }
            Self::Failing { resources, error } => {
                let (count, resources) = (resources.len(), named(&resources, FAILING_NAMES));
                warn!(url, error, count, resources, "requests to the API server fail, retrying");
            }
            Self::Recovered => info!(url, "requests to the API server no longer fail"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(names: &[&str], status: u16) -> BTreeMap<String, Fault> {
        let fault = |name: &str| Fault { refused: Some(status), error: format!("{status}: {name}") };
        names.iter().map(|name| ((*name).to_owned(), fault(name))).collect()
    }

    fn failing(names: &[&str], error: &str) -> BTreeMap<String, Fault> {
        let fault = Fault { refused: None, error: error.to_owned() };
        names.iter().map(|name| ((*name).to_owned(), fault.clone())).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn refused_resources_take_one_line_for_each_status() {
        let (mut log, now) = (FailureLog::default(), Instant::now());
        assert_eq!(log.look(refused(&["a"], 403), now), []);
        let mut all = refused(&["a", "b"], 403);
        all.extend(refused(&["c"], 404));
        assert_eq!(log.look(all.clone(), now), [], "more were refused meanwhile");
        let line = |status, resources: &[&str], error: &str| Line::Refused {
            status,
            resources: names(resources),
            error: error.to_owned(),
        };
        assert_eq!(log.look(all.clone(), now), [line(403, &["a", "b"], "403: a"), line(404, &["c"], "404: c")]);
        assert_eq!(log.look(all, now), []);
        assert_eq!(log.look(BTreeMap::new(), now), []);
        assert_eq!(log.look(refused(&["a"], 403), now), []);
        assert_eq!(log.look(refused(&["a"], 403), now), [line(403, &["a"], "403: a")], "it was accepted meanwhile");
    }

    #[test]
    fn refusals_that_do_not_end_are_named_after_a_few_looks() {
        let (mut log, now) = (FailureLog::default(), Instant::now());
        let many: Vec<_> = (0..9).map(|number| number.to_string()).collect();
        let look = |count: usize| many[..count].iter().map(String::as_str).collect::<Vec<_>>();
        let lines: Vec<_> = (1..=9).map(|count| log.look(refused(&look(count), 403), now).len()).collect();
        assert_eq!(lines.iter().sum::<usize>(), 1, "{lines:?}");
    }

    #[test]
    fn an_unreachable_server_takes_a_line_less_and_less_often() {
        let (mut log, start) = (FailureLog::default(), Instant::now());
        let down = failing(&["a", "b"], "Connection refused");
        assert_eq!(log.look(down.clone(), start), [], "a connection may break");
        let line = Line::Failing { resources: names(&["a", "b"]), error: "Connection refused".to_owned() };
        assert_eq!(log.look(down.clone(), start), [line]);
        let lines: usize = (1..3600).map(|second| log.look(down.clone(), start + PERIOD * second).len()).sum();
        assert!((5..12).contains(&lines), "{lines} in an hour");
        let later = start + LONGEST_PAUSE * 8;
        assert_eq!(log.look(BTreeMap::new(), later), []);
        assert_eq!(log.look(BTreeMap::new(), later), [Line::Recovered]);
        assert_eq!(log.look(BTreeMap::new(), later), []);
        let again = |log: &mut FailureLog, at| [(); 2].map(|()| log.look(down.clone(), at).len());
        assert_eq!(again(&mut log, later), [0, 0], "a connection that flaps");
        assert_eq!(again(&mut log, later + FIRST_PAUSE), [1, 0], "the pause starts over");
    }

    #[test]
    fn each_of_few_errors_is_logged() {
        let (mut log, now) = (FailureLog::default(), Instant::now());
        let mut faults = failing(&["a", "b"], "Connection refused");
        faults.extend(failing(&["c"], "500"));
        faults.extend((0..20).flat_map(|number| failing(&[&format!("d{number}")], &format!("error {number}"))));
        log.look(faults.clone(), now);
        let lines = log.look(faults, now);
        assert_eq!(lines.len(), ERRORS);
        assert!(matches!(&lines[0], Line::Failing { resources, .. } if resources.len() == 2), "{lines:?}");
    }
}
