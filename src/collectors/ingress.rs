//! Ingresses, `networking.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/ingress-metrics.md>

use k8s_openapi::api::networking::v1::Ingress;

use super::common::{created, metadata_resource_version, name, namespace, text};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `ingresses`.
pub struct Ingresses;

impl Resource for Ingresses {
    type Object = Ingress;
    const FAMILIES: &'static [Family<Ingress>] = &[
        Family::gauge("kube_ingress_info", "The class of an Ingress, `_default` if it names none.", info).stable(),
        Family::annotations("kube_ingress_annotations", "Annotations of an Ingress, as far as they are allowed."),
        Family::labels("kube_ingress_labels", "Labels of an Ingress, as far as they are allowed.").stable(),
        Family::gauge("kube_ingress_created", "When the Ingress was created, in Unix seconds.", created).stable(),
        Family::gauge(
            "kube_ingress_metadata_resource_version",
            "The resourceVersion of the Ingress.",
            metadata_resource_version,
        ),
        Family::gauge("kube_ingress_path", "Where a path of a host leads: to a Service or to another resource.", path)
            .stable(),
        Family::gauge("kube_ingress_tls", "The Secret with a host's certificate.", tls).stable(),
    ];

    fn identity(ingress: &Ingress) -> Identity<'_> {
        vec![("namespace", namespace(ingress)), ("ingress", name(ingress))]
    }
}

/// Named the class before the spec had a field for it, and goes before that field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

fn info(ingress: &Ingress, samples: &mut Samples) {
    let annotation = ingress.metadata.annotations.as_ref().and_then(|a| a.get(CLASS_ANNOTATION));
    let class = annotation.or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_ref());
    samples.sample(&[("ingressclass", class.map_or("_default", String::as_str))], 1.0);
}

fn path(ingress: &Ingress, samples: &mut Samples) {
    for rule in ingress.spec.iter().filter_map(|s| s.rules.as_ref()).flatten() {
        for path in rule.http.iter().flat_map(|http| &http.paths) {
            let [host, path_, kind] =
                [("host", text(&rule.host)), ("path", text(&path.path)), ("path_type", &path.path_type)];
            if let Some(service) = &path.backend.service {
                let port = service.port.as_ref().and_then(|p| p.number).unwrap_or(0).to_string();
                samples.sample(&[host, path_, kind, ("service_name", &service.name), ("service_port", &port)], 1.0);
            } else if let Some(resource) = &path.backend.resource {
                let labels = [
                    host,
                    path_,
                    kind,
                    ("resource_api_group", text(&resource.api_group)),
                    ("resource_kind", &resource.kind),
                    ("resource_name", &resource.name),
                ];
                samples.sample(&labels, 1.0);
            }
        }
    }
}

fn tls(ingress: &Ingress, samples: &mut Samples) {
    for tls in ingress.spec.iter().filter_map(|s| s.tls.as_ref()).flatten() {
        for host in tls.hosts.iter().flatten() {
            samples.sample(&[("tls_host", host), ("secret", text(&tls.secret_name))], 1.0);
        }
    }
}
