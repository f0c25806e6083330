{{- define "wattview.name" -}}
{{- if contains "wattview" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-wattview{{ end }}
{{- end }}

{{- define "wattview.selector" -}}
app.kubernetes.io/name: wattview
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wattview.labels" -}}
{{ include "wattview.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* What Prometheus calls each exporter, by its key in the settings: as the daemon's own /discovery does. */}}
{{- define "wattview.jobs" -}}
rapl: rapl-exporter
docker: docker-stats-exporter
results: results-exporter
qoe: qoe-exporter
cost: cost-exporter
gpu: dcgm-exporter
node: node-exporter
containers: cadvisor
nginx_rtmp: nginx-rtmp-exporter
health: exporter-health-checker
{{- end }}

{{- /* A port's name has no underscore. */}}
{{- define "wattview.port" -}}
{{ . | replace "_" "-" }}
{{- end }}

{{- define "wattview.store" -}}
{{- if .Values.storeUrl }}{{ .Values.storeUrl }}
{{- else if .Values.store.enabled }}http://{{ include "wattview.name" . }}-store.{{ .Release.Namespace }}.svc:8428
{{- end }}
{{- end }}

{{- /* The daemon's settings, as WATTVIEW_SET takes them: separated by spaces, quoted as in a shell. A volume's own
     directory is root's and open to all, so the daemon makes one of its own in it, closed to others. */}}
{{- define "wattview.settings" -}}
daemon.listen={{ .Values.listen | default "$(NODE_IP)" }} paths.state=/var/lib/wattview/state daemon.control_socket=/run/wattview/daemon/wattview.sock workloads.engines=
{{- if .Values.kubelet.enabled }} workloads.kubelet_url={{ .Values.kubelet.url }} http.ca_file={{ .Values.kubelet.caFile }}{{ end }}
{{- if .Values.control.enabled }} daemon.control_listen={{ .Values.listen | default "$(NODE_IP)" }}:{{ .Values.control.port }} daemon.token_file=/etc/wattview/control/token{{ end }}
{{- if .Values.webConfigSecret }} daemon.web_config_file=/etc/wattview/web/web.yml{{ end }}
{{- range $key, $one := .Values.exporters }} endpoints.{{ $key }}.enabled={{ $one.enabled }} endpoints.{{ $key }}.port={{ $one.port }}{{ end }}
{{- range $key, $value := .Values.settings }} {{ $key }}={{ $value | toRawJson }}{{ end }}
{{- end }}

{{- /* One endpoint of an operator for each exporter; `relabel` is what that operator calls relabelling. The metrics have
     labels namespace, pod and container of their own, and those of this DaemonSet must not stand in their place. */}}
{{- define "wattview.endpoints" -}}
{{- $root := .root }}{{ $relabel := .relabel }}{{ $jobs := include "wattview.jobs" .root | fromYaml }}
{{- range $key, $one := .root.Values.exporters }}
{{- if $one.enabled }}
- port: {{ include "wattview.port" $key }}
  interval: {{ $root.Values.monitor.interval }}
  scrapeTimeout: {{ $root.Values.monitor.scrapeTimeout }}
  {{- with $root.Values.monitor.endpoint }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{ $relabel }}:
    - {action: labeldrop, regex: namespace|pod|container|service|endpoint}
    - {targetLabel: job, replacement: {{ index $jobs $key }}}
    - {sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: host}
    - {sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: instance, replacement: "$1:{{ $one.port }}"}
{{- end }}
{{- end }}
{{- end }}
