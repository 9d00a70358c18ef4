package archive

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// stage takes what a sanitizer writes of one member and packs it at once. It
// goes into the archive only when the sanitizer has ended well.
type stage struct {
	buf     bytes.Buffer // packed, or as it is
	deflate *flate.Writer
	begun   bool
	stored  bool // packed already: it is put in as it is
	crc     uint32
	size    int64
	most    int64
}

// reset makes the stage ready for the next member, of at most that many bytes
// packed.
func (g *stage) reset(most int64) {
	const keep = 4 << 20
	if g.buf.Cap() > keep {
		g.buf = bytes.Buffer{}
	}
	g.buf.Reset()
	g.begun, g.stored, g.crc, g.size, g.most = false, false, 0, 0, most
}

// Reset forgets what was written, for a second try at the same member.
func (g *stage) Reset() { g.reset(g.most) }

func (g *stage) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !g.begun {
		if err := g.begin(p); err != nil {
			return 0, err
		}
	}
	g.crc = crc32.Update(g.crc, crc32.IEEETable, p)
	g.size += int64(len(p))
	if int64(g.buf.Len()) > g.most || g.stored && int64(g.buf.Len()+len(p)) > g.most {
		return 0, fmt.Errorf("output of more than %d bytes: %w", g.most, sanitize.ErrLimit)
	}
	if g.stored {
		return g.buf.Write(p)
	}
	return g.deflate.Write(p)
}

// begin decides by the first octets whether packing would pay.
func (g *stage) begin(p []byte) error {
	g.begun = true
	for _, magic := range []string{"PK\x03\x04", "PK\x05\x06", "\xff\xd8\xff", "\x89PNG"} {
		if bytes.HasPrefix(p, []byte(magic)) {
			g.stored = true
			return nil
		}
	}
	if g.deflate == nil {
		// Level 1 writes four times as fast as the default for a tenth more bytes.
		d, err := flate.NewWriter(&g.buf, flate.BestSpeed)
		if err != nil {
			return fmt.Errorf("start deflate: %w", err)
		}
		g.deflate = d
		return nil
	}
	g.deflate.Reset(&g.buf)
	return nil
}

// close ends what was written.
func (g *stage) close() error {
	if !g.begun {
		g.stored = true // an empty file
		return nil
	}
	if g.stored {
		return nil
	}
	return g.deflate.Close()
}

// write puts the member into the archive.
func (g *stage) write(z *zipstrict.Writer, name string) error {
	if g.stored {
		return z.Store(name, g.buf.Bytes())
	}
	return z.Packed(name, g.crc, g.size, g.buf.Bytes())
}
