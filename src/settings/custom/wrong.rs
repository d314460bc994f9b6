//! Why a part of a configuration is not valid, and its place.

/// Line, key and reason.
pub(super) type Wrong = (Option<u64>, String, String);

/// Returns the fault of a key on a line.
pub(super) fn wrong(line: u64, key: impl Into<String>, reason: impl Into<String>) -> Wrong {
    (Some(line), key.into(), reason.into())
}

/// Returns the fault of a key below `outer`.
pub(super) fn within(outer: &str, (line, key, reason): Wrong) -> Wrong {
    let dot = if key.is_empty() || key.starts_with('[') { "" } else { "." };
    (line, format!("{outer}{dot}{key}"), reason)
}
