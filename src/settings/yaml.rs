//! What files of settings have in common: where documents begin, what `null` is, and how it is told where one is wrong.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, if one is to blame.
    pub line: Option<u64>,
    /// The key, if one is to blame.
    pub key: Option<String>,
    /// What is wrong.
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

/// The line of an error, if it has one, and what is wrong there. Never the line itself: there may be a secret on it.
pub fn place(error: &serde_saphyr::Error) -> (Option<u64>, String) {
    let line = error.location().map(|at| at.line()).filter(|line| *line > 0);
    let text = error.without_snippet().to_string();
    let reason = text.lines().next().unwrap_or_default();
    // The line is told already.
    let reason = reason.split_once(" at line ").map_or(reason, |(reason, _)| reason);
    (line, reason.to_owned())
}

/// `null` is what is not given.
///
/// # Errors
/// The value is neither `null` nor a `T`.
pub fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// The documents of a file, each with the number of lines before it. A line of three hyphens or dots ends one wherever
/// it stands: YAML allows neither at the start of a line within a document, and JSON knows no such line.
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

/// How many lines of blanks, comments and directives a document begins with; nothing if there is nothing else.
pub fn blank_lines(document: &str) -> Option<u64> {
    let content =
        document.lines().position(|l| !(l.trim().is_empty() || l.trim_start().starts_with('#') || l.starts_with('%')));
    content.map(|lines| lines as u64)
}
