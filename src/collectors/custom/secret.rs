//! The fields of Secrets that are not read, whatever a config names: their data, the annotation with a copy of it, and the
//! managedFields, which list the keys of the data.

/// The fields of a Secret with its data.
pub(super) const SECRET_DATA: [&str; 2] = ["data", "stringData"];

/// The fields of a Secret that are read.
pub(super) const SECRET_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "type"];

/// The annotation in which `kubectl apply` keeps the applied object, and so the data of a Secret.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The field of the metadata that lists which fields each manager set, and so the keys of the data of a Secret.
pub(super) const MANAGED_FIELDS: &str = "managedFields";

/// The fields that are never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// None.
    Nothing,
    /// Of a Secret: its data, and the annotation with a copy of it.
    OfSecret,
    /// Of a field of a Secret, such as the metadata: that annotation, and the managedFields.
    OfField,
    /// Of a value further within a Secret: that annotation. A label may have the name of the managedFields.
    WithinSecret,
}

impl Hidden {
    pub fn hides(self, key: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::OfSecret => SECRET_DATA.contains(&key) || key == LAST_APPLIED,
            Self::OfField => key == LAST_APPLIED || key == MANAGED_FIELDS,
            Self::WithinSecret => key == LAST_APPLIED,
        }
    }

    pub const fn within(self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::OfSecret => Self::OfField,
            Self::OfField | Self::WithinSecret => Self::WithinSecret,
        }
    }
}
