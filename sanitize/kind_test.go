package sanitize_test

import (
	"testing"

	"sekisho/sanitize"
)

func TestAFileKeepsAnExtensionOfItsKind(t *testing.T) {
	for _, c := range []struct {
		kind       sanitize.Kind
		name, want string
	}{
		{sanitize.KindTIFF, "受信.tiff", "受信.tiff"},
		{sanitize.KindTIFF, "受信.TIF", "受信.TIF"},
		{sanitize.KindJPEG, "IMG_0001.JPG", "IMG_0001.JPG"},
		{sanitize.KindDOCX, "見積.Docx", "見積.Docx"},
		{sanitize.KindDOCX, "見積.DOCM", "見積.docx"},
		{sanitize.KindJPEG, "a.jpg.JPG", "a.JPG"},
		{sanitize.KindJPEG, "写真.jfif", "写真.jfif"},
		{sanitize.KindJPEG, "写真.png", "写真.jpg"},
		{sanitize.KindHTML, "頁.htm", "頁.htm"},
		{sanitize.KindPNG, "図", "図.png"},
	} {
		if got := c.kind.FileName(c.name); got != c.want {
			t.Errorf("%s of kind %s goes out as %s, want %s", c.name, c.kind, got, c.want)
		}
	}
}
