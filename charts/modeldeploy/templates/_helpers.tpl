{{/* The reference of one of the images, or one sentence that says what is missing. */}}
{{- define "modeldeploy.image" -}}
{{- $tag := get .root.Values.images.tags .name | default .root.Values.images.tag -}}
{{- if or (not .root.Values.images.registry) (not $tag) -}}
{{- fail "modeldeploy's images are in no public place yet: build and push them with `make images PUSH=REGISTRY TAG=TAG`, then set images.registry and images.tag." -}}
{{- end -}}
{{ .root.Values.images.registry }}/{{ .name }}:{{ $tag }}
{{- end -}}

{{- define "modeldeploy.name" -}}
{{ printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "modeldeploy.labels" -}}
app.kubernetes.io/name: modeldeploy
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "modeldeploy.selector" -}}
app.kubernetes.io/name: modeldeploy
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* What the operator may do, no more: see docs/reference/rights.md. */}}
{{- define "modeldeploy.rules" -}}
- apiGroups: [serving.modeldeploy.io]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [serving.modeldeploy.io]
  resources: [modeldeployments/status]
  verbs: [update]
# Needed to set blockOwnerDeletion on clusters that check it.
- apiGroups: [serving.modeldeploy.io]
  resources: [modeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, grpcroutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# One for each ModelDeployment, which its pods mount; none is read.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
# Held only to be passed on to routers, which read the endpoints of their pools.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
