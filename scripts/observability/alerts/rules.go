// Package alerts generates promtool's tests of the alerts from objects, and checks rules and tests.
package alerts

import (
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// Rule is one recording rule or alert.
type Rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Name is the name of the alert or of the record.
func (r Rule) Name() string { return r.Record + r.Alert }

type file struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []Rule `json:"rules"`
	} `json:"groups"`
}

// Load reads the rules of a file, in its order.
func Load(path string) ([]Rule, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var read file
	if err := yaml.UnmarshalStrict(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var rules []Rule
	for _, group := range read.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

// metrics returns the names of all series that the rules use.
func metrics(rules []Rule) (map[string]bool, error) {
	names := map[string]bool{}
	for _, rule := range rules {
		expr, err := parser.ParseExpr(rule.Expr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.Name(), err)
		}
		for _, selector := range parser.ExtractSelectors(expr) {
			for _, matcher := range selector {
				if matcher.Name == "__name__" {
					names[matcher.Value] = true
				}
			}
		}
	}
	return names, nil
}
