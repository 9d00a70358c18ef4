package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"sekisho/envelope"
)

// Clamd returns a scanner that speaks to clamd (clamd(8), COMMANDS): INSTREAM
// for a message, PING and VERSION for its health. address is HOST:PORT or
// unix:PATH. clamd's StreamMaxLength must not be below the gateway's message
// limit: what is larger cannot be scanned, and is held.
func Clamd(name, address string) *Scanner {
	return &Scanner{Name: name, engine: &clamd{address: address}}
}

type clamd struct{ address string }

// split gives the network and address to dial.
func split(address string) (string, string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

func (c *clamd) antivirus() bool { return true }
func (c *clamd) dated() bool     { return true }

// dial connects, with the deadline of ctx on all that follows. stop must be
// called.
func (c *clamd) dial(ctx context.Context) (_ net.Conn, stop func(), _ error) {
	network, address := split(c.address)
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, nil, err
	}
	// A context that ends early ends the reads and writes under way as well.
	end := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { end(); conn.Close() }, nil
}

// ask sends a command that has no argument and returns the answer.
func (c *clamd) ask(ctx context.Context, command string) (string, error) {
	conn, stop, err := c.dial(ctx)
	if err != nil {
		return "", err
	}
	defer stop()
	if _, err := io.WriteString(conn, "z"+command+"\x00"); err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	return readAnswer(conn)
}

// readAnswer reads one answer, which ends with a NUL and the connection.
func readAnswer(r io.Reader) (string, error) {
	untrusted, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if len(untrusted) > maxAnswer {
		return "", fmt.Errorf("an answer of more than %d octets", maxAnswer)
	}
	// What stands before the NUL is whole even if the connection ends badly:
	// clamd closes without reading what it does not want.
	line, rest, ok := bytes.Cut(untrusted, []byte{0})
	switch {
	case ok && len(rest) > 0:
		return "", errors.New("more than one answer")
	case ok:
		return string(line), nil
	case err != nil:
		return "", err
	case len(untrusted) == 0:
		return "", errors.New("it closed without an answer")
	default:
		return "", errors.New("an answer that is cut off")
	}
}

func (c *clamd) scan(ctx context.Context, m Message) (answer, error) {
	conn, stop, err := c.dial(ctx)
	if err != nil {
		return answer{}, err
	}
	defer stop()
	werr := instream(conn, io.NewSectionReader(m.Bytes, 0, m.Envelope.Size))
	if errors.Is(werr, errRead) {
		return answer{}, werr // clamd would wait for the rest
	}
	// When writing failed clamd may have said why before it closed.
	line, err := readAnswer(conn)
	if err != nil {
		if werr != nil {
			err = werr
		}
		return answer{}, err
	}
	return clamdAnswer(line, werr)
}

// clamdAnswer understands an answer to INSTREAM. Exactly one form is clean.
func clamdAnswer(untrusted string, werr error) (answer, error) {
	if name, ok := strings.CutSuffix(untrusted, " FOUND"); ok {
		name, ok = strings.CutPrefix(name, "stream: ")
		if ok && name != "" {
			return answer{verdict: envelope.ScanMalware, detail: name}, nil
		}
	}
	switch {
	case werr == nil && untrusted == "stream: OK":
		return answer{verdict: envelope.ScanClean}, nil
	case strings.HasPrefix(untrusted, "INSTREAM size limit exceeded"):
		return answer{}, fmt.Errorf("%w: %s (StreamMaxLength in clamd.conf is below max_message_size)", errNever, untrusted)
	case untrusted == "stream: OK":
		return answer{}, fmt.Errorf("it called a message clean that it had not read whole: %w", werr)
	default:
		return answer{}, fmt.Errorf("it says %q", untrusted)
	}
}

// errRead says that it is our own reading that failed.
var errRead = errors.New("read the message")

// instream sends a message in chunks, each behind its length.
func instream(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return fmt.Errorf("INSTREAM: %w", err)
	}
	buf := make([]byte, 4+64<<10)
	for {
		n, err := io.ReadFull(r, buf[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, werr := w.Write(buf[:4+n]); werr != nil {
				return fmt.Errorf("INSTREAM: %w", werr)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errRead, err)
		}
	}
	if _, err := w.Write([]byte{0, 0, 0, 0}); err != nil {
		return fmt.Errorf("INSTREAM: %w", err)
	}
	return nil
}

func (c *clamd) probe(ctx context.Context) (time.Time, string, error) {
	pong, err := c.ask(ctx, "PING")
	if err != nil {
		return time.Time{}, "", err
	}
	if pong != "PONG" {
		return time.Time{}, "", fmt.Errorf("to PING it says %q", pong)
	}
	version, err := c.ask(ctx, "VERSION")
	if err != nil {
		return time.Time{}, "", err
	}
	if !strings.HasPrefix(version, "ClamAV ") {
		return time.Time{}, "", fmt.Errorf("to VERSION it says %q", version)
	}
	return signatureTime(version), version, nil
}

// signatureTime reads when clamd's signatures were made from its VERSION:
// "ClamAV 1.4.3/27500/Mon Nov 23 09:00:00 2026". The time is that of clamd's
// machine. Zero: it has no dated signatures, or does not say so.
func signatureTime(version string) time.Time {
	f := strings.SplitN(version, "/", 3)
	if len(f) != 3 {
		return time.Time{}
	}
	t, err := time.ParseInLocation(time.ANSIC, strings.TrimSpace(f[2]), time.Local)
	if err != nil {
		return time.Time{}
	}
	return t
}
