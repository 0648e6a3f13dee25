package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// readValues merges files and --set texts, each over what came before it.
func readValues(files, sets []string) (map[string]interface{}, error) {
	values := map[string]interface{}{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		more := map[string]interface{}{}
		if err := yaml.Unmarshal(text, &more); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values = merge(values, more)
	}
	for _, text := range sets {
		for _, pair := range split(text, ',') {
			if err := set(values, pair); err != nil {
				return nil, fmt.Errorf("-set %s: %w", text, err)
			}
		}
	}
	return values, nil
}

// merge lays maps over each other; everything else is replaced. A null stays, for coalesce to delete a default with.
func merge(under, over map[string]interface{}) map[string]interface{} {
	result := map[string]interface{}{}
	for key, value := range under {
		result[key] = value
	}
	for key, value := range over {
		below, isMap := result[key].(map[string]interface{})
		if above, ok := value.(map[string]interface{}); ok && isMap {
			result[key] = merge(below, above)
		} else {
			result[key] = value
		}
	}
	return result
}

// coalesce lays values over a chart's defaults. A null deletes a default.
func coalesce(defaults, values map[string]interface{}) map[string]interface{} {
	result := map[string]interface{}{}
	for key, value := range values {
		_, hasDefault := defaults[key]
		if value != nil || !hasDefault {
			result[key] = value
		}
	}
	for key, value := range defaults {
		given, isGiven := values[key]
		below, isMap := value.(map[string]interface{})
		if above, ok := given.(map[string]interface{}); ok && isMap {
			result[key] = coalesce(below, above)
		} else if !isGiven {
			result[key] = value
		}
	}
	return result
}

// set carries out one `key.path=value`. A backslash escapes dots in keys and commas in values; `{a,b}` is a list.
func set(values map[string]interface{}, pair string) error {
	at := strings.Index(pair, "=")
	if at < 0 {
		return fmt.Errorf("%s: there is no =", pair)
	}
	keys := split(pair[:at], '.')
	for i, key := range keys {
		keys[i] = unescape(key)
	}
	for _, key := range keys[:len(keys)-1] {
		inner, ok := values[key].(map[string]interface{})
		if !ok {
			inner = map[string]interface{}{}
			values[key] = inner
		}
		values = inner
	}
	last := keys[len(keys)-1]
	if strings.Contains(last, "[") {
		return fmt.Errorf("%s: items of lists cannot be set here", pair)
	}
	value := pair[at+1:]
	if strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}") {
		items := []interface{}{}
		for _, item := range split(value[1:len(value)-1], ',') {
			items = append(items, typed(item))
		}
		values[last] = items
	} else {
		values[last] = typed(value)
	}
	return nil
}

// unescape removes the backslashes that escape.
func unescape(text string) string { return regexp.MustCompile(`\\(.)`).ReplaceAllString(text, "$1") }

// typed is what `--set` takes a text for.
func typed(text string) interface{} {
	text = unescape(text)
	switch text {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	// A number with a leading zero stays a text.
	if text == "0" || !strings.HasPrefix(text, "0") {
		if number, err := strconv.ParseInt(text, 10, 64); err == nil {
			return number
		}
	}
	return text
}

// split splits at a character that is neither behind a backslash nor in braces. Backslashes stay.
func split(text string, at byte) []string {
	var parts []string
	var part strings.Builder
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			part.WriteByte(c)
			i++
			part.WriteByte(text[i])
			continue
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == at && depth == 0:
			parts = append(parts, part.String())
			part.Reset()
			continue
		}
		part.WriteByte(text[i])
	}
	return append(parts, part.String())
}
