// Prints src/intake/protobuf/tables.rs: what the decoder knows of Kubernetes' protobuf messages.
//
// Reads a list of field paths on stdin (src/intake/protobuf/fields.txt says in which form) and looks each up in the Go
// types: their tags give the field number and the JSON name, and, unlike generated.proto, the Go types also say
// whether a field is a pointer, whether JSON omits it when empty, and whether it is inlined into its parent.
// A path that does not exist, or a field of a shape that the decoder does not know, ends the program.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	certificates "k8s.io/api/certificates/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var groups = []func(*runtime.Scheme) error{
	admissionregistration.AddToScheme, apps.AddToScheme, autoscaling.AddToScheme, batch.AddToScheme,
	certificates.AddToScheme, coordination.AddToScheme, core.AddToScheme, discovery.AddToScheme,
	networking.AddToScheme, policy.AddToScheme, rbac.AddToScheme, storage.AddToScheme, meta.AddMetaToScheme,
}

// The Rust decoder marks repeated fields that it has seen in a u64.
const mostFields = 64

// Messages with a JSON form of their own.
var special = map[reflect.Type]string{
	reflect.TypeFor[meta.Time]():          "Time",
	reflect.TypeFor[meta.MicroTime]():     "MicroTime",
	reflect.TypeFor[resource.Quantity]():  "Quantity",
	reflect.TypeFor[intstr.IntOrString](): "IntOrString",
}

// A message, or the part of it that paths lead into.
type node struct {
	goType reflect.Type
	table  string
	fields map[int]*field
}

type field struct {
	number            int
	name, kind, shape string
	message           *node
}

// A kind, as headings of the list name it.
type root struct {
	schema.GroupVersionKind
	node *node
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "fields: "+format+"\n", args...)
	os.Exit(1)
}

func main() {
	scheme := runtime.NewScheme()
	for _, add := range groups {
		if err := add(scheme); err != nil {
			fail("%v", err)
		}
	}
	write(read(scheme))
}

func read(scheme *runtime.Scheme) []root {
	var roots []root
	lines := bufio.NewScanner(os.Stdin)
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		switch {
		case strings.TrimSpace(line) == "":
		case !strings.HasPrefix(line, " "):
			words := strings.Fields(line)
			if len(words) != 2 {
				fail("line %d: a heading is an apiVersion and a kind", number)
			}
			gvk := schema.FromAPIVersionAndKind(words[0], words[1])
			object, err := scheme.New(gvk)
			if err != nil {
				fail("line %d: %v", number, err)
			}
			if slices.ContainsFunc(roots, func(r root) bool { return r.GroupVersionKind == gvk }) {
				fail("line %d: %s %s is there twice", number, words[0], words[1])
			}
			roots = append(roots, root{gvk, newNode(reflect.TypeOf(object).Elem())})
		case len(roots) == 0:
			fail("line %d: a path without a heading", number)
		default:
			prefix, names, grouped := strings.Cut(line, ":")
			if !grouped {
				prefix, names = "", line
			}
			at := roots[len(roots)-1].node
			if prefix = strings.TrimSpace(prefix); prefix != "" {
				at = at.walk(prefix, number)
			}
			for _, name := range strings.Fields(names) {
				at.walk(name, number)
			}
		}
	}
	if err := lines.Err(); err != nil {
		fail("%v", err)
	}
	return roots
}

func newNode(t reflect.Type) *node {
	return &node{goType: t, fields: map[int]*field{}}
}

// walk adds the fields on a path and returns the message at its end, nil if it ends in a scalar.
func (n *node) walk(path string, line int) *node {
	for name := range strings.SplitSeq(path, ".") {
		if n == nil {
			fail("line %d: %s leads into a scalar", line, path)
		}
		n = n.step(name, line)
	}
	return n
}

// step adds the field that JSON calls name, and returns its message if it is one.
func (n *node) step(name string, line int) *node {
	for i := range n.goType.NumField() {
		f := n.goType.Field(i)
		jsonName, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		number, onWire := fieldNumber(f)
		if !onWire {
			continue // TypeMeta: the envelope carries it
		}
		if jsonName == name && !strings.Contains(options, "inline") {
			return n.add(newField(f, number, name, options)).message
		}
		if jsonName == "" && f.Type.Kind() == reflect.Struct && has(f.Type, name) {
			inner := n.add(&field{number: number, name: f.Name, kind: "Message", shape: "Inline", message: newNode(f.Type)})
			result := inner.message.step(name, line)
			for _, deeper := range inner.message.fields {
				if deeper.shape == "Inline" {
					fail("%s.%s: inlined twice", n.goType, f.Name)
				}
			}
			return result
		}
	}
	fail("line %d: %s has no field %s", line, n.goType, name)
	return nil
}

func has(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		jsonName, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if jsonName == name || jsonName == "" && t.Field(i).Type.Kind() == reflect.Struct && has(t.Field(i).Type, name) {
			return true
		}
	}
	return false
}

func (n *node) add(f *field) *field {
	if known, ok := n.fields[f.number]; ok {
		return known
	}
	n.fields[f.number] = f
	if len(n.fields) > mostFields {
		fail("%s: more than %d fields", n.goType, mostFields)
	}
	return f
}

func fieldNumber(f reflect.StructField) (int, bool) {
	parts := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0, false
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		fail("%s: the tag %q has no number", f.Name, f.Tag)
	}
	return number, true
}

func newField(f reflect.StructField, number int, name, options string) *field {
	result := &field{number: number, name: name, shape: "One"}
	t := f.Type
	pointer := t.Kind() == reflect.Pointer
	if pointer {
		t = t.Elem()
	}
	bytes := t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	switch {
	case t.Kind() == reflect.Slice && !bytes:
		result.shape, t = "Repeated", t.Elem()
	case t.Kind() == reflect.Map:
		if t.Key().Kind() != reflect.String {
			fail("%s: a map whose keys are %s", name, t.Key())
		}
		result.shape, t = "Map", t.Elem()
	}
	result.kind = kind(t, name)
	if result.kind == "Message" {
		result.message = newNode(t)
	}
	if result.shape == "Repeated" && !slices.Contains([]string{"Message", "String"}, result.kind) {
		fail("%s: repeated %s is unknown to the decoder", name, t)
	}
	if result.shape == "One" && !pointer {
		scalar := t.Kind() != reflect.Struct
		if scalar && strings.Contains(options, "omit") {
			result.shape = "UnlessEmpty"
		}
		if !scalar && strings.Contains(options, "omitzero") && !strings.HasSuffix(result.kind, "Time") {
			fail("%s: omitzero of %s is unknown to the decoder", name, t)
		}
	}
	return result
}

func kind(t reflect.Type, name string) string {
	if special, ok := special[t]; ok {
		return special
	}
	switch t.Kind() {
	case reflect.String:
		return "String"
	case reflect.Bool:
		return "Bool"
	case reflect.Int32, reflect.Int64:
		return "Int"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "Bytes"
		}
	case reflect.Struct:
		if !reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) {
			return "Message"
		}
	}
	fail("%s: %s is unknown to the decoder", name, t)
	return ""
}

func (n *node) sorted() []*field {
	var fields []*field
	for _, f := range n.fields {
		fields = append(fields, f)
	}
	sort.Slice(fields, func(i, j int) bool { return fields[i].number < fields[j].number })
	return fields
}

// Tables by what they hold, so that equal ones are written once.
type tables struct {
	names map[string]string
	taken map[string]bool
}

// write prints a table after those that it refers to.
func (w *tables) write(n *node, path string) string {
	var body strings.Builder
	for _, f := range n.sorted() {
		kind := "Kind::" + f.kind
		if f.message != nil {
			kind = fmt.Sprintf("Kind::Message(&%s)", w.write(f.message, path+"_"+screaming(f.name)))
		}
		fmt.Fprintf(&body, "    Field { number: %d, name: %q, kind: %s, shape: Shape::%s },\n", f.number, f.name, kind, f.shape)
	}
	content := n.goType.String() + "\n" + body.String()
	if name, ok := w.names[content]; ok {
		return name
	}
	if w.taken[path] {
		fail("two tables are called %s", path)
	}
	w.names[content], w.taken[path] = path, true
	if body.Len() == 0 {
		fmt.Printf("static %s: Table = Table { fields: &[] };\n\n", path)
	} else {
		fmt.Printf("static %s: Table = Table { fields: &[\n%s] };\n\n", path, body.String())
	}
	return path
}

func screaming(name string) string {
	var out strings.Builder
	for i, c := range name {
		upper := c >= 'A' && c <= 'Z'
		after := i > 0 && !(name[i-1] >= 'A' && name[i-1] <= 'Z')
		if upper && after {
			out.WriteByte('_')
		}
		out.WriteString(strings.ToUpper(string(c)))
	}
	return out.String()
}

func write(roots []root) {
	fmt.Print(`//! The messages of Kubernetes, as far as the collectors read them. Generated from fields.txt: run ` + "`scripts/gen-fields`" + `.

use super::table::{Field, Kind, Shape, Table};

`)
	tables := tables{names: map[string]string{}, taken: map[string]bool{}}
	var arms strings.Builder
	for _, root := range roots {
		name := tables.write(root.node, screaming(root.Kind))
		fmt.Fprintf(&arms, "        (%q, %q, %q) => &%s,\n", root.Group, root.Version, root.Kind, name)
	}
	fmt.Printf(`/// The table of a kind's message.
pub(super) fn root(group: &str, version: &str, kind: &str) -> Option<&'static Table> {
    Some(match (group, version, kind) {
%s        _ => return None,
    })
}
`, arms.String())
}
