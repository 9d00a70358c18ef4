package sanitize

import (
	"bytes"
	"context"
)

// Drawn makes a picture of a drawing of Windows that stands in a document, where
// the profile wants that. Without one, and when nobody could draw it, it returns
// no picture and leaves no trace: the drawing is rewritten as it is otherwise.
func (s *Session) Drawn(ctx context.Context, in Object) (picture []byte, k Kind) {
	if !s.Options.Drawings {
		return nil, ""
	}
	before := len(s.parts)
	var out bytes.Buffer
	res, err := s.Nested(ctx, in, &out)
	if err != nil || res.Kind != KindPNG && res.Kind != KindJPEG {
		s.parts = s.parts[:before]
		return nil, ""
	}
	return out.Bytes(), res.Kind
}
