//! VolumeAttachments, `storage.k8s.io/v1`. All their labels are shown: upstream uses no allowlist.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/volumeattachment-metrics.md>

use k8s_openapi::api::storage::v1::VolumeAttachment;

use super::common::{bool_value, name};
use super::labels::{KeyFilter, emit};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `volumeattachments`.
pub struct VolumeAttachments;

impl Resource for VolumeAttachments {
    type Object = VolumeAttachment;
    const FAMILIES: &'static [Family<VolumeAttachment>] = &[
        Family::all_labels("kube_volumeattachment_labels", "All Kubernetes labels of the VolumeAttachment."),
        Family::gauge("kube_volumeattachment_info", "Attacher and node of the VolumeAttachment, as labels.", info),
        Family::created("kube_volumeattachment_created"),
        Family::gauge(
            "kube_volumeattachment_spec_source_persistentvolume",
            "PersistentVolume to attach, as a label.",
            spec_source_persistentvolume,
        ),
        Family::gauge("kube_volumeattachment_status_attached", "Whether the volume is attached.", status_attached),
        Family::gauge(
            "kube_volumeattachment_status_attachment_metadata",
            "Metadata of the attached volume from the attacher, as labels.",
            status_attachment_metadata,
        ),
    ];

    fn identity(attachment: &VolumeAttachment) -> Identity<'_> {
        vec![("volumeattachment", name(attachment))]
    }
}

fn info(attachment: &VolumeAttachment, samples: &mut Samples) {
    let spec = &attachment.spec;
    samples.sample(&[("attacher", &spec.attacher), ("node", &spec.node_name)], 1.0);
}

fn spec_source_persistentvolume(attachment: &VolumeAttachment, samples: &mut Samples) {
    if let Some(volume) = &attachment.spec.source.persistent_volume_name {
        samples.sample(&[("volumename", volume)], 1.0);
    }
}

fn status_attached(attachment: &VolumeAttachment, samples: &mut Samples) {
    samples.sample(&[], bool_value(attachment.status.as_ref().is_some_and(|s| s.attached)));
}

fn status_attachment_metadata(attachment: &VolumeAttachment, samples: &mut Samples) {
    let metadata = attachment.status.as_ref().and_then(|s| s.attachment_metadata.as_ref());
    emit("metadata", metadata, &KeyFilter::All, samples);
}
