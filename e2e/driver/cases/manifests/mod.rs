//! An API server accepts every manifest: all kustomizations, and the chart with each of its values files and with each value of
//! kube-state-metrics' chart. The program accepts the arguments in them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::collectors::sample;
use crate::certificates::Authority;
use crate::cluster::Cluster;
use crate::stage::Stage;
use crate::wait::until;

mod secured;
mod values;

/// The namespace in the manifests.
const NAMESPACE: &str = "kube-state-fleet";
/// How long a custom resource may take to become usable.
const LIMIT: Duration = Duration::from_secs(30);
/// A kubeconfig that does not exist. The program reads it last, after all other arguments.
const NO_KUBECONFIG: &str = "/there/is/no/kubeconfig";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let api = &cluster.api;
    api.create("/api/v1/namespaces", &json!({ "metadata": { "name": NAMESPACE } })).await?;
    for entry in fs::read_dir(stage.repository("e2e/.cache/crds")).context("run scripts/e2e --build-tools")? {
        api.create_all(&fs::read_to_string(entry?.path())?).await?;
    }
    for plural in ["v1/podmonitors", "v1/servicemonitors", "v1alpha1/scrapeconfigs", "v1/prometheusrules"] {
        until(plural, LIMIT, async || api.list(&format!("/apis/monitoring.coreos.com/{plural}")).await).await?;
    }

    let (mut sources, mut objects, mut programs) = (0, 0, 0);
    for (source, text) in rendered(stage)? {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| source.clone())?;
        mount(stage, &documents)?;
        // A template that is empty under some values leaves an empty document.
        for object in documents.iter().filter(|object| !object.is_null()) {
            let what = || format!("{source}: {} {}", object["kind"], object["metadata"]["name"]);
            api.dry_run(object).await.with_context(what)?;
            programs += starts(stage, object).with_context(what)?;
            objects += 1;
        }
        sources += 1;
    }
    ensure!(sources >= 10 && programs >= 8, "{sources} sources, {programs} programs");
    refused(stage)?;
    let pods = secured::scrape(stage, &cluster).await.context("the chart with HTTPS and tokens")?;
    let values = values::walk(stage, api).await?;
    Ok(format!(
        "{objects} objects of {sources} kustomizations and sets of values are accepted, and {programs} command lines; {pods} pods by \
         HTTPS with the chart's token; {values}"
    ))
}

/// The output of all kustomizations and of the chart, and the monitors of docs/collectors.md, each with its name.
fn rendered(stage: &Stage) -> Result<Vec<(String, String)>> {
    let manifests = stage.repository("manifests");
    let mut all = Vec::new();
    for directory in kustomizations(&manifests)? {
        let name = directory.strip_prefix(&manifests)?.display().to_string();
        let text = output(Command::new(stage.tool("kubectl")?).arg("kustomize").arg(&directory))?;
        all.push((name, text));
    }
    output(helm(stage)?.arg("lint").arg(manifests.join("chart")))?;
    for entry in fs::read_dir(manifests.join("chart/ci"))? {
        let values = entry?.path();
        all.push((values.display().to_string(), chart(stage, |helm| helm.arg("--values").arg(&values))?));
    }
    for name in ["pod-monitor.yaml", "service-monitor.yaml", "scrape-config.yaml", "azure-pod-monitor.yaml"] {
        // Azure's definitions are those of the Prometheus Operator in another group.
        let text = sample(stage, name)?.replace("azmonitoring.coreos.com/", "monitoring.coreos.com/");
        all.push((name.to_owned(), text));
    }
    Ok(all)
}

/// The directories that can be applied on their own.
fn kustomizations(below: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).with_context(|| below.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(kustomizations(&path)?);
        } else if path.file_name() == Some(OsStr::new("kustomization.yaml"))
            && !fs::read_to_string(&path)?.contains("kind: Component")
        {
            found.push(below.to_owned());
        }
    }
    Ok(found)
}

fn helm(stage: &Stage) -> Result<Command> {
    let mut helm = Command::new(stage.tool("helm")?);
    for place in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(place, stage.directory.join("helm"));
    }
    Ok(helm)
}

/// The chart, rendered with these arguments.
pub(super) fn chart(stage: &Stage, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<String> {
    let mut helm = helm(stage)?;
    helm.args(["template", "fleet", "--namespace", NAMESPACE]).arg(stage.repository("manifests/chart"));
    output(arguments(&mut helm))
}

/// The output of a command.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// The mount paths in the pods: of the ConfigMap of custom resources, of the web configuration, and of the certificate.
const CUSTOM_RESOURCES: &str = "/etc/customresourcestate/";
const WEB: &str = "/etc/web/";
const CERTIFICATE: &str = "/etc/certificate/";

/// The path of all of them on this machine.
fn mounted(stage: &Stage) -> PathBuf {
    stage.directory.join("mounted")
}

/// Writes the files that the pods of these manifests would find there.
fn mount(stage: &Stage, documents: &[Value]) -> Result<()> {
    let folder = mounted(stage);
    if !folder.exists() {
        fs::create_dir_all(&folder)?;
        Authority::new()?.issue("kube-state-fleet.example")?.write(&folder)?;
    }
    for object in documents {
        let (field, ending) = match object["kind"].as_str() {
            Some("ConfigMap") => ("data", "-custom-resources"),
            Some("Secret") => ("stringData", "-web"),
            _ => continue,
        };
        let Some(data) = object[field].as_object() else { continue };
        if object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(ending)) {
            for (file, text) in data {
                let text = text.as_str().context("data that is not text")?;
                fs::write(folder.join(file), text.replace(CERTIFICATE, &format!("{}/", folder.display())))?;
            }
        }
    }
    Ok(())
}

/// Checks that the program accepts the arguments of a workload's containers. Returns the number of containers.
fn starts(stage: &Stage, object: &Value) -> Result<usize> {
    // The pod of `helm test` is one of its own.
    let pod = if object["kind"] == "Pod" { object } else { &object["spec"]["template"] };
    let mut count = 0;
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        if container["name"] != "kube-state-fleet" {
            continue;
        }
        let mut arguments = arguments(stage, container);
        arguments.push(format!("--kubeconfig={NO_KUBECONFIG}"));
        let output = Command::new(stage.exporter()?).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && said.contains(NO_KUBECONFIG), "the program says: {}", said.trim());
        count += 1;
    }
    Ok(count)
}

/// The arguments of a container, as they are in its pod, with files of this machine.
fn arguments(stage: &Stage, container: &Value) -> Vec<String> {
    let folder = format!("{}/", mounted(stage).display());
    let arguments = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let filled = arguments.map(|argument| {
        let argument = argument.replace("$(POD_NAME)", "kube-state-fleet-0").replace("$(NODE_NAME)", "node");
        argument.replace("$(POD_NAMESPACE)", NAMESPACE).replace(CUSTOM_RESOURCES, &folder).replace(WEB, &folder)
    });
    filled.collect()
}

/// The chart rejects unsupported values, and names the alternative.
fn refused(stage: &Stage) -> Result<()> {
    for (values, word) in [
        ("kubeRBACProxy.enabled=true", "authFilter"),
        ("podSecurityPolicy.enabled=true", "podSecurityPolicy"),
        ("verticalPodAutoscaler.enabled=true", "extraManifests"),
        ("autosharding.enabled=false,replicas=2", "autosharding"),
        ("rbac.useClusterRole=false", "namespaces"),
        ("service.type=NodePort,service.nodePort=30000", "service.nodePort"),
        ("autosharding.enabled=false,replicas=1,service.nodePort=30000", "service.type"),
        ("updateStrategy=Recreate", "OnDelete"),
        ("collectorsExclude={secret}", "secrets"),
        ("collectors={pods},collectorsExclude={pods}", "--custom-resource-state-only"),
        ("prometheus.rules.disabled.KubeNodeUnknown=true", "docs/runbooks.md"),
        ("prometheus.monitor.enabled=true,prometheus.scrapeconfig.enabled=true", "prometheus.monitor.enabled"),
        ("prometheus.monitor.htttp.interval=1m", "htttp"),
        ("livenessProbe.httpGet.path=/", "livenessProbe/httpGet"),
    ] {
        match chart(stage, |helm| helm.arg("--set").arg(values)) {
            Ok(_) => bail!("the chart accepts {values}"),
            Err(error) => ensure!(error.to_string().contains(word), "{values}: {error}"),
        }
    }
    Ok(())
}
