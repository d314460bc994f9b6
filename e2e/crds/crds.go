// Package crds pins the module of the Prometheus Operator, which contains the definitions of the custom resources that the
// manifests use.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
