package alerts

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"sigs.k8s.io/yaml"

	"kube-state-fleet/scripts/observability/series"
)

type promtoolFile struct {
	RuleFiles          []string       `json:"rule_files"`
	EvaluationInterval string         `json:"evaluation_interval"`
	Tests              []promtoolTest `json:"tests"`
}

type promtoolTest struct {
	Name      string         `json:"name"`
	Interval  model.Duration `json:"interval"`
	Input     []inputSeries  `json:"input_series"`
	AlertTest []alertTest    `json:"alert_rule_test"`
	ExprTest  []exprTest     `json:"promql_expr_test"`
}

type inputSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type alertTest struct {
	At     model.Duration `json:"eval_time"`
	Alert  string         `json:"alertname"`
	Alerts []expected     `json:"exp_alerts,omitempty"`
}

type expected struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

type exprTest struct {
	Expr    string         `json:"expr"`
	At      model.Duration `json:"eval_time"`
	Samples []sample       `json:"exp_samples"`
}

type sample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// Renderer turns a file of objects into series.
type Renderer func(list []byte) ([]series.Sample, error)

// Render is the renderer that runs the program.
func Render(program string) Renderer {
	return func(list []byte) ([]series.Sample, error) {
		command := exec.Command(program, "render", "-")
		command.Stdin = bytes.NewReader(list)
		var said bytes.Buffer
		command.Stderr = &said
		text, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("%s render: %w: %s", program, err, said.String())
		}
		return series.Read(bytes.NewReader(text))
	}
}

// Promtool generates the file for `promtool test rules` from the cases of a rule file.
func Promtool(ruleFile string, rules []Rule, cases []Case, render Renderer) ([]byte, error) {
	used, err := metrics(rules)
	if err != nil {
		return nil, err
	}
	byName := map[string]Rule{}
	for _, rule := range rules {
		if rule.Alert != "" {
			byName[rule.Alert] = rule
		}
	}
	made := promtoolFile{RuleFiles: []string{ruleFile}, EvaluationInterval: "1m"}
	for _, each := range cases {
		test, err := each.promtool(byName, used, render)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.Name, err)
		}
		made.Tests = append(made.Tests, test)
	}
	return yaml.Marshal(made)
}

func (c Case) promtool(rules map[string]Rule, used map[string]bool, render Renderer) (promtoolTest, error) {
	test := promtoolTest{Name: c.Name, Interval: model.Duration(c.interval())}
	input, err := c.input(used, render)
	if err != nil {
		return test, err
	}
	test.Input = input
	for _, moment := range c.Expect {
		firing := map[string][]expected{}
		all := exprTest{Expr: `ALERTS{alertstate="firing"}`, At: moment.At}
		for _, alert := range moment.Firing {
			rule, is := rules[alert.Alert]
			if !is {
				return test, fmt.Errorf("there is no alert %s", alert.Alert)
			}
			if strings.Contains(rule.Annotations["description"], "{{") {
				return test, fmt.Errorf("%s: what differs from one to the next belongs into the summary, which cases spell out", alert.Alert)
			}
			with := maps.Clone(rule.Labels)
			maps.Copy(with, alert.Labels)
			annotations := maps.Clone(rule.Annotations)
			annotations["summary"] = alert.Summary
			firing[alert.Alert] = append(firing[alert.Alert], expected{with, annotations})
			series := maps.Clone(with)
			maps.Copy(series, map[string]string{"__name__": "ALERTS", "alertname": alert.Alert, "alertstate": "firing"})
			all.Samples = append(all.Samples, sample{labels.FromMap(series).String(), 1})
		}
		for _, name := range moment.Silent {
			if _, is := rules[name]; !is {
				return test, fmt.Errorf("there is no alert %s", name)
			}
			if _, both := firing[name]; both {
				return test, fmt.Errorf("%s fires and is silent at %s", name, moment.At)
			}
			firing[name] = nil
		}
		for _, name := range slices.Sorted(maps.Keys(firing)) {
			test.AlertTest = append(test.AlertTest, alertTest{moment.At, name, firing[name]})
		}
		test.ExprTest = append(test.ExprTest, all)
		for _, query := range slices.Sorted(maps.Keys(moment.Records)) {
			recorded := exprTest{Expr: query, At: moment.At}
			for _, series := range slices.Sorted(maps.Keys(moment.Records[query])) {
				recorded.Samples = append(recorded.Samples, sample{series, moment.Records[query][series]})
			}
			test.ExprTest = append(test.ExprTest, recorded)
		}
	}
	return test, nil
}

// input returns the series of the case's objects that a rule uses, and the case's own series.
func (c Case) input(used map[string]bool, render Renderer) ([]inputSeries, error) {
	steps, err := c.steps()
	if err != nil {
		return nil, err
	}
	values := map[string][]float64{}
	for i, step := range steps {
		list, err := step.list()
		if err != nil {
			return nil, err
		}
		samples, err := render(list)
		if err != nil {
			return nil, err
		}
		for _, sample := range samples {
			if !used[sample.Labels.Get(labels.MetricName)] {
				continue
			}
			name := series.AsScraped(sample.Labels, 0).String()
			if values[name] == nil {
				values[name] = slices.Repeat([]float64{math.NaN()}, len(steps))
			}
			values[name][i] = sample.Value
		}
	}
	given := maps.Clone(c.Series)
	if given == nil {
		given = map[string]string{}
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(given)), func(name string) bool { return strings.HasPrefix(name, "kube_state_metrics_") }) {
		given[`kube_state_metrics_build_info{job="telemetry",namespace="kube-state-fleet"}`] = fmt.Sprintf("1x%d", c.last()/c.interval())
	}
	var input []inputSeries
	for _, name := range slices.Sorted(maps.Keys(values)) {
		input = append(input, inputSeries{name, c.notation(steps, values[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		input = append(input, inputSeries{name, given[name]})
	}
	return input, nil
}

// notation writes the values at the steps as promtool wants them: `1x9` is a value and nine more.
func (c Case) notation(steps []step, values []float64) string {
	var parts []string
	for i, value := range values {
		until := c.last() + c.interval()
		if i+1 < len(steps) {
			until = min(until, steps[i+1].at)
		}
		count := int((until - steps[i].at) / c.interval())
		switch {
		case !math.IsNaN(value):
			parts = append(parts, repeated(strconv.FormatFloat(value, 'f', -1, 64), count-1))
		case i > 0 && !math.IsNaN(values[i-1]):
			parts = append(parts, "stale")
			if count > 1 {
				parts = append(parts, repeated("_", count-1))
			}
		default:
			parts = append(parts, repeated("_", count))
		}
	}
	return strings.Join(parts, " ")
}

func repeated(what string, more int) string {
	if more == 0 {
		return what
	}
	return fmt.Sprintf("%sx%d", what, more)
}
