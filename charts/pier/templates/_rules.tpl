{{/* What the operator may do in each namespace that it serves: with its own API, then with what it makes of that. */}}
{{- define "pier.rules" -}}
- apiGroups: [registry.pier.dev]
  resources: [pierregistries]
  verbs: [get, list, watch]
- apiGroups: [registry.pier.dev]
  resources: [pierregistries/status]
  verbs: [patch]
# Where owners may block deletion, being one takes this.
- apiGroups: [registry.pier.dev]
  resources: [pierregistries/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, secrets, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [prometheusrules, servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# An annotation tells the kubelet that there are new users.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Where people read what an alarm means: one more annotation, or nothing. */}}
{{- define "pier.runbook" -}}
{{- with .root.Values.monitoring.runbookUrl }}
{{- printf "runbook_url: %s#%s" . (lower $.alert) | nindent 12 }}
{{- end }}
{{- end -}}
