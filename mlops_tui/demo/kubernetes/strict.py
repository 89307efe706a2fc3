"""Strict decoding: which fields of an object its type does not have, and the object without them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from mlops_tui.demo.kubernetes.resources import Resource

Place = Callable[[int, Any], str]
"""Returns how a path names an element of a list: by its index or by what is in it."""


def by_index(index: int, _: Any) -> str:
    """Name an element by its index, as decoding does."""
    return f"[{index}]"


def by_name(index: int, item: Any) -> str:
    """Name an element by its own name, as applying does."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return f"[{index}]" if name is None else f'[name="{name}"]'


def decoded(resource: Resource, body: Any, kind: str = "", place: Place = by_index) -> tuple[Any, list[str]]:
    """Return what a client sent without the fields that there are not, and the paths of those.

    Deep down not all is known: status, affinities, sources of volumes and the like hold anything. Neither is anything
    known of definitions of custom resources.

    Args:
        kind: Where it is not the resource's own: `Scale`.
    """
    unknown: list[str] = []
    if resource.definition is not None and not kind:
        _walk_schema(resource.definition.schema, body, "", unknown, place)
        return body, unknown  # their schema drops them
    return _walk(kind or resource.kind, body, "", unknown, place), unknown


def _walk(name: str, value: Any, path: str, unknown: list[str], place: Place) -> Any:
    if isinstance(value, list):
        return [_walk(name, item, path + place(index, item), unknown, place) for index, item in enumerate(value)]
    fields = _TYPES.get(name)
    if fields is None or not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        below = f"{path}.{key}" if path else key
        if key in fields:
            kept[key] = _walk(fields[key], item, below, unknown, place)
        else:
            unknown.append(below)
    return kept


def _walk_schema(schema: Mapping[str, Any], value: Any, path: str, unknown: list[str], place: Place) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _walk_schema(schema.get("items") or {}, item, path + place(index, item), unknown, place)
    if not isinstance(value, dict):
        return
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, item in value.items():
        below = f"{path}.{key}" if path else key
        if not path and key in ("apiVersion", "kind", "metadata"):
            continue
        if key in known or isinstance(others, Mapping):
            _walk_schema(known.get(key) or others or {}, item, below, unknown, place)
        elif not (others or schema.get("x-kubernetes-preserve-unknown-fields")):
            unknown.append(below)


_TABLE: Final = """\
Deployment = apiVersion kind metadata:ObjectMeta spec:DeploymentSpec status
ReplicaSet = apiVersion kind metadata:ObjectMeta spec:ReplicaSetSpec status
Pod = apiVersion kind metadata:ObjectMeta spec:PodSpec status
Service = apiVersion kind metadata:ObjectMeta spec:ServiceSpec status
Namespace = apiVersion kind metadata:ObjectMeta spec:NamespaceSpec status
Event = action apiVersion count eventTime firstTimestamp involvedObject:ObjectReference kind lastTimestamp message
  metadata:ObjectMeta reason related:ObjectReference reportingComponent reportingInstance series:EventSeries
  source:EventSource type
Lease = apiVersion kind metadata:ObjectMeta spec:LeaseSpec
HorizontalPodAutoscaler = apiVersion kind metadata:ObjectMeta spec:HorizontalPodAutoscalerSpec status
Scale = apiVersion kind metadata:ObjectMeta spec:ScaleSpec status
ObjectMeta = annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName
  generation labels managedFields name namespace ownerReferences:OwnerReference resourceVersion selfLink uid
DeploymentSpec = minReadySeconds paused progressDeadlineSeconds replicas revisionHistoryLimit selector:LabelSelector
  strategy:DeploymentStrategy template:PodTemplateSpec
ReplicaSetSpec = minReadySeconds replicas selector:LabelSelector template:PodTemplateSpec
PodSpec = activeDeadlineSeconds affinity automountServiceAccountToken containers:Container dnsConfig dnsPolicy
  enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname
  imagePullSecrets:LocalObjectReference initContainers:Container nodeName nodeSelector os overhead preemptionPolicy
  priority priorityClassName readinessGates resourceClaims resources:ResourceRequirements restartPolicy
  runtimeClassName schedulerName schedulingGates securityContext:PodSecurityContext serviceAccount
  serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds
  tolerations:Toleration topologySpreadConstraints volumes:Volume
ServiceSpec = allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName externalTrafficPolicy
  healthCheckNodePort internalTrafficPolicy ipFamilies ipFamilyPolicy loadBalancerClass loadBalancerIP
  loadBalancerSourceRanges ports:ServicePort publishNotReadyAddresses selector sessionAffinity sessionAffinityConfig
  trafficDistribution type
NamespaceSpec = finalizers
ObjectReference = apiVersion fieldPath kind name namespace resourceVersion uid
EventSeries = count lastObservedTime
EventSource = component host
LeaseSpec = acquireTime holderIdentity leaseDurationSeconds leaseTransitions preferredHolder renewTime strategy
HorizontalPodAutoscalerSpec = behavior:HorizontalPodAutoscalerBehavior maxReplicas metrics:MetricSpec minReplicas
  scaleTargetRef:CrossVersionObjectReference
ScaleSpec = replicas
OwnerReference = apiVersion blockOwnerDeletion controller kind name uid
LabelSelector = matchExpressions:LabelSelectorRequirement matchLabels
DeploymentStrategy = rollingUpdate:RollingUpdateDeployment type
PodTemplateSpec = metadata:ObjectMeta spec:PodSpec
Container = args command env:EnvVar envFrom:EnvFromSource image imagePullPolicy lifecycle livenessProbe:Probe name
  ports:ContainerPort readinessProbe:Probe resizePolicy resources:ResourceRequirements restartPolicy
  securityContext:SecurityContext startupProbe:Probe stdin stdinOnce terminationMessagePath terminationMessagePolicy
  tty volumeDevices volumeMounts:VolumeMount workingDir
LocalObjectReference = name
ResourceRequirements = claims limits requests
PodSecurityContext = appArmorProfile fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser
  seLinuxChangePolicy seLinuxOptions seccompProfile supplementalGroups supplementalGroupsPolicy sysctls
  windowsOptions
Toleration = effect key operator tolerationSeconds value
Volume = awsElasticBlockStore azureDisk azureFile cephfs cinder configMap csi downwardAPI emptyDir ephemeral fc
  flexVolume flocker gcePersistentDisk gitRepo glusterfs hostPath image iscsi name nfs persistentVolumeClaim
  photonPersistentDisk portworxVolume projected quobyte rbd scaleIO secret storageos vsphereVolume
ServicePort = appProtocol name nodePort port protocol targetPort
HorizontalPodAutoscalerBehavior = scaleDown:HPAScalingRules scaleUp:HPAScalingRules
MetricSpec = containerResource external object pods resource:ResourceMetricSource type
CrossVersionObjectReference = apiVersion kind name
LabelSelectorRequirement = key operator values
RollingUpdateDeployment = maxSurge maxUnavailable
EnvVar = name value valueFrom:EnvVarSource
EnvFromSource = configMapRef prefix secretRef
Probe = exec:ExecAction failureThreshold grpc httpGet:HTTPGetAction initialDelaySeconds periodSeconds
  successThreshold tcpSocket:TCPSocketAction terminationGracePeriodSeconds timeoutSeconds
ContainerPort = containerPort hostIP hostPort name protocol
SecurityContext = allowPrivilegeEscalation appArmorProfile capabilities privileged procMount readOnlyRootFilesystem
  runAsGroup runAsNonRoot runAsUser seLinuxOptions seccompProfile windowsOptions
VolumeMount = mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr
HPAScalingRules = policies:HPAScalingPolicy selectPolicy stabilizationWindowSeconds
ResourceMetricSource = name target:MetricTarget
EnvVarSource = configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector resourceFieldRef
  secretKeyRef:SecretKeySelector
ExecAction = command
HTTPGetAction = host httpHeaders path port scheme
TCPSocketAction = host port
HPAScalingPolicy = periodSeconds type value
MetricTarget = averageUtilization averageValue type value
ConfigMapKeySelector = key name optional
ObjectFieldSelector = apiVersion fieldPath
SecretKeySelector = key name optional
"""
"""The fields of structures, each with the structure that it, or an element of it, is, as far as that is looked into."""


def _types(table: str) -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = {}
    for line in table.replace("\n  ", " ").splitlines():
        name, _, fields = line.partition(" = ")
        types[name] = {field: type_ for field, _, type_ in (each.partition(":") for each in fields.split())}
    return types


_TYPES: Final = _types(_TABLE)
