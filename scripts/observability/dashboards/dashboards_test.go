package dashboards

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"kube-state-fleet/scripts/observability/replay"
	"kube-state-fleet/scripts/observability/series"
)

// Grafana's values of the variables, or values of the same shape.
var inserted = strings.NewReplacer("$__rate_interval", "5m", "$cluster", ".*", "$namespace", ".*", "$node", ".*", "$job", ".*")

// others are the metrics that others make: Prometheus itself, and the kubelet.
var others = map[string]bool{
	"ALERTS": true, "container_cpu_usage_seconds_total": true, "container_memory_working_set_bytes": true,
	"kubelet_volume_stats_used_bytes": true, "kubelet_volume_stats_capacity_bytes": true,
}

var matched = regexp.MustCompile(`\$\d`)

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ RefID, Expr string }
	FieldConfig struct{ Defaults struct{ Unit string } }
}

// read is the dashboard as Grafana reads it.
func read(t *testing.T, d Dashboard) (panels []panel) {
	t.Helper()
	text, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	return dashboard.Panels
}

func TestEveryQueryParsesAndNamesWhatExists(t *testing.T) {
	known, err := series.Load("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range All() {
		for _, p := range read(t, d) {
			for _, target := range p.Targets {
				expr, err := parser.ParseExpr(inserted.Replace(target.Expr))
				if err != nil {
					t.Errorf("%s: %s: %v", d.UID, p.Title, err)
					continue
				}
				if err := known.Check(expr, others); err != nil {
					t.Errorf("%s: %s: %v", d.UID, p.Title, err)
				}
				// `$1` is no variable but what label_replace has found.
				if rest := matched.ReplaceAllString(inserted.Replace(target.Expr), ""); strings.Contains(rest, "$") {
					t.Errorf("%s: %s: a variable without a value: %s", d.UID, p.Title, rest)
				}
				for _, selector := range parser.ExtractSelectors(expr) {
					names := []string{}
					for _, matcher := range selector {
						names = append(names, matcher.Name)
					}
					if !slices.Contains(names, "cluster") {
						t.Errorf("%s: %s: a selector does without the cluster: %v", d.UID, p.Title, selector)
					}
				}
			}
		}
	}
}

// During a handover an object may be served twice: no panel breaks or counts it twice.
func TestPanelsShowTheSameOfObjectsThatAreServedTwice(t *testing.T) {
	samples, err := series.ReadGzip("../../../tests/data/scenarios/default.prom.gz")
	if err != nil {
		t.Fatal(err)
	}
	once, twice := replay.New(t), replay.New(t)
	for range 10 {
		once.Scrape(samples, replay.Once)
		twice.Scrape(samples, replay.Twice)
	}
	shown := 0
	for _, d := range All() {
		for _, p := range read(t, d) {
			for _, target := range p.Targets {
				query := inserted.Replace(target.Expr)
				one, two := once.Query(query, ""), twice.Query(query, "")
				if one != two {
					t.Errorf("%s: %s: served once:\n%s\nserved twice:\n%s", d.UID, p.Title, one, two)
				}
				if one != "" {
					shown++
				}
			}
		}
	}
	if shown < 40 {
		t.Errorf("only %d queries find anything in the recorded cluster", shown)
	}
}

func TestEveryPanelSaysWhatItShowsAndInWhichUnit(t *testing.T) {
	for _, d := range All() {
		if d.Title == "" || d.Description == "" {
			t.Errorf("%s does not say what it is", d.UID)
		}
		for _, p := range read(t, d) {
			if p.Title == "" {
				t.Errorf("%s: panel %d has no title", d.UID, p.ID)
			}
			if p.Type == "row" {
				continue
			}
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: %s lacks a description, a unit or a query", d.UID, p.Title)
			}
		}
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				if slices.Contains([]Kind{Stat, Bars, Timeline}, p.Kind) && p.Steps == nil {
					t.Errorf("%s: %s has no thresholds", d.UID, p.Title)
				}
				for _, column := range p.Columns {
					if len(column.Field) == 1 && int(column.Field[0]-'A') >= len(p.Queries) {
						t.Errorf("%s: %s: there is no query %s", d.UID, p.Title, column.Field)
					}
					if len(column.Field) > 1 && !mentions(p.Queries, column.Field) {
						t.Errorf("%s: %s: no query has a label %s", d.UID, p.Title, column.Field)
					}
				}
				for _, query := range p.Queries {
					for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(query.Legend, -1) {
						if label[1] != "instance" && !mentions([]Query{query}, label[1]) {
							t.Errorf("%s: %s: the legend names %s, which the query does not have", d.UID, p.Title, label[1])
						}
					}
				}
			}
		}
	}
}

// mentions tells whether some query groups by a label.
func mentions(queries []Query, label string) bool {
	grouped := regexp.MustCompile(`(by|group_left) \([^)]*\b` + label + `\b`)
	return slices.ContainsFunc(queries, func(query Query) bool { return grouped.MatchString(query.Expr) })
}

// Grafana's schema knows every field and value, so a mistake in grid.go is found before Grafana drops it in silence.
func TestGrafanaRefusesWhatItDoesNotKnow(t *testing.T) {
	text, err := fleet().JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"schemaVersion"`, `"shcemaVersion"`}, {`"refresh": "1m"`, `"refresh": 60`}, {`"showHeader"`, `"showHead"`}} {
		if changed := strings.Replace(string(text), change[0], change[1], 1); check([]byte(changed)) == nil {
			t.Errorf("%s passes", change[1])
		}
	}
}

func TestHandoversAreMarkedByWhatExists(t *testing.T) {
	known, err := series.Load("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range All() {
		for _, annotation := range d.annotations() {
			expr, err := parser.ParseExpr(inserted.Replace(annotation["expr"].(string)))
			if err != nil {
				t.Fatalf("%s: %v", d.UID, err)
			}
			if err := known.Check(expr, nil); err != nil {
				t.Errorf("%s: %v", d.UID, err)
			}
		}
	}
}

func TestIdentifiersAreUniqueAndPanelsDoNotOverlap(t *testing.T) {
	dashboards := map[string]bool{}
	for _, d := range All() {
		for _, name := range []string{d.UID, d.Title} {
			if dashboards[name] {
				t.Errorf("two dashboards are called %s", name)
			}
			dashboards[name] = true
		}
		ids, titles, taken := map[int]bool{}, map[string]bool{}, map[string]string{}
		for _, p := range read(t, d) {
			title := p.Type + " " + p.Title
			if ids[p.ID] || titles[title] {
				t.Errorf("%s: panel %d, %s, is there twice", d.UID, p.ID, p.Title)
			}
			ids[p.ID], titles[title] = true, true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					cell := fmt.Sprint(x, ",", y)
					if other, is := taken[cell]; is || x >= columns {
						t.Fatalf("%s: %s lies on %s or beside the grid", d.UID, p.Title, other)
					}
					taken[cell] = p.Title
				}
			}
		}
	}
}

func TestLinksLeadToDashboardsAndVariablesThatExist(t *testing.T) {
	variables := map[string][]string{}
	for _, d := range All() {
		for _, variable := range d.Variables {
			variables[d.UID] = append(variables[d.UID], variable.Name)
		}
	}
	for _, d := range All() {
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				for _, column := range p.Columns {
					uid, variable, _ := strings.Cut(column.Link, "?")
					if column.Link != "" && !slices.Contains(variables[uid], variable) {
						t.Errorf("%s: %s: nothing is at %s", d.UID, p.Title, column.Link)
					}
				}
				if uid, variable, is := strings.Cut(p.Link, "?"); is {
					if !slices.Contains(variables[uid], variable) || !mentions(p.Queries, variable) {
						t.Errorf("%s: %s: nothing is at %s", d.UID, p.Title, p.Link)
					}
				}
			}
		}
	}
}
