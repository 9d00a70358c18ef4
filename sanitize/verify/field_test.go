package verify

import (
	"testing"

	"sekisho/internal/fieldcode"
)

// FuzzInstruction holds the two readers of field codes against each other: what
// the writers keep, the second look lets pass. The other way round it may be
// stricter than they are, never laxer by an argument that one of them does not
// see: both find the same target.
func FuzzInstruction(f *testing.F) {
	for _, s := range []string{
		`HYPERLINK "#a:b"`, `HYPERLINK"#a:b"`, `HYPERLINK \l "a" \o "say \"b\""`, `HYPERLINK http://x\o "b"`, `HYPERLINK "http://x/%zz" \t _blank`, `PAGE \* MERGEFORMAT`, `HYPERLINK “http://x” \o "“b"`,
		`"PAGE`, `\\PAGE x`, `HYPERLINK \`, `HYPERLINK #\`, `HYPERLINK \o "a” \t "\\x" http://x`, "\u3000HYPERLINK\u00a0\"mailto:a@b?subject=c\"", `TOC "DDE`, ` `,
		`HYPERLINK mailto:a@b??subject=c`, "HYPERLINK\u00a0mAilto:??", `=SUM(ABOVE) \# "#,##0"`, "\u2003=A1*2\u2003", `= if ( a , 1;2 ) \* Upper`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		if why := fieldcode.Verdict(code, false); why == "" {
			if err := instruction(code); err != nil {
				t.Fatalf("%q stays, and then: %v", code, err)
			}
		}
	})
}
