package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"sekisho/internal/limit"
)

// A configError says where in the file something is wrong.
type configError struct {
	file string
	line int
	key  string
	text string
}

func (e *configError) Error() string {
	if e.key == "" {
		return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.file, e.line, e.key, e.text)
}

// configFile is the file as text, for error messages that name a line.
type configFile struct {
	name  string
	lines map[string]int // by path: "listeners[0].zone"
	// values are how many were looked at, anchors written out.
	values int
	// sum is the SHA-256 of the file as it was read, for the audit.
	sum string
}

func (f *configFile) errorf(path, format string, args ...any) error {
	line := 1
	// The nearest place that stands in the file: a missing key is reported
	// where its parent begins.
	for p := path; p != ""; {
		if l, ok := f.lines[p]; ok {
			line = l
			break
		}
		i := strings.LastIndexAny(p, ".[")
		if i < 0 {
			break
		}
		p = p[:i]
	}
	return &configError{file: f.name, line: line, key: path, text: fmt.Sprintf(format, args...)}
}

// loadConfig reads and checks FILE. Its error is what the administrator reads:
// FILE:LINE: key: what is wrong; did you mean ...
func loadConfig(name string) (*config, *configFile, error) {
	raw, err := readConfig(name)
	if err != nil {
		return nil, nil, err
	}
	doc, err := parseYAML(name, raw)
	if err != nil {
		return nil, nil, err
	}
	f := &configFile{name: name, lines: map[string]int{}, sum: fmt.Sprintf("%x", sha256.Sum256(raw))}
	if err := f.check(doc, reflect.TypeOf(config{}), ""); err != nil {
		return nil, nil, err
	}
	// Domains stand in values, never in keys: viper lower-cases keys and would
	// split them at a dot.
	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(raw)); err != nil {
		return nil, nil, &configError{file: name, line: 1, key: "yaml", text: err.Error()}
	}
	c := defaults()
	hook := viper.DecodeHook(mapstructure.DecodeHookFuncType(decodeScalar))
	exact := func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput, d.ErrorUnused = false, true }
	if err := v.UnmarshalExact(c, hook, exact); err != nil {
		return nil, nil, &configError{file: name, line: 1, key: "yaml", text: strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	return c, f, nil
}

// check walks the file beside the type it will be decoded into and refuses
// unknown keys, repeated keys and wrong types, each with its line.
func (f *configFile) check(n *yaml.Node, t reflect.Type, path string) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	f.lines[path] = n.Line
	fail := func(format string, args ...any) error { return f.errorf(path, format, args...) }
	if f.values++; f.values > maxConfigValues {
		return fail("more than %d values, anchors written out", maxConfigValues)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return fail("a tag (%s) says what a value is; write the value alone", n.Tag)
	}
	switch t {
	case reflect.TypeOf(limitValues{}):
		return f.checkLimits(n, path)
	case reflect.TypeOf(steps{}):
		if n.Kind != yaml.ScalarNode && n.Kind != yaml.SequenceNode {
			return fail("want a step such as rebuild, or a list of steps")
		}
		return nil
	case reflect.TypeOf(byteSize(0)), reflect.TypeOf(duration(0)), reflect.TypeOf(percent(0)):
		if n.Kind != yaml.ScalarNode {
			return fail("want one value")
		}
		if _, err := decodeScalar(reflect.TypeOf(""), t, n.Value); err != nil {
			return fail("%v", err)
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			return nil
		}
		if n.Kind != yaml.MappingNode {
			return fail("want keys below it, got %s", got(n))
		}
		fields := map[string]reflect.Type{}
		var names []string
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("mapstructure")
			fields[name] = t.Field(i).Type
			names = append(names, name)
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, val := n.Content[i], n.Content[i+1]
			key := join(path, k.Value)
			f.lines[key] = k.Line
			ft, ok := fields[k.Value]
			if !ok {
				return f.errorf(key, "unknown key%s", suggest(k.Value, names))
			}
			if seen[k.Value] {
				return f.errorf(key, "stands twice")
			}
			seen[k.Value] = true
			if err := f.check(val, ft, key); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			return nil
		}
		if n.Kind != yaml.SequenceNode {
			if e := t.Elem(); e.Kind() == reflect.Struct {
				return fail("want a list, such as [{ %s: ... }]", e.Field(0).Tag.Get("mapstructure"))
			}
			if n.Kind != yaml.ScalarNode {
				return fail("want a list of words")
			}
			return fail("want a list, such as [%q]", n.Value)
		}
		for i, e := range n.Content {
			if err := f.check(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.String:
		if n.Kind != yaml.ScalarNode {
			return fail("want text")
		}
		// YAML reads off, on, yes and no as booleans; the settings that have
		// them are words.
		if n.Tag != "!!str" && n.Tag != "!!bool" && n.Tag != "!!null" {
			return fail("want text, got %s; put it in quotes", n.Value)
		}
		return nil
	case reflect.Bool:
		if n.Tag != "!!bool" {
			return fail("want true or false, got %q", n.Value)
		}
		return nil
	case reflect.Int:
		if n.Tag != "!!int" {
			return fail("want a number, got %q", n.Value)
		}
		return nil
	default:
		return fail("cannot be set")
	}
}

// checkLimits is check for the limits, which are known by their table.
func (f *configFile) checkLimits(n *yaml.Node, path string) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return f.errorf(path, "want keys below it, got %s", got(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		key := join(path, k.Value)
		f.lines[key] = k.Line
		r, ok := limit.Find(key)
		switch {
		case !ok || !r.Set():
			return f.errorf(key, "unknown key%s", suggest(k.Value, limit.Keys(path)))
		case seen[k.Value]:
			return f.errorf(key, "stands twice")
		case val.Kind != yaml.ScalarNode:
			return f.errorf(key, "want one value")
		}
		seen[k.Value] = true
		if _, err := r.Parse(val.Value); err != nil {
			return f.errorf(key, "%v", err)
		}
	}
	return nil
}

// got shows a value in an error; of a list or keys there is nothing to show.
func got(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// decodeScalar turns the text form of a scalar into its value.
func decodeScalar(from, to reflect.Type, v any) (any, error) {
	text := fmt.Sprint(v)
	switch to {
	case reflect.TypeOf(byteSize(0)):
		n, err := limit.ParseUnit(limit.Bytes, text)
		return byteSize(n), err
	case reflect.TypeOf(duration(0)):
		n, err := limit.ParseUnit(limit.Time, text)
		return duration(n), err
	case reflect.TypeOf(percent(0)):
		n, err := limit.ParseUnit(limit.Percent, text)
		return percent(n), err
	case reflect.TypeOf(steps{}):
		if from.Kind() == reflect.String {
			return steps{v.(string), following}, nil
		}
	}
	if to.Kind() == reflect.String && from.Kind() == reflect.Bool {
		if v.(bool) {
			return "on", nil
		}
		return "off", nil
	}
	return v, nil
}

// suggest names the nearest word, when one is near.
func suggest(got string, words []string) string {
	best, at := "", 3
	for _, w := range words {
		if d := editDistance(got, w); d < at {
			best, at = w, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	sort.Strings(words)
	return "; known here: " + strings.Join(words, ", ")
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}
