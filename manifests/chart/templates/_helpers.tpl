{{/* The name of everything, 52 characters at most: a StatefulSet's revisions put eleven behind it, in a label of 63. */}}
{{- define "fleet.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "fleet.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "fleet.serviceAccount" -}}
{{- default (ternary (include "fleet.name" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* What selects the pods. It never changes. */}}
{{- define "fleet.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fleet.labels" -}}
{{ include "fleet.selector" . }}
app.kubernetes.io/component: exporter
app.kubernetes.io/part-of: kube-state-fleet
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "fleet.image" -}}
{{- $image := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $image = printf "%s/%s" . $image }}{{ end -}}
{{- if .Values.image.sha -}}
{{ $image }}@sha256:{{ trimPrefix "sha256:" .Values.image.sha }}
{{- else -}}
{{ $image }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* A value that is a list, or text with commas, as text with commas. */}}
{{- define "fleet.list" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- define "fleet.customResourceConfig" -}}
{{- default (printf "%s-custom-resources" (include "fleet.name" .)) .Values.customResourceState.name -}}
{{- end -}}

{{/* The rules of the ClusterRole: files/rules.yaml has one for each resource there is. */}}
{{- define "fleet.rules" -}}
{{- $wanted := .Values.collectors -}}
{{- $off := list "clusterrolebindings" "clusterroles" "endpoints" "ingressclasses" "rolebindings" "roles" "serviceaccounts" -}}
{{- range (.Files.Get "files/rules.yaml" | fromYaml).rules -}}
{{- $resources := list -}}
{{- range .resources -}}
{{- if ternary (has . $wanted) (not (has . $off)) (gt (len $wanted) 0) }}{{ $resources = append $resources . }}{{ end -}}
{{- end -}}
{{- if $resources }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson $resources }}
  verbs: {{ toJson .verbs }}
{{- end -}}
{{- end }}
{{- if .Values.customResourceState.enabled }}
- apiGroups: ["apiextensions.k8s.io"]
  resources: ["customresourcedefinitions"]
  verbs: ["list", "watch"]
{{- end }}
{{- if .Values.authFilter.enabled }}
- apiGroups: ["authentication.k8s.io"]
  resources: ["tokenreviews"]
  verbs: ["create"]
- apiGroups: ["authorization.k8s.io"]
  resources: ["subjectaccessreviews"]
  verbs: ["create"]
{{- end }}
{{- with .Values.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}
