//! The rules of Kubernetes for names that become parts of paths and selectors.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>

use super::SettingsError;
use crate::shown;

const NAMESPACE: &str = "a namespace: 63 lower-case letters, digits and hyphens at most";
const OBJECT: &str = "a name: 253 lower-case letters, digits, hyphens and dots at most";

/// Returns the name of a namespace.
///
/// # Errors
/// `name` is none. Returns the expected form.
pub fn namespace(name: &str) -> Result<String, String> {
    if is_namespace(name) { Ok(name.to_owned()) } else { Err(format!("not {NAMESPACE}")) }
}

/// Returns the name of an object such as a pod.
///
/// # Errors
/// `name` is none. Returns the expected form.
pub fn object(name: &str) -> Result<String, String> {
    if is_object(name) { Ok(name.to_owned()) } else { Err(format!("not {OBJECT}")) }
}

fn is_namespace(name: &str) -> bool {
    name.len() <= 63 && is_label(name)
}

fn is_object(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Checks the names of namespaces, which are DNS labels (RFC 1123).
///
/// # Errors
/// One of `names`, values of `flag`, is not such a name.
pub(super) fn namespaces<'a>(
    flag: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<(), SettingsError> {
    all(flag, names, NAMESPACE, is_namespace)
}

/// Checks the names of objects such as pods and nodes, which are DNS subdomains (RFC 1123).
///
/// # Errors
/// One of `names`, values of `flag`, is not such a name.
pub(super) fn objects<'a>(
    flag: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<(), SettingsError> {
    all(flag, names, OBJECT, is_object)
}

fn all<'a>(
    flag: &'static str,
    names: impl IntoIterator<Item = &'a String>,
    expected: &'static str,
    is_valid: impl Fn(&str) -> bool,
) -> Result<(), SettingsError> {
    match names.into_iter().find(|name| !is_valid(name)) {
        Some(name) => Err(SettingsError::Name { flag, value: shown::value(name), expected }),
        None => Ok(()),
    }
}

/// Whether it consists of lower-case letters, digits and inner hyphens.
fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-')
}
