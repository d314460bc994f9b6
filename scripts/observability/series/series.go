// Package series parses the text that exporters serve, and knows all families.
package series

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Sample is one line of an exposition.
type Sample struct {
	Labels labels.Labels
	Value  float64
}

// Read parses the samples of an exposition, in its order.
func Read(text io.Reader) ([]Sample, error) {
	var samples []Sample
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		// A line of the exposition is a series with one value in the notation of Prometheus' own tests, too.
		metric, values, err := parser.ParseSeriesDesc(line)
		if err != nil || len(values) != 1 {
			return nil, fmt.Errorf("not a sample: %q: %w", line, err)
		}
		samples = append(samples, Sample{metric, values[0].Value})
	}
	return samples, lines.Err()
}

// Gunzip is the content of a compressed file.
func Gunzip(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(content)
}

// ReadGzip parses the samples of a compressed file.
func ReadGzip(path string) ([]Sample, error) {
	text, err := Gunzip(path)
	if err != nil {
		return nil, err
	}
	samples, err := Read(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return samples, nil
}

// Known lists all families, each with its observed labels. A family without a recording has none.
type Known map[string]map[string]bool

var named = regexp.MustCompile(`([a-z_][a-z0-9_]*)="(?:[^"\\]|\\.)*"[,}]`)

var documented = regexp.MustCompile("`((?:kube_state_|process_|http_)[a-z_]+)(?:\\{([^}`]*)\\})?`")

// Load reads the known families from the repository: the recordings of kube-state-metrics, its list of families, and the pages
// that name the self-metrics.
func Load(repository string) (Known, error) {
	known := Known{}
	add := func(name string, more ...string) {
		if known[name] == nil {
			known[name] = map[string]bool{}
		}
		for _, label := range more {
			known[name][label] = true
		}
	}
	data := filepath.Join(repository, "tests/data")
	recordings, err := filepath.Glob(filepath.Join(data, "scenarios/*.prom.gz"))
	if err != nil || len(recordings) == 0 {
		return nil, fmt.Errorf("no recordings in %s: %w", data, err)
	}
	for _, path := range recordings {
		text, err := Gunzip(path)
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(string(text), "\n") {
			// Read drops empty labels, as Prometheus does, but the family has them.
			if name, rest, is := strings.Cut(line, "{"); is && line[0] != '#' {
				for _, label := range named.FindAllStringSubmatch(rest, -1) {
					add(name, label[1])
				}
			}
		}
	}
	families, err := os.ReadFile(filepath.Join(data, "families.tsv"))
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(families)), "\n")[1:] {
		add(strings.Split(line, "\t")[3])
	}
	for _, page := range []string{"docs/fleet.md", "docs/compatibility.md"} {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			return nil, err
		}
		for _, found := range documented.FindAllStringSubmatch(string(text), -1) {
			add(found[1])
			for _, label := range strings.Split(found[2], ",") {
				if name, _, _ := strings.Cut(label, "="); name != "" {
					add(found[1], strings.TrimSpace(name))
				}
			}
		}
	}
	return known, nil
}

// target holds the labels that Prometheus, its operator, or a setup of several clusters add to scraped series.
var target = map[string]bool{"cluster": true, "job": true, "instance": true, "namespace": true, "pod": true}

// Check reports errors of an expression: a metric that does not exist, or a label that its series lack.
// `made` are the names that rules record.
func (known Known) Check(expr parser.Expr, made map[string]bool) error {
	var wrong error
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is || wrong != nil {
			return nil
		}
		if made[selector.Name] {
			return nil
		}
		name := selector.Name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if cut, is := strings.CutSuffix(name, suffix); is && known[cut] != nil {
				name = cut
			}
		}
		seen, exists := known[name]
		if !exists {
			wrong = fmt.Errorf("no metric is called %q", selector.Name)
			return nil
		}
		for _, matcher := range selector.LabelMatchers {
			label := matcher.Name
			if label != labels.MetricName && len(seen) > 0 && !seen[label] && !target[label] {
				wrong = fmt.Errorf("%s has no label %q", selector.Name, label)
			}
		}
		return nil
	})
	return wrong
}

// replicas is the number of replicas over which the series are spread, as in a fleet: joins must work across replicas.
const replicas = 2

// AsScraped adds the labels of Prometheus: the job, and the replica that serves the object, or the one `after` places behind it.
func AsScraped(of labels.Labels, after int) labels.Labels {
	// An object's own series come from one replica: those of its kind, namespace and name.
	var object strings.Builder
	for _, name := range []string{"namespace", "pod", "node", "deployment", "statefulset", "daemonset", "replicaset", "job_name", "cronjob"} {
		object.WriteString(of.Get(name) + "/")
	}
	hash := fnv.New32a()
	hash.Write([]byte(object.String()))
	builder := labels.NewBuilder(of)
	builder.Set("job", "kube-state-fleet")
	builder.Set("instance", "kube-state-fleet-"+strconv.Itoa((int(hash.Sum32())+after)%replicas))
	return builder.Labels()
}
