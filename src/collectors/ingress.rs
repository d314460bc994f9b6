//! Ingresses, `networking.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/service/ingress-metrics.md>

use super::common::{name, namespace, text};
use super::objects::Ingress;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `ingresses`.
pub struct Ingresses;

impl Resource for Ingresses {
    type Object<'a> = Ingress<'a>;
    const API: Api = Api::namespaced("networking.k8s.io/v1", "Ingress", "ingresses");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_ingress_info",
            "Class of the Ingress, as a label; `_default` if it names none.",
            info,
        )
        .stable(),
        Family::annotations("kube_ingress_annotations"),
        Family::labels("kube_ingress_labels").stable(),
        Family::created("kube_ingress_created").stable(),
        Family::resource_version("kube_ingress_metadata_resource_version"),
        Family::<Self>::gauge(
            "kube_ingress_path",
            "Backend of a path: a Service or another resource, one series per host and path.",
            path,
        )
        .stable(),
        Family::<Self>::gauge("kube_ingress_tls", "Secret with the certificate of a host, one series per host.", tls)
            .stable(),
    ];

    fn identity<'o>(ingress: &'o Ingress<'_>) -> Identity<'o> {
        vec![("namespace", namespace(ingress)), ("ingress", name(ingress))]
    }
}

/// The annotation that named the class before the spec had a field. It takes precedence over the field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

fn info(ingress: &Ingress, samples: &mut Samples) {
    let annotation = ingress.metadata.annotations.as_ref().and_then(|a| a.get(CLASS_ANNOTATION));
    let class = annotation.or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_ref());
    samples.sample(&[("ingressclass", class.map_or("_default", |class| class))], 1.0);
}

fn path(ingress: &Ingress, samples: &mut Samples) {
    for rule in ingress.spec.iter().filter_map(|s| s.rules.as_ref()).flatten() {
        for path in rule.http.iter().flat_map(|http| &http.paths) {
            let [host, path_, kind] =
                [("host", text(&rule.host)), ("path", text(&path.path)), ("path_type", text(&path.path_type))];
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
