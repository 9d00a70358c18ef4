package main

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
)

// japan is the zone in which lists begin to count, wherever the terminal is.
var japan = time.FixedZone("JST", 9*60*60)

func recipientsCommand(u *ui, g *globals) *cobra.Command {
	return group(u, "recipients", text{"受け付ける宛先の一覧を扱う", "exact lists of recipients"},
		text{
			"一覧にない宛先は、受信の途中で 550 5.1.1 と断ります。postmaster は常に届きます。\n" +
				"一覧は取り込むたびに版として残り、前の版に戻せます。再起動は要りません。\n" +
				"団体が一つだけのときは --tenant を省けます。",
			"Mail to an address that is not listed is refused in the session, 550 5.1.1;\n" +
				"postmaster is always reached. Every import is kept as a version, and an earlier\n" +
				"one can be taken up again. Nothing has to be restarted. With one tenant only,\n" +
				"--tenant can be left out.",
		}, "02",
		recipientsImport(u, g), recipientsList(u, g), recipientsHistory(u, g), recipientsRollback(u, g), recipientsCancel(u, g), recipientsExport(u, g))
}

// change are the options of acts that put a list in force.
type change struct {
	date   string
	dryRun bool
	allow  string
}

func (o *change) flags(u *ui, c *cobra.Command) {
	c.Flags().StringVar(&o.date, "date", "", u.tr("この日の 0 時（日本時間）から有効にする。省くと今すぐ", "from the beginning of this day in Japan; else at once"))
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, u.tr("変わるものを表示するだけで、何も変えない", "say what would change, and change nothing"))
	c.Flags().StringVar(&o.allow, "allow-removal", "", u.tr("届かなくなる人の割合をここまで許す（既定値: 20%）", "let this share of people no longer be reached (default 20%)"))
	argument(c.Flags(), "date", "DATE")
	argument(c.Flags(), "allow-removal", "N%")
}

// request adds the options to a request.
func (o *change) request(u *ui, req *client.Request) error {
	req.Date, req.DryRun = o.date, o.dryRun
	if o.allow == "" {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(o.allow, "%"))
	if err != nil || n < 1 || n > 100 {
		return u.usage("--allow-removal %q は使えません。1% から 100% までを指定してください", "--allow-removal %q: want 1% to 100%", o.allow)
	}
	req.AllowRemoval = n
	return nil
}

// maxList bounds what is read of a file before the gateway sees it.
const maxList = 32 << 20

func recipientsImport(u *ui, g *globals) *cobra.Command {
	var o change
	c := command(u, "import FILE [--date DATE] [--dry-run] [--allow-removal N%]", text{"CSV の一覧を取り込む", "import a list from CSV"},
		text{
			"1 行目に列名が必要です。address（またはメールアドレス）の列だけが必須で、ほかに\n" +
				"from（開始日）と until（終了日）を読みます。終了日はその日いっぱい届きます。\n" +
				"4 月の異動なら、去る人に until 2027-03-31、来る人に from 2027-04-01 と書いて\n" +
				"あらかじめ取り込めます。一覧全体を 4 月 1 日から差し替えるなら --date を使います。\n" +
				"文字コードは UTF-8（BOM の有無を問わない）、CP932、UTF-16 のどれでも構いません。\n" +
				"誤りのある行はすべて表示し、一つでもあれば何も変えません。\n" +
				"届かなくなる人が多すぎる一覧は、書き出しの失敗とみて断ります（--allow-removal）。\n" +
				"FILE が - なら標準入力から読みます。",
			"The first line names the columns. One of them is address; from and until, the\n" +
				"first and the last day on which a line counts, may stand beside it, and all\n" +
				"others are passed over. For the transfers of April who leaves gets until\n" +
				"2027-03-31 and who comes from 2027-04-01, and the file can be imported weeks\n" +
				"before; --date has the whole list begin on a day. UTF-8 with or without a mark,\n" +
				"CP932 and UTF-16 are read. Every wrong line is shown, and one is enough that\n" +
				"nothing is changed. A list that stops mail for very many people is taken for a\n" +
				"cut-off export and refused; see --allow-removal. FILE - is the standard input.",
		}, "01245", func(cmd *cobra.Command, args []string) error {
			req := client.Request{Tenant: g.tenant, Name: filepath.Base(args[0])}
			if err := o.request(u, &req); err != nil {
				return err
			}
			var err error
			if req.Data, err = u.readFile(args[0], maxList); err != nil {
				return err
			}
			var r client.Imported
			if err := g.client().Call(cmd.Context(), "recipients.import", req, &r); err != nil {
				return u.faults(args[0], err)
			}
			return u.imported(&r)
		})
	c.Args = exactly(u, 1, text{"ファイル一つ", "one file"})
	o.flags(u, c)
	example(c, "sekisho recipients import shokuin.csv --dry-run", "sekisho recipients import shokuin-r9.csv --date 2027-04-01")
	return c
}

// readFile reads a file of at most n bytes, or the standard input.
func (u *ui) readFile(name string, n int64) ([]byte, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, n+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > n {
		return nil, u.usage("%s は大きすぎます（%d MiB まで）", "%s is too large; at most %d MiB", name, n>>20)
	}
	return b, nil
}

// faults says every wrong line of a list.
func (u *ui) faults(file string, err error) error {
	var e *client.Error
	if !errors.As(err, &e) || len(e.Faults) == 0 {
		return err
	}
	for _, f := range e.Faults {
		if u.json {
			if err := u.object(f); err != nil {
				return err
			}
		}
		at := safe(file)
		if f.Line > 0 {
			at += ":" + strconv.Itoa(f.Line)
		}
		what := u.word(faultWords, f.Code)
		if f.Value != "" {
			what = safe(f.Value) + u.tr("", " ") + what
		}
		u.say("%s: %s", "%s: %s", at, what)
	}
	u.hint(u.tr("何も変えていません。直してから、もう一度取り込んでください", "nothing was changed; correct the file and import it again"))
	return ended(exitUsage)
}

// imported says what a list changes, or would.
func (u *ui) imported(r *client.Imported) error {
	if u.json {
		if err := u.object(r); err != nil {
			return err
		}
	} else {
		u.difference(r)
	}
	if r.TooMany {
		share := (r.Lost*100 + r.Reached - 1) / r.Reached
		u.say("%d 人（全 %d 人の %d %%）に届かなくなります。%d %% を超えるため取り込みません",
			"mail to %d of %d people (%d %%) would be refused from then on: more than %d %%, so nothing was changed", r.Lost, r.Reached, share, r.Allowed)
		u.hint(u.tr("間違いでなければ --allow-removal ", "if that is right: --allow-removal ") + strconv.Itoa(share) + "%")
		return ended(exitUsage)
	}
	if len(r.Later) > 0 && !r.DryRun && r.Version != 0 {
		var later []string
		for _, n := range r.Later {
			later = append(later, strconv.FormatInt(n, 10))
		}
		u.say("注意: 後から始まる版 %s が、この一覧に替わります", "warning: version %s begins later and will take the place of this list", strings.Join(later, ", "))
		u.hint(u.tr("取り消すには sekisho recipients cancel", "sekisho recipients cancel takes it back"))
	}
	return nil
}

// shownAddresses is how many of a difference a person reads; --json has all.
const shownAddresses = 20

func (u *ui) difference(r *client.Imported) {
	for _, d := range []struct {
		sign string
		as   []string
	}{{"+", r.Added}, {"-", r.Removed}, {"~", r.Changed}} {
		for i, a := range d.as {
			if i == shownAddresses {
				u.line(u.tr("%s ほか %d 件", "%s and %d more"), d.sign, len(d.as)-i)
				break
			}
			u.line("%s %s", d.sign, safe(a))
		}
	}
	if r.Any {
		u.line("%s", u.tr("一覧なし: どの宛先も受け付けます", "no list: any recipient is accepted"))
	} else {
		u.line(u.tr("追加 %d、削除 %d、期間の変更 %d、同じ %d", "%d added, %d removed, %d with other days, %d the same"), len(r.Added), len(r.Removed), len(r.Changed), r.Same)
		u.line(u.tr("宛先 %d 件、うち最初の日に届くもの %d 件", "%d addresses, %d of them reached on the first day"), r.Addresses, r.Reaches)
	}
	from := r.Effective.In(japan).Format("2006-01-02 15:04")
	switch {
	case r.TooMany:
	case r.Unchanged:
		u.line("%s", u.tr("変わるものはありません", "nothing changes"))
	case r.DryRun:
		u.line(u.tr("試行のみ: 何も変えていません（%s から有効になります）", "dry run: nothing was changed (would count from %s)"), from)
	default:
		u.line(u.tr("%s: 版 %d を取り込みました。%s から有効です", "%s: version %d, counts from %s"), safe(r.Tenant), r.Version, from)
	}
}

func recipientsList(u *ui, g *globals) *cobra.Command {
	var date string
	c := command(u, "list [--date DATE]", text{"有効な一覧を表示する", "show the list in force"},
		text{"--date を付けると、その日の始まりに有効な一覧を表示します。", "With --date, the one in force at the beginning of that day."}, "01245", func(cmd *cobra.Command, _ []string) error {
			var l client.RecipientList
			if err := g.client().Call(cmd.Context(), "recipients.list", client.Request{Tenant: g.tenant, Date: date}, &l); err != nil {
				return err
			}
			if l.Any {
				u.say("%s: 一覧がなく、どの宛先も受け付けます", "%s: there is no list, any recipient is accepted", safe(l.Tenant))
				return nil
			}
			n := 0
			for _, r := range l.Lines {
				if u.json {
					if err := u.object(r); err != nil {
						return err
					}
					continue
				}
				mark := u.tr("届く", "reached")
				if !r.Reached {
					mark = u.tr("期間外", "not then")
				} else {
					n++
				}
				term := ""
				if r.From != "" || r.Until != "" {
					term = r.From + " - " + r.Until
				}
				u.line("%s  %s  %s", pad(mark, 8), pad(term, 23), safe(r.Address))
			}
			if !u.json {
				from := u.tr("版 ", "version ") + strconv.FormatInt(l.Version, 10)
				if l.File != "" {
					from = safe(l.File)
				}
				u.line(u.tr("%s（%s）: %d 件が届きます", "%s (%s): %d are reached"), safe(l.Tenant), from, n)
			}
			return nil
		})
	c.Args = exactly(u, 0, text{})
	c.Flags().StringVar(&date, "date", "", u.tr("この日の一覧", "the list of this day"))
	argument(c.Flags(), "date", "DATE")
	return c
}

func recipientsHistory(u *ui, g *globals) *cobra.Command {
	c := command(u, "history", text{"取り込んだ版を新しい順に表示する", "list the versions, newest first"}, text{}, "01245", func(cmd *cobra.Command, _ []string) error {
		var vs []client.RecipientVersion
		if err := g.client().Call(cmd.Context(), "recipients.history", client.Request{Tenant: g.tenant}, &vs); err != nil {
			return err
		}
		for _, v := range vs {
			if u.json {
				if err := u.object(v); err != nil {
					return err
				}
				continue
			}
			u.version(&v)
		}
		if len(vs) == 0 && !u.json {
			u.say("取り込んだ一覧はありません", "no list was imported")
		}
		return nil
	})
	c.Args = exactly(u, 0, text{})
	return c
}

// version prints one version of a list.
func (u *ui) version(v *client.RecipientVersion) {
	mark := ""
	switch {
	case v.Cancelled:
		mark = u.tr("取消", "cancelled")
	case v.InForce:
		mark = u.tr("有効", "in force")
	case v.Effective.After(time.Now()):
		mark = u.tr("予定", "to come")
	}
	what := strconv.Itoa(v.Addresses) + u.tr(" 件", " addresses")
	if v.Any {
		what = u.tr("一覧なし", "no list")
	}
	u.line("%4d  %s  %s  %s  %s  %s", v.Version, pad(mark, 9), v.Effective.In(japan).Format("2006-01-02 15:04"), pad(what, 16), pad(safe(v.By), 12), safe(v.Source))
}

// versionArgument reads the number of a version.
func (u *ui) versionArgument(arg string, least int64) (int64, error) {
	n, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || n < least {
		return 0, u.usage("%q は版の番号ではありません（sekisho recipients history で分かります）", "%q is no number of a version; sekisho recipients history shows them", arg)
	}
	return n, nil
}

func recipientsRollback(u *ui, g *globals) *cobra.Command {
	var o change
	c := command(u, "rollback VERSION [--date DATE] [--dry-run] [--allow-removal N%]", text{"前の版の一覧に戻す", "take an earlier version up again"},
		text{"その版と同じ一覧が、新しい版になります。0 は、一覧のない状態です。", "The list of that version becomes a new one. 0 is the state without a list."}, "01245", func(cmd *cobra.Command, args []string) error {
			n, err := u.versionArgument(args[0], 0)
			if err != nil {
				return err
			}
			req := client.Request{Tenant: g.tenant, Version: n}
			if err := o.request(u, &req); err != nil {
				return err
			}
			var r client.Imported
			if err := g.client().Call(cmd.Context(), "recipients.rollback", req, &r); err != nil {
				return err
			}
			return u.imported(&r)
		})
	c.Args = exactly(u, 1, text{"版の番号一つ", "the number of a version"})
	o.flags(u, c)
	example(c, "sekisho recipients rollback 3")
	return c
}

func recipientsCancel(u *ui, g *globals) *cobra.Command {
	c := command(u, "cancel VERSION", text{"まだ始まっていない版を取り消す", "cancel a version that has yet to begin"}, text{}, "01245", func(cmd *cobra.Command, args []string) error {
		n, err := u.versionArgument(args[0], 1)
		if err != nil {
			return err
		}
		var v client.RecipientVersion
		if err := g.client().Call(cmd.Context(), "recipients.cancel", client.Request{Tenant: g.tenant, Version: n}, &v); err != nil {
			return err
		}
		if u.json {
			return u.object(v)
		}
		u.line(u.tr("%s: 版 %d を取り消しました", "%s: version %d cancelled"), safe(v.Tenant), v.Version)
		return nil
	})
	c.Args = exactly(u, 1, text{"版の番号一つ", "the number of a version"})
	return c
}

func recipientsExport(u *ui, g *globals) *cobra.Command {
	var date, version string
	c := command(u, "export [--version N] [--date DATE]", text{"一覧を、取り込める形の CSV で出力する", "print a list as CSV that can be imported"}, text{}, "01245", func(cmd *cobra.Command, _ []string) error {
		req := client.Request{Tenant: g.tenant, Date: date}
		if version != "" {
			var err error
			if req.Version, err = u.versionArgument(version, 1); err != nil {
				return err
			}
		}
		var l client.RecipientList
		if err := g.client().Call(cmd.Context(), "recipients.list", req, &l); err != nil {
			return err
		}
		if u.json {
			return u.object(l)
		}
		if l.Any {
			u.say("%s: 一覧がなく、どの宛先も受け付けます", "%s: there is no list, any recipient is accepted", safe(l.Tenant))
			return ended(exitNotFound)
		}
		w := csv.NewWriter(u.out)
		if err := w.Write([]string{"address", "from", "until"}); err != nil {
			return err
		}
		for _, r := range l.Lines {
			if err := w.Write([]string{r.Address, r.From, r.Until}); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	})
	c.Args = exactly(u, 0, text{})
	c.Flags().StringVar(&version, "version", "", u.tr("この版の一覧", "the list of this version"))
	c.Flags().StringVar(&date, "date", "", u.tr("この日の一覧", "the list of this day"))
	argument(c.Flags(), "version", "N")
	argument(c.Flags(), "date", "DATE")
	return c
}

func tenantCommand(u *ui, g *globals) *cobra.Command {
	list := command(u, "list", text{"団体の一覧を表示する", "list the tenants"}, text{}, "01245", func(cmd *cobra.Command, _ []string) error {
		var ts []client.Tenant
		if err := g.client().Call(cmd.Context(), "tenant.list", client.Request{Tenant: g.tenant}, &ts); err != nil {
			return err
		}
		for _, t := range ts {
			if u.json {
				if err := u.object(t); err != nil {
					return err
				}
				continue
			}
			u.line("%s  %s  %s  %s", pad(safe(t.ID), 16), pad(safe(t.Name), 20), pad(u.recipients(&t), 28), safe(strings.Join(t.Domains, ", ")))
		}
		return nil
	})
	list.Args = exactly(u, 0, text{})
	show := command(u, "show [ID]", text{"団体の設定と状況を表示する", "show a tenant's settings and what is under way for it"},
		text{"団体が一つだけのときは ID を省けます。", "With one tenant only, the id can be left out."}, "01245", func(cmd *cobra.Command, args []string) error {
			req := client.Request{Tenant: g.tenant}
			if len(args) == 1 {
				if req.Tenant != "" && req.Tenant != args[0] {
					return u.usage("団体を二つ指定しています: %s と %s", "two tenants are named: %s and %s", g.tenant, args[0])
				}
				req.Tenant = args[0]
			}
			var t client.TenantShown
			if err := g.client().Call(cmd.Context(), "tenant.show", req, &t); err != nil {
				return err
			}
			if u.json {
				return u.object(t)
			}
			u.tenant(&t)
			return nil
		})
	show.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return u.usage("%s に指定できる団体は一つです", "%s wants one tenant at most", cmd.CommandPath())
		}
		return nil
	}
	return group(u, "tenant", text{"団体を調べる", "the bodies that the gateway serves"}, text{}, "02", list, show)
}

// recipients says in a few words where a tenant's recipients come from.
func (u *ui) recipients(t *client.Tenant) string {
	switch t.Recipients {
	case "any":
		return u.tr("どの宛先も受け付ける", "any recipient")
	case "doubted":
		return u.tr("一覧が書き換えられているため、postmaster 以外は受け付けない（一覧を取り込み直してください）", "nobody but postmaster: the lists were changed by other hands; import one anew")
	case "file":
		return strconv.Itoa(t.Reached) + u.tr(" 件（ファイル）", " (file)")
	default:
		return strconv.Itoa(t.Reached) + u.tr(" 件（版 ", " (version ") + strconv.FormatInt(t.Version, 10) + u.tr("）", ")")
	}
}

func (u *ui) tenant(t *client.TenantShown) {
	row := func(ja, en, v string) {
		if v != "" {
			u.line("%s: %s", u.tr(ja, en), v)
		}
	}
	row("団体", "tenant", safe(t.ID))
	row("名称", "name", safe(t.Name))
	row("ドメイン", "domains", safe(strings.Join(t.Domains, ", ")))
	row("プロファイル", "profile", safe(t.Profile))
	row("管理者", "administrators", safe(strings.Join(t.Administrators, ", ")))
	row("信頼する送信者", "trusted senders", safe(strings.Join(t.Trusted, ", ")))
	row("宛先", "recipients", u.recipients(&t.Tenant))
	row("宛先のファイル", "recipients file", safe(t.File))
	for _, s := range slices.Sorted(func(yield func(string) bool) {
		for k := range t.Entries {
			if !yield(k) {
				return
			}
		}
	}) {
		u.line("%s: %d", u.word(states, s), t.Entries[s])
	}
	for _, v := range t.Scheduled {
		u.version(&v)
	}
}
