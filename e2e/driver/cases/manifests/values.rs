//! Every value of kube-state-metrics' chart works in this project's chart, or is refused by name. The output of `migrate --values` for
//! each of them renders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{NAMESPACE, helm};
use crate::api::Api;
use crate::stage::Stage;

/// Values of that chart, with its defaults and what each must do here.
const TABLE: &str = "tests/data/chart-values.yaml";
/// The image that its values name, and one that is this program's.
const IMAGE: (&str, &str) = ("image.repository", "fleet/kube-state-fleet");
/// The number of its values that are not commented out.
const DEFAULTS: usize = 185;

type Values = BTreeMap<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    value: String,
    /// `null` is a default too.
    #[serde(default, deserialize_with = "some")]
    default: Option<Value>,
    set: Value,
    #[serde(default)]
    with: Values,
    shows: Option<String>,
    hides: Option<String>,
    refused: Option<String>,
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Sets each value, one after the other, besides all defaults of kube-state-metrics' chart.
pub async fn walk(stage: &Stage, api: &Api) -> Result<String> {
    let text = fs::read_to_string(stage.repository(TABLE)).context(TABLE)?;
    let rows: Vec<Row> = serde_saphyr::from_str(&text).context(TABLE)?;
    let defaults = rows.iter().filter_map(|row| Some((row.value.clone(), row.default.clone()?)));
    let mut defaults: Values = defaults.collect();
    ensure!(defaults.len() == DEFAULTS, "{} defaults", defaults.len());

    let mut mirrored = defaults.clone();
    mirrored.insert(IMAGE.0.to_owned(), "mirror.example.com/kube-state-metrics/kube-state-metrics".into());
    for values in [&defaults, &mirrored] {
        let said = render(stage, values)?.err().context("the image of kube-state-metrics is accepted")?;
        ensure!(said.contains(IMAGE.0), "{said}");
    }
    defaults.insert(IMAGE.0.to_owned(), IMAGE.1.into());

    for namespace in ["elsewhere", "monitoring"] {
        api.create("/api/v1/namespaces", &json!({ "metadata": { "name": namespace } })).await?;
    }
    let mut walk = Walk { stage, api, defaults, plain: BTreeMap::new(), accepted: BTreeSet::new() };
    let (mut refused, mut wrong) = (0, Vec::new());
    for row in &rows {
        match walk.check(row).await {
            Ok(()) => refused += usize::from(row.refused.is_some()),
            Err(error) => wrong.push(format!("{}: {error:#}", row.value)),
        }
    }
    ensure!(wrong.is_empty(), "{TABLE}:\n{}", wrong.join("\n"));
    let (works, objects) = (rows.len() - refused, walk.accepted.len());
    Ok(format!("of kube-state-metrics' chart {works} values work, with {objects} objects, and {refused} are refused"))
}

struct Walk<'a> {
    stage: &'a Stage,
    api: &'a Api,
    defaults: Values,
    /// Outputs without the value of a row, by the values in its `with`.
    plain: BTreeMap<String, String>,
    /// Objects that the API server accepts.
    accepted: BTreeSet<String>,
}

impl Walk<'_> {
    async fn check(&mut self, row: &Row) -> Result<()> {
        let base: Values = self.defaults.clone().into_iter().chain(row.with.clone()).collect();
        let mut changed = base.clone();
        changed.insert(row.value.clone(), row.set.clone());
        migrated(self.stage, &changed).context("migrated")?;
        let rendered = render(self.stage, &changed)?;
        if let Some(word) = &row.refused {
            let Err(said) = rendered else { bail!("accepted") };
            // A message names the value, the switch above it, or the path in the schema.
            let (parent, path) = (row.value.split('.').next().unwrap_or_default(), row.value.replace('.', "/"));
            let named = [format!("{parent}.enabled:"), format!("{}:", row.value), path];
            ensure!(named.iter().any(|name| said.contains(name)) && said.contains(word), "{said}");
            return Ok(());
        }
        let after = rendered.map_err(anyhow::Error::msg)?;
        let key = serde_json::to_string(&row.with)?;
        if !self.plain.contains_key(&key) {
            self.plain.insert(key.clone(), render(self.stage, &base)?.map_err(anyhow::Error::msg)?);
        }
        let before = &self.plain[&key];
        let (gained, lost) = (row.shows.iter().map(|text| (text, true)), row.hides.iter().map(|text| (text, false)));
        ensure!(row.shows.is_some() || row.hides.is_some(), "nothing is expected");
        for (text, gains) in gained.chain(lost) {
            let (old, new) = (before.contains(text.as_str()), after.contains(text.as_str()));
            ensure!(new == gains && old != gains, "{text:?} before: {old}, after: {new}");
        }
        for object in serde_saphyr::from_multiple::<Value>(&after)?.iter().filter(|object| !object.is_null()) {
            if self.accepted.insert(object.to_string()) {
                let what = || format!("{} {}", object["kind"], object["metadata"]["name"]);
                self.api.dry_run(object).await.with_context(what)?;
            }
        }
        Ok(())
    }
}

/// The values as the object that Helm reads.
fn nested(values: &Values) -> Value {
    let mut nested = Value::Object(Map::new());
    for (name, value) in values {
        let mut place = &mut nested;
        for part in name.split('.') {
            place = &mut place[part];
        }
        *place = value.clone();
    }
    nested
}

/// Renders the chart with what `migrate` makes of these values.
fn migrated(stage: &Stage, values: &Values) -> Result<()> {
    let mut migrate = Command::new(stage.exporter()?);
    let output = fed(migrate.args(["migrate", "--values", "-"]), &nested(values).to_string())?;
    // 1: a value is refused, and left out.
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    template(stage, &String::from_utf8(output.stdout)?)?.map_err(anyhow::Error::msg)?;
    Ok(())
}

/// The chart's output with these values, or what Helm says against them.
fn render(stage: &Stage, values: &Values) -> Result<Result<String, String>> {
    template(stage, &nested(values).to_string())
}

/// The same with values as text.
fn template(stage: &Stage, values: &str) -> Result<Result<String, String>> {
    let mut helm: Command = helm(stage)?;
    helm.args(["template", "fleet", "--namespace", NAMESPACE, "--values", "-"])
        .arg(stage.repository("manifests/chart"));
    let output = fed(&mut helm, values)?;
    Ok(match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8(output.stderr)?),
    })
}

/// Runs a command with this input.
fn fed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}
