package sanitize

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Descriptors of a worker: the message, the output, standard error, the
// options, the reply, and the socket of the tools (FDTools; a worker of a lane
// has none). Nothing else is open.
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
	Own    bool   `json:"own,omitempty"` // a lane's worker: this message needs a process of its own
}

// Sizes of frames. A report of 1,000 parts with findings fits many times; a
// longer one is no report.
const (
	MaxOptions = 1 << 20
	MaxReply   = 16 << 20
)

// Lane is the argument that makes a worker one of a lane: it serves messages
// one after the other. It reads each from FDInput, options first, and writes
// its reply to FDReply, with the output behind it.
const Lane = "lane"

// Sizes in a lane. What is larger needs a process of its own.
const (
	MaxLaneMessage = 256 << 10
	// Half-width kana of one octet are four in base64 of UTF-8.
	MaxLaneOutput = 4*MaxLaneMessage + 64<<10
	MaxLaneReply  = 256 << 10
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
	if err := ReadNext(r, v, limit); err != nil {
		return err
	}
	var next [1]byte
	if k, err := r.Read(next[:]); k != 0 || err != io.EOF {
		return errors.New("octets behind the frame")
	}
	return nil
}

// ReadNext is ReadFrame on a stream, where more may follow. It is io.EOF when
// nothing does.
func ReadNext(r io.Reader, v any, limit int64) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err == io.EOF {
		return io.EOF
	} else if err != nil {
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
	return nil
}

// AppendFrom appends the first n octets of r behind their length in four.
func AppendFrom(to *bytes.Buffer, r io.ReaderAt, n int64) error {
	if n > MaxReply {
		return fmt.Errorf("%d octets: %w", n, ErrLimit)
	}
	to.Grow(4 + int(n))
	b := binary.BigEndian.AppendUint32(to.AvailableBuffer(), uint32(n))
	b = b[:4+n]
	if k, err := r.ReadAt(b[4:], 0); k < int(n) {
		return fmt.Errorf("read octets: %w", err)
	}
	to.Write(b)
	return nil
}

// ReadBytes reads what AppendFrom wrote, into b if it has room; at most limit
// octets.
func ReadBytes(r io.Reader, b []byte, limit int64) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read octets: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > limit {
		return nil, fmt.Errorf("%d octets: %w", n, ErrLimit)
	}
	// limit bounds what is allocated for a claim.
	if int64(cap(b)) < n {
		b = make([]byte, n)
	}
	b = b[:n]
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("read octets: %w", err)
	}
	return b, nil
}
