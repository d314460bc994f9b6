//! Builds the configurations of rustls: as a server, and as a client of replicas that have the same file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::certificates::{ClientAuth, ClientVerifier, ReplicaVerifier, subject_alt_names};
use super::config::{Text, TlsServerConfig, non_empty, resolve};
use super::error::Problem;
use super::go_names::{self, cipher_suite, curve, version};
use crate::file::ReadError;
use crate::settings::yaml::FileError;

/// The contents of the files that the configuration names.
pub(super) type Files = BTreeMap<PathBuf, Result<Vec<u8>, ReadError>>;

/// The file with the issuer of a certificate, next to it, as in Secrets of type `kubernetes.io/tls`.
const CA_FILE: &str = "ca.crt";

/// Both configurations of rustls.
#[derive(Debug)]
pub(super) struct TlsConfigs {
    pub server: Arc<ServerConfig>,
    /// For connections to replicas.
    pub client: Arc<ClientConfig>,
    /// How strictly certificates of clients are checked: which certificate a client needs, and whether it needs certain names.
    pub client_check: (u8, bool),
}

/// Returns the path of the file with the issuer of the certificate; that file may not exist.
pub(super) fn ca_path(file: &Path, tls: &TlsServerConfig) -> Option<PathBuf> {
    let certificate = resolve(file, &non_empty(&tls.cert_file)?.value);
    Some(resolve(&certificate, CA_FILE))
}

/// The input from which the configurations are built.
struct Builder<'a> {
    file: &'a Path,
    given: &'a TlsServerConfig,
    files: &'a Files,
}

impl TlsConfigs {
    /// Builds the configurations from `given`, a part of `file`.
    pub fn new(file: &Path, given: &TlsServerConfig, files: &Files, http2: bool) -> Result<Self, FileError> {
        let builder = Builder { file, given, files };
        let provider = Arc::new(builder.provider()?);
        let (pair, chain) = builder.pair(&provider)?;
        let own = chain.first().cloned().ok_or_else(|| builder.error("cert", None, Problem::NoCertificate))?;
        let clients = builder.clients(&provider, own.clone())?;
        let versions = builder.versions(&provider)?;
        let pair = Arc::new(SingleCertAndKey::from(pair));
        let error = |e: Error| builder.error("tls_server_config", None, e.into());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(error)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&pair) as _);
        server.ignore_client_order = given.prefer_server_cipher_suites.unwrap_or(true);
        server.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        let replicas = builder.replicas(&provider, own, &chain)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(error)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(replicas))
            .with_client_cert_resolver(pair);
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let strictness = ClientAuth::named(given.client_auth_type.as_ref().map_or("", |name| &name.value));
        let client_check = (strictness.map_or(0, ClientAuth::strictness), given.client_allowed_sans.is_some());
        Ok(Self { server: Arc::new(server), client: Arc::new(client), client_check })
    }
}

impl Builder<'_> {
    fn error(&self, key: &str, at: Option<&Text>, problem: Problem) -> FileError {
        FileError {
            file: self.file.to_owned(),
            line: at.map(|text| text.referenced.line()),
            key: Some(key.to_owned()),
            reason: problem.to_string(),
        }
    }

    fn provider(&self) -> Result<CryptoProvider, FileError> {
        let mut provider = ring::default_provider();
        if !self.given.cipher_suites.is_empty() {
            // As in Go, the suites of TLS 1.3 cannot be chosen.
            provider.cipher_suites.retain(|suite| suite.version() == &version::TLS13);
            for name in &self.given.cipher_suites {
                let suite = cipher_suite(&name.value).map_err(|e| self.error("cipher_suites", Some(name), e.into()))?;
                if !provider.cipher_suites.contains(&suite) {
                    provider.cipher_suites.push(suite);
                }
            }
        }
        if !self.given.curve_preferences.is_empty() {
            provider.kx_groups.clear();
            for name in &self.given.curve_preferences {
                provider
                    .kx_groups
                    .push(curve(&name.value).map_err(|e| self.error("curve_preferences", Some(name), e.into()))?);
            }
        }
        Ok(provider)
    }

    fn versions(&self, provider: &CryptoProvider) -> Result<Vec<&'static SupportedProtocolVersion>, FileError> {
        let position = |key: &str, given: &Option<Text>, default: &str| {
            let given = non_empty(given);
            version(given.map_or(default, |name| &name.value)).map_err(|e| self.error(key, given, e.into()))
        };
        let min = position("min_version", &self.given.min_version, "TLS12")?;
        let max = position("max_version", &self.given.max_version, "TLS13")?;
        let mut versions = go_names::versions(min, max);
        versions.retain(|version| provider.cipher_suites.iter().any(|suite| suite.version() == *version));
        if versions.is_empty() {
            let key = if non_empty(&self.given.min_version).is_some() { "min_version" } else { "max_version" };
            return Err(self.error(key, None, Problem::NoVersion));
        }
        Ok(versions)
    }

    /// Returns the PEM of a certificate or key. `keys` are the key that names a file and the key that holds the PEM itself; the
    /// former wins if both are set.
    fn pem<'a>(&'a self, keys: [(&'static str, &'a Option<Text>); 2]) -> Result<Option<Pem<'a>>, FileError> {
        let [(in_file, path), (inline, text)] = keys;
        if let Some(path) = non_empty(path) {
            let name = resolve(self.file, &path.value);
            return match self.files.get(&name) {
                Some(Ok(bytes)) => Ok(Some(Pem { key: in_file, at: path, bytes })),
                Some(Err(error)) => {
                    Err(self.error(in_file, Some(path), Problem::ReadNamed { path: name, error: error.to_string() }))
                }
                None => {
                    let error = "was not read".to_owned();
                    Err(self.error(in_file, Some(path), Problem::ReadNamed { path: name, error }))
                }
            };
        }
        Ok(non_empty(text).map(|text| Pem { key: inline, at: text, bytes: text.value.as_bytes() }))
    }

    fn certificates(&self, pem: &Pem<'_>) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.bytes).collect();
        let certificates = read.map_err(|e| self.error(pem.key, Some(pem.at), Problem::NotPem(e)))?;
        if certificates.is_empty() {
            return Err(self.error(pem.key, Some(pem.at), Problem::NoCertificate));
        }
        Ok(certificates)
    }

    fn pair(&self, provider: &CryptoProvider) -> Result<(CertifiedKey, Vec<CertificateDer<'static>>), FileError> {
        let given = self.given;
        let missing = |key| self.error("tls_server_config", None, Problem::Missing(key));
        let certificate = self.pem([("cert_file", &given.cert_file), ("cert", &given.cert)])?;
        let certificate = certificate.ok_or_else(|| missing("cert"))?;
        let key = self.pem([("key_file", &given.key_file), ("key", &given.key)])?.ok_or_else(|| missing("key"))?;
        let chain = self.certificates(&certificate)?;
        // NB: the library's messages never contain the key.
        let private = PrivateKeyDer::from_pem_slice(key.bytes)
            .map_err(|e| self.error(key.key, Some(key.at), Problem::NoKey(e)))?;
        let pair = CertifiedKey::from_der(chain.clone(), private, provider)
            .map_err(|e| self.error(key.key, Some(key.at), Problem::Pair(e)))?;
        Ok((pair, chain))
    }

    /// Returns the verifier of clients' certificates.
    fn clients(
        &self,
        provider: &Arc<CryptoProvider>,
        own: CertificateDer<'static>,
    ) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
        let given = self.given;
        let at = given.client_auth_type.as_ref();
        let name = at.map_or("", |name| &name.value);
        let auth = ClientAuth::named(name).ok_or_else(|| {
            self.error("client_auth_type", at, Problem::ClientAuth(name.into(), ClientAuth::NAMES.into()))
        })?;
        let pem = self.pem([("client_ca_file", &given.client_ca_file), ("client_ca", &given.client_ca)])?;
        if let (Some(pem), ClientAuth::None) = (&pem, auth) {
            return Err(self.error(pem.key, Some(pem.at), Problem::UnusedClientCa));
        }
        if let (Some(allowed), false) = (&given.client_allowed_sans, auth.is_mandatory()) {
            return Err(FileError {
                line: Some(allowed.referenced.line()),
                ..self.error("client_allowed_sans", None, Problem::UnusedSans)
            });
        }
        if auth == ClientAuth::None {
            return Ok(Arc::new(NoClientAuth));
        }
        let authorities = match (auth.verifies(), pem) {
            (false, _) => None,
            (true, None) => {
                return Err(self.error("client_auth_type", at, Problem::NoClientCa(name.to_owned())));
            }
            (true, Some(pem)) => {
                let roots = Arc::new(self.roots(&pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
                Some(verifier.map_err(|e| self.error(pem.key, Some(pem.at), e.into()))?)
            }
        };
        let allowed = given.client_allowed_sans.as_ref().map(|names| names.value.iter().cloned().collect());
        Ok(Arc::new(ClientVerifier { auth, authorities, allowed, own, provider: Arc::clone(provider) }))
    }

    fn roots(&self, pem: &Pem<'_>) -> Result<RootCertStore, FileError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(pem)? {
            roots.add(certificate).map_err(|e| self.error(pem.key, Some(pem.at), e.into()))?;
        }
        Ok(roots)
    }

    /// Returns the verifier of replicas. It accepts this replica's certificate, and certificates for one of its names from the
    /// issuer of its own or of clients' certificates.
    fn replicas(
        &self,
        provider: &Arc<CryptoProvider>,
        own: CertificateDer<'static>,
        chain: &[CertificateDer<'static>],
    ) -> Result<ReplicaVerifier, FileError> {
        let given = self.given;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain.iter().skip(1).cloned());
        if let Some(pem) = self.pem([("client_ca_file", &given.client_ca_file), ("client_ca", &given.client_ca)])? {
            roots.add_parsable_certificates(self.certificates(&pem)?);
        }
        let issuer = ca_path(self.file, given).and_then(|path| self.files.get(&path)?.as_ref().ok());
        if let Some(bytes) = issuer {
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bytes).flatten());
        }
        let names = subject_alt_names(&own).map_err(|e| self.error("cert", None, e.into()))?;
        // For a wildcard, any name that it matches.
        let names = names.into_iter().filter_map(|name| ServerName::try_from(name.replacen('*', "replica", 1)).ok());
        let authorities = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|e| self.error("cert", None, e.into()))?,
            ),
        };
        Ok(ReplicaVerifier { own, names: names.collect(), authorities, provider: Arc::clone(provider) })
    }
}

/// PEM, and the key that it comes from.
struct Pem<'a> {
    key: &'static str,
    at: &'a Text,
    bytes: &'a [u8],
}
