//! The fields of Kubernetes' messages that the collectors read, as types. Generated from src/intake/protobuf/fields.txt by
//! `scripts/gen-fields`. A line is a field, its type, its slot in the tables of the decoder, and its name in JSON.

use std::borrow::Cow;

use super::macros::{objects, views};
use super::scalars::{ByteString, IntOrString, Map, MicroTime, Quantity, Time};

views! {
MutatingAdmissionPolicy<'a> = "admissionregistration/v1.MutatingAdmissionPolicy" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<MutatingAdmissionPolicySpec<'a>> = 1 "spec",
}
MutatingAdmissionPolicyBinding<'a> = "admissionregistration/v1.MutatingAdmissionPolicyBinding" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<MutatingAdmissionPolicyBindingSpec<'a>> = 1 "spec",
}
MutatingAdmissionPolicyBindingSpec<'a> = "admissionregistration/v1.MutatingAdmissionPolicyBindingSpec" {
    policy_name: Option<Cow<'a, str>> = 0 "policyName",
    param_ref: Option<ParamRef<'a>> = 1 "paramRef",
}
MutatingAdmissionPolicySpec<'a> = "admissionregistration/v1.MutatingAdmissionPolicySpec" {
    param_kind: Option<ParamKind<'a>> = 0 "paramKind",
    failure_policy: Option<Cow<'a, str>> = 1 "failurePolicy",
    reinvocation_policy: Option<Cow<'a, str>> = 2 "reinvocationPolicy",
}
MutatingWebhook<'a> = "admissionregistration/v1.MutatingWebhook" {
    name: Cow<'a, str> = 0 "name",
    client_config: WebhookClientConfig<'a> = 1 "clientConfig",
}
MutatingWebhookConfiguration<'a> = "admissionregistration/v1.MutatingWebhookConfiguration" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    webhooks: Option<Vec<MutatingWebhook<'a>>> = 1 "webhooks",
}
ParamKind<'a> = "admissionregistration/v1.ParamKind" {
    api_version: Option<Cow<'a, str>> = 0 "apiVersion",
    kind: Option<Cow<'a, str>> = 1 "kind",
}
ParamRef<'a> = "admissionregistration/v1.ParamRef" {
    name: Option<Cow<'a, str>> = 0 "name",
    namespace: Option<Cow<'a, str>> = 1 "namespace",
    parameter_not_found_action: Option<Cow<'a, str>> = 2 "parameterNotFoundAction",
}
ServiceReference<'a> = "admissionregistration/v1.ServiceReference" {
    namespace: Cow<'a, str> = 0 "namespace",
    name: Cow<'a, str> = 1 "name",
}
ValidatingAdmissionPolicy<'a> = "admissionregistration/v1.ValidatingAdmissionPolicy" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<ValidatingAdmissionPolicySpec<'a>> = 1 "spec",
}
ValidatingAdmissionPolicyBinding<'a> = "admissionregistration/v1.ValidatingAdmissionPolicyBinding" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<ValidatingAdmissionPolicyBindingSpec<'a>> = 1 "spec",
}
ValidatingAdmissionPolicyBindingSpec<'a> = "admissionregistration/v1.ValidatingAdmissionPolicyBindingSpec" {
    policy_name: Option<Cow<'a, str>> = 0 "policyName",
    param_ref: Option<ParamRef<'a>> = 1 "paramRef",
    validation_actions: Option<Vec<Cow<'a, str>>> = 2 "validationActions",
}
ValidatingAdmissionPolicySpec<'a> = "admissionregistration/v1.ValidatingAdmissionPolicySpec" {
    param_kind: Option<ParamKind<'a>> = 0 "paramKind",
    failure_policy: Option<Cow<'a, str>> = 1 "failurePolicy",
}
ValidatingWebhook<'a> = "admissionregistration/v1.ValidatingWebhook" {
    name: Cow<'a, str> = 0 "name",
    client_config: WebhookClientConfig<'a> = 1 "clientConfig",
}
ValidatingWebhookConfiguration<'a> = "admissionregistration/v1.ValidatingWebhookConfiguration" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    webhooks: Option<Vec<ValidatingWebhook<'a>>> = 1 "webhooks",
}
WebhookClientConfig<'a> = "admissionregistration/v1.WebhookClientConfig" {
    service: Option<ServiceReference<'a>> = 0 "service",
}
DaemonSet<'a> = "apps/v1.DaemonSet" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    status: Option<DaemonSetStatus> = 1 "status",
}
DaemonSetStatus = "apps/v1.DaemonSetStatus" {
    current_number_scheduled: i32 = 0 "currentNumberScheduled",
    number_misscheduled: i32 = 1 "numberMisscheduled",
    desired_number_scheduled: i32 = 2 "desiredNumberScheduled",
    number_ready: i32 = 3 "numberReady",
    observed_generation: Option<i64> = 4 "observedGeneration",
    updated_number_scheduled: Option<i32> = 5 "updatedNumberScheduled",
    number_available: Option<i32> = 6 "numberAvailable",
    number_unavailable: Option<i32> = 7 "numberUnavailable",
}
Deployment<'a> = "apps/v1.Deployment" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<DeploymentSpec<'a>> = 1 "spec",
    status: Option<DeploymentStatus<'a>> = 2 "status",
}
DeploymentCondition<'a> = "apps/v1.DeploymentCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
    reason: Option<Cow<'a, str>> = 2 "reason",
}
DeploymentSpec<'a> = "apps/v1.DeploymentSpec" {
    replicas: Option<i32> = 0 "replicas",
    strategy: Option<DeploymentStrategy<'a>> = 1 "strategy",
    paused: Option<bool> = 2 "paused",
}
DeploymentStatus<'a> = "apps/v1.DeploymentStatus" {
    observed_generation: Option<i64> = 0 "observedGeneration",
    replicas: Option<i32> = 1 "replicas",
    updated_replicas: Option<i32> = 2 "updatedReplicas",
    available_replicas: Option<i32> = 3 "availableReplicas",
    unavailable_replicas: Option<i32> = 4 "unavailableReplicas",
    conditions: Option<Vec<DeploymentCondition<'a>>> = 5 "conditions",
    ready_replicas: Option<i32> = 6 "readyReplicas",
    terminating_replicas: Option<i32> = 7 "terminatingReplicas",
}
DeploymentStrategy<'a> = "apps/v1.DeploymentStrategy" {
    rolling_update: Option<RollingUpdateDeployment<'a>> = 0 "rollingUpdate",
}
ReplicaSet<'a> = "apps/v1.ReplicaSet" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<ReplicaSetSpec> = 1 "spec",
    status: Option<ReplicaSetStatus> = 2 "status",
}
ReplicaSetSpec = "apps/v1.ReplicaSetSpec" {
    replicas: Option<i32> = 0 "replicas",
}
ReplicaSetStatus = "apps/v1.ReplicaSetStatus" {
    replicas: i32 = 0 "replicas",
    fully_labeled_replicas: Option<i32> = 1 "fullyLabeledReplicas",
    observed_generation: Option<i64> = 2 "observedGeneration",
    ready_replicas: Option<i32> = 3 "readyReplicas",
    terminating_replicas: Option<i32> = 4 "terminatingReplicas",
}
RollingUpdateDeployment<'a> = "apps/v1.RollingUpdateDeployment" {
    max_unavailable: Option<IntOrString<'a>> = 0 "maxUnavailable",
    max_surge: Option<IntOrString<'a>> = 1 "maxSurge",
}
StatefulSet<'a> = "apps/v1.StatefulSet" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<StatefulSetSpec<'a>> = 1 "spec",
    status: Option<StatefulSetStatus<'a>> = 2 "status",
}
StatefulSetOrdinals = "apps/v1.StatefulSetOrdinals" {
    start: i32 = 0 "start",
}
StatefulSetPersistentVolumeClaimRetentionPolicy<'a> = "apps/v1.StatefulSetPersistentVolumeClaimRetentionPolicy" {
    when_deleted: Option<Cow<'a, str>> = 0 "whenDeleted",
    when_scaled: Option<Cow<'a, str>> = 1 "whenScaled",
}
StatefulSetSpec<'a> = "apps/v1.StatefulSetSpec" {
    replicas: Option<i32> = 0 "replicas",
    persistent_volume_claim_retention_policy: Option<StatefulSetPersistentVolumeClaimRetentionPolicy<'a>> = 1 "persistentVolumeClaimRetentionPolicy",
    ordinals: Option<StatefulSetOrdinals> = 2 "ordinals",
}
StatefulSetStatus<'a> = "apps/v1.StatefulSetStatus" {
    observed_generation: Option<i64> = 0 "observedGeneration",
    replicas: i32 = 1 "replicas",
    ready_replicas: Option<i32> = 2 "readyReplicas",
    current_replicas: Option<i32> = 3 "currentReplicas",
    updated_replicas: Option<i32> = 4 "updatedReplicas",
    current_revision: Option<Cow<'a, str>> = 5 "currentRevision",
    update_revision: Option<Cow<'a, str>> = 6 "updateRevision",
    available_replicas: i32 = 7 "availableReplicas",
}
ContainerResourceMetricSource<'a> = "autoscaling/v2.ContainerResourceMetricSource" {
    name: Cow<'a, str> = 0 "name",
    target: MetricTarget<'a> = 1 "target",
    container: Cow<'a, str> = 2 "container",
}
ContainerResourceMetricStatus<'a> = "autoscaling/v2.ContainerResourceMetricStatus" {
    name: Cow<'a, str> = 0 "name",
    current: MetricValueStatus<'a> = 1 "current",
    container: Cow<'a, str> = 2 "container",
}
CrossVersionObjectReference<'a> = "autoscaling/v2.CrossVersionObjectReference" {
    kind: Cow<'a, str> = 0 "kind",
    name: Cow<'a, str> = 1 "name",
    api_version: Option<Cow<'a, str>> = 2 "apiVersion",
}
ExternalMetricSource<'a> = "autoscaling/v2.ExternalMetricSource" {
    metric: MetricIdentifier<'a> = 0 "metric",
    target: MetricTarget<'a> = 1 "target",
}
ExternalMetricStatus<'a> = "autoscaling/v2.ExternalMetricStatus" {
    metric: MetricIdentifier<'a> = 0 "metric",
    current: MetricValueStatus<'a> = 1 "current",
}
HPAScalingRules<'a> = "autoscaling/v2.HPAScalingRules" {
    tolerance: Option<Quantity<'a>> = 0 "tolerance",
}
HorizontalPodAutoscaler<'a> = "autoscaling/v2.HorizontalPodAutoscaler" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<HorizontalPodAutoscalerSpec<'a>> = 1 "spec",
    status: Option<HorizontalPodAutoscalerStatus<'a>> = 2 "status",
}
HorizontalPodAutoscalerBehavior<'a> = "autoscaling/v2.HorizontalPodAutoscalerBehavior" {
    scale_up: Option<HPAScalingRules<'a>> = 0 "scaleUp",
    scale_down: Option<HPAScalingRules<'a>> = 1 "scaleDown",
}
HorizontalPodAutoscalerCondition<'a> = "autoscaling/v2.HorizontalPodAutoscalerCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
}
HorizontalPodAutoscalerSpec<'a> = "autoscaling/v2.HorizontalPodAutoscalerSpec" {
    scale_target_ref: CrossVersionObjectReference<'a> = 0 "scaleTargetRef",
    min_replicas: Option<i32> = 1 "minReplicas",
    max_replicas: i32 = 2 "maxReplicas",
    metrics: Option<Vec<MetricSpec<'a>>> = 3 "metrics",
    behavior: Option<HorizontalPodAutoscalerBehavior<'a>> = 4 "behavior",
}
HorizontalPodAutoscalerStatus<'a> = "autoscaling/v2.HorizontalPodAutoscalerStatus" {
    current_replicas: Option<i32> = 0 "currentReplicas",
    desired_replicas: i32 = 1 "desiredReplicas",
    current_metrics: Vec<MetricStatus<'a>> = 2 "currentMetrics",
    conditions: Option<Vec<HorizontalPodAutoscalerCondition<'a>>> = 3 "conditions",
}
MetricIdentifier<'a> = "autoscaling/v2.MetricIdentifier" {
    name: Cow<'a, str> = 0 "name",
    selector: Option<LabelSelector<'a>> = 1 "selector",
}
MetricSpec<'a> = "autoscaling/v2.MetricSpec" {
    type_: Cow<'a, str> = 0 "type",
    object: Option<ObjectMetricSource<'a>> = 1 "object",
    pods: Option<PodsMetricSource<'a>> = 2 "pods",
    resource: Option<ResourceMetricSource<'a>> = 3 "resource",
    external: Option<ExternalMetricSource<'a>> = 4 "external",
    container_resource: Option<ContainerResourceMetricSource<'a>> = 5 "containerResource",
}
MetricStatus<'a> = "autoscaling/v2.MetricStatus" {
    type_: Cow<'a, str> = 0 "type",
    object: Option<ObjectMetricStatus<'a>> = 1 "object",
    pods: Option<PodsMetricStatus<'a>> = 2 "pods",
    resource: Option<ResourceMetricStatus<'a>> = 3 "resource",
    external: Option<ExternalMetricStatus<'a>> = 4 "external",
    container_resource: Option<ContainerResourceMetricStatus<'a>> = 5 "containerResource",
}
MetricTarget<'a> = "autoscaling/v2.MetricTarget" {
    value: Option<Quantity<'a>> = 0 "value",
    average_value: Option<Quantity<'a>> = 1 "averageValue",
    average_utilization: Option<i32> = 2 "averageUtilization",
}
MetricValueStatus<'a> = "autoscaling/v2.MetricValueStatus" {
    value: Option<Quantity<'a>> = 0 "value",
    average_value: Option<Quantity<'a>> = 1 "averageValue",
    average_utilization: Option<i32> = 2 "averageUtilization",
}
ObjectMetricSource<'a> = "autoscaling/v2.ObjectMetricSource" {
    described_object: CrossVersionObjectReference<'a> = 0 "describedObject",
    target: MetricTarget<'a> = 1 "target",
    metric: MetricIdentifier<'a> = 2 "metric",
}
ObjectMetricStatus<'a> = "autoscaling/v2.ObjectMetricStatus" {
    metric: MetricIdentifier<'a> = 0 "metric",
    current: MetricValueStatus<'a> = 1 "current",
    described_object: CrossVersionObjectReference<'a> = 2 "describedObject",
}
PodsMetricSource<'a> = "autoscaling/v2.PodsMetricSource" {
    metric: MetricIdentifier<'a> = 0 "metric",
    target: MetricTarget<'a> = 1 "target",
}
PodsMetricStatus<'a> = "autoscaling/v2.PodsMetricStatus" {
    metric: MetricIdentifier<'a> = 0 "metric",
    current: MetricValueStatus<'a> = 1 "current",
}
ResourceMetricSource<'a> = "autoscaling/v2.ResourceMetricSource" {
    name: Cow<'a, str> = 0 "name",
    target: MetricTarget<'a> = 1 "target",
}
ResourceMetricStatus<'a> = "autoscaling/v2.ResourceMetricStatus" {
    name: Cow<'a, str> = 0 "name",
    current: MetricValueStatus<'a> = 1 "current",
}
CronJob<'a> = "batch/v1.CronJob" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<CronJobSpec<'a>> = 1 "spec",
    status: Option<CronJobStatus<'a>> = 2 "status",
}
CronJobSpec<'a> = "batch/v1.CronJobSpec" {
    schedule: Cow<'a, str> = 0 "schedule",
    starting_deadline_seconds: Option<i64> = 1 "startingDeadlineSeconds",
    concurrency_policy: Option<Cow<'a, str>> = 2 "concurrencyPolicy",
    suspend: Option<bool> = 3 "suspend",
    successful_jobs_history_limit: Option<i32> = 4 "successfulJobsHistoryLimit",
    failed_jobs_history_limit: Option<i32> = 5 "failedJobsHistoryLimit",
    time_zone: Option<Cow<'a, str>> = 6 "timeZone",
}
CronJobStatus<'a> = "batch/v1.CronJobStatus" {
    active: Option<Vec<ObjectReference<'a>>> = 0 "active",
    last_schedule_time: Option<Time> = 1 "lastScheduleTime",
    last_successful_time: Option<Time> = 2 "lastSuccessfulTime",
}
Job<'a> = "batch/v1.Job" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<JobSpec> = 1 "spec",
    status: Option<JobStatus<'a>> = 2 "status",
}
JobCondition<'a> = "batch/v1.JobCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
    reason: Option<Cow<'a, str>> = 2 "reason",
}
JobSpec = "batch/v1.JobSpec" {
    parallelism: Option<i32> = 0 "parallelism",
    completions: Option<i32> = 1 "completions",
    active_deadline_seconds: Option<i64> = 2 "activeDeadlineSeconds",
}
JobStatus<'a> = "batch/v1.JobStatus" {
    conditions: Option<Vec<JobCondition<'a>>> = 0 "conditions",
    start_time: Option<Time> = 1 "startTime",
    completion_time: Option<Time> = 2 "completionTime",
    active: Option<i32> = 3 "active",
    succeeded: Option<i32> = 4 "succeeded",
    failed: Option<i32> = 5 "failed",
    ready: Option<i32> = 6 "ready",
}
CertificateSigningRequest<'a> = "certificates/v1.CertificateSigningRequest" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: CertificateSigningRequestSpec<'a> = 1 "spec",
    status: Option<CertificateSigningRequestStatus<'a>> = 2 "status",
}
CertificateSigningRequestCondition<'a> = "certificates/v1.CertificateSigningRequestCondition" {
    type_: Cow<'a, str> = 0 "type",
}
CertificateSigningRequestSpec<'a> = "certificates/v1.CertificateSigningRequestSpec" {
    signer_name: Cow<'a, str> = 0 "signerName",
}
CertificateSigningRequestStatus<'a> = "certificates/v1.CertificateSigningRequestStatus" {
    conditions: Option<Vec<CertificateSigningRequestCondition<'a>>> = 0 "conditions",
    certificate: Option<ByteString<'a>> = 1 "certificate",
}
Lease<'a> = "coordination/v1.Lease" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<LeaseSpec<'a>> = 1 "spec",
}
LeaseSpec<'a> = "coordination/v1.LeaseSpec" {
    holder_identity: Option<Cow<'a, str>> = 0 "holderIdentity",
    renew_time: Option<MicroTime> = 1 "renewTime",
}
AWSElasticBlockStoreVolumeSource<'a> = "core/v1.AWSElasticBlockStoreVolumeSource" {
    volume_id: Cow<'a, str> = 0 "volumeID",
}
AzureDiskVolumeSource<'a> = "core/v1.AzureDiskVolumeSource" {
    disk_name: Cow<'a, str> = 0 "diskName",
}
CSIPersistentVolumeSource<'a> = "core/v1.CSIPersistentVolumeSource" {
    driver: Cow<'a, str> = 0 "driver",
    volume_handle: Cow<'a, str> = 1 "volumeHandle",
    volume_attributes: Option<Map<'a, Cow<'a, str>>> = 2 "volumeAttributes",
}
ConfigMap<'a> = "core/v1.ConfigMap" {
    metadata: ObjectMeta<'a> = 0 "metadata",
}
Container<'a> = "core/v1.Container" {
    name: Cow<'a, str> = 0 "name",
    image: Option<Cow<'a, str>> = 1 "image",
    resources: Option<ResourceRequirements<'a>> = 2 "resources",
    restart_policy: Option<Cow<'a, str>> = 3 "restartPolicy",
}
ContainerState<'a> = "core/v1.ContainerState" {
    waiting: Option<ContainerStateWaiting<'a>> = 0 "waiting",
    running: Option<ContainerStateRunning> = 1 "running",
    terminated: Option<ContainerStateTerminated<'a>> = 2 "terminated",
}
ContainerStateRunning = "core/v1.ContainerStateRunning" {
    started_at: Option<Time> = 0 "startedAt",
}
ContainerStateTerminated<'a> = "core/v1.ContainerStateTerminated" {
    exit_code: i32 = 0 "exitCode",
    reason: Option<Cow<'a, str>> = 1 "reason",
    started_at: Option<Time> = 2 "startedAt",
    finished_at: Option<Time> = 3 "finishedAt",
}
ContainerStateWaiting<'a> = "core/v1.ContainerStateWaiting" {
    reason: Option<Cow<'a, str>> = 0 "reason",
}
ContainerStatus<'a> = "core/v1.ContainerStatus" {
    name: Cow<'a, str> = 0 "name",
    state: Option<ContainerState<'a>> = 1 "state",
    last_state: Option<ContainerState<'a>> = 2 "lastState",
    ready: bool = 3 "ready",
    restart_count: i32 = 4 "restartCount",
    image: Cow<'a, str> = 5 "image",
    image_id: Cow<'a, str> = 6 "imageID",
    container_id: Option<Cow<'a, str>> = 7 "containerID",
    allocated_resources: Option<Map<'a, Quantity<'a>>> = 8 "allocatedResources",
    resources: Option<ResourceRequirements<'a>> = 9 "resources",
}
EndpointAddress<'a> = "core/v1.EndpointAddress" {
    ip: Cow<'a, str> = 0 "ip",
}
EndpointPort<'a> = "core/v1.EndpointPort" {
    name: Option<Cow<'a, str>> = 0 "name",
    port: i32 = 1 "port",
    protocol: Option<Cow<'a, str>> = 2 "protocol",
}
EndpointSubset<'a> = "core/v1.EndpointSubset" {
    addresses: Option<Vec<EndpointAddress<'a>>> = 0 "addresses",
    not_ready_addresses: Option<Vec<EndpointAddress<'a>>> = 1 "notReadyAddresses",
    ports: Option<Vec<EndpointPort<'a>>> = 2 "ports",
}
Endpoints<'a> = "core/v1.Endpoints" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    subsets: Option<Vec<EndpointSubset<'a>>> = 1 "subsets",
}
EphemeralVolumeSource = "core/v1.EphemeralVolumeSource" {
}
FCVolumeSource<'a> = "core/v1.FCVolumeSource" {
    target_wwns: Option<Vec<Cow<'a, str>>> = 0 "targetWWNs",
    lun: Option<i32> = 1 "lun",
    wwids: Option<Vec<Cow<'a, str>>> = 2 "wwids",
}
GCEPersistentDiskVolumeSource<'a> = "core/v1.GCEPersistentDiskVolumeSource" {
    pd_name: Cow<'a, str> = 0 "pdName",
}
HostPathVolumeSource<'a> = "core/v1.HostPathVolumeSource" {
    path: Cow<'a, str> = 0 "path",
    type_: Option<Cow<'a, str>> = 1 "type",
}
ISCSIPersistentVolumeSource<'a> = "core/v1.ISCSIPersistentVolumeSource" {
    target_portal: Cow<'a, str> = 0 "targetPortal",
    iqn: Cow<'a, str> = 1 "iqn",
    lun: i32 = 2 "lun",
    initiator_name: Option<Cow<'a, str>> = 3 "initiatorName",
}
LimitRange<'a> = "core/v1.LimitRange" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<LimitRangeSpec<'a>> = 1 "spec",
}
LimitRangeItem<'a> = "core/v1.LimitRangeItem" {
    type_: Cow<'a, str> = 0 "type",
    max: Option<Map<'a, Quantity<'a>>> = 1 "max",
    min: Option<Map<'a, Quantity<'a>>> = 2 "min",
    default: Option<Map<'a, Quantity<'a>>> = 3 "default",
    default_request: Option<Map<'a, Quantity<'a>>> = 4 "defaultRequest",
    max_limit_request_ratio: Option<Map<'a, Quantity<'a>>> = 5 "maxLimitRequestRatio",
}
LimitRangeSpec<'a> = "core/v1.LimitRangeSpec" {
    limits: Vec<LimitRangeItem<'a>> = 0 "limits",
}
LoadBalancerIngress<'a> = "core/v1.LoadBalancerIngress" {
    ip: Option<Cow<'a, str>> = 0 "ip",
    hostname: Option<Cow<'a, str>> = 1 "hostname",
}
LoadBalancerStatus<'a> = "core/v1.LoadBalancerStatus" {
    ingress: Option<Vec<LoadBalancerIngress<'a>>> = 0 "ingress",
}
LocalObjectReference<'a> = "core/v1.LocalObjectReference" {
    name: Option<Cow<'a, str>> = 0 "name",
}
LocalVolumeSource<'a> = "core/v1.LocalVolumeSource" {
    path: Cow<'a, str> = 0 "path",
    fs_type: Option<Cow<'a, str>> = 1 "fsType",
}
NFSVolumeSource<'a> = "core/v1.NFSVolumeSource" {
    server: Cow<'a, str> = 0 "server",
    path: Cow<'a, str> = 1 "path",
}
Namespace<'a> = "core/v1.Namespace" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    status: Option<NamespaceStatus<'a>> = 1 "status",
}
NamespaceCondition<'a> = "core/v1.NamespaceCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
}
NamespaceStatus<'a> = "core/v1.NamespaceStatus" {
    phase: Option<Cow<'a, str>> = 0 "phase",
    conditions: Option<Vec<NamespaceCondition<'a>>> = 1 "conditions",
}
Node<'a> = "core/v1.Node" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<NodeSpec<'a>> = 1 "spec",
    status: Option<NodeStatus<'a>> = 2 "status",
}
NodeAddress<'a> = "core/v1.NodeAddress" {
    type_: Cow<'a, str> = 0 "type",
    address: Cow<'a, str> = 1 "address",
}
NodeAllocatableResourceClaimStatus<'a> = "core/v1.NodeAllocatableResourceClaimStatus" {
    resources: Map<'a, Quantity<'a>> = 0 "resources",
}
NodeCondition<'a> = "core/v1.NodeCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
}
NodeSpec<'a> = "core/v1.NodeSpec" {
    pod_cidr: Option<Cow<'a, str>> = 0 "podCIDR",
    provider_id: Option<Cow<'a, str>> = 1 "providerID",
    unschedulable: Option<bool> = 2 "unschedulable",
    taints: Option<Vec<Taint<'a>>> = 3 "taints",
    pod_cidrs: Option<Vec<Cow<'a, str>>> = 4 "podCIDRs",
}
NodeStatus<'a> = "core/v1.NodeStatus" {
    capacity: Option<Map<'a, Quantity<'a>>> = 0 "capacity",
    allocatable: Option<Map<'a, Quantity<'a>>> = 1 "allocatable",
    conditions: Option<Vec<NodeCondition<'a>>> = 2 "conditions",
    addresses: Option<Vec<NodeAddress<'a>>> = 3 "addresses",
    node_info: Option<NodeSystemInfo<'a>> = 4 "nodeInfo",
}
NodeSystemInfo<'a> = "core/v1.NodeSystemInfo" {
    system_uuid: Cow<'a, str> = 0 "systemUUID",
    kernel_version: Cow<'a, str> = 1 "kernelVersion",
    os_image: Cow<'a, str> = 2 "osImage",
    container_runtime_version: Cow<'a, str> = 3 "containerRuntimeVersion",
    kubelet_version: Cow<'a, str> = 4 "kubeletVersion",
}
ObjectReference<'a> = "core/v1.ObjectReference" {
    kind: Option<Cow<'a, str>> = 0 "kind",
    namespace: Option<Cow<'a, str>> = 1 "namespace",
    name: Option<Cow<'a, str>> = 2 "name",
}
PersistentVolume<'a> = "core/v1.PersistentVolume" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<PersistentVolumeSpec<'a>> = 1 "spec",
    status: Option<PersistentVolumeStatus<'a>> = 2 "status",
}
PersistentVolumeClaim<'a> = "core/v1.PersistentVolumeClaim" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<PersistentVolumeClaimSpec<'a>> = 1 "spec",
    status: Option<PersistentVolumeClaimStatus<'a>> = 2 "status",
}
PersistentVolumeClaimCondition<'a> = "core/v1.PersistentVolumeClaimCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
}
PersistentVolumeClaimSpec<'a> = "core/v1.PersistentVolumeClaimSpec" {
    access_modes: Option<Vec<Cow<'a, str>>> = 0 "accessModes",
    resources: Option<VolumeResourceRequirements<'a>> = 1 "resources",
    volume_name: Option<Cow<'a, str>> = 2 "volumeName",
    storage_class_name: Option<Cow<'a, str>> = 3 "storageClassName",
    volume_mode: Option<Cow<'a, str>> = 4 "volumeMode",
}
PersistentVolumeClaimStatus<'a> = "core/v1.PersistentVolumeClaimStatus" {
    phase: Option<Cow<'a, str>> = 0 "phase",
    conditions: Option<Vec<PersistentVolumeClaimCondition<'a>>> = 1 "conditions",
}
PersistentVolumeClaimVolumeSource<'a> = "core/v1.PersistentVolumeClaimVolumeSource" {
    claim_name: Cow<'a, str> = 0 "claimName",
    read_only: Option<bool> = 1 "readOnly",
}
PersistentVolumeSpec<'a> = "core/v1.PersistentVolumeSpec" {
    capacity: Option<Map<'a, Quantity<'a>>> = 0 "capacity",
    access_modes: Option<Vec<Cow<'a, str>>> = 1 "accessModes",
    claim_ref: Option<ObjectReference<'a>> = 2 "claimRef",
    persistent_volume_reclaim_policy: Option<Cow<'a, str>> = 3 "persistentVolumeReclaimPolicy",
    storage_class_name: Option<Cow<'a, str>> = 4 "storageClassName",
    volume_mode: Option<Cow<'a, str>> = 5 "volumeMode",
    gce_persistent_disk: Option<GCEPersistentDiskVolumeSource<'a>> = 6 "gcePersistentDisk",
    aws_elastic_block_store: Option<AWSElasticBlockStoreVolumeSource<'a>> = 7 "awsElasticBlockStore",
    host_path: Option<HostPathVolumeSource<'a>> = 8 "hostPath",
    nfs: Option<NFSVolumeSource<'a>> = 9 "nfs",
    iscsi: Option<ISCSIPersistentVolumeSource<'a>> = 10 "iscsi",
    fc: Option<FCVolumeSource<'a>> = 11 "fc",
    azure_disk: Option<AzureDiskVolumeSource<'a>> = 12 "azureDisk",
    local: Option<LocalVolumeSource<'a>> = 13 "local",
    csi: Option<CSIPersistentVolumeSource<'a>> = 14 "csi",
}
PersistentVolumeStatus<'a> = "core/v1.PersistentVolumeStatus" {
    phase: Option<Cow<'a, str>> = 0 "phase",
}
Pod<'a> = "core/v1.Pod" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<PodSpec<'a>> = 1 "spec",
    status: Option<PodStatus<'a>> = 2 "status",
}
PodCondition<'a> = "core/v1.PodCondition" {
    type_: Cow<'a, str> = 0 "type",
    status: Cow<'a, str> = 1 "status",
    last_transition_time: Option<Time> = 2 "lastTransitionTime",
    reason: Option<Cow<'a, str>> = 3 "reason",
}
PodIP<'a> = "core/v1.PodIP" {
    ip: Cow<'a, str> = 0 "ip",
}
PodResourceClaim<'a> = "core/v1.PodResourceClaim" {
    name: Cow<'a, str> = 0 "name",
    resource_claim_name: Option<Cow<'a, str>> = 1 "resourceClaimName",
    resource_claim_template_name: Option<Cow<'a, str>> = 2 "resourceClaimTemplateName",
}
PodResourceClaimStatus<'a> = "core/v1.PodResourceClaimStatus" {
    name: Cow<'a, str> = 0 "name",
    resource_claim_name: Option<Cow<'a, str>> = 1 "resourceClaimName",
}
PodSpec<'a> = "core/v1.PodSpec" {
    volumes: Option<Vec<Volume<'a>>> = 0 "volumes",
    containers: Vec<Container<'a>> = 1 "containers",
    restart_policy: Option<Cow<'a, str>> = 2 "restartPolicy",
    node_selector: Option<Map<'a, Cow<'a, str>>> = 3 "nodeSelector",
    service_account_name: Option<Cow<'a, str>> = 4 "serviceAccountName",
    node_name: Option<Cow<'a, str>> = 5 "nodeName",
    host_network: Option<bool> = 6 "hostNetwork",
    scheduler_name: Option<Cow<'a, str>> = 7 "schedulerName",
    init_containers: Option<Vec<Container<'a>>> = 8 "initContainers",
    tolerations: Option<Vec<Toleration<'a>>> = 9 "tolerations",
    priority_class_name: Option<Cow<'a, str>> = 10 "priorityClassName",
    runtime_class_name: Option<Cow<'a, str>> = 11 "runtimeClassName",
    overhead: Option<Map<'a, Quantity<'a>>> = 12 "overhead",
    resource_claims: Option<Vec<PodResourceClaim<'a>>> = 13 "resourceClaims",
    resources: Option<ResourceRequirements<'a>> = 14 "resources",
}
PodStatus<'a> = "core/v1.PodStatus" {
    phase: Option<Cow<'a, str>> = 0 "phase",
    conditions: Option<Vec<PodCondition<'a>>> = 1 "conditions",
    reason: Option<Cow<'a, str>> = 2 "reason",
    host_ip: Option<Cow<'a, str>> = 3 "hostIP",
    pod_ip: Option<Cow<'a, str>> = 4 "podIP",
    start_time: Option<Time> = 5 "startTime",
    container_statuses: Option<Vec<ContainerStatus<'a>>> = 6 "containerStatuses",
    qos_class: Option<Cow<'a, str>> = 7 "qosClass",
    init_container_statuses: Option<Vec<ContainerStatus<'a>>> = 8 "initContainerStatuses",
    pod_ips: Option<Vec<PodIP<'a>>> = 9 "podIPs",
    resource_claim_statuses: Option<Vec<PodResourceClaimStatus<'a>>> = 10 "resourceClaimStatuses",
    allocated_resources: Option<Map<'a, Quantity<'a>>> = 11 "allocatedResources",
    resources: Option<ResourceRequirements<'a>> = 12 "resources",
    node_allocatable_resource_claim_statuses: Option<Vec<NodeAllocatableResourceClaimStatus<'a>>> = 13 "nodeAllocatableResourceClaimStatuses",
}
ReplicationController<'a> = "core/v1.ReplicationController" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<ReplicationControllerSpec> = 1 "spec",
    status: Option<ReplicationControllerStatus> = 2 "status",
}
ReplicationControllerSpec = "core/v1.ReplicationControllerSpec" {
    replicas: Option<i32> = 0 "replicas",
}
ReplicationControllerStatus = "core/v1.ReplicationControllerStatus" {
    replicas: i32 = 0 "replicas",
    fully_labeled_replicas: Option<i32> = 1 "fullyLabeledReplicas",
    observed_generation: Option<i64> = 2 "observedGeneration",
    ready_replicas: Option<i32> = 3 "readyReplicas",
    available_replicas: Option<i32> = 4 "availableReplicas",
}
ResourceQuota<'a> = "core/v1.ResourceQuota" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    status: Option<ResourceQuotaStatus<'a>> = 1 "status",
}
ResourceQuotaStatus<'a> = "core/v1.ResourceQuotaStatus" {
    hard: Option<Map<'a, Quantity<'a>>> = 0 "hard",
    used: Option<Map<'a, Quantity<'a>>> = 1 "used",
}
ResourceRequirements<'a> = "core/v1.ResourceRequirements" {
    limits: Option<Map<'a, Quantity<'a>>> = 0 "limits",
    requests: Option<Map<'a, Quantity<'a>>> = 1 "requests",
}
Secret<'a> = "core/v1.Secret" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    type_: Option<Cow<'a, str>> = 1 "type",
}
Service<'a> = "core/v1.Service" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<ServiceSpec<'a>> = 1 "spec",
    status: Option<ServiceStatus<'a>> = 2 "status",
}
ServiceAccount<'a> = "core/v1.ServiceAccount" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    secrets: Option<Vec<ObjectReference<'a>>> = 1 "secrets",
    image_pull_secrets: Option<Vec<LocalObjectReference<'a>>> = 2 "imagePullSecrets",
    automount_service_account_token: Option<bool> = 3 "automountServiceAccountToken",
}
ServiceSpec<'a> = "core/v1.ServiceSpec" {
    cluster_ip: Option<Cow<'a, str>> = 0 "clusterIP",
    type_: Option<Cow<'a, str>> = 1 "type",
    external_ips: Option<Vec<Cow<'a, str>>> = 2 "externalIPs",
    load_balancer_ip: Option<Cow<'a, str>> = 3 "loadBalancerIP",
    external_name: Option<Cow<'a, str>> = 4 "externalName",
    external_traffic_policy: Option<Cow<'a, str>> = 5 "externalTrafficPolicy",
}
ServiceStatus<'a> = "core/v1.ServiceStatus" {
    load_balancer: Option<LoadBalancerStatus<'a>> = 0 "loadBalancer",
}
Taint<'a> = "core/v1.Taint" {
    key: Cow<'a, str> = 0 "key",
    value: Option<Cow<'a, str>> = 1 "value",
    effect: Cow<'a, str> = 2 "effect",
}
Toleration<'a> = "core/v1.Toleration" {
    key: Option<Cow<'a, str>> = 0 "key",
    operator: Option<Cow<'a, str>> = 1 "operator",
    value: Option<Cow<'a, str>> = 2 "value",
    effect: Option<Cow<'a, str>> = 3 "effect",
    toleration_seconds: Option<i64> = 4 "tolerationSeconds",
}
TypedLocalObjectReference<'a> = "core/v1.TypedLocalObjectReference" {
    api_group: Option<Cow<'a, str>> = 0 "apiGroup",
    kind: Cow<'a, str> = 1 "kind",
    name: Cow<'a, str> = 2 "name",
}
Volume<'a> = "core/v1.Volume" {
    name: Cow<'a, str> = 0 "name",
    persistent_volume_claim: Option<PersistentVolumeClaimVolumeSource<'a>> = 1 "persistentVolumeClaim",
    ephemeral: Option<EphemeralVolumeSource> = 2 "ephemeral",
}
VolumeResourceRequirements<'a> = "core/v1.VolumeResourceRequirements" {
    requests: Option<Map<'a, Quantity<'a>>> = 0 "requests",
}
Endpoint<'a> = "discovery/v1.Endpoint" {
    addresses: Vec<Cow<'a, str>> = 0 "addresses",
    conditions: Option<EndpointConditions> = 1 "conditions",
    hostname: Option<Cow<'a, str>> = 2 "hostname",
    target_ref: Option<ObjectReference<'a>> = 3 "targetRef",
    node_name: Option<Cow<'a, str>> = 4 "nodeName",
    zone: Option<Cow<'a, str>> = 5 "zone",
    hints: Option<EndpointHints<'a>> = 6 "hints",
}
EndpointConditions = "discovery/v1.EndpointConditions" {
    ready: Option<bool> = 0 "ready",
    serving: Option<bool> = 1 "serving",
    terminating: Option<bool> = 2 "terminating",
}
EndpointHints<'a> = "discovery/v1.EndpointHints" {
    for_zones: Option<Vec<ForZone<'a>>> = 0 "forZones",
}
DiscoveryEndpointPort<'a> = "discovery/v1.EndpointPort" {
    name: Option<Cow<'a, str>> = 0 "name",
    protocol: Option<Cow<'a, str>> = 1 "protocol",
    port: Option<i32> = 2 "port",
}
EndpointSlice<'a> = "discovery/v1.EndpointSlice" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    endpoints: Vec<Endpoint<'a>> = 1 "endpoints",
    ports: Vec<DiscoveryEndpointPort<'a>> = 2 "ports",
    address_type: Cow<'a, str> = 3 "addressType",
}
ForZone<'a> = "discovery/v1.ForZone" {
    name: Cow<'a, str> = 0 "name",
}
LabelSelector<'a> = "meta/v1.LabelSelector" {
    match_labels: Option<Map<'a, Cow<'a, str>>> = 0 "matchLabels",
    match_expressions: Option<Vec<LabelSelectorRequirement<'a>>> = 1 "matchExpressions",
}
LabelSelectorRequirement<'a> = "meta/v1.LabelSelectorRequirement" {
    key: Cow<'a, str> = 0 "key",
    operator: Cow<'a, str> = 1 "operator",
    values: Option<Vec<Cow<'a, str>>> = 2 "values",
}
ObjectMeta<'a> = "meta/v1.ObjectMeta" {
    name: Option<Cow<'a, str>> = 0 "name",
    namespace: Option<Cow<'a, str>> = 1 "namespace",
    uid: Option<Cow<'a, str>> = 2 "uid",
    resource_version: Option<Cow<'a, str>> = 3 "resourceVersion",
    generation: Option<i64> = 4 "generation",
    creation_timestamp: Option<Time> = 5 "creationTimestamp",
    deletion_timestamp: Option<Time> = 6 "deletionTimestamp",
    labels: Option<Map<'a, Cow<'a, str>>> = 7 "labels",
    annotations: Option<Map<'a, Cow<'a, str>>> = 8 "annotations",
    owner_references: Option<Vec<OwnerReference<'a>>> = 9 "ownerReferences",
}
OwnerReference<'a> = "meta/v1.OwnerReference" {
    kind: Cow<'a, str> = 0 "kind",
    name: Cow<'a, str> = 1 "name",
    controller: Option<bool> = 2 "controller",
}
HTTPIngressPath<'a> = "networking/v1.HTTPIngressPath" {
    path: Option<Cow<'a, str>> = 0 "path",
    backend: IngressBackend<'a> = 1 "backend",
    path_type: Option<Cow<'a, str>> = 2 "pathType",
}
HTTPIngressRuleValue<'a> = "networking/v1.HTTPIngressRuleValue" {
    paths: Vec<HTTPIngressPath<'a>> = 0 "paths",
}
Ingress<'a> = "networking/v1.Ingress" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<IngressSpec<'a>> = 1 "spec",
}
IngressBackend<'a> = "networking/v1.IngressBackend" {
    resource: Option<TypedLocalObjectReference<'a>> = 0 "resource",
    service: Option<IngressServiceBackend<'a>> = 1 "service",
}
IngressClass<'a> = "networking/v1.IngressClass" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<IngressClassSpec<'a>> = 1 "spec",
}
IngressClassSpec<'a> = "networking/v1.IngressClassSpec" {
    controller: Option<Cow<'a, str>> = 0 "controller",
}
IngressRule<'a> = "networking/v1.IngressRule" {
    host: Option<Cow<'a, str>> = 0 "host",
    http: Option<HTTPIngressRuleValue<'a>> = 1 "http",
}
IngressServiceBackend<'a> = "networking/v1.IngressServiceBackend" {
    name: Cow<'a, str> = 0 "name",
    port: Option<ServiceBackendPort> = 1 "port",
}
IngressSpec<'a> = "networking/v1.IngressSpec" {
    tls: Option<Vec<IngressTLS<'a>>> = 0 "tls",
    rules: Option<Vec<IngressRule<'a>>> = 1 "rules",
    ingress_class_name: Option<Cow<'a, str>> = 2 "ingressClassName",
}
IngressTLS<'a> = "networking/v1.IngressTLS" {
    hosts: Option<Vec<Cow<'a, str>>> = 0 "hosts",
    secret_name: Option<Cow<'a, str>> = 1 "secretName",
}
NetworkPolicy<'a> = "networking/v1.NetworkPolicy" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: Option<NetworkPolicySpec> = 1 "spec",
}
NetworkPolicyEgressRule = "networking/v1.NetworkPolicyEgressRule" {
}
NetworkPolicyIngressRule = "networking/v1.NetworkPolicyIngressRule" {
}
NetworkPolicySpec = "networking/v1.NetworkPolicySpec" {
    ingress: Option<Vec<NetworkPolicyIngressRule>> = 0 "ingress",
    egress: Option<Vec<NetworkPolicyEgressRule>> = 1 "egress",
}
ServiceBackendPort = "networking/v1.ServiceBackendPort" {
    number: Option<i32> = 0 "number",
}
PodDisruptionBudget<'a> = "policy/v1.PodDisruptionBudget" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    status: Option<PodDisruptionBudgetStatus> = 1 "status",
}
PodDisruptionBudgetStatus = "policy/v1.PodDisruptionBudgetStatus" {
    observed_generation: Option<i64> = 0 "observedGeneration",
    disruptions_allowed: i32 = 1 "disruptionsAllowed",
    current_healthy: i32 = 2 "currentHealthy",
    desired_healthy: i32 = 3 "desiredHealthy",
    expected_pods: i32 = 4 "expectedPods",
}
ClusterRole<'a> = "rbac/v1.ClusterRole" {
    metadata: ObjectMeta<'a> = 0 "metadata",
}
ClusterRoleBinding<'a> = "rbac/v1.ClusterRoleBinding" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    role_ref: RoleRef<'a> = 1 "roleRef",
}
Role<'a> = "rbac/v1.Role" {
    metadata: ObjectMeta<'a> = 0 "metadata",
}
RoleBinding<'a> = "rbac/v1.RoleBinding" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    role_ref: RoleRef<'a> = 1 "roleRef",
}
RoleRef<'a> = "rbac/v1.RoleRef" {
    kind: Cow<'a, str> = 0 "kind",
    name: Cow<'a, str> = 1 "name",
}
StorageClass<'a> = "storage/v1.StorageClass" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    provisioner: Cow<'a, str> = 1 "provisioner",
    reclaim_policy: Option<Cow<'a, str>> = 2 "reclaimPolicy",
    volume_binding_mode: Option<Cow<'a, str>> = 3 "volumeBindingMode",
}
VolumeAttachment<'a> = "storage/v1.VolumeAttachment" {
    metadata: ObjectMeta<'a> = 0 "metadata",
    spec: VolumeAttachmentSpec<'a> = 1 "spec",
    status: Option<VolumeAttachmentStatus<'a>> = 2 "status",
}
VolumeAttachmentSource<'a> = "storage/v1.VolumeAttachmentSource" {
    persistent_volume_name: Option<Cow<'a, str>> = 0 "persistentVolumeName",
}
VolumeAttachmentSpec<'a> = "storage/v1.VolumeAttachmentSpec" {
    attacher: Cow<'a, str> = 0 "attacher",
    source: VolumeAttachmentSource<'a> = 1 "source",
    node_name: Cow<'a, str> = 2 "nodeName",
}
VolumeAttachmentStatus<'a> = "storage/v1.VolumeAttachmentStatus" {
    attached: bool = 0 "attached",
    attachment_metadata: Option<Map<'a, Cow<'a, str>>> = 1 "attachmentMetadata",
}
}

objects! {
CertificateSigningRequest,
ClusterRole,
ClusterRoleBinding,
ConfigMap,
CronJob,
DaemonSet,
Deployment,
EndpointSlice,
Endpoints,
HorizontalPodAutoscaler,
Ingress,
IngressClass,
Job,
Lease,
LimitRange,
MutatingAdmissionPolicy,
MutatingAdmissionPolicyBinding,
MutatingWebhookConfiguration,
Namespace,
NetworkPolicy,
Node,
PersistentVolume,
PersistentVolumeClaim,
Pod,
PodDisruptionBudget,
ReplicaSet,
ReplicationController,
ResourceQuota,
Role,
RoleBinding,
Secret,
Service,
ServiceAccount,
StatefulSet,
StorageClass,
ValidatingAdmissionPolicy,
ValidatingAdmissionPolicyBinding,
ValidatingWebhookConfiguration,
VolumeAttachment,
}
