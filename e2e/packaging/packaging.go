// Package packaging pins the tools that check manifests: Helm, kustomize, and the module of the Prometheus Operator,
// which contains the definitions of its custom resources.
package packaging

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
