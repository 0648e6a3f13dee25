package main

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// installOrder is the order in which Helm makes objects, of the kinds that matter here. Others come last.
var installOrder = []string{
	"PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget", "ServiceAccount",
	"Secret", "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service", "DaemonSet", "Pod", "ReplicaSet", "Deployment",
	"HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob", "Ingress",
}

var separator = regexp.MustCompile(`(?:^|\s*\n)---\s*`)

// Manifest is one object.
type Manifest struct {
	Path, Text, Kind, Name string
	IsHook                 bool
	Weight                 int
}

// SortManifests splits what was rendered into objects: those of the release, then its hooks, each in order.
func SortManifests(rendered map[string]string) ([]Manifest, error) {
	var manifests []Manifest
	for path, text := range rendered {
		if strings.HasSuffix(path, "/NOTES.txt") {
			continue
		}
		for _, document := range separator.Split(text, -1) {
			// A separator right behind another one is still there.
			for strings.HasPrefix(document, "---") {
				document = strings.TrimSpace(strings.TrimPrefix(document, "---"))
			}
			if document = strings.TrimSpace(document); document == "" {
				continue
			}
			manifest, err := newManifest(path, document)
			if err != nil {
				return nil, err
			}
			manifests = append(manifests, manifest)
		}
	}
	sort.SliceStable(manifests, func(i, j int) bool { return manifests[i].before(manifests[j]) })
	return manifests, nil
}

func newManifest(path, text string) (Manifest, error) {
	var head struct {
		APIVersion, Kind string
		Metadata         struct {
			Name        string
			Annotations map[string]string
		}
	}
	// Strictly, that is without duplicate keys.
	var object map[string]interface{}
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		return Manifest{}, fmt.Errorf("YAML parse error on %s: %w\n%s", path, err, text)
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return Manifest{}, fmt.Errorf("YAML parse error on %s: %w\n%s", path, err, text)
	}
	if head.APIVersion == "" || head.Kind == "" || head.Metadata.Name == "" {
		return Manifest{}, fmt.Errorf("%s: an object without apiVersion, kind or name\n%s", path, text)
	}
	manifest := Manifest{Path: path, Text: text, Kind: head.Kind, Name: head.Metadata.Name}
	if _, manifest.IsHook = head.Metadata.Annotations["helm.sh/hook"]; manifest.IsHook {
		if weight, isGiven := head.Metadata.Annotations["helm.sh/hook-weight"]; isGiven {
			var err error
			if manifest.Weight, err = strconv.Atoi(weight); err != nil {
				return Manifest{}, fmt.Errorf("%s: helm.sh/hook-weight: %w", path, err)
			}
		}
	}
	return manifest, nil
}

func (m Manifest) before(other Manifest) bool {
	if m.IsHook != other.IsHook {
		return other.IsHook
	}
	if m.Weight != other.Weight {
		return m.Weight < other.Weight
	}
	if a, b := rank(m.Kind), rank(other.Kind); a != b {
		return a < b
	}
	if m.Name != other.Name {
		return m.Name < other.Name
	}
	return m.Path < other.Path
}

func rank(kind string) int {
	for i, each := range installOrder {
		if each == kind {
			return i
		}
	}
	return len(installOrder)
}
