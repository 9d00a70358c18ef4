package sanitize

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Descriptors of a worker: the message, the output, standard error, the
// options, the reply. Nothing else is open.
const (
	FDInput   = 0
	FDOutput  = 1
	FDOptions = 3
	FDReply   = 4
)

// Reply is what a worker says when it is done. The parent believes none of it
// before it has checked size and digest against its own copy of the output.
type Reply struct {
	Report Report `json:"report"`
	Size   int64  `json:"size"`
	Digest Digest `json:"digest"`
	Err    string `json:"err,omitempty"` // why there is no output
}

// Sizes of frames. A report of 1,000 parts with findings fits many times; a
// longer one is no report.
const (
	MaxOptions = 1 << 20
	MaxReply   = 16 << 20
)

// WriteFrame writes v as JSON behind its length in four octets.
func WriteFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	if len(b) > MaxReply {
		return fmt.Errorf("frame of %d octets: %w", len(b), ErrLimit)
	}
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// ReadFrame reads what WriteFrame wrote into v, strictly: no unknown field, at
// most limit octets, nothing behind it.
func ReadFrame(r io.Reader, v any, limit int64) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > limit {
		return fmt.Errorf("frame of %d octets: %w", n, ErrLimit)
	}
	// The decoder reads only as much as is there: the length is a claim.
	lr := &io.LimitedReader{R: r, N: n}
	d := json.NewDecoder(lr)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	if d.More() {
		return errors.New("frame holds more than one value")
	}
	if _, err := io.Copy(io.Discard, lr); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	if lr.N != 0 {
		return fmt.Errorf("frame cut short: %w", io.ErrUnexpectedEOF)
	}
	if k, err := r.Read(head[:1]); k != 0 || err != io.EOF {
		return errors.New("octets behind the frame")
	}
	return nil
}
