// Sekisho is the administrators' command line: it asks a running gateway over
// its unix socket, and makes local files harmless in the same isolated worker
// that the gateway uses. It parses no document itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	u := newUI()
	root := rootCommand(u)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errShown) {
		fmt.Fprintf(u.err, "sekisho: %s\n", u.explain(err))
		if errors.Is(err, client.ErrRunning) {
			fmt.Fprintf(u.err, "%s\n", u.tr("別のソケットは --socket または SEKISHO_SOCKET で指定します", "another socket is named by --socket or SEKISHO_SOCKET"))
		}
		if errors.Is(err, errUsage) {
			fmt.Fprintf(u.err, "%s\n", u.tr("使い方は sekisho COMMAND --help で見られます", "sekisho COMMAND --help shows the usage"))
		}
	}
	return exitStatus(err)
}

// explain puts the kind of an error into the reader's language, before what it
// says in detail.
func (u *ui) explain(err error) string {
	text := safe(err.Error())
	if !u.ja {
		return text
	}
	switch {
	case errors.Is(err, client.ErrNotFound):
		return "見つかりません: " + text
	case errors.Is(err, client.ErrNotAllowed):
		return "許可されていません: " + text
	case errors.Is(err, client.ErrRunning):
		return "ゲートウェイが応答しません: " + text
	case errors.Is(err, errUsage), errors.Is(err, client.ErrUsage):
		return "使い方が違います: " + text
	default:
		return text
	}
}

type globals struct {
	socket string
	tenant string
}

func (g *globals) client() *client.Client { return client.New(g.socket) }

// command builds a command whose help says what each exit status means.
func command(u *ui, use, ja, en, long string, status string, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: u.tr(ja, en), RunE: run, SilenceUsage: true, SilenceErrors: true}
	c.Long = c.Short
	if long != "" {
		c.Long += "\n\n" + long
	}
	c.Long += "\n\nEXIT STATUS\n" + u.status(status)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", err, errUsage) })
	return c
}

// status explains the statuses named in s, "0135".
func (u *ui) status(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch c {
		case '0':
			b.WriteString(u.tr("  0  完了", "  0  done"))
		case '1':
			b.WriteString(u.tr("  1  失敗", "  1  failed"))
		case '2':
			b.WriteString(u.tr("  2  使い方または設定の誤り", "  2  wrong usage or configuration"))
		case '3':
			b.WriteString(u.tr("  3  完了したが、不可のファイルまたは保留のメールがある", "  3  done, but at least one file was refused or one message is held"))
		case '4':
			b.WriteString(u.tr("  4  見つからない", "  4  not found"))
		case '5':
			b.WriteString(u.tr("  5  許可されていない", "  5  not allowed"))
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

func rootCommand(u *ui) *cobra.Command {
	g := &globals{}
	root := command(u, "sekisho", "メールゲートウェイ関所の管理コマンド", "administrators' command of the mail gateway Sekisho", "", "012345", nil)
	root.RunE = nil
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().BoolVar(&u.json, "json", false, u.tr("1 行に 1 つの JSON で出力", "one JSON object a line"))
	root.PersistentFlags().StringVar(&g.socket, "socket", defaultSocket(), u.tr("管理ソケットのパス", "path of the admin socket"))
	root.PersistentFlags().StringVar(&g.tenant, "tenant", "", u.tr("この団体だけを対象にする", "look at this tenant only"))
	root.AddCommand(
		sanitizeCommand(u), inspectCommand(u),
		quarantineCommand(u, g), queueCommand(u, g), routeCommand(u, g), accountCommand(u, g), auditCommand(u, g),
		configCommand(u), doctorCommand(u, g), versionCommand(u),
	)
	return root
}

// group is a command that only has others below it; without one it is wrong
// usage, not a silent help page with status 0.
func group(u *ui, use, ja, en string, sub ...*cobra.Command) *cobra.Command {
	c := command(u, use, ja, en, "", "02", func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, s := range cmd.Commands() {
			names = append(names, s.Name())
		}
		if len(args) > 0 {
			return fmt.Errorf("%s %s: unknown command; known: %s: %w", cmd.Name(), args[0], strings.Join(names, ", "), errUsage)
		}
		return fmt.Errorf("%s needs one of: %s: %w", cmd.Name(), strings.Join(names, ", "), errUsage)
	})
	c.AddCommand(sub...)
	return c
}

func defaultSocket() string {
	if s := os.Getenv("SEKISHO_SOCKET"); s != "" {
		return s
	}
	return "/var/lib/sekisho/admin.sock"
}

// beside finds another of our binaries: beside this one, or in libexec.
func beside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	dir := filepath.Dir(self)
	for _, p := range []string{filepath.Join(dir, name), filepath.Join(dir, "..", "libexec", name), filepath.Join(dir, "..", "libexec", "sekisho", name)} {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is neither beside %s nor in libexec: reinstall", name, self)
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s wants %s: %w", cmd.CommandPath(), what, errUsage)
		}
		return nil
	}
}
