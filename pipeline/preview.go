package pipeline

import (
	"context"
	"errors"
	"fmt"

	"sekisho/envelope"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
	"sekisho/spool"
)

// Preview examines a held entry with today's engine and returns its treated
// text. Nothing is written anywhere.
func (p *Pipeline) Preview(ctx context.Context, e spool.Entry) (string, error) {
	if e.Tampered != "" || e.Verdict.Class == sanitize.ClassTampered {
		return "", errors.New("the entry was tampered with; its bytes are not opened")
	}
	if err := p.Spool.CheckIntake(e); err != nil {
		return "", fmt.Errorf("its bytes are not opened: %w", err)
	}
	if e.Envelope.Treatment != envelope.Rebuild {
		return "", errors.New("this mail passes as scanned and is not treated")
	}
	in, err := worker.NewMessage("preview", e.Envelope.Size)
	if err != nil {
		return "", err
	}
	defer in.Close()
	if err := p.Spool.CopyChecked(ctx, e, in); err != nil {
		return "", err
	}
	if err := in.Seal(); err != nil {
		return "", err
	}
	o := p.Rules().Options(e.Envelope.Profile)
	o.Task, o.Preview, o.Tenant = sanitize.TaskMail, true, string(e.Envelope.Tenant)
	o.ID, o.PartID = string(e.Envelope.ID), string(e.Envelope.ID)
	o.Now, o.Expires, o.Hostname = p.Now(), e.Expires, p.Hostname
	res, err := p.Examiner.Run(ctx, o, in)
	if err != nil {
		return "", fmt.Errorf("it cannot be treated: %w", err)
	}
	if res.Output != nil {
		res.Output.Close()
	}
	if res.Report.Preview == "" {
		return "", errors.New("there is no text that could be treated")
	}
	return res.Report.Preview, nil
}
