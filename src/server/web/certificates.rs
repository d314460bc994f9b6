//! Whose certificate is taken: a client's, as the file says; a peer's, where we ask.
//!
//! Replicas are configured alike, and so a peer is who shows our own certificate and has its key, or one for a name of ours by an authority
//! that we know. Addresses of pods do not count: hardly any certificate has them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What clients have to show: Go's `ClientAuthType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl ClientAuth {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "" | "NoClientCert" => Self::None,
            "RequestClientCert" => Self::Request,
            "RequireAnyClientCert" | "RequireClientCert" => Self::RequireAny,
            "VerifyClientCertIfGiven" => Self::VerifyIfGiven,
            "RequireAndVerifyClientCert" => Self::RequireAndVerify,
            _ => return None,
        })
    }

    pub fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }

    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// Our own certificate, and for a while the one before: replicas renew theirs at different moments.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub now: CertificateDer<'static>,
    pub before: Option<(CertificateDer<'static>, Instant)>,
}

impl Own {
    fn is(&self, certificate: &CertificateDer<'_>) -> bool {
        let before = self.before.as_ref().filter(|(_, until)| Instant::now() < *until);
        self.now == *certificate || before.is_some_and(|(before, _)| before == certificate)
    }
}

/// The methods that both kinds of verifier share: the crypto provider verifies signatures.
macro_rules! signatures_of_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Who may connect.
#[derive(Debug)]
pub(super) struct Clients {
    pub auth: ClientAuth,
    /// Where certificates are verified: by whom they have to be issued.
    pub authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// One of these names is to be in a client's certificate, if there are any.
    pub allowed: Option<BTreeSet<String>>,
    /// Who has the key of our own certificate is a peer.
    pub own: Own,
    pub provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.auth.is_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.own.is(certificate) {
            return Ok(ClientCertVerified::assertion());
        }
        if let Some(authorities) = &self.authorities {
            authorities.verify_client_cert(certificate, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed
            && names(certificate)?.is_disjoint(allowed)
        {
            // The text goes to our log alone.
            return Err(Error::General("no name of the client's certificate is in client_allowed_sans".to_owned()));
        }
        Ok(ClientCertVerified::assertion())
    }

    signatures_of_provider!();
}

/// Who is taken for a peer when we ask one.
#[derive(Debug)]
pub(super) struct PeerServers {
    pub own: Own,
    /// The names in our certificate.
    pub names: Vec<ServerName<'static>>,
    /// Who issues such certificates, as far as we know.
    pub authorities: Option<Arc<WebPkiServerVerifier>>,
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PeerServers {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.is(certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        let mut result = Err(CertificateError::UnknownIssuer.into());
        let Some(authorities) = &self.authorities else { return result };
        for name in &self.names {
            result = authorities.verify_server_cert(certificate, intermediates, name, ocsp, now);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    signatures_of_provider!();
}

/// The subject alternative names of a certificate: DNS names, addresses, e-mail addresses and URIs.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Result<BTreeSet<String>, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| bad())?;
    let extension = parsed.subject_alternative_name().map_err(|_| bad())?;
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
                Some((*text).to_owned())
            }
            GeneralName::IPAddress(bytes) => match **bytes {
                [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
                ref bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            },
            _ => None,
        })
        .collect())
}
