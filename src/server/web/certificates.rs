//! Verifies certificates: those of clients, as the file says, and those of replicas, when `verify` connects to them.
//!
//! `verify` has the configuration of the replicas. So a replica is a server with the same certificate, or with one that a
//! known authority issued for one of the same names. Pod addresses do not count, since hardly any certificate has them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Which certificate a client needs: Go's `ClientAuthType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl ClientAuth {
    pub const NAMES: &str = "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, \
                             RequireAndVerifyClientCert";

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

    /// How much it keeps out: 0 nobody, 1 clients without a certificate, 2 also those with one from an unknown issuer.
    pub fn strictness(self) -> u8 {
        match self {
            Self::None | Self::Request | Self::VerifyIfGiven => 0,
            Self::RequireAny => 1,
            Self::RequireAndVerify => 2,
        }
    }

    pub fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }

    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
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

/// Verifies the certificates of clients.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    pub auth: ClientAuth,
    /// Checks the issuer; `None` accepts any.
    pub authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// A client's certificate needs one of these names; `None` accepts any.
    pub allowed: Option<BTreeSet<String>>,
    /// A client with this replica's own certificate and key is `verify`.
    pub own: CertificateDer<'static>,
    pub provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for ClientVerifier {
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
        if self.own == *certificate {
            return Ok(ClientCertVerified::assertion());
        }
        if let Some(authorities) = &self.authorities {
            authorities.verify_client_cert(certificate, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed
            && subject_alt_names(certificate)?.is_disjoint(allowed)
        {
            // The text is only logged here; the client does not get it.
            return Err(Error::General("client certificate has no name of client_allowed_sans".to_owned()));
        }
        Ok(ClientCertVerified::assertion())
    }

    signatures_of_provider!();
}

/// Verifies the certificates of replicas.
#[derive(Debug)]
pub(super) struct ReplicaVerifier {
    pub own: CertificateDer<'static>,
    /// The names in this replica's certificate.
    pub names: Vec<ServerName<'static>>,
    /// Checks the issuer, if an authority is known.
    pub authorities: Option<Arc<WebPkiServerVerifier>>,
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ReplicaVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own == *certificate {
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

/// Returns the subject alternative names of a certificate: DNS names, addresses, e-mail addresses and URIs.
pub(super) fn subject_alt_names(certificate: &CertificateDer<'_>) -> Result<BTreeSet<String>, Error> {
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
