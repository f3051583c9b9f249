{{/* The name of everything of the server; of the client with "-client" behind it. */}}
{{- define "burrow.name" -}}
{{- if contains "burrow" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-burrow" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What pods of the server are selected by; the argument is a dict of root and component. */}}
{{- define "burrow.selector" -}}
app.kubernetes.io/name: burrow
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* managed-by is Helm's here: objects with burrow's own mark are those that a server keeps. */}}
{{- define "burrow.labels" -}}
{{ include "burrow.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "burrow.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "burrow.secret" -}}
{{ .Values.server.auth.existingSecret | default (include "burrow.name" .) }}
{{- end -}}

{{/* What Pod Security "restricted" demands of a pod and of a container. */}}
{{- define "burrow.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- define "burrow.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
