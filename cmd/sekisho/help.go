package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Where a command and an option keep what the help says of them.
const (
	annotationStatuses = "statuses"
	annotationExample  = "example"
	annotationArgument = "argument"
)

// argument names the value of an option.
func argument(fs *pflag.FlagSet, name, what string) {
	f := fs.Lookup(name)
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[annotationArgument] = []string{what}
}

// A section is one headed part of a help page; the man pages are made of the
// same ones.
type section struct {
	head text
	rows [][2]string // word and meaning
	text string      // or lines
}

// statusWords say what each exit status means.
func statusWords() map[rune]text {
	return map[rune]text{
		'0': {"完了", "done"},
		'1': {"失敗", "failed"},
		'2': {"使い方または設定の誤り", "wrong usage or configuration"},
		'3': {"完了。ただし不可のファイルまたは保留のメールがある", "done, but at least one file was refused or one message is held"},
		'4': {"見つからない", "not found"},
		'5': {"許可されていない", "not allowed"},
	}
}

func usageLine(c *cobra.Command) string {
	line := c.Use
	if c.HasParent() {
		line = c.Parent().CommandPath() + " " + c.Use
	}
	if c.HasAvailableSubCommands() {
		line += " COMMAND"
	}
	return line
}

// sections are the parts of a command's help.
func (u *ui) sections(c *cobra.Command) []section {
	ss := []section{{head: text{"使い方", "USAGE"}, text: usageLine(c)}}
	if c.Long != "" {
		ss = append(ss, section{head: text{"説明", "DESCRIPTION"}, text: c.Long})
	}
	if c.HasAvailableSubCommands() {
		s := section{head: text{"コマンド", "COMMANDS"}}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				s.rows = append(s.rows, [2]string{sub.Name(), sub.Short})
			}
		}
		ss = append(ss, s)
	}
	// Global options are the root's; below it they are inherited.
	own, global := c.LocalNonPersistentFlags(), c.InheritedFlags()
	if !c.HasParent() {
		global = c.PersistentFlags()
	}
	for _, o := range []struct {
		head text
		fs   *pflag.FlagSet
	}{{text{"オプション", "OPTIONS"}, own}, {text{"共通オプション", "GLOBAL OPTIONS"}, global}} {
		if rows := u.options(o.fs); len(rows) > 0 {
			ss = append(ss, section{head: o.head, rows: rows})
		}
	}
	s := section{head: text{"終了ステータス (EXIT STATUS)", "EXIT STATUS"}}
	for _, d := range c.Annotations[annotationStatuses] {
		s.rows = append(s.rows, [2]string{string(d), u.pick(statusWords()[d])})
	}
	ss = append(ss, s)
	if e := c.Annotations[annotationExample]; e != "" {
		ss = append(ss, section{head: text{"例", "EXAMPLES"}, text: e})
	}
	return ss
}

func (u *ui) options(fs *pflag.FlagSet) [][2]string {
	var rows [][2]string
	fs.VisitAll(func(f *pflag.Flag) {
		word := "--" + f.Name
		if f.Shorthand != "" {
			word = "-" + f.Shorthand + ", " + word
		}
		if a := f.Annotations[annotationArgument]; len(a) > 0 {
			word += " " + a[0]
		}
		meaning := f.Usage
		switch f.DefValue {
		case "", "false", "-1", "[]":
		default:
			meaning += fmt.Sprintf(u.tr("（既定値: %s）", " (default %s)"), strings.TrimSuffix(f.DefValue, "0s"))
		}
		rows = append(rows, [2]string{word, meaning})
	})
	return rows
}

// help writes the help of a command.
func (u *ui) help(c *cobra.Command) {
	u.line("%s - %s", c.CommandPath(), c.Short)
	for _, s := range u.sections(c) {
		u.line("\n%s", u.pick(s.head))
		wide := 0
		for _, r := range s.rows {
			wide = max(wide, textColumns(r[0]))
		}
		for _, r := range s.rows {
			u.line("  %s  %s", pad(r[0], wide), r[1])
		}
		if s.text != "" {
			for _, l := range strings.Split(s.text, "\n") {
				u.line("%s", strings.TrimRight("  "+l, " "))
			}
		}
	}
}

// example gives a command lines that show it at work.
func example(c *cobra.Command, lines ...string) {
	c.Annotations[annotationExample] = strings.Join(lines, "\n")
}
