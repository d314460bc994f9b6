//! Names of Go's `crypto/tls`, as the configuration uses them, and their counterparts in rustls.

use tokio_rustls::rustls::crypto::SupportedKxGroup;
use tokio_rustls::rustls::crypto::ring::{cipher_suite as suite, kx_group};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::error::NameError;

/// Names of Go, each with its counterpart; `None` where rustls has none.
type Names<T> = &'static [(&'static str, Option<T>)];

/// From the oldest to the newest.
const VERSIONS: Names<&'static SupportedProtocolVersion> =
    &[("TLS10", None), ("TLS11", None), ("TLS12", Some(&TLS12)), ("TLS13", Some(&TLS13))];

/// The names of Go's `tls.CipherSuites()`, including those of old releases. The suites of TLS 1.3 are always enabled.
const SUITES: Names<SupportedCipherSuite> = &[
    ("TLS_AES_128_GCM_SHA256", Some(suite::TLS13_AES_128_GCM_SHA256)),
    ("TLS_AES_256_GCM_SHA384", Some(suite::TLS13_AES_256_GCM_SHA384)),
    ("TLS_CHACHA20_POLY1305_SHA256", Some(suite::TLS13_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Some(suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Some(suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Some(suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Some(suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some(suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_128_GCM_SHA256", None),
    ("TLS_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_256_GCM_SHA384", None),
];

const CURVES: Names<&'static dyn SupportedKxGroup> = &[
    ("CurveP256", Some(kx_group::SECP256R1)),
    ("CurveP384", Some(kx_group::SECP384R1)),
    ("CurveP521", None),
    ("X25519", Some(kx_group::X25519)),
];

/// Returns the TLS versions from `min` to `max`, given as positions.
pub(super) fn versions(min: usize, max: usize) -> Vec<&'static SupportedProtocolVersion> {
    (min..=max).filter_map(|at| VERSIONS.get(at)?.1).collect()
}

/// Returns the position of a TLS version among all versions.
pub(super) fn version(name: &str) -> Result<usize, NameError> {
    find(VERSIONS, name, "TLS version")?;
    Ok(VERSIONS.iter().position(|(known, _)| *known == name).unwrap_or_default())
}

pub(super) fn cipher_suite(name: &str) -> Result<SupportedCipherSuite, NameError> {
    find(SUITES, name, "cipher suite")
}

pub(super) fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, NameError> {
    find(CURVES, name, "curve")
}

fn find<T: Copy>(names: Names<T>, name: &str, kind: &'static str) -> Result<T, NameError> {
    match names.iter().find(|(known, _)| *known == name) {
        Some((_, Some(value))) => Ok(*value),
        found => {
            let supported = names.iter().filter(|(_, value)| value.is_some()).map(|(known, _)| *known);
            let supported = supported.collect::<Vec<_>>().join(", ");
            Err(NameError { kind, name: name.to_owned(), known: found.is_some(), supported })
        }
    }
}
