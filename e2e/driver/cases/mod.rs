//! The cases: one file each.

mod cover;
mod custom_resources;
mod dashboards;
mod down_at_start;
mod faults;
mod faults_api;
mod formats;
mod freshness;
mod handover;
mod manifests;
mod missing_kinds;
mod page;
mod rbac;
mod reload;
mod rights;
mod scrapes;
mod secret;
mod secured;
mod union;
mod upstream_chart;

use std::pin::Pin;

use anyhow::Result;

use crate::stage::Stage;

/// A case's future; it tells what it has seen.
pub type Play<'a> = Pin<Box<dyn Future<Output = Result<String>> + 'a>>;

/// A case.
pub struct Case {
    pub name: &'static str,
    /// Whether it waits most of its time, so that another one may run besides.
    pub waits: bool,
    pub run: for<'a> fn(&'a Stage) -> Play<'a>,
}

/// All cases, in the order in which they run.
pub const CASES: &[Case] = &[
    Case { name: "union", waits: false, run: |stage| Box::pin(union::run(stage)) },
    Case { name: "freshness", waits: false, run: |stage| Box::pin(freshness::run(stage)) },
    Case { name: "formats", waits: false, run: |stage| Box::pin(formats::run(stage)) },
    Case { name: "dashboards", waits: true, run: |stage| Box::pin(dashboards::run(stage)) },
    Case { name: "page", waits: true, run: |stage| Box::pin(page::run(stage)) },
    Case { name: "manifests", waits: false, run: |stage| Box::pin(manifests::run(stage)) },
    Case { name: "rbac", waits: false, run: |stage| Box::pin(rbac::run(stage)) },
    Case { name: "secret", waits: false, run: |stage| Box::pin(secret::run(stage)) },
    Case { name: "custom-resources", waits: false, run: |stage| Box::pin(custom_resources::run(stage)) },
    Case { name: "secured", waits: false, run: |stage| Box::pin(secured::run(stage)) },
    Case { name: "upstream-chart", waits: false, run: |stage| Box::pin(upstream_chart::run(stage)) },
    Case { name: "missing-kinds", waits: false, run: |stage| Box::pin(missing_kinds::run(stage)) },
    Case { name: "down-at-start", waits: false, run: |stage| Box::pin(down_at_start::run(stage)) },
    Case { name: "reload", waits: true, run: |stage| Box::pin(reload::run(stage)) },
    Case { name: "handover", waits: true, run: |stage| Box::pin(handover::run(stage)) },
    Case { name: "handover-server-side", waits: true, run: |stage| Box::pin(handover::run_server_side(stage)) },
    Case { name: "scrapes", waits: true, run: |stage| Box::pin(scrapes::run(stage)) },
    Case { name: "faults", waits: true, run: |stage| Box::pin(faults::run(stage)) },
    Case { name: "faults-crashes", waits: true, run: |stage| Box::pin(faults::run_crashes(stage)) },
    Case { name: "faults-api", waits: true, run: |stage| Box::pin(faults_api::run(stage)) },
    Case { name: "rights", waits: false, run: |stage| Box::pin(rights::run(stage)) },
    Case { name: "cover", waits: true, run: |stage| Box::pin(cover::run(stage)) },
];
