//! Reads a kubeconfig, with the files that it names, and checks each value before kube uses it.
//!
//! kube reads some files later and without bounds, ignores a user that does not exist, and panics on a token that is not a valid
//! header. Here files become values (`certificate-authority-data` and so on), and every credential is checked.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig};
use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::url::without_password;
use crate::file::{self, CONFIG_BYTES, ReadError};
use crate::settings::names;
use crate::settings::yaml::{self, FileError};
use crate::shown;

/// The parts of a kubeconfig that its current context names. Files are replaced by their content.
pub(super) struct Loaded {
    pub kubeconfig: Kubeconfig,
    pub user: AuthInfo,
    pub cluster: Cluster,
}

/// Reads the kubeconfig at `path`.
///
/// # Errors
/// A file cannot be read, or a value is not valid. The error never contains a credential.
pub(super) fn load(path: &Path) -> Result<Loaded, FileError> {
    let mut kubeconfig = parse(path)?;
    let reader = Reader { path };
    let context = reader.context(&kubeconfig)?.clone();
    if let Some(namespace) = context.namespace.as_ref().filter(|namespace| !namespace.is_empty()) {
        names::namespace(namespace).map_err(|reason| reader.error("contexts", format!("namespace is {reason}")))?;
    }
    let named = kubeconfig.clusters.iter_mut().find(|named| named.name == context.cluster);
    let cluster = named.and_then(|named| named.cluster.as_mut()).ok_or_else(|| {
        let reason = format!("cluster {} does not exist; add it to clusters", shown::value(&context.cluster));
        reader.error("contexts", reason)
    })?;
    reader.check_cluster(&context.cluster, cluster)?;
    let cluster = cluster.clone();
    let mut user = AuthInfo::default();
    if let Some(name) = context.user.as_ref().filter(|name| !name.is_empty()) {
        let named = kubeconfig.auth_infos.iter_mut().find(|named| named.name == *name);
        let info = named.map(|named| named.auth_info.get_or_insert_default()).ok_or_else(|| {
            reader.error("contexts", format!("user {} does not exist; add it to users", shown::value(name)))
        })?;
        reader.check_user(name, info)?;
        user = info.clone();
    }
    Ok(Loaded { kubeconfig, user, cluster })
}

/// Returns the files that the kubeconfig at `path` names; none if it cannot be read.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(kubeconfig) = parse(path) else { return Vec::new() };
    let reader = Reader { path };
    let clusters = kubeconfig.clusters.into_iter().filter_map(|named| named.cluster?.certificate_authority);
    let users = kubeconfig.auth_infos.into_iter().filter_map(|named| named.auth_info);
    let users = users.flat_map(|user| [user.client_certificate, user.client_key, user.token_file]).flatten();
    clusters.chain(users).map(|name| reader.resolve(&name)).collect()
}

fn parse(path: &Path) -> Result<Kubeconfig, FileError> {
    let reader = Reader { path };
    let text = file::read_text(path, CONFIG_BYTES).map_err(|error| reader.of_file(error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let documents: Vec<Kubeconfig> = yaml::from_multiple(text).map_err(|problem| problem.in_file(path))?;
    let merged = documents.into_iter().try_fold(Kubeconfig::default(), Kubeconfig::merge);
    merged.map_err(|error| reader.error("", error.to_string()))
}

/// Reads the token in `path`.
///
/// # Errors
/// The file cannot be read, or contains no token.
pub(super) fn token(path: &Path) -> Result<SecretString, String> {
    let text = file::read_text(path, CONFIG_BYTES).map_err(|error| error.to_string())?;
    checked_token(text.trim())
}

/// Checks a bearer token, which becomes a header.
///
/// # Errors
/// The token is empty, or not a valid header value.
pub(super) fn checked_token(token: &str) -> Result<SecretString, String> {
    if token.is_empty() {
        return Err("contains no token".to_owned());
    }
    match HeaderValue::try_from(format!("Bearer {token}")) {
        Ok(_) => Ok(token.into()),
        Err(_) => Err("not a token: it contains control characters or line breaks".to_owned()),
    }
}

/// Returns the base64 of a client's certificates and key in PEM, after checks.
///
/// # Errors
/// One of them is not PEM.
pub(super) fn checked_identity(certificate: &[u8], key: &[u8]) -> Result<(String, SecretString), String> {
    certificates(certificate).map_err(|reason| format!("the client certificate {reason}"))?;
    PrivateKeyDer::from_pem_slice(key).map_err(|_| "the client key contains no private key in PEM")?;
    Ok((STANDARD.encode(certificate), STANDARD.encode(key).into()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|_| "is not valid PEM")?;
    if certificates.is_empty() { Err("contains no certificate in PEM") } else { Ok(certificates) }
}

struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn error(&self, key: &str, reason: String) -> FileError {
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        FileError { file: self.path.to_owned(), line: None, key, reason }
    }

    fn of_file(&self, error: ReadError) -> FileError {
        self.error("", error.to_string())
    }

    /// Relative paths start at the directory of the kubeconfig.
    fn resolve(&self, name: &str) -> PathBuf {
        self.path.parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
    }

    fn context<'a>(&self, kubeconfig: &'a Kubeconfig) -> Result<&'a Context, FileError> {
        let name = kubeconfig.current_context.as_ref().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| self.error("current-context", "missing; name one of the contexts".to_owned()))?;
        let named = kubeconfig.contexts.iter().find(|named| named.name == *name);
        named.and_then(|named| named.context.as_ref()).ok_or_else(|| {
            let reason = format!("context {} does not exist; add it to contexts", shown::value(name));
            self.error("current-context", reason)
        })
    }

    /// Returns the content of a value in base64, or else of a file.
    fn content(&self, key: &str, data: Option<&str>, file: Option<&str>) -> Result<Option<Vec<u8>>, FileError> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let decoded = STANDARD.decode(data.trim());
            let key = format!("{key}-data");
            return decoded.map(Some).map_err(|_| self.error(&key, "not base64".to_owned()));
        }
        let Some(file) = file.filter(|file| !file.is_empty()) else { return Ok(None) };
        let path = self.resolve(file);
        let read = file::read(&path, CONFIG_BYTES);
        read.map(Some)
            .map_err(|error| self.error(key, format!("{} {error}", shown::value(&path.display().to_string()))))
    }

    fn check_cluster(&self, name: &str, cluster: &mut Cluster) -> Result<(), FileError> {
        let key = |key: &str| format!("clusters.{name}.{key}");
        let server = cluster.server.as_deref().unwrap_or_default();
        if let Err(reason) = check_url(server, &["http", "https"]) {
            return Err(self.error(&key("server"), reason));
        }
        if let Some(proxy) = cluster.proxy_url.as_deref().filter(|url| !url.is_empty())
            && let Err(reason) = check_url(proxy, &["http", "https", "socks5"])
        {
            return Err(self.error(&key("proxy-url"), reason));
        }
        if let Some(name) = cluster.tls_server_name.as_deref()
            && ServerName::try_from(name).is_err()
        {
            return Err(self.error(&key("tls-server-name"), "not a DNS name or IP address".to_owned()));
        }
        let ca = key("certificate-authority");
        let (data, file) = (cluster.certificate_authority_data.take(), cluster.certificate_authority.take());
        if let Some(pem) = self.content(&ca, data.as_deref(), file.as_deref())? {
            let roots = certificates(&pem).map_err(|reason| self.error(&ca, reason.to_owned()))?;
            let mut store = RootCertStore::empty();
            for root in roots {
                let added = store.add(root);
                added.map_err(|_| self.error(&ca, "contains a certificate that does not parse".to_owned()))?;
            }
            cluster.certificate_authority_data = Some(STANDARD.encode(pem));
        }
        Ok(())
    }

    fn check_user(&self, name: &str, user: &mut AuthInfo) -> Result<(), FileError> {
        let key = |key: &str| format!("users.{name}.{key}");
        let certificate = self.content(
            &key("client-certificate"),
            user.client_certificate_data.take().as_deref(),
            user.client_certificate.take().as_deref(),
        )?;
        let private = user.client_key_data.take();
        let private = private.as_ref().map(ExposeSecret::expose_secret);
        let private = self.content(&key("client-key"), private, user.client_key.take().as_deref())?;
        match (certificate, private) {
            (None, None) => {}
            (Some(certificate), Some(private)) => {
                let (certificate, private) = checked_identity(&certificate, &private)
                    .map_err(|reason| self.error(&format!("users.{name}"), reason))?;
                (user.client_certificate_data, user.client_key_data) = (Some(certificate), Some(private));
            }
            (Some(_), None) => return Err(self.error(&key("client-key"), "missing".to_owned())),
            (None, Some(_)) => return Err(self.error(&key("client-certificate"), "missing".to_owned())),
        }
        // As in client-go, an empty token counts as absent, and an inline token hides the file.
        let file = user.token_file.take().filter(|file| !file.is_empty());
        user.token = match user.token.take().filter(|token| !token.expose_secret().is_empty()) {
            Some(token) => {
                Some(checked_token(token.expose_secret()).map_err(|reason| self.error(&key("token"), reason))?)
            }
            None => match file {
                Some(file) => {
                    let path = self.resolve(&file);
                    let error = |reason| format!("{}: {reason}", shown::value(&path.display().to_string()));
                    Some(token(&path).map_err(|reason| self.error(&key("tokenFile"), error(reason)))?)
                }
                None => None,
            },
        };
        self.check_impersonation(&key, user)?;
        if let Some(plugin) = &mut user.exec
            && let Some(command) = &plugin.command
            && command.contains('/')
        {
            // As in client-go, only a command with a slash is a path; others are searched in $PATH.
            plugin.command = Some(self.resolve(command).to_string_lossy().into_owned());
        }
        Ok(())
    }

    /// Checks the values that become headers.
    fn check_impersonation(&self, key: &dyn Fn(&str) -> String, user: &AuthInfo) -> Result<(), FileError> {
        let check = |name: &str, value: &str| match HeaderValue::from_str(value) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error(&key(name), "contains control characters or line breaks".to_owned())),
        };
        user.impersonate.iter().try_for_each(|value| check("as", value))?;
        user.impersonate_uid.iter().try_for_each(|value| check("as-uid", value))?;
        user.impersonate_groups.iter().flatten().try_for_each(|value| check("as-groups", value))?;
        let mut extra = user.impersonate_user_extra.iter().flatten();
        extra.try_for_each(|(_, values)| values.iter().try_for_each(|value| check("as-user-extra", value)))
    }
}

/// Checks a URL of one of `schemes`, which may not contain a password except for a proxy.
fn check_url(text: &str, schemes: &[&str]) -> Result<(), String> {
    let expected = || format!("expected a URL that starts with {}://", schemes.join(":// or "));
    if text.is_empty() {
        return Err(format!("missing; {}", expected()));
    }
    let url: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    if url.authority().is_none() || !url.scheme_str().is_some_and(|scheme| schemes.contains(&scheme)) {
        return Err(expected());
    }
    if !schemes.contains(&"socks5") && without_password(&url) != url.to_string() {
        return Err("contains a user name or password; give credentials in users".to_owned());
    }
    Ok(())
}
