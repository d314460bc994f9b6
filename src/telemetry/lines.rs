//! The form of log lines: one line each, of limited length, and of limited number.
//!
//! Names, messages and errors in a log come from other programs. Control characters in them are escaped, a line ends at
//! [`LINE_BYTES`], and an event that repeats, as for each of 60,000 objects, is logged a few times and then only now and then, with
//! the number of lines that were left out.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter};

use crate::shown::{self, LINE_BYTES, VALUE_BYTES};
use crate::sync::lock;

/// How many lines of one kind may follow each other. At the start each resource may have a line of its own.
const BURST: u32 = 50;
/// After that: one line of a kind in this time.
const INTERVAL: Duration = Duration::from_secs(10);

thread_local! {
    /// The number of lines that were left out before the one that this thread writes now.
    static SUPPRESSED: Cell<u64> = const { Cell::new(0) };
}

/// Limits the number of lines of each kind: those that one place in the code writes. Lines for debugging have no limit.
#[derive(Clone, Debug, Default)]
pub(super) struct LineLimit(Arc<Mutex<HashMap<Identifier, Kind>>>);

/// The lines of one kind.
#[derive(Debug)]
struct Kind {
    /// Number of lines that may be written now.
    left: u32,
    /// When `left` last grew.
    grown: Instant,
    suppressed: u64,
}

impl Kind {
    fn new(now: Instant) -> Self {
        Self { left: BURST, grown: now, suppressed: 0 }
    }

    /// Returns the number of lines left out before this one, or `None` to leave this one out, too.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let intervals = now.duration_since(self.grown).as_secs() / INTERVAL.as_secs();
        let more = u32::try_from(intervals).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.grown = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.suppressed))
            }
            None => {
                self.suppressed += 1;
                None
            }
        }
    }
}

impl<S: Subscriber> Filter<S> for LineLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let now = Instant::now();
        let suppressed = lock(&self.0).entry(metadata.callsite()).or_insert_with(|| Kind::new(now)).take(now);
        // The same thread writes the line next.
        SUPPRESSED.set(suppressed.unwrap_or_default());
        suppressed.is_some()
    }
}

/// Writes lines to stderr in their final form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stderr {
    pub json: bool,
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Stderr {
    /// NB: tracing-subscriber writes each line at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches('\n');
        let suppressed = SUPPRESSED.take();
        let line = if self.json { json(text, suppressed) } else { plain(text, suppressed) };
        io::stderr().write_all((line + "\n").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plain(text: &str, suppressed: u64) -> String {
    let note = if suppressed == 0 { String::new() } else { format!(" suppressed={suppressed}") };
    shown::within(text, LINE_BYTES - note.len() - 1) + &note
}

/// JSON has escaped control characters already. A line that is too long keeps the start of each value.
fn json(text: &str, suppressed: u64) -> String {
    if suppressed == 0 && text.len() < LINE_BYTES {
        return text.to_owned();
    }
    let Ok(mut line) = serde_json::from_str::<Value>(text) else { return plain(text, suppressed) };
    if suppressed != 0 {
        line["suppressed"] = suppressed.into();
    }
    if text.len() >= LINE_BYTES {
        cut(&mut line);
    }
    let whole = line.to_string();
    if whole.len() < LINE_BYTES {
        return whole;
    }
    // Very many values.
    let message = line.pointer("/fields/message").and_then(Value::as_str).unwrap_or_default();
    serde_json::json!({ "timestamp": line["timestamp"], "level": line["level"], "fields": { "message": message } })
        .to_string()
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) => *text = shown::within(text, VALUE_BYTES),
        Value::Array(values) => values.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_limited_and_says_what_was_left_out() {
        let start = Instant::now();
        let mut kind = Kind::new(start);
        let written = (0..60_000).filter(|_| kind.take(start).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(kind.take(start + INTERVAL), Some(60_000 - u64::from(BURST)));
        assert_eq!(kind.take(start + INTERVAL), None);
        assert_eq!(kind.take(start + INTERVAL * 1000), Some(1));
    }

    #[test]
    fn a_line_is_one_line_of_limited_length() {
        let line = plain(&format!("WARN a\nb\x1b[31m {}", "x".repeat(9999)), 7);
        assert!(line.starts_with("WARN a\\nb\\u{1b}[31m x") && line.ends_with("... suppressed=7"), "{line}");
        assert!(line.len() < LINE_BYTES && !line.contains('\n'));
    }

    #[test]
    fn a_line_of_json_stays_json() {
        let long = serde_json::json!({
            "timestamp": "t", "level": "WARN",
            "fields": { "message": "m", "error": format!("\n{}", "x".repeat(9999)) },
        });
        let line = json(&long.to_string(), 3);
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert!(line.len() < LINE_BYTES && read["suppressed"] == 3 && read["fields"]["message"] == "m", "{line}");
        let many: serde_json::Map<_, _> = (0..999).map(|n| (format!("key {n}"), "value".into())).collect();
        let line = json(&serde_json::json!({ "level": "WARN", "fields": many }).to_string(), 0);
        assert!(line.len() < LINE_BYTES && serde_json::from_str::<Value>(&line).is_ok(), "{line}");
        assert_eq!(json("{\"a\":1}", 0), "{\"a\":1}");
    }
}
