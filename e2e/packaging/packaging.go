// Package packaging pins what manifests are checked with: Helm and kustomize as tools, and the module of the Prometheus Operator,
// which carries the definitions of its custom resources.
package packaging

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
