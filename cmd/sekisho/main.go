// Sekisho is the administrators' command line: it asks a running gateway over
// its unix socket, and makes local files harmless in the same isolated worker
// that the gateway uses. It parses no document itself.
//
// Everything it says it says in Japanese or in English, by the locale. What
// each command means stands beside it; what the gateway says arrives in
// English and is worded anew by words.go and known.go.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho/admin/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	os.Exit(run(ctx, newUI(), os.Args[1:]))
}

func run(ctx context.Context, u *ui, args []string) int {
	root := rootCommand(u)
	root.SetArgs(args)
	root.SetOut(u.out)
	root.SetErr(u.err)
	cmd, err := root.ExecuteContextC(ctx)
	u.report(err)
	if errors.Is(err, errUsage) {
		u.hint(u.tr("使い方: ", "usage: ") + usageLine(cmd) + u.tr("（詳しくは --help）", " (more by --help)"))
	}
	return exitStatus(err)
}

// globals are the options that every command has.
type globals struct {
	options *pflag.FlagSet
	socket  string
	tenant  string
}

// standardSocket is where a gateway with the standard data_dir listens.
const standardSocket = "/var/lib/sekisho/admin.sock"

// client asks the gateway on the socket that the option, else the environment
// names.
func (g *globals) client() *client.Client {
	if s := os.Getenv("SEKISHO_SOCKET"); s != "" && !g.options.Changed("socket") {
		return client.New(s)
	}
	return client.New(g.socket)
}

// command builds a command. use names its arguments and options; long says
// more than the title, in paragraphs; statuses are those it may end with.
func command(u *ui, use string, title, long text, statuses string, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: u.pick(title), Long: u.pick(long), RunE: run,
		SilenceUsage: true, SilenceErrors: true, DisableFlagsInUseLine: true,
		Annotations: map[string]string{annotationStatuses: statuses},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return u.flagError(err) })
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { u.help(c) })
	return c
}

// flagError words what pflag found wrong.
func (u *ui) flagError(err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		c, _ := utf8.DecodeRuneInString(unknown.GetSpecifiedName())
		return u.usage("-%c というオプションはありません", "unknown option -%c", c)
	case errors.As(err, &unknown):
		return u.usage("--%s というオプションはありません", "unknown option --%s", unknown.GetSpecifiedName())
	case errors.As(err, &missing):
		return u.usage("--%s には値が必要です", "--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		want := map[string]text{
			"bool":     {"true または false ", "true or false"},
			"int":      {"数", "a number"},
			"duration": {"時間（例: 30s、5m）", "a time such as 30s or 5m"},
		}[invalid.GetFlag().Value.Type()]
		return u.usage("--%s の値 %q は使えません。%sを指定してください", "--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), u.pick(want))
	default:
		return u.usage("オプションの書き方が違います: %s", "wrong option: %s", err)
	}
}

func rootCommand(u *ui) *cobra.Command {
	g := &globals{}
	root := group(u, "sekisho", text{"メールゲートウェイ関所の管理コマンド", "administrators' command of the mail gateway Sekisho"},
		text{
			"動作中のゲートウェイに管理ソケットを通じて指示し、手元のファイルを無害化します。\n" +
				"表示の言語は LC_ALL、LC_MESSAGES、LANG で決まります。",
			"Asks a running gateway over its admin socket, and makes local files harmless.\n" +
				"The language is chosen by LC_ALL, LC_MESSAGES and LANG.",
		}, "012345",
		sanitizeCommand(u), inspectCommand(u),
		quarantineCommand(u, g), queueCommand(u, g), traceCommand(u, g), routeCommand(u, g), recipientsCommand(u, g), tenantCommand(u, g), accountCommand(u, g), auditCommand(u, g),
		configCommand(u), initCommand(u), doctorCommand(u, g), versionCommand(u))
	root.CompletionOptions.DisableDefaultCmd = true
	fs := root.PersistentFlags()
	g.options = fs
	fs.BoolVar(&u.json, "json", false, u.tr("結果を 1 行に 1 つの JSON で出力する", "print results as JSON, one object a line"))
	fs.StringVar(&g.socket, "socket", standardSocket, u.tr("管理ソケット。SEKISHO_SOCKET でも指定できる", "the admin socket; also by SEKISHO_SOCKET"))
	fs.StringVar(&g.tenant, "tenant", "", u.tr("この団体だけを対象にする", "look at this tenant only"))
	fs.BoolP("help", "h", false, u.tr("この説明を表示する", "show this help"))
	argument(fs, "socket", "PATH")
	argument(fs, "tenant", "ID")
	help := command(u, "help [COMMAND...]", text{"コマンドの説明を表示する", "show the help of a command"}, text{}, "02", func(cmd *cobra.Command, args []string) error {
		c := cmd.Root()
		for _, name := range args {
			i := -1
			for j, s := range c.Commands() {
				if s.Name() == name {
					i = j
				}
			}
			if i < 0 {
				return u.unknownCommand(c, name)
			}
			c = c.Commands()[i]
		}
		u.help(c)
		return nil
	})
	root.SetHelpCommand(help)
	return root
}

// group is a command that only has others below it; without one it is wrong
// usage, not a silent help page with status 0.
func group(u *ui, use string, title, long text, statuses string, sub ...*cobra.Command) *cobra.Command {
	c := command(u, use, title, long, statuses, func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return u.unknownCommand(cmd, args[0])
		}
		return u.usage("%s の後にコマンドが必要です: %s", "%s needs a command: %s", cmd.CommandPath(), strings.Join(names(cmd), ", "))
	})
	c.Args = cobra.ArbitraryArgs
	c.AddCommand(sub...)
	return c
}

func names(c *cobra.Command) []string {
	var names []string
	for _, s := range c.Commands() {
		names = append(names, s.Name())
	}
	return names
}

func (u *ui) unknownCommand(c *cobra.Command, arg string) error {
	t := &told{kind: errUsage, text: safe(c.CommandPath()+" "+cut(arg, 40)) + u.tr(": そのコマンドはありません", ": unknown command")}
	c.SuggestionsMinimumDistance = 2
	if like := c.SuggestionsFor(arg); len(like) > 0 {
		t.text += u.tr("。もしかして: ", "; did you mean ") + strings.Join(like, u.tr("、", ", ")) + u.tr("", "?")
	} else {
		t.text += u.tr("。使えるもの: ", "; known: ") + strings.Join(names(c), u.tr("、", ", "))
	}
	return t
}

// beside finds another of our binaries: beside this one, or in libexec.
func (u *ui) beside(name string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", u.failure("%s を探せません: %s", "cannot look for %s: %s", name, u.system(err))
	}
	dir := filepath.Dir(self)
	for _, p := range []string{filepath.Join(dir, name), filepath.Join(dir, "..", "libexec", name), filepath.Join(dir, "..", "libexec", "sekisho", name)} {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", &told{
		text: u.tr(name+" が "+dir+" にも libexec にもありません", name+" is neither in "+dir+" nor in libexec"),
		hint: u.tr("三つのプログラムを同じ場所に置き直してください", "install the three programs together"),
	}
}

// exactly wants n arguments; what names them.
func exactly(u *ui, n int, what text) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == n:
			return nil
		case n == 0:
			return u.usage("%s には引数がありません", "%s takes no arguments", cmd.CommandPath())
		default:
			return u.usage("%s には%sが必要です", "%s wants %s", cmd.CommandPath(), u.pick(what))
		}
	}
}
