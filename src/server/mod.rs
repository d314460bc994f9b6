//! HTTP: scrapes, self-metrics, health checks and landing pages, on two ports; and the port for the members of a fleet.
//!
//! Routes are warp filters. [`serve`] accepts and times the connections itself, because warp's server has neither timeouts nor
//! TLS. An [`AuthLayer`] in front of the routes of a port decides which requests they get.
//!
//! May not know how series are made, or anything about Kubernetes.

mod auth_layer;
mod body;
mod client_ip;
mod connection;
mod exposure_gate;
mod farewell;
mod fleet;
mod hosts;
mod http1;
mod http2;
mod listener;
mod members;
mod metrics;
mod negotiation;
mod objects;
mod overview;
mod page;
mod places;
mod progress;
mod reply;
mod scrape_tracker;
mod scraped_namespaces;
mod telemetry;
mod web;

pub use auth_layer::AuthLayer;
pub use exposure_gate::{ExposureGate, FixedExposure};
pub use farewell::Farewell;
pub use fleet::fleet_routes;
pub use listener::{bind, serve};
pub use members::{Members, serve_member, serve_members};
pub use metrics::{Metrics, metrics_routes};
pub use objects::Inventory;
pub use overview::{Reporter, overview_routes, report_routes};
pub use reply::{Routes, both};
pub use scrape_tracker::{Missing, ScrapeTracker, Scraper, Visit};
pub use telemetry::telemetry_routes;
pub use web::WebConfig;
