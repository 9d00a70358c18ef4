// Package all is the registry: one literal table of what treats which kind,
// and the work of one worker run. Only the worker links it.
package all

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/qr"
	"sekisho/internal/version"
	"sekisho/sanitize"
	"sekisho/sanitize/archive"
	"sekisho/sanitize/calendar"
	"sekisho/sanitize/convert"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/doc"
	"sekisho/sanitize/html"
	"sekisho/sanitize/ichitaro"
	"sekisho/sanitize/image"
	"sekisho/sanitize/message"
	"sekisho/sanitize/odf"
	"sekisho/sanitize/ooxml"
	"sekisho/sanitize/outlook"
	"sekisho/sanitize/pdf"
	"sekisho/sanitize/ppt"
	"sekisho/sanitize/rtf"
	"sekisho/sanitize/text"
	"sekisho/sanitize/verify"
	"sekisho/sanitize/xls"
)

// Table says what treats which kind. A kind that is not here is kept back.
func Table() map[sanitize.Kind]sanitize.Sanitizer {
	return map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindText:    text.Text{},
		sanitize.KindEmpty:   text.Text{},
		sanitize.KindCSV:     text.CSV{},
		sanitize.KindTSV:     text.CSV{},
		sanitize.KindHTML:    html.Sanitizer{},
		sanitize.KindMessage: message.Sanitizer{},
		sanitize.KindMSG:     outlook.MSG{},
		sanitize.KindTNEF:    outlook.TNEF{},
		sanitize.KindZIP:     archive.ZIP{},
		sanitize.KindICS:     calendar.ICS{},
		sanitize.KindVCF:     calendar.VCF{},

		sanitize.KindSVG:  html.SVG{},
		sanitize.KindPNG:  image.PNG{},
		sanitize.KindJPEG: image.JPEG{},
		sanitize.KindGIF:  image.Foreign{},
		sanitize.KindBMP:  image.Foreign{},
		sanitize.KindTIFF: image.Foreign{},
		sanitize.KindWebP: image.Foreign{},
		sanitize.KindPCX:  image.Foreign{},
		sanitize.KindTGA:  image.Foreign{},
		sanitize.KindPNM:  image.Foreign{},
		sanitize.KindHEIC: image.HEIF{},
		sanitize.KindAVIF: image.HEIF{},
		sanitize.KindJXL:  image.JXL{},
		sanitize.KindICO:  image.Icon{},
		sanitize.KindPSD:  image.PSD{},

		// What the profile has treated (image_kinds), since others' programs read
		// it or little of it can stay.
		sanitize.KindJP2:   image.JP2{},
		sanitize.KindEPS:   image.EPS{},
		sanitize.KindDICOM: image.DICOM{},
		sanitize.KindEMF:   image.Drawing{},
		sanitize.KindWMF:   image.Drawing{},

		sanitize.KindDOCX:    ooxml.Sanitizer{},
		sanitize.KindDOCM:    ooxml.Sanitizer{},
		sanitize.KindDOTX:    ooxml.Sanitizer{},
		sanitize.KindDOTM:    ooxml.Sanitizer{},
		sanitize.KindXLSX:    ooxml.Sanitizer{},
		sanitize.KindXLSM:    ooxml.Sanitizer{},
		sanitize.KindXLTX:    ooxml.Sanitizer{},
		sanitize.KindXLTM:    ooxml.Sanitizer{},
		sanitize.KindPPTX:    ooxml.Sanitizer{},
		sanitize.KindPPTM:    ooxml.Sanitizer{},
		sanitize.KindPPSX:    ooxml.Sanitizer{},
		sanitize.KindPPSM:    ooxml.Sanitizer{},
		sanitize.KindPOTX:    ooxml.Sanitizer{},
		sanitize.KindPOTM:    ooxml.Sanitizer{},
		sanitize.KindVSDX:    ooxml.Sanitizer{},
		sanitize.KindVSDM:    ooxml.Sanitizer{},
		sanitize.KindVSTX:    ooxml.Sanitizer{},
		sanitize.KindVSTM:    ooxml.Sanitizer{},
		sanitize.KindVSSX:    ooxml.Sanitizer{},
		sanitize.KindVSSM:    ooxml.Sanitizer{},
		sanitize.KindFlatOPC: ooxml.Flat{},

		sanitize.KindODT:       odf.Sanitizer{},
		sanitize.KindODS:       odf.Sanitizer{},
		sanitize.KindODP:       odf.Sanitizer{},
		sanitize.KindODG:       odf.Sanitizer{},
		sanitize.KindOTT:       odf.Sanitizer{},
		sanitize.KindOTS:       odf.Sanitizer{},
		sanitize.KindOTP:       odf.Sanitizer{},
		sanitize.KindOTG:       odf.Sanitizer{},
		sanitize.KindFODT:      odf.Sanitizer{},
		sanitize.KindFODS:      odf.Sanitizer{},
		sanitize.KindFODP:      odf.Sanitizer{},
		sanitize.KindFODG:      odf.Sanitizer{},
		sanitize.KindODF:       odf.Sanitizer{},
		sanitize.KindODFormula: odf.Sanitizer{},
		sanitize.KindDOC:       doc.Sanitizer{},

		sanitize.KindPDF: pdf.Sanitizer{},

		sanitize.KindPPT: ppt.Sanitizer{},
		sanitize.KindXLS: xls.Sanitizer{},
		sanitize.KindRTF: rtf.Sanitizer{},

		// Where a profile asks for it.
		sanitize.KindJTD:  ichitaro.Rebuild{},
		sanitize.KindJTDC: ichitaro.Rebuild{},
	}
}

// Ladder says what the steps after rebuilding are, for the kinds that have any.
func Ladder() map[sanitize.Mode]map[sanitize.Kind]sanitize.Sanitizer {
	convertible, readable := map[sanitize.Kind]sanitize.Sanitizer{}, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindPDF: convert.PDFText{},
		sanitize.KindJTD: ichitaro.Text{}, sanitize.KindJTDC: ichitaro.Text{}}
	drawn := map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindPDF:  pdf.Pages{},
		sanitize.KindHTML: convert.Plain{Source: sanitize.FromHTML, Treat: html.Sanitizer{Markup: true}},
		sanitize.KindText: convert.Plain{Source: sanitize.FromText, Treat: text.Text{}},
		// Without the apostrophes of text.CSV: a picture computes nothing.
		sanitize.KindCSV: convert.Plain{Source: sanitize.FromCSV, Treat: text.Text{}},
		sanitize.KindTSV: convert.Plain{Source: sanitize.FromTSV, Treat: text.Text{}},
	}
	for kind, source := range map[sanitize.Kind]sanitize.Source{
		sanitize.KindDOC: sanitize.FromDOC, sanitize.KindXLS: sanitize.FromXLS, sanitize.KindPPT: sanitize.FromPPT, sanitize.KindRTF: sanitize.FromRTF, sanitize.KindWordML: sanitize.FromWord2003,
		sanitize.KindODF: 0, sanitize.KindODT: 0, sanitize.KindODS: 0, sanitize.KindODP: 0, sanitize.KindOTT: 0, sanitize.KindOTS: 0, sanitize.KindOTP: 0,
		sanitize.KindFODT: 0, sanitize.KindFODS: 0, sanitize.KindFODP: 0, sanitize.KindXLSB: sanitize.FromXLSB,
		sanitize.KindDOCX: sanitize.FromDOCX, sanitize.KindDOCM: sanitize.FromDOCX, sanitize.KindDOTX: sanitize.FromDOCX, sanitize.KindDOTM: sanitize.FromDOCX,
		sanitize.KindXLSX: sanitize.FromXLSX, sanitize.KindXLSM: sanitize.FromXLSX, sanitize.KindXLTX: sanitize.FromXLSX, sanitize.KindXLTM: sanitize.FromXLSX,
		sanitize.KindPPTX: sanitize.FromPPTX, sanitize.KindPPTM: sanitize.FromPPTX, sanitize.KindPPSX: sanitize.FromPPTX, sanitize.KindPPSM: sanitize.FromPPTX,
		sanitize.KindPOTX: sanitize.FromPPTX, sanitize.KindPOTM: sanitize.FromPPTX,
	} {
		convertible[kind], drawn[kind], readable[kind] = convert.Office{Source: source}, convert.Pages{Source: source}, convert.Text{Source: source}
	}
	return map[sanitize.Mode]map[sanitize.Kind]sanitize.Sanitizer{sanitize.Convert: convertible, sanitize.Flatten: drawn, sanitize.Text: readable}
}

// Tools has the parent run an external tool.
type Tools = func(ctx context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error

// Run does what o asks for with the size bytes of in. The report is never nil;
// an error says why there is no output, and then nothing written to out may be
// used.
func Run(ctx context.Context, o *sanitize.Options, in io.ReaderAt, size int64, out io.Writer) (*sanitize.Report, error) {
	return RunWith(ctx, o, nil, in, size, out)
}

// RunWith is Run with external tools to ask for; nil is none.
func RunWith(ctx context.Context, o *sanitize.Options, tools Tools, in io.ReaderAt, size int64, out io.Writer) (*sanitize.Report, error) {
	s := sanitize.NewSession(o, size, detect.Detect, Table())
	s.Tools, s.Ladder, s.Codes = tools, Ladder(), qr.Read
	for kind, hook := range o.Hooks {
		s.Ladder[sanitize.Convert][kind] = convert.Hook{Number: hook.Number, Name: hook.Name}
	}
	err := run(ctx, o, s, in, size, out)
	r := s.Report(version.Engine)
	if err != nil {
		r.Outcome = sanitize.Refused
	}
	return r, err
}

// Plain is Run for a worker of a lane: of all mail it treats plain text, and
// verifies what came out as plain text. Everything else, and whatever did not
// go smoothly, is ErrOwnProcess: the bytes go to a process of their own, which
// decides about them as if the lane had never seen them. No other sanitizer can
// be reached from here.
func Plain(ctx context.Context, o *sanitize.Options, in io.ReaderAt, size int64, out io.Writer) (*sanitize.Report, error) {
	s := sanitize.NewSession(o, size, detect.Detect, nil)
	var err error
	switch o.Task {
	case sanitize.TaskMail:
		var res sanitize.Result
		res, err = message.Sanitizer{PlainOnly: true}.Sanitize(ctx, s, sanitize.Object{ReaderAt: in, Size: size, Kind: sanitize.KindMessage}, out)
		if err == nil && res.Outcome != sanitize.Clean && res.Outcome != sanitize.Disarmed {
			err = errors.New("the message was not treated")
		}
	case sanitize.TaskVerifyMail:
		err = verify.Text(ctx, s, in, size)
	default:
		err = fmt.Errorf("task %d is none of a lane", o.Task)
	}
	r := s.Report(version.Engine)
	for i := range r.Parts {
		if p := &r.Parts[i]; err == nil && p.Fate != sanitize.Delivered {
			err = fmt.Errorf("part %s was not treated", p.Path)
		}
	}
	if err == nil && len(r.Holds) > 0 {
		err = errors.New("the message is to be held")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sanitize.ErrOwnProcess, err)
	}
	return r, nil
}

func run(ctx context.Context, o *sanitize.Options, s *sanitize.Session, in io.ReaderAt, size int64, out io.Writer) error {
	switch o.Task {
	case sanitize.TaskMail:
		res, err := message.Sanitizer{}.Sanitize(ctx, s, sanitize.Object{ReaderAt: in, Size: size, Kind: sanitize.KindMessage}, out)
		if err == nil && res.Outcome != sanitize.Clean && res.Outcome != sanitize.Disarmed {
			err = errors.New("the message was not treated")
		}
		// A message that is ambiguous, or spends more than it may, waits whole:
		// that is a fact about it and no failure of ours.
		if err != nil && len(s.Report("").Holds) == 0 {
			switch {
			case errors.Is(err, sanitize.ErrLimit):
				s.Hold(sanitize.Hold{Class: sanitize.ClassLimit, Code: "limit", Detail: err.Error()})
			case errors.Is(err, sanitize.ErrAmbiguous), errors.Is(err, sanitize.ErrMalformed):
				s.Hold(sanitize.Hold{Class: sanitize.ClassAmbiguous, Code: "mime.malformed", Detail: err.Error()})
			}
		}
		return err
	case sanitize.TaskFile:
		_, err := s.Nested(ctx, sanitize.Object{ReaderAt: in, Size: size, Path: "1", Name: o.FileName, Names: []string{o.FileName}}, out)
		return err
	case sanitize.TaskDetect:
		d, err := detect.Detect(sanitize.Object{ReaderAt: in, Size: size, Path: "1", Name: o.FileName, Names: []string{o.FileName}})
		if err != nil {
			return fmt.Errorf("detect: %w", err)
		}
		s.AddPart(sanitize.Part{Path: "1", Name: o.FileName, Kind: d.Kind, Class: d.Kind.Class(), Inside: d.Inside, Findings: d.Findings, Outcome: sanitize.Refused, Size: size})
		return nil
	case sanitize.TaskVerifyMail:
		return verify.Mail(ctx, s, in, size)
	case sanitize.TaskVerifyFile:
		return verify.File(ctx, s, o.KindHint, in, size)
	default:
		return fmt.Errorf("task %d is none", o.Task)
	}
}
