//! Messages on stderr, and tables.

use std::io::{self, Write};

use crate::shown;

/// Prints one line to `err`. Control characters are escaped, and a long line is cut.
pub(super) fn print_line(err: &mut dyn Write, line: &str) {
    // Ignores errors: if stderr is closed, there is nowhere to report them.
    let _ = writeln!(err, "kube-state-fleet: {}", shown::line(line));
}

/// Prints a blank line and a table: the first column left-aligned, the others right-aligned.
pub(super) fn columns<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default());
    writeln!(out)?;
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
