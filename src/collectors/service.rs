//! Services, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/service-metrics.md>

use std::sync::LazyLock;

use super::common::{name, namespace, text};
use super::objects::{Service, ServiceSpec};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `services`.
pub struct Services;

impl Resource for Services {
    type Object<'a> = Service<'a>;
    const API: Api = Api::namespaced("v1", "Service", "services");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_service_info", "Addresses and external name of the Service, as labels.", info)
            .stable(),
        Family::created("kube_service_created").stable(),
        Family::<Self>::gauge("kube_service_spec_type", "Type of the Service, as a label.", spec_type).stable(),
        Family::annotations("kube_service_annotations"),
        Family::labels("kube_service_labels").stable(),
        Family::<Self>::gauge(
            "kube_service_spec_external_ip",
            "External IP addresses of the Service, one series per address.",
            external_ip,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_service_status_load_balancer_ingress",
            "Ingress points of the load balancer of the Service, one series per ingress point.",
            load_balancer_ingress,
        )
        .stable(),
        Family::deletion_timestamp("kube_service_deletion_timestamp"),
    ];

    fn identity<'o>(service: &'o Service<'_>) -> Identity<'o> {
        vec![("namespace", namespace(service)), ("service", name(service)), ("uid", text(&service.metadata.uid))]
    }
}

static NO_SPEC: LazyLock<ServiceSpec<'static>> = LazyLock::new(ServiceSpec::default);

fn spec<'a>(service: &'a Service<'a>) -> &'a ServiceSpec<'a> {
    service.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn info(service: &Service, samples: &mut Samples) {
    let spec = spec(service);
    let labels = [
        ("cluster_ip", text(&spec.cluster_ip)),
        ("external_name", text(&spec.external_name)),
        ("load_balancer_ip", text(&spec.load_balancer_ip)),
        ("external_traffic_policy", text(&spec.external_traffic_policy)),
    ];
    samples.sample(&labels, 1.0);
}

fn spec_type(service: &Service, samples: &mut Samples) {
    samples.sample(&[("type", text(&spec(service).type_))], 1.0);
}

fn external_ip(service: &Service, samples: &mut Samples) {
    for address in spec(service).external_ips.iter().flatten() {
        samples.sample(&[("external_ip", address)], 1.0);
    }
}

fn load_balancer_ingress(service: &Service, samples: &mut Samples) {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    for ingress in balancer.iter().flat_map(|balancer| balancer.ingress.iter().flatten()) {
        samples.sample(&[("ip", text(&ingress.ip)), ("hostname", text(&ingress.hostname))], 1.0);
    }
}
