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

/// Number of columns of a small terminal.
const COLUMNS: usize = 80;

/// Joins `items` with `separator` into lines of at most [`COLUMNS`] columns. The first line starts with `first`, others with `rest`.
/// A line that continues ends with `more`, the last one with `end`.
fn filled(first: &str, rest: &str, items: &[String], separator: &str, more: &str, end: &str) -> String {
    let mut text = first.to_owned();
    let mut column = first.chars().count();
    for (at, item) in items.iter().enumerate() {
        // What follows the item on its line, whether it is the last one or not.
        let after = separator.len().max(more.len()).max(end.len());
        if at > 0 {
            if column + separator.len() + item.chars().count() + after > COLUMNS {
                text += more;
                text += "\n";
                text += rest;
                column = rest.len();
            } else {
                text += separator;
                column += separator.len();
            }
        }
        text += item;
        column += item.chars().count();
    }
    text + end
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
        writeln!(out, "  API server   {server}")?;
        writeln!(out, "  cluster      {}", kinds.join(", "))?;
        if let Some(first) = addresses.first() {
            writeln!(out, "  status page  http://{}/", first.metrics)?;
        }
        writeln!(out)?;

        let url = |address: &dyn Display| format!("http://{address}/metrics");
        let width = addresses.iter().map(|at| url(&at.metrics).len()).max().unwrap_or_default();
        let row = |shard: &str, metrics: &str, readyz: &str, counts: [&str; 3]| {
            let [objects, pods, series] = counts;
            format!("  {shard:<5}  {metrics:<width$}  {readyz:>11}  {objects:>7}  {pods:>6}  {series:>7}")
        };
        writeln!(out, "{}", row("shard", "metrics", "readyz port", ["objects", "pods", "series"]))?;
        let counts = |asked: &Asked| [asked.objects, asked.pods.len(), asked.series].map(|count| count.to_string());
        for (shard, (at, asked)) in addresses.iter().zip(*asked).enumerate() {
            let (counts, port) = (counts(asked), at.telemetry.port().to_string());
            let counts = counts.each_ref().map(String::as_str);
            writeln!(out, "{}", row(&shard.to_string(), &url(&at.metrics), &port, counts))?;
        }
        let sum = |of: fn(&Asked) -> usize| asked.iter().map(of).sum::<usize>().to_string();
        let all = [sum(|asked| asked.objects), sum(|asked| asked.pods.len()), sum(|asked| asked.series)];
        writeln!(out, "{}\n", row("all", "", "", all.each_ref().map(String::as_str)))?;

        let ports: Vec<_> = addresses.iter().map(|at| at.metrics.port().to_string()).collect();
        writeln!(out, "Count the pods of each shard. The counts add up to all pods of the cluster:")?;
        writeln!(out, "{}", filled("  for port in ", "    ", &ports, " ", " \\", "; do"))?;
        writeln!(out, "    curl -s http://127.0.0.1:$port/metrics | grep -c '^kube_pod_info{{'")?;
        writeln!(out, "  done\n")?;
        let targets: Vec<_> = addresses.iter().map(|at| at.metrics.to_string()).collect();
        writeln!(out, "Let Prometheus scrape them (prometheus.yml):")?;
        writeln!(
            out,
            "  scrape_configs:\n  - job_name: kube-state-fleet\n    honor_labels: true\n    static_configs:"
        )?;
        writeln!(out, "{}\n", filled("    - targets: [", "        ", &targets, ", ", ",", "]"))?;
        writeln!(out, "Next, open the status page and press +: a new replica loads its share, and all")?;
        writeln!(out, "switch at one moment. The number of replicas changes only when you press a key.\n")?;
        writeln!(out, "The cluster is running. Press + or - to scale the fleet, q or Ctrl-C to quit.")?;
        out.flush()
    }

    /// Progress of a long step, on one line.
    pub fn progress(&mut self, text: &str) -> Result<()> {
        let is_long = text.chars().count() > COLUMNS;
        let shown: String = text.chars().take(if is_long { COLUMNS - 1 } else { COLUMNS }).collect();
        writeln!(self.0, "{shown}{}", if is_long { "…" } else { "" })?;
        self.0.flush()
    }

    /// A change in the cluster.
    pub fn news(&mut self, after: Duration, what: &str, text: &str) -> Result<()> {
        let seconds = after.as_secs();
        let first = format!("  {:>3}:{:02}  {what:<8}  ", seconds / 60, seconds % 60);
        let rest = " ".repeat(first.len());
        let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        writeln!(self.0, "{}", filled(&first, &rest, &words, " ", "", ""))?;
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
        assert!(text.contains("  for port in 9100 20000; do\n"));
        assert!(text.contains("    - targets: [127.0.0.1:9100, 127.0.0.1:20000]\n"));
        assert!(text.contains("2 replicas of kube-state-fleet, ready after 0.4 s"));
    }

    #[test]
    fn every_line_fits_a_small_terminal() {
        let addresses: Vec<_> = (0..64u16)
            .map(|at| Addresses {
                metrics: ([127, 0, 0, 1], 40_000 + at).into(),
                telemetry: ([127, 0, 0, 1], 50_000 + at).into(),
            })
            .collect();
        let all: Vec<_> = (0..64).map(|_| asked(99_999, &["a"; 1562], 999_999)).collect();
        let kinds = [(1000, "nodes"), (1000, "namespaces"), (20_000, "deployments"), (100_000, "pods")].to_vec();
        let text = printed(|screen| {
            screen.introduce(&Introduction {
                server: "http://127.0.0.1:40000".to_owned(),
                kinds,
                ready: Duration::from_secs(30),
                addresses: &addresses,
                asked: &all,
            })?;
            screen.progress(&"waiting for replica 2: pods: not loaded yet, ".repeat(9))?;
            screen.tally(Duration::from_secs(7000), &all, &["b".to_owned()].into())
        });
        let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        let ports =
            text.split_once("for port in ").and_then(|(_, rest)| rest.split_once("; do")).map(|(ports, _)| ports);
        let ports: Vec<_> =
            ports.unwrap_or_default().split([' ', '\n', '\\']).filter(|port| !port.is_empty()).collect();
        assert_eq!((ports.len(), ports.last()), (64, Some(&"40063")), "{text}");
        assert!(text.contains("127.0.0.1:40063]\n"), "{text}");
        assert!(text.contains("\n                    1562 + "), "{text}");
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
