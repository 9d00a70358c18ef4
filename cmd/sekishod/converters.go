package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho/admin/client"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
)

// converterConfig is a command of the administrator's that makes a PDF of files
// of one kind that nothing here treats.
type converterConfig struct {
	Name    string   `mapstructure:"name"`
	Kind    string   `mapstructure:"kind"`
	Command []string `mapstructure:"command"`
	Paths   []string `mapstructure:"paths"`
	Time    duration `mapstructure:"time"`
	Sample  string   `mapstructure:"sample"`
}

// maxConverters is how many there may be: some for each kind that may have one.
const maxConverters = 64

var converterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$`)

// converters checks the converters of the file.
func (c *config) converters(f *configFile) ([]sanitize.Converter, error) {
	if len(c.Converters) > maxConverters {
		return nil, f.errorf("converters", "more than %d", maxConverters)
	}
	var all []sanitize.Converter
	for i, k := range c.Converters {
		at := fmt.Sprintf("converters[%d]", i)
		if !converterName.MatchString(k.Name) || slices.ContainsFunc(all, func(o sanitize.Converter) bool { return o.Name == k.Name }) {
			return nil, f.errorf(at+".name", "every converter needs a name of its own, of letters, digits, dots and dashes")
		}
		if k.Time == 0 {
			k.Time = duration(30 * time.Second)
		}
		out := sanitize.Converter{Name: k.Name, Kind: sanitize.Kind(k.Kind), Command: k.Command, Paths: k.Paths, Time: time.Duration(k.Time), Sample: k.Sample}
		switch setting, err := out.Check(); {
		case setting == "kind":
			var names []string
			for _, kind := range sanitize.ConverterKinds() {
				names = append(names, string(kind))
			}
			return nil, f.errorf(at+".kind", "no converter may treat %q%s", k.Kind, suggest(k.Kind, names))
		case err != nil:
			return nil, f.errorf(at+"."+setting, "%v", err)
		}
		for _, p := range k.Paths {
			if secret := c.secretIn(f, p); secret != "" {
				return nil, f.errorf(at+".paths", "%s would be shown to the converter with %s", secret, p)
			}
		}
		all = append(all, out)
	}
	return all, nil
}

// chosen are the converters that a profile names; all where it names none.
func chosen(f *configFile, at string, names []string, all []sanitize.Converter) ([]sanitize.Converter, error) {
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
	}
	picked := all
	if names != nil {
		picked = nil
		for i, n := range names {
			j := slices.Index(known, n)
			if j < 0 {
				return nil, f.errorf(fmt.Sprintf("%s[%d]", at, i), "no converter has the name %q%s", n, suggest(n, known))
			}
			picked = append(picked, all[j])
		}
	}
	for i, c := range picked {
		for _, o := range picked[:i] {
			if o.Kind == c.Kind {
				return nil, f.errorf(at, "%s and %s are both for %s; name the one that is to be used", o.Name, c.Name, c.Kind)
			}
		}
	}
	return picked, nil
}

// absentConverters are warnings about programs that are not here. It is no
// error: a configuration may be checked on another machine, and what cannot be
// converted is kept back.
func absentConverters(all []sanitize.Converter) []string {
	var said []string
	for _, c := range all {
		for _, name := range append([]string{c.Command[0]}, c.Paths...) {
			if _, err := os.Stat(name); err != nil {
				said = append(said, fmt.Sprintf("converter %s: %s cannot be found: what needs it is kept back", c.Name, name))
			}
		}
	}
	return said
}

// printConverters writes the converters for `sekisho sanitize`, the same for
// every profile.
func printConverters(w io.Writer, all []sanitize.Converter) int {
	out := json.NewEncoder(w)
	for _, c := range all {
		if err := out.Encode(c); err != nil {
			return exitFailed
		}
	}
	return exitDone
}

// tryConverters has every converter treat its sample, as it would treat a file
// from a mail: recognised, converted, and the PDF rebuilt.
func (g *gateway) tryConverters(ctx context.Context) []client.Check {
	all := g.current.Load().converters
	cs := make([]client.Check, len(all))
	var wait sync.WaitGroup
	for i, c := range all {
		cs[i] = client.Check{Name: "converter " + c.Name, Status: "warn", Detail: "no sample is configured: it was not tried"}
		if c.Sample == "" {
			continue
		}
		wait.Go(func() {
			begin := time.Now()
			if err := g.tryConverter(ctx, c); err != nil {
				cs[i].Status, cs[i].Detail = "fail", err.Error()
				return
			}
			cs[i].Status, cs[i].Detail = "pass", fmt.Sprintf("made a harmless PDF of its sample in %.1f s", time.Since(begin).Seconds())
		})
	}
	wait.Wait()
	return cs
}

func (g *gateway) tryConverter(ctx context.Context, c sanitize.Converter) error {
	in, err := sample(c.Sample)
	if err != nil {
		return err
	}
	defer in.Close()
	o := sanitize.Options{Task: sanitize.TaskFile, ID: "-", Now: time.Now(), Language: "en", FileName: filepath.Base(c.Sample), Limits: g.current.Load().rules.Limits,
		Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassPDF: {Steps: []sanitize.Mode{sanitize.Rebuild, sanitize.Flatten}}}}
	o.UseConverters([]sanitize.Converter{c})
	res, err := g.runner.Run(ctx, o, in)
	if err != nil {
		return err
	}
	if res.Output != nil {
		res.Output.Close()
	}
	switch p := res.Report.Parts; {
	case len(p) == 0:
		return fmt.Errorf("its sample was not treated: %s", res.Refusal)
	case p[0].Kind != c.Kind:
		return fmt.Errorf("its sample is of kind %s by content", p[0].Kind)
	case p[0].Fate != sanitize.Delivered:
		return fmt.Errorf("nothing came of its sample: %s", p[0].Err)
	}
	return nil
}

// sample copies a file into a sealed message.
func sample(name string) (*worker.Message, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("its sample: %w", err)
	}
	defer f.Close()
	m, err := worker.NewMessage("sample", 0)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(m, io.LimitReader(f, sanitize.MaxToolInput+1))
	if err == nil && n > sanitize.MaxToolInput {
		err = fmt.Errorf("more than %d octets", int64(sanitize.MaxToolInput))
	}
	if err == nil {
		err = m.Seal()
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("its sample %s: %w", strings.TrimSpace(name), err)
	}
	return m, nil
}
