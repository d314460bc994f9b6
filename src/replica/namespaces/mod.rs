//! The resources of a replica whose settings depend on Namespaces: `--namespace-selector`.
//!
//! Every replica then watches all Namespaces, and the settings that the resources get name the selected ones. A change of them changes
//! the partitions of running resources. Without such a setting, nothing is watched, and the resources follow the settings directly.

mod known;

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::builtin;
use super::custom::CustomResources;
use super::resources::{Group, Resources, Rollout};
use super::tasks::Spawner;
use crate::intake::{self, Endpoint, Form, ShardState, Sink, Source, Status};
use crate::settings::Settings;
use crate::sharding::Slice;
use crate::shown;
use crate::sync::{lock, watch};
use known::{KnownNamespaces, NamespaceSink, Namespaces};

/// Each selected namespace costs one list and watch per resource.
const MANY: usize = 500;

/// Gives the resources of a replica their settings.
pub(super) struct FollowedNamespaces {
    resources: Arc<Resources>,
    custom: Arc<CustomResources>,
    client: kube::Client,
    spawner: Spawner,
    /// `None` while the settings do not depend on Namespaces. Whoever sets resources holds this lock, so that a selector that was
    /// stopped sets nothing afterwards.
    active: Arc<Mutex<Option<Active>>>,
}

/// A running watch of Namespaces.
struct Active {
    /// Number of the cluster.
    cluster: u32,
    settings: watch::Sender<Arc<Settings>>,
    /// Stops it.
    _stop: DropGuard,
}

impl FollowedNamespaces {
    /// Starts without settings.
    pub fn new(
        resources: Arc<Resources>,
        custom: Arc<CustomResources>,
        client: kube::Client,
        spawner: Spawner,
    ) -> Self {
        Self { resources, custom, client, spawner, active: Arc::default() }
    }

    /// Serves what `settings` ask for, from the cluster of this number. With `--namespace-selector`, once the Namespaces are known.
    /// The previous resources are served until then.
    ///
    /// # Errors
    /// A thread for Secrets does not start. The resources stay as they are.
    pub fn follow(&self, settings: &Settings, cluster: u32) -> std::io::Result<()> {
        let mut active = lock(&self.active);
        if settings.live.namespace_selector.is_none() {
            *active = None;
            return apply(&self.resources, &self.custom, settings, cluster);
        }
        match &*active {
            Some(active) if active.cluster == cluster => drop(active.settings.send_replace(Arc::new(settings.clone()))),
            _ => *active = Some(self.start(settings, cluster)),
        }
        Ok(())
    }

    fn start(&self, settings: &Settings, cluster: u32) -> Active {
        let (changed, conditions) = watch::channel(());
        let source = source(settings, ShardState::new(Slice::all()).notifying(changed));
        let shard = Arc::clone(&source.shard);
        let known = Namespaces::new();
        let namespaces = known.namespaces();
        let sinks = [(); 2].map(|()| Box::new(NamespaceSink(Arc::clone(&known))) as Box<dyn Sink>);
        let stop = self.spawner.stop_token().child_token();
        let watch = intake::run(self.client.clone(), source, sinks, Arc::new(Status::default()), stop.clone());
        self.spawner.spawn_until(stop.clone(), "watch-selected-namespaces".to_owned(), watch);
        let settings = watch::Sender::new(Arc::new(settings.clone()));
        let selector = NamespaceSelector {
            settings: settings.subscribe(),
            cluster,
            resources: Arc::clone(&self.resources),
            custom: Arc::clone(&self.custom),
            shard,
            namespaces,
            conditions,
            active: Arc::clone(&self.active),
            stop: stop.clone(),
        };
        let until = stop.clone();
        self.spawner.spawn_until(stop.clone(), "namespace-selector".to_owned(), async move {
            until.run_until_cancelled(selector.run()).await;
        });
        Active { cluster, settings, _stop: stop.drop_guard() }
    }
}

impl fmt::Debug for FollowedNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowedNamespaces").finish_non_exhaustive()
    }
}

fn apply(resources: &Resources, custom: &CustomResources, settings: &Settings, cluster: u32) -> std::io::Result<()> {
    // The log says when the set is served.
    drop(resources.set(Group::BuiltIn, builtin::specs(settings, cluster), Rollout::Atomic)?);
    custom.follow(settings, cluster);
    Ok(())
}

/// The source of Namespaces.
fn source(settings: &Settings, shard: ShardState) -> Source {
    Source {
        endpoint: Endpoint {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            plural: "namespaces".to_owned(),
            namespaced: false,
            form: Form::Object,
            // They are small, seldom change, and are read without the field tables.
            protobuf: false,
        },
        namespace: None,
        field_selector: String::new(),
        label_selector: String::new(),
        shard: Arc::new(shard),
        server_side: false,
        audited: false,
        use_cache: settings.live.use_apiserver_cache,
        object_limit: 0,
        batch_delay: settings.live.event_batch_delay,
    }
}

/// Selects namespaces.
struct NamespaceSelector {
    settings: watch::Receiver<Arc<Settings>>,
    cluster: u32,
    resources: Arc<Resources>,
    custom: Arc<CustomResources>,
    /// The shard state of the Namespaces, of which every replica reads all.
    shard: Arc<ShardState>,
    namespaces: watch::Receiver<KnownNamespaces>,
    /// Ticks when the API server starts or stops refusing the Namespaces.
    conditions: watch::Receiver<()>,
    active: Arc<Mutex<Option<Active>>>,
    /// Stops it.
    stop: CancellationToken,
}

impl NamespaceSelector {
    /// Runs until it is stopped.
    async fn run(mut self) -> Infallible {
        let (mut is_new, mut was_refused) = (true, false);
        let mut selected: Option<Vec<String>> = None;
        loop {
            // Not marked as seen: what changed since the wait has its turn at the next one.
            let known = self.namespaces.borrow().clone();
            let settings = Arc::clone(&self.settings.borrow());
            self.conditions.mark_unchanged();
            let is_refused = self.shard.is_refused();
            if is_refused && !was_refused {
                warn!(
                    "missing permission: list and watch namespaces; --namespace-selector needs it, and {}",
                    if selected.is_some() {
                        "the selected namespaces stay as they are"
                    } else {
                        "nothing is served without it"
                    }
                );
            }
            was_refused = is_refused;
            if let Some(known) = known {
                let now = select(&settings, &known);
                if is_new || selected.as_ref() != Some(&now) {
                    self.decide(&settings, &now);
                    selected = Some(now);
                }
            }
            is_new = false;
            let changed = tokio::select! {
                biased;
                changed = self.settings.changed() => {
                    is_new = true;
                    changed
                }
                changed = self.namespaces.changed() => changed,
                changed = self.conditions.changed() => changed,
            };
            if changed.is_err() {
                // The sender is gone, so this task is about to be stopped as well.
                return pending().await;
            }
        }
    }

    fn decide(&self, settings: &Settings, selected: &[String]) {
        let named = shown::few(selected, 10, ", ", Clone::clone);
        info!(count = selected.len(), namespaces = named, "selected namespaces");
        if selected.len() > MANY {
            warn!(
                count = selected.len(),
                "--namespace-selector selects many namespaces, and each costs a list and watch per resource; \
                 --namespaces-denylist excludes a few with one watch"
            );
        }
        let mut settings = settings.clone();
        settings.live.selected_namespaces = Some(selected.to_vec());
        let _no_change = lock(&self.active);
        if self.stop.is_cancelled() {
            return;
        }
        if let Err(error) = apply(&self.resources, &self.custom, &settings, self.cluster) {
            warn!(%error, "cannot start the watches of the selected namespaces");
        }
    }
}

/// Returns the namespaces that the settings select, sorted.
fn select(settings: &Settings, known: &known::NamespaceLabels) -> Vec<String> {
    let selected = |labels: &known::Labels| settings.live.namespace_selector.as_ref().is_none_or(|s| s.selects(labels));
    known.iter().filter(|(_, labels)| selected(labels)).map(|(name, _)| name.clone()).collect()
}
