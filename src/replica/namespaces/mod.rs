//! The resources of a replica whose settings depend on Namespaces: `--namespace-selector`, `--promote-namespace-labels`.
//!
//! Every replica then watches all Namespaces, once for both. The settings that the resources get name the selected ones. A change of
//! them changes the partitions of running resources. A change of promoted labels changes the series of known objects. Without such a
//! setting, nothing is watched, and the resources follow the settings directly.

mod known;

use std::fmt;
use std::sync::Arc;

use tracing::{info, warn};

use super::builtin;
use super::custom::CustomResources;
use super::followed::{Follower, Following, cluster_scoped};
use super::resources::{Group, PromotedLabels, Resources, Rollout};
use super::tasks::Spawner;
use crate::collectors::labels::{KeyFilter, of_namespace};
use crate::exposition::NamespaceLabels;
use crate::health::SharedFollowed;
use crate::intake::Sink;
use crate::settings::Settings;
use crate::shown;
use crate::sync::watch;
use known::{KnownNamespaces, NamespaceSink, Namespaces};

/// Each selected namespace costs one list and watch per resource.
const MANY: usize = 500;

/// Gives the resources of a replica their settings.
pub(super) struct FollowedNamespaces {
    resources: Arc<Resources>,
    custom: Arc<CustomResources>,
    follower: Follower,
}

impl FollowedNamespaces {
    /// Starts without settings.
    pub fn new(
        resources: Arc<Resources>,
        custom: Arc<CustomResources>,
        client: kube::Client,
        spawner: Spawner,
    ) -> Self {
        Self { resources, custom, follower: Follower::new(client, spawner) }
    }

    /// Returns the watch of Namespaces, if there is one, with the counts of its requests.
    pub fn followed(&self) -> SharedFollowed {
        self.follower.followed()
    }

    /// Serves what `settings` ask for, from the cluster of this number. If they depend on Namespaces, once these are known.
    /// The previous resources are served until then.
    ///
    /// # Errors
    /// A thread for Secrets does not start. The resources stay as they are.
    pub fn follow(&self, settings: &Settings, cluster: u32) -> std::io::Result<()> {
        if !needs_namespaces(settings) {
            return self.follower.stop(|_| apply(&self.resources, &self.custom, settings, cluster));
        }
        let endpoint = cluster_scoped("", "Namespace", "namespaces");
        let names = ["watch-selected-namespaces", "namespace-selector"];
        self.follower.follow(settings, cluster, endpoint, names, |following| {
            let known = Namespaces::new();
            let selector = NamespaceSelector {
                following,
                resources: Arc::clone(&self.resources),
                custom: Arc::clone(&self.custom),
                namespaces: known.namespaces(),
            };
            let sinks = [(); 2].map(|()| Box::new(NamespaceSink(Arc::clone(&known))) as Box<dyn Sink>);
            (sinks, selector.run())
        });
        Ok(())
    }
}

impl fmt::Debug for FollowedNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowedNamespaces").finish_non_exhaustive()
    }
}

fn needs_namespaces(settings: &Settings) -> bool {
    settings.live.namespace_selector.is_some() || settings.live.promote_namespace_labels != KeyFilter::None
}

fn apply(resources: &Resources, custom: &CustomResources, settings: &Settings, cluster: u32) -> std::io::Result<()> {
    // The log says when the set is served.
    drop(resources.set(Group::BuiltIn, builtin::specs(settings, cluster), Rollout::Atomic)?);
    custom.follow(settings, cluster);
    Ok(())
}

/// Selects namespaces.
struct NamespaceSelector {
    following: Following,
    resources: Arc<Resources>,
    custom: Arc<CustomResources>,
    namespaces: watch::Receiver<KnownNamespaces>,
}

impl NamespaceSelector {
    async fn run(mut self) {
        let (mut is_new, mut was_refused) = (true, false);
        let mut selected: Option<Option<Vec<String>>> = None;
        let mut promoted: Option<Arc<NamespaceLabels>> = None;
        loop {
            // Not marked as seen: what changed since the wait has its turn at the next one.
            let known = self.namespaces.borrow().clone();
            let settings = Arc::clone(&self.following.settings.borrow());
            self.following.conditions.mark_unchanged();
            let is_refused = self.following.shard.is_refused();
            if is_refused && !was_refused {
                warn!(
                    "missing permission: list and watch namespaces; --namespace-selector and --promote-namespace-labels need it, and {}",
                    if selected.is_some() {
                        "the selected namespaces and their labels stay as they are"
                    } else {
                        "nothing is served without it"
                    }
                );
            }
            was_refused = is_refused;
            if let Some(known) = known {
                let (now, labels) = (select(&settings, &known), Arc::new(promote(&settings, &known)));
                let changes_labels = is_new || promoted.as_ref() != Some(&labels);
                if changes_labels {
                    self.offer(&settings, &labels);
                    promoted = Some(labels);
                }
                if is_new || selected.as_ref() != Some(&now) {
                    self.decide(&settings, now.as_deref());
                    selected = Some(now);
                }
                if changes_labels {
                    self.resources.relabel().await;
                }
            }
            is_new = false;
            // An error means that the sender is gone: this task is about to be stopped as well.
            tokio::select! {
                biased;
                changed = self.following.settings.changed() => match changed {
                    Ok(()) => is_new = true,
                    Err(_) => return,
                },
                changed = self.namespaces.changed() => if changed.is_err() { return },
                changed = self.following.conditions.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Passes the labels of Namespaces on to the resources.
    fn offer(&self, settings: &Settings, labels: &Arc<NamespaceLabels>) {
        let Some(_turn) = self.following.turn() else { return };
        self.resources.promote(PromotedLabels {
            keys: settings.live.promote_namespace_labels.clone(),
            cluster: self.following.cluster,
            labels: Arc::clone(labels),
        });
    }

    /// Sets the resources, with the selected namespaces if there is a selector.
    fn decide(&self, settings: &Settings, selected: Option<&[String]>) {
        let Some(_turn) = self.following.turn() else { return };
        if let Some(selected) = selected {
            let named = shown::few(selected, 10, ", ", Clone::clone);
            info!(count = selected.len(), namespaces = named, "selected namespaces");
        }
        if let Some(selected) = selected.filter(|selected| selected.len() > MANY) {
            warn!(
                count = selected.len(),
                "--namespace-selector selects many namespaces, and each costs a list and watch per resource; \
                 --namespaces-denylist excludes a few with one watch"
            );
        }
        let mut settings = settings.clone();
        settings.live.selected_namespaces = selected.map(<[_]>::to_vec);
        if let Err(error) = apply(&self.resources, &self.custom, &settings, self.following.cluster) {
            warn!(%error, "cannot start the watches of the selected namespaces");
        }
    }
}

/// Returns the namespaces that the settings select, sorted; `None` without a selector.
fn select(settings: &Settings, known: &known::NamespaceLabels) -> Option<Vec<String>> {
    let selector = settings.live.namespace_selector.as_ref()?;
    Some(known.iter().filter(|(_, labels)| selector.selects(*labels)).map(|(name, _)| name.clone()).collect())
}

/// Returns the labels of Namespaces that the series of their objects show.
fn promote(settings: &Settings, known: &known::NamespaceLabels) -> NamespaceLabels {
    let keys = &settings.live.promote_namespace_labels;
    NamespaceLabels::new(known.iter().map(|(name, labels)| (name.as_str(), of_namespace(&labels.0, keys))))
}
