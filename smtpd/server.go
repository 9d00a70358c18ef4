package smtpd

import (
	"fmt"
	"log/slog"

	"github.com/emersion/go-smtp"
)

// newLibrary sets the SMTP library up as the guard expects it: without TLS,
// deadlines, size and line limits of its own, which the guard has.
func newLibrary(b smtp.Backend, hostname string, limits Limits, log *slog.Logger) *smtp.Server {
	s := smtp.NewServer(b)
	s.Domain = hostname
	s.MaxLineLength = 0
	s.MaxMessageBytes = 0
	s.MaxRecipients = limits.Recipients
	s.EnableSMTPUTF8 = true
	s.ErrorLog = libraryLog{log}
	return s
}

// libraryLog receives what the library has to say, which is panics of ours.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.log.Error("smtp library", "err", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) { l.log.Error("smtp library", "err", fmt.Sprint(v...)) }
