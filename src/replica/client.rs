//! The client configuration that the settings describe.

use std::path::{Path, PathBuf};

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::settings::Settings;

/// The name of this program in the API server's audit log.
const USER_AGENT_VALUE: &str = concat!("kube-state-fleet/", env!("CARGO_PKG_VERSION"));

/// Why no client can be configured.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig is unusable.
    #[error("--kubeconfig: {}: {}", path.display(), reason(source))]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: KubeconfigError,
    },
    /// `--apiserver` is not a URL.
    #[error("--apiserver: {url:?} is not a URL: {source}")]
    ApiServer {
        /// The value of the flag.
        url: String,
        /// The parser's error.
        source: http::uri::InvalidUri,
    },
    /// Neither the flags nor a Pod's environment give the API server's address.
    #[error("not running in a Pod ({0}): pass --kubeconfig FILE or --apiserver URL")]
    NotInCluster(InClusterError),
}

/// Returns the reason of an error. Our message names the file already, so kube's mention of an unreadable file is left out. So
/// is the line that does not parse, as it may contain a token.
fn reason(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(source, _) => source.to_string(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// Returns the client configuration that `settings` describe. It sends no request: the API server may be down.
///
/// # Errors
/// The kubeconfig or the URL is invalid, or there is neither and no Pod's environment.
pub async fn client_config(settings: &Settings) -> Result<Config, ClientError> {
    config(settings.live.kubeconfig.as_deref(), settings.live.apiserver.as_deref()).await
}

/// Returns the files that the client configuration comes from: the kubeconfig, and the certificates and keys that it names.
pub fn client_files(settings: &Settings) -> Vec<PathBuf> {
    let Some(path) = &settings.live.kubeconfig else { return Vec::new() };
    let mut files = vec![path.clone()];
    // An unreadable kubeconfig names no files.
    if let Ok(kubeconfig) = Kubeconfig::read_from(path) {
        let clusters = kubeconfig.clusters.into_iter().filter_map(|named| named.cluster?.certificate_authority);
        let users = kubeconfig.auth_infos.into_iter().filter_map(|named| named.auth_info);
        let users = users.flat_map(|user| [user.client_certificate, user.client_key]).flatten();
        files.extend(clusters.chain(users).map(PathBuf::from));
    }
    files
}

/// Uses the kubeconfig, with `--apiserver` instead of its server; `--apiserver` alone, without credentials; or the Pod's
/// service account.
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
    async fn errors_name_the_flag_and_its_value() {
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
