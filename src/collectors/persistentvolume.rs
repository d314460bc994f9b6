//! PersistentVolumes, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/storage/persistentvolume-metrics.md>

use std::borrow::Cow;
use std::sync::LazyLock;

use super::common::{name, text};
use super::objects::{PersistentVolume, PersistentVolumeSpec};
use super::quantity::Amount;
use super::states::one_of;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `persistentvolumes`.
pub struct PersistentVolumes;

impl Resource for PersistentVolumes {
    type Object<'a> = PersistentVolume<'a>;
    const API: Api = Api::cluster("v1", "PersistentVolume", "persistentvolumes");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_persistentvolume_claim_ref",
            "Claim that the volume is bound to, as labels.",
            claim_ref,
        )
        .stable(),
        Family::annotations("kube_persistentvolume_annotations"),
        Family::labels("kube_persistentvolume_labels").stable(),
        Family::<Self>::gauge(
            "kube_persistentvolume_status_phase",
            "Whether the volume is in this phase.",
            status_phase,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_persistentvolume_info",
            "Storage class, source and reclaim policy of the volume, as labels.",
            info,
        )
        .stable(),
        Family::<Self>::gauge("kube_persistentvolume_capacity_bytes", "Capacity of the volume in bytes.", capacity)
            .stable(),
        Family::created("kube_persistentvolume_created"),
        Family::deletion_timestamp("kube_persistentvolume_deletion_timestamp"),
        Family::<Self>::gauge(
            "kube_persistentvolume_csi_attributes",
            "Mount options of the CSI volume, as labels.",
            csi_attributes,
        )
        .opt_in(),
        Family::<Self>::gauge("kube_persistentvolume_volume_mode", "Mode of the volume, as a label.", volume_mode),
        Family::<Self>::gauge(
            "kube_persistentvolume_access_mode",
            "Access modes of the volume, one series per mode.",
            access_mode,
        ),
    ];

    fn identity<'o>(volume: &'o PersistentVolume<'_>) -> Identity<'o> {
        vec![("persistentvolume", name(volume))]
    }
}

const PHASES: [&str; 5] = ["Pending", "Available", "Bound", "Released", "Failed"];

static NO_SPEC: LazyLock<PersistentVolumeSpec<'static>> = LazyLock::new(PersistentVolumeSpec::default);

fn spec<'a>(volume: &'a PersistentVolume<'a>) -> &'a PersistentVolumeSpec<'a> {
    volume.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn claim_ref(volume: &PersistentVolume, samples: &mut Samples) {
    if let Some(claim) = &spec(volume).claim_ref {
        samples.sample(&[("name", text(&claim.name)), ("claim_namespace", text(&claim.namespace))], 1.0);
    }
}

fn status_phase(volume: &PersistentVolume, samples: &mut Samples) {
    one_of("phase", &PHASES, volume.status.as_ref().map_or("", |s| text(&s.phase)), samples);
}

/// The source of a volume, as labels of `info`: only the fields of its type are not empty.
#[derive(Default)]
struct Source<'a> {
    gce_persistent_disk_name: &'a str,
    ebs_volume_id: &'a str,
    azure_disk_name: &'a str,
    fc_wwids: String,
    fc_lun: String,
    fc_target_wwns: String,
    iscsi_target_portal: &'a str,
    iscsi_iqn: &'a str,
    iscsi_lun: String,
    iscsi_initiator_name: &'a str,
    nfs_server: &'a str,
    nfs_path: &'a str,
    csi_driver: &'a str,
    csi_volume_handle: &'a str,
    local_path: &'a str,
    local_fs: &'a str,
    host_path: &'a str,
    host_path_type: &'a str,
}

impl<'a> Source<'a> {
    /// Uses the first type that is set.
    fn of(spec: &'a PersistentVolumeSpec<'a>) -> Self {
        if let Some(disk) = &spec.gce_persistent_disk {
            Self { gce_persistent_disk_name: &disk.pd_name, ..Self::default() }
        } else if let Some(store) = &spec.aws_elastic_block_store {
            Self { ebs_volume_id: &store.volume_id, ..Self::default() }
        } else if let Some(disk) = &spec.azure_disk {
            Self { azure_disk_name: &disk.disk_name, ..Self::default() }
        } else if let Some(fc) = &spec.fc {
            Self {
                fc_wwids: joined(&fc.wwids),
                fc_lun: fc.lun.map(|lun| lun.to_string()).unwrap_or_default(),
                fc_target_wwns: joined(&fc.target_wwns),
                ..Self::default()
            }
        } else if let Some(iscsi) = &spec.iscsi {
            Self {
                iscsi_target_portal: &iscsi.target_portal,
                iscsi_iqn: &iscsi.iqn,
                iscsi_lun: iscsi.lun.to_string(),
                iscsi_initiator_name: text(&iscsi.initiator_name),
                ..Self::default()
            }
        } else if let Some(nfs) = &spec.nfs {
            Self { nfs_server: &nfs.server, nfs_path: &nfs.path, ..Self::default() }
        } else if let Some(csi) = &spec.csi {
            Self { csi_driver: &csi.driver, csi_volume_handle: &csi.volume_handle, ..Self::default() }
        } else if let Some(local) = &spec.local {
            Self { local_path: &local.path, local_fs: text(&local.fs_type), ..Self::default() }
        } else if let Some(host) = &spec.host_path {
            Self { host_path: &host.path, host_path_type: text(&host.type_), ..Self::default() }
        } else {
            Self::default()
        }
    }
}

/// Joins texts with commas. NB: like upstream, ignore empty texts before the first other one.
fn joined(texts: &Option<Vec<Cow<'_, str>>>) -> String {
    let texts = texts.as_deref().unwrap_or_default();
    let start = texts.iter().position(|text| !text.is_empty()).unwrap_or(texts.len());
    texts[start..].join(",")
}

fn info(volume: &PersistentVolume, samples: &mut Samples) {
    let spec = spec(volume);
    let source = Source::of(spec);
    let labels = [
        ("storageclass", text(&spec.storage_class_name)),
        ("gce_persistent_disk_name", source.gce_persistent_disk_name),
        ("ebs_volume_id", source.ebs_volume_id),
        ("azure_disk_name", source.azure_disk_name),
        ("fc_wwids", &source.fc_wwids),
        ("fc_lun", &source.fc_lun),
        ("fc_target_wwns", &source.fc_target_wwns),
        ("iscsi_target_portal", source.iscsi_target_portal),
        ("iscsi_iqn", source.iscsi_iqn),
        ("iscsi_lun", &source.iscsi_lun),
        ("iscsi_initiator_name", source.iscsi_initiator_name),
        ("nfs_server", source.nfs_server),
        ("nfs_path", source.nfs_path),
        ("csi_driver", source.csi_driver),
        ("csi_volume_handle", source.csi_volume_handle),
        ("local_path", source.local_path),
        ("local_fs", source.local_fs),
        ("host_path", source.host_path),
        ("host_path_type", source.host_path_type),
        ("reclaim_policy", text(&spec.persistent_volume_reclaim_policy)),
    ];
    samples.sample(&labels, 1.0);
}

fn capacity(volume: &PersistentVolume, samples: &mut Samples) {
    let storage = spec(volume).capacity.as_ref().and_then(|capacity| capacity.get("storage"));
    let amount = storage.and_then(|amount| Amount::parse(&amount.0));
    samples.sample(&[], amount.map_or(0, Amount::value) as f64);
}

fn csi_attributes(volume: &PersistentVolume, samples: &mut Samples) {
    if let Some(csi) = &spec(volume).csi {
        let attribute = |key: &str| csi.volume_attributes.as_ref().and_then(|a| a.get(key)).map_or("", |value| value);
        samples.sample(&[("csi_mounter", attribute("mounter")), ("csi_map_options", attribute("mapOptions"))], 1.0);
    }
}

fn volume_mode(volume: &PersistentVolume, samples: &mut Samples) {
    samples.sample(&[("volumemode", spec(volume).volume_mode.as_deref().unwrap_or("Filesystem"))], 1.0);
}

fn access_mode(volume: &PersistentVolume, samples: &mut Samples) {
    for mode in spec(volume).access_modes.iter().flatten() {
        samples.sample(&[("access_mode", mode)], 1.0);
    }
}
