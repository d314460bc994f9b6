//! Settings other than resources that can change while a replica runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arc_swap::ArcSwap;

use crate::settings::{Feature, Settings};

/// The enabled features, which the status page shows.
pub(super) type SharedFeatures = Arc<ArcSwap<Vec<Feature>>>;

/// The current values.
#[derive(Clone, Debug)]
pub(super) struct LiveSettings {
    pub gzip: Arc<AtomicBool>,
    /// [`Settings::reads_all`].
    pub reads_all: Arc<AtomicBool>,
    pub features: SharedFeatures,
}

impl LiveSettings {
    /// Starts with the values of `settings`.
    pub fn new(settings: &Settings) -> Self {
        Self {
            gzip: Arc::new(settings.live.enable_gzip_encoding.into()),
            reads_all: Arc::new(settings.reads_all().into()),
            features: Arc::new(ArcSwap::from_pointee(settings.features())),
        }
    }

    /// Changes all values to those of `settings`.
    pub fn set(&self, settings: &Settings) {
        self.gzip.store(settings.live.enable_gzip_encoding, Relaxed);
        self.reads_all.store(settings.reads_all(), Relaxed);
        self.features.store(Arc::new(settings.features()));
    }
}
