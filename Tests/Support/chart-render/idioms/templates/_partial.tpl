{{- define "idioms.labels" -}}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app: {{ .Chart.AppVersion | quote }}
{{- end -}}
{{- define "idioms.nested" -}}
{{ include "idioms.labels" . | replace "chart:" "nested:" | replace "app:" "version:" }}
{{- end -}}
