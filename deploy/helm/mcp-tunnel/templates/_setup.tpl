{{/*
Annotations of a hook. Takes weight; policies, where they are others than that what failed stays until the next run.

`hook-succeeded` would take the account from under a Job that fails or outlasts Helm's --timeout: Helm deletes the hooks
that have succeeded when a later one fails.
*/}}
{{- define "mcp-tunnel.hook" -}}
helm.sh/hook: {{ .events | default "pre-install,pre-upgrade" }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: {{ .policies | default "before-hook-creation" }}
{{- end -}}

{{/*
Whether this rendering runs setup: empty if not. It does on an installation, when it is forced, and when an upgrade finds no
complete Secret, as after an installation that failed. Where `lookup` sees no cluster, nothing is found, and setup, which
changes nothing where nothing is missing, runs once more than it has to.
*/}}
{{- define "mcp-tunnel.runsSetup" -}}
{{- if .Values.setup.enabled -}}
{{- if or .Release.IsInstall .Values.setup.force (include "mcp-tunnel.missingKeys" .) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* The keys that pods need and that the Secret in the cluster lacks. */}}
{{- define "mcp-tunnel.missingKeys" -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace .Release.Name -}}
{{- $data := get ($secret | default dict) "data" | default dict -}}
{{- $missing := list -}}
{{- range $key := list "tunnel-domain" "tunnel-token" "tls.crt" "tls.key" -}}
{{- if not (get $data $key) -}}
{{- $missing = append $missing $key -}}
{{- end -}}
{{- end -}}
{{- join ", " $missing -}}
{{- end -}}

{{/* The tunnel's ID by either of its names. */}}
{{- define "mcp-tunnel.tunnelId" -}}
{{- .Values.tunnel.id | default .Values.api.wif.tunnelId -}}
{{- end -}}

{{/* Annotations that replace the pods when setup gives them other credentials, which they read at their start only. */}}
{{- define "mcp-tunnel.credentials" -}}
mcp-tunnel/token-version: {{ include "mcp-tunnel.text" .Values.tunnel.tokenVersion | quote }}
{{- with include "mcp-tunnel.tunnelId" . }}
mcp-tunnel/tunnel-id: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The account with access to the Tunnels API. */}}
{{- define "mcp-tunnel.setupAccount" -}}
{{- .Values.setup.serviceAccountName | default (printf "%s-setup" (include "mcp-tunnel.prefix" .)) -}}
{{- end -}}

{{/* Whether setup has a Tunnels API key instead of an identity: empty if not. */}}
{{- define "mcp-tunnel.hasApiToken" -}}
{{- if or .Values.api.token .Values.api.tokenSecretName (not .Values.api.wif.federationRuleId) -}}true{{- end -}}
{{- end -}}

{{/* The Secret of that key. */}}
{{- define "mcp-tunnel.apiTokenSecret" -}}
{{- .Values.api.tokenSecretName | default (printf "%s-api-token" (include "mcp-tunnel.prefix" .)) -}}
{{- end -}}

{{/* Arguments that all commands of setup with access to the Tunnels API share. */}}
{{- define "mcp-tunnel.apiArguments" -}}
- {{ printf "--api-url=%s" .Values.api.url | quote }}
{{- with include "mcp-tunnel.text" .Values.api.generation }}
- {{ printf "--api-generation=%s" . | quote }}
{{- end }}
- {{ printf "--output=k8s-secret:%s" .Release.Name | quote }}
{{- end -}}

{{/* Arguments about the server certificate that setup issues. */}}
{{- define "mcp-tunnel.certificateArguments" -}}
- {{ printf "--cert-duration=%s" .Values.serverCert.duration | quote }}
{{- with .Values.serverCert.keyType }}
- {{ printf "--key-type=%s" . | quote }}
{{- end }}
{{- end -}}

{{/* A pod that runs setup without access to the Tunnels API, below `spec`. Takes root, name and args. */}}
{{- define "mcp-tunnel.localSetupPod" -}}
serviceAccountName: {{ include "mcp-tunnel.prefix" .root }}-cert-renew
{{ include "mcp-tunnel.setupPod" . }}
    {{- with .root.Values.setup.extraEnv }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}

{{/* The same of all pods that run setup; its container is left open. */}}
{{- define "mcp-tunnel.setupPod" -}}
# For the Kubernetes API, where the Secret is.
automountServiceAccountToken: true
{{ include "mcp-tunnel.podSpec" .root }}
restartPolicy: Never
containers:
  - name: {{ .name }}
    {{- include "mcp-tunnel.container" .root | nindent 4 }}
    command: [/setup]
    args:
      {{- .args | nindent 6 }}
    resources:
      {{- toYaml .root.Values.setup.resources | nindent 6 }}
{{- end -}}

{{/* A pod that runs setup with access to the Tunnels API, below `spec`. Takes root, name and args. */}}
{{- define "mcp-tunnel.apiSetupPod" -}}
{{- $values := .root.Values -}}
{{- $hasApiToken := include "mcp-tunnel.hasApiToken" .root -}}
{{- $isProjected := not (or $hasApiToken $values.api.wif.tokenFile) -}}
serviceAccountName: {{ include "mcp-tunnel.setupAccount" .root }}
{{- if or $isProjected $values.setup.extraVolumes }}
volumes:
  {{- if $isProjected }}
  - name: identity
    projected:
      sources:
        - serviceAccountToken:
            path: token
            audience: {{ $values.api.wif.audience | quote }}
            expirationSeconds: {{ int64 $values.api.wif.tokenExpirationSeconds }}
  {{- end }}
  {{- with $values.setup.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{ include "mcp-tunnel.setupPod" . }}
    env:
      {{- if $hasApiToken }}
      - name: API_TOKEN
        valueFrom:
          secretKeyRef:
            name: {{ include "mcp-tunnel.apiTokenSecret" .root }}
            key: api-token
      {{- else }}
      {{- with $values.api.wif }}
      - name: ANTHROPIC_FEDERATION_RULE_ID
        value: {{ .federationRuleId | quote }}
      - name: ANTHROPIC_ORGANIZATION_ID
        value: {{ .organizationId | quote }}
      {{- with .workspaceId }}
      - name: ANTHROPIC_WORKSPACE_ID
        value: {{ . | quote }}
      {{- end }}
      - name: ANTHROPIC_IDENTITY_TOKEN_FILE
        value: {{ .tokenFile | default "/var/run/secrets/anthropic.com/token" | quote }}
      {{- end }}
      {{- end }}
      {{- with $values.setup.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if or $isProjected $values.setup.extraVolumeMounts }}
    volumeMounts:
      {{- if $isProjected }}
      - name: identity
        mountPath: /var/run/secrets/anthropic.com
        readOnly: true
      {{- end }}
      {{- with $values.setup.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
{{- end -}}
