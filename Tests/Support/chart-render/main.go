// Renders a Helm chart the way `helm template` does, for machines that have no helm: with the same template language
// (text/template, sprig) and the same YAML library. What it does not know, such as subcharts, it refuses.
//
//	chart-render [options] CHART
//
// It prints the manifests in the order of their installation, then the hooks in the order of their execution.
// Tests/Deploy/chart compares it with Helm itself wherever that can be had.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "chart-render: %v\n", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	flags := flag.NewFlagSet("chart-render", flag.ExitOnError)
	var files, sets list
	flags.Var(&files, "f", "values `file`; later ones win")
	flags.Var(&sets, "set", "values as `key.path=value,...`; they win over files")
	release := Release{Service: "Helm"}
	flags.StringVar(&release.Name, "release", "release-name", "`name` of the release")
	flags.StringVar(&release.Namespace, "namespace", "default", "`namespace` of the release")
	flags.IntVar(&release.Revision, "revision", 1, "`number` of the release's revision")
	flags.BoolVar(&release.IsUpgrade, "is-upgrade", false, "render for an upgrade instead of an installation")
	kubeVersion := flags.String("kube-version", "1.34.0", "`version` of the cluster")
	var apiVersions list
	flags.Var(&apiVersions, "api-versions", "`version` of an API that the cluster has beside Kubernetes' own")
	clusterFile := flags.String("cluster", "", "`file` with the objects that `lookup` finds; without it, none")
	print := flags.String("print", "manifests", "`what` to print: manifests, notes, or values")
	flags.Parse(arguments)
	if flags.NArg() != 1 {
		return fmt.Errorf("one chart is needed, not %d", flags.NArg())
	}
	release.IsInstall = !release.IsUpgrade

	chart, err := LoadChart(flags.Arg(0))
	if err != nil {
		return err
	}
	given, err := readValues(files, sets)
	if err != nil {
		return err
	}
	values := coalesce(chart.Values, given)
	if *print == "values" {
		text, err := yaml.Marshal(values)
		fmt.Print(string(text))
		return err
	}

	capabilities, err := newCapabilities(*kubeVersion, apiVersions, chart.Metadata)
	if err != nil {
		return err
	}
	cluster, err := readCluster(*clusterFile)
	if err != nil {
		return err
	}
	rendered, err := Render(chart, map[string]interface{}{
		"Values":       values,
		"Release":      release,
		"Chart":        chart.Metadata,
		"Capabilities": capabilities,
		"Files":        chart.Files,
	}, cluster)
	if err != nil {
		return err
	}
	switch *print {
	case "notes":
		fmt.Print(rendered[chart.path("templates/NOTES.txt")])
	case "manifests":
		manifests, err := SortManifests(rendered)
		if err != nil {
			return err
		}
		for _, manifest := range manifests {
			fmt.Printf("---\n# Source: %s\n%s\n", manifest.Path, manifest.Text)
		}
	default:
		return fmt.Errorf("-print %s: must be manifests, notes or values", *print)
	}
	return nil
}
