// Demo shows the gateway at work: it starts one with a store of its own and a
// stand-in for the LGWAN side on loopback, sends real mails, and shows what
// arrived, what was removed and what is held. It ends by itself and leaves
// nothing running.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/smtptest"
)

func main() {
	bin := flag.String("bin", "bin", "folder with the three binaries")
	flag.Parse()
	if err := run(*bin); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

const configuration = `hostname: mx.town.example.lg.jp
data_dir: %[1]s/data
listeners:
  - { name: mx, zone: internet, listen: ["127.0.0.1:0"], peers: ["127.0.0.1"] }
tenants:
  - { id: town, name: 例示町, domains: [town.example.lg.jp], recipients: { accept: any } }
  - { id: board, name: 例示町教育委員会, domains: [board.example.lg.jp], recipients: { accept: any }, profile: pages }
profiles:
  - { name: default }
  - { name: pages, office: flatten, pdf: flatten }
hops:
  - { name: town-mail, network: local, hosts: [%[2]q] }
routes:
  - { domain: town.example.lg.jp, hop: town-mail }
  - { domain: board.example.lg.jp, hop: town-mail }
metrics: { listen: "" }
senders: { check: off }  # the demonstration asks no DNS
`

func run(bin string) (err error) {
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sekisho-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	step("LGWAN 側の受信サーバー（代役）を起動します", "starting a stand-in for the mail server on the LGWAN side")
	var sink smtptest.Sink
	if err := sink.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	defer sink.Close()
	fmt.Println("  ", sink.Addr())

	step("ゲートウェイを起動します", "starting the gateway")
	file := filepath.Join(dir, "sekisho.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, dir, sink.Addr()), 0o600); err != nil {
		return err
	}
	logName := filepath.Join(dir, "log")
	log, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer log.Close()
	gateway := exec.Command(filepath.Join(bin, "sekishod"), "--config", file)
	gateway.Stderr = log
	if err := gateway.Start(); err != nil {
		return err
	}
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		_ = gateway.Process.Signal(syscall.SIGTERM)
		return gateway.Wait()
	}
	defer func() { err = errors.Join(err, stop()) }()
	mx, err := listening(logName)
	if err != nil {
		return err
	}
	fmt.Println("  ", mx)

	step("インターネット側からメールを送ります", "sending mail from the internet side")
	mails := samples()
	for _, m := range mails {
		if err := smtp.SendMail(mx, nil, "sender@partner.example", []string{m.To}, m.Bytes()); err != nil {
			return fmt.Errorf("send %q: %w", m.Subject, err)
		}
		fmt.Printf("   250  %s\n", m.Subject)
	}

	cli := func(args ...string) ([]byte, error) {
		c := exec.Command(filepath.Join(bin, "sekisho"), append([]string{"--socket", filepath.Join(dir, "data", "admin.sock")}, args...)...)
		c.Stderr = os.Stderr
		return c.Output()
	}
	for range 600 { // a minute: the first document drawn waits for LibreOffice
		out, err := cli("queue", "list", "--json")
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(out)) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}

	step("LGWAN 側に届いたもの", "what arrived on the LGWAN side")
	arrived := sink.Delivered()
	for _, t := range arrived {
		if err := show(t.Data); err != nil {
			return err
		}
		if bytes.Contains(t.Data, []byte(corpus.Macro)) {
			return errors.New("something active has passed: this must never happen")
		}
	}

	step("保留中のもの（sekisho quarantine list）", "what is held (sekisho quarantine list)")
	out, err := cli("quarantine", "list")
	if err != nil {
		return err
	}
	fmt.Print(indent(string(out)))

	step("保留された 1 件を解放します。もう一度検査し、無害化した形だけを配送します", "releasing one of them: examined again, only the treated form is delivered")
	list, err := cli("quarantine", "list", "--json")
	if err != nil {
		return err
	}
	for _, l := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		var e struct {
			ID, Subject string
			Parts       []string
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			return fmt.Errorf("quarantine list: %w", err)
		}
		if len(e.Parts) > 0 {
			continue
		}
		out, err := cli("quarantine", "release", e.ID, "--reason", "demo")
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
			return err
		}
		fmt.Print(indent(string(out)))
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if after, err := sink.Wait(ctx, len(arrived)+1); err == nil {
		if err := show(after[len(after)-1].Data); err != nil {
			return err
		}
	}

	step("監査の鎖（sekisho audit verify）", "the chain of the audit (sekisho audit verify)")
	if out, err = cli("audit", "verify"); err != nil {
		return err
	}
	fmt.Print(indent(string(out)))

	step("終わりました。続きは README.ja.md と deploy/sekisho.yaml へ", "done; README.md and deploy/sekisho.yaml lead on")
	fmt.Println(`   bin/sekisho sanitize FILE...     ` + "手元のファイルを無害化 / make local files harmless")
	fmt.Println(`   bin/sekisho config check FILE    ` + "設定を検査 / check a configuration")
	fmt.Println(`   bin/sekisho doctor               ` + "隔離と健康状態 / isolation and health")
	return stop()
}

func step(ja, en string) { fmt.Printf("\n── %s / %s\n", ja, en) }

func indent(s string) string {
	return "   " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n   ") + "\n"
}

// listening waits for the address of the listener in the gateway's log.
func listening(logName string) (string, error) {
	for range 300 {
		b, err := os.ReadFile(logName)
		if err != nil {
			return "", err
		}
		addr := ""
		for _, l := range bytes.Split(b, []byte("\n")) {
			var e struct{ Msg, Rule, Hop string }
			if json.Unmarshal(l, &e) != nil {
				continue
			}
			if e.Msg == "listening" && e.Rule == "mx" {
				addr = e.Hop
			}
			if e.Msg == "started" {
				return addr, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	b, _ := os.ReadFile(logName)
	return "", fmt.Errorf("the gateway does not start:\n%s", b)
}

func samples() []corpus.Mail {
	mail := func(subject, text string, files ...corpus.Attachment) corpus.Mail {
		return corpus.Mail{From: "田中 <sender@partner.example>", To: "soumu@town.example.lg.jp", Subject: subject, Text: text, Files: files}
	}
	plain := mail("①㈱髙﨑商店よりご案内", "いつもお世話になっております。\n㈱髙﨑です。～資料①②③をお送りします。\n")
	plain.Charset = "iso-2022-jp"
	page := mail("請求書のご確認", `<html><body><p>請求書は<a href="https://evil.example/steal">https://bank.example/</a>から</p><script>alert(1)</script></body></html>`)
	page.HTML = true
	// The board's profile has every document drawn as pictures of its pages.
	drawn := mail("議案（画像化する組織へ）", "議案です。\n", corpus.Attachment{Name: "議案.docm", Media: "application/vnd.ms-word.document.macroEnabled.12", Data: corpus.Word("令和８年度 議案第１号", true)})
	drawn.To = "somu@board.example.lg.jp"
	return []corpus.Mail{
		plain,
		page,
		mail("マクロ付きブック", "申請書を送ります。\n", corpus.Attachment{Name: "申請書.xlsm", Media: "application/vnd.ms-excel.sheet.macroEnabled.12", Data: corpus.Excel("申請書", true)}),
		mail("写真", "写真です。\n", corpus.Attachment{Name: "写真.jpg", Media: "image/jpeg", Data: corpus.JPEG()}),
		mail("PDF", "PDF です。\n", corpus.Attachment{Name: "案内.pdf", Media: "application/pdf", Data: corpus.PDF()}),
		mail("パスワード付き ZIP", "パスワードは別途お送りします。\n", corpus.Attachment{Name: "資料.zip", Media: "application/zip", Data: corpus.EncryptedZIP("list.xlsx")}),
		drawn,
		mail("至急", "添付を実行してください。\n", corpus.Attachment{Name: "請求書.pdf.js", Media: "application/octet-stream", Data: []byte("WScript.Echo('" + corpus.Macro + "')")}),
	}
}

// show prints a mail as its reader sees it.
func show(raw []byte) error {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("what arrived cannot be read: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	fmt.Printf("\n   件名 / subject: %s\n   X-Sekisho-Result: %s\n", subject, m.Header.Get("X-Sekisho-Result"))
	return parts(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), "", m.Body)
}

func parts(contentType, encoding, disposition string, body io.Reader) error {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("Content-Type: %w", err)
	}
	if strings.HasPrefix(media, "multipart/") {
		r := multipart.NewReader(body, params["boundary"])
		for {
			p, err := r.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("multipart: %w", err)
			}
			if err := parts(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-Disposition"), p); err != nil {
				return err
			}
		}
	}
	b, err := io.ReadAll(decoded(encoding, body))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	_, file, _ := mime.ParseMediaType(disposition)
	if name := file["filename"]; name != "" {
		fmt.Printf("   添付 / attachment: %s  %s  %d bytes\n", name, media, len(b))
		return nil
	}
	fmt.Print(indent(strings.ReplaceAll("| "+strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")), "\n", "\n| "), "\r", "")))
	return nil
}

func decoded(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	default:
		return r
	}
}
