// Records what the scheduler counts for pods, by its own functions: PodRequests and PodLimits of k8s.io/component-helpers/resource.
//
// usage: go run ./podresources CORPUS.jsonl.gz >OUT.jsonl
//
// The pods are those of the corpus (`{"object": POD, ...}`, a line each) and generated ones, from a fixed seed. A line of the output is
// `{"pod": POD, "requests": LIST, "limits": LIST}`; the pods keep only the fields that the functions read. Some lines also have the
// pod as a protobuf message (`"protobuf"`, base64).
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	helper "k8s.io/component-helpers/resource"
)

// generated is the number of generated pods.
const generated = 800

// messages is the number of generated pods that are also written as a message.
const messages = 60

type pod struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec   v1.PodSpec   `json:"spec"`
	Status v1.PodStatus `json:"status"`
}

// amounts are decimals: a large sum with a binary suffix is not exact when it is read again.
type amounts map[v1.ResourceName]string

func decimals(list v1.ResourceList) amounts {
	amounts := amounts{}
	for name, quantity := range list {
		amounts[name] = quantity.AsDec().String()
	}
	return amounts
}

type result struct {
	Pod      json.RawMessage `json:"pod"`
	Protobuf []byte          `json:"protobuf,omitempty"`
	Requests amounts         `json:"requests"`
	Limits   amounts         `json:"limits"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: podresources CORPUS.jsonl.gz")
	}
	out := bufio.NewWriter(os.Stdout)
	pods, err := recorded(os.Args[1])
	if err != nil {
		log.Fatalf("cannot read %s: %v", os.Args[1], err)
	}
	random := rand.New(rand.NewSource(1))
	first := len(pods)
	for number := range generated {
		pods = append(pods, generate(random, number))
	}
	for number, pod := range pods {
		if err := write(out, pod, number >= first && number < first+messages); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func write(out *bufio.Writer, pod *v1.Pod, isMessage bool) error {
	// The text comes first: the functions may change a quantity in place.
	text, err := compact(pod)
	if err != nil {
		return err
	}
	var message []byte
	if isMessage {
		if message, err = pod.Marshal(); err != nil {
			return err
		}
	}
	options := helper.PodResourcesOptions{
		UseStatusResources: true,
		InPlacePodLevelResourcesVerticalScalingEnabled: true,
		UseDRANodeAllocatableResourceClaimStatus:       true,
	}
	requests, limits := helper.PodRequests(pod.DeepCopy(), options), helper.PodLimits(pod.DeepCopy(), options)
	line, err := json.Marshal(result{text, message, decimals(requests), decimals(limits)})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}

// recorded returns the pods of the corpus.
func recorded(path string) ([]*v1.Pod, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	var pods []*v1.Pod
	for lines := json.NewDecoder(text); lines.More(); {
		var line struct{ Object v1.Pod }
		if err := lines.Decode(&line); err != nil {
			return nil, err
		}
		pods = append(pods, &line.Object)
	}
	return pods, nil
}

// compact returns the JSON of the fields that the functions read.
func compact(of *v1.Pod) ([]byte, error) {
	containers := func(all []v1.Container) (few []v1.Container) {
		for _, it := range all {
			few = append(few, v1.Container{Name: it.Name, Resources: it.Resources, RestartPolicy: it.RestartPolicy})
		}
		return few
	}
	statuses := func(all []v1.ContainerStatus) (few []v1.ContainerStatus) {
		for _, it := range all {
			few = append(few, v1.ContainerStatus{Name: it.Name, Resources: it.Resources, AllocatedResources: it.AllocatedResources})
		}
		return few
	}
	var conditions []v1.PodCondition
	for _, it := range of.Status.Conditions {
		conditions = append(conditions, v1.PodCondition{Type: it.Type, Reason: it.Reason})
	}
	small := pod{
		ObjectMeta: metav1.ObjectMeta{Name: of.Name, Namespace: of.Namespace},
		Spec: v1.PodSpec{
			Containers:     containers(of.Spec.Containers),
			InitContainers: containers(of.Spec.InitContainers),
			Overhead:       of.Spec.Overhead,
			Resources:      of.Spec.Resources,
		},
		Status: v1.PodStatus{
			Conditions:                           conditions,
			ContainerStatuses:                    statuses(of.Status.ContainerStatuses),
			InitContainerStatuses:                statuses(of.Status.InitContainerStatuses),
			Resources:                            of.Status.Resources,
			AllocatedResources:                   of.Status.AllocatedResources,
			NodeAllocatableResourceClaimStatuses: of.Status.NodeAllocatableResourceClaimStatuses,
		},
	}
	return json.Marshal(small)
}

var names = []v1.ResourceName{"cpu", "memory", "hugepages-2Mi", "ephemeral-storage", "nvidia.com/gpu", "example.com/foo"}

var quantities = []string{
	"0", "1", "2", "10", "100m", "250m", "1500m", "0.5", "1.25", "333u", "1n", "1Gi", "64Mi", "1.5Gi", "128974848", "129e6", "1e3",
	"1Ti", "8191Pi", "1E", "9223372036854775807", "4611686018427387904", "12345678901234567890", "0.000000001", "3.999999999",
}

func generate(random *rand.Rand, number int) *v1.Pod {
	chance := func(of int) bool { return random.Intn(of) == 0 }
	list := func() v1.ResourceList {
		if chance(6) {
			return nil
		}
		list := v1.ResourceList{}
		for _, name := range names {
			if chance(2) {
				list[name] = resource.MustParse(quantities[random.Intn(len(quantities))])
			}
		}
		return list
	}
	requirements := func() v1.ResourceRequirements { return v1.ResourceRequirements{Requests: list(), Limits: list()} }
	some := func(of int) *v1.ResourceRequirements {
		if chance(of) {
			return nil
		}
		some := requirements()
		return &some
	}
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", number), Namespace: "default"}}
	status := func(name string) v1.ContainerStatus {
		return v1.ContainerStatus{Name: name, Resources: some(4), AllocatedResources: list()}
	}
	for number := range random.Intn(4) {
		name := fmt.Sprintf("main-%d", number)
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{Name: name, Resources: requirements()})
		if !chance(4) {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status(name))
		}
		if chance(8) {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status(name))
		}
	}
	for number := range random.Intn(5) {
		name := fmt.Sprintf("init-%d", number)
		if chance(10) {
			name = "main-0"
		}
		container := v1.Container{Name: name, Resources: requirements()}
		switch random.Intn(4) {
		case 0:
			always := v1.ContainerRestartPolicyAlways
			container.RestartPolicy = &always
		case 1:
			never := v1.ContainerRestartPolicyNever
			container.RestartPolicy = &never
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, container)
		if !chance(3) {
			pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, status(name))
		}
	}
	if chance(3) {
		pod.Spec.Overhead = list()
	}
	if chance(2) {
		pod.Spec.Resources = some(8)
		pod.Status.Resources = some(3)
		pod.Status.AllocatedResources = list()
	}
	if chance(4) {
		claim := v1.NodeAllocatableResourceClaimStatus{Resources: list()}
		pod.Status.NodeAllocatableResourceClaimStatuses = append(pod.Status.NodeAllocatableResourceClaimStatuses, claim)
	}
	if chance(2) {
		reasons := []string{v1.PodReasonInfeasible, v1.PodReasonDeferred, ""}
		for range 1 + random.Intn(2) {
			condition := v1.PodCondition{Type: v1.PodResizePending, Reason: reasons[random.Intn(len(reasons))]}
			if chance(4) {
				condition.Type = v1.PodResizeInProgress
			}
			pod.Status.Conditions = append(pod.Status.Conditions, condition)
		}
	}
	return pod
}
