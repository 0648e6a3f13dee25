{{/* Whether egress is restricted, by either name: empty if not. */}}
{{- define "mcp-tunnel.egressEnabled" -}}
{{- if or .Values.networkPolicy.egress.enabled .Values.networkPolicy.enabled -}}true{{- end -}}
{{- end -}}

{{/* The upstream MCP servers, by either name. */}}
{{- define "mcp-tunnel.mcpServers" -}}
{{- concat (.Values.networkPolicy.egress.mcpServers | default list) (.Values.networkPolicy.mcpServers | default list) | toYaml -}}
{{- end -}}

{{/* The directions that policies restrict, below `policyTypes`; empty if there are none. */}}
{{- define "mcp-tunnel.policyTypes" -}}
{{- if .Values.networkPolicy.ingress.enabled }}
- Ingress
{{- end }}
{{- if include "mcp-tunnel.egressEnabled" . }}
- Egress
{{- end }}
{{- end -}}

{{/* Items of `to` from a list of CIDR ranges. */}}
{{- define "mcp-tunnel.cidrs" -}}
{{- $peers := list -}}
{{- range . -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end -}}

{{/* Rule: cluster DNS. */}}
{{- define "mcp-tunnel.egress.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.egress.dns.peers | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.egress.dns.ports }}
    - port: {{ int . }}
      protocol: UDP
    - port: {{ int . }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{/* Rule: the Kubernetes API server. */}}
{{- define "mcp-tunnel.egress.kubernetesApi" -}}
- to:
    {{- include "mcp-tunnel.cidrs" .Values.networkPolicy.egress.kubernetesApiCIDRs | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.egress.kubernetesApiPorts }}
    - port: {{ int . }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{/* Rule: one item of mcpServers. */}}
{{- define "mcp-tunnel.egress.mcpServer" -}}
{{- $peer := dict -}}
{{- if kindIs "string" . -}}
{{- $peer = dict "ipBlock" (dict "cidr" .) -}}
{{- else if .cidr -}}
{{- $peer = dict "ipBlock" (pick . "cidr" "except") -}}
{{- else if or .matchLabels .matchExpressions -}}
{{- $peer = dict "podSelector" (pick . "matchLabels" "matchExpressions") -}}
{{- else -}}
{{- $peer = pick . "podSelector" "namespaceSelector" "ipBlock" -}}
{{- end -}}
- to:
    - {{ toYaml $peer | nindent 6 | trim }}
  {{- if not (kindIs "string" .) }}
  {{- with .ports }}
  ports:
    {{- range . }}
    {{- if kindIs "map" . }}
    - {{ toYaml . | nindent 6 | trim }}
    {{- else }}
    - port: {{ int . }}
      protocol: TCP
    {{- end }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}
