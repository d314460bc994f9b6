// Package replay answers queries about recorded series with Prometheus' own engine. Only tests use it.
package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/teststorage"

	"kube-state-fleet/scripts/observability/series"
)

// Copies is the number of replicas that serve each object.
type Copies int

// Once is the normal state, Twice can happen during a handover.
const (
	Once  Copies = 1
	Twice Copies = 2
)

// Cluster is a Prometheus that has scraped a cluster.
type Cluster struct {
	t       testing.TB
	storage *teststorage.TestStorage
	engine  *promql.Engine
	now     time.Time
}

// New returns an empty one.
func New(t testing.TB) *Cluster {
	t.Helper()
	storage := teststorage.New(t)
	t.Cleanup(func() { _ = storage.Close() })
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e7, Timeout: time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
	})
	return &Cluster{t, storage, engine, time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
}

// Scrape lets a minute pass and stores these samples.
func (c *Cluster) Scrape(samples []series.Sample, copies Copies) {
	c.t.Helper()
	c.now = c.now.Add(time.Minute)
	var all []series.Sample
	for after := range int(copies) {
		for _, sample := range samples {
			all = append(all, series.Sample{Labels: series.AsScraped(sample.Labels, after), Value: sample.Value})
		}
	}
	c.store(all)
}

// Query answers a query, one line per series, and records the answer if it has a name.
func (c *Cluster) Query(expr, record string) string {
	c.t.Helper()
	query, err := c.engine.NewInstantQuery(context.Background(), c.storage, nil, expr, c.now)
	if err != nil {
		c.t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	vector, err := query.Exec(context.Background()).Vector()
	if err != nil {
		c.t.Fatalf("%s: %v", expr, err)
	}
	var lines []string
	var recorded []series.Sample
	for _, sample := range vector {
		lines = append(lines, fmt.Sprint(sample.Metric, " ", sample.F))
		named := labels.NewBuilder(sample.Metric).Set(labels.MetricName, record).Labels()
		recorded = append(recorded, series.Sample{Labels: named, Value: sample.F})
	}
	if record != "" {
		c.store(recorded)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (c *Cluster) store(samples []series.Sample) {
	c.t.Helper()
	write := c.storage.Appender(context.Background())
	for _, sample := range samples {
		if _, err := write.Append(0, sample.Labels, c.now.UnixMilli(), sample.Value); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := write.Commit(); err != nil {
		c.t.Fatal(err)
	}
}
