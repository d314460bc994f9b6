//! The output of the demo.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{Result, Write};
use std::time::Duration;

use super::replicas::{Addresses, Asked};

/// The introduction, printed before the cluster starts to change.
pub(super) struct Introduction<'a> {
    pub server: String,
    /// Counts of the main kinds of the cluster.
    pub kinds: Vec<(usize, &'static str)>,
    /// Time until all replicas were ready.
    pub ready: Duration,
    pub addresses: &'a [Addresses],
    pub asked: &'a [Asked],
}

/// The output stream.
pub(super) struct Screen<'a>(&'a mut dyn Write);

impl<'a> Screen<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self(out)
    }

    pub fn introduce(&mut self, what: &Introduction<'_>) -> Result<()> {
        let Introduction { server, kinds, ready, addresses, asked } = what;
        let out = &mut *self.0;
        let replicas = if addresses.len() == 1 { "replica" } else { "replicas" };
        let kinds: Vec<_> = kinds.iter().map(|(count, kind)| format!("{count} {kind}")).collect();
        writeln!(
            out,
            "A simulated cluster and {} {replicas} of kube-state-fleet, ready after {:.1} s.\n",
            addresses.len(),
            ready.as_secs_f64()
        )?;
        writeln!(out, "  API server   {server}  {}", kinds.join(", "))?;
        if let Some(first) = addresses.first() {
            writeln!(out, "  status page  http://{}/", first.metrics)?;
        }
        writeln!(out)?;

        let url = |address: &dyn Display, path| format!("http://{address}/{path}");
        let width =
            addresses.iter().map(|at| url(&at.telemetry, "metrics").len().max(url(&at.metrics, "metrics").len()));
        let width = width.max().unwrap_or_default();
        let row = |shard: &str, metrics: &str, ready: &str, counts: [&str; 3]| {
            let [objects, pods, series] = counts;
            format!("  {shard:<5}  {metrics:<width$}  {ready:<width$}  {objects:>7}  {pods:>6}  {series:>7}")
        };
        writeln!(out, "{}", row("shard", "metrics", "ready", ["objects", "pods", "series"]))?;
        let counts = |asked: &Asked| [asked.objects, asked.pods.len(), asked.series].map(|count| count.to_string());
        for (shard, (at, asked)) in addresses.iter().zip(*asked).enumerate() {
            let counts = counts(asked);
            let (metrics, ready) = (url(&at.metrics, "metrics"), url(&at.telemetry, "readyz"));
            writeln!(out, "{}", row(&shard.to_string(), &metrics, &ready, counts.each_ref().map(String::as_str)))?;
        }
        let sum = |of: fn(&Asked) -> usize| asked.iter().map(of).sum::<usize>().to_string();
        let all = [sum(|asked| asked.objects), sum(|asked| asked.pods.len()), sum(|asked| asked.series)];
        writeln!(out, "{}\n", row("all", "", "", all.each_ref().map(String::as_str)))?;

        let ports: Vec<_> = addresses.iter().map(|at| at.metrics.port().to_string()).collect();
        writeln!(out, "Count the pods of each shard:")?;
        writeln!(
            out,
            "  for port in {}; do curl -s http://127.0.0.1:$port/metrics | grep -c '^kube_pod_info{{'; done\n",
            ports.join(" ")
        )?;
        let targets: Vec<_> = addresses.iter().map(|at| format!("'{}'", at.metrics)).collect();
        writeln!(out, "Let Prometheus scrape them (prometheus.yml):")?;
        writeln!(
            out,
            "  scrape_configs: [{{job_name: kube-state-fleet, honor_labels: true, static_configs: [{{targets: [{}]}}]}}]\n",
            targets.join(", ")
        )?;
        writeln!(out, "The cluster is running. Press + or - to scale the fleet, q or Ctrl-C to quit.")?;
        out.flush()
    }

    /// Progress of a long step.
    pub fn progress(&mut self, text: &str) -> Result<()> {
        writeln!(self.0, "{text}")?;
        self.0.flush()
    }

    /// A change in the cluster.
    pub fn news(&mut self, after: Duration, what: &str, text: &str) -> Result<()> {
        let seconds = after.as_secs();
        writeln!(self.0, "  {:>3}:{:02}  {what:<8}  {text}", seconds / 60, seconds % 60)?;
        self.0.flush()
    }

    /// The number of pods of each shard, and whether together they serve each pod of the cluster exactly once.
    pub fn tally(&mut self, after: Duration, asked: &[Asked], cluster: &BTreeSet<String>) -> Result<()> {
        let mut served = BTreeMap::new();
        for uid in asked.iter().flat_map(|asked| &asked.pods) {
            *served.entry(uid).or_insert(0) += 1;
        }
        let each: Vec<_> = asked.iter().map(|asked| asked.pods.len().to_string()).collect();
        let more_than_once = served.values().filter(|times| **times > 1).count();
        let missing = cluster.iter().filter(|uid| !served.contains_key(uid)).count();
        let gone = served.keys().filter(|uid| !cluster.contains(**uid)).count();
        let verdict = match (missing, more_than_once, gone) {
            (0, 0, 0) => "every pod exactly once".to_owned(),
            _ => format!("{missing} missing, {more_than_once} more than once, {gone} already gone"),
        };
        self.news(after, "shards", &format!("{} pods: {verdict}", each.join(" + ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Screen<'_>) -> Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut Screen::new(&mut out)).expect("memory takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    fn asked(objects: usize, pods: &[&str], series: usize) -> Asked {
        Asked { objects, pods: pods.iter().map(|uid| (*uid).to_owned()).collect(), series }
    }

    #[test]
    fn columns_stand_under_their_heads() {
        let addresses = [(9100, 10), (20_000, 30_000)].map(|(metrics, telemetry)| Addresses {
            metrics: ([127, 0, 0, 1], metrics).into(),
            telemetry: ([127, 0, 0, 1], telemetry).into(),
        });
        let asked = [asked(60, &["a"; 30], 2000), asked(71, &["b"; 31], 2100)];
        let text = printed(|screen| {
            screen.introduce(&Introduction {
                server: "http://127.0.0.1:1".to_owned(),
                kinds: vec![(3, "nodes"), (61, "pods")],
                ready: Duration::from_millis(420),
                addresses: &addresses,
                asked: &asked,
            })
        });
        let rows: Vec<_> = text.lines().skip_while(|line| !line.starts_with("  shard")).take(4).collect();
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        assert!(rows[3].ends_with("    131      61     4100"), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
        assert!(text.contains("for port in 9100 20000; do"));
        assert!(text.contains("2 replicas of kube-state-fleet, ready after 0.4 s"));
    }

    #[test]
    fn a_tally_says_whether_each_pod_is_served_once() {
        let line = |first: &[&str], second: &[&str]| {
            let cluster = ["a", "b", "c"].map(str::to_owned).into();
            printed(|screen| {
                screen.tally(Duration::from_secs(70), &[asked(0, first, 0), asked(0, second, 0)], &cluster)
            })
        };
        assert_eq!(line(&["a"], &["b", "c"]), "    1:10  shards    1 + 2 pods: every pod exactly once\n");
        assert_eq!(
            line(&["a", "b"], &["b", "x"]),
            "    1:10  shards    2 + 2 pods: 1 missing, 1 more than once, 1 already gone\n"
        );
    }
}
