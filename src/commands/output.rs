//! Messages on stderr.

use std::io::Write;

/// Prints one line to `err`.
pub(super) fn print_line(err: &mut dyn Write, line: &str) {
    // Ignores errors: if stderr is closed, there is nowhere to report them.
    let _ = writeln!(err, "kube-state-fleet: {line}");
}
