//! The fields of Secrets that are not read, whatever a config names: their data, and the annotation with a copy of it.

/// The fields of a Secret with its data.
pub(super) const SECRET_DATA: [&str; 2] = ["data", "stringData"];

/// The fields of a Secret that are read.
pub(super) const SECRET_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "type"];

/// The annotation in which `kubectl apply` keeps the applied object, and so the data of a Secret.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The fields that are never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// None.
    Nothing,
    /// Of a Secret: its data, and the annotation with a copy of it.
    OfSecret,
    /// Of a value in a Secret: that annotation.
    WithinSecret,
}

impl Hidden {
    pub fn hides(self, key: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::OfSecret => SECRET_DATA.contains(&key) || key == LAST_APPLIED,
            Self::WithinSecret => key == LAST_APPLIED,
        }
    }

    pub const fn within(self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::OfSecret | Self::WithinSecret => Self::WithinSecret,
        }
    }
}
