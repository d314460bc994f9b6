//! `estimate`: what a cluster's metrics amount to, before they are scraped: series, bytes, labels, memory, and how many replicas
//! to run.
//!
//! The objects of files, or of a live cluster, fill the same store that a replica serves; then it is weighed rather than guessed:
//! what is kept is asked of the store, what is sent is printed and deflated once. [`load`] fills it from a cluster, [`tally`] is the
//! pure count of an exposition, [`report`] prints.

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
use report::{Entry, Family, Label, Replicas, Report, Resource};
use tally::Tally;

/// Above so many replicas, more would not help: the HELP and TYPE lines of each are what is too big.
const MOST_REPLICAS: u32 = 1024;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub(super) enum EstimateError {
    #[error(transparent)]
    Files(#[from] RenderError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Prints what the objects of files, or without files of the live cluster, amount to. Whether all could be read.
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
    // Once, so that what is deflated is there to be weighed.
    let gzip_bytes = size(store.scrape(&Selection::All, Format::Text, &Slice::all()).gzipped());
    let resources: Vec<_> = store.resources().iter().map(|resource| weigh_resource(store, resource)).collect();
    let sum = |of: fn(&Resource) -> u64| resources.iter().map(of).sum::<u64>();
    let hasher = if settings.server_side_sharding { Hasher::Fnv1a64 } else { Hasher::XxHash64 };
    Report {
        objects: sum(|r| r.objects),
        series: sum(|r| r.series),
        text_bytes: size(store.scrape(&Selection::All, Format::Text, &Slice::all())),
        gzip_bytes,
        memory_bytes: sum(|r| r.memory_bytes),
        entries: entries(settings, &resources),
        replicas: replicas(store, hasher, limit),
        resources,
    }
}

fn weigh_resource(store: &Store, resource: &ResourceStore) -> Resource {
    let mut tally = Tally::default();
    let only = Selection::Only(BTreeSet::from([resource.name().to_owned()]), BTreeSet::new());
    store.scrape(&only, Format::Text, &Slice::all()).for_each(|chunk| tally.read(&chunk));
    let footprint = resource.footprint();
    let names = resource.headers().iter().map(|header| header.name.clone());
    let families: Vec<_> = names
        .zip(&footprint.families)
        .map(|(name, kept)| {
            let counted = tally.families.get(&name).copied().unwrap_or_default();
            let memory_bytes = (kept.series + kept.deflated) as u64;
            Family {
                series: counted.series,
                text_bytes: counted.bytes,
                gzip_bytes: kept.deflated as u64,
                memory_bytes,
                name,
            }
        })
        .collect();
    let sum = |of: fn(&Family) -> u64| families.iter().map(of).sum::<u64>();
    Resource {
        name: resource.name().to_owned(),
        objects: footprint.objects as u64,
        series: sum(|f| f.series),
        text_bytes: sum(|f| f.text_bytes),
        gzip_bytes: sum(|f| f.gzip_bytes),
        memory_bytes: sum(|f| f.memory_bytes) + footprint.shared as u64,
        labels: tally
            .labels
            .into_iter()
            .map(|(name, label)| Label {
                name,
                values: label.values.len() as u64,
                series: label.series,
                text_bytes: label.bytes,
            })
            .collect(),
        families,
    }
}

/// What the entries of the lists of labels and annotations add, and those of the list of families.
fn entries(settings: &Settings, resources: &[Resource]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for resource in resources {
        let name = resource.name.as_str();
        for label in &resource.labels {
            // A promoted one is on every series of its object, not on one.
            let promoted = settings.promoted.contains_key(name) && label.series > resource.objects;
            let flag = match label.name.split_once('_') {
                Some(("label", _)) if promoted => "--promote-labels",
                Some(("label", _)) if settings.labels.contains_key(name) => "--metric-labels-allowlist",
                Some(("annotation", _)) if settings.annotations.contains_key(name) => "--metric-annotations-allowlist",
                _ => continue,
            };
            let entry = format!("{name}: {}", label.name);
            entries.push(Entry { flag, entry, series: label.series, text_bytes: label.text_bytes });
        }
    }
    let families = || resources.iter().flat_map(|resource| &resource.families);
    for (entry, allows) in settings.families.allowed() {
        let matching = || families().filter(|family| allows(&family.name));
        entries.push(Entry {
            flag: "--metric-allowlist",
            entry: entry.to_owned(),
            series: matching().map(|family| family.series).sum(),
            text_bytes: matching().map(|family| family.text_bytes).sum(),
        });
    }
    entries
}

/// The smallest fleet of which each replica's scrape is no bigger than `limit`.
fn replicas(store: &Store, hasher: Hasher, limit: u64) -> Replicas {
    let of_shard = |slice: &Slice| size(store.scrape(&Selection::All, Format::Text, slice));
    let (all, fixed) = (of_shard(&Slice::all()), of_shard(&Slice::none()));
    let mut count = match limit.checked_sub(fixed).filter(|room| *room > 0) {
        Some(room) => (all - fixed).div_ceil(room).max(1),
        None if all <= limit => 1,
        None => u64::MAX,
    };
    // Shards differ a little in size, so the biggest decides.
    while let Ok(total) = u32::try_from(count)
        && total <= MOST_REPLICAS
        && let Ok(assignment) = Assignment::new(total)
    {
        let biggest = (0..total).map(|shard| of_shard(&Slice::of(hasher, assignment.ranges(shard)))).max().unwrap_or(0);
        if biggest <= limit {
            return Replicas { scrape_size: limit, count: Some(total), largest_text_bytes: biggest };
        }
        count += (count / 50).max(1);
    }
    Replicas { scrape_size: limit, count: None, largest_text_bytes: all }
}

fn size(scrape: impl Iterator<Item = bytes::Bytes>) -> u64 {
    scrape.map(|chunk| chunk.len() as u64).sum()
}
