//! Times as Go writes them.

use std::time::Duration;

use jiff::SignedDuration;

use super::SettingsError;

/// The value of `flag`, which is `default` where there is none, and never above `maximum`.
pub(super) fn time(
    flag: &'static str,
    value: Option<&str>,
    default: Duration,
    maximum: Duration,
) -> Result<Duration, SettingsError> {
    match value.map(str::trim).filter(|value| !value.is_empty()) {
        None => Ok(default),
        Some("0") => Ok(Duration::ZERO),
        Some(value) => {
            let error = || SettingsError::Time { flag, value: value.to_owned(), maximum };
            let time: SignedDuration = value.parse().map_err(|_| error())?;
            Duration::try_from(time).ok().filter(|time| *time <= maximum).ok_or_else(error)
        }
    }
}
