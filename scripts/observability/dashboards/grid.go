package dashboards

import (
	"encoding/json"
	"fmt"
	"strings"
)

// object is a JSON object; encoding/json writes its keys in order.
type object = map[string]any

// columns is the width of Grafana's grid.
const columns = 24

// tag is the tag of all dashboards, which links them to each other.
const tag = "kube-state-fleet"

// matchers replaces the words of queries.
var matchers = strings.NewReplacer(
	"CLUSTER", `cluster=~"$cluster"`,
	"NAMESPACE", `cluster=~"$cluster", namespace=~"$namespace"`,
	"NODE", `cluster=~"$cluster", node=~"$node"`,
	"JOB", `cluster=~"$cluster", job=~"$job"`,
)

// JSON is the dashboard as Grafana imports it. It fails if Grafana's schema does not know it.
func (d Dashboard) JSON() ([]byte, error) {
	panels, err := d.panels()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(object{
		"uid": d.UID, "title": d.Title, "description": d.Description, "tags": []string{tag}, "schemaVersion": 39, "version": 1,
		"editable": true, "graphTooltip": 1, "refresh": "1m", "timezone": "browser", "time": object{"from": "now-6h", "to": "now"},
		"annotations": object{"list": d.annotations()}, "templating": object{"list": d.variables()}, "panels": panels,
		"links": []object{{
			"type": "dashboards", "tags": []string{tag}, "title": "Kubernetes", "asDropdown": false, "includeVars": true,
			"keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "",
		}},
	}, "", " ")
	if err != nil {
		return nil, err
	}
	if err := check(text); err != nil {
		return nil, fmt.Errorf("%s: %w", d.UID, err)
	}
	return append(text, '\n'), nil
}

// handovers finds changes of the assignment: a replica's counter grew within the step.
const handovers = `max by (cluster, job, cause) (increase(kube_state_fleet_handovers_total{MATCHERS, cause!="start"}[2m])) > 0`

// annotations marks handovers, in which series move to other targets.
func (d Dashboard) annotations() []object {
	matcher := "CLUSTER"
	if d.UID == fleetUID {
		matcher = "JOB"
	}
	return []object{{
		"name": "Handovers", "enable": d.Marked, "hide": false, "iconColor": blue, "datasource": source,
		"expr": matchers.Replace(strings.Replace(handovers, "MATCHERS", matcher, 1)), "step": "60s",
		"titleFormat": "Handover: {{cause}}", "textFormat": "{{job}}", "tagKeys": "cluster", "useValueForTime": false,
	}}
}

func (d Dashboard) variables() []object {
	list := []object{{
		"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0,
		"includeAll": false, "multi": false, "regex": "", "options": []object{}, "current": object{"selected": false, "text": "default", "value": "default"},
	}}
	cluster := Variable{"cluster", "Cluster", "kube_node_info"}
	if d.UID == fleetUID {
		cluster.Query = "kube_state_metrics_build_info"
	}
	for _, v := range append([]Variable{cluster}, d.Variables...) {
		query := fmt.Sprintf("label_values(%s, %s)", matchers.Replace(v.Query), v.Name)
		list = append(list, object{
			"name": v.Name, "label": v.Label, "type": "query", "datasource": source, "hide": 0, "definition": query,
			"query": object{"query": query, "refId": "variable"}, "refresh": 2, "sort": 1, "regex": "",
			// Without the label (a single cluster), all series match.
			"includeAll": true, "multi": true, "allValue": ".*", "options": []object{},
			"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
		})
	}
	return list
}

var source = object{"type": "prometheus", "uid": "${datasource}"}

// panels puts the panels on the grid, row by row, from left to right.
func (d Dashboard) panels() ([]object, error) {
	var all []object
	id, y := 1, 0
	place := func(x, w, h int) object {
		defer func() { id++ }()
		return object{"id": id, "gridPos": object{"x": x, "y": y, "w": w, "h": h}}
	}
	for _, row := range d.Rows {
		head := place(0, columns, 1)
		head["type"], head["title"], head["collapsed"], head["panels"] = "row", row.Title, false, []object{}
		all = append(all, head)
		y++
		x, height := 0, 0
		for _, panel := range row.Panels {
			if x+panel.Width > columns {
				x, y, height = 0, y+height, 0
			}
			if height != 0 && height != panel.Height {
				return nil, fmt.Errorf("%s: %q is not as high as its neighbour", d.UID, panel.Title)
			}
			made := place(x, panel.Width, panel.Height)
			panel.fill(made)
			all = append(all, made)
			x, height = x+panel.Width, panel.Height
		}
		y += height
	}
	return all, nil
}

// fill writes the panel into its object.
func (p Panel) fill(into object) {
	into["type"], into["title"], into["description"], into["datasource"] = string(p.Kind), p.Title, p.Description, source
	into["targets"] = p.targets()
	defaults := object{
		"unit": p.Unit, "mappings": mappings(p.Values), "thresholds": thresholds(p.Steps), "noValue": "none",
		"color": object{"mode": "thresholds"}, "custom": object{}, "links": []object{},
	}
	if uid, variable, is := strings.Cut(p.Link, "?"); is {
		defaults["links"] = []object{link("${__field.labels."+variable+"}", uid, variable)}
	}
	if p.Min != 0 || p.Max != 0 {
		defaults["min"], defaults["max"] = p.Min, p.Max
	}
	overrides := []object{}
	var options object
	switch p.Kind {
	case Stat:
		options = object{
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "colorMode": "value",
			"graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true,
			"showPercentChange": false, "percentChangeColorMode": "standard",
		}
		if p.Texts {
			options["textMode"], options["graphMode"] = "name", "none"
		}
	case Lines:
		stacking, fill := "none", 0
		if p.Stacked {
			stacking, fill = "normal", 30
		}
		defaults["color"] = object{"mode": "palette-classic"}
		defaults["custom"] = object{
			"drawStyle": "line", "lineWidth": 1, "fillOpacity": fill, "showPoints": "never", "spanNulls": false,
			"stacking": object{"mode": stacking, "group": "A"}, "thresholdsStyle": object{"mode": "off"},
		}
		options = object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		}
	case Table:
		defaults["custom"] = object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": true, "inspect": false}
		options = object{"showHeader": true, "cellHeight": "sm", "frameIndex": 0, "footer": object{"show": false, "reducer": []string{}}}
		into["transformations"] = p.transformations()
		for _, column := range p.Columns {
			overrides = append(overrides, column.override()...)
		}
	case Bars:
		options = object{
			"displayMode": "basic", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color", "namePlacement": "auto",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "sizing": "auto",
			"minVizHeight": 16, "minVizWidth": 8, "maxVizHeight": 24,
			"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": []string{}},
		}
	case Timeline:
		defaults["custom"] = object{"lineWidth": 0, "fillOpacity": 70}
		options = object{
			"mergeValues": true, "rowHeight": 0.8, "showValue": "never", "alignValue": "left",
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
			"tooltip": object{"mode": "single", "sort": "none"},
		}
	}
	into["options"] = options
	into["fieldConfig"] = object{"defaults": defaults, "overrides": overrides}
}

func (p Panel) targets() []object {
	var targets []object
	for i, query := range p.Queries {
		// Panels of a state show the last value; panels of a course show all values.
		instant := p.Kind == Table || p.Kind == Bars || p.Texts
		target := object{
			"refId": letter(i), "expr": matchers.Replace(query.Expr), "legendFormat": query.Legend, "datasource": source,
			"instant": instant, "range": !instant, "editorMode": "code",
		}
		if p.Kind == Table {
			target["format"] = "table"
		}
		targets = append(targets, target)
	}
	return targets
}

// letter is Grafana's name of the i-th query.
func letter(i int) string { return string(rune('A' + i)) }

// transformations join the queries of a table by their labels, and name and order the columns.
func (p Panel) transformations() []object {
	rename, order, hidden := object{}, object{}, object{"Time": true}
	shown := map[string]bool{}
	for i, column := range p.Columns {
		shown[column.Field] = true
		field := column.Field
		if len(field) == 1 {
			field = "Value #" + field
			if len(p.Queries) == 1 {
				field = "Value"
			}
		}
		rename[field], order[field] = column.Heading, i
	}
	for i := range p.Queries {
		if !shown[letter(i)] {
			hidden["Value #"+letter(i)], hidden["Value"] = true, true
		}
	}
	return []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": hidden, "renameByName": rename, "indexByName": order}},
	}
}

func (c Column) override() []object {
	var properties []object
	if c.Unit != "" {
		properties = append(properties, object{"id": "unit", "value": c.Unit})
	}
	if c.Steps != nil {
		properties = append(properties,
			object{"id": "thresholds", "value": thresholds(c.Steps)},
			object{"id": "custom.cellOptions", "value": object{"type": "color-text"}})
	}
	if c.Link != "" {
		uid, variable, _ := strings.Cut(c.Link, "?")
		properties = append(properties, object{"id": "links", "value": []object{link("${__value.text}", uid, variable)}})
	}
	if properties == nil {
		return nil
	}
	return []object{{"matcher": object{"id": "byName", "options": c.Heading}, "properties": properties}}
}

// link leads to a dashboard with one of its variables set.
func link(value, uid, variable string) object {
	return object{
		"title": strings.ToUpper(variable[:1]) + variable[1:] + " " + value, "targetBlank": false,
		"url": fmt.Sprintf("/d/%s?var-%s=%s&${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}", uid, variable, value),
	}
}

func thresholds(steps []Step) object {
	made := []object{}
	for i, step := range steps {
		one := object{"color": step.Color, "value": step.From}
		if i == 0 {
			// Grafana's lowest step has no value, and means all below the next.
			one["value"] = nil
		}
		made = append(made, one)
	}
	return object{"mode": "absolute", "steps": made}
}

func mappings(values []Value) []object {
	if values == nil {
		return []object{}
	}
	options := object{}
	for i, value := range values {
		options[value.Number] = object{"text": value.Text, "color": value.Color, "index": i}
	}
	return []object{{"type": "value", "options": options}}
}
