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

// Square is a placeholder, drawn as PNG, in the form that our own encoder gives
// it, so that treating an output again changes nothing. It ends a treatment and
// is made even when that was cut short.
func (s *Session) Square(ctx context.Context, drawn []byte) []byte {
	enc, ok := s.Table[KindPNG]
	if !ok {
		return drawn
	}
	var out bytes.Buffer
	if _, err := enc.Sanitize(context.WithoutCancel(ctx), s, Object{ReaderAt: bytes.NewReader(drawn), Size: int64(len(drawn)), Kind: KindPNG}, &out); err != nil {
		return drawn
	}
	return out.Bytes()
}
