package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// binaries is the folder with the three programs, built as they ship.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "sekisho-cli-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		// The worker runs as nobody and must be able to execute it.
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		build := exec.Command("go", "build", "-trimpath", "-o", dir, "sekisho/cmd/sekishod", "sekisho/cmd/sekisho", "sekisho/cmd/sekisho-sanitizer")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		binaries = dir
		return m.Run()
	}())
}

type answered struct {
	out, err string
	status   int
}

// program runs the real program in folder dir.
func program(t *testing.T, dir, locale string, args ...string) answered {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(binaries, "sekisho"), args...)
	c.Dir = dir
	c.Env = []string{"LC_ALL=" + locale, "SEKISHO_SOCKET=" + filepath.Join(dir, "none.sock"), "PATH=/usr/bin:/bin"}
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("sekisho %s: %v", strings.Join(args, " "), err)
	}
	return answered{out.String(), stderr.String(), c.ProcessState.ExitCode()}
}

// inside runs the command in this process; nothing that needs a worker works.
func inside(ja bool, args ...string) answered {
	var out, stderr bytes.Buffer
	status := run(context.Background(), &ui{out: &out, err: &stderr, ja: ja}, args)
	return answered{out.String(), stderr.String(), status}
}

// everyCommand gives the arguments that lead to each command.
func everyCommand() [][]string {
	var all [][]string
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		all = append(all, path)
		for _, s := range c.Commands() {
			walk(s, append(path[:len(path):len(path)], s.Name()))
		}
	}
	walk(rootCommand(&ui{}), nil)
	return all
}

func hasJapanese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x3040 && r < 0xa000 })
}
