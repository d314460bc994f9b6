//! CertificateSigningRequests, `certificates.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/certificatesigningrequest-metrics.md>

use super::common::name;
use super::objects::CertificateSigningRequest;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `certificatesigningrequests`.
pub struct CertificateSigningRequests;

impl Resource for CertificateSigningRequests {
    type Object<'a> = CertificateSigningRequest<'a>;
    const API: Api = Api::cluster("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_certificatesigningrequest_annotations"),
        Family::labels("kube_certificatesigningrequest_labels").stable(),
        Family::created("kube_certificatesigningrequest_created").stable(),
        Family::<Self>::gauge(
            "kube_certificatesigningrequest_condition",
            "Number of conditions that mark the CertificateSigningRequest as approved, denied or failed.",
            condition,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_certificatesigningrequest_cert_length",
            "Size of the issued certificate in bytes; 0 before it is issued.",
            cert_length,
        )
        .stable(),
    ];

    fn identity<'o>(request: &'o CertificateSigningRequest<'_>) -> Identity<'o> {
        vec![("certificatesigningrequest", name(request)), ("signer_name", &request.spec.signer_name)]
    }
}

fn condition(request: &CertificateSigningRequest, samples: &mut Samples) {
    let conditions = request.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    for (kind, label) in [("Approved", "approved"), ("Denied", "denied"), ("Failed", "failed")] {
        // NB: like upstream, count a condition regardless of its status.
        samples.sample(&[("condition", label)], conditions.iter().filter(|c| c.type_ == kind).count() as f64);
    }
}

fn cert_length(request: &CertificateSigningRequest, samples: &mut Samples) {
    let certificate = request.status.as_ref().and_then(|s| s.certificate.as_ref());
    samples.sample(&[], certificate.map_or(0, |c| c.0.len()) as f64);
}
