package main

import (
	"encoding/base64"
	"path"
	"strings"
)

// Files is `.Files`: what lies in the chart besides templates.
type Files map[string][]byte

// Get is a file's text, or nothing.
func (f Files) Get(name string) string { return string(f[name]) }

// GetBytes is a file's content, or nothing.
func (f Files) GetBytes(name string) []byte { return f[name] }

// Lines is a file's text by lines.
func (f Files) Lines(name string) []string {
	return strings.Split(strings.TrimSuffix(string(f[name]), "\n"), "\n")
}

// Glob is the files whose path matches.
func (f Files) Glob(pattern string) Files {
	found := Files{}
	for name, content := range f {
		if ok, _ := path.Match(pattern, name); ok {
			found[name] = content
		}
	}
	return found
}

// AsConfig is the files as `data` of a ConfigMap.
func (f Files) AsConfig() string {
	data := map[string]string{}
	for name, content := range f {
		data[path.Base(name)] = string(content)
	}
	return toYAML(data)
}

// AsSecrets is the files as `data` of a Secret.
func (f Files) AsSecrets() string {
	data := map[string]string{}
	for name, content := range f {
		data[path.Base(name)] = base64.StdEncoding.EncodeToString(content)
	}
	return toYAML(data)
}
