//! TLS between members: mutual authentication by keys that Leases publish.
//!
//! Each process has a key pair and a certificate of its own, made at its start. The certificate only carries the key: names,
//! issuers and times in it do not count. TLS 1.3 alone, without resumption, so that every connection proves its keys.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring as provider, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{NoServerSessionStorage, ParsedCertificate};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use super::record::KeyDigest;
use super::roster::Roster;

/// Why a process has no key for the fleet port.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system has no randomness.
    #[error("cannot make a key pair: {0}")]
    Generate(#[from] rcgen::Error),
    /// The key cannot be used for TLS.
    #[error("cannot use the key pair for TLS: {0}")]
    Tls(#[from] Error),
}

/// The key pair of this process. The private key never leaves its memory.
#[derive(Debug)]
pub struct ProcessKey {
    provider: Arc<CryptoProvider>,
    certified: Arc<SingleCertAndKey>,
    digest: KeyDigest,
}

impl ProcessKey {
    /// Makes a key pair and its certificate.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = KeyPair::generate()?;
        let certificate = CertificateParams::default().self_signed(&pair)?.der().clone();
        let provider = Arc::new(provider::default_provider());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let digest = key_of(&certificate)?;
        let certified = CertifiedKey::from_der(vec![certificate], private, &provider)?;
        Ok(Self { provider, certified: Arc::new(SingleCertAndKey::from(certified)), digest })
    }

    /// Returns the digest of the public key, for the Lease.
    pub const fn digest(&self) -> KeyDigest {
        self.digest
    }

    /// Returns the configuration of the fleet port: it completes handshakes with the keys in `roster` alone.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.3.
    pub fn server(&self, roster: Arc<Roster>) -> Result<Arc<ServerConfig>, KeyError> {
        let verifier = Arc::new(Verifier { provider: Arc::clone(&self.provider), known: Known::Roster(roster) });
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.certified) as _);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// Returns the configuration of a connection to the process that has `key`, and the name to connect to.
    ///
    /// # Errors
    /// The crypto provider lacks TLS 1.3.
    pub(super) fn client(
        &self,
        key: KeyDigest,
        address: IpAddr,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), Error> {
        let verifier = Arc::new(Verifier { provider: Arc::clone(&self.provider), known: Known::One(key) });
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::clone(&self.certified) as _);
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config), ServerName::IpAddress(address.into())))
    }
}

/// Returns the digest of the key in a certificate. It reads the certificate as the check of the signature does.
///
/// # Errors
/// It is not a certificate.
pub fn key_of(certificate: &CertificateDer<'_>) -> Result<KeyDigest, Error> {
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, &key).as_ref());
    Ok(KeyDigest(sum))
}

/// The keys that a verifier accepts.
#[derive(Debug)]
enum Known {
    Roster(Arc<Roster>),
    One(KeyDigest),
}

/// Accepts certificates by their key alone. The crypto provider verifies that the peer has the private key.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    known: Known,
}

impl Verifier {
    fn verify(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let key = key_of(certificate)?;
        let accepted = match &self.known {
            Known::One(expected) => key == *expected,
            Known::Roster(roster) => {
                let known = roster.identify(&key).is_some();
                if !known {
                    roster.note_unknown(&key);
                }
                known
            }
        };
        if accepted { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// No version below 1.3 is offered, so there is no such signature to verify.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("the fleet port requires TLS 1.3".to_owned()))
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
