{{/* Refuses values that would only fail later, all of them at once. What a schema can say is in values.schema.json. */}}
{{- define "mcp-tunnel.validate" -}}
{{- $errors := list -}}
{{- $fullname := include "mcp-tunnel.fullname" . -}}
{{- range $name := list $fullname (include "mcp-tunnel.prefix" .) | uniq -}}
{{- if gt (len $name) 41 -}}
{{- $errors = append $errors (printf "the name %s is longer than 41 characters, which leaves no room for the suffix of the CronJob: set fullnameOverride" $name) -}}
{{- end -}}
{{- end -}}
{{- $config := .Values.gateway.config -}}
{{- if not $config.routes -}}
{{- $errors = append $errors "gateway.config.routes: needs at least one route, such as echo: http://hello-mcp:9000" -}}
{{- else if not (kindIs "map" $config.routes) -}}
{{- $errors = append $errors "gateway.config.routes: must be a map from subdomain to scheme://host:port, not a list" -}}
{{- end -}}
{{- range $key := list "tls" "upstream" -}}
{{- if and (get $config $key) (not (kindIs "map" (get $config $key))) -}}
{{- $errors = append $errors (printf "gateway.config.%s: must be a map" $key) -}}
{{- end -}}
{{- end -}}
{{- $errors = concat $errors (include "mcp-tunnel.configErrors" $config | fromYamlArray) -}}
{{- $needed := 0 -}}
{{- $hasTimes := true -}}
{{- range $key, $seconds := dict "shutdown_timeout" (include "mcp-tunnel.shutdownSeconds" .) "shutdown_delay" (include "mcp-tunnel.delaySeconds" .) -}}
{{- if not $seconds -}}
{{- $hasTimes = false -}}
{{- $errors = append $errors (printf "gateway.config.%s: %v is not a duration such as 30s or 1m30s" $key (get $config $key)) -}}
{{- end -}}
{{- end -}}
{{- if $hasTimes -}}
{{- $needed = include "mcp-tunnel.graceSeconds" . | int64 -}}
{{- end -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if and (not (kindIs "invalid" $given)) (lt (int64 $given) $needed) -}}
{{- $errors = append $errors (printf "terminationGracePeriodSeconds: %d is too short; preStopSleepSeconds, shutdown_delay and shutdown_timeout need %d" (int64 $given) $needed) -}}
{{- end -}}
{{- $wif := .Values.api.wif -}}
{{- if and .Values.tunnel.id $wif.tunnelId (ne .Values.tunnel.id $wif.tunnelId) -}}
{{- $errors = append $errors "tunnel.id and api.wif.tunnelId differ: they are two names of one setting, so remove api.wif.tunnelId" -}}
{{- end -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace .Release.Name -}}
{{- if and .Values.setup.enabled $secret (ne ($secret.type | default "Opaque") "Opaque") -}}
{{- $errors = append $errors (printf "the Secret %s is of type %s, which is not setup's: see who made it, and delete it" .Release.Name $secret.type) -}}
{{- end -}}
{{- if include "mcp-tunnel.runsSetup" . -}}
{{- $why := and .Release.IsUpgrade (not .Values.setup.force) | ternary (printf ", which runs because the Secret %s lacks %s" .Release.Name (include "mcp-tunnel.missingKeys" .)) "" -}}
{{- if and .Values.api.token .Values.api.tokenSecretName -}}
{{- $errors = append $errors "api.token and api.tokenSecretName: the key is in one place, so remove the other" -}}
{{- end -}}
{{- if or .Values.api.token .Values.api.tokenSecretName -}}
{{- if $wif.federationRuleId -}}
{{- $errors = append $errors "api.token and api.wif.federationRuleId: setup authenticates with one of them, so remove the other" -}}
{{- end -}}
{{- else -}}
{{- range $key := list "federationRuleId" "organizationId" -}}
{{- if not (get $wif $key) -}}
{{- $errors = append $errors (printf "api.wif.%s: required for setup to authenticate%s (or set api.token, or setup.enabled: false for external mode)" $key $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.setup.enabled -}}
{{- $duration := include "mcp-tunnel.seconds" .Values.serverCert.duration | int64 -}}
{{- $renewBefore := include "mcp-tunnel.seconds" .Values.serverCert.renewBefore | int64 -}}
{{- if ge $renewBefore $duration -}}
{{- $errors = append $errors (printf "serverCert.renewBefore: %s is not shorter than serverCert.duration, %s: every certificate would be renewed at once and for ever" .Values.serverCert.renewBefore .Values.serverCert.duration) -}}
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
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .targetActiveStreams) -}}
{{- $errors = append $errors "autoscaling.enabled: needs something to aim at: targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or targetActiveStreams" -}}
{{- end -}}
{{- if and .targetActiveStreams (not $.Values.metrics.enabled) -}}
{{- $errors = append $errors "autoscaling.targetActiveStreams: needs metrics.enabled: true, or the NetworkPolicy keeps Prometheus out, and nobody counts" -}}
{{- end -}}
{{- if lt (int64 .maxReplicas) (int64 .minReplicas) -}}
{{- $errors = append $errors (printf "autoscaling.maxReplicas: %d is less than minReplicas, %d" (int64 .maxReplicas) (int64 .minReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $port := int64 .Values.gateway.adminPort -}}
{{- if or (eq $port 8080) (eq $port (int64 .Values.cloudflared.metricsPort)) -}}
{{- $errors = append $errors (printf "gateway.adminPort: %d is taken in the pod, by mcp-proxy's listener or cloudflared's metrics: choose another, such as 8081" $port) -}}
{{- end -}}
{{- $metrics := .Values.metrics -}}
{{- range $kind := list "podMonitor" "serviceMonitor" -}}
{{- if and (get $metrics $kind).enabled (not $metrics.enabled) -}}
{{- $errors = append $errors (printf "metrics.%s.enabled: needs metrics.enabled: true, or the NetworkPolicy keeps Prometheus out" $kind) -}}
{{- end -}}
{{- end -}}
{{- if and $metrics.podMonitor.enabled $metrics.serviceMonitor.enabled -}}
{{- $errors = append $errors "metrics.podMonitor.enabled and metrics.serviceMonitor.enabled: each scrapes all pods, so leave one of them" -}}
{{- end -}}
{{- if and $metrics.enabled .Values.networkPolicy.ingress.enabled (not $metrics.from) -}}
{{- $errors = append $errors "metrics.from: an empty list lets in everybody; name Prometheus, or set networkPolicy.ingress.enabled: false" -}}
{{- end -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and $policy.egress.enabled (eq (toString $policy.enabled) "false") -}}
{{- $errors = append $errors "networkPolicy.enabled and networkPolicy.egress.enabled contradict each other: they are two names of one setting, so remove networkPolicy.enabled" -}}
{{- end -}}
{{- if and (include "mcp-tunnel.egressEnabled" .) (not (include "mcp-tunnel.mcpServers" . | fromYamlArray)) -}}
{{- $errors = append $errors "networkPolicy.egress.mcpServers: needs the MCP servers, or the proxy could reach none of them" -}}
{{- end -}}
{{- if and .Values.setup.enabled (not (include "mcp-tunnel.runsSetup" .)) -}}
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

{{/* What mcp-proxy would refuse in its configuration, as a list: found before setup has made anything. */}}
{{- define "mcp-tunnel.configErrors" -}}
{{- $errors := list -}}
{{- $hasHTTPS := false -}}
{{- $options := kindIs "map" .route_options | ternary .route_options dict -}}
{{- range $route, $_ := $options -}}
{{- if and (kindIs "map" $.routes) (not (hasKey $.routes $route)) -}}
{{- $errors = append $errors (printf "gateway.config.route_options.%s: no such route: write it as in gateway.config.routes" $route) -}}
{{- end -}}
{{- end -}}
{{- if kindIs "map" .routes -}}
{{- range $route, $target := .routes -}}
{{- $port := regexFind "[0-9]+$" (toString $target) -}}
{{- $isSocket := regexMatch `^unix:/[!-~]{1,106}$` (toString $target) -}}
{{- if not (or $isSocket (and (regexMatch `(?i)^(https?|h2c)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+):[1-9][0-9]{0,4}$` (toString $target)) (le (int64 $port) 65535))) -}}
{{- $errors = append $errors (printf "gateway.config.routes.%s: invalid upstream (must be scheme://host:port): %v" $route $target) -}}
{{- end -}}
{{- $own := dig $route "tls" "ca_file" "" $options -}}
{{- if and (hasPrefix "https://" (lower (toString $target))) (not $own) -}}
{{- $hasHTTPS = true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .tunnel_domain -}}
{{- if not (regexMatch `^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$` (toString .)) -}}
{{- $errors = append $errors (printf "gateway.config.tunnel_domain: %v is no domain: write it as the Console shows it, such as abcd1234.tunnel.anthropic.com" .) -}}
{{- end -}}
{{- end -}}
{{- $upstream := kindIs "map" .upstream | ternary .upstream dict -}}
{{- if and (hasKey $upstream "allowed_ips") (kindIs "slice" $upstream.allowed_ips) -}}
{{- if not $upstream.allowed_ips -}}
{{- $errors = append $errors "gateway.config.upstream.allowed_ips: an empty list allows no upstream at all; leave it out for the private ranges" -}}
{{- else if $upstream.disable_ip_validation -}}
{{- $errors = append $errors "gateway.config.upstream: allowed_ips and disable_ip_validation exclude each other, so remove one" -}}
{{- end -}}
{{- end -}}
{{- $tls := kindIs "map" $upstream.tls | ternary $upstream.tls dict -}}
{{- if and $hasHTTPS (not $tls.ca_file) (not $tls.include_system_cas) -}}
{{- $errors = append $errors "gateway.config.upstream.tls: an https upstream needs ca_file (mounted with gateway.extraVolumes) or include_system_cas: true" -}}
{{- end -}}
{{- toYaml $errors -}}
{{- end -}}
