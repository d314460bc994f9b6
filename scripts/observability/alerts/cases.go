package alerts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"
)

// Case is a short history of a cluster and the alerts that it causes. tests/alerts/README.md explains how to write one.
type Case struct {
	Name string `json:"name"`
	// Interval between samples, default 1m.
	Interval model.Duration `json:"interval,omitempty"`
	// Objects as they are at the start.
	Objects []map[string]any `json:"objects,omitempty"`
	// Later changes.
	Changes []Change `json:"changes,omitempty"`
	// Series of the exporter itself, in promtool's notation.
	Series map[string]string `json:"series,omitempty"`
	Expect []Moment          `json:"expect"`
}

// Change is a change from a moment on.
type Change struct {
	At model.Duration `json:"at"`
	// A merge patch for each object, by kind and name, as in Pod/web-0; null deletes it.
	Objects map[string]any `json:"objects"`
}

// Moment says which alerts fire at a moment: those, and no others.
type Moment struct {
	At     model.Duration `json:"at"`
	Firing []Firing       `json:"firing,omitempty"`
	// Alerts that almost fire. All others do not fire either.
	Silent []string `json:"silent,omitempty"`
	// Results of recording rules: the samples of a query, by series.
	Records map[string]map[string]float64 `json:"records,omitempty"`
}

// Firing is an alert that fires.
type Firing struct {
	Alert   string            `json:"alert"`
	Labels  map[string]string `json:"labels,omitempty"`
	Summary string            `json:"summary"`
}

// Cases reads all cases of a directory.
func Cases(directory string) ([]Case, error) {
	paths, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no cases in %s: %w", directory, err)
	}
	var all []Case
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		// `common` may hold anchors and has no meaning itself.
		var read struct {
			Common any    `json:"common,omitempty"`
			Cases  []Case `json:"cases"`
		}
		if err := yaml.UnmarshalStrict(text, &read); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, read.Cases...)
	}
	return all, nil
}

// interval is the interval between samples.
func (c Case) interval() time.Duration {
	if c.Interval == 0 {
		return time.Minute
	}
	return time.Duration(c.Interval)
}

// last is the last checked moment.
func (c Case) last() time.Duration {
	var last model.Duration
	for _, moment := range c.Expect {
		last = max(last, moment.At)
	}
	return time.Duration(last)
}

// steps are the objects as they are at the start and after each change.
func (c Case) steps() ([]step, error) {
	now := map[string]map[string]any{}
	var order []string
	for _, object := range c.Objects {
		key := key(object)
		if _, twice := now[key]; twice {
			return nil, fmt.Errorf("%s: there are two %s", c.Name, key)
		}
		now[key] = object
		order = append(order, key)
	}
	snapshot := func(at time.Duration) step {
		var objects []map[string]any
		for _, key := range order {
			if object, is := now[key]; is {
				objects = append(objects, object)
			}
		}
		return step{at, objects}
	}
	steps := []step{snapshot(0)}
	for _, change := range c.Changes {
		at := time.Duration(change.At)
		if at <= steps[len(steps)-1].at || at%c.interval() != 0 {
			return nil, fmt.Errorf("%s: changes are in order, and between samples none happens: %s", c.Name, at)
		}
		for _, key := range slices.Sorted(maps.Keys(change.Objects)) {
			object, is := now[key]
			if !is {
				return nil, fmt.Errorf("%s: there is no %s to change at %s", c.Name, key, at)
			}
			if change.Objects[key] == nil {
				delete(now, key)
				continue
			}
			patched, _ := merge(object, change.Objects[key]).(map[string]any)
			now[key] = patched
		}
		steps = append(steps, snapshot(at))
	}
	return steps, nil
}

type step struct {
	at      time.Duration
	objects []map[string]any
}

func key(object map[string]any) string {
	meta, _ := object["metadata"].(map[string]any)
	return fmt.Sprint(object["kind"], "/", meta["name"])
}

// merge applies a JSON merge patch (RFC 7386).
func merge(target, patch any) any {
	changes, is := patch.(map[string]any)
	if !is {
		return patch
	}
	before, _ := target.(map[string]any)
	merged := maps.Clone(before)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = merge(merged[name], value)
		}
	}
	return merged
}

// list is the file of a step's objects, as `kubectl get -o json` prints it.
func (s step) list() ([]byte, error) {
	return json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": s.objects})
}
