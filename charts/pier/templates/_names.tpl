{{/* Names and labels. */}}

{{- define "pier.name" -}}
{{- .Values.fullnameOverride | default (printf "%s-operator" .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What has no namespace needs a name that no release elsewhere has. */}}
{{- define "pier.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "pier.name" .) -}}
{{- end -}}

{{- define "pier.serviceAccount" -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name is needed when serviceAccount.create is false: name the one that the operator is to be" -}}
{{- end -}}
{{- .Values.serviceAccount.name | default (include "pier.name" .) -}}
{{- end -}}

{{/* Never changes, because selectors of workloads cannot. */}}
{{- define "pier.selector" -}}
app.kubernetes.io/name: pier-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of everything; the chart's own count more than what a user adds. */}}
{{- define "pier.labels" -}}
{{- include "pier.labelsWith" (dict "root" . "more" dict) -}}
{{- end -}}

{{- define "pier.labelsWith" -}}
{{- mustMergeOverwrite (deepCopy .root.Values.commonLabels) .more (include "pier.ownLabels" .root | fromYaml) | toYaml -}}
{{- end -}}

{{- define "pier.ownLabels" -}}
{{ include "pier.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: pier
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A reference, of an image's values and the tag that counts when they have none. */}}
{{- define "pier.image" -}}
{{- with .image.digest -}}
{{- printf "%s@%s" $.image.repository . -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag | required (printf "image %s has neither tag nor digest: set one" .image.repository)) -}}
{{- end -}}
{{- end -}}

{{/* What the restricted profile of Pod Security asks of a container. */}}
{{- define "pier.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "pier.restrictedPod" -}}
runAsNonRoot: true
{{- with .Values.user }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Digits, also of what Helm reads as a large number; nothing of null. */}}
{{- define "pier.userId" -}}
{{- if not (kindIs "invalid" .) -}}{{ int64 . }}{{- end -}}
{{- end -}}

{{/* Agents on nodes: no Service and no policy of the operator takes them for it. */}}
{{- define "pier.nodes" -}}
{{- include "pier.name" . }}-nodes
{{- end -}}

{{- define "pier.nodesSelector" -}}
app.kubernetes.io/name: pier-operator-nodes
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pier.nodesLabels" -}}
{{- $own := merge (dict "app.kubernetes.io/component" "nodes") (include "pier.nodesSelector" . | fromYaml) -}}
{{- mustMergeOverwrite (include "pier.labels" . | fromYaml) $own | toYaml -}}
{{- end -}}
