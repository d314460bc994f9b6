//! Runs the exec plugin of a kubeconfig, within limits of time and output.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>
//!
//! kube would run it too, but without limits, and on the thread that asks for credentials. Neither the output nor stderr of the
//! plugin appears in a message, since both may contain credentials.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::settings::yaml;
use crate::shown;

/// How long the plugin may run.
const TIME: Duration = Duration::from_secs(8);
/// The maximum size of its output: a token, or a certificate with its key.
const OUTPUT_BYTES: u64 = 1 << 20;

/// Why a plugin gave no credentials.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The kubeconfig names no command.
    #[error("missing command")]
    NoCommand,
    /// The plugin needs a terminal.
    #[error("interactiveMode Always needs a terminal, which this program does not have")]
    Interactive,
    /// The command cannot be started.
    #[error("{} cannot be started: {source}", shown::value(command))]
    Start {
        /// The command.
        command: String,
        /// The system's error.
        source: io::Error,
    },
    /// The plugin ran for too long.
    #[error("{} did not end within {} s", shown::value(.0), TIME.as_secs())]
    Slow(String),
    /// The plugin wrote too much.
    #[error("{} wrote more than {OUTPUT_BYTES} bytes", shown::value(.0))]
    TooLarge(String),
    /// The plugin failed.
    #[error("{} failed with {status}; run it by hand to see why", shown::value(command))]
    Failed {
        /// The command.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
    },
    /// The output is not an ExecCredential.
    #[error("{} wrote no valid ExecCredential: {reason}", shown::value(command))]
    Output {
        /// The command.
        command: String,
        /// The fault, without the value.
        reason: String,
    },
}

/// The credentials of a plugin.
#[derive(Debug)]
pub(super) struct Credentials {
    pub token: Option<String>,
    /// Client certificate and key, both in PEM.
    pub certificate: Option<(String, String)>,
    pub expires: Option<Timestamp>,
}

/// `ExecCredential`.
#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Ends the plugin and the processes that it started.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // They may have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs `plugin` and returns its credentials. `cluster` is the cluster of the context.
///
/// # Errors
/// The plugin cannot be started, fails, takes too long, or writes something else or too much.
pub(super) async fn run(plugin: &ExecConfig, cluster: Option<ExecAuthCluster>) -> Result<Credentials, PluginError> {
    let command = plugin.command.clone().filter(|command| !command.is_empty()).ok_or(PluginError::NoCommand)?;
    if plugin.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(PluginError::Interactive);
    }
    let info = json!({
        "kind": "ExecCredential",
        "apiVersion": plugin.api_version,
        "spec": { "interactive": false, "cluster": cluster },
    });
    let variables = plugin.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    let mut child = Command::new(&command)
        .args(plugin.args.iter().flatten())
        .envs(variables)
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| PluginError::Start { command: command.clone(), source })?;
    let _group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (output, status) = match timeout(TIME, finish(&mut child)).await {
        Ok(finished) => finished.map_err(|source| PluginError::Start { command: command.clone(), source })?,
        Err(_) => return Err(PluginError::Slow(command)),
    };
    if output.len() as u64 > OUTPUT_BYTES {
        return Err(PluginError::TooLarge(command));
    }
    match status {
        Some(status) if !status.success() => Err(PluginError::Failed { command, status }),
        _ => parse(&output).map_err(|reason| PluginError::Output { command, reason }),
    }
}

/// Returns the output, and the exit status unless the output is too large.
async fn finish(child: &mut Child) -> io::Result<(Vec<u8>, Option<std::process::ExitStatus>)> {
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(OUTPUT_BYTES + 1).read_to_end(&mut output).await?;
    }
    if output.len() as u64 > OUTPUT_BYTES {
        return Ok((output, None));
    }
    Ok((output, Some(child.wait().await?)))
}

fn parse(output: &[u8]) -> Result<Credentials, String> {
    let text = std::str::from_utf8(output).map_err(|_| "not UTF-8".to_owned())?;
    // YAML includes JSON. client-go reads both.
    let read: Option<ExecCredential> = yaml::from_str(text).map_err(|error| match error.line {
        Some(line) => format!("line {line}: {}", error.reason),
        None => error.reason,
    })?;
    let status = read.and_then(|read| read.status).ok_or("missing status")?;
    let expires = status.expiration_timestamp.map(|time| time.parse()).transpose();
    let expires = expires.map_err(|_| "status.expirationTimestamp is not a time as in RFC 3339")?;
    let certificate = match (status.client_certificate_data, status.client_key_data) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("status has only one of clientCertificateData and clientKeyData".to_owned()),
    };
    if status.token.is_none() && certificate.is_none() {
        return Err("status has neither a token nor a client certificate".to_owned());
    }
    Ok(Credentials { token: status.token, certificate, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell script as the plugin.
    async fn shell(script: &str) -> Result<Credentials, String> {
        let plugin = ExecConfig {
            command: Some("sh".to_owned()),
            args: Some(vec!["-c".to_owned(), script.to_owned()]),
            env: Some(vec![[("name".to_owned(), "A".to_owned()), ("value".to_owned(), "b".to_owned())].into()]),
            ..ExecConfig::default()
        };
        run(&plugin, None).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_plugin_gives_a_token_and_its_expiry() {
        let script = "case $KUBERNETES_EXEC_INFO in *ExecCredential*) ;; *) exit 1;; esac; \
            echo \"{status: {token: t$A, expirationTimestamp: '2030-01-01T00:00:00Z'}}\"";
        let credentials = shell(script).await.expect("valid");
        assert_eq!(credentials.token.as_deref(), Some("tb"));
        assert_eq!(credentials.expires, Some("2030-01-01T00:00:00Z".parse().expect("a time")));
    }

    #[tokio::test]
    async fn no_plugin_hangs_or_fills_memory_or_shows_its_output() {
        for (script, says) in [
            ("cat /dev/zero", "sh wrote more than 1048576 bytes"),
            ("yes secret", "sh wrote more than 1048576 bytes"),
            ("echo secret; echo secret >&2; exit 3", "sh failed with exit status: 3"),
            ("kill -9 $$", "sh failed with signal: 9"),
            ("echo secret", "sh wrote no valid ExecCredential: "),
            ("printf '\\377'", "not UTF-8"),
            ("true", "missing status"),
            ("echo '{status: {token: {secret: 1}}}'", "sh wrote no valid ExecCredential: line 1"),
            ("echo '{status: {}}'", "neither a token nor"),
            ("echo '{status: {clientKeyData: secret}}'", "only one of"),
            ("echo '{status: {token: secret, expirationTimestamp: secret}}'", "expirationTimestamp is not a time"),
        ] {
            let error = shell(script).await.expect_err("refused");
            assert!(error.contains(says) && !error.contains("secret"), "{script}: {error}");
        }
        let missing = ExecConfig { command: Some("/does/not/exist".to_owned()), ..ExecConfig::default() };
        let error = run(&missing, None).await.expect_err("refused").to_string();
        assert!(error.starts_with("/does/not/exist cannot be started"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_sleeps_is_ended_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let error = shell(&format!("sleep 1000 & echo $! > {}; wait", pid.display())).await.expect_err("refused");
        assert_eq!(error, "sh did not end within 8 s");
        // Time is paused, so the script may have been ended before it wrote.
        if let Ok(id) = std::fs::read_to_string(&pid).unwrap_or_default().trim().parse::<u32>() {
            let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            while !matches!(state().rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z' | 'X')) {
                std::thread::yield_now();
            }
        }
    }
}
