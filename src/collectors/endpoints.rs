//! Endpoints, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/endpoint-metrics.md>

use k8s_openapi::api::core::v1::{EndpointPort, EndpointSubset, Endpoints};

use super::common::{created, exists, name, namespace, text};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `endpoints`.
pub struct EndpointsResource;

impl Resource for EndpointsResource {
    type Object = Endpoints;
    const FAMILIES: &'static [Family<Endpoints>] = &[
        Family::gauge("kube_endpoint_info", "An Endpoints object exists.", exists).stable(),
        Family::gauge("kube_endpoint_created", "When the Endpoints object was created, in Unix seconds.", created)
            .stable(),
        Family::annotations(
            "kube_endpoint_annotations",
            "Annotations of an Endpoints object, as far as they are allowed.",
        ),
        Family::labels("kube_endpoint_labels", "Labels of an Endpoints object, as far as they are allowed.").stable(),
        Family::gauge("kube_endpoint_address", "The addresses behind a service, a series a port.", address).stable(),
        Family::gauge("kube_endpoint_ports", "The ports behind a service, a series each.", ports).stable(),
    ];

    fn identity(endpoints: &Endpoints) -> Identity<'_> {
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
