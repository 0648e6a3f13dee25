package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

// maxDepth is how deep `include` may nest, as in Helm.
const maxDepth = 1000

// Render executes every template but the partial ones, and tells what each became, by path.
func Render(chart *Chart, scope map[string]interface{}, cluster Cluster) (map[string]string, error) {
	root := template.New("gotpl").Option("missingkey=zero")
	root.Funcs(functions(root, cluster))
	var paths []string
	for name := range chart.Templates {
		paths = append(paths, name)
	}
	sort.Strings(paths)
	for _, name := range paths {
		if _, err := root.New(name).Parse(chart.Templates[name]); err != nil {
			return nil, fmt.Errorf("parse error at (%s): %w", name, err)
		}
	}
	rendered := map[string]string{}
	for _, name := range paths {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		data := map[string]interface{}{
			"Template": map[string]interface{}{"Name": name, "BasePath": chart.path("templates")},
		}
		for key, value := range scope {
			data[key] = value
		}
		text, err := execute(root, name, data)
		if err != nil {
			return nil, fmt.Errorf("execution error at (%s): %w", name, err)
		}
		rendered[name] = text
	}
	return rendered, nil
}

// execute executes one template. What is missing is nothing: text/template would print `<no value>`.
func execute(root *template.Template, name string, data interface{}) (string, error) {
	var text strings.Builder
	err := root.ExecuteTemplate(&text, name, data)
	return strings.ReplaceAll(text.String(), "<no value>", ""), err
}

// functions is sprig without what reads the environment, and with what Helm adds.
func functions(root *template.Template, cluster Cluster) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	depth := 0
	helm := template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			if depth >= maxDepth {
				return "", fmt.Errorf("%s: included more than %d deep", name, maxDepth)
			}
			depth++
			defer func() { depth-- }()
			return execute(root, name, data)
		},
		"tpl": func(text string, data interface{}) (string, error) {
			clone, err := root.Clone()
			if err != nil {
				return "", err
			}
			clone.Funcs(functions(clone, cluster))
			if _, err := clone.New("tpl").Parse(text); err != nil {
				return "", err
			}
			return execute(clone, "tpl", data)
		},
		"required": func(message string, value interface{}) (interface{}, error) {
			if text, isText := value.(string); value == nil || isText && text == "" {
				return nil, fmt.Errorf("%s", message)
			}
			return value, nil
		},
		"fail":          func(message string) (string, error) { return "", fmt.Errorf("%s", message) },
		"lookup":        cluster.lookup,
		"toYaml":        toYAML,
		"mustToYaml":    func(value interface{}) (string, error) { return marshalYAML(value) },
		"fromYaml":      func(text string) map[string]interface{} { return fromText(text, yaml.Unmarshal) },
		"fromYamlArray": func(text string) []interface{} { return listFromText(text, yaml.Unmarshal) },
		"toJson": func(value interface{}) string {
			text, _ := json.Marshal(value)
			return string(text)
		},
		"fromJson":      func(text string) map[string]interface{} { return fromText(text, unmarshalJSON) },
		"fromJsonArray": func(text string) []interface{} { return listFromText(text, unmarshalJSON) },
	}
	for name, function := range helm {
		all[name] = function
	}
	return all
}

func toYAML(value interface{}) string {
	text, _ := marshalYAML(value)
	return text
}

func marshalYAML(value interface{}) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}

type unmarshal func([]byte, interface{}, ...yaml.JSONOpt) error

func unmarshalJSON(text []byte, value interface{}, _ ...yaml.JSONOpt) error {
	return json.Unmarshal(text, value)
}

// fromText reads a map. Like Helm it hands an error to the template, under the key `Error`.
func fromText(text string, read unmarshal) map[string]interface{} {
	value := map[string]interface{}{}
	if err := read([]byte(text), &value); err != nil {
		value["Error"] = err.Error()
	}
	return value
}

func listFromText(text string, read unmarshal) []interface{} {
	value := []interface{}{}
	if err := read([]byte(text), &value); err != nil {
		value = []interface{}{err.Error()}
	}
	return value
}

// Cluster is the objects that `lookup` finds.
type Cluster []map[string]interface{}

func readCluster(name string) (Cluster, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var cluster Cluster
	for _, document := range strings.Split(string(text), "\n---") {
		object := map[string]interface{}{}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cluster = append(cluster, object)
	}
	return cluster, nil
}

// lookup finds one object by its name.
func (c Cluster) lookup(apiVersion, kind, namespace, name string) (map[string]interface{}, error) {
	if name == "" {
		return nil, fmt.Errorf("lookup of a whole kind is not known here")
	}
	for _, object := range c {
		metadata, _ := object["metadata"].(map[string]interface{})
		isKind := object["apiVersion"] == apiVersion && object["kind"] == kind
		if isKind && metadata["namespace"] == namespace && metadata["name"] == name {
			return object, nil
		}
	}
	return map[string]interface{}{}, nil
}
