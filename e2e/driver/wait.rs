//! Polling for a condition.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats an attempt until it succeeds. After `limit`, returns the last error.
pub async fn until<T>(what: &str, limit: Duration, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() >= limit => {
                return Err(error).with_context(|| format!("waited {:.1} s for {what}", limit.as_secs_f64()));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
