//! The problems of a web configuration.

use std::path::PathBuf;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;

use crate::file::ReadError;

/// A name of Go's `crypto/tls` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {name:?} {}; use one of: {supported}", if *.known { "is not supported" } else { "is unknown" })]
pub(super) struct NameError {
    pub kind: &'static str,
    pub name: String,
    /// Whether Go knows the name.
    pub known: bool,
    pub supported: String,
}

/// Why the web configuration cannot be used. None of these messages contains a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{} {error}", path.display())]
    ReadNamed { path: PathBuf, error: String },
    #[error("not UTF-8")]
    NotUtf8,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("this header cannot be set; use one of: {0}")]
    Header(String),
    #[error("{value:?} is not allowed; use one of: {allowed}")]
    HeaderValue { value: String, allowed: String },
    #[error("not a valid header value")]
    HeaderBytes,
    #[error("not a bcrypt hash; create one with `htpasswd -nBC 10 \"\"`")]
    NotBcrypt,
    #[error("the hash has cost {0}, and each check would take minutes; use at most {1}")]
    BcryptCost(u32, u32),
    #[error("{0} is out of range; use 0 to 4294967295")]
    Burst(i64),
    #[error("not a duration; write it as 500ms or 1s")]
    Interval,
    #[error(
        "cannot be used together with --auth-filter, because both use the header Authorization; remove one of them"
    )]
    UsersAndAuthFilter,
    #[error("TLS cannot be turned on or off by a reload; restart the replica")]
    TlsToggled,
    #[error("the users cannot be removed by a reload; restart the replica")]
    UsersLost,
    #[error("the check of client certificates cannot be relaxed by a reload; restart the replica")]
    ClientAuthLost,
    #[error("no TLS version is left that has a cipher suite; change min_version, max_version or cipher_suites")]
    NoVersion,
    #[error("not PEM: {0}")]
    NotPem(pem::Error),
    #[error("contains no certificate")]
    NoCertificate,
    #[error("contains no private key: {0}")]
    NoKey(pem::Error),
    #[error("missing {0}: set {0} or {0}_file")]
    Missing(&'static str),
    #[error("key and certificate cannot be used together: {0}")]
    Pair(rustls::Error),
    #[error("{0:?} is unknown; use one of: {1}")]
    ClientAuth(String, String),
    #[error("has no effect without client_auth_type; set that, or remove this key")]
    UnusedClientCa,
    #[error("requires client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert")]
    UnusedSans,
    #[error("{0} requires client_ca or client_ca_file")]
    NoClientCa(String),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error(transparent)]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}
