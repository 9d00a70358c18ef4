package zipstrict

import (
	"testing"

	"golang.org/x/text/cases"
)

func TestEveryLetterFoldsAsUnicodeSays(t *testing.T) {
	whole := cases.Fold()
	for r := rune(0); r <= 0x10ffff; r++ {
		// QUIRK: x/text folds the capitals of Cherokee to small letters and
		// those to capitals, so that the two never meet.
		if 0x13a0 <= r && r <= 0x13f5 {
			continue
		}
		if s := string(r); fold(s) != whole.String(s) {
			t.Errorf("%U: %+q, want %+q", r, fold(s), whole.String(s))
		}
	}
	if fold("\u13a0") != fold("\uab70") || fold("\u13a0") != "\u13a0" {
		t.Errorf("%+q and %+q", fold("\u13a0"), fold("\uab70"))
	}
	const s = "Straße ＦＵＬＬ ǅ İstanbul ΣΑΣ.docx"
	if fold(s) != whole.String(s) {
		t.Errorf("%+q, want %+q", fold(s), whole.String(s))
	}
}
