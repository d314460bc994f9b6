//! The fields of Kubernetes' messages that the collectors read. Generated from fields.txt by `scripts/gen-fields`.

use super::table::{Field, Kind, Shape, Table};

static CONFIG_MAP_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 6, name: "resourceVersion", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static CONFIG_MAP: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "metadata",
        kind: Kind::Message(&CONFIG_MAP_METADATA),
        shape: Shape::One,
        slot: 0,
    }],
};

static CRON_JOB_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "schedule", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "startingDeadlineSeconds", kind: Kind::Int, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "concurrencyPolicy", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 4, name: "suspend", kind: Kind::Bool, shape: Shape::One, slot: 3 },
        Field { number: 6, name: "successfulJobsHistoryLimit", kind: Kind::Int32, shape: Shape::One, slot: 4 },
        Field { number: 7, name: "failedJobsHistoryLimit", kind: Kind::Int32, shape: Shape::One, slot: 5 },
        Field { number: 8, name: "timeZone", kind: Kind::String, shape: Shape::One, slot: 6 },
    ],
};

static CRON_JOB_STATUS_ACTIVE: Table = Table { needs: 0b0, fields: &[] };

static CRON_JOB_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "active",
            kind: Kind::Message(&CRON_JOB_STATUS_ACTIVE),
            shape: Shape::Repeated,
            slot: 0,
        },
        Field { number: 4, name: "lastScheduleTime", kind: Kind::Time, shape: Shape::One, slot: 1 },
        Field { number: 5, name: "lastSuccessfulTime", kind: Kind::Time, shape: Shape::One, slot: 2 },
    ],
};

static CRON_JOB: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&CONFIG_MAP_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&CRON_JOB_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&CRON_JOB_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static DAEMON_SET_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 7, name: "generation", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 9, name: "deletionTimestamp", kind: Kind::Time, shape: Shape::One, slot: 6 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static DAEMON_SET_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "currentNumberScheduled", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "numberMisscheduled", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "desiredNumberScheduled", kind: Kind::Int32, shape: Shape::One, slot: 2 },
        Field { number: 4, name: "numberReady", kind: Kind::Int32, shape: Shape::One, slot: 3 },
        Field { number: 5, name: "observedGeneration", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 6, name: "updatedNumberScheduled", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 7, name: "numberAvailable", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 6 },
        Field { number: 8, name: "numberUnavailable", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 7 },
    ],
};

static DAEMON_SET: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&DAEMON_SET_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 3, name: "status", kind: Kind::Message(&DAEMON_SET_STATUS), shape: Shape::One, slot: 1 },
    ],
};

static DEPLOYMENT_METADATA_OWNER_REFERENCES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "kind", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 3, name: "name", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static DEPLOYMENT_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 7, name: "generation", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 9, name: "deletionTimestamp", kind: Kind::Time, shape: Shape::One, slot: 6 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&DEPLOYMENT_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static DEPLOYMENT_SPEC_STRATEGY_ROLLING_UPDATE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "maxUnavailable", kind: Kind::IntOrString, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "maxSurge", kind: Kind::IntOrString, shape: Shape::One, slot: 1 },
    ],
};

static DEPLOYMENT_SPEC_STRATEGY: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 2,
        name: "rollingUpdate",
        kind: Kind::Message(&DEPLOYMENT_SPEC_STRATEGY_ROLLING_UPDATE),
        shape: Shape::One,
        slot: 0,
    }],
};

static DEPLOYMENT_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field {
            number: 4,
            name: "strategy",
            kind: Kind::Message(&DEPLOYMENT_SPEC_STRATEGY),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 7, name: "paused", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static DEPLOYMENT_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 4, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static DEPLOYMENT_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "observedGeneration", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "replicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "updatedReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 4, name: "availableReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 5, name: "unavailableReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 4 },
        Field {
            number: 6,
            name: "conditions",
            kind: Kind::Message(&DEPLOYMENT_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 5,
        },
        Field { number: 7, name: "readyReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 6 },
        Field { number: 9, name: "terminatingReplicas", kind: Kind::Int32, shape: Shape::One, slot: 7 },
    ],
};

static DEPLOYMENT: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&DEPLOYMENT_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&DEPLOYMENT_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&DEPLOYMENT_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static DEPLOYMENT__STATUS: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 3, name: "status", kind: Kind::Message(&DEPLOYMENT_STATUS), shape: Shape::One, slot: 2 }],
};

static ENDPOINTS_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static ENDPOINTS_SUBSETS_ADDRESSES: Table =
    Table { needs: 0b0, fields: &[Field { number: 1, name: "ip", kind: Kind::String, shape: Shape::One, slot: 0 }] };

static ENDPOINTS_SUBSETS_PORTS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "port", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "protocol", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static ENDPOINTS_SUBSETS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "addresses",
            kind: Kind::Message(&ENDPOINTS_SUBSETS_ADDRESSES),
            shape: Shape::Repeated,
            slot: 0,
        },
        Field {
            number: 2,
            name: "notReadyAddresses",
            kind: Kind::Message(&ENDPOINTS_SUBSETS_ADDRESSES),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field {
            number: 3,
            name: "ports",
            kind: Kind::Message(&ENDPOINTS_SUBSETS_PORTS),
            shape: Shape::Repeated,
            slot: 2,
        },
    ],
};

static ENDPOINTS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&ENDPOINTS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "subsets", kind: Kind::Message(&ENDPOINTS_SUBSETS), shape: Shape::Repeated, slot: 1 },
    ],
};

static ENDPOINT_SLICE_ENDPOINTS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "ready", kind: Kind::Bool, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "serving", kind: Kind::Bool, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "terminating", kind: Kind::Bool, shape: Shape::One, slot: 2 },
    ],
};

static ENDPOINT_SLICE_ENDPOINTS_TARGET_REF: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "kind", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static ENDPOINT_SLICE_ENDPOINTS_HINTS_FOR_ZONES: Table =
    Table { needs: 0b0, fields: &[Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 }] };

static ENDPOINT_SLICE_ENDPOINTS_HINTS: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "forZones",
        kind: Kind::Message(&ENDPOINT_SLICE_ENDPOINTS_HINTS_FOR_ZONES),
        shape: Shape::Repeated,
        slot: 0,
    }],
};

static ENDPOINT_SLICE_ENDPOINTS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "addresses", kind: Kind::String, shape: Shape::Repeated, slot: 0 },
        Field {
            number: 2,
            name: "conditions",
            kind: Kind::Message(&ENDPOINT_SLICE_ENDPOINTS_CONDITIONS),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 3, name: "hostname", kind: Kind::String, shape: Shape::One, slot: 2 },
        Field {
            number: 4,
            name: "targetRef",
            kind: Kind::Message(&ENDPOINT_SLICE_ENDPOINTS_TARGET_REF),
            shape: Shape::One,
            slot: 3,
        },
        Field { number: 6, name: "nodeName", kind: Kind::String, shape: Shape::One, slot: 4 },
        Field { number: 7, name: "zone", kind: Kind::String, shape: Shape::One, slot: 5 },
        Field {
            number: 8,
            name: "hints",
            kind: Kind::Message(&ENDPOINT_SLICE_ENDPOINTS_HINTS),
            shape: Shape::One,
            slot: 6,
        },
    ],
};

static ENDPOINT_SLICE_PORTS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "protocol", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "port", kind: Kind::Int32, shape: Shape::One, slot: 2 },
    ],
};

static ENDPOINT_SLICE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&ENDPOINTS_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "endpoints",
            kind: Kind::Message(&ENDPOINT_SLICE_ENDPOINTS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 3, name: "ports", kind: Kind::Message(&ENDPOINT_SLICE_PORTS), shape: Shape::Repeated, slot: 2 },
        Field { number: 4, name: "addressType", kind: Kind::String, shape: Shape::One, slot: 3 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_SCALE_TARGET_REF: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "kind", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "name", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "apiVersion", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_TARGET: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 2, name: "value", kind: Kind::Quantity, shape: Shape::One, slot: 0 },
        Field { number: 3, name: "averageValue", kind: Kind::Quantity, shape: Shape::One, slot: 1 },
        Field { number: 4, name: "averageUtilization", kind: Kind::Int32, shape: Shape::One, slot: 2 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC_SELECTOR_MATCH_EXPRESSIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "key", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "operator", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "values", kind: Kind::String, shape: Shape::Repeated, slot: 2 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC_SELECTOR: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "matchLabels", kind: Kind::String, shape: Shape::Map, slot: 0 },
        Field {
            number: 2,
            name: "matchExpressions",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC_SELECTOR_MATCH_EXPRESSIONS),
            shape: Shape::Repeated,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "selector",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC_SELECTOR),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "describedObject",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_SCALE_TARGET_REF),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "target",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_TARGET),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "metric",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_PODS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metric",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "target",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_TARGET),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_RESOURCE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "target",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_TARGET),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_EXTERNAL: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metric",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "target",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_TARGET),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_CONTAINER_RESOURCE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "target",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_TARGET),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 3, name: "container", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "object",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "pods",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_PODS),
            shape: Shape::One,
            slot: 2,
        },
        Field {
            number: 4,
            name: "resource",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_RESOURCE),
            shape: Shape::One,
            slot: 3,
        },
        Field {
            number: 5,
            name: "external",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_EXTERNAL),
            shape: Shape::One,
            slot: 4,
        },
        Field {
            number: 7,
            name: "containerResource",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_CONTAINER_RESOURCE),
            shape: Shape::One,
            slot: 5,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_BEHAVIOR_SCALE_UP: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 4, name: "tolerance", kind: Kind::Quantity, shape: Shape::One, slot: 0 }],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC_BEHAVIOR: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "scaleUp",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_BEHAVIOR_SCALE_UP),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "scaleDown",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_BEHAVIOR_SCALE_UP),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "scaleTargetRef",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_SCALE_TARGET_REF),
            shape: Shape::One,
            slot: 0,
        },
        Field { number: 2, name: "minReplicas", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "maxReplicas", kind: Kind::Int32, shape: Shape::One, slot: 2 },
        Field {
            number: 4,
            name: "metrics",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS),
            shape: Shape::Repeated,
            slot: 3,
        },
        Field {
            number: 5,
            name: "behavior",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_BEHAVIOR),
            shape: Shape::One,
            slot: 4,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT_CURRENT: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "value", kind: Kind::Quantity, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "averageValue", kind: Kind::Quantity, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "averageUtilization", kind: Kind::Int32, shape: Shape::One, slot: 2 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metric",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "current",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT_CURRENT),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "describedObject",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_SCALE_TARGET_REF),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_PODS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metric",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "current",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT_CURRENT),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_RESOURCE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "current",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT_CURRENT),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_EXTERNAL: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metric",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC_METRICS_OBJECT_METRIC),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "current",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT_CURRENT),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_CONTAINER_RESOURCE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "current",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT_CURRENT),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 3, name: "container", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "object",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_OBJECT),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "pods",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_PODS),
            shape: Shape::One,
            slot: 2,
        },
        Field {
            number: 4,
            name: "resource",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_RESOURCE),
            shape: Shape::One,
            slot: 3,
        },
        Field {
            number: 5,
            name: "external",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_EXTERNAL),
            shape: Shape::One,
            slot: 4,
        },
        Field {
            number: 7,
            name: "containerResource",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS_CONTAINER_RESOURCE),
            shape: Shape::One,
            slot: 5,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static HORIZONTAL_POD_AUTOSCALER_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 3, name: "currentReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 4, name: "desiredReplicas", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field {
            number: 5,
            name: "currentMetrics",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CURRENT_METRICS),
            shape: Shape::Repeated,
            slot: 2,
        },
        Field {
            number: 6,
            name: "conditions",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 3,
        },
    ],
};

static HORIZONTAL_POD_AUTOSCALER: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&DAEMON_SET_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_SPEC),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "status",
            kind: Kind::Message(&HORIZONTAL_POD_AUTOSCALER_STATUS),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static INGRESS_SPEC_TLS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "hosts", kind: Kind::String, shape: Shape::Repeated, slot: 0 },
        Field { number: 2, name: "secretName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND_RESOURCE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "apiGroup", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "kind", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "name", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND_SERVICE_PORT: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 2, name: "number", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 0 }],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND_SERVICE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "port",
            kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND_SERVICE_PORT),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 3,
            name: "resource",
            kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND_RESOURCE),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 4,
            name: "service",
            kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND_SERVICE),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "path", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "backend",
            kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS_BACKEND),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 3, name: "pathType", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "paths",
        kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP_PATHS),
        shape: Shape::Repeated,
        slot: 0,
    }],
};

static INGRESS_SPEC_RULES_INGRESS_RULE_VALUE: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "http",
        kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE_HTTP),
        shape: Shape::One,
        slot: 1,
    }],
};

static INGRESS_SPEC_RULES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "host", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "IngressRuleValue",
            kind: Kind::Message(&INGRESS_SPEC_RULES_INGRESS_RULE_VALUE),
            shape: Shape::Inline,
            slot: 0,
        },
    ],
};

static INGRESS_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 2, name: "tls", kind: Kind::Message(&INGRESS_SPEC_TLS), shape: Shape::Repeated, slot: 0 },
        Field { number: 3, name: "rules", kind: Kind::Message(&INGRESS_SPEC_RULES), shape: Shape::Repeated, slot: 1 },
        Field { number: 4, name: "ingressClassName", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static INGRESS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&CONFIG_MAP_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&INGRESS_SPEC), shape: Shape::One, slot: 1 },
    ],
};

static INGRESS_CLASS_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static INGRESS_CLASS_SPEC: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "controller", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 }],
};

static INGRESS_CLASS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&INGRESS_CLASS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&INGRESS_CLASS_SPEC), shape: Shape::One, slot: 1 },
    ],
};

static JOB_METADATA_OWNER_REFERENCES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "kind", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 3, name: "name", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 6, name: "controller", kind: Kind::Bool, shape: Shape::One, slot: 2 },
    ],
};

static JOB_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&JOB_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static JOB_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "parallelism", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "completions", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "activeDeadlineSeconds", kind: Kind::Int, shape: Shape::One, slot: 2 },
    ],
};

static JOB_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 5, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static JOB_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "conditions",
            kind: Kind::Message(&JOB_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 0,
        },
        Field { number: 2, name: "startTime", kind: Kind::Time, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "completionTime", kind: Kind::Time, shape: Shape::One, slot: 2 },
        Field { number: 4, name: "active", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 5, name: "succeeded", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 6, name: "failed", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 9, name: "ready", kind: Kind::Int32, shape: Shape::One, slot: 6 },
    ],
};

static JOB: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&JOB_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&JOB_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&JOB_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static JOB__STATUS: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 3, name: "status", kind: Kind::Message(&JOB_STATUS), shape: Shape::One, slot: 2 }],
};

static LEASE_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&DEPLOYMENT_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static LEASE_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "holderIdentity", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 4, name: "renewTime", kind: Kind::MicroTime, shape: Shape::One, slot: 1 },
    ],
};

static LEASE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&LEASE_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&LEASE_SPEC), shape: Shape::One, slot: 1 },
    ],
};

static LIMIT_RANGE_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
    ],
};

static LIMIT_RANGE_SPEC_LIMITS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "max", kind: Kind::Quantity, shape: Shape::Map, slot: 1 },
        Field { number: 3, name: "min", kind: Kind::Quantity, shape: Shape::Map, slot: 2 },
        Field { number: 4, name: "default", kind: Kind::Quantity, shape: Shape::Map, slot: 3 },
        Field { number: 5, name: "defaultRequest", kind: Kind::Quantity, shape: Shape::Map, slot: 4 },
        Field { number: 6, name: "maxLimitRequestRatio", kind: Kind::Quantity, shape: Shape::Map, slot: 5 },
    ],
};

static LIMIT_RANGE_SPEC: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "limits",
        kind: Kind::Message(&LIMIT_RANGE_SPEC_LIMITS),
        shape: Shape::Repeated,
        slot: 0,
    }],
};

static LIMIT_RANGE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&LIMIT_RANGE_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&LIMIT_RANGE_SPEC), shape: Shape::One, slot: 1 },
    ],
};

static MUTATING_ADMISSION_POLICY_SPEC_PARAM_KIND: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "apiVersion", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "kind", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static MUTATING_ADMISSION_POLICY_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "paramKind",
            kind: Kind::Message(&MUTATING_ADMISSION_POLICY_SPEC_PARAM_KIND),
            shape: Shape::One,
            slot: 0,
        },
        Field { number: 5, name: "failurePolicy", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 7, name: "reinvocationPolicy", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static MUTATING_ADMISSION_POLICY: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&LIMIT_RANGE_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&MUTATING_ADMISSION_POLICY_SPEC),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static MUTATING_ADMISSION_POLICY_BINDING_SPEC_PARAM_REF: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 4, name: "parameterNotFoundAction", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static MUTATING_ADMISSION_POLICY_BINDING_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "policyName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "paramRef",
            kind: Kind::Message(&MUTATING_ADMISSION_POLICY_BINDING_SPEC_PARAM_REF),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static MUTATING_ADMISSION_POLICY_BINDING: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&LIMIT_RANGE_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&MUTATING_ADMISSION_POLICY_BINDING_SPEC),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static MUTATING_WEBHOOK_CONFIGURATION_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 6, name: "resourceVersion", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
    ],
};

static MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS_CLIENT_CONFIG_SERVICE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "namespace", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "name", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS_CLIENT_CONFIG: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "service",
        kind: Kind::Message(&MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS_CLIENT_CONFIG_SERVICE),
        shape: Shape::One,
        slot: 0,
    }],
};

static MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "clientConfig",
            kind: Kind::Message(&MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS_CLIENT_CONFIG),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static MUTATING_WEBHOOK_CONFIGURATION: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metadata",
            kind: Kind::Message(&MUTATING_WEBHOOK_CONFIGURATION_METADATA),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "webhooks",
            kind: Kind::Message(&MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS),
            shape: Shape::Repeated,
            slot: 1,
        },
    ],
};

static NAMESPACE_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static NAMESPACE_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "phase", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "conditions",
            kind: Kind::Message(&NAMESPACE_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 1,
        },
    ],
};

static NAMESPACE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&INGRESS_CLASS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 3, name: "status", kind: Kind::Message(&NAMESPACE_STATUS), shape: Shape::One, slot: 1 },
    ],
};

static NETWORK_POLICY_SPEC_INGRESS: Table = Table { needs: 0b0, fields: &[] };

static NETWORK_POLICY_SPEC_EGRESS: Table = Table { needs: 0b0, fields: &[] };

static NETWORK_POLICY_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 2,
            name: "ingress",
            kind: Kind::Message(&NETWORK_POLICY_SPEC_INGRESS),
            shape: Shape::Repeated,
            slot: 0,
        },
        Field {
            number: 3,
            name: "egress",
            kind: Kind::Message(&NETWORK_POLICY_SPEC_EGRESS),
            shape: Shape::Repeated,
            slot: 1,
        },
    ],
};

static NETWORK_POLICY: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&ENDPOINTS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&NETWORK_POLICY_SPEC), shape: Shape::One, slot: 1 },
    ],
};

static NODE_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 9, name: "deletionTimestamp", kind: Kind::Time, shape: Shape::One, slot: 6 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static NODE_SPEC_TAINTS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "key", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "value", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "effect", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static NODE_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "podCIDR", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "providerID", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 4, name: "unschedulable", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 5, name: "taints", kind: Kind::Message(&NODE_SPEC_TAINTS), shape: Shape::Repeated, slot: 3 },
        Field { number: 7, name: "podCIDRs", kind: Kind::String, shape: Shape::Repeated, slot: 4 },
    ],
};

static NODE_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static NODE_STATUS_ADDRESSES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "address", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static NODE_STATUS_NODE_INFO: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 2, name: "systemUUID", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 4, name: "kernelVersion", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 5, name: "osImage", kind: Kind::String, shape: Shape::One, slot: 2 },
        Field { number: 6, name: "containerRuntimeVersion", kind: Kind::String, shape: Shape::One, slot: 3 },
        Field { number: 7, name: "kubeletVersion", kind: Kind::String, shape: Shape::One, slot: 4 },
    ],
};

static NODE_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "capacity", kind: Kind::Quantity, shape: Shape::Map, slot: 0 },
        Field { number: 2, name: "allocatable", kind: Kind::Quantity, shape: Shape::Map, slot: 1 },
        Field {
            number: 4,
            name: "conditions",
            kind: Kind::Message(&NODE_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 2,
        },
        Field {
            number: 5,
            name: "addresses",
            kind: Kind::Message(&NODE_STATUS_ADDRESSES),
            shape: Shape::Repeated,
            slot: 3,
        },
        Field { number: 7, name: "nodeInfo", kind: Kind::Message(&NODE_STATUS_NODE_INFO), shape: Shape::One, slot: 4 },
    ],
};

static NODE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&NODE_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&NODE_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&NODE_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_GCE_PERSISTENT_DISK: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "pdName", kind: Kind::String, shape: Shape::One, slot: 0 }],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_AWS_ELASTIC_BLOCK_STORE: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "volumeID", kind: Kind::String, shape: Shape::One, slot: 0 }],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_HOST_PATH: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "path", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "type", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_NFS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "server", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "path", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_ISCSI: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "targetPortal", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "iqn", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "lun", kind: Kind::Int32, shape: Shape::One, slot: 2 },
        Field { number: 12, name: "initiatorName", kind: Kind::String, shape: Shape::One, slot: 3 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_FC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "targetWWNs", kind: Kind::String, shape: Shape::Repeated, slot: 0 },
        Field { number: 2, name: "lun", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 5, name: "wwids", kind: Kind::String, shape: Shape::Repeated, slot: 2 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_AZURE_DISK: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "diskName", kind: Kind::String, shape: Shape::One, slot: 0 }],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_LOCAL: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "path", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "fsType", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_CSI: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "driver", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "volumeHandle", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 5, name: "volumeAttributes", kind: Kind::String, shape: Shape::Map, slot: 2 },
    ],
};

static PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "gcePersistentDisk",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_GCE_PERSISTENT_DISK),
            shape: Shape::One,
            slot: 6,
        },
        Field {
            number: 2,
            name: "awsElasticBlockStore",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_AWS_ELASTIC_BLOCK_STORE),
            shape: Shape::One,
            slot: 7,
        },
        Field {
            number: 3,
            name: "hostPath",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_HOST_PATH),
            shape: Shape::One,
            slot: 8,
        },
        Field {
            number: 5,
            name: "nfs",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_NFS),
            shape: Shape::One,
            slot: 9,
        },
        Field {
            number: 7,
            name: "iscsi",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_ISCSI),
            shape: Shape::One,
            slot: 10,
        },
        Field {
            number: 10,
            name: "fc",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_FC),
            shape: Shape::One,
            slot: 11,
        },
        Field {
            number: 16,
            name: "azureDisk",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_AZURE_DISK),
            shape: Shape::One,
            slot: 12,
        },
        Field {
            number: 20,
            name: "local",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_LOCAL),
            shape: Shape::One,
            slot: 13,
        },
        Field {
            number: 22,
            name: "csi",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE_CSI),
            shape: Shape::One,
            slot: 14,
        },
    ],
};

static PERSISTENT_VOLUME_SPEC_CLAIM_REF: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 2, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
    ],
};

static PERSISTENT_VOLUME_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "capacity", kind: Kind::Quantity, shape: Shape::Map, slot: 0 },
        Field {
            number: 2,
            name: "PersistentVolumeSource",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_PERSISTENT_VOLUME_SOURCE),
            shape: Shape::Inline,
            slot: 0,
        },
        Field { number: 3, name: "accessModes", kind: Kind::String, shape: Shape::Repeated, slot: 1 },
        Field {
            number: 4,
            name: "claimRef",
            kind: Kind::Message(&PERSISTENT_VOLUME_SPEC_CLAIM_REF),
            shape: Shape::One,
            slot: 2,
        },
        Field {
            number: 5,
            name: "persistentVolumeReclaimPolicy",
            kind: Kind::String,
            shape: Shape::UnlessEmpty,
            slot: 3,
        },
        Field { number: 6, name: "storageClassName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 8, name: "volumeMode", kind: Kind::String, shape: Shape::One, slot: 5 },
    ],
};

static PERSISTENT_VOLUME_STATUS: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "phase", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 }],
};

static PERSISTENT_VOLUME: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&NODE_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&PERSISTENT_VOLUME_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&PERSISTENT_VOLUME_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static PERSISTENT_VOLUME_CLAIM_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 9, name: "deletionTimestamp", kind: Kind::Time, shape: Shape::One, slot: 6 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static PERSISTENT_VOLUME_CLAIM_SPEC_RESOURCES: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 2, name: "requests", kind: Kind::Quantity, shape: Shape::Map, slot: 0 }],
};

static PERSISTENT_VOLUME_CLAIM_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "accessModes", kind: Kind::String, shape: Shape::Repeated, slot: 0 },
        Field {
            number: 2,
            name: "resources",
            kind: Kind::Message(&PERSISTENT_VOLUME_CLAIM_SPEC_RESOURCES),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 3, name: "volumeName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 5, name: "storageClassName", kind: Kind::String, shape: Shape::One, slot: 3 },
        Field { number: 6, name: "volumeMode", kind: Kind::String, shape: Shape::One, slot: 4 },
    ],
};

static PERSISTENT_VOLUME_CLAIM_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static PERSISTENT_VOLUME_CLAIM_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "phase", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 4,
            name: "conditions",
            kind: Kind::Message(&PERSISTENT_VOLUME_CLAIM_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 1,
        },
    ],
};

static PERSISTENT_VOLUME_CLAIM: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metadata",
            kind: Kind::Message(&PERSISTENT_VOLUME_CLAIM_METADATA),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&PERSISTENT_VOLUME_CLAIM_SPEC),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "status",
            kind: Kind::Message(&PERSISTENT_VOLUME_CLAIM_STATUS),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static POD_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 5, name: "uid", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 9, name: "deletionTimestamp", kind: Kind::Time, shape: Shape::One, slot: 6 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&JOB_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static POD_SPEC_VOLUMES_VOLUME_SOURCE_PERSISTENT_VOLUME_CLAIM: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "claimName", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "readOnly", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static POD_SPEC_VOLUMES_VOLUME_SOURCE_EPHEMERAL: Table = Table { needs: 0b0, fields: &[] };

static POD_SPEC_VOLUMES_VOLUME_SOURCE: Table = Table {
    needs: 0b11,
    fields: &[
        Field {
            number: 10,
            name: "persistentVolumeClaim",
            kind: Kind::Message(&POD_SPEC_VOLUMES_VOLUME_SOURCE_PERSISTENT_VOLUME_CLAIM),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 29,
            name: "ephemeral",
            kind: Kind::Message(&POD_SPEC_VOLUMES_VOLUME_SOURCE_EPHEMERAL),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static POD_SPEC_VOLUMES: Table = Table {
    needs: 0b10,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "VolumeSource",
            kind: Kind::Message(&POD_SPEC_VOLUMES_VOLUME_SOURCE),
            shape: Shape::Inline,
            slot: 0,
        },
    ],
};

static POD_SPEC_CONTAINERS_RESOURCES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "limits", kind: Kind::Quantity, shape: Shape::Map, slot: 0 },
        Field { number: 2, name: "requests", kind: Kind::Quantity, shape: Shape::Map, slot: 1 },
    ],
};

static POD_SPEC_CONTAINERS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "image", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field {
            number: 8,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static POD_SPEC_INIT_CONTAINERS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "image", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field {
            number: 8,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 2,
        },
        Field { number: 24, name: "restartPolicy", kind: Kind::String, shape: Shape::One, slot: 3 },
    ],
};

static POD_SPEC_TOLERATIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "key", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "operator", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "value", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 4, name: "effect", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 5, name: "tolerationSeconds", kind: Kind::Int, shape: Shape::One, slot: 4 },
    ],
};

static POD_SPEC_RESOURCE_CLAIMS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 3, name: "resourceClaimName", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 4, name: "resourceClaimTemplateName", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static POD_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "volumes", kind: Kind::Message(&POD_SPEC_VOLUMES), shape: Shape::Repeated, slot: 0 },
        Field {
            number: 2,
            name: "containers",
            kind: Kind::Message(&POD_SPEC_CONTAINERS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 3, name: "restartPolicy", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 7, name: "nodeSelector", kind: Kind::String, shape: Shape::Map, slot: 3 },
        Field { number: 8, name: "serviceAccountName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 10, name: "nodeName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 11, name: "hostNetwork", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 6 },
        Field { number: 19, name: "schedulerName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
        Field {
            number: 20,
            name: "initContainers",
            kind: Kind::Message(&POD_SPEC_INIT_CONTAINERS),
            shape: Shape::Repeated,
            slot: 8,
        },
        Field {
            number: 22,
            name: "tolerations",
            kind: Kind::Message(&POD_SPEC_TOLERATIONS),
            shape: Shape::Repeated,
            slot: 9,
        },
        Field { number: 24, name: "priorityClassName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 10 },
        Field { number: 29, name: "runtimeClassName", kind: Kind::String, shape: Shape::One, slot: 11 },
        Field { number: 32, name: "overhead", kind: Kind::Quantity, shape: Shape::Map, slot: 12 },
        Field {
            number: 39,
            name: "resourceClaims",
            kind: Kind::Message(&POD_SPEC_RESOURCE_CLAIMS),
            shape: Shape::Repeated,
            slot: 13,
        },
    ],
};

static POD_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "status", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 4, name: "lastTransitionTime", kind: Kind::Time, shape: Shape::One, slot: 2 },
        Field { number: 5, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
    ],
};

static POD_STATUS_CONTAINER_STATUSES_STATE_WAITING: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 }],
};

static POD_STATUS_CONTAINER_STATUSES_STATE_RUNNING: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "startedAt", kind: Kind::Time, shape: Shape::One, slot: 0 }],
};

static POD_STATUS_CONTAINER_STATUSES_STATE_TERMINATED: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 3, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 5, name: "startedAt", kind: Kind::Time, shape: Shape::One, slot: 2 },
        Field { number: 6, name: "finishedAt", kind: Kind::Time, shape: Shape::One, slot: 3 },
    ],
};

static POD_STATUS_CONTAINER_STATUSES_STATE: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "waiting",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE_WAITING),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "running",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE_RUNNING),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "terminated",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE_TERMINATED),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static POD_STATUS_CONTAINER_STATUSES_LAST_STATE_TERMINATED: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "exitCode", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field { number: 3, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 6, name: "finishedAt", kind: Kind::Time, shape: Shape::One, slot: 3 },
    ],
};

static POD_STATUS_CONTAINER_STATUSES_LAST_STATE: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 3,
        name: "terminated",
        kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_LAST_STATE_TERMINATED),
        shape: Shape::One,
        slot: 2,
    }],
};

static POD_STATUS_CONTAINER_STATUSES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "state",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "lastState",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_LAST_STATE),
            shape: Shape::One,
            slot: 2,
        },
        Field { number: 4, name: "ready", kind: Kind::Bool, shape: Shape::One, slot: 3 },
        Field { number: 5, name: "restartCount", kind: Kind::Int32, shape: Shape::One, slot: 4 },
        Field { number: 6, name: "image", kind: Kind::String, shape: Shape::One, slot: 5 },
        Field { number: 7, name: "imageID", kind: Kind::String, shape: Shape::One, slot: 6 },
        Field { number: 8, name: "containerID", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
    ],
};

static POD_STATUS_INIT_CONTAINER_STATUSES_STATE_TERMINATED: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 3, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 5, name: "startedAt", kind: Kind::Time, shape: Shape::One, slot: 2 },
    ],
};

static POD_STATUS_INIT_CONTAINER_STATUSES_STATE: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "waiting",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE_WAITING),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "running",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE_RUNNING),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "terminated",
            kind: Kind::Message(&POD_STATUS_INIT_CONTAINER_STATUSES_STATE_TERMINATED),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static POD_STATUS_INIT_CONTAINER_STATUSES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "state",
            kind: Kind::Message(&POD_STATUS_INIT_CONTAINER_STATUSES_STATE),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "lastState",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_LAST_STATE),
            shape: Shape::One,
            slot: 2,
        },
        Field { number: 4, name: "ready", kind: Kind::Bool, shape: Shape::One, slot: 3 },
        Field { number: 5, name: "restartCount", kind: Kind::Int32, shape: Shape::One, slot: 4 },
        Field { number: 6, name: "image", kind: Kind::String, shape: Shape::One, slot: 5 },
        Field { number: 7, name: "imageID", kind: Kind::String, shape: Shape::One, slot: 6 },
        Field { number: 8, name: "containerID", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
    ],
};

static POD_STATUS_POD_IPS: Table =
    Table { needs: 0b0, fields: &[Field { number: 1, name: "ip", kind: Kind::String, shape: Shape::One, slot: 0 }] };

static POD_STATUS_RESOURCE_CLAIM_STATUSES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "resourceClaimName", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static POD_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "phase", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "conditions",
            kind: Kind::Message(&POD_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 4, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 5, name: "hostIP", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 6, name: "podIP", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 7, name: "startTime", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field {
            number: 8,
            name: "containerStatuses",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES),
            shape: Shape::Repeated,
            slot: 6,
        },
        Field { number: 9, name: "qosClass", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
        Field {
            number: 10,
            name: "initContainerStatuses",
            kind: Kind::Message(&POD_STATUS_INIT_CONTAINER_STATUSES),
            shape: Shape::Repeated,
            slot: 8,
        },
        Field { number: 12, name: "podIPs", kind: Kind::Message(&POD_STATUS_POD_IPS), shape: Shape::Repeated, slot: 9 },
        Field {
            number: 15,
            name: "resourceClaimStatuses",
            kind: Kind::Message(&POD_STATUS_RESOURCE_CLAIM_STATUSES),
            shape: Shape::Repeated,
            slot: 10,
        },
    ],
};

static POD: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&POD_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&POD_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&POD_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static POD__CONTAINERS_SPEC_CONTAINERS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "image", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static POD__CONTAINERS_SPEC_INIT_CONTAINERS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "image", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 24, name: "restartPolicy", kind: Kind::String, shape: Shape::One, slot: 3 },
    ],
};

static POD__CONTAINERS_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 2,
            name: "containers",
            kind: Kind::Message(&POD__CONTAINERS_SPEC_CONTAINERS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field {
            number: 20,
            name: "initContainers",
            kind: Kind::Message(&POD__CONTAINERS_SPEC_INIT_CONTAINERS),
            shape: Shape::Repeated,
            slot: 8,
        },
    ],
};

static POD__CONTAINERS_STATUS_CONDITIONS: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 5, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 }],
};

static POD__CONTAINERS_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 2,
            name: "conditions",
            kind: Kind::Message(&POD__CONTAINERS_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 4, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field {
            number: 8,
            name: "containerStatuses",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES),
            shape: Shape::Repeated,
            slot: 6,
        },
        Field {
            number: 10,
            name: "initContainerStatuses",
            kind: Kind::Message(&POD_STATUS_INIT_CONTAINER_STATUSES),
            shape: Shape::Repeated,
            slot: 8,
        },
    ],
};

static POD__CONTAINERS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 2, name: "spec", kind: Kind::Message(&POD__CONTAINERS_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&POD__CONTAINERS_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static POD__STATUS_METADATA: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 13,
        name: "ownerReferences",
        kind: Kind::Message(&JOB_METADATA_OWNER_REFERENCES),
        shape: Shape::Repeated,
        slot: 9,
    }],
};

static POD__STATUS_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 2,
            name: "containers",
            kind: Kind::Message(&POD__CONTAINERS_SPEC_CONTAINERS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 10, name: "nodeName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 11, name: "hostNetwork", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 6 },
        Field {
            number: 20,
            name: "initContainers",
            kind: Kind::Message(&POD__CONTAINERS_SPEC_INIT_CONTAINERS),
            shape: Shape::Repeated,
            slot: 8,
        },
        Field { number: 24, name: "priorityClassName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 10 },
        Field {
            number: 39,
            name: "resourceClaims",
            kind: Kind::Message(&POD_SPEC_RESOURCE_CLAIMS),
            shape: Shape::Repeated,
            slot: 13,
        },
    ],
};

static POD__STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&POD__STATUS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&POD__STATUS_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&POD_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static POD__MORE_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "volumes", kind: Kind::Message(&POD_SPEC_VOLUMES), shape: Shape::Repeated, slot: 0 },
        Field {
            number: 2,
            name: "containers",
            kind: Kind::Message(&POD_SPEC_CONTAINERS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 3, name: "restartPolicy", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 7, name: "nodeSelector", kind: Kind::String, shape: Shape::Map, slot: 3 },
        Field { number: 8, name: "serviceAccountName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 10, name: "nodeName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 11, name: "hostNetwork", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 6 },
        Field { number: 19, name: "schedulerName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
        Field {
            number: 20,
            name: "initContainers",
            kind: Kind::Message(&POD_SPEC_INIT_CONTAINERS),
            shape: Shape::Repeated,
            slot: 8,
        },
        Field {
            number: 22,
            name: "tolerations",
            kind: Kind::Message(&POD_SPEC_TOLERATIONS),
            shape: Shape::Repeated,
            slot: 9,
        },
        Field { number: 24, name: "priorityClassName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 10 },
        Field { number: 29, name: "runtimeClassName", kind: Kind::String, shape: Shape::One, slot: 11 },
        Field { number: 32, name: "overhead", kind: Kind::Quantity, shape: Shape::Map, slot: 12 },
        Field {
            number: 39,
            name: "resourceClaims",
            kind: Kind::Message(&POD_SPEC_RESOURCE_CLAIMS),
            shape: Shape::Repeated,
            slot: 13,
        },
        Field {
            number: 40,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 14,
        },
    ],
};

static POD__MORE_STATUS_CONTAINER_STATUSES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "state",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_STATE),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "lastState",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_LAST_STATE),
            shape: Shape::One,
            slot: 2,
        },
        Field { number: 4, name: "ready", kind: Kind::Bool, shape: Shape::One, slot: 3 },
        Field { number: 5, name: "restartCount", kind: Kind::Int32, shape: Shape::One, slot: 4 },
        Field { number: 6, name: "image", kind: Kind::String, shape: Shape::One, slot: 5 },
        Field { number: 7, name: "imageID", kind: Kind::String, shape: Shape::One, slot: 6 },
        Field { number: 8, name: "containerID", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
        Field { number: 10, name: "allocatedResources", kind: Kind::Quantity, shape: Shape::Map, slot: 8 },
        Field {
            number: 11,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 9,
        },
    ],
};

static POD__MORE_STATUS_INIT_CONTAINER_STATUSES: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "state",
            kind: Kind::Message(&POD_STATUS_INIT_CONTAINER_STATUSES_STATE),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "lastState",
            kind: Kind::Message(&POD_STATUS_CONTAINER_STATUSES_LAST_STATE),
            shape: Shape::One,
            slot: 2,
        },
        Field { number: 4, name: "ready", kind: Kind::Bool, shape: Shape::One, slot: 3 },
        Field { number: 5, name: "restartCount", kind: Kind::Int32, shape: Shape::One, slot: 4 },
        Field { number: 6, name: "image", kind: Kind::String, shape: Shape::One, slot: 5 },
        Field { number: 7, name: "imageID", kind: Kind::String, shape: Shape::One, slot: 6 },
        Field { number: 8, name: "containerID", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
        Field { number: 10, name: "allocatedResources", kind: Kind::Quantity, shape: Shape::Map, slot: 8 },
        Field {
            number: 11,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 9,
        },
    ],
};

static POD__MORE_STATUS_NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUSES: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 3, name: "resources", kind: Kind::Quantity, shape: Shape::Map, slot: 0 }],
};

static POD__MORE_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "phase", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "conditions",
            kind: Kind::Message(&POD_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 4, name: "reason", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 5, name: "hostIP", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 6, name: "podIP", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 7, name: "startTime", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field {
            number: 8,
            name: "containerStatuses",
            kind: Kind::Message(&POD__MORE_STATUS_CONTAINER_STATUSES),
            shape: Shape::Repeated,
            slot: 6,
        },
        Field { number: 9, name: "qosClass", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 7 },
        Field {
            number: 10,
            name: "initContainerStatuses",
            kind: Kind::Message(&POD__MORE_STATUS_INIT_CONTAINER_STATUSES),
            shape: Shape::Repeated,
            slot: 8,
        },
        Field { number: 12, name: "podIPs", kind: Kind::Message(&POD_STATUS_POD_IPS), shape: Shape::Repeated, slot: 9 },
        Field {
            number: 15,
            name: "resourceClaimStatuses",
            kind: Kind::Message(&POD_STATUS_RESOURCE_CLAIM_STATUSES),
            shape: Shape::Repeated,
            slot: 10,
        },
        Field { number: 19, name: "allocatedResources", kind: Kind::Quantity, shape: Shape::Map, slot: 11 },
        Field {
            number: 20,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 12,
        },
        Field {
            number: 21,
            name: "nodeAllocatableResourceClaimStatuses",
            kind: Kind::Message(&POD__MORE_STATUS_NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUSES),
            shape: Shape::Repeated,
            slot: 13,
        },
    ],
};

static POD__MORE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&POD_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&POD__MORE_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&POD__MORE_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static POD__STATUS__MORE_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 2,
            name: "containers",
            kind: Kind::Message(&POD_SPEC_CONTAINERS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field { number: 10, name: "nodeName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 11, name: "hostNetwork", kind: Kind::Bool, shape: Shape::UnlessEmpty, slot: 6 },
        Field {
            number: 20,
            name: "initContainers",
            kind: Kind::Message(&POD_SPEC_INIT_CONTAINERS),
            shape: Shape::Repeated,
            slot: 8,
        },
        Field { number: 24, name: "priorityClassName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 10 },
        Field { number: 32, name: "overhead", kind: Kind::Quantity, shape: Shape::Map, slot: 12 },
        Field {
            number: 39,
            name: "resourceClaims",
            kind: Kind::Message(&POD_SPEC_RESOURCE_CLAIMS),
            shape: Shape::Repeated,
            slot: 13,
        },
        Field {
            number: 40,
            name: "resources",
            kind: Kind::Message(&POD_SPEC_CONTAINERS_RESOURCES),
            shape: Shape::One,
            slot: 14,
        },
    ],
};

static POD__STATUS__MORE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&POD__STATUS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&POD__STATUS__MORE_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&POD__MORE_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static POD_DISRUPTION_BUDGET_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "observedGeneration", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "disruptionsAllowed", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 4, name: "currentHealthy", kind: Kind::Int32, shape: Shape::One, slot: 2 },
        Field { number: 5, name: "desiredHealthy", kind: Kind::Int32, shape: Shape::One, slot: 3 },
        Field { number: 6, name: "expectedPods", kind: Kind::Int32, shape: Shape::One, slot: 4 },
    ],
};

static POD_DISRUPTION_BUDGET: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metadata",
            kind: Kind::Message(&PERSISTENT_VOLUME_CLAIM_METADATA),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 3,
            name: "status",
            kind: Kind::Message(&POD_DISRUPTION_BUDGET_STATUS),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static REPLICA_SET_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 7, name: "generation", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&JOB_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static REPLICA_SET_SPEC: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 0 }],
};

static REPLICA_SET_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "fullyLabeledReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "observedGeneration", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 4, name: "readyReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 7, name: "terminatingReplicas", kind: Kind::Int32, shape: Shape::One, slot: 4 },
    ],
};

static REPLICA_SET: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&REPLICA_SET_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&REPLICA_SET_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&REPLICA_SET_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static REPLICA_SET__STATUS: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 3,
        name: "status",
        kind: Kind::Message(&REPLICA_SET_STATUS),
        shape: Shape::One,
        slot: 2,
    }],
};

static REPLICATION_CONTROLLER_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 7, name: "generation", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&JOB_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static REPLICATION_CONTROLLER_SPEC: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 0 }],
};

static REPLICATION_CONTROLLER_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "fullyLabeledReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 3, name: "observedGeneration", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 4, name: "readyReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 5, name: "availableReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 4 },
    ],
};

static REPLICATION_CONTROLLER: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metadata",
            kind: Kind::Message(&REPLICATION_CONTROLLER_METADATA),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&REPLICATION_CONTROLLER_SPEC),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "status",
            kind: Kind::Message(&REPLICATION_CONTROLLER_STATUS),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static RESOURCE_QUOTA_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "hard", kind: Kind::Quantity, shape: Shape::Map, slot: 0 },
        Field { number: 2, name: "used", kind: Kind::Quantity, shape: Shape::Map, slot: 1 },
    ],
};

static RESOURCE_QUOTA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&ENDPOINTS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 3, name: "status", kind: Kind::Message(&RESOURCE_QUOTA_STATUS), shape: Shape::One, slot: 1 },
    ],
};

static CLUSTER_ROLE_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 6, name: "resourceVersion", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static CLUSTER_ROLE: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "metadata",
        kind: Kind::Message(&CLUSTER_ROLE_METADATA),
        shape: Shape::One,
        slot: 0,
    }],
};

static CLUSTER_ROLE_BINDING_ROLE_REF: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 2, name: "kind", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field { number: 3, name: "name", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static CLUSTER_ROLE_BINDING: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&CLUSTER_ROLE_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 3,
            name: "roleRef",
            kind: Kind::Message(&CLUSTER_ROLE_BINDING_ROLE_REF),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static ROLE: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "metadata",
        kind: Kind::Message(&CONFIG_MAP_METADATA),
        shape: Shape::One,
        slot: 0,
    }],
};

static ROLE_BINDING: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&CONFIG_MAP_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 3,
            name: "roleRef",
            kind: Kind::Message(&CLUSTER_ROLE_BINDING_ROLE_REF),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static SECRET_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 6, name: "resourceVersion", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
        Field {
            number: 13,
            name: "ownerReferences",
            kind: Kind::Message(&JOB_METADATA_OWNER_REFERENCES),
            shape: Shape::Repeated,
            slot: 9,
        },
    ],
};

static SECRET: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&SECRET_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 3, name: "type", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static SERVICE_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 3, name: "namespace", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 5, name: "uid", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 9, name: "deletionTimestamp", kind: Kind::Time, shape: Shape::One, slot: 6 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
        Field { number: 12, name: "annotations", kind: Kind::String, shape: Shape::Map, slot: 8 },
    ],
};

static SERVICE_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 3, name: "clusterIP", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 4, name: "type", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
        Field { number: 5, name: "externalIPs", kind: Kind::String, shape: Shape::Repeated, slot: 2 },
        Field { number: 8, name: "loadBalancerIP", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 10, name: "externalName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 11, name: "externalTrafficPolicy", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 5 },
    ],
};

static SERVICE_STATUS_LOAD_BALANCER_INGRESS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "ip", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "hostname", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static SERVICE_STATUS_LOAD_BALANCER: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "ingress",
        kind: Kind::Message(&SERVICE_STATUS_LOAD_BALANCER_INGRESS),
        shape: Shape::Repeated,
        slot: 0,
    }],
};

static SERVICE_STATUS: Table = Table {
    needs: 0b0,
    fields: &[Field {
        number: 1,
        name: "loadBalancer",
        kind: Kind::Message(&SERVICE_STATUS_LOAD_BALANCER),
        shape: Shape::One,
        slot: 0,
    }],
};

static SERVICE: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&SERVICE_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&SERVICE_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&SERVICE_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static SERVICE_ACCOUNT_SECRETS: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 3, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 2 }],
};

static SERVICE_ACCOUNT_IMAGE_PULL_SECRETS: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 }],
};

static SERVICE_ACCOUNT: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&SERVICE_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "secrets",
            kind: Kind::Message(&SERVICE_ACCOUNT_SECRETS),
            shape: Shape::Repeated,
            slot: 1,
        },
        Field {
            number: 3,
            name: "imagePullSecrets",
            kind: Kind::Message(&SERVICE_ACCOUNT_IMAGE_PULL_SECRETS),
            shape: Shape::Repeated,
            slot: 2,
        },
        Field { number: 4, name: "automountServiceAccountToken", kind: Kind::Bool, shape: Shape::One, slot: 3 },
    ],
};

static STATEFUL_SET_SPEC_PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "whenDeleted", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "whenScaled", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static STATEFUL_SET_SPEC_ORDINALS: Table =
    Table { needs: 0b0, fields: &[Field { number: 1, name: "start", kind: Kind::Int32, shape: Shape::One, slot: 0 }] };

static STATEFUL_SET_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 0 },
        Field {
            number: 10,
            name: "persistentVolumeClaimRetentionPolicy",
            kind: Kind::Message(&STATEFUL_SET_SPEC_PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 11,
            name: "ordinals",
            kind: Kind::Message(&STATEFUL_SET_SPEC_ORDINALS),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

static STATEFUL_SET_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "observedGeneration", kind: Kind::Int, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 2, name: "replicas", kind: Kind::Int32, shape: Shape::One, slot: 1 },
        Field { number: 3, name: "readyReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 2 },
        Field { number: 4, name: "currentReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 3 },
        Field { number: 5, name: "updatedReplicas", kind: Kind::Int32, shape: Shape::UnlessEmpty, slot: 4 },
        Field { number: 6, name: "currentRevision", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 5 },
        Field { number: 7, name: "updateRevision", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 6 },
        Field { number: 11, name: "availableReplicas", kind: Kind::Int32, shape: Shape::One, slot: 7 },
    ],
};

static STATEFUL_SET: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&DAEMON_SET_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "spec", kind: Kind::Message(&STATEFUL_SET_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&STATEFUL_SET_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static STORAGE_CLASS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&INGRESS_CLASS_METADATA), shape: Shape::One, slot: 0 },
        Field { number: 2, name: "provisioner", kind: Kind::String, shape: Shape::One, slot: 1 },
        Field { number: 4, name: "reclaimPolicy", kind: Kind::String, shape: Shape::One, slot: 2 },
        Field { number: 7, name: "volumeBindingMode", kind: Kind::String, shape: Shape::One, slot: 3 },
    ],
};

static VALIDATING_ADMISSION_POLICY_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "paramKind",
            kind: Kind::Message(&MUTATING_ADMISSION_POLICY_SPEC_PARAM_KIND),
            shape: Shape::One,
            slot: 0,
        },
        Field { number: 4, name: "failurePolicy", kind: Kind::String, shape: Shape::One, slot: 1 },
    ],
};

static VALIDATING_ADMISSION_POLICY: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&LIMIT_RANGE_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&VALIDATING_ADMISSION_POLICY_SPEC),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static VALIDATING_ADMISSION_POLICY_BINDING_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "policyName", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field {
            number: 2,
            name: "paramRef",
            kind: Kind::Message(&MUTATING_ADMISSION_POLICY_BINDING_SPEC_PARAM_REF),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 4, name: "validationActions", kind: Kind::String, shape: Shape::Repeated, slot: 2 },
    ],
};

static VALIDATING_ADMISSION_POLICY_BINDING: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&LIMIT_RANGE_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&VALIDATING_ADMISSION_POLICY_BINDING_SPEC),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static VALIDATING_WEBHOOK_CONFIGURATION_WEBHOOKS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "clientConfig",
            kind: Kind::Message(&MUTATING_WEBHOOK_CONFIGURATION_WEBHOOKS_CLIENT_CONFIG),
            shape: Shape::One,
            slot: 1,
        },
    ],
};

static VALIDATING_WEBHOOK_CONFIGURATION: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metadata",
            kind: Kind::Message(&MUTATING_WEBHOOK_CONFIGURATION_METADATA),
            shape: Shape::One,
            slot: 0,
        },
        Field {
            number: 2,
            name: "webhooks",
            kind: Kind::Message(&VALIDATING_WEBHOOK_CONFIGURATION_WEBHOOKS),
            shape: Shape::Repeated,
            slot: 1,
        },
    ],
};

static VOLUME_ATTACHMENT_METADATA: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "name", kind: Kind::String, shape: Shape::UnlessEmpty, slot: 0 },
        Field { number: 8, name: "creationTimestamp", kind: Kind::Time, shape: Shape::One, slot: 5 },
        Field { number: 11, name: "labels", kind: Kind::String, shape: Shape::Map, slot: 7 },
    ],
};

static VOLUME_ATTACHMENT_SPEC_SOURCE: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 1, name: "persistentVolumeName", kind: Kind::String, shape: Shape::One, slot: 0 }],
};

static VOLUME_ATTACHMENT_SPEC: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "attacher", kind: Kind::String, shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "source",
            kind: Kind::Message(&VOLUME_ATTACHMENT_SPEC_SOURCE),
            shape: Shape::One,
            slot: 1,
        },
        Field { number: 3, name: "nodeName", kind: Kind::String, shape: Shape::One, slot: 2 },
    ],
};

static VOLUME_ATTACHMENT_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "attached", kind: Kind::Bool, shape: Shape::One, slot: 0 },
        Field { number: 2, name: "attachmentMetadata", kind: Kind::String, shape: Shape::Map, slot: 1 },
    ],
};

static VOLUME_ATTACHMENT: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "metadata",
            kind: Kind::Message(&VOLUME_ATTACHMENT_METADATA),
            shape: Shape::One,
            slot: 0,
        },
        Field { number: 2, name: "spec", kind: Kind::Message(&VOLUME_ATTACHMENT_SPEC), shape: Shape::One, slot: 1 },
        Field { number: 3, name: "status", kind: Kind::Message(&VOLUME_ATTACHMENT_STATUS), shape: Shape::One, slot: 2 },
    ],
};

static CERTIFICATE_SIGNING_REQUEST_SPEC: Table = Table {
    needs: 0b0,
    fields: &[Field { number: 7, name: "signerName", kind: Kind::String, shape: Shape::One, slot: 0 }],
};

static CERTIFICATE_SIGNING_REQUEST_STATUS_CONDITIONS: Table =
    Table { needs: 0b0, fields: &[Field { number: 1, name: "type", kind: Kind::String, shape: Shape::One, slot: 0 }] };

static CERTIFICATE_SIGNING_REQUEST_STATUS: Table = Table {
    needs: 0b0,
    fields: &[
        Field {
            number: 1,
            name: "conditions",
            kind: Kind::Message(&CERTIFICATE_SIGNING_REQUEST_STATUS_CONDITIONS),
            shape: Shape::Repeated,
            slot: 0,
        },
        Field { number: 2, name: "certificate", kind: Kind::Bytes, shape: Shape::UnlessEmpty, slot: 1 },
    ],
};

static CERTIFICATE_SIGNING_REQUEST: Table = Table {
    needs: 0b0,
    fields: &[
        Field { number: 1, name: "metadata", kind: Kind::Message(&INGRESS_CLASS_METADATA), shape: Shape::One, slot: 0 },
        Field {
            number: 2,
            name: "spec",
            kind: Kind::Message(&CERTIFICATE_SIGNING_REQUEST_SPEC),
            shape: Shape::One,
            slot: 1,
        },
        Field {
            number: 3,
            name: "status",
            kind: Kind::Message(&CERTIFICATE_SIGNING_REQUEST_STATUS),
            shape: Shape::One,
            slot: 2,
        },
    ],
};

/// The table of a kind's message.
pub(super) fn root(group: &str, version: &str, kind: &str) -> Option<&'static Table> {
    Some(match (group, version, kind) {
        ("", "v1", "ConfigMap") => &CONFIG_MAP,
        ("batch", "v1", "CronJob") => &CRON_JOB,
        ("apps", "v1", "DaemonSet") => &DAEMON_SET,
        ("apps", "v1", "Deployment") => &DEPLOYMENT,
        ("", "v1", "Endpoints") => &ENDPOINTS,
        ("discovery.k8s.io", "v1", "EndpointSlice") => &ENDPOINT_SLICE,
        ("autoscaling", "v2", "HorizontalPodAutoscaler") => &HORIZONTAL_POD_AUTOSCALER,
        ("networking.k8s.io", "v1", "Ingress") => &INGRESS,
        ("networking.k8s.io", "v1", "IngressClass") => &INGRESS_CLASS,
        ("batch", "v1", "Job") => &JOB,
        ("coordination.k8s.io", "v1", "Lease") => &LEASE,
        ("", "v1", "LimitRange") => &LIMIT_RANGE,
        ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy") => &MUTATING_ADMISSION_POLICY,
        ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding") => &MUTATING_ADMISSION_POLICY_BINDING,
        ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration") => &MUTATING_WEBHOOK_CONFIGURATION,
        ("", "v1", "Namespace") => &NAMESPACE,
        ("networking.k8s.io", "v1", "NetworkPolicy") => &NETWORK_POLICY,
        ("", "v1", "Node") => &NODE,
        ("", "v1", "PersistentVolume") => &PERSISTENT_VOLUME,
        ("", "v1", "PersistentVolumeClaim") => &PERSISTENT_VOLUME_CLAIM,
        ("", "v1", "Pod") => &POD,
        ("policy", "v1", "PodDisruptionBudget") => &POD_DISRUPTION_BUDGET,
        ("apps", "v1", "ReplicaSet") => &REPLICA_SET,
        ("", "v1", "ReplicationController") => &REPLICATION_CONTROLLER,
        ("", "v1", "ResourceQuota") => &RESOURCE_QUOTA,
        ("rbac.authorization.k8s.io", "v1", "ClusterRole") => &CLUSTER_ROLE,
        ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding") => &CLUSTER_ROLE_BINDING,
        ("rbac.authorization.k8s.io", "v1", "Role") => &ROLE,
        ("rbac.authorization.k8s.io", "v1", "RoleBinding") => &ROLE_BINDING,
        ("", "v1", "Secret") => &SECRET,
        ("", "v1", "Service") => &SERVICE,
        ("", "v1", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("apps", "v1", "StatefulSet") => &STATEFUL_SET,
        ("storage.k8s.io", "v1", "StorageClass") => &STORAGE_CLASS,
        ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy") => &VALIDATING_ADMISSION_POLICY,
        ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding") => {
            &VALIDATING_ADMISSION_POLICY_BINDING
        }
        ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration") => &VALIDATING_WEBHOOK_CONFIGURATION,
        ("storage.k8s.io", "v1", "VolumeAttachment") => &VOLUME_ATTACHMENT,
        ("certificates.k8s.io", "v1", "CertificateSigningRequest") => &CERTIFICATE_SIGNING_REQUEST,
        _ => return None,
    })
}

/// The table of a kind's message with the fields of a view alone.
pub(super) fn view(group: &str, version: &str, kind: &str, view: &str) -> Option<&'static Table> {
    Some(match (group, version, kind, view) {
        ("apps", "v1", "Deployment", "status") => &DEPLOYMENT__STATUS,
        ("batch", "v1", "Job", "status") => &JOB__STATUS,
        ("", "v1", "Pod", "containers") => &POD__CONTAINERS,
        ("", "v1", "Pod", "status") => &POD__STATUS,
        ("", "v1", "Pod", "+") => &POD__MORE,
        ("", "v1", "Pod", "+status") => &POD__STATUS__MORE,
        ("apps", "v1", "ReplicaSet", "status") => &REPLICA_SET__STATUS,
        _ => return None,
    })
}
