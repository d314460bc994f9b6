//! Parts that all YAML files of settings share: documents, `null`, and the places of errors.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::shown;

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
            write!(f, ": {}", shown::value(key))?;
        }
        write!(f, ": {}", shown::line(&self.reason))
    }
}

/// A fault in a text, and its place. Never contains the text of the line, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: Option<u64>,
    /// The key on that line, if the line has one.
    pub key: Option<String>,
    /// The fault, and the expected form.
    pub reason: String,
}

impl Problem {
    /// The problem as an error in `file`.
    pub fn in_file(self, file: &Path) -> FileError {
        FileError { file: file.to_owned(), line: self.line, key: self.key, reason: self.reason }
    }
}

/// The maximum depth of values, which protects the stack.
const MAX_DEPTH: usize = 64;
/// The maximum number of parser events that aliases may repeat. The largest known configurations need a few thousand; nested
/// aliases multiply without a limit.
const MAX_REPEATED_EVENTS: usize = 50_000;

/// Returns the options with which all settings are read. Their files come from the user and have a maximum size
/// ([`crate::file`]), so only aliases and the depth have limits.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_events: usize::MAX, max_nodes: usize::MAX },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED_EVENTS },
        with_snippet: false,
    }
}

/// Reads one YAML document.
///
/// # Errors
/// The text is not one YAML document, or not a `T`.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Problem> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| problem(&error, text))
}

/// Reads all YAML documents.
///
/// # Errors
/// The text is not YAML, or a document is not a `T`.
pub fn from_multiple<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Problem> {
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| problem(&error, text))
}

/// Reads one YAML document with `read`.
///
/// # Errors
/// The text is not YAML, or `read` fails.
pub fn read_with<T>(
    text: &str,
    read: impl for<'de> FnOnce(serde_saphyr::Deserializer<'de, '_>) -> Result<T, serde_saphyr::Error>,
) -> Result<T, Problem> {
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), read).map_err(|error| problem(&error, text))
}

/// Explains an error of the parser in one sentence.
pub fn problem(error: &serde_saphyr::Error, text: &str) -> Problem {
    let line = error.location().map(|at| at.line()).filter(|line| *line > 0);
    let error = match error.without_snippet() {
        serde_saphyr::Error::AliasError { error, .. } => error,
        error => error,
    };
    let key = match error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => Some(shown::value(key)),
        _ => line.and_then(|line| key_on(text, line)),
    };
    Problem { line, key, reason: reason(error) }
}

/// Returns the key at the start of a line, also in an item of a list or in a map in braces.
fn key_on(text: &str, line: u64) -> Option<String> {
    let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let (key, _) = line.split_once(':')?;
    let key = key.trim_matches(|c: char| c.is_whitespace() || "-{[\"'".contains(c));
    let is_key =
        !key.is_empty() && key.len() <= 100 && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    is_key.then(|| key.to_owned())
}

fn reason(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    match error {
        E::Message { msg, .. } | E::ExternalMessage { msg, .. } | E::SerdeVariantId { msg, .. } => message(msg),
        E::Eof { .. } => "the content ends too early; expected a value".to_owned(),
        E::MultipleDocuments { .. } => "more than one YAML document; expected one".to_owned(),
        E::Unexpected { expected, .. } => format!("expected {}", type_name(expected)),
        E::InvalidScalar { ty, .. } => format!("expected {}", type_name(ty)),
        E::SerdeInvalidType { unexpected, expected, .. } => {
            format!("expected {}, found {}", type_name(expected), found(unexpected))
        }
        E::SerdeInvalidValue { expected, .. } => format!("expected {}", type_name(expected)),
        E::SerdeInvalidLength { len, expected, .. } => format!("expected {expected}, found {len} items"),
        E::InvalidBooleanStrict { .. } => "expected true or false".to_owned(),
        E::NullIntoString { .. } | E::InvalidCharNull { .. } => "expected text, found no value".to_owned(),
        E::TaggedScalarCannotDeserializeIntoString { .. } => "expected text without a YAML tag".to_owned(),
        E::UnexpectedSequenceEnd { .. }
        | E::UnexpectedMappingEnd { .. }
        | E::UnexpectedContainerEndWhileSkippingNode { .. }
        | E::UnexpectedContainerEndWhileReadingKeyNode { .. }
        | E::ContainerEndMismatch { .. } => "a bracket or brace closes nothing".to_owned(),
        E::UnexpectedValueForUnit { .. } => "expected no value".to_owned(),
        E::SerdeUnknownField { expected, .. } => {
            format!("unknown key; expected one of: {}", expected.join(", "))
        }
        E::SerdeUnknownVariant { expected, .. } => format!("expected one of: {}", expected.join(", ")),
        E::SerdeMissingField { field, .. } => format!("missing key {field}"),
        E::DuplicateMappingKey { .. } => "the key is given twice; remove one of them".to_owned(),
        E::UnknownAnchor { .. } => "the alias has no anchor before it".to_owned(),
        E::RecursiveReferencesRequireWeakTypes { .. } => "the alias is part of its own anchor".to_owned(),
        E::AliasReplayCounterOverflow { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => {
            "the aliases expand to too many values; write the values out".to_owned()
        }
        E::Budget { breach: serde_saphyr::budget::BudgetBreach::Depth { depth }, .. } => {
            format!("values are nested deeper than {} levels", depth.saturating_sub(1))
        }
        E::Budget { .. } => "too many values, aliases or anchors for a configuration".to_owned(),
        E::InvalidUtf8Input | E::BinaryNotUtf8 { .. } => "not UTF-8".to_owned(),
        E::InvalidBinaryBase64 { .. } => "expected base64 after !!binary".to_owned(),
        E::MergeValueNotMapOrSeqOfMaps { .. } => "expected a map, or a list of maps, after <<".to_owned(),
        E::MergeKeyNotAllowed { .. } => "the merge key << is not supported".to_owned(),
        E::FoldedBlockScalarMustIndentContent { .. } | E::IndentationError { .. } => {
            "the indentation is not valid; indent by spaces, and items of one level alike".to_owned()
        }
        E::UnsupportedTag { .. } | E::TaggedEnumMismatch { .. } | E::TaggedStructFieldName { .. } => {
            "the YAML tag is not supported; remove it".to_owned()
        }
        _ => "not valid YAML".to_owned(),
    }
}

/// Returns a message of a parser or of a type. The texts of the parser are talk about its inside, so a few are replaced, and
/// quoted values are left out of all.
fn message(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.split_once(" at line ").map_or(text, |(text, _)| text);
    if let Some((_, expected)) = text.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("expected {}", type_name(expected));
    }
    if let Some((_, expected)) = text.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("expected {}", type_name(expected));
    }
    for (part, meaning) in [
        ("recursion limit", "values are nested too deeply"),
        ("flow nesting", "values are nested too deeply"),
        ("unclosed bracket", "a bracket or brace is not closed"),
        ("bracket", "a bracket or brace closes nothing, or another one"),
        ("unclosed quote", "a quotation mark is not closed"),
        (
            "quoted",
            "the quoted text is not valid; expected valid escapes, and nothing behind the closing quotation mark",
        ),
        ("tab", "a tab in the indentation; indent by spaces"),
        ("flow sequence", "the list in brackets is not valid; expected commas and a closing bracket"),
        ("flow mapping", "the map in braces is not valid; expected commas and a closing brace"),
        ("block mapping", "expected a key with a colon, indented like its neighbours"),
        ("block sequence", "expected an item of the list, indented like its neighbours"),
        ("block collection", "expected an item of the list, indented like its neighbours"),
        ("simple key", "expected a key with a colon"),
        ("mapping keys are not allowed", "expected a key with a colon, indented like its neighbours"),
        ("mapping values are not allowed", "a second colon on the line; quote the value"),
        ("':' indicator", "a colon in an unexpected place; quote the value"),
        ("invalid indentation", "the indentation is not valid; indent items of one level alike"),
        ("node content", "expected a value"),
        ("plain scalar", "the value is not valid; quote it"),
        ("unexpected character", "a character that YAML reserves; quote the value"),
        ("anchor", "the anchor or alias is not valid; quote the value if it begins with & or *"),
        ("alias", "the anchor or alias is not valid; quote the value if it begins with & or *"),
        ("directive", "the line that begins with % is not valid; remove it"),
        ("tag", "the YAML tag is not valid; quote the value if it begins with an exclamation mark"),
        ("document", "more than one YAML document, or a marker in an unexpected place"),
        ("block scalar", "the text after | or > is not valid; indent it"),
        ("comments must be", "expected a blank before #"),
        ("did not match any variant", "the value has none of the expected forms"),
    ] {
        if text.contains(part) {
            return meaning.to_owned();
        }
    }
    "not valid YAML".to_owned()
}

/// Returns the name of a type in the words of users.
fn type_name(of: &str) -> &str {
    match of {
        "mapping start" | "mapping" | "a map" | "map" | "a mapping" => "a map of keys and values",
        "sequence start" | "sequence" | "a sequence" | "sequence item" => "a list",
        "string" | "a string" | "string scalar" | "scalar" | "a scalar" | "str" => "text",
        "bool" | "a boolean" | "boolean" => "true or false",
        "f32" | "f64" | "float" | "floating point" => "a number",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "integer" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number from 0",
        // Types of serde's derived code begin with this.
        _ if of.starts_with("struct ") || of.contains("Spanned") => "a map of keys and values",
        other => other,
    }
}

/// Returns the type of a value that serde describes, without the value.
fn found(unexpected: &str) -> &'static str {
    match unexpected.split([' ', '`', '(']).next().unwrap_or_default() {
        "map" => "a map",
        "sequence" => "a list",
        "string" | "character" | "str" => "text",
        "boolean" | "bool" => "true or false",
        "integer" | "floating" => "a number",
        "null" | "unit" | "Option" => "no value",
        _ => "another value",
    }
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
