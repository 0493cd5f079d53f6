{{/* The operator's environment. */}}
{{- define "pier.settings" -}}
{{- $version := .Chart.AppVersion -}}
{{- $operands := .Values.operands -}}
- name: PIER_OPERATOR_NAMESPACE
  valueFrom:
    fieldRef: {fieldPath: metadata.namespace}
- name: PIER_OPERATOR_IDENTITY
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
- name: PIER_OPERATOR_REGISTRY_IMAGE
  value: {{ include "pier.image" (dict "image" $operands.registry.image "tag" $version) }}
- name: PIER_OPERATOR_REGISTRY_USER
  value: {{ include "pier.userId" $operands.registry.user | quote }}
- name: PIER_OPERATOR_MYSQL_IMAGE
  value: {{ include "pier.image" (dict "image" $operands.mysql.image "tag" "") }}
- name: PIER_OPERATOR_MYSQL_USER
  value: {{ include "pier.userId" $operands.mysql.user | quote }}
- name: PIER_OPERATOR_IMAGE_PULL_POLICY
  value: {{ $operands.imagePullPolicy }}
{{- with $operands.imagePullSecrets }}
{{- $names := list }}
{{- range . }}{{ $names = append $names .name }}{{ end }}
- name: PIER_OPERATOR_IMAGE_PULL_SECRETS
  value: {{ join "," $names | quote }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: PIER_OPERATOR_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.nodeTrust.allowedHosts }}
- name: PIER_OPERATOR_NODE_TRUST_HOSTS
  value: {{ join "," . | quote }}
- name: PIER_OPERATOR_NODE_TRUST_NAME
  value: {{ include "pier.nodes" $ }}
{{- end }}
- name: PIER_OPERATOR_WORKERS
  value: {{ .Values.workers | quote }}
- name: PIER_OPERATOR_RESYNC
  value: {{ .Values.resyncSeconds | quote }}
- name: PIER_OPERATOR_LEASE
  value: {{ .Values.leaseSeconds | quote }}
{{- with .Values.monitoring.runbookUrl }}
- name: PIER_OPERATOR_RUNBOOK_URL
  value: {{ . | quote }}
{{- end }}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
