//! Endpoints, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/endpoint-metrics.md>

use super::common::{name, namespace, text};
use super::objects::{EndpointPort, EndpointSubset, Endpoints};
use super::table::{Api, Family, Identity, Resource, exists};
use crate::exposition::Samples;

/// The resource `endpoints`.
pub struct EndpointsResource;

impl Resource for EndpointsResource {
    type Object<'a> = Endpoints<'a>;
    const API: Api = Api::namespaced("v1", "Endpoints", "endpoints");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_endpoint_info", "Whether the Endpoints object exists; always 1.", exists::<Self>)
            .stable(),
        Family::created("kube_endpoint_created").stable(),
        Family::annotations("kube_endpoint_annotations"),
        Family::labels("kube_endpoint_labels").stable(),
        Family::<Self>::gauge(
            "kube_endpoint_address",
            "Addresses of the Endpoints object, one series per address and port.",
            address,
        )
        .stable(),
        Family::<Self>::gauge("kube_endpoint_ports", "Ports of the Endpoints object, one series per port.", ports)
            .stable(),
    ];

    fn identity<'o>(endpoints: &'o Endpoints<'_>) -> Identity<'o> {
        vec![("namespace", namespace(endpoints)), ("endpoint", name(endpoints))]
    }
}

fn address(endpoints: &Endpoints, samples: &mut Samples) {
    each_port(endpoints, |subset, port, number| {
        let ready = subset.addresses.iter().flatten().map(|address| (address, "true"));
        let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, "false"));
        for (address, ready) in ready.chain(not_ready) {
            let labels = [
                ("port_protocol", text(&port.protocol)),
                ("port_number", number),
                ("port_name", text(&port.name)),
                ("ip", &address.ip),
                ("ready", ready),
            ];
            samples.sample(&labels, 1.0);
        }
    });
}

fn ports(endpoints: &Endpoints, samples: &mut Samples) {
    each_port(endpoints, |_, port, number| {
        let labels =
            [("port_name", text(&port.name)), ("port_protocol", text(&port.protocol)), ("port_number", number)];
        samples.sample(&labels, 1.0);
    });
}

fn each_port(endpoints: &Endpoints, mut visit: impl FnMut(&EndpointSubset, &EndpointPort, &str)) {
    for subset in endpoints.subsets.iter().flatten() {
        for port in subset.ports.iter().flatten() {
            visit(subset, port, &port.port.to_string());
        }
    }
}
