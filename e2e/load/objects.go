package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	podsPerNamespace = 200
	podsPerNode      = 30
	podsPerWorkload  = 10

	templateName = "load-template"
	registry     = "registry.example.com/shop/"
	release      = "v1.24.7-20260901"
)

// object is an object to write, with its key below /registry/.
type object struct {
	key   string
	value runtime.Object
}

// uid returns the UID of the n-th object of a kind: it looks random, and is the same in every run.
func uid(kind string, n int) types.UID {
	seed := fnv.New64a()
	seed.Write([]byte(kind))
	random := rand.New(rand.NewPCG(seed.Sum64(), uint64(n)))
	high, low := random.Uint64(), random.Uint64()
	return types.UID(fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x",
		uint32(high), uint16(high>>32), uint16(high>>48)&0xfff, uint16(low)&0x3fff|0x8000, low>>16))
}

func namespaceName(i int) string { return fmt.Sprintf("team-%04d", i/podsPerNamespace) }

func nodeName(i int) string {
	n := i / podsPerNode
	return fmt.Sprintf("ip-10-%d-%d-%d.eu-west-1.compute.internal", n>>16&255, n>>8&255, n&255)
}

func workloadName(i int) string { return fmt.Sprintf("checkout-service-%d", i/podsPerWorkload) }

func templateHash(i int) string { return fmt.Sprintf("%08x", uint32(i/podsPerWorkload)*2654435761) }

func at(i int) metav1.Time { return metav1.Unix(1790000000+int64(i), 0) }

// meta is the metadata of the i-th object of a kind.
func meta(kind, name string, i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: namespaceName(i), UID: uid(kind, i), CreationTimestamp: at(i), Generation: 3,
		Labels: map[string]string{"app.kubernetes.io/name": name, "team": namespaceName(i)},
	}
}

func owner(apiVersion, kind, name string, uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: apiVersion, Kind: kind, Name: name, UID: uid, Controller: new(true), BlockOwnerDeletion: new(true),
	}}
}

func namespace(i int) object {
	name := namespaceName(i)
	m := meta("Namespace", name, i)
	m.Namespace = ""
	m.Labels = map[string]string{"kubernetes.io/metadata.name": name}
	return object{"namespaces/" + name, &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: m,
		Spec:   corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}}
}

func node(i int) object {
	m := meta("Node", nodeName(i), i)
	m.Namespace = ""
	size := corev1.ResourceList{
		"cpu": resource.MustParse("16"), "memory": resource.MustParse("64Gi"),
		"pods": resource.MustParse("110"), "ephemeral-storage": resource.MustParse("100Gi"),
	}
	var conditions []corev1.NodeCondition
	for _, kind := range []corev1.NodeConditionType{"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"} {
		status := corev1.ConditionFalse
		if kind == corev1.NodeReady {
			status = corev1.ConditionTrue
		}
		conditions = append(conditions, corev1.NodeCondition{Type: kind, Status: status, LastHeartbeatTime: at(i), LastTransitionTime: at(i)})
	}
	return object{"minions/" + m.Name, &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: m,
		Spec: corev1.NodeSpec{ProviderID: "aws:///eu-west-1a/" + m.Name},
		Status: corev1.NodeStatus{
			Capacity: size, Allocatable: size, Conditions: conditions,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			NodeInfo: corev1.NodeSystemInfo{
				KernelVersion: "6.12.0", OSImage: "Debian 13", ContainerRuntimeVersion: "containerd://2.1.0",
				KubeletVersion: "v1.36.3", Architecture: "amd64", OperatingSystem: "linux",
			},
		},
	}}
}

// lease is the lease of the n-th node, as its kubelet renews it.
func lease(n int, renewed time.Time) object {
	name := nodeName(n * podsPerNode)
	m := meta("Lease", name, n*podsPerNode)
	m.Namespace, m.Labels = corev1.NamespaceNodeLease, nil
	m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: uid("Node", n*podsPerNode)}}
	return object{"leases/" + m.Namespace + "/" + name, &coordinationv1.Lease{
		TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}, ObjectMeta: m,
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &name, LeaseDurationSeconds: new(int32(40)), RenewTime: &metav1.MicroTime{Time: renewed},
		},
	}}
}

// workload is a deployment with its dependent objects.
func workload(i int) []object {
	name := workloadName(i)
	replicas := int32(podsPerWorkload)
	selector := map[string]string{"app.kubernetes.io/name": name}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: selector}, Spec: podSpec(i)}
	template.Spec.NodeName = ""
	deployment := &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: meta("Deployment", name, i),
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Template: template, Selector: &metav1.LabelSelector{MatchLabels: selector},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: new(intstr.FromString("25%")), MaxUnavailable: new(intstr.FromString("25%")),
			}},
		},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 3, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		},
	}
	replicaSet := &appsv1.ReplicaSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: meta("ReplicaSet", name+"-"+templateHash(i), i),
		Spec:       appsv1.ReplicaSetSpec{Replicas: &replicas, Template: template, Selector: &metav1.LabelSelector{MatchLabels: selector}},
		Status: appsv1.ReplicaSetStatus{
			Replicas: replicas, FullyLabeledReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas, ObservedGeneration: 3,
		},
	}
	replicaSet.OwnerReferences = owner("apps/v1", "Deployment", name, deployment.UID)
	n := i / podsPerWorkload
	clusterIP := fmt.Sprintf("10.0.%d.%d", n>>8&255, n&255)
	service := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: meta("Service", name, i),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: clusterIP, ClusterIPs: []string{clusterIP}, Selector: selector,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("http")}},
		},
	}
	configMap := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta("ConfigMap", name, i),
		Data: map[string]string{"config.yaml": strings.Repeat("listen: 0.0.0.0:8080\n", 30)},
	}
	secret := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: meta("Secret", name, i),
		Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"token": []byte(strings.Repeat("not a secret ", 40))},
	}
	below := namespaceName(i) + "/"
	return []object{
		{"deployments/" + below + deployment.Name, deployment},
		{"replicasets/" + below + replicaSet.Name, replicaSet},
		{"services/specs/" + below + service.Name, service},
		{"configmaps/" + below + configMap.Name, configMap},
		{"secrets/" + below + secret.Name, secret},
	}
}

// pod is the i-th pod, with the managedFields and defaults of the template.
func pod(template *corev1.Pod, i int) object {
	app, hash := workloadName(i), templateHash(i)
	p := template.DeepCopy()
	p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	p.Namespace = namespaceName(i)
	p.GenerateName = app + "-" + hash + "-"
	p.Name = fmt.Sprintf("%s%05x", p.GenerateName, i)
	p.UID = uid("Pod", i)
	p.CreationTimestamp = at(i)
	p.Labels = map[string]string{
		"app.kubernetes.io/name": app, "app.kubernetes.io/instance": app, "app.kubernetes.io/version": "v1.24.7",
		"app.kubernetes.io/part-of": "shop", "pod-template-hash": hash, "team": namespaceName(i),
	}
	p.Annotations = map[string]string{
		"prometheus.io/scrape": "true", "kubectl.kubernetes.io/restartedAt": "2026-10-01T12:00:00Z",
		"checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
	p.OwnerReferences = owner("apps/v1", "ReplicaSet", app+"-"+hash, uid("ReplicaSet", i-i%podsPerWorkload))
	p.Spec.NodeName = nodeName(i)
	p.Status = podStatus(i)
	return object{"pods/" + p.Namespace + "/" + p.Name, p}
}

// podSpec describes a server with a proxy container and an init container.
func podSpec(i int) corev1.PodSpec {
	container := func(name string, port int32) corev1.Container {
		return corev1.Container{
			Name: name, Image: registry + name + ":" + release,
			Env: []corev1.EnvVar{
				{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
				{Name: "LOG_LEVEL", Value: "info"}, {Name: "GOMAXPROCS", Value: "4"},
				{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://otel-collector.observability.svc:4317"},
			},
			Ports: []corev1.ContainerPort{{Name: name, ContainerPort: port}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("512Mi")},
				Limits:   corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")},
			},
			LivenessProbe: &corev1.Probe{PeriodSeconds: 10, ProbeHandler: corev1.ProbeHandler{
				TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)},
			}},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "config", MountPath: "/etc/config", ReadOnly: true}, {Name: "data", MountPath: "/data"}, {Name: "tmp", MountPath: "/tmp"},
			},
		}
	}
	tolerate := func(taint string) corev1.Toleration {
		return corev1.Toleration{
			Key: "node.kubernetes.io/" + taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300)),
		}
	}
	volume := func(name string, source corev1.VolumeSource) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: source}
	}
	return corev1.PodSpec{
		NodeName: nodeName(i), ServiceAccountName: "default",
		Containers:     []corev1.Container{container("server", 8080), container("proxy", 9090)},
		InitContainers: []corev1.Container{{Name: "init-config", Image: registry + "init:v1.2.3", Command: []string{"/bin/init", "--render"}}},
		Tolerations:    []corev1.Toleration{tolerate("not-ready"), tolerate("unreachable")},
		Volumes: []corev1.Volume{
			volume("config", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: workloadName(i)}}}),
			volume("data", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}),
			volume("tmp", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
		},
	}
}

// podStatus describes a running pod. Its address is a loopback address without a listener.
func podStatus(i int) corev1.PodStatus {
	start := at(i)
	container := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{
			Name: name, Ready: true, Started: new(true), RestartCount: int32(i % 3), Image: registry + name + ":" + release,
			ImageID:     registry + name + "@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			ContainerID: fmt.Sprintf("containerd://%064x", i),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: start}},
		}
	}
	initial := container("init-config")
	initial.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: start, FinishedAt: start, ContainerID: initial.ContainerID,
	}}
	var conditions []corev1.PodCondition
	for _, kind := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	} {
		conditions = append(conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: start})
	}
	address := fmt.Sprintf("127.%d.%d.%d", 192+i>>16&63, i>>8&255, i&255)
	return corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "127.0.0.1", PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}, StartTime: &start,
		QOSClass: corev1.PodQOSBurstable, Conditions: conditions,
		ContainerStatuses:     []corev1.ContainerStatus{container("server"), container("proxy")},
		InitContainerStatuses: []corev1.ContainerStatus{initial},
	}
}
