{{/* Refuses values that would only fail later, all of them at once. What a schema can say is in values.schema.json. */}}
{{- define "mcp-tunnel.validate" -}}
{{- $errors := list -}}
{{- $fullname := include "mcp-tunnel.fullname" . -}}
{{- if gt (len $fullname) 41 -}}
{{- $errors = append $errors (printf "the name %s is longer than 41 characters, which leaves no room for the suffix of the CronJob: set fullnameOverride" $fullname) -}}
{{- end -}}
{{- $config := .Values.gateway.config -}}
{{- if not $config.routes -}}
{{- $errors = append $errors "gateway.config.routes: needs at least one route, such as echo: http://hello-mcp:9000" -}}
{{- else if not (kindIs "map" $config.routes) -}}
{{- $errors = append $errors "gateway.config.routes: must be a map from subdomain to scheme://host:port, not a list" -}}
{{- end -}}
{{- if and $config.tls (not (kindIs "map" $config.tls)) -}}
{{- $errors = append $errors "gateway.config.tls: must be a map" -}}
{{- end -}}
{{- $needed := 0 -}}
{{- if include "mcp-tunnel.shutdownSeconds" . -}}
{{- $needed = include "mcp-tunnel.graceSeconds" . | int64 -}}
{{- else -}}
{{- $errors = append $errors (printf "gateway.config.shutdown_timeout: %v is not a duration such as 30s or 1m30s" $config.shutdown_timeout) -}}
{{- end -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if and (not (kindIs "invalid" $given)) (lt (int64 $given) $needed) -}}
{{- $errors = append $errors (printf "terminationGracePeriodSeconds: %d is too short; preStopSleepSeconds and shutdown_timeout need %d" (int64 $given) $needed) -}}
{{- end -}}
{{- $wif := .Values.api.wif -}}
{{- if and .Values.tunnel.id $wif.tunnelId (ne .Values.tunnel.id $wif.tunnelId) -}}
{{- $errors = append $errors "tunnel.id and api.wif.tunnelId differ: they are two names of one setting, so remove api.wif.tunnelId" -}}
{{- end -}}
{{- if include "mcp-tunnel.runsSetup" . -}}
{{- if and .Values.api.token $wif.federationRuleId -}}
{{- $errors = append $errors "api.token and api.wif.federationRuleId: setup authenticates with one of them, so remove the other" -}}
{{- else if not .Values.api.token -}}
{{- range $key := list "federationRuleId" "organizationId" -}}
{{- if not (get $wif $key) -}}
{{- $errors = append $errors (printf "api.wif.%s: required for setup to authenticate (or set api.token, or setup.enabled: false for external mode)" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not .Values.setup.enabled -}}
{{- if not $config.tunnel_domain -}}
{{- $errors = append $errors "gateway.config.tunnel_domain: required in external mode (setup.enabled: false)" -}}
{{- end -}}
{{- range $key := list "tunnelTokenSecretName" "serverCertSecretName" -}}
{{- if not (get $.Values.external $key) -}}
{{- $errors = append $errors (printf "external.%s: required in external mode (setup.enabled: false)" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and $policy.egress.enabled (eq (toString $policy.enabled) "false") -}}
{{- $errors = append $errors "networkPolicy.enabled and networkPolicy.egress.enabled contradict each other: they are two names of one setting, so remove networkPolicy.enabled" -}}
{{- end -}}
{{- if and (include "mcp-tunnel.egressEnabled" .) (not (include "mcp-tunnel.mcpServers" . | fromYamlArray)) -}}
{{- $errors = append $errors "networkPolicy.egress.mcpServers: needs the MCP servers, or the proxy could reach none of them" -}}
{{- end -}}
{{- if and .Values.setup.enabled .Release.IsUpgrade (not .Values.setup.force) -}}
{{- /* Without a cluster, as in `helm template`, there is nothing to compare with. */ -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace $fullname -}}
{{- if $deployment -}}
{{- $found := $deployment.spec.template.metadata.annotations | default dict -}}
{{- range $key, $wanted := include "mcp-tunnel.credentials" . | fromYaml -}}
{{- if ne (get $found $key) $wanted -}}
{{- $errors = append $errors (printf "%s changes from %q to %q, which takes setup: upgrade with --set setup.force=true" $key (get $found $key) $wanted) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $errors -}}
{{- fail (printf "\n\n%s\n" (join "\n" $errors)) -}}
{{- end -}}
{{- end -}}
