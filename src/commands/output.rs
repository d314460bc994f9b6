//! Messages on stderr.

use std::io::Write;

use crate::shown;

/// Prints one line to `err`. Control characters are escaped, and a long line is cut.
pub(super) fn print_line(err: &mut dyn Write, line: &str) {
    // Ignores errors: if stderr is closed, there is nowhere to report them.
    let _ = writeln!(err, "kube-state-fleet: {}", shown::line(line));
}
