// controlplane runs a real Kubernetes control plane on loopback, for tests: etcd, kube-apiserver and, with -statefulsets,
// the StatefulSet controller of kube-controller-manager, all in one process. It has no scheduler and no kubelet: the caller
// plays those parts.
//
// When the API server is ready, it prints one line of JSON to standard output (see [ready]); everything else goes to
// standard error. It wipes the directory at the start, unless -keep continues with the data of an earlier run, or -restore
// replaces the data by a snapshot. SIGUSR1 writes a snapshot of etcd to the directory (see [snapshotName]). With -etcd, it is only
// an API server, the second one of another control plane. End it with SIGKILL: a graceful stop waits a minute for open watches.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/pkg/controller/statefulset"
)

// adminToken is the bearer token of a user in system:masters.
const adminToken = "e2e-admin"

// snapshotName is the name of the snapshot in the directory. The file appears when it is complete.
const snapshotName = "snapshot.db"

// unusedRevisions is by how much -bump raises the revision: more than any run uses after its snapshot.
const unusedRevisions = 1_000_000

// options are the values of the flags.
type options struct {
	dir, host      string
	port, etcdPort int
	statefulSets   bool
	runtimeConfig  string
	featureGates   string
	keep           bool
	restore        string
	bump           bool
	etcd           string
	readyTimeout   time.Duration
}

// ready is the line that names all endpoints and credentials.
type ready struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	CAFile     string `json:"caFile"`
	Token      string `json:"token"`
	Etcd       string `json:"etcd"`
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "directory for data, keys and the kubeconfig (required)")
	flag.BoolVar(&o.keep, "keep", false, "keep the data and keys in the directory instead of wiping it; needs the same host and port")
	flag.StringVar(&o.restore, "restore", "", "replace the data by this snapshot, as `etcdutl snapshot restore` does; needs -keep")
	flag.BoolVar(&o.bump, "bump", false, "with -restore: raise the revision above all earlier ones, and mark them as compacted")
	flag.StringVar(&o.etcd, "etcd", "", "client URL of another control plane's etcd: run only an API server, with the keys in its directory; needs -keep")
	flag.StringVar(&o.host, "host", "127.0.0.1", "loopback address to listen on")
	flag.IntVar(&o.port, "port", 0, "port of the API server; 0 takes a free one")
	flag.IntVar(&o.etcdPort, "etcd-port", 0, "client port of etcd; 0 takes a free one")
	flag.BoolVar(&o.statefulSets, "statefulsets", false, "run the StatefulSet controller")
	flag.StringVar(&o.runtimeConfig, "runtime-config", "", "API versions to enable and disable, after api/all=true; for example policy/v1=false")
	flag.StringVar(&o.featureGates, "feature-gates", "ShardedListAndWatch=true", "feature gates of the API server")
	flag.DurationVar(&o.readyTimeout, "ready-timeout", 3*time.Minute, "how long the API server may take to become ready")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal("controlplane: ", err)
	}
}

func run(o options) error {
	if o.dir == "" || flag.NArg() > 0 {
		flag.Usage()
		return errors.New("-dir is required, and arguments are not allowed")
	}
	address := net.ParseIP(o.host)
	if address == nil || !address.IsLoopback() {
		return fmt.Errorf("-host %q is not a loopback address", o.host)
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	if !o.keep {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if (o.restore != "" || o.etcd != "") && !o.keep {
		return errors.New("-restore and -etcd need -keep")
	}
	ports, err := freePorts(o.host, o.port, o.etcdPort, 0)
	if err != nil {
		return err
	}
	at := ready{
		Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Server:     "https://" + net.JoinHostPort(o.host, strconv.Itoa(ports[0])),
		CAFile:     filepath.Join(dir, "ca.crt"),
		Token:      adminToken,
	}
	if !o.keep {
		if err := writeFiles(dir, address, at); err != nil {
			return err
		}
	}
	if at.Etcd = o.etcd; at.Etcd == "" {
		if at.Etcd, err = startEtcd(dir, o, ports[1], ports[2]); err != nil {
			return fmt.Errorf("etcd: %w", err)
		}
	}

	failed := make(chan error, 2)
	go func() {
		command := apiserver.NewAPIServerCommand()
		command.SetArgs([]string{
			"--etcd-servers=" + at.Etcd,
			"--bind-address=" + o.host,
			"--advertise-address=" + o.host,
			"--secure-port=" + strconv.Itoa(ports[0]),
			"--tls-cert-file=" + filepath.Join(dir, "server.crt"),
			"--tls-private-key-file=" + filepath.Join(dir, "server.key"),
			"--cert-dir=" + dir,
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + filepath.Join(dir, "serviceaccount.key"),
			"--service-account-signing-key-file=" + filepath.Join(dir, "serviceaccount.key"),
			"--token-auth-file=" + filepath.Join(dir, "tokens.csv"),
			"--authorization-mode=RBAC",
			// Allow pods in namespaces that have no ServiceAccount.
			"--disable-admission-plugins=ServiceAccount",
			"--service-cluster-ip-range=10.0.0.0/16",
			"--enable-priority-and-fairness=false",
			"--allow-privileged=true",
			"--runtime-config=" + join("api/all=true", o.runtimeConfig),
			"--feature-gates=" + o.featureGates,
		})
		failed <- fmt.Errorf("kube-apiserver ended with code %d", cli.Run(command))
	}()
	if err := awaitReady(at, failed, o.readyTimeout); err != nil {
		return err
	}
	if o.statefulSets {
		if err := startStatefulSets(context.Background(), at); err != nil {
			return fmt.Errorf("the StatefulSet controller: %w", err)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(at); err != nil {
		return err
	}
	return <-failed
}

// freePorts replaces each 0 by a free port. It holds all ports until the last one is known, so no port is returned twice.
func freePorts(host string, wanted ...int) ([]int, error) {
	for i, port := range wanted {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		wanted[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return wanted, nil
}

// writeFiles writes the certificates, the key of ServiceAccount tokens, the token file and the kubeconfig.
func writeFiles(dir string, address net.IP, at ready) error {
	chain, key, err := cert.GenerateSelfSignedCertKey(address.String(), []net.IP{address}, []string{"localhost"})
	if err != nil {
		return err
	}
	// The chain is the server's certificate, then the authority that signed it.
	_, ca := pem.Decode(chain)
	tokenKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {token: %q}}]
contexts: [{name: e2e, context: {cluster: e2e, user: admin}}]
current-context: e2e
`, at.Server, at.CAFile, at.Token)
	for name, content := range map[string][]byte{
		"server.crt": chain,
		"server.key": key,
		"ca.crt":     ca,
		"serviceaccount.key": pem.EncodeToMemory(&pem.Block{
			Type:  "RSA PRIVATE KEY",
			Bytes: x509.MarshalPKCS1PrivateKey(tokenKey),
		}),
		"tokens.csv": fmt.Appendf(nil, "%s,admin,admin,\"system:masters\"\n", at.Token),
		"kubeconfig": []byte(kubeconfig),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startEtcd starts a single member, after it restored its data if asked to, and returns its client URL. It does not fsync: no data
// needs to survive the machine.
func startEtcd(dir string, o options, clientPort, peerPort int) (string, error) {
	client := url.URL{Scheme: "http", Host: net.JoinHostPort(o.host, strconv.Itoa(clientPort))}
	peer := url.URL{Scheme: "http", Host: net.JoinHostPort(o.host, strconv.Itoa(peerPort))}
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = 8 << 30
	if o.restore != "" {
		if err := restore(config, o.restore, o.bump); err != nil {
			return "", fmt.Errorf("restore %s: %w", o.restore, err)
		}
	}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		go saveSnapshots(etcd, filepath.Join(dir, snapshotName))
		return client.String(), nil
	case err := <-etcd.Err():
		return "", err
	case <-time.After(time.Minute):
		return "", errors.New("not ready after a minute")
	}
}

// restore replaces the data of etcd by a snapshot, as `etcdutl snapshot restore` does.
func restore(config *embed.Config, path string, bump bool) error {
	if err := os.RemoveAll(config.Dir); err != nil {
		return err
	}
	how := snapshot.RestoreConfig{
		SnapshotPath:        path,
		Name:                config.Name,
		OutputDataDir:       config.Dir,
		PeerURLs:            []string{config.AdvertisePeerUrls[0].String()},
		InitialCluster:      config.InitialCluster,
		InitialClusterToken: config.InitialClusterToken,
		// Only snapshots that a client received have a hash.
		SkipHashCheck: true,
	}
	if bump {
		how.RevisionBump, how.MarkCompacted = unusedRevisions, true
	}
	return snapshot.NewV3(zap.NewNop()).Restore(how)
}

// saveSnapshots writes a snapshot at each SIGUSR1.
func saveSnapshots(etcd *embed.Etcd, path string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	for range signals {
		if err := saveSnapshot(etcd, path); err != nil {
			log.Print("controlplane: snapshot: ", err)
		}
	}
}

func saveSnapshot(etcd *embed.Etcd, path string) error {
	file, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer file.Close()
	content := etcd.Server.Backend().Snapshot()
	defer content.Close()
	if _, err := content.WriteTo(file); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// awaitReady waits until the API server is ready. It returns an error if the server fails or exceeds the timeout.
func awaitReady(at ready, failed <-chan error, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ca, err := os.ReadFile(at.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Server+"/readyz", nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("the API server was not ready after %s", timeout)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// startStatefulSets runs the StatefulSet controller in the background.
func startStatefulSets(ctx context.Context, at ready) error {
	config, err := clientcmd.BuildConfigFromFlags("", at.Kubeconfig)
	if err != nil {
		return err
	}
	config.UserAgent = "statefulset-controller"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 12*time.Hour)
	core, apps := factory.Core().V1(), factory.Apps().V1()
	controller := statefulset.NewStatefulSetController(
		ctx, core.Pods(), apps.StatefulSets(), core.PersistentVolumeClaims(), apps.ControllerRevisions(), client)
	factory.Start(ctx.Done())
	// As many workers as kube-controller-manager starts by default.
	go controller.Run(ctx, 5)
	return nil
}

func join(first, more string) string {
	if more == "" {
		return first
	}
	return first + "," + more
}
