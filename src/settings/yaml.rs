//! Parts that all YAML files of settings share: documents, `null`, and the places of errors.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

/// An error in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// The line of the error, from 1.
    pub line: Option<u64>,
    /// The key of the error.
    pub key: Option<String>,
    /// The reason.
    pub reason: String,
}

impl std::error::Error for FileError {}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Returns the line and the reason of an error, but never the text of the line, which may contain a secret.
pub fn place(error: &serde_saphyr::Error) -> (Option<u64>, String) {
    let line = error.location().map(|at| at.line()).filter(|line| *line > 0);
    let text = error.without_snippet().to_string();
    let reason = text.lines().next().unwrap_or_default();
    // The line is returned separately.
    let reason = reason.split_once(" at line ").map_or(reason, |(reason, _)| reason);
    (line, reason.to_owned())
}

/// Deserializes `null` as the default.
///
/// # Errors
/// The value is neither `null` nor a `T`.
pub fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// Returns the documents of a file, each with the number of lines before it. A line that begins with three hyphens or dots
/// always ends a document: YAML does not allow it within one, and JSON has no such line.
pub fn documents(text: &str) -> Vec<(u64, Range<usize>)> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 0, 0);
    for (number, line) in (0..).zip(text.split_inclusive('\n')) {
        let marker = line.get(..3).filter(|m| matches!(*m, "---" | "..."));
        if marker.is_some() && line[3..].chars().next().is_none_or(char::is_whitespace) {
            documents.push((first_line, start..offset));
            start = offset + 3;
            first_line = number;
        }
        offset += line.len();
    }
    documents.push((first_line, start..text.len()));
    documents
}

/// Returns the number of blank lines, comments and directives at the start of a document; `None` if it has no content.
pub fn blank_lines(document: &str) -> Option<u64> {
    let content =
        document.lines().position(|l| !(l.trim().is_empty() || l.trim_start().starts_with('#') || l.starts_with('%')));
    content.map(|lines| lines as u64)
}
