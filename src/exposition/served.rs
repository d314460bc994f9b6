//! The resources that are served together. A scrape keeps the list with which it began.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::gzip::Deflated;
use super::header::Header;
use super::resource::ResourceStore;

/// A family of the exposition with all resources that have series of it: families of the same name are joined.
#[derive(Debug)]
pub(super) struct JoinedFamily {
    pub header: Header,
    /// HELP and TYPE, compressed: for text, then for OpenMetrics.
    pub deflated: [OnceLock<Deflated>; 2],
    /// The resources, with the index of the family in their tables.
    pub members: Vec<(usize, u16)>,
}

/// The resources that are served together, and their families.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub resources: Vec<Arc<ResourceStore>>,
    pub families: Vec<JoinedFamily>,
}

impl Served {
    pub fn new(resources: Vec<Arc<ResourceStore>>) -> Self {
        let mut families: Vec<JoinedFamily> = Vec::new();
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for (resource, store) in resources.iter().enumerate() {
            for (index, header) in (0_u16..).zip(store.headers()) {
                let at = *by_name.entry(&header.name).or_insert_with(|| {
                    families.push(JoinedFamily {
                        header: header.clone(),
                        deflated: Default::default(),
                        members: Vec::new(),
                    });
                    families.len() - 1
                });
                families[at].members.push((resource, index));
            }
        }
        Self { resources, families }
    }
}
