//! `rules`: rewrites alert and recording rules that were written for one kube-state-metrics, so that they hold while the objects of
//! a fleet move between its replicas. [`rewrite`] decides what changes, [`file`] changes the text of a YAML file, and [`promql`]
//! reads expressions. Everything that is left as it is, is named with the reason.

mod file;
pub mod fuzz;
mod promql;
mod rewrite;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::cli::Rules;
use super::output::print_line;
use super::render;
use crate::file::{CONFIG_BYTES, ReadError, read_or_pipe, read_stream};
use rewrite::{Rewriter, Rewritten};

/// Why rules are not rewritten.
#[derive(Debug, thiserror::Error)]
pub(super) enum RulesError {
    /// A file cannot be read.
    #[error("{}: {reason}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: ReadError,
    },
    /// A file has no rules that can be found.
    #[error("{}: {reason}", file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: file::FileError,
    },
    /// A file has no rules.
    #[error("{}: no rules found; expected a file of rules for Prometheus, or PrometheusRule objects", .0.display())]
    Nothing(PathBuf),
    /// The changed text would say something else.
    #[error("{}:{line}: the rewritten file does not contain the rewritten expression; nothing is written; please report this", file.display())]
    Garbled {
        /// The file.
        file: PathBuf,
        /// The line of the first such expression.
        line: usize,
    },
    /// A file cannot be replaced.
    #[error("{}: cannot be written: {reason}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// The rules cannot be printed.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Rewrites the files of `arguments`: prints them to `out`, or replaces them. Prints a remark to `err` for each part that stays as it is.
/// Returns whether there are no remarks.
pub(super) fn run(arguments: &Rules, out: &mut dyn Write, err: &mut dyn Write) -> Result<bool, RulesError> {
    let rewriter = Rewriter {
        labels: &arguments.labels,
        honors_labels: arguments.honor_labels,
        resolution: arguments.resolution.as_deref(),
    };
    let mut is_complete = true;
    for (number, file) in arguments.files.iter().enumerate() {
        let text = read(file).map_err(|reason| RulesError::Read { file: file.clone(), reason })?;
        let outcome = rewrite_file(&rewriter, file, &text)?;
        for line in &outcome.left {
            print_line(err, line);
        }
        is_complete &= outcome.left.is_empty();
        print_line(err, &format!("{}: {}", render::name(file), outcome.summary()));
        if !arguments.write {
            // Several files are one stream of documents.
            if number > 0 && !outcome.text.starts_with("---") {
                writeln!(out, "---")?;
            }
            out.write_all(outcome.text.as_bytes())?;
        } else if outcome.text != text {
            std::fs::write(file, &outcome.text).map_err(|reason| RulesError::Write { file: file.clone(), reason })?;
        }
    }
    Ok(is_complete)
}

fn read(file: &Path) -> Result<String, ReadError> {
    let bytes = if render::is_standard_input(file) {
        read_stream(io::stdin().lock(), CONFIG_BYTES)?
    } else {
        read_or_pipe(file, CONFIG_BYTES)?
    };
    String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)
}

/// What becomes of a file.
struct Outcome {
    text: String,
    /// A line for everything that is left.
    left: Vec<String>,
    /// The numbers of rules, and of those that changed.
    rules: usize,
    changed: usize,
}

impl Outcome {
    fn summary(&self) -> String {
        format!("{} rules, {} rewritten, {} remarks", self.rules, self.changed, self.left.len())
    }
}

fn rewrite_file(rewriter: &Rewriter<'_>, path: &Path, text: &str) -> Result<Outcome, RulesError> {
    let found = |text: &str| file::rules(text).map_err(|reason| RulesError::Yaml { file: path.to_owned(), reason });
    let rules = found(text)?;
    if rules.is_empty() {
        return Err(RulesError::Nothing(path.to_owned()));
    }
    let mut outcome = Outcome { text: String::new(), left: Vec::new(), rules: rules.len(), changed: 0 };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    // The words that each expression must have in the new file.
    let mut meant = Vec::new();
    for rule in &rules {
        let mut leave = |reason: &str| {
            outcome.left.push(format!("{}:{}: {}: {reason}", render::name(path), rule.line, rule.name));
        };
        let Some(written) = rule.expression.written(text) else {
            leave("the expression is left as it is: it is an alias, or has escapes that are not supported");
            meant.push(None);
            continue;
        };
        match rewriter.rewrite(&written.text) {
            Ok(rewritten) => {
                rewritten.left.iter().for_each(|reason| leave(reason));
                lost_in_texts(rule, &rewritten).iter().for_each(|reason| leave(reason));
                outcome.changed += usize::from(!rewritten.insertions.is_empty());
                edits.extend(written.edits(&rewritten.insertions));
                meant.push(Some(rewritten.apply(&written.text)));
            }
            Err(error) => {
                leave(&format!("the expression is left as it is, because it cannot be read: {error}"));
                meant.push(None);
            }
        }
    }
    outcome.text = file::edit(text, edits);
    let reread = found(&outcome.text)?;
    let same = |meant: &Option<String>, rule: &file::Rule| {
        meant.as_ref().is_none_or(|meant| promql::words(meant).ok() == promql::words(&rule.expression.text).ok())
    };
    let garbled = meant.iter().zip(&reread).find(|(meant, rule)| !same(meant, rule)).map(|(_, rule)| rule.line);
    match garbled.or((reread.len() != rules.len()).then_some(1)) {
        Some(line) => Err(RulesError::Garbled { file: path.to_owned(), line }),
        None => Ok(outcome),
    }
}

/// A remark for each label or annotation that prints a label which the result no longer has.
fn lost_in_texts(rule: &file::Rule, rewritten: &Rewritten) -> Vec<String> {
    let mut remarks = Vec::new();
    for (key, text) in &rule.texts {
        for label in &rewritten.lost {
            let uses = [format!("$labels.{label}"), format!(".Labels.{label}")];
            let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
            if uses.iter().any(|used| text.split(used.as_str()).skip(1).any(ends)) {
                remarks.push(format!("`{key}` prints the label `{label}`, which the result no longer has"));
            }
        }
    }
    remarks
}
