//! EndpointSlices, `discovery.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/endpointslice-metrics.md>

use std::borrow::Cow;

use super::common::{boolean, name, namespace, text};
use super::objects::{Endpoint, EndpointConditions, EndpointSlice, ObjectReference};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `endpointslices`.
pub struct EndpointSlices;

impl Resource for EndpointSlices {
    type Object<'a> = EndpointSlice<'a>;
    const API: Api = Api::namespaced("discovery.k8s.io/v1", "EndpointSlice", "endpointslices");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_endpointslice_info", "Address type of the EndpointSlice, as a label.", info),
        Family::created("kube_endpointslice_created"),
        Family::<Self>::gauge(
            "kube_endpointslice_endpoints_hints",
            "Zones that should route to an endpoint, one series per zone.",
            hints,
        ),
        Family::<Self>::gauge(
            "kube_endpointslice_endpoints",
            "Endpoints of the EndpointSlice, one series per address.",
            endpoints,
        ),
        Family::<Self>::gauge("kube_endpointslice_ports", "Ports of the EndpointSlice, one series per port.", ports),
        Family::annotations("kube_endpointslice_annotations"),
        Family::labels("kube_endpointslice_labels"),
    ];

    fn identity<'o>(slice: &'o EndpointSlice<'_>) -> Identity<'o> {
        vec![("endpointslice", name(slice)), ("namespace", namespace(slice))]
    }
}

fn info(slice: &EndpointSlice, samples: &mut Samples) {
    samples.sample(&[("addresstype", &slice.address_type)], 1.0);
}

fn hints(slice: &EndpointSlice, samples: &mut Samples) {
    for endpoint in &slice.endpoints {
        // All addresses of an endpoint are equivalent; show the first.
        let Some(address) = endpoint.addresses.first() else { continue };
        for zone in endpoint.hints.iter().flat_map(|hints| hints.for_zones.iter().flatten()) {
            samples.sample(&[("address", address), ("for_zone", &zone.name)], 1.0);
        }
    }
}

fn endpoints(slice: &EndpointSlice, samples: &mut Samples) {
    for endpoint in &slice.endpoints {
        let condition =
            |of: fn(&EndpointConditions) -> Option<bool>| endpoint.conditions.as_ref().and_then(of).map_or("", boolean);
        let ready = condition(|c| c.ready);
        let serving = condition(|c| c.serving);
        let terminating = condition(|c| c.terminating);
        for address in &endpoint.addresses {
            let labels = [
                ("ready", ready),
                ("serving", serving),
                ("hostname", text(&endpoint.hostname)),
                ("terminating", terminating),
                ("targetref_kind", target(endpoint, |target| &target.kind)),
                ("targetref_name", target(endpoint, |target| &target.name)),
                ("targetref_namespace", target(endpoint, |target| &target.namespace)),
                ("endpoint_nodename", text(&endpoint.node_name)),
                ("endpoint_zone", text(&endpoint.zone)),
                ("address", address),
            ];
            samples.sample(&labels, 1.0);
        }
    }
}

fn target<'a>(endpoint: &'a Endpoint<'a>, field: fn(&'a ObjectReference<'a>) -> &'a Option<Cow<'a, str>>) -> &'a str {
    endpoint.target_ref.as_ref().map_or("", |target| text(field(target)))
}

fn ports(slice: &EndpointSlice, samples: &mut Samples) {
    for port in &slice.ports {
        let number = port.port.map(|number| number.to_string());
        let labels = [
            ("port_name", text(&port.name)),
            ("port_protocol", text(&port.protocol)),
            ("port_number", number.as_deref().unwrap_or_default()),
        ];
        samples.sample(&labels, 1.0);
    }
}
