{{/* What the restricted Pod Security level asks of a pod. */}}
{{- define "stepwell.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What the restricted Pod Security level asks of a container, and a root file system that nobody writes to. */}}
{{- define "stepwell.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* One variable from the Secret that values.secret names. Takes (list $ "STEPWELL_DATA_KEY" "dataKey"). */}}
{{- define "stepwell.secretVariable" -}}
{{- $root := index . 0 -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ $root.Values.secret.name }}
      key: {{ index $root.Values.secret.keys (index . 2) }}
{{- end -}}

{{/* Where a component's pods go and what is said about them. Takes (list $ "engine" $.Values.engine). */}}
{{- define "stepwell.placement" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := dict "labelSelector" (dict "matchLabels" (include "stepwell.selector" (list $root (index $ 1)) | fromYaml)) }}
  - {{- toYaml (merge (deepCopy .) $selector) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The metadata of a component's pods. Takes (list $ "engine" $.Values.engine). */}}
{{- define "stepwell.podMetadata" -}}
labels:
  {{- include "stepwell.labels" (list (index . 0) (index . 1)) | nindent 2 }}
  {{- with (index . 2).podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with (index . 2).podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A budget for a component's pods. Takes (list $ "engine" $.Values.engine). */}}
{{- define "stepwell.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "stepwell.fullname" $root }}-{{ $component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "stepwell.labels" (list $root $component) | nindent 4 }}
spec:
  maxUnavailable: {{ (index . 2).podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "stepwell.selector" (list $root $component) | nindent 6 }}
{{- end -}}

{{/* A Service for a component's pods. Takes (list $ "engine" $.Values.engine). */}}
{{- define "stepwell.service" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $service := (index . 2).service -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "stepwell.fullname" $root }}-{{ $component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "stepwell.labels" (list $root $component) | nindent 4 }}
  {{- with $service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  selector:
    {{- include "stepwell.selector" (list $root $component) | nindent 4 }}
  ports:
    - {name: http, port: {{ $service.port }}, targetPort: http, protocol: TCP, appProtocol: http}
{{- end -}}

{{/* A ServiceAccount for a component; no token is mounted unless the pod asks for it. Takes (list $ "engine"). */}}
{{- define "stepwell.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "stepwell.fullname" $root }}-{{ $component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "stepwell.labels" (list $root $component) | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}
