//! A real Prometheus, or VictoriaMetrics, which has the same API for queries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::{get, get_text};
use crate::process::Process;
use crate::stage::Stage;
use crate::wait::until;

/// How long Prometheus may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How a Prometheus is set up.
pub struct Setup<'a> {
    /// Its name among those of the stage. Prometheus derives the moments of its scrapes from it, too.
    pub name: &'a str,
    /// The scrape interval, at which rules are evaluated unless their group has an interval of its own.
    pub interval: Duration,
    pub scrape_configs: Value,
    pub rules: &'a [PathBuf],
    pub role: Role<'a>,
}

/// What a Prometheus does with its samples.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role<'a> {
    /// Keeps them.
    Server,
    /// Keeps them, and those that others write to it.
    Receiver,
    /// Writes them to others: agent mode, with this `remote_write`.
    Agent(&'a Value),
}

/// A running Prometheus, on the stage's first address.
pub struct Prometheus {
    url: String,
    process: Process,
}

/// One series of an instant query.
#[derive(Debug)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    /// The value of a label, or an empty string.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// One series of a range query.
#[derive(Debug, Deserialize)]
pub struct Samples {
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    /// Unix time in seconds, and the value.
    pub values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Answer<S> {
    data: Data<S>,
}

#[derive(Deserialize)]
struct Data<S> {
    result: Vec<S>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// A free address for one.
fn listen(stage: &Stage) -> Result<String> {
    Ok(format!("{}:{}", stage.address(1), stage.free_port(1)?))
}

fn write_config(stage: &Stage, name: &str, config: &Value) -> Result<PathBuf> {
    let file = stage.directory.join(format!("{name}.yml"));
    // JSON is YAML.
    std::fs::write(&file, serde_json::to_vec_pretty(config)?)?;
    Ok(file)
}

fn read(series: Vec<Series>) -> Result<Vec<Sample>> {
    series.into_iter().map(|series| Ok(Sample { labels: series.metric, value: series.value.1.parse()? })).collect()
}

impl Prometheus {
    /// Starts Prometheus with these `scrape_configs`.
    pub async fn start(stage: &Stage, interval: Duration, scrape_configs: Value) -> Result<Self> {
        Self::start_with_rules(stage, interval, scrape_configs, &[]).await
    }

    /// The same with these rule files, which it evaluates at the scrape interval.
    pub async fn start_with_rules(
        stage: &Stage,
        interval: Duration,
        scrape_configs: Value,
        rules: &[PathBuf],
    ) -> Result<Self> {
        let role = Role::Server;
        Self::set_up(stage, Setup { name: "prometheus", interval, scrape_configs, rules, role }).await
    }

    /// Starts one of several.
    pub async fn set_up(stage: &Stage, setup: Setup<'_>) -> Result<Self> {
        let Setup { name, interval, scrape_configs, rules, role } = setup;
        let interval = format!("{}ms", interval.as_millis());
        let global = json!({
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "external_labels": { "prometheus": name },
        });
        let mut config = json!({ "global": global, "scrape_configs": scrape_configs });
        if let Role::Agent(remote_write) = role {
            config["remote_write"] = remote_write.clone();
        } else {
            config["global"]["evaluation_interval"] = json!(interval);
            config["rule_files"] = json!(rules);
        }
        let folder = stage.directory.join(name);
        let mut flags = match role {
            Role::Agent(_) => vec!["--agent".to_owned(), format!("--storage.agent.path={}", folder.display())],
            _ => vec![format!("--storage.tsdb.path={}", folder.display())],
        };
        if role == Role::Receiver {
            flags.push("--web.enable-remote-write-receiver".to_owned());
        }
        let listen = listen(stage)?;
        flags.push(format!("--config.file={}", write_config(stage, name, &config)?.display()));
        flags.push(format!("--web.listen-address={listen}"));
        Self::run(stage, "prometheus", name, &listen, &flags, "/-/ready").await
    }

    /// Starts VictoriaMetrics, or its agent, which writes to the URL `remote_write`.
    pub async fn victoria(
        stage: &Stage,
        name: &str,
        interval: Duration,
        scrape_configs: Value,
        remote_write: Option<&str>,
    ) -> Result<Self> {
        let interval = format!("{}ms", interval.as_millis());
        let global = json!({ "scrape_interval": interval, "scrape_timeout": interval });
        let config = json!({ "global": global, "scrape_configs": scrape_configs });
        let (listen, folder) = (listen(stage)?, stage.directory.join(name));
        let mut flags = vec![
            format!("-promscrape.config={}", write_config(stage, name, &config)?.display()),
            format!("-httpListenAddr={listen}"),
        ];
        let tool = match remote_write {
            Some(url) => {
                flags.push(format!("-remoteWrite.url={url}"));
                flags.push(format!("-remoteWrite.tmpDataPath={}", folder.display()));
                "vmagent"
            }
            None => {
                flags.push(format!("-storageDataPath={}", folder.display()));
                "victoria-metrics"
            }
        };
        Self::run(stage, tool, name, &listen, &flags, "/health").await
    }

    /// Starts a program, and waits until it is ready.
    async fn run(stage: &Stage, tool: &str, name: &str, listen: &str, flags: &[String], ready: &str) -> Result<Self> {
        let log = stage.directory.join(format!("{name}.log"));
        let process = Process::start(&stage.tool(tool)?, flags, &[], &log, None)?;
        let mut prometheus = Self { url: format!("http://{listen}"), process };
        until(tool, START_LIMIT, async || {
            if prometheus.process.ended()?.is_some() {
                return Ok(false);
            }
            get_text(&format!("{}{ready}", prometheus.url)).await.map(|_| true)
        })
        .await?
        .then_some(())
        .with_context(|| format!("{tool} ended: {}", prometheus.process.last_words()))?;
        Ok(prometheus)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// An instant query.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>> {
        read(self.ask("query", &[("query", query)]).await?)
    }

    /// An instant query with these parameters.
    pub async fn instant(&self, parameters: &[(&str, String)]) -> Result<Vec<Sample>> {
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        read(self.ask("query", &parameters).await?)
    }

    /// An instant query at this Unix time, in seconds.
    pub async fn query_at(&self, query: &str, time: f64) -> Result<Vec<Sample>> {
        read(self.ask("query", &[("query", query), ("time", &time.to_string())]).await?)
    }

    /// The samples of a range selector at this Unix time, in seconds.
    pub async fn samples_at(&self, selector: &str, time: f64) -> Result<Vec<Samples>> {
        self.ask("query", &[("query", selector), ("time", &time.to_string())]).await
    }

    /// A range query: from and to in Unix seconds, and the step in seconds.
    pub async fn query_range(&self, query: &str, (from, to): (f64, f64), step: f64) -> Result<Vec<Samples>> {
        let [from, to, step] = [from, to, step].map(|number| number.to_string());
        self.ask("query_range", &[("query", query), ("start", &from), ("end", &to), ("step", &step)]).await
    }

    async fn ask<S: DeserializeOwned>(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Vec<S>> {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let answer = get(&format!("{}/api/v1/{what}?{encoded}", self.url), &[]).await?;
        if !answer.status.is_success() {
            bail!("{parameters:?}: {}", answer.text()?);
        }
        let answer: Answer<S> = serde_json::from_slice(&answer.body).with_context(|| format!("{parameters:?}"))?;
        Ok(answer.data.result)
    }

    /// The number of rules that evaluate, and the name and error of each failing rule.
    pub async fn rules(&self) -> Result<(usize, Vec<String>)> {
        let found: Value = serde_json::from_str(&get_text(&format!("{}/api/v1/rules", self.url)).await?)?;
        let groups = found["data"]["groups"].as_array().into_iter().flatten();
        let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
        let bad = |rule: &&&Value| rule["health"] != "ok";
        let wrong = rules.iter().filter(bad).map(|rule| format!("{} {}", rule["name"], rule["lastError"])).collect();
        Ok((rules.iter().filter(|rule| !bad(rule)).count(), wrong))
    }

    /// Returns an error with Prometheus' reasons unless this number of targets is up.
    pub async fn ensure_up(&self, targets: usize) -> Result<()> {
        let up = self.query("up").await?;
        if up.len() == targets && up.iter().all(|sample| sample.value == 1.0) {
            return Ok(());
        }
        let found: Value = serde_json::from_str(&get_text(&format!("{}/api/v1/targets", self.url)).await?)?;
        let errors: Vec<String> = found["data"]["activeTargets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|target| format!("{} {}", target["scrapeUrl"], target["lastError"]))
            .collect();
        bail!("{} of {targets} targets are up: {}", up.iter().filter(|s| s.value == 1.0).count(), errors.join("; "))
    }
}
