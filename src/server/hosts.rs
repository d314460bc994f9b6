//! Protection of the pages against DNS rebinding: a web site that names its own host after the address of a replica could read
//! the pages through a visitor's browser.
//!
//! The browser sends the name of that site as `Host`. So the pages answer only to names that no foreign web site can have.
//! Metrics and probes answer to any name, because Prometheus may use one that this program does not know.

use std::net::IpAddr;

use http::Request;
use http::header::HOST;

/// The endings of names that only a cluster or the local host resolves.
const LOCAL: [&str; 3] = [".svc", ".cluster.local", ".localhost"];

/// The names to which the pages answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// Adds `allowed`, the names of `--allowed-hosts`, to those that are always allowed. `*` allows all names, and a name that
    /// begins with a dot all names that end with it.
    pub fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a request is for an allowed name. One without a name does not come from a browser.
    pub fn allow<B>(&self, request: &Request<B>) -> bool {
        let of_header = || request.headers().get(HOST).map(|host| host.to_str().unwrap_or("?"));
        let host = request.uri().authority().map(http::uri::Authority::as_str).or_else(of_header);
        host.is_none_or(|host| self.allows(host))
    }

    fn allows(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let is_local =
            name.parse::<IpAddr>().is_ok() || !name.contains('.') || LOCAL.iter().any(|ending| name.ends_with(ending));
        is_local
            || self.0.iter().any(|allowed| {
                allowed == "*" || *allowed == name || (allowed.starts_with('.') && name.ends_with(allowed.as_str()))
            })
    }
}

/// Returns the host without its port and without the brackets of an IPv6 address.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_cluster_and_given_ones_are_allowed() {
        let hosts = Hosts::new(&["status.example.com".to_owned(), ".Example.org".to_owned()]);
        for (host, allowed) in [
            ("10.0.0.7:8080", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("kube-state-fleet", true),
            ("kube-state-fleet.monitoring.svc:8080", true),
            ("pod.kube-state-fleet.monitoring.svc.cluster.local.", true),
            ("status.example.com", true),
            ("a.example.org", true),
            ("attacker.example", false),
            ("localhost.attacker.example", false),
            ("a.svc.attacker.example", false),
            ("10.0.0.7.attacker.example:8080", false),
            ("status.example.com.attacker.example", false),
        ] {
            assert_eq!(hosts.allows(host), allowed, "{host}");
        }
        assert!(Hosts::new(&["*".to_owned()]).allows("any.example"));
        let of = |uri: &str| Request::get(uri).header(HOST, "attacker.example").body(()).expect("a request");
        assert!(!hosts.allow(&of("/fleet")) && hosts.allow(&of("http://10.0.0.7/fleet")));
        assert!(hosts.allow(&Request::get("/fleet").body(()).expect("a request")), "no browser omits the name");
    }
}
