package worker

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Fonts is what LibreOffice draws Japanese with here.
type Fonts struct {
	Families []string // that have Japanese, sorted
	Mincho   string   // what stands in for MS Mincho (ＭＳ 明朝); "": none with serifs
	Gothic   string   // what stands in for MS Gothic (ＭＳ ゴシック)
}

// stand-ins in the order in which LibreOffice looks for them, the fonts
// themselves first.
var (
	minchos = []string{"MS Mincho", "ＭＳ 明朝", "MS PMincho", "IPAMincho", "IPA明朝", "IPAPMincho", "IPAexMincho", "IPAex明朝", "Noto Serif CJK JP", "Noto Serif JP", "Takao Mincho"}
	gothics = []string{"MS Gothic", "ＭＳ ゴシック", "MS PGothic", "IPAGothic", "IPAゴシック", "IPAPGothic", "IPAexGothic", "IPAexゴシック", "Noto Sans CJK JP", "Noto Sans JP", "Takao Gothic", "VL Gothic"}
)

// Fonts asks in the sandbox of the tools, which see the fonts of the system.
func (t *Tools) Fonts(ctx context.Context) (Fonts, error) {
	said, err := t.answerOf(ctx, tool{
		name: "fc-list", path: "/usr/bin/fc-list", args: []string{"--format", "%{family}\n", ":lang=ja"}, in: "in.txt", exits: []int{0},
		output: megabyte, cpu: 20 * time.Second,
	})
	if err != nil {
		return Fonts{}, err
	}
	return fontsOf(said), nil
}

func fontsOf(said string) Fonts {
	var f Fonts
	for line := range strings.Lines(said) {
		// Names of one family in several languages stand behind each other.
		for name := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) && !slices.Contains(f.Families, name) {
				f.Families = append(f.Families, name)
			}
		}
	}
	slices.Sort(f.Families)
	first := func(of []string) string {
		for _, name := range of {
			if slices.Contains(f.Families, name) {
				return name
			}
		}
		return ""
	}
	f.Mincho, f.Gothic = first(minchos), first(gothics)
	return f
}
