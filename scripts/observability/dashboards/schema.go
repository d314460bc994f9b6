package dashboards

import (
	"errors"
	"fmt"
	"sync"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

var registered sync.Once

// check compares a dashboard with Grafana's own schema: every field is one that Grafana knows, and none that it requires is missing.
func check(text []byte) error {
	registered.Do(plugins.RegisterDefaultPlugins)
	var read dashboard.Dashboard
	if err := read.UnmarshalJSONStrict(text); found(err) {
		return fmt.Errorf("not as Grafana's schema: %w", err)
	}
	if err := read.Validate(); found(err) {
		return fmt.Errorf("not valid by Grafana's schema: %w", err)
	}
	return nil
}

// found tells whether there is an error. The SDK returns an empty list of errors instead of none.
func found(err error) bool {
	var list cog.BuildErrors
	if errors.As(err, &list) {
		return len(list) > 0
	}
	return err != nil
}
