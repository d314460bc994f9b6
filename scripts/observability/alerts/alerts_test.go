package alerts

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"

	"kube-state-fleet/scripts/observability/replay"
	"kube-state-fleet/scripts/observability/series"
)

const repository = "../../.."

// The rule files, each with its test file.
var files = map[string]string{"kubernetes.rules.yaml": "kubernetes.test.yaml", "kube-state-fleet.rules.yaml": "kube-state-fleet.test.yaml"}

func load(t *testing.T, name string) []Rule {
	t.Helper()
	rules, err := Load(filepath.Join(repository, "manifests/alerts", name))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func all(t *testing.T) []Rule {
	t.Helper()
	var rules []Rule
	for _, name := range slices.Sorted(maps.Keys(files)) {
		rules = append(rules, load(t, name)...)
	}
	return rules
}

// program is the rendering program: KUBE_STATE_FLEET, or the debug build.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KUBE_STATE_FLEET")
	if path == "" {
		path = filepath.Join(repository, "target/debug/kube-state-fleet")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no program to render with (cargo build, or KUBE_STATE_FLEET=FILE): %v", err)
	}
	return path
}

func TestEveryAlertFiresInOneTestAndIsSilentInOne(t *testing.T) {
	for rules, tests := range files {
		text, err := os.ReadFile(filepath.Join(repository, "manifests/alerts", tests))
		if err != nil {
			t.Fatal(err)
		}
		var read promtoolFile
		if err := yaml.Unmarshal(text, &read); err != nil {
			t.Fatalf("%s: %v", tests, err)
		}
		fires, silent, asked := map[string]bool{}, map[string]bool{}, ""
		for _, test := range read.Tests {
			for _, expected := range test.AlertTest {
				if len(expected.Alerts) > 0 {
					fires[expected.Alert] = true
				} else {
					silent[expected.Alert] = true
				}
			}
			for _, query := range test.ExprTest {
				asked += query.Expr + "\n"
			}
		}
		for _, rule := range load(t, rules) {
			switch {
			case rule.Record != "" && !strings.Contains(asked, rule.Record):
				t.Errorf("%s: no test asks for %s", tests, rule.Record)
			case rule.Alert != "" && !fires[rule.Alert]:
				t.Errorf("%s: %s fires in no test", tests, rule.Alert)
			case rule.Alert != "" && !silent[rule.Alert]:
				t.Errorf("%s: %s is silent in no test", tests, rule.Alert)
			}
		}
	}
}

func TestRulesNameOnlyMetricsAndLabelsThatExist(t *testing.T) {
	known, err := series.Load(repository)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, rule := range all(t) {
		expr, err := parser.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatalf("%s: %v", rule.Name(), err)
		}
		if err := known.Check(expr, made); err != nil {
			t.Errorf("%s: %v", rule.Name(), err)
		}
		if rule.Record != "" {
			// Rules of a group are evaluated in order, so later records do not exist yet.
			made[rule.Record] = true
		}
	}
}

func TestRulesTellClustersApartAndNameNoJob(t *testing.T) {
	for _, rule := range all(t) {
		expr, err := parser.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatalf("%s: %v", rule.Name(), err)
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch node := node.(type) {
			case *parser.AggregateExpr:
				if !node.Without && !slices.Contains(node.Grouping, "cluster") {
					t.Errorf("%s adds up clusters: %s", rule.Name(), node)
				}
			case *parser.BinaryExpr:
				if m := node.VectorMatching; m != nil && m.On && !slices.Contains(m.MatchingLabels, "cluster") {
					t.Errorf("%s joins clusters: %s", rule.Name(), node)
				}
			case *parser.VectorSelector:
				for _, matcher := range node.LabelMatchers {
					if matcher.Name == "job" || matcher.Name == "instance" {
						t.Errorf("%s works with one %s only: %s", rule.Name(), matcher.Name, node)
					}
				}
			}
			return nil
		})
	}
}

var (
	heading = regexp.MustCompile(`(?m)^## (\w+)$`)
	mention = regexp.MustCompile(`\{\{ \$labels\.(\w+) \}\}`)
)

func TestEveryAlertSaysWhatItIsAndWhereToReadOn(t *testing.T) {
	entries := map[string][]string{}
	for _, page := range []string{"docs/runbooks.md", "docs/alerts.md"} {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range heading.FindAllStringSubmatch(string(text), -1) {
			entries[found[1]] = append(entries[found[1]], page)
		}
	}
	for _, rule := range all(t) {
		if rule.Alert == "" {
			continue
		}
		if severity := rule.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info"}, severity) {
			t.Errorf("%s: severity %q", rule.Alert, severity)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s does not say what it is", rule.Alert)
		}
		where := entries[rule.Alert]
		if len(where) != 1 {
			t.Errorf("%s has %d entries in the runbooks", rule.Alert, len(where))
		} else if want := where[0] + "#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, the entry is %q", rule.Alert, rule.Annotations["runbook_url"], want)
		}
		delete(entries, rule.Alert)
		// A label that the alert lacks would be empty in the summary.
		for _, label := range mention.FindAllStringSubmatch(rule.Annotations["summary"], -1) {
			if !regexp.MustCompile(`\b`+label[1]+`\b`).MatchString(rule.Expr) && label[1] != "resource" {
				t.Errorf("%s has no label %s", rule.Alert, label[1])
			}
		}
	}
	if len(entries) > 0 {
		t.Errorf("runbooks of alerts that do not exist: %v", entries)
	}
}

// A cluster looks the same to every rule, whether kube-state-metrics or this program exposes it, and whether each object is
// served once or, during a handover, twice.
func TestRulesSayTheSameWhoeverServes(t *testing.T) {
	recorded, err := series.ReadGzip(filepath.Join(repository, "tests/data/scenarios/default.prom.gz"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := series.Gunzip(filepath.Join(repository, "tests/data/scenarios/cluster.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := Render(program(t))(list)
	if err != nil {
		t.Fatal(err)
	}
	rules := load(t, "kubernetes.rules.yaml")
	theirs := evaluate(t, rules, recorded, replay.Once)
	said := 0
	for name, ours := range map[string]map[string]string{
		"what is rendered":                           evaluate(t, rules, rendered, replay.Once),
		"what kube-state-metrics served, but doubly": evaluate(t, rules, recorded, replay.Twice),
	} {
		for _, rule := range rules {
			if theirs[rule.Name()] != ours[rule.Name()] {
				t.Errorf("%s\nof what kube-state-metrics served:\n%s\nof %s:\n%s", rule.Name(), theirs[rule.Name()], name, ours[rule.Name()])
			}
			if rule.Alert != "" && theirs[rule.Name()] != "" {
				said++
			}
		}
	}
	if said < 10 {
		t.Errorf("only %d rules find anything in the recorded cluster", said/2)
	}
}

// evaluate returns the result of each rule, an hour after these series began.
func evaluate(t *testing.T, rules []Rule, samples []series.Sample, copies replay.Copies) map[string]string {
	t.Helper()
	found := map[string]string{}
	cluster := replay.New(t)
	for minute := range 61 {
		cluster.Scrape(samples, copies)
		for _, rule := range rules {
			if rule.Alert == "" || minute == 60 {
				found[rule.Name()] = cluster.Query(rule.Expr, rule.Record)
			}
		}
	}
	return found
}

func TestAChangeOfACaseIsAMergePatch(t *testing.T) {
	one := Case{
		Name:    "one",
		Objects: []map[string]any{{"kind": "Pod", "metadata": map[string]any{"name": "a"}, "status": map[string]any{"phase": "Pending", "reason": "x"}}},
		Changes: []Change{
			{At: 60e9, Objects: map[string]any{"Pod/a": map[string]any{"status": map[string]any{"phase": "Running", "reason": nil}}}},
			{At: 120e9, Objects: map[string]any{"Pod/a": nil}},
		},
		Expect: []Moment{{At: 240e9}},
	}
	steps, err := one.steps()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(steps[0].objects[0]["status"], steps[1].objects[0]["status"], len(steps[2].objects)); got != "map[phase:Pending reason:x]map[phase:Running]0" &&
		got != "map[phase:Pending reason:x] map[phase:Running] 0" {
		t.Error(got)
	}
	nan := func() float64 { zero := 0.0; return zero / zero }()
	if got := one.notation(steps, []float64{1, 2.5, nan}); got != "1 2.5 stale _x2" {
		t.Error(got)
	}
	one.Changes[0].Objects = map[string]any{"Pod/b": nil}
	if _, err := one.steps(); err == nil || !strings.Contains(err.Error(), "Pod/b") {
		t.Errorf("a change of nothing: %v", err)
	}
}
