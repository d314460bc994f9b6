//! `render`: prints the metrics of objects in files, as a single replica with the same flags would serve them.
//!
//! [`input`] parses documents into objects. Each object passes the selectors and the collector of its kind into a store, which
//! is printed at the end.

mod custom;
pub(super) mod input;
mod kinds;
mod target;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::output::print_line;
use super::progress::Progress;
use crate::collectors::labels::{KeyFilter, of_namespace};
use crate::exposition::{Format, NamespaceLabels, Selection, Store};
use crate::file::{self, DUMP_BYTES, ReadError};
use crate::intake::mend::lossy;
use crate::settings::Settings;
use crate::sharding::Slice;

use input::InputError;
use kinds::{Kinds, Outcome};

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderError {
    /// The file could not be read.
    #[error("{}: {reason}", name(file))]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: ReadError,
    },
    /// The content is not valid.
    #[error("{}: {reason}", name(file))]
    Input {
        /// The file.
        file: PathBuf,
        /// Which document, and why.
        reason: InputError,
    },
    /// The metrics could not be printed.
    #[error("writing the output failed: {0}")]
    Output(io::Error),
}

/// The name of a file in messages.
pub(super) fn name(file: &Path) -> String {
    if is_standard_input(file) { "standard input".to_owned() } else { file.display().to_string() }
}

/// Whether a file name stands for standard input.
pub(super) fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Prints the metrics of the objects in `files` to `out`, and skipped objects to `err`.
///
/// Returns whether each object of a kind with a collector could be read.
pub(super) fn render(
    settings: &Settings,
    files: &[PathBuf],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, RenderError> {
    let (store, all_read) = filled(settings, files, err)?;
    for chunk in store.scrape(&Selection::All, Format::Text, &Slice::all()) {
        out.write_all(&chunk).map_err(RenderError::Output)?;
    }
    out.flush().map_err(RenderError::Output)?;
    Ok(all_read)
}

/// Returns a store with the objects in `files`, and whether each object of a kind with a collector could be read. Prints skipped
/// objects, and those without some fields, to `err`.
pub(super) fn filled(
    settings: &Settings,
    files: &[PathBuf],
    err: &mut dyn Write,
) -> Result<(Store, bool), RenderError> {
    let texts = files.iter().map(|file| {
        let read = read_counting(file, DUMP_BYTES).map_err(|reason| RenderError::File { file: file.clone(), reason });
        Ok((file, read?))
    });
    // The Namespaces may come after their objects, and standard input can be read once.
    let promotes = settings.live.promote_namespace_labels != KeyFilter::None;
    if promotes || settings.live.namespace_selector.is_some() {
        let texts = texts.collect::<Result<Vec<_>, RenderError>>()?;
        let mut selected = settings.clone();
        let (names, promoted) = namespaces(settings, &texts)?;
        selected.live.selected_namespaces = settings.live.namespace_selector.is_some().then_some(names);
        return fill(&selected, promotes.then_some(promoted), texts.into_iter().map(Ok), err);
    }
    fill(settings, None, texts, err)
}

/// A file, its text, and the number of bytes that were not UTF-8.
type Text<'a> = (&'a PathBuf, (String, u64));

/// Returns the names of the Namespaces in `texts` that `--namespace-selector` selects, and the labels of all that
/// `--promote-namespace-labels` includes.
fn namespaces(settings: &Settings, texts: &[Text<'_>]) -> Result<(Vec<String>, NamespaceLabels), RenderError> {
    let (mut names, mut labels) = (Vec::new(), BTreeMap::new());
    for (file, (text, _)) in texts {
        input::objects(text, |_, object| {
            names.extend(kinds::selected_namespace(settings, &object));
            labels.extend(kinds::namespace_labels(&object));
        })
        .map_err(|reason| RenderError::Input { file: (*file).clone(), reason })?;
    }
    let keys = &settings.live.promote_namespace_labels;
    let promoted = NamespaceLabels::new(labels.iter().map(|(name, of)| (name.as_str(), of_namespace(of, keys))));
    Ok((names, promoted))
}

fn fill<'a>(
    settings: &Settings,
    promoted: Option<NamespaceLabels>,
    texts: impl Iterator<Item = Result<Text<'a>, RenderError>>,
    err: &mut dyn Write,
) -> Result<(Store, bool), RenderError> {
    let mut kinds = Kinds::new(settings, promoted);
    let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
    let mut all_read = true;
    let (mut progress, mut count) = (Progress::new(), 0_u64);
    for text in texts {
        let (file, (text, not_utf8)) = text?;
        let halves = input::objects(&text, |position, object| {
            count += 1;
            progress.report(|| format!("{}: {count} objects read", name(file)));
            match kinds.take(object) {
                Outcome::Taken => {}
                Outcome::NoCollector(kind) => *skipped.entry(kind).or_default() += 1,
                Outcome::TakenInPart(reason) => print_line(err, &format!("{}: {position}: {reason}", name(file))),
                Outcome::Unreadable(reason) => {
                    all_read = false;
                    print_line(err, &format!("{}: {position}: {reason}", name(file)));
                }
            }
        })
        .map_err(|reason| RenderError::Input { file: file.clone(), reason })?;
        if not_utf8 + halves > 0 {
            print_line(
                err,
                &format!("{}: characters that are not Unicode, replaced by U+FFFD: {}", name(file), not_utf8 + halves),
            );
        }
    }
    if !skipped.is_empty() {
        let counts: Vec<_> = skipped.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        print_line(err, &format!("skipped: no collector for {}", counts.join(", ")));
    }
    for remark in kinds.remarks() {
        print_line(err, &remark);
    }
    Ok((kinds.into_store(), all_read))
}

/// Reads a file or a pipe, or standard input for `-`.
pub(super) fn read(file: &Path) -> Result<String, ReadError> {
    read_within(file, DUMP_BYTES)
}

/// The same with another limit in bytes.
pub(super) fn read_within(file: &Path, maximum: u64) -> Result<String, ReadError> {
    read_counting(file, maximum).map(|(text, _)| text)
}

/// Reads a file as [`read`] does. Returns also the number of bytes that were not UTF-8.
fn read_counting(file: &Path, maximum: u64) -> Result<(String, u64), ReadError> {
    if is_standard_input(file) {
        return text(file::read_stream(io::stdin().lock(), maximum)?);
    }
    text(file::read_or_pipe(file, maximum)?)
}

/// Replaces single bytes that are not UTF-8, as Go does. A file with NUL has another encoding, or is compressed.
fn text(bytes: Vec<u8>) -> Result<(String, u64), ReadError> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok((text, 0)),
        Err(error) => error.into_bytes(),
    };
    if bytes.contains(&0) {
        return Err(ReadError::NotUtf8);
    }
    let replaced: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    Ok((lossy(&bytes).into_owned(), replaced as u64))
}
