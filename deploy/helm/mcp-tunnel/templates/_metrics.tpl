{{/* Whether objects of the Prometheus operator can be made: empty if not. */}}
{{- define "mcp-tunnel.hasOperator" -}}
{{- if or .Values.metrics.trustCRDs (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") -}}true{{- end -}}
{{- end -}}

{{/* What stands below `metadata`, with labels by which others find it. Takes root, name and labels. */}}
{{- define "mcp-tunnel.foundMetadata" -}}
{{- $metadata := include "mcp-tunnel.metadata" (dict "root" .root "name" .name "component" "metrics" "annotations" .annotations) | fromYaml -}}
{{- $_ := set $metadata "labels" (merge (dict) (.labels | default dict) $metadata.labels) -}}
{{- toYaml $metadata -}}
{{- end -}}

{{/* An endpoint to scrape, an item of a monitor's list. Takes the monitor's values. */}}
{{- define "mcp-tunnel.endpoint" -}}
- port: admin
  path: /metrics
  interval: {{ .interval }}
  scrapeTimeout: {{ .scrapeTimeout }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
