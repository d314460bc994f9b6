// load fills the API server of controlplane with a cluster of realistic objects, or keeps changing its pods.
//
// It writes objects directly into etcd, because the API would need minutes instead of seconds. One pod is created
// through the API first, and all pods get its managedFields and defaults. Names and UIDs are the same in every run.
// Before each pod it writes the objects that the pod needs: a namespace per 200 pods, a node per 30, a deployment with its
// replicaset, service, configmap and secret per 10. With -nodes it writes nodes and their leases instead.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
)

// writers is the number of concurrent writes; more do not make etcd faster.
const writers = 16

type options struct {
	kubeconfig, etcd string
	from, pods       int
	nodes            int
	churn            float64
	duration         time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the API server (required)")
	flag.StringVar(&o.etcd, "etcd", "", "client URL of its etcd (required)")
	flag.IntVar(&o.pods, "pods", 1000, "pods that there are in the end")
	flag.IntVar(&o.from, "from", 0, "number of the first pod to write")
	flag.IntVar(&o.nodes, "nodes", 0, "write so many nodes and their leases instead of pods")
	flag.Float64Var(&o.churn, "churn", 0, "instead of filling, change the status of so many pods a second, or renew so many leases")
	flag.DurationVar(&o.duration, "for", 30*time.Second, "how long to churn")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		log.Fatal("load: ", err)
	}
}

func run(ctx context.Context, o options) error {
	if o.kubeconfig == "" || o.etcd == "" || flag.NArg() > 0 {
		flag.Usage()
		return errors.New("-kubeconfig and -etcd are required, and nothing but flags")
	}
	if o.from < 0 || o.from >= o.pods || o.churn < 0 || o.nodes < 0 {
		return fmt.Errorf("nothing to write: -from %d -pods %d -churn %v", o.from, o.pods, o.churn)
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{o.etcd}, DialTimeout: 10 * time.Second})
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()
	var first *corev1.Pod
	if o.nodes == 0 {
		if first, err = template(ctx, api); err != nil {
			return fmt.Errorf("the first pod: %w", err)
		}
	}
	start := time.Now()
	written, err := write(ctx, etcd, func(queue chan<- object) {
		switch {
		case o.nodes > 0 && o.churn > 0:
			renew(o, queue)
		case o.nodes > 0:
			for i := range o.nodes {
				queue <- node(i * podsPerNode)
				queue <- lease(i, time.Now())
			}
		case o.churn > 0:
			churn(o, first, queue)
		default:
			fill(o, first, queue)
		}
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"objects": written, "pods": o.pods - o.from, "seconds": time.Since(start).Seconds(),
	})
}

// fill queues all objects, each after the objects that it needs.
func fill(o options, template *corev1.Pod, queue chan<- object) {
	for i := o.from; i < o.pods; i++ {
		if i%podsPerNamespace == 0 {
			queue <- namespace(i)
		}
		if i%podsPerNode == 0 {
			queue <- node(i)
		}
		if i%podsPerWorkload == 0 {
			for _, each := range workload(i) {
				queue <- each
			}
		}
		queue <- pod(template, i)
	}
}

// churn queues random pods with a new status, at the given rate.
func churn(o options, template *corev1.Pod, queue chan<- object) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / o.churn))
	defer ticker.Stop()
	end := time.After(o.duration)
	for {
		select {
		case <-end:
			return
		case <-ticker.C:
			changed := pod(template, o.from+rand.IntN(o.pods-o.from))
			status := &changed.value.(*corev1.Pod).Status.ContainerStatuses[0]
			status.RestartCount = rand.Int32N(1000)
			status.Ready = rand.IntN(2) == 0
			queue <- changed
		}
	}
}

// renewalsPerHeartbeat is how often a kubelet renews its lease (every 10 s) for each status that it writes without a change
// (every 5 min).
const renewalsPerHeartbeat = 30

// renew queues leases of random nodes with a new time, at the given rate, and heartbeats in the status of nodes.
func renew(o options, queue chan<- object) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / o.churn))
	defer ticker.Stop()
	end := time.After(o.duration)
	for count := 0; ; count++ {
		select {
		case <-end:
			return
		case now := <-ticker.C:
			queue <- lease(rand.IntN(o.nodes), now)
			if count%renewalsPerHeartbeat == 0 {
				beating := node(rand.IntN(o.nodes) * podsPerNode)
				conditions := beating.value.(*corev1.Node).Status.Conditions
				for i := range conditions {
					conditions[i].LastHeartbeatTime = metav1.NewTime(now)
				}
				queue <- beating
			}
		}
	}
}

// write puts the objects that produce queues into etcd, and returns their number or the first error.
func write(ctx context.Context, etcd *clientv3.Client, produce func(chan<- object)) (int, error) {
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	queue := make(chan object, writers)
	var (
		group   sync.WaitGroup
		mutex   sync.Mutex
		written int
		failed  error
	)
	for range writers {
		group.Go(func() {
			for each := range queue {
				value, err := runtime.Encode(serializer, each.value)
				if err == nil {
					_, err = etcd.Put(ctx, "/registry/"+each.key, string(value))
				}
				mutex.Lock()
				if err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s: %w", each.key, err))
				} else {
					written++
				}
				mutex.Unlock()
			}
		})
	}
	produce(queue)
	close(queue)
	group.Wait()
	return written, failed
}

// template creates a pod through the API, sets its status as a kubelet would, reads it back and deletes it.
func template(ctx context.Context, api kubernetes.Interface) (*corev1.Pod, error) {
	pods := api.CoreV1().Pods(metav1.NamespaceDefault)
	remove := func() error {
		err := pods.Delete(ctx, templateName, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	if err := remove(); err != nil {
		return nil, err
	}
	first := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: templateName}, Spec: podSpec(0)}
	made, err := pods.Create(ctx, first, metav1.CreateOptions{FieldManager: "kube-controller-manager"})
	if err != nil {
		return nil, err
	}
	made.Status = podStatus(0)
	made, err = pods.UpdateStatus(ctx, made, metav1.UpdateOptions{FieldManager: "kubelet"})
	if err != nil {
		return nil, err
	}
	made.ResourceVersion = ""
	return made, remove()
}
