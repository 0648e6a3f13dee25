package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver"
	"sigs.k8s.io/yaml"
)

// Metadata is `.Chart`.
type Metadata struct {
	APIVersion, Name, Version, AppVersion, Description, Type, KubeVersion, Home, Icon string

	Keywords, Sources []string
	Annotations       map[string]string
	Deprecated        bool
	Dependencies      []interface{}
}

// IsRoot is always true, for there are no subcharts.
func (Metadata) IsRoot() bool { return true }

// Chart is what a chart's folder holds.
type Chart struct {
	Metadata  Metadata
	Values    map[string]interface{}
	Templates map[string]string // by path, below the chart's name
	Files     Files
}

func (c *Chart) path(name string) string { return path.Join(c.Metadata.Name, name) }

// LoadChart reads a folder.
func LoadChart(folder string) (*Chart, error) {
	chart := &Chart{Values: map[string]interface{}{}, Templates: map[string]string{}, Files: Files{}}
	contents := map[string]string{}
	err := filepath.Walk(folder, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		contents[filepath.ToSlash(relative)] = string(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal([]byte(contents["Chart.yaml"]), &chart.Metadata); err != nil {
		return nil, fmt.Errorf("Chart.yaml: %w", err)
	}
	if chart.Metadata.Name == "" {
		return nil, fmt.Errorf("%s: there is no Chart.yaml with a name", folder)
	}
	if len(chart.Metadata.Dependencies) > 0 {
		return nil, fmt.Errorf("Chart.yaml: subcharts cannot be rendered here")
	}
	if err := yaml.Unmarshal([]byte(contents["values.yaml"]), &chart.Values); err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	for name, text := range contents {
		switch {
		case strings.HasPrefix(name, "charts/"):
			return nil, fmt.Errorf("%s: subcharts cannot be rendered here", name)
		case strings.HasPrefix(name, "templates/"):
			chart.Templates[chart.path(name)] = text
		case name != "Chart.yaml" && name != "values.yaml" && name != "values.schema.json":
			chart.Files[name] = []byte(text)
		}
	}
	return chart, nil
}

// Release is `.Release`.
type Release struct {
	Name, Namespace, Service string
	Revision                 int
	IsInstall, IsUpgrade     bool
}

// KubeVersion is `.Capabilities.KubeVersion`.
type KubeVersion struct{ Version, Major, Minor, GitVersion string }

func (v KubeVersion) String() string { return v.Version }

// APIVersions is `.Capabilities.APIVersions`.
type APIVersions []string

// Has tells whether the cluster has a version of an API: without a cluster, those that every cluster has.
func (v APIVersions) Has(name string) bool {
	for _, each := range v {
		if each == name {
			return true
		}
	}
	return false
}

func newCapabilities(version string, apiVersions []string, chart Metadata) (map[string]interface{}, error) {
	parsed, err := semver.NewVersion(version)
	if err != nil {
		return nil, fmt.Errorf("-kube-version %s: %w", version, err)
	}
	if chart.KubeVersion != "" {
		constraint, err := semver.NewConstraint(chart.KubeVersion)
		if err != nil {
			return nil, fmt.Errorf("Chart.yaml: kubeVersion: %w", err)
		}
		if !constraint.Check(parsed) {
			return nil, fmt.Errorf("the chart requires kubeVersion %s, which v%s is not", chart.KubeVersion, parsed)
		}
	}
	text := "v" + parsed.String()
	return map[string]interface{}{
		"KubeVersion": KubeVersion{text, fmt.Sprint(parsed.Major()), fmt.Sprint(parsed.Minor()), text},
		"APIVersions": append(APIVersions{
			"v1", "apps/v1", "autoscaling/v2", "batch/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1",
		}, apiVersions...),
	}, nil
}
