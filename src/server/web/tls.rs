//! What rustls is told: as a server, and as a client of peers.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::certificates::{ClientAuth, Clients, Own, PeerServers, names};
use super::config::{self, Text, beside, filled};
use super::names::{cipher_suite, curve, version};
use crate::settings::yaml::FileError;

/// The contents of the files that the configuration names.
pub(super) type Files = BTreeMap<PathBuf, Result<Vec<u8>, String>>;

/// Beside the certificate: where Secrets of the type `kubernetes.io/tls` have who issued it.
const AUTHORITY: &str = "ca.crt";

/// TLS as the file asks for it.
#[derive(Debug)]
pub(super) struct Tls {
    pub server: Arc<ServerConfig>,
    /// How peers are asked.
    pub client: Arc<ClientConfig>,
    /// Our own certificate.
    pub own: CertificateDer<'static>,
}

/// Where the authority of a certificate in `file` may stand.
pub(super) fn authority_beside(file: &Path, tls: &config::Tls) -> Option<PathBuf> {
    let certificate = beside(file, &filled(&tls.cert_file)?.value);
    Some(beside(&certificate, AUTHORITY))
}

/// What is built of one configuration.
struct Builder<'a> {
    file: &'a Path,
    given: &'a config::Tls,
    files: &'a Files,
}

impl Tls {
    /// TLS as `given` in `file` says; `before` is the certificate before that, and until when it counts.
    pub fn new(
        file: &Path,
        given: &config::Tls,
        files: &Files,
        http2: bool,
        before: Option<(CertificateDer<'static>, Instant)>,
    ) -> Result<Self, FileError> {
        let builder = Builder { file, given, files };
        let provider = Arc::new(builder.provider()?);
        let (pair, chain) = builder.pair(&provider)?;
        let own = chain.first().cloned().ok_or_else(|| builder.error("cert", None, "there is no certificate"))?;
        let owned = Own { now: own.clone(), before };
        let clients = builder.clients(&provider, owned.clone())?;
        let versions = builder.versions(&provider)?;
        let pair = Arc::new(SingleCertAndKey::from(pair));
        let error = |e: Error| builder.error("tls_server_config", None, e);
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(error)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&pair) as _);
        server.ignore_client_order = given.prefer_server_cipher_suites.unwrap_or(true);
        server.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        let peers = builder.peers(&provider, owned, &chain)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(error)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(peers))
            .with_client_cert_resolver(pair);
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client), own })
    }
}

impl Builder<'_> {
    fn error(&self, key: &str, at: Option<&Text>, reason: impl Display) -> FileError {
        FileError {
            file: self.file.to_owned(),
            line: at.map(|text| text.referenced.line()),
            key: Some(key.to_owned()),
            reason: reason.to_string(),
        }
    }

    fn provider(&self) -> Result<CryptoProvider, FileError> {
        let mut provider = ring::default_provider();
        if !self.given.cipher_suites.is_empty() {
            // As in Go: those of TLS 1.3 are not a matter of choice.
            provider.cipher_suites.retain(|suite| suite.version() == &version::TLS13);
            for name in &self.given.cipher_suites {
                let suite = cipher_suite(&name.value).map_err(|e| self.error("cipher_suites", Some(name), e))?;
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
                    .push(curve(&name.value).map_err(|e| self.error("curve_preferences", Some(name), e))?);
            }
        }
        Ok(provider)
    }

    fn versions(&self, provider: &CryptoProvider) -> Result<Vec<&'static SupportedProtocolVersion>, FileError> {
        let place = |key: &str, given: &Option<Text>, default: &str| {
            let given = filled(given);
            version(given.map_or(default, |name| &name.value)).map_err(|e| self.error(key, given, e))
        };
        let min = place("min_version", &self.given.min_version, "TLS12")?;
        let max = place("max_version", &self.given.max_version, "TLS13")?;
        let mut versions = super::names::versions(min, max);
        versions.retain(|version| provider.cipher_suites.iter().any(|suite| suite.version() == *version));
        if versions.is_empty() {
            let key = if filled(&self.given.min_version).is_some() { "min_version" } else { "max_version" };
            return Err(self.error(key, None, "no version of TLS is left with a cipher suite"));
        }
        Ok(versions)
    }

    /// The PEM of a key that may stand in the file itself or in one of its own; the latter counts, if both are there.
    fn pem<'a>(&'a self, keys: [(&'static str, &'a Option<Text>); 2]) -> Result<Option<Pem<'a>>, FileError> {
        let [(in_file, path), (inline, text)] = keys;
        if let Some(path) = filled(path) {
            let name = beside(self.file, &path.value);
            return match self.files.get(&name) {
                Some(Ok(bytes)) => Ok(Some(Pem { key: in_file, at: path, bytes })),
                Some(Err(error)) => Err(self.error(in_file, Some(path), format_args!("{}: {error}", name.display()))),
                None => Err(self.error(in_file, Some(path), format_args!("{} was not read", name.display()))),
            };
        }
        Ok(filled(text).map(|text| Pem { key: inline, at: text, bytes: text.value.as_bytes() }))
    }

    fn certificates(&self, pem: &Pem<'_>) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.bytes).collect();
        let certificates = read.map_err(|e| self.error(pem.key, Some(pem.at), format_args!("this is not PEM: {e}")))?;
        if certificates.is_empty() {
            return Err(self.error(pem.key, Some(pem.at), "there is no certificate in it"));
        }
        Ok(certificates)
    }

    fn pair(&self, provider: &CryptoProvider) -> Result<(CertifiedKey, Vec<CertificateDer<'static>>), FileError> {
        let given = self.given;
        let missing =
            |key| self.error("tls_server_config", None, format_args!("one of {key} and {key}_file is needed"));
        let certificate = self.pem([("cert_file", &given.cert_file), ("cert", &given.cert)])?;
        let certificate = certificate.ok_or_else(|| missing("cert"))?;
        let key = self.pem([("key_file", &given.key_file), ("key", &given.key)])?.ok_or_else(|| missing("key"))?;
        let chain = self.certificates(&certificate)?;
        // NB: the library's texts name what it found, never the key.
        let private = PrivateKeyDer::from_pem_slice(key.bytes)
            .map_err(|e| self.error(key.key, Some(key.at), format_args!("there is no private key in it: {e}")))?;
        let pair = CertifiedKey::from_der(chain.clone(), private, provider)
            .map_err(|e| self.error(key.key, Some(key.at), format_args!("key and certificate cannot be used: {e}")))?;
        Ok((pair, chain))
    }

    /// Who may connect; `own` are our own certificates.
    fn clients(&self, provider: &Arc<CryptoProvider>, own: Own) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
        let given = self.given;
        let at = given.client_auth_type.as_ref();
        let name = at.map_or("", |name| &name.value);
        let auth = ClientAuth::named(name)
            .ok_or_else(|| self.error("client_auth_type", at, format_args!("{name:?} is unknown")))?;
        let pem = self.pem([("client_ca_file", &given.client_ca_file), ("client_ca", &given.client_ca)])?;
        if let (Some(pem), ClientAuth::None) = (&pem, auth) {
            return Err(self.error(pem.key, Some(pem.at), "it has no effect without a client_auth_type"));
        }
        if let (Some(allowed), false) = (&given.client_allowed_sans, auth.is_mandatory()) {
            return Err(FileError {
                line: Some(allowed.referenced.line()),
                ..self.error(
                    "client_allowed_sans",
                    None,
                    "client_auth_type has to be RequireAnyClientCert or RequireAndVerifyClientCert for it",
                )
            });
        }
        if auth == ClientAuth::None {
            return Ok(Arc::new(NoClientAuth));
        }
        let authorities = match (auth.verifies(), pem) {
            (false, _) => None,
            (true, None) => {
                return Err(self.error(
                    "client_auth_type",
                    at,
                    format_args!("{name} needs client_ca or client_ca_file"),
                ));
            }
            (true, Some(pem)) => {
                let roots = Arc::new(self.roots(&pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
                Some(verifier.map_err(|e| self.error(pem.key, Some(pem.at), e))?)
            }
        };
        let allowed = given.client_allowed_sans.as_ref().map(|names| names.value.iter().cloned().collect());
        Ok(Arc::new(Clients { auth, authorities, allowed, own, provider: Arc::clone(provider) }))
    }

    fn roots(&self, pem: &Pem<'_>) -> Result<RootCertStore, FileError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(pem)? {
            roots.add(certificate).map_err(|e| self.error(pem.key, Some(pem.at), e))?;
        }
        Ok(roots)
    }

    /// Whom we take for a peer: with our certificate, or one for a name of ours by whoever issued ours or clients' certificates.
    fn peers(
        &self,
        provider: &Arc<CryptoProvider>,
        own: Own,
        chain: &[CertificateDer<'static>],
    ) -> Result<PeerServers, FileError> {
        let given = self.given;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain.iter().skip(1).cloned());
        if let Some(pem) = self.pem([("client_ca_file", &given.client_ca_file), ("client_ca", &given.client_ca)])? {
            roots.add_parsable_certificates(self.certificates(&pem)?);
        }
        let beside = authority_beside(self.file, given).and_then(|path| self.files.get(&path)?.as_ref().ok());
        if let Some(bytes) = beside {
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bytes).flatten());
        }
        let names = names(&own.now).map_err(|e| self.error("cert", None, e))?;
        // Of a wildcard, some name that it is for.
        let names = names.into_iter().filter_map(|name| ServerName::try_from(name.replacen('*', "peer", 1)).ok());
        let authorities = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|e| self.error("cert", None, e))?,
            ),
        };
        Ok(PeerServers { own, names: names.collect(), authorities, provider: Arc::clone(provider) })
    }
}

/// PEM, and where it was given.
struct Pem<'a> {
    key: &'static str,
    at: &'a Text,
    bytes: &'a [u8],
}
