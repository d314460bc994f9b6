//! `estimate`: measures the metrics of a cluster before it is scraped: series, bytes, labels, memory, and the number of replicas.
//!
//! It fills the same store that a replica serves, with objects from files or a live cluster, and measures it instead of guessing:
//! the store reports its memory, and the exposition is printed and compressed once. [`load`] fills the store from a cluster,
//! [`tally`] counts an exposition without I/O, and [`report`] prints.

mod load;
mod report;
mod tally;

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::cli::{Estimate, Output};
use super::render::{self, RenderError};
use crate::exposition::{Format, ResourceStore, Selection, Store};
use crate::settings::Settings;
use crate::sharding::{Assignment, Hasher, Slice};
use load::LoadError;
use report::{Entry, Family, Label, Replicas, Report, Resource, Weight};
use tally::Tally;

/// Maximum number of replicas to try. If more were needed, the HELP and TYPE lines alone would exceed the limit.
const MAX_REPLICAS: u32 = 1024;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub(super) enum EstimateError {
    #[error(transparent)]
    Files(#[from] RenderError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

/// Prints the estimate for the objects in files, or for the live cluster if there are no files.
///
/// Returns whether all objects could be read.
pub(super) fn run(
    settings: &Settings,
    arguments: &Estimate,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, EstimateError> {
    let (report, whole) = if arguments.files.is_empty() {
        load::with_cluster(settings, err, |store| weigh(&store, settings, arguments.scrape_size))?
    } else {
        let (store, whole) = render::filled(settings, &arguments.files, err)?;
        (weigh(&store, settings, arguments.scrape_size), whole)
    };
    match arguments.output {
        Output::Table => report::table(out, &report)?,
        Output::Json => report::json(out, &report)?,
    }
    Ok(whole)
}

fn weigh(store: &Store, settings: &Settings, limit: u64) -> Report {
    // NB: before the resources are weighed, since it fills the caches of compressed text, which count as memory.
    let gzip_bytes = size(store.scrape(&Selection::All, Format::Text, &Slice::all()).gzipped());
    let text_bytes = size_of_shard(store, &Slice::all());
    let resources: Vec<_> = store.resources().iter().map(|resource| weigh_resource(store, resource)).collect();
    let weight: Weight = resources.iter().map(|resource| resource.weight).sum();
    let headers = Weight {
        text_bytes: text_bytes.saturating_sub(weight.text_bytes),
        gzip_bytes: gzip_bytes.saturating_sub(weight.gzip_bytes),
        ..Weight::default()
    };
    Report {
        objects: resources.iter().map(|resource| resource.objects).sum(),
        weight: Weight { text_bytes, gzip_bytes, ..weight },
        headers,
        entries: entries(settings, &resources),
        replicas: replicas(store, settings.hasher(), text_bytes, limit),
        resources,
    }
}

fn weigh_resource(store: &Store, resource: &ResourceStore) -> Resource {
    let mut tally = Tally::default();
    let only = Selection::Only(BTreeSet::from([resource.name().to_owned()]), BTreeSet::new());
    store.scrape(&only, Format::Text, &Slice::all()).for_each(|chunk| tally.read(&chunk));
    let footprint = resource.footprint();
    let families = resource.headers().iter().zip(&footprint.families).map(|(header, kept)| {
        let counted = tally.families.get(&header.name).copied().unwrap_or_default();
        let weight = Weight {
            series: counted.series,
            text_bytes: counted.bytes,
            gzip_bytes: kept.deflated as u64,
            memory_bytes: (kept.series + kept.deflated) as u64,
        };
        Family { name: header.name.clone(), weight }
    });
    let families: Vec<_> = families.collect();
    let shared = Weight { memory_bytes: footprint.shared as u64, ..Weight::default() };
    let labels = tally.labels.into_iter().map(|(name, label)| Label {
        name,
        values: label.values.len() as u64,
        series: label.series,
        text_bytes: label.bytes,
    });
    Resource {
        name: resource.name().to_owned(),
        objects: footprint.objects as u64,
        shared_memory_bytes: shared.memory_bytes,
        weight: families.iter().map(|family| family.weight).chain([shared]).sum(),
        labels: labels.collect(),
        families,
    }
}

/// Returns the series and bytes that each entry of the allowlists of labels, annotations and families adds.
fn entries(settings: &Settings, resources: &[Resource]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for resource in resources {
        let name = resource.name.as_str();
        for label in &resource.labels {
            // A promoted label is on every series of its object, other labels on one.
            let promoted = settings.live.promoted.contains_key(name) && label.series > resource.objects;
            let flag = match label.name.split_once('_') {
                Some(("namespace", key)) if key.starts_with("label_") => "--promote-namespace-labels",
                Some(("label", _)) if promoted => "--promote-labels",
                Some(("label", _)) if settings.live.labels.contains_key(name) => "--metric-labels-allowlist",
                Some(("annotation", _)) if settings.live.annotations.contains_key(name) => {
                    "--metric-annotations-allowlist"
                }
                _ => continue,
            };
            let entry = format!("{name}: {}", label.name);
            entries.push(Entry { flag, entry, series: label.series, text_bytes: label.text_bytes });
        }
    }
    let families = || resources.iter().flat_map(|resource| &resource.families);
    for (entry, allows) in settings.live.families.allowed() {
        let matching = || families().filter(|family| allows(&family.name));
        entries.push(Entry {
            flag: "--metric-allowlist",
            entry: entry.to_owned(),
            series: matching().map(|family| family.weight.series).sum(),
            text_bytes: matching().map(|family| family.weight.text_bytes).sum(),
        });
    }
    entries
}

/// Returns the smallest number of replicas with which no scrape exceeds `limit` bytes. `all` is the size with one replica.
fn replicas(store: &Store, hasher: Hasher, all: u64, limit: u64) -> Replicas {
    if all <= limit {
        return Replicas { scrape_size: limit, count: Some(1), largest_text_bytes: all };
    }
    let fixed = size_of_shard(store, &Slice::none());
    let room = limit.saturating_sub(fixed);
    let mut count = if room == 0 { u64::MAX } else { (all - fixed).div_ceil(room) };
    // Shards differ slightly in size, so the largest decides.
    while let Ok(total) = u32::try_from(count)
        && total <= MAX_REPLICAS
        && let Ok(assignment) = Assignment::new(total)
    {
        let shards = (0..total).map(|shard| size_of_shard(store, &Slice::of(hasher, assignment.ranges(shard))));
        let largest = shards.max().unwrap_or(0);
        if largest <= limit {
            return Replicas { scrape_size: limit, count: Some(total), largest_text_bytes: largest };
        }
        count += (count / 50).max(1);
    }
    Replicas { scrape_size: limit, count: None, largest_text_bytes: all }
}

/// Returns the size of an uncompressed scrape of a replica that exposes `slice`.
fn size_of_shard(store: &Store, slice: &Slice) -> u64 {
    size(store.scrape(&Selection::All, Format::Text, slice))
}

fn size(scrape: impl Iterator<Item = bytes::Bytes>) -> u64 {
    scrape.map(|chunk| chunk.len() as u64).sum()
}
