// Generates the tests of the alerts, and the dashboards.
//
// usage: observability alerts PROGRAM    prints the promtool file of manifests/alerts/kubernetes.rules.yaml; PROGRAM renders
//
//	observability dashboards DIR    writes a file for each dashboard
//
// Run in the root of the repository; scripts/gen-observability does.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kube-state-fleet/scripts/observability/alerts"
	"kube-state-fleet/scripts/observability/dashboards"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observability:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: observability alerts PROGRAM | dashboards DIR")
	}
	switch arguments[0] {
	case "alerts":
		return promtool(arguments[1])
	case "dashboards":
		return write(arguments[1])
	}
	return fmt.Errorf("there is no %q", arguments[0])
}

func promtool(program string) error {
	rules, err := alerts.Load("manifests/alerts/kubernetes.rules.yaml")
	if err != nil {
		return err
	}
	cases, err := alerts.Cases("tests/alerts")
	if err != nil {
		return err
	}
	made, err := alerts.Promtool("kubernetes.rules.yaml", rules, cases, alerts.Render(program))
	if err != nil {
		return err
	}
	fmt.Println("# Made by scripts/gen-observability from tests/alerts and the program itself. Do not edit.")
	_, err = os.Stdout.Write(made)
	return err
}

func write(directory string) error {
	for _, dashboard := range dashboards.All() {
		text, err := dashboard.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(directory, dashboard.UID+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
