{{/* Where mcp-proxy listens. cloudflared is in the same pod. */}}
{{- define "mcp-tunnel.listener" -}}
127.0.0.1:8080
{{- end -}}

{{/* The configuration of mcp-proxy: what was given, but for what the chart decides. */}}
{{- define "mcp-tunnel.config" -}}
{{- $config := deepCopy .Values.gateway.config -}}
{{- $tls := $config.tls | default dict -}}
{{- $_ := set $tls "cert_file" "/data/tls.crt" -}}
{{- $_ := set $tls "key_file" "/data/tls.key" -}}
{{- if and (kindIs "invalid" $tls.ticket_keys_file) (ne (toString $tls.session_tickets) "false") -}}
{{- $_ := set $tls "ticket_keys_file" "/data/ticket-keys" -}}
{{- end -}}
{{- $_ := set $config "tls" $tls -}}
{{- $_ := set $config "listen_addr" (include "mcp-tunnel.listener" .) -}}
{{- /* The kubelet and Prometheus come from outside of the pod. */ -}}
{{- $_ := set $config "admin_addr" (printf ":%d" (int64 .Values.gateway.adminPort)) -}}
{{- $delay := include "mcp-tunnel.delaySeconds" . -}}
{{- if and (kindIs "invalid" $config.shutdown_delay) $delay (ne $delay "0") -}}
{{- $_ := set $config "shutdown_delay" (printf "%ss" $delay) -}}
{{- end -}}
{{- $metrics := .Values.cloudflared.metricsAddress -}}
{{- if and (kindIs "invalid" $config.cloudflared_metrics) (has $metrics (list "127.0.0.1" "0.0.0.0")) -}}
{{- $_ := set $config "cloudflared_metrics" (printf "http://127.0.0.1:%d" (int64 .Values.cloudflared.metricsPort)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The proxy's container in the Deployment. */}}
{{- define "mcp-tunnel.servingContainer" -}}
name: mcp-proxy
{{- if include "mcp-tunnel.isSidecar" . }}
restartPolicy: Always
{{- end }}
{{ include "mcp-tunnel.proxyContainer" . }}
{{- range $kind := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- with get $.Values.gateway $kind }}
{{ $kind }}:
  {{- include "mcp-tunnel.probe" . | nindent 2 }}
{{- end }}
{{- end }}
{{- if include "mcp-tunnel.isSidecar" . }}
# Its SIGTERM comes when cloudflared has ended, and with it every stream. So it drains from the beginning of the end on.
lifecycle:
  preStop:
    exec:
      command: [/mcp-proxy, stop]
{{- else }}
{{- with include "mcp-tunnel.preStopSeconds" . | int64 }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Below a container that serves: image, arguments, variables and mounts of mcp-proxy. */}}
{{- define "mcp-tunnel.proxyContainer" -}}
{{- $managed := .Values.setup.enabled -}}
{{- include "mcp-tunnel.container" . }}
args:
  - -config
  - /etc/mcp-gateway/config.yaml
  {{- if $managed }}
  - -tunnel-domain
  - $(TUNNEL_DOMAIN)
  {{- end }}
{{- if or $managed .Values.gateway.extraEnv }}
env:
  {{- if $managed }}
  - name: TUNNEL_DOMAIN
    valueFrom:
      secretKeyRef:
        name: {{ .Release.Name }}
        key: tunnel-domain
  {{- end }}
  {{- with .Values.gateway.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
ports:
  - name: admin
    containerPort: {{ int64 .Values.gateway.adminPort }}
resources:
  {{- toYaml .Values.gateway.resources | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/mcp-gateway
    readOnly: true
  # Not by `subPath`, which would never show a renewed certificate.
  - name: certificate
    mountPath: /data
    readOnly: true
  {{- with .Values.gateway.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The Secret with certificate, key and the keys of session tickets. */}}
{{- define "mcp-tunnel.certificateSecret" -}}
{{- .Values.setup.enabled | ternary .Release.Name .Values.external.serverCertSecretName -}}
{{- end -}}

{{/* The volumes of mcp-proxy. */}}
{{- define "mcp-tunnel.proxyVolumes" -}}
- name: config
  configMap:
    name: {{ include "mcp-tunnel.fullname" . }}-config
- name: certificate
  projected:
    # Octal 0440: the group is that of `fsGroup`.
    defaultMode: 288
    # The Secret of managed mode holds the CA's key too, which must not come here.
    sources:
      - secret:
          name: {{ include "mcp-tunnel.certificateSecret" . }}
          items:
            - key: tls.crt
              path: tls.crt
            - key: tls.key
              path: tls.key
      # Apart, because it may come later than the pod: an earlier setup made none.
      - secret:
          name: {{ include "mcp-tunnel.certificateSecret" . }}
          optional: true
          items:
            - key: ticket-keys
              path: ticket-keys
{{- with .Values.gateway.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* shutdown_timeout in seconds; the proxy's default is 30s. */}}
{{- define "mcp-tunnel.shutdownSeconds" -}}
{{- $timeout := .Values.gateway.config.shutdown_timeout -}}
{{- include "mcp-tunnel.seconds" (kindIs "invalid" $timeout | ternary "30s" $timeout) -}}
{{- end -}}

{{/* Whether the proxy is a native sidecar, which Kubernetes has for good from 1.33 on; empty where it is not. */}}
{{- define "mcp-tunnel.isSidecar" -}}
{{- $wanted := .Values.gateway.nativeSidecar -}}
{{- if kindIs "invalid" $wanted -}}
{{- $wanted = semverCompare ">=1.33.0-0" .Capabilities.KubeVersion.Version -}}
{{- end -}}
{{- if $wanted -}}true{{- end -}}
{{- end -}}

{{/* Whether a hook can sleep, so that SIGTERM comes later: a native sidecar's comes too late for that. */}}
{{- define "mcp-tunnel.hookSleeps" -}}
{{- if and (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) (not (include "mcp-tunnel.isSidecar" .)) -}}true{{- end -}}
{{- end -}}

{{/* Seconds between the end of a pod and SIGTERM to its proxy. */}}
{{- define "mcp-tunnel.preStopSeconds" -}}
{{- if include "mcp-tunnel.hookSleeps" . -}}
{{- int64 .Values.gateway.preStopSleepSeconds -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* shutdown_delay in seconds: what was given, or what the hook does where there is none. */}}
{{- define "mcp-tunnel.delaySeconds" -}}
{{- $delay := .Values.gateway.config.shutdown_delay -}}
{{- if not (kindIs "invalid" $delay) -}}
{{- include "mcp-tunnel.seconds" $delay -}}
{{- else if include "mcp-tunnel.hookSleeps" . -}}
0
{{- else -}}
{{- int64 .Values.gateway.preStopSleepSeconds -}}
{{- end -}}
{{- end -}}

{{/* Seconds between the end of a pod and that of its proxy. */}}
{{- define "mcp-tunnel.endSeconds" -}}
{{- add (include "mcp-tunnel.preStopSeconds" .) (include "mcp-tunnel.delaySeconds" .) (include "mcp-tunnel.shutdownSeconds" .) -}}
{{- end -}}

{{/* Seconds that a pod needs to end well: the proxy's drain, and time to write the last lines of log. */}}
{{- define "mcp-tunnel.graceSeconds" -}}
{{- add (include "mcp-tunnel.endSeconds" .) 5 -}}
{{- end -}}

{{/* A probe of the proxy. Values are merged, so one of another kind comes beside the default's `httpGet`, and wins. */}}
{{- define "mcp-tunnel.probe" -}}
{{- $other := false -}}
{{- range $kind := list "exec" "tcpSocket" "grpc" -}}
{{- if get $ $kind -}}{{- $other = true -}}{{- end -}}
{{- end -}}
{{- toYaml ($other | ternary (omit . "httpGet") .) -}}
{{- end -}}

{{/* The account of the pods of proxy and cloudflared; empty for that of the namespace. */}}
{{- define "mcp-tunnel.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "mcp-tunnel.fullname" .) "") -}}
{{- end -}}
