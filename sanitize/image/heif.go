package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"sekisho/sanitize"
)

// HEIF writes HEIC and AVIF pictures, which phones take, as JPEG. Their codecs
// are C++ of others: they run in a sandbox of their own, and what comes back is
// treated like any JPEG that strangers sent.
type HEIF struct{}

// Sanitize writes the picture in to out as JPEG.
func (HEIF) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	file, err := io.ReadAll(in.Reader())
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("read HEIF: %w", err)
	}
	if onePicture(file) {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the main picture of several stays"})
	}
	b, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.HEIFJPEG, Size: in.Size}, bytes.NewReader(file))
	if err != nil {
		return sanitize.Result{}, err
	}
	upright(b)
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared = bytes.NewReader(b), int64(len(b)), nil, "", ""
	res, err := s.Instead(ctx, in, sanitize.KindJPEG, out)
	if err != nil {
		return sanitize.Result{}, err
	}
	res.Mode = sanitize.Convert
	return res, nil
}

// upright says in the Exif of a JPEG that it stands as it is to be seen. The
// container says how a picture lies, and the converter has turned it by that
// (ISO/IEC 23008-12, 6.5.10 and A.2.3: what Exif says of it is not applied); it
// passes on the Exif all the same, and the picture would be turned twice.
func upright(b []byte) {
	for at := 2; at+4 <= len(b) && b[at] == 0xff && b[at+1] != 0xda; {
		end := at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		if end < at+4 || end > len(b) {
			return
		}
		if exif := b[at+4 : end]; b[at+1] == 0xe1 && bytes.HasPrefix(exif, []byte("Exif\x00\x00")) {
			switch o := turnIn(exif[6:]); {
			case o.value <= 1:
			case o.long:
				o.order.PutUint32(exif[6+o.at:], 1)
			default:
				o.order.PutUint16(exif[6+o.at:], 1)
			}
		}
		at = end
	}
}

// onePicture hides every picture of a file but the main one from the converter,
// which would write them all, under other names. It reports whether there were
// more than that one to see. What is no file of this kind stays as it is; the
// converter says so.
func onePicture(b []byte) bool {
	meta := boxIn(b, "meta")
	if len(meta) < 4 {
		return false
	}
	meta = meta[4:]
	be := binary.BigEndian
	pitm, iinf := boxIn(meta, "pitm"), boxIn(meta, "iinf")
	if len(pitm) < 6 || len(iinf) < 6 {
		return false
	}
	main := uint32(be.Uint16(pitm[4:]))
	if pitm[0] > 0 && len(pitm) >= 8 {
		main = be.Uint32(pitm[4:])
	}
	items := iinf[6:]
	if iinf[0] > 0 {
		if len(iinf) < 8 {
			return false
		}
		items = iinf[8:]
	}
	belonging := belongings(boxIn(meta, "iref"))
	more := false
	for n := 0; n < maxBoxes; n++ {
		var body []byte
		if _, body, items = nextBox(items); body == nil {
			break
		}
		// ISO/IEC 14496-12, 8.11.6: version, flags of which the lowest hides the
		// item, its number, a protection, its kind.
		if len(body) < 12 || body[0] < 2 {
			continue
		}
		id, kind := uint32(be.Uint16(body[4:])), body[8:12]
		if body[0] > 2 {
			if len(body) < 14 {
				continue
			}
			id, kind = be.Uint32(body[4:]), body[10:14]
		}
		if id == main || !slices.Contains([]string{"hvc1", "av01", "grid", "iovl", "iden", "jpeg", "avc1"}, string(kind)) {
			continue
		}
		more = more || body[3]&1 == 0 && !belonging[id]
		body[3] |= 1
	}
	return more
}

// belongings are the items that are parts of another picture, or thumbnails,
// depths and the like of one.
func belongings(iref []byte) map[uint32]bool {
	found := map[uint32]bool{}
	if len(iref) < 4 {
		return found
	}
	wide := iref[0] > 0
	number := func(b []byte) (uint32, []byte) {
		switch {
		case wide && len(b) >= 4:
			return binary.BigEndian.Uint32(b), b[4:]
		case !wide && len(b) >= 2:
			return uint32(binary.BigEndian.Uint16(b)), b[2:]
		}
		return 0, nil
	}
	rest := iref[4:]
	for n := 0; n < maxBoxes; n++ {
		var kind string
		var body []byte
		if kind, body, rest = nextBox(rest); body == nil {
			break
		}
		id, to := number(body)
		switch kind {
		case "thmb", "auxl", "cdsc", "prem":
			found[id] = true
		case "dimg":
			if len(to) < 2 {
				continue
			}
			for to = to[2:]; len(to) > 0; {
				if id, to = number(to); to != nil {
					found[id] = true
				}
			}
		}
	}
	return found
}

// nextBox takes the first box off b (ISO/IEC 14496-12, 4.2); without one, body
// is nil.
func nextBox(b []byte) (kind string, body, rest []byte) {
	if len(b) < 8 {
		return "", nil, nil
	}
	size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
	switch size {
	case 0:
		size = uint64(len(b))
	case 1:
		if len(b) < 16 {
			return "", nil, nil
		}
		size, head = binary.BigEndian.Uint64(b[8:]), 16
	}
	if size < head || size > uint64(len(b)) {
		return "", nil, nil
	}
	return string(b[4:8]), b[head:size:size], b[size:]
}

// boxIn is the body of the first box of a kind, nil without one.
func boxIn(b []byte, kind string) []byte {
	for n := 0; n < maxBoxes; n++ {
		k, body, rest := nextBox(b)
		if body == nil {
			return nil
		}
		if k == kind {
			return body
		}
		b = rest
	}
	return nil
}
