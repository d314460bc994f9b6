//! VolumeAttachments, `storage.k8s.io/v1`. All their labels are shown: upstream uses no allowlist.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/volumeattachment-metrics.md>

use super::common::{bool_value, name};
use super::labels::{KeyFilter, emit};
use super::objects::VolumeAttachment;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `volumeattachments`.
pub struct VolumeAttachments;

impl Resource for VolumeAttachments {
    type Object<'a> = VolumeAttachment<'a>;
    const API: Api = Api::cluster("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::all_labels("kube_volumeattachment_labels", "All Kubernetes labels of the VolumeAttachment."),
        Family::<Self>::gauge(
            "kube_volumeattachment_info",
            "Attacher and node of the VolumeAttachment, as labels.",
            info,
        ),
        Family::created("kube_volumeattachment_created"),
        Family::<Self>::gauge(
            "kube_volumeattachment_spec_source_persistentvolume",
            "PersistentVolume to attach, as a label.",
            spec_source_persistentvolume,
        ),
        Family::<Self>::gauge(
            "kube_volumeattachment_status_attached",
            "Whether the volume is attached.",
            status_attached,
        ),
        Family::<Self>::gauge(
            "kube_volumeattachment_status_attachment_metadata",
            "Metadata of the attached volume from the attacher, as labels.",
            status_attachment_metadata,
        ),
    ];

    fn identity<'o>(attachment: &'o VolumeAttachment<'_>) -> Identity<'o> {
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
