// Package dashboards generates the Grafana dashboards of manifests/dashboards. One file per dashboard describes its content; this one
// and grid.go turn it into Grafana's JSON.
package dashboards

// Dashboard is one dashboard, described by a file of this package.
type Dashboard struct {
	// UID is the file's name and the address in Grafana. It never changes, because links use it.
	UID, Title, Description string
	// Handovers of the fleet are marked in the panels, unless the reader turns that off; Marked: from the start.
	Marked bool
	// Variables besides the datasource and the cluster.
	Variables []Variable
	Rows      []Row
}

// Row is a line of panels under a heading.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is one panel. Queries are PromQL in which CLUSTER, NAMESPACE, NODE and JOB stand for the matchers of the variables.
type Panel struct {
	Kind        Kind
	Title       string
	Description string
	// Of 24 columns, and in rows of 30 pixels.
	Width, Height int
	// Unit is one of Grafana's, such as short, bytes, percentunit, s.
	Unit    string
	Queries []Query
	// Steps are the thresholds, from the lowest on.
	Steps []Step
	// Names of values, as in 1 = ready.
	Values []Value
	// Columns of a table, in order: label or letter of the query, and the heading.
	Columns []Column
	// Stacked areas instead of lines.
	Stacked bool
	// Min and Max of the axis; both 0: as the data is.
	Min, Max float64
	// Link leads from a series to another dashboard, with the series' label: uid and variable, as in kubernetes-workloads?namespace.
	Link string
	// Texts: a stat shows the label that Legend names instead of the number.
	Texts bool
}

// Kind is a kind of panel, by Grafana's name.
type Kind string

// The kinds in use. They are few, so that all dashboards look alike.
const (
	Stat     Kind = "stat"
	Lines    Kind = "timeseries"
	Table    Kind = "table"
	Bars     Kind = "bargauge"
	Timeline Kind = "state-timeline"
)

// Query is a query and the name of its series, in which {{label}} stands for a label.
type Query struct {
	Expr, Legend string
}

// Step is a colour from a value on.
type Step struct {
	From  float64
	Color string
}

// Value is a name and a colour for a number.
type Value struct {
	Number      string
	Text, Color string
}

// Column is a column of a table.
type Column struct {
	// A label, or the letter of a query: A for the first.
	Field   string
	Heading string
	// Unit of the numbers, the panel's without it.
	Unit string
	// Link leads to another dashboard, with this row's value: uid and variable, as in kubernetes-workloads?namespace.
	Link string
	// Steps colour the cell.
	Steps []Step
}

// Variable is one of a dashboard, filled from the values that a label has.
type Variable struct {
	Name, Label string
	// Query is a series selector, whose label Name is offered.
	Query string
}

// All are the dashboards.
func All() []Dashboard {
	return []Dashboard{overview(), workloads(), nodes(), storage(), fleet()}
}

// Good at 0 and bad from 1 on.
var noneIsGood = []Step{{0, green}, {1, red}}

// The same, for less urgent values.
var noneIsBetter = []Step{{0, green}, {1, orange}}

// A number that is neither good nor bad.
var neutral = []Step{{0, blue}}

const (
	green  = "green"
	orange = "orange"
	red    = "red"
	blue   = "blue"
)
