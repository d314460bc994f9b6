//! Where the API server is and who we are, from the settings.

use std::path::{Path, PathBuf};

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::settings::Settings;

/// As the API server's audit log names us.
const USER_AGENT_VALUE: &str = concat!("kube-state-fleet/", env!("CARGO_PKG_VERSION"));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be used.
    #[error("--kubeconfig: {}: {}", path.display(), reason(source))]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// `--apiserver` is no URL.
    #[error("--apiserver: {url:?} is not a URL: {source}")]
    ApiServer {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// Neither flags nor a pod's environment say where the API server is.
    #[error("not in a cluster ({0}): --kubeconfig must name a file, or --apiserver a URL")]
    NotInCluster(InClusterError),
}

/// What is wrong with a kubeconfig. kube's own message names a file that could not be read, and so does ours; where it
/// shows the line that does not parse, ours does not: there may be a token in it.
fn reason(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(source, _) => source.to_string(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// How to reach the API server that the settings name. Nothing is asked of it yet: it may be down.
///
/// # Errors
/// The kubeconfig, the URL or the pod's environment do not tell.
pub async fn client_config(settings: &Settings) -> Result<Config, ClientError> {
    config(settings.kubeconfig.as_deref(), settings.apiserver.as_deref()).await
}

/// The files that say so: the kubeconfig, and the certificates and keys that it names.
pub fn client_files(settings: &Settings) -> Vec<PathBuf> {
    let Some(path) = &settings.kubeconfig else { return Vec::new() };
    let mut files = vec![path.clone()];
    // One that cannot be read names none.
    if let Ok(kubeconfig) = Kubeconfig::read_from(path) {
        let clusters = kubeconfig.clusters.into_iter().filter_map(|named| named.cluster?.certificate_authority);
        let users = kubeconfig.auth_infos.into_iter().filter_map(|named| named.auth_info);
        let users = users.flat_map(|user| [user.client_certificate, user.client_key]).flatten();
        files.extend(clusters.chain(users).map(PathBuf::from));
    }
    files
}

/// Where the API server is and who we are: the kubeconfig, with `--apiserver` in place of its server; `--apiserver` alone,
/// without credentials; or the pod's service account.
async fn config(kubeconfig: Option<&Path>, apiserver: Option<&str>) -> Result<Config, ClientError> {
    let apiserver = apiserver
        .map(|url| url.parse::<Uri>().map_err(|source| ClientError::ApiServer { url: url.to_owned(), source }))
        .transpose()?;
    let mut config = match (kubeconfig, apiserver) {
        (Some(path), apiserver) => {
            let error = |source| ClientError::Kubeconfig { path: path.to_owned(), source };
            let file = Kubeconfig::read_from(path).map_err(error)?;
            let mut config =
                Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(error)?;
            if let Some(url) = apiserver {
                config.cluster_url = url;
            }
            config
        }
        (None, Some(url)) => Config::new(url),
        (None, None) => Config::incluster().map_err(ClientError::NotInCluster)?,
    };
    config.headers.push((USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE)));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        contexts: [{name: c, context: {cluster: here, user: me}}]\n\
        clusters: [{name: here, cluster: {server: 'https://10.0.0.1:6443'}}]\n\
        users: [{name: me, user: {token: secret}}]\n";

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("it can be written");
        file
    }

    #[tokio::test]
    async fn apiserver_replaces_the_server_of_the_kubeconfig_and_keeps_its_user() {
        let kubeconfig = file(KUBECONFIG);
        let plain = config(Some(kubeconfig.path()), None).await.expect("valid");
        assert_eq!(plain.cluster_url, "https://10.0.0.1:6443/");
        let other = config(Some(kubeconfig.path()), Some("https://127.0.0.1:7443")).await.expect("valid");
        assert_eq!(other.cluster_url, "https://127.0.0.1:7443/");
        assert!(other.auth_info.token.is_some());
        assert_eq!(other.headers, [(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE))]);
    }

    #[tokio::test]
    async fn apiserver_alone_needs_no_file() {
        let config = config(None, Some("http://127.0.0.1:8001")).await.expect("valid");
        assert_eq!(config.cluster_url, "http://127.0.0.1:8001/");
    }

    #[tokio::test]
    async fn errors_name_the_flag_and_what_it_was_given() {
        let message = |result: Result<Config, ClientError>| result.expect_err("not valid").to_string();
        let missing = message(config(Some(Path::new("/does/not/exist")), None).await);
        assert!(missing.starts_with("--kubeconfig: /does/not/exist: No such file"), "{missing}");
        let broken = file("]");
        let malformed = message(config(Some(broken.path()), None).await);
        assert!(malformed.contains(&broken.path().display().to_string()), "{malformed}");
        let url = message(config(None, Some("http://a b")).await);
        assert!(url.starts_with("--apiserver: \"http://a b\""), "{url}");
    }
}
