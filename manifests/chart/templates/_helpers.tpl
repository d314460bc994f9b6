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

{{- define "fleet.application" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods. It never changes. */}}
{{- define "fleet.selector" -}}
{{- with .Values.selectorOverride -}}
{{ toYaml . }}
{{- else -}}
app.kubernetes.io/name: {{ include "fleet.application" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- end -}}

{{/* Labels: `list $ MAP...`. Later maps win, and the selector wins over all, so that no key appears twice. */}}
{{- define "fleet.labels" -}}
{{- $root := first . -}}
{{- $labels := dict
  "app.kubernetes.io/component" "exporter"
  "app.kubernetes.io/part-of" "kube-state-fleet"
  "app.kubernetes.io/name" (include "fleet.application" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- if $root.Values.releaseLabel }}{{ $_ := set $labels "release" $root.Release.Name }}{{ end -}}
{{- range prepend (rest .) $root.Values.customLabels -}}
{{- with . }}{{ $labels = mergeOverwrite $labels (tpl (toYaml .) $root | fromYaml) }}{{ end -}}
{{- end -}}
{{- toYaml (mergeOverwrite $labels (include "fleet.selector" $root | fromYaml)) -}}
{{- end -}}

{{/* Names that templates in values of kube-state-metrics' chart use, for example in `affinity`. */}}
{{- define "kube-state-metrics.name" }}{{ include "fleet.application" . }}{{ end -}}
{{- define "kube-state-metrics.fullname" }}{{ include "fleet.name" . }}{{ end -}}
{{- define "kube-state-metrics.namespace" }}{{ include "fleet.namespace" . }}{{ end -}}
{{- define "kube-state-metrics.serviceAccountName" }}{{ include "fleet.serviceAccount" . }}{{ end -}}
{{- define "kube-state-metrics.selectorLabels" }}
{{ include "fleet.selector" . }}
{{- end -}}
{{- define "kube-state-metrics.labels" }}
{{ include "fleet.labels" (list .) }}
{{- end -}}

{{- define "fleet.image" -}}
{{- $image := .Values.image.repository -}}
{{- with (.Values.global).imageRegistry | default .Values.image.registry }}{{ $image = printf "%s/%s" . $image }}{{ end -}}
{{- if .Values.image.sha -}}
{{ $image }}@sha256:{{ trimPrefix "sha256:" .Values.image.sha }}
{{- else -}}
{{ $image }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* "true" if the image has no registry, as by default. */}}
{{- define "fleet.localImage" -}}
{{- if not (or (.Values.global).imageRegistry .Values.image.registry (contains "/" .Values.image.repository)) }}true{{ end -}}
{{- end -}}

{{/* Pull secrets: `list $ SECRETS`. Each secret is a name, or an object with a name. */}}
{{- define "fleet.pullSecrets" -}}
{{- range concat (((first .).Values.global).imagePullSecrets | default list) (last . | default list) }}
- name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{/* A value that is a list, or text with commas, as text with commas. */}}
{{- define "fleet.list" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* The same as a list without blanks, for `fromYamlArray`. */}}
{{- define "fleet.items" -}}
{{- $items := list -}}
{{- range splitList "," (include "fleet.list" (. | default list)) }}{{ with trim . }}{{ $items = append $items . }}{{ end }}{{ end -}}
{{- toYaml $items -}}
{{- end -}}

{{/* The namespaces to expose, with commas. Empty: all. */}}
{{- define "fleet.namespaces" -}}
{{- $namespaces := tpl (include "fleet.list" (.Values.namespaces | default "")) . | include "fleet.items" | fromYamlArray -}}
{{- if .Values.releaseNamespace }}{{ $namespaces = append $namespaces (include "fleet.namespace" .) }}{{ end -}}
{{- uniq $namespaces | join "," -}}
{{- end -}}

{{/* The value of a flag in extraArgs: `list $ FLAG DEFAULT`. The last one counts, as in the program. */}}
{{- define "fleet.flag" -}}
{{- $name := printf "--%s" (index . 1) -}}
{{- $value := index . 2 -}}
{{- $next := false -}}
{{- range (first .).Values.extraArgs -}}
{{- $argument := toString . -}}
{{- if $next }}{{ $value = $argument }}{{ $next = false -}}
{{- else if eq $argument $name }}{{ $next = true -}}
{{- else if hasPrefix (printf "%s=" $name) $argument }}{{ $value = trimPrefix (printf "%s=" $name) $argument }}{{ end -}}
{{- end -}}
{{- $value -}}
{{- end -}}

{{/* The ports of the container. That of scrapes is the Service's, as in kube-state-metrics' chart, if the program may open it. */}}
{{- define "fleet.port" -}}
{{- include "fleet.flag" (list . "port" (ternary (int .Values.service.port) 8080 (ge (int .Values.service.port) 1024))) -}}
{{- end -}}
{{- define "fleet.telemetryPort" -}}
{{- include "fleet.flag" (list . "telemetry-port" (int (.Values.selfMonitor.telemetryPort | default 8081))) -}}
{{- end -}}
{{- define "fleet.fleetPort" -}}
{{- include "fleet.flag" (list . "fleet-port" (int (.Values.fleet.port | default 8082))) -}}
{{- end -}}

{{/* "true" if the program gets a web configuration from the chart; if that has TLS. */}}
{{- define "fleet.web" -}}
{{- if or .Values.tls.secretName .Values.tls.webConfig }}true{{ end -}}
{{- end -}}
{{- define "fleet.tls" -}}
{{- if or .Values.tls.secretName ((.Values.tls.webConfig | default dict).tls_server_config) }}true{{ end -}}
{{- end -}}

{{/* "true" with --custom-resource-state-only. */}}
{{- define "fleet.customResourcesOnly" -}}
{{- range .Values.extraArgs -}}
{{- if has (toString .) (list "--custom-resource-state-only" "--custom-resource-state-only=true") }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- define "fleet.customResourceConfig" -}}
{{- default (printf "%s-custom-resources" (include "fleet.name" .)) .Values.customResourceState.name -}}
{{- end -}}

{{/*
The resources to expose, for `fromYaml`: `all` of them, and `flag` if --resources has to name them. As in kube-state-metrics' chart,
collectorsExtra alone is the whole list if collectors is empty. Without collectors, the list is the program's default.
*/}}
{{- define "fleet.collectors" -}}
{{- $off := list "clusterrolebindings" "clusterroles" "endpoints" "ingressclasses" "rolebindings" "roles" "serviceaccounts" -}}
{{- $known := list -}}
{{- $default := list -}}
{{- range (.Files.Get "files/rules.yaml" | fromYaml).rules }}{{ range .resources -}}
{{- $known = append $known . -}}
{{- if not (has . $off) }}{{ $default = append $default . }}{{ end -}}
{{- end }}{{ end -}}
{{- $named := include "fleet.items" .Values.collectors | fromYamlArray -}}
{{- $exclude := include "fleet.items" .Values.collectorsExclude | fromYamlArray -}}
{{- $extra := include "fleet.items" .Values.collectorsExtra | fromYamlArray -}}
{{- $all := $named -}}
{{- if not (or $named (and $extra (kindIs "slice" .Values.collectors))) }}{{ $all = $default }}{{ end -}}
{{- range $exclude -}}
{{- if not (has . $known) }}{{ fail (printf "collectorsExclude: %q is no resource; the resources are %s" . (join ", " (sortAlpha $known))) }}{{ end -}}
{{- $all = without $all . -}}
{{- end -}}
{{- $all = concat $all $extra | uniq -}}
{{- if include "fleet.customResourcesOnly" . -}}
{{- toYaml (dict "all" list "flag" false) -}}
{{- else -}}
{{- range $all -}}
{{- if not (has . $known) }}{{ fail (printf "collectors: %q is no resource; the resources are %s. Custom resources are in customResourceState" . (join ", " (sortAlpha $known))) }}{{ end -}}
{{- end -}}
{{- if not $all }}{{ fail "collectorsExclude: no collector is left; for custom resources alone, add --custom-resource-state-only to extraArgs" }}{{ end -}}
{{- toYaml (dict "all" $all "flag" (gt (len (concat $named $exclude $extra)) 0)) -}}
{{- end -}}
{{- end -}}

{{/* The permissions in the whole cluster or in each namespace: files/rules.yaml has one rule for each resource there is. */}}
{{- define "fleet.rules" -}}
{{- $wanted := (include "fleet.collectors" . | fromYaml).all | default list -}}
{{- range (.Files.Get "files/rules.yaml" | fromYaml).rules -}}
{{- $resources := list -}}
{{- range .resources }}{{ if has . $wanted }}{{ $resources = append $resources . }}{{ end }}{{ end -}}
{{- if $resources }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson $resources }}
  verbs: {{ toJson .verbs }}
{{- end -}}
{{- end }}
{{- /* The rest is about objects outside of namespaces, which a Role cannot permit. */}}
{{- if and .Values.rbac.useClusterRole (or .Values.namespaceSelector .Values.promoteNamespaceLabels) (not (has "namespaces" $wanted)) }}
- apiGroups: [""]
  resources: ["namespaces"]
  verbs: ["list", "watch"]
{{- end }}
{{- if and .Values.rbac.useClusterRole .Values.customResourceState.enabled .Values.rbac.customResourceState.createClusterRoleRules }}
- apiGroups: ["apiextensions.k8s.io"]
  resources: ["customresourcedefinitions"]
  verbs: ["list", "watch"]
{{- end }}
{{- if and .Values.rbac.useClusterRole .Values.authFilter.enabled .Values.rbac.authFilter.createClusterRoleRules }}
- apiGroups: ["authentication.k8s.io"]
  resources: ["tokenreviews"]
  verbs: ["create"]
- apiGroups: ["authorization.k8s.io"]
  resources: ["subjectaccessreviews"]
  verbs: ["create"]
# `kube-state-fleet verify` in a pod of the fleet asks the replicas.
- nonResourceURLs: ["/metrics"]
  verbs: ["get"]
{{- end }}
{{- with .Values.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The flags that select objects and how to reach the program. The replicas and `verify` need the same. */}}
{{- define "fleet.selection" -}}
{{- $collectors := include "fleet.collectors" . | fromYaml }}
{{- if $collectors.flag }}
- --resources={{ join "," $collectors.all }}
{{- end }}
{{- with include "fleet.namespaces" . }}
- --namespaces={{ . }}
{{- end }}
{{- with .Values.namespacesDenylist }}
- --namespaces-denylist={{ tpl (include "fleet.list" .) $ }}
{{- end }}
{{- with .Values.namespaceSelector }}
- {{ printf "--namespace-selector=%s" . | quote }}
{{- end }}
{{- range $resource, $selector := .Values.resourceSelectors | default dict }}
- {{ printf "--resource-selector=%s=%s" $resource $selector | quote }}
{{- end }}
{{- range $resource, $selector := .Values.resourceFieldSelectors | default dict }}
- {{ printf "--resource-field-selector=%s=%s" $resource $selector | quote }}
{{- end }}
{{- if .Values.customResourceState.enabled }}
- --custom-resource-state-config-file=/etc/customresourcestate/{{ .Values.customResourceState.key }}
{{- if .Values.customResourceState.allKinds }}
- --custom-resource-state-all-kinds
{{- end }}
{{- end }}
{{- if .Values.kubeconfig.enabled }}
- --kubeconfig=/opt/k8s/.kube/config
{{- end }}
{{- if include "fleet.web" . }}
- --tls-config=/etc/web/web.yml
{{- end }}
{{- if .Values.authFilter.enabled }}
- --auth-filter
{{- end }}
{{- end -}}

{{/* The files that these flags name. */}}
{{- define "fleet.mounts" -}}
{{- if .Values.customResourceState.enabled }}
- name: custom-resources
  mountPath: /etc/customresourcestate
  readOnly: true
{{- end }}
{{- if .Values.kubeconfig.enabled }}
- name: kubeconfig
  mountPath: /opt/k8s/.kube
  readOnly: true
{{- end }}
{{- if include "fleet.web" . }}
- name: web
  mountPath: /etc/web
  readOnly: true
{{- end }}
{{- if .Values.tls.secretName }}
- name: certificate
  mountPath: /etc/certificate
  readOnly: true
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
{{- define "fleet.volumes" -}}
{{- if .Values.customResourceState.enabled }}
- name: custom-resources
  configMap:
    name: {{ include "fleet.customResourceConfig" . }}
{{- end }}
{{- if .Values.kubeconfig.enabled }}
- name: kubeconfig
  secret:
    secretName: {{ include "fleet.name" . }}-kubeconfig
{{- end }}
{{- if include "fleet.web" . }}
- name: web
  secret:
    secretName: {{ include "fleet.name" . }}-web
{{- end }}
{{- with .Values.tls.secretName }}
- name: certificate
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A probe: `list $ PROBE PATH PORT`. With TLS, only HTTPS works. */}}
{{- define "fleet.probe" -}}
{{- $root := first . -}}
{{- $probe := index . 1 | default dict -}}
{{- $http := $probe.httpGet | default dict -}}
httpGet:
  path: {{ index . 2 }}
  port: {{ index . 3 }}
  {{- if $root.Values.hostNetwork }}
  host: 127.0.0.1
  {{- end }}
  {{- if include "fleet.tls" $root }}
  scheme: HTTPS
  {{- else if $http.scheme }}
  scheme: {{ upper $http.scheme }}
  {{- end }}
  {{- with $http.httpHeaders }}
  httpHeaders:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with omit $probe "enabled" "httpGet" }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The limits of scrapes in a PodMonitor, ServiceMonitor or ScrapeConfig. */}}
{{- define "fleet.scrapeLimits" -}}
{{- $values := . -}}
{{- range $limit := list "sampleLimit" "targetLimit" "labelLimit" "labelNameLengthLimit" "labelValueLengthLimit" }}
{{- with get $values $limit }}
{{ $limit }}: {{ int64 . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The namespace of monitors, and of what they refer to. */}}
{{- define "fleet.monitorNamespace" -}}
{{- default (include "fleet.namespace" .) .Values.prometheus.monitor.namespace -}}
{{- end -}}

{{/* "true" if the chart makes the account whose token the monitors send. */}}
{{- define "fleet.scraper" -}}
{{- $monitor := .Values.prometheus.monitor -}}
{{- $scrape := .Values.prometheus.scrapeconfig -}}
{{- $monitored := and $monitor.enabled (not (or $monitor.authorization $monitor.bearerTokenSecret $monitor.bearerTokenFile)) -}}
{{- $scraped := and $scrape.enabled (not $scrape.authorization) -}}
{{- if and .Values.authFilter.enabled .Values.authFilter.scraper.create (or $monitored $scraped) }}true{{ end -}}
{{- end -}}
{{- define "fleet.scraperToken" -}}
type: Bearer
credentials:
  name: {{ include "fleet.name" . }}-scraper
  key: token
{{- end -}}

{{/* How clients of a certificate of tls.secretName check it: by its own authority, if the Secret has it, and the Service's name. */}}
{{- define "fleet.clientTLS" -}}
ca:
  secret:
    name: {{ .Values.tls.secretName }}
    key: ca.crt
serverName: {{ include "fleet.name" . }}.{{ include "fleet.namespace" . }}.svc
{{- end -}}

{{/* What selects the pod of `helm test`. The Service and the disruption budget must not select it. */}}
{{- define "fleet.testSelector" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "fleet.application" . | trunc 58) }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Makes the series of an object the same when it moves to another replica. */}}
{{- define "fleet.seamlessRelabelings" -}}
# Prometheus has renamed the objects' own labels that the target has too: `pod` to `exported_pod`. The replica's labels
# go, and those of the objects get their names back. `up` and the like are not relabelled, and keep them.
- action: labeldrop
  regex: instance|pod
- action: labelmap
  regex: exported_(.+)
- action: labeldrop
  regex: exported_.+
{{- end -}}
