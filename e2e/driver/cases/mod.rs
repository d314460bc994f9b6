//! The cases: one file each.

mod all_kinds;
mod collectors;
mod counters;
mod cover;
mod custom_resources;
mod dashboards;
mod degraded_resource;
mod down_at_start;
mod faults;
mod faults_api;
mod faults_forget;
mod faults_network;
mod faults_partition;
mod faults_restore;
mod formats;
mod freshness;
mod handover;
mod hostile;
mod manifests;
mod missing_kinds;
mod old_server;
mod opt_in;
mod page;
mod page_states;
mod rbac;
mod reload;
mod restarts;
mod rights;
mod scrapers;
mod scrapes;
mod seamless;
mod secret;
mod secured;
mod selecting;
mod stack;
mod tenants;
mod two_servers;
mod union;
mod upstream_chart;

use std::pin::Pin;

use anyhow::Result;

use crate::stage::Stage;

/// A case's future; its output summarises what the case observed.
pub type Play<'a> = Pin<Box<dyn Future<Output = Result<String>> + 'a>>;

/// A case.
pub struct Case {
    pub name: &'static str,
    /// Whether it uses the shared control plane.
    pub shares: bool,
    pub run: for<'a> fn(&'a Stage) -> Play<'a>,
}

/// Cases that run only with `--long`, or by name: they take minutes, and what they show changes with other programs more than with this
/// one.
pub const ON_REQUEST: [&str; 1] = ["scrapers"];

/// All cases, in the order in which they start: the longest first, and the first ones with their own control plane, while the
/// shared one starts.
pub const CASES: &[Case] = &[
    Case { name: "handover-server-side", shares: false, run: |stage| Box::pin(handover::run_server_side(stage)) },
    Case { name: "seamless", shares: false, run: |stage| Box::pin(seamless::run(stage)) },
    Case { name: "scrapers", shares: false, run: |stage| Box::pin(scrapers::run(stage)) },
    Case { name: "restarts", shares: false, run: |stage| Box::pin(restarts::run(stage)) },
    Case { name: "cover", shares: false, run: |stage| Box::pin(cover::run(stage)) },
    Case { name: "faults-restore", shares: false, run: |stage| Box::pin(faults_restore::run(stage)) },
    Case { name: "faults-restore-rolled", shares: false, run: |stage| Box::pin(faults_restore::run_rolled(stage)) },
    Case { name: "two-servers", shares: false, run: |stage| Box::pin(two_servers::run(stage)) },
    Case { name: "faults-crashes", shares: true, run: |stage| Box::pin(faults::run_crashes(stage)) },
    Case { name: "faults-network", shares: true, run: |stage| Box::pin(faults_network::run(stage)) },
    Case { name: "faults-partition", shares: true, run: |stage| Box::pin(faults_partition::run(stage)) },
    Case { name: "faults-forget", shares: true, run: |stage| Box::pin(faults_forget::run(stage)) },
    Case { name: "page", shares: true, run: |stage| Box::pin(page::run(stage)) },
    Case { name: "faults", shares: true, run: |stage| Box::pin(faults::run(stage)) },
    Case { name: "handover", shares: true, run: |stage| Box::pin(handover::run(stage)) },
    Case { name: "faults-api", shares: false, run: |stage| Box::pin(faults_api::run(stage)) },
    Case { name: "degraded-resource", shares: true, run: |stage| Box::pin(degraded_resource::run(stage)) },
    Case { name: "scrapes", shares: true, run: |stage| Box::pin(scrapes::run(stage)) },
    Case { name: "rights", shares: true, run: |stage| Box::pin(rights::run(stage)) },
    Case { name: "dashboards", shares: true, run: |stage| Box::pin(dashboards::run(stage)) },
    Case { name: "stack", shares: true, run: |stage| Box::pin(stack::run(stage)) },
    Case { name: "secured", shares: true, run: |stage| Box::pin(secured::run(stage)) },
    Case { name: "tenants", shares: true, run: |stage| Box::pin(tenants::run(stage)) },
    Case { name: "hostile", shares: true, run: |stage| Box::pin(hostile::run(stage)) },
    Case { name: "all-kinds", shares: true, run: |stage| Box::pin(all_kinds::run(stage)) },
    Case { name: "custom-resources", shares: true, run: |stage| Box::pin(custom_resources::run(stage)) },
    Case { name: "reload", shares: false, run: |stage| Box::pin(reload::run(stage)) },
    Case { name: "selecting", shares: false, run: |stage| Box::pin(selecting::run(stage)) },
    Case { name: "counters", shares: false, run: |stage| Box::pin(counters::run(stage)) },
    Case { name: "union", shares: false, run: |stage| Box::pin(union::run(stage)) },
    Case { name: "collectors", shares: false, run: |stage| Box::pin(collectors::run(stage)) },
    Case { name: "freshness", shares: true, run: |stage| Box::pin(freshness::run(stage)) },
    Case { name: "formats", shares: true, run: |stage| Box::pin(formats::run(stage)) },
    Case { name: "missing-kinds", shares: false, run: |stage| Box::pin(missing_kinds::run(stage)) },
    Case { name: "opt-in", shares: true, run: |stage| Box::pin(opt_in::run(stage)) },
    Case { name: "old-server", shares: true, run: |stage| Box::pin(old_server::run(stage)) },
    Case { name: "down-at-start", shares: false, run: |stage| Box::pin(down_at_start::run(stage)) },
    Case { name: "secret", shares: true, run: |stage| Box::pin(secret::run(stage)) },
    Case { name: "manifests", shares: true, run: |stage| Box::pin(manifests::run(stage)) },
    Case { name: "upstream-chart", shares: true, run: |stage| Box::pin(upstream_chart::run(stage)) },
    Case { name: "rbac", shares: true, run: |stage| Box::pin(rbac::run(stage)) },
];
