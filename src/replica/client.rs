//! The client configuration that the settings describe.
//!
//! All credentials become values that were checked: a token that is not a valid header, for example, would end the process later.
//! Nothing renews them in the background. `commands/run` calls [`client_config`] again when one of [`client_files`] changes, and
//! before the credentials of an exec plugin expire.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use jiff::Timestamp;
use kube::Config;
use kube::config::{AuthInfo, AuthProviderConfig, Cluster, InClusterError, KubeConfigOptions, KubeconfigError};

use super::kubeconfig::{self, Loaded, checked_identity, checked_token};
use super::plugin::{self, PluginError};
use crate::settings::Settings;
use crate::settings::yaml::FileError;

/// The name of this program in the API server's audit log.
const USER_AGENT_VALUE: &str = concat!("kube-state-fleet/", env!("CARGO_PKG_VERSION"));

/// Where a Pod finds the token of its service account.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Credentials are renewed this long before they expire.
const EARLY: Duration = Duration::from_secs(60);
/// The minimum time between two runs of a plugin.
const MIN_RENEWAL: Duration = Duration::from_secs(10);

/// Why no client can be configured. No message contains a credential.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig is unusable.
    #[error("--kubeconfig: {0}")]
    Kubeconfig(FileError),
    /// The exec plugin of the kubeconfig gives no credentials.
    #[error("--kubeconfig: {}: exec: {source}", path.display())]
    Plugin {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: PluginError,
    },
    /// The exec plugin gives credentials that cannot be used.
    #[error("--kubeconfig: {}: exec: the plugin's credentials cannot be used: {reason}", path.display())]
    PluginCredentials {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// `--apiserver` is not a URL.
    #[error("--apiserver: not a URL: {0}")]
    ApiServer(http::uri::InvalidUri),
    /// The proxy in the environment is unusable.
    #[error("environment variable HTTPS_PROXY: expected a URL that starts with http://, https:// or socks5://")]
    Proxy,
    /// The token of the service account is unusable.
    #[error("{POD_TOKEN}: {0}")]
    PodToken(String),
    /// Neither the flags nor a Pod's environment give the API server's address.
    #[error("not running in a Pod: pass --kubeconfig FILE or --apiserver URL")]
    NotInCluster(#[source] InClusterError),
}

/// A client configuration.
#[derive(Debug)]
pub struct ClientConfig {
    /// For kube. Its credentials do not change.
    pub config: Config,
    /// When to ask for new credentials; `None` if these do not expire.
    pub renew_in: Option<Duration>,
}

/// Returns the client configuration that `settings` describe. It sends no request: the API server may be down. An exec plugin
/// runs for a few seconds at most.
///
/// # Errors
/// The kubeconfig, its plugin or the URL is unusable, or there is neither and no Pod's environment.
pub async fn client_config(settings: &Settings) -> Result<ClientConfig, ClientError> {
    config(settings.live.kubeconfig.as_deref(), settings.live.apiserver.as_deref()).await
}

/// Returns the files that the client configuration comes from: the kubeconfig, and the certificates, keys and tokens that it
/// names.
pub fn client_files(settings: &Settings) -> Vec<PathBuf> {
    match (&settings.live.kubeconfig, &settings.live.apiserver) {
        (Some(path), _) => std::iter::once(path.clone()).chain(kubeconfig::files(path)).collect(),
        (None, Some(_)) => Vec::new(),
        (None, None) => vec![PathBuf::from(POD_TOKEN)],
    }
}

/// Uses the kubeconfig, with `--apiserver` instead of its server; `--apiserver` alone, without credentials; or the Pod's
/// service account.
async fn config(kubeconfig: Option<&Path>, apiserver: Option<&str>) -> Result<ClientConfig, ClientError> {
    let apiserver = apiserver.map(|url| url.parse::<Uri>().map_err(ClientError::ApiServer)).transpose()?;
    let (mut config, renew_in) = match (kubeconfig, apiserver) {
        (Some(path), apiserver) => {
            let (mut config, renew_in) = of_kubeconfig(path).await?;
            if let Some(url) = apiserver {
                config.cluster_url = url;
            }
            (config, renew_in)
        }
        (None, Some(url)) => (Config::new(url), None),
        (None, None) => {
            let mut config = Config::incluster().map_err(ClientError::NotInCluster)?;
            config.auth_info.token = Some(kubeconfig::token(Path::new(POD_TOKEN)).map_err(ClientError::PodToken)?);
            config.auth_info.token_file = None;
            (config, None)
        }
    };
    config.headers.push((USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE)));
    Ok(ClientConfig { config, renew_in })
}

async fn of_kubeconfig(path: &Path) -> Result<(Config, Option<Duration>), ClientError> {
    let Loaded { kubeconfig, user, cluster } = kubeconfig::load(path).map_err(ClientError::Kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) | KubeconfigError::ParseNoProxy(_) => ClientError::Proxy,
        // The values were checked, so this is rare.
        error => ClientError::Kubeconfig(FileError {
            file: path.to_owned(),
            line: None,
            key: None,
            reason: error.to_string(),
        }),
    })?;
    let is_proxy = |url: &Uri| matches!(url.scheme_str(), Some("http" | "https" | "socks5"));
    if config.proxy_url.as_ref().is_some_and(|url| !is_proxy(url)) {
        return Err(ClientError::Proxy);
    }
    let (user, renew_in) = credentials(path, user, &cluster).await?;
    config.auth_info = user;
    Ok((config, renew_in))
}

/// Replaces the plugin of `user` by the credentials that it gives. Also returns when to renew them.
async fn credentials(
    path: &Path,
    mut user: AuthInfo,
    cluster: &Cluster,
) -> Result<(AuthInfo, Option<Duration>), ClientError> {
    if let Some(provider) = user.auth_provider.take() {
        user.token = Some(of_provider(&provider).map_err(|reason| {
            let key = Some("auth-provider".to_owned());
            ClientError::Kubeconfig(FileError { file: path.to_owned(), line: None, key, reason })
        })?);
        return Ok((user, None));
    }
    let Some(plugin) = user.exec.take() else { return Ok((user, None)) };
    // As in kube, other credentials win.
    if user.token.is_some() || (user.username.is_some() && user.password.is_some()) {
        return Ok((user, None));
    }
    // The cluster's values were checked.
    let cluster = plugin.provide_cluster_info.then(|| cluster.try_into().ok()).flatten();
    let given = plugin::run(&plugin, cluster).await;
    let given = given.map_err(|source| ClientError::Plugin { path: path.to_owned(), source })?;
    let refused = |reason| ClientError::PluginCredentials { path: path.to_owned(), reason };
    user.token = given.token.map(|token| checked_token(&token).map_err(refused)).transpose()?;
    if let Some((certificate, key)) = given.certificate {
        let (certificate, key) = checked_identity(certificate.as_bytes(), key.as_bytes()).map_err(refused)?;
        (user.client_certificate_data, user.client_key_data) = (Some(certificate), Some(key));
    }
    let renew_in = given.expires.map(|expires| {
        let left = Duration::try_from(expires.duration_since(Timestamp::now())).unwrap_or_default();
        left.saturating_sub(EARLY).max(MIN_RENEWAL)
    });
    Ok((user, renew_in))
}

/// Returns the token in the configuration of a legacy provider, which Kubernetes removed in favour of exec plugins.
fn of_provider(provider: &AuthProviderConfig) -> Result<secrecy::SecretString, String> {
    let token = ["id-token", "access-token"].into_iter().find_map(|key| provider.config.get(key));
    let token = token.ok_or("not supported without a token, as in current Kubernetes; use an exec plugin")?;
    checked_token(token.trim())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use secrecy::ExposeSecret;

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
        assert_eq!(plain.config.cluster_url, "https://10.0.0.1:6443/");
        let other = config(Some(kubeconfig.path()), Some("https://127.0.0.1:7443")).await.expect("valid");
        assert_eq!(other.config.cluster_url, "https://127.0.0.1:7443/");
        assert!(other.config.auth_info.token.is_some());
        assert_eq!(other.config.headers, [(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE))]);
    }

    #[tokio::test]
    async fn apiserver_alone_needs_no_file() {
        let config = config(None, Some("http://127.0.0.1:8001")).await.expect("valid");
        assert_eq!(config.config.cluster_url, "http://127.0.0.1:8001/");
    }

    #[tokio::test]
    async fn errors_name_the_flag_and_its_value() {
        let message = |result: Result<ClientConfig, ClientError>| result.expect_err("not valid").to_string();
        let missing = message(config(Some(Path::new("/does/not/exist")), None).await);
        assert!(missing.starts_with("--kubeconfig: /does/not/exist: cannot be read: No such file"), "{missing}");
        let broken = file("]");
        let malformed = message(config(Some(broken.path()), None).await);
        assert!(malformed.contains(&broken.path().display().to_string()), "{malformed}");
        let url = message(config(None, Some("http://a b")).await);
        assert!(url.starts_with("--apiserver: not a URL"), "{url}");
    }

    /// The kubeconfig with `from` replaced by `to`.
    fn changed(from: &str, to: &str) -> tempfile::NamedTempFile {
        assert!(KUBECONFIG.contains(from), "{from}");
        file(&KUBECONFIG.replace(from, to))
    }

    #[tokio::test]
    async fn every_bad_value_of_a_kubeconfig_is_one_sentence_without_the_secret() {
        let server = "server: 'https://10.0.0.1:6443'";
        let certificate = |text: &str| format!("{server}, certificate-authority-data: {}", STANDARD.encode(text));
        for (from, to, says) in [
            ("token: secret", "token: \"secret\\nb\"", "users.me.token: not a token: it contains control characters"),
            ("token: secret", "token: [secret]", ":6: users: expected text"),
            ("token: secret", "tokenFile: /does/not/exist", "users.me.tokenFile: /does/not/exist: cannot be read"),
            ("token: secret", "tokenFile: /dev/zero", "users.me.tokenFile: /dev/zero: is a device, not a regular file"),
            ("token: secret", "tokenFile: /dev/null", "is a device, not a regular file"),
            ("token: secret", "as: \"secret\\n\"", "users.me.as: contains control characters"),
            ("token: secret", "as-groups: [\"a\\rsecret\"]", "users.me.as-groups: contains control characters"),
            ("token: secret", "as-user-extra: {a: [\"secret\\u0001\"]}", "users.me.as-user-extra: contains control"),
            ("token: secret", "client-certificate-data: secret!", "users.me.client-certificate-data: not base64"),
            ("token: secret", "client-certificate-data: c2VjcmV0", "users.me.client-key: missing"),
            ("token: secret", "client-key-data: c2VjcmV0", "users.me.client-certificate: missing"),
            (
                "token: secret",
                "client-certificate-data: c2VjcmV0, client-key-data: c2VjcmV0",
                "users.me: the client certificate contains no certificate in PEM",
            ),
            ("token: secret", "exec: {}", "exec: missing command"),
            ("token: secret", "exec: {command: 'false'}", "exec: false failed with exit status: 1"),
            (
                "token: secret",
                "exec: {command: echo, args: ['{status: {token: \"secret\\nb\"}}']}",
                "exec: the plugin's credentials cannot be used: not a token",
            ),
            ("token: secret", "auth-provider: {name: gcp, config: {cmd-path: secret}}", "auth-provider: not supported"),
            ("user: me", "user: you", "contexts: user you does not exist; add it to users"),
            ("cluster: here", "cluster: there", "contexts: cluster there does not exist; add it to clusters"),
            ("current-context: c", "current-context: d", "current-context: context d does not exist"),
            ("current-context: c\n", "", "current-context: missing; name one of the contexts"),
            (server, "a: b", "clusters.here.server: missing; expected a URL that starts with http:// or https://"),
            (server, "server: 'ftp://host'", "clusters.here.server: expected a URL that starts with"),
            (server, "server: 'https://ann:secret@host'", "clusters.here.server: contains a user name or password"),
            (server, "server: 'https://a b'", "clusters.here.server: not a URL"),
            (
                server,
                &format!("{server}, proxy-url: 'ftp://ann:secret@host'"),
                "clusters.here.proxy-url: expected a URL",
            ),
            (server, &format!("{server}, tls-server-name: 'a b'"), "clusters.here.tls-server-name: not a DNS name"),
            (server, &certificate("secret"), "clusters.here.certificate-authority: contains no certificate in PEM"),
            (
                server,
                &certificate("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n"),
                "clusters.here.certificate-authority: contains a certificate that does not parse",
            ),
            (
                server,
                &format!("{server}, certificate-authority: /dev/zero"),
                "/dev/zero is a device, not a regular file",
            ),
            ("users: [", "users: [secret, ", ":6: users: expected a map of keys and values"),
            ("kind: Config", "kind: Config\nkind: Config", ":3: kind: the key is given twice"),
        ] {
            let kubeconfig = changed(from, to);
            let error = config(Some(kubeconfig.path()), None).await.expect_err(to).to_string();
            assert!(error.starts_with("--kubeconfig: /") && error.contains(says), "{to}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{to}: {error}");
        }
    }

    #[tokio::test]
    async fn a_plugin_replaces_the_credentials_and_says_when_to_ask_again() {
        let expires = (Timestamp::now() + Duration::from_secs(600)).to_string();
        let credential = format!("'{{status: {{token: given, expirationTimestamp: {expires}}}}}'");
        let plugin = changed("token: secret", &format!("exec: {{command: echo, args: [{credential}]}}"));
        let ClientConfig { config, renew_in } = config(Some(plugin.path()), None).await.expect("valid");
        assert_eq!(config.auth_info.token.expect("a token").expose_secret(), "given");
        assert!(config.auth_info.exec.is_none(), "kube must not run it");
        let renew_in = renew_in.expect("it expires");
        assert!(renew_in > Duration::from_secs(400) && renew_in <= Duration::from_secs(540), "{renew_in:?}");
    }

    #[tokio::test]
    async fn a_token_file_is_read_once_and_polled_afterwards() {
        let token = file("from-file\n");
        let kubeconfig = changed("token: secret", &format!("tokenFile: {}", token.path().display()));
        let given = config(Some(kubeconfig.path()), None).await.expect("valid").config.auth_info;
        assert_eq!(given.token.expect("a token").expose_secret(), "from-file");
        assert!(given.token_file.is_none(), "kube must not read it");
        assert_eq!(kubeconfig::files(kubeconfig.path()), [token.path()]);
    }
}
