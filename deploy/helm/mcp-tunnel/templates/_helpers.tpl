{{/*
The beginning of every name. Names are not cut: two releases could come to share them, and hooks replace what they find.
*/}}
{{- define "mcp-tunnel.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods of one component. Takes root and component. */}}
{{- define "mcp-tunnel.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object. Takes root and component. */}}
{{- define "mcp-tunnel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "mcp-tunnel.selectorLabels" . }}
{{- end -}}

{{/* Annotations of a hook. Takes events and weight. What failed stays, so that its logs can be read. */}}
{{- define "mcp-tunnel.hook" -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* When setup runs. */}}
{{- define "mcp-tunnel.setupEvents" -}}
pre-install{{ if .Values.setup.force }},pre-upgrade{{ end }}
{{- end -}}

{{/* Whether this rendering has the setup hook: empty if not. An upgrade needs no credentials unless it is forced. */}}
{{- define "mcp-tunnel.runsSetup" -}}
{{- if and .Values.setup.enabled (or .Release.IsInstall .Values.setup.force) -}}true{{- end -}}
{{- end -}}

{{/* An image by digest or tag. Takes image and tag, the default. */}}
{{- define "mcp-tunnel.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{/* The tunnel's ID by either of its names. */}}
{{- define "mcp-tunnel.tunnelId" -}}
{{- .Values.tunnel.id | default .Values.api.wif.tunnelId -}}
{{- end -}}

{{/* A text that may have been written as a number, which Helm reads as a float. */}}
{{- define "mcp-tunnel.text" -}}
{{- if kindIs "float64" . -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* Annotations that replace the pods when setup gives them other credentials, which they read at their start only. */}}
{{- define "mcp-tunnel.credentials" -}}
mcp-tunnel/token-version: {{ include "mcp-tunnel.text" .Values.tunnel.tokenVersion | quote }}
{{- with include "mcp-tunnel.tunnelId" . }}
mcp-tunnel/tunnel-id: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* A duration as Go writes it (1m30s) in whole seconds, rounded up; empty where it is none. */}}
{{- define "mcp-tunnel.seconds" -}}
{{- $part := `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)` -}}
{{- if eq (toString .) "0" -}}
0
{{- else if regexMatch (printf "^(%s)+$" $part) (toString .) -}}
{{- $units := dict "ns" 1e-9 "us" 1e-6 "µs" 1e-6 "μs" 1e-6 "ms" 1e-3 "s" 1.0 "m" 60.0 "h" 3600.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll $part (toString .) -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $sum = addf $sum (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- ceil $sum | int64 -}}
{{- end -}}
{{- end -}}

{{/* shutdown_timeout in seconds; the proxy's default is 30s. */}}
{{- define "mcp-tunnel.shutdownSeconds" -}}
{{- $timeout := .Values.gateway.config.shutdown_timeout -}}
{{- include "mcp-tunnel.seconds" (kindIs "invalid" $timeout | ternary "30s" $timeout) -}}
{{- end -}}

{{/* Seconds between the end of a pod and SIGTERM to its proxy. */}}
{{- define "mcp-tunnel.preStopSeconds" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version -}}
{{- int64 .Values.gateway.preStopSleepSeconds -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* Seconds that a pod needs to end well: the proxy's drain, and time to write the last lines of log. */}}
{{- define "mcp-tunnel.graceSeconds" -}}
{{- add (include "mcp-tunnel.preStopSeconds" .) (include "mcp-tunnel.shutdownSeconds" .) 5 -}}
{{- end -}}

{{/* The configuration of mcp-proxy: what was given, but for what the chart decides. */}}
{{- define "mcp-tunnel.config" -}}
{{- $config := deepCopy .Values.gateway.config -}}
{{- $tls := $config.tls | default dict -}}
{{- $_ := set $tls "cert_file" "/data/tls.crt" -}}
{{- $_ := set $tls "key_file" "/data/tls.key" -}}
{{- $_ := set $config "tls" $tls -}}
{{- $_ := set $config "listen_addr" ":8080" -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What all pods have in common, below `spec`. */}}
{{- define "mcp-tunnel.podSpec" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What all containers of our image have in common. */}}
{{- define "mcp-tunnel.container" -}}
image: {{ include "mcp-tunnel.image" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}
