package main

// The gateway answers in English, since it does not know who reads it: the log
// and the other administrators read the same sentence. For a Japanese reader
// the sentences met in practice are worded anew here. One that is not known
// stays in English; the exit status never depends on a sentence.

import (
	"strings"

	"sekisho/admin/client"
)

// sentence is one that the gateway says, with %s where something varies, and
// the same worded anew, mostly in Japanese, with $1, $2 ... in their places.
type sentence struct{ en, anew string }

// answers are what the gateway says of an act that it did not carry out.
var answers = []sentence{
	{"%s is not held any more: not found", "$1 はすでに保留中ではありません"},
	{`"%s" is no id: not found`, "$1 は受付番号ではありません"},
	{"get %s: get %s: not found", "$1 は見つかりません"},
	{"%s: get %s: not found", "$1 は見つかりません"},
	{"get %s: not found", "$1 は見つかりません"},
	{"take %s: take %s: not found", "$1 は見つかりません"},
	{"take %s: not found", "$1 は見つかりません"},
	{"take %s: take %s: not in that state", "$1 はその状態にありません（すでに処理されたか、処理中です）"},
	{"take %s: not in that state", "$1 はその状態にありません（すでに処理されたか、処理中です）"},
	{"settle %s: not in that state", "$1 はほかの処理が先に進めました"},
	{"%s: not a recipient of this mail", "$1 はこのメールの宛先ではありません"},
	{`no message is known by "%s": not found`, "$1 に当たるメールはありません"},
	{"originals are not delivered (originals.deliver is off); release delivers the harmless form: not allowed", "原本は配送しません（originals.deliver が off です）。無害化したものは release で配送できます"},
	{"tampered entries cannot be released, only deleted", "改ざんされたものは解放できません。削除だけができます"},
	{"a reason is needed", "理由が必要です"},
	{"a reason has at most %s characters: wrong usage", "理由は $1 文字までです"},
	{"%s is not queued any more: not found", "$1 はすでに待っていません"},
	{`"%s" is too short to look for: wrong usage`, "$1 は短すぎます。3 文字以上（日本語なら 2 文字以上）を指定してください"},
	{"tenant %s: not found", "団体 $1 はありません"},
	{"there are several tenants; name one with --tenant: wrong usage", "団体が複数あります。--tenant で指定してください"},
	{"the recipients of tenant %s are in the file %s, which the configuration names: change it there and reload, or take the line out: wrong usage", "団体 $1 の宛先は、設定ファイルが指すファイル $2 にあります。そこで変えて再読込するか、設定の行を取り除いてください"},
	{"version %s of tenant %s: not found", "団体 $2 に版 $1 はありません"},
	{"version %s of tenant %s took effect already, or was cancelled; roll back to another one: wrong usage", "団体 $2 の版 $1 はすでに始まったか、取り消されています。別の版に戻してください"},
	{`"%s" is no day such as 2027-04-01: wrong usage`, "$1 は日付ではありません（例: 2027-04-01）"},
	{"%s is over: wrong usage", "$1 はすでに過ぎています"},
	{"remove account: remove account %s: not found", "アカウント $1 はありません"},
	{"remove account %s: not found", "アカウント $1 はありません"},
	{"add account: add account %s: not in that state: exists already", "名前 $1 またはその uid のアカウントがすでにあります"},
	{"nobody removes the account he is using: not allowed", "使用中の自分のアカウントは取り除けません"},
	{"an account needs a name of at most 64 characters and a uid: wrong usage", "アカウントには 64 文字までの名前と uid が必要です"},
	{"an account's name has no spaces or control characters: wrong usage", "アカウントの名前に空白や制御文字は使えません"},
	{`zone "%s" is none of %s: wrong usage`, "区域 $1 はありません。使えるもの: $2"},
	{`address "%s" has two @: wrong usage`, "アドレス $1 に @ が二つあります"},
	{`address "%s" has no local part or no domain: wrong usage`, "アドレス $1 に @ の前または後がありません"},
	{`address "%s" has a space or control character: wrong usage`, "アドレス $1 に空白または制御文字があります"},
	{"%s from zone internet would be refused: the domain is no tenant's, and there is no relay: not found", "$1 はインターネットからは受け付けません（団体のドメインではなく、中継はしません）"},
	{"%s is not among the recipients of tenant %s: not found", "$1 は団体 $2 の宛先一覧にありません"},
	{"%s from zone %s: no route: not found", "区域 $2 から $1 への経路がありません"},
	{"%s from zone %s: zone %s to the internet: no relay: no route: not found", "区域 $2 から $1 への経路がありません（インターネットへの中継はしません）"},
	{"%s from zone %s: %s may not leave by the internet: not found", "$1 はインターネットへ出せないドメインです"},
}

// tellings say who was told that a message was given up.
var tellings = []sentence{
	{"our own mail, nobody told", "関所自身のメールのため、誰にも知らせません"},
	{"the sender told in %s", "差出人に知らせます（$1）"},
	{"the administrators told in %s", "管理者に知らせます（$1）"},
	{"the administrators are told within the hour", "1 時間以内に管理者に知らせます"},
	{"the sender asked not to be told", "差出人が通知を望んでいません"},
	{"its tenant is not in the configuration, nobody told", "団体が設定にないため、誰にも知らせません"},
}

// plainer are answers that an English reader gets in better words, too.
var plainer = []sentence{
	{"tenant %s: not found", "there is no tenant $1"},
	{"version %s of tenant %s: not found", "tenant $2 has no version $1"},
	{"get %s: get %s: not found", "$1: not found"},
	{"get %s: not found", "$1: not found"},
	{"take %s: take %s: not found", "$1: not found"},
	{"take %s: take %s: not in that state", "$1 is not in that state: it was dealt with already, or is in hand"},
	{"settle %s: not in that state", "$1: somebody was quicker"},
	{"remove account: remove account %s: not found", "there is no account $1"},
	{"add account: add account %s: not in that state: exists already", "there is an account $1 or of that uid already"},
	{"%s: not found", "$1"},
	{"%s: not allowed", "$1"},
	{"%s: wrong usage", "$1"},
}

// causes are why something waits, was refused, or could not be delivered.
var causes = []sentence{
	{"malformed", "壊れているか、正しい形式ではありません"},
	{"ambiguous", "読み取り方によって内容が変わります"},
	{"over a limit", "処理できる上限を超えています"},
	{"encrypted", "暗号化されています"},
	{"no sanitizer for this kind", "この形式の無害化には対応していません"},
	{"withheld by the profile", "設定により配送しません"},
	{"no harmless form of it can be made: %s", "無害な形を作れません: $1"},
	{"the gateway stopped several times while it had this message in hand", "このメールの処理中にゲートウェイが何度も停止しました"},
	{`profile "%s" is not in the configuration`, "プロファイル $1 が設定にありません"},
	{"intake seal: %s", "受付の封印が一致しません: $1"},
	{"stored bytes: %s", "保管した内容が変わっています: $1"},
	{"the journal row is not as the gateway wrote it: %s", "管理表の行がゲートウェイの書いたものと異なります: $1"},
	{"not what was sealed: %s", "封印したものと異なります: $1"},
	{"a CR or LF alone, which SMTP cannot carry unchanged", "CR または LF が単独で含まれ、そのまま送れません"},
	{"verify: the treated message is not on the allow-list: %s", "無害化した結果の検査に合格しませんでした: $1"},
	{"CPU time used up", "計算時間の上限を超えました"},
	{"its words stand beside it: withheld by the profile", "文書は保留し、文字だけを別のファイルとして配送しました"},
	{"killed", "強制終了されました（メモリー不足の可能性があります）"},
	{"the process could not be confined", "処理を隔離できませんでした"},
	{"killed for a forbidden system call", "禁止された動作をしたため停止しました"},
	{"no confinement on this system", "このシステムには必要な隔離機能がありません"},
	{"the worker's answer does not fit its output", "処理の報告が出力と一致しません"},
	{"the worker gave no answer", "処理が応答しませんでした"},
	{"context deadline exceeded", "時間切れです"},
	{"disk nearly full", "ディスクの空きが足りません"},
	{"the entry was tampered with; its bytes are not opened", "改ざんされているため開きません"},
	{"its bytes are not opened: %s", "改ざんの疑いがあるため開きません: $1"},
	{"this mail passes as scanned and is not treated", "検査済みとして通すメールのため、無害化しません"},
	{"it cannot be treated: %s", "無害化できません: $1"},
	{"there is no text that could be treated", "無害化できる本文がありません"},
	{"connect: dial tcp %s: connect: connection refused", "接続できません（$1 が応答しません）"},
	{"connect: dial tcp %s: i/o timeout", "接続できません（$1 から応答がありません）"},
	{"connect: dial tcp %s: connect: no route to host", "接続できません（$1 への経路がありません）"},
	{"connect: dial tcp %s: connect: network is unreachable", "接続できません（$1 の網に届きません）"},
	{"connect: %s", "接続できません: $1"},
	{"given up by an administrator", "管理者が配送をあきらめました"},
	{"greeting: %s", "相手の挨拶: $1"},
	{"TLS handshake: %s", "TLS の確立に失敗しました: $1"},
	{"the server does not offer TLS, which this hop requires", "この経路に必須の TLS に相手が対応していません"},
	{"look up %s: no address on the internet", "$1 にインターネットのアドレスがありません"},
	{"look up %s: %s", "$1 を名前解決できません: $2"},
	{"the domain takes no mail (null MX)", "相手のドメインはメールを受け取りません (null MX)"},
	{"the address cannot be sent on as it is", "このままでは送れないアドレスです"},
	{"the route leads to a network outside the seal: %s", "経路が封印の範囲外の網に変わりました: $1"},
	{"no route", "経路がありません"},
	{"%s: malware: %s", "$1 がウイルスを検出: $2"},
	{"%s: spam: %s", "$1 が迷惑メールと判定: $2"},
	{"%s: unanswered: %s", "$1 から検査結果がありません: $2"},
	{"scanner %s does not answer: %s", "検査プログラム $1 が応答しません: $2"},
	{"malware was found in it, and no scanner for malware has called it clean since", "ウイルスが見つかったもので、その後どのウイルス対策も無害と判定していません"},
	{"no scanner has seen it", "どの検査プログラムも見ていません"},
}

// reports are what doctor says beside its checks.
var reports = []sentence{
	{"%s MiB and %s % of the inodes are free", "空き $1 MiB、inode の空き $2 %"},
	{"sekishod runs as root", "sekishod が root で動いています"},
	{"it lies in data_dir with what it protects: keep a copy elsewhere and off the backup; a lost key file is lost mail", "守る対象と同じ data_dir にあります。写しを別の場所に、バックアップとは分けて保管してください。鍵を失うとメールを失います"},
	{"others may read it: chmod 600", "ほかの利用者が読めます。chmod 600 としてください"},
	{"%s: valid for %s days", "$1: 有効期限まで $2 日"},
	{"%s received, %s queued, %s held, %s done", "受信済 $1、配送待ち $2、保留 $3、完了 $4"},
	{"the oldest message waits since %s", "最も古いメールは $1 から待っています"},
	{"%s rows could not be read and were moved aside", "$1 行が読めず、別に移しました"},
	{"the year is %s", "今年が $1 年になっています"},
	{"nothing was tried", "何も試していません"},
	{"works", "動作します"},
	{"no delegated cgroup v2: neither memory nor pids (in the unit: Delegate=memory pids)", "cgroup v2 が委任されていません（ユニットに Delegate=memory pids が必要）。メモリーの上限はプロセスごとです"},
	{"not installed: what needs it is kept back", "入っていません。必要とするファイルは保留になります"},
	{"not known: fc-list is not installed", "不明: fc-list がない"},
	{"formulas are drawn", "数式も描かれます"},
	{"formulas are left out of what is converted or drawn: install libreoffice-math-nogui", "変換・画像化で数式が抜け落ちます: libreoffice-math-nogui を入れてください"},
	{"no font has Japanese: what is converted or drawn shows boxes", "日本語フォントがない: 変換や画像化した文書は □ になる"},
	{"no font of its kind: another one is drawn in its place", "同じ種類のフォントがない: 別の書体で描く"},
	{"the list of packages is %s days old: apt-get update", "パッケージの一覧が $1 日前のものです。apt-get update を実行してください"},
	{"does not answer since %s: %s; what it must see waits or is held", "$1 から応答がありません: $2。検査が必要なメールは待つか保留されます"},
	{"was not asked yet", "まだ確認していません"},
	{"%s: does not say how old its signatures are", "$1: 定義ファイルの日付が分かりません"},
	{"%s: the signatures are older than 48 hours", "$1: 定義ファイルが 48 時間以上更新されていません"},
	{"no sample is configured: it was not tried", "sample が設定されていないため、試していません"},
	{"made a harmless PDF of its sample in %s s", "見本を $1 秒で無害な PDF にしました"},
	{"its sample is of kind %s by content", "見本の中身は $1 です"},
	{"nothing came of its sample: %s", "見本を変換できませんでした: $1"},
	{"no antivirus looks at mail of zone %s", "区域 $1 のメールはウイルス対策の検査を受けません"},
	{"listener %s has no certificate: what comes from the internet cannot be encrypted on its way", "リスナー $1 に証明書がないため、インターネットからのメールは経路上で暗号化できません"},
}

// checks are the names of doctor's lines.
var checks = []sentence{
	{"isolation: compute, draw random numbers and start threads, as a worker must", "隔離: 必要な計算はできる"},
	{"isolation: installed", "隔離: 導入済みの制限"},
	{"isolation: %s", "隔離: $1"},
	{"isolation in the service", "サービス内の隔離"},
	{"isolation", "隔離"},
	{"scanner %s", "検査プログラム $1"},
	{"tool: %s", "変換ソフト $1"},
	{"converter %s", "変換コマンド $1"},
	{"tool packages", "変換ソフトのパッケージ"},
	{"fonts", "日本語フォント"},
	{"font: MS Mincho", "ＭＳ 明朝の代わり"},
	{"font: MS Gothic", "ＭＳ ゴシックの代わり"},
	{"gateway", "ゲートウェイ"},
	{"worker", "隔離プログラム"},
	{"user", "実行ユーザー"},
	{"disk", "ディスク"},
	{"site key", "鍵ファイル"},
	{"key file", "鍵ファイルの権限"},
	{"key file %s", "鍵ファイル $1"},
	{"certificate", "証明書"},
	{"store", "保管庫"},
	{"queue", "待ち行列"},
	{"damaged rows", "破損した行"},
	{"clock", "時計"},
	{"configuration", "設定"},
}

// probes are the self-test's attempts to break out.
var probes = []sentence{
	{"read /etc/passwd", "/etc/passwd を読めない"},
	{"read the worker's own binary", "自身のプログラムファイルを読めない"},
	{"list the root directory", "ルートの一覧を見られない"},
	{"create a file", "ファイルを作れない"},
	{"open /proc/self/mem", "/proc/self/mem を開けない"},
	{"connect by TCP", "TCP で接続できない"},
	{"connect to a unix socket", "UNIX ソケットに接続できない"},
	{"connect to an abstract unix socket", "抽象 UNIX ソケットに接続できない"},
	{"signal any other process", "ほかのプロセスに信号を送れない"},
	{"execute a program", "プログラムを実行できない"},
	{"mount a file system", "マウントできない"},
	{"allocate over the limit", "上限を超えてメモリーを取れない"},
	{"allocate past the limit as shared memory", "共有メモリーで上限を超えられない"},
	{"make memory executable", "メモリーを実行可能にできない"},
	{"start a process", "プロセスを起動できない"},
	{"make a namespace", "名前空間を作れない"},
	{"trace a process", "プロセスを追跡できない"},
	{"use io_uring", "io_uring を使えない"},
}

// refusals are how the attempts failed.
var refusals = []sentence{
	{"no such file or directory", "見えません"},
	{"operation not permitted", "許可されません"},
	{"permission denied", "拒否されます"},
	{"read-only file system", "書き込めません"},
	{"connection refused", "つながりません"},
	{"no such process", "見えません"},
	{"cannot allocate memory", "確保できません"},
	{"killed by the filter", "フィルターが停止します"},
}

// matched returns what stands at each %s of the pattern in text.
func matched(pattern, text string) ([]string, bool) {
	pieces := strings.Split(pattern, "%s")
	rest, ok := strings.CutPrefix(text, pieces[0])
	if !ok {
		return nil, false
	}
	if len(pieces) == 1 {
		return nil, rest == ""
	}
	var values []string
	for i, p := range pieces[1:] {
		at := strings.Index(rest, p)
		if i == len(pieces)-2 {
			// The last one reaches to the end.
			at = len(rest) - len(p)
			if !strings.HasSuffix(rest, p) {
				return nil, false
			}
		}
		// Nothing may stand between quotation marks only.
		if at < 0 || at == 0 && !strings.HasSuffix(pieces[i], `"`) {
			return nil, false
		}
		values = append(values, rest[:at])
		rest = rest[at+len(p):]
	}
	return values, true
}

// known words text anew when one of the lists has it.
func known(text string, lists ...[]sentence) (string, bool) {
	for _, l := range lists {
		for _, s := range l {
			values, ok := matched(s.en, text)
			if !ok {
				continue
			}
			pairs := []string{}
			for i, v := range values {
				pairs = append(pairs, "$"+string(rune('1'+i)), v)
			}
			return strings.NewReplacer(pairs...).Replace(s.anew), true
		}
	}
	return text, false
}

// know words text in the reader's language as far as it is known.
func (u *ui) know(text string, lists ...[]sentence) string {
	if u.ja {
		text, _ = known(text, lists...)
	}
	return text
}

// cause words why something waits or failed. Wrapped errors end in the cause:
// where the whole is not known, the end may be.
func (u *ui) cause(text string) string {
	if !u.ja {
		return text
	}
	return worded(text, func(end string) (string, bool) { return known(end, causes) })
}

// worded words the longest end of text that is known, behind a ": " or the whole.
func worded(text string, words func(string) (string, bool)) string {
	for from := 0; ; {
		if ja, ok := words(text[from:]); ok {
			return text[:from] + ja
		}
		i := strings.Index(text[from:], ": ")
		if i < 0 {
			return text
		}
		from += i + 2
	}
}

// reason words one reason of a held entry: the code of a hold with its place,
// or a part with its kind and cause, or a sentence.
func (u *ui) reason(text string) string {
	head, rest, _ := strings.Cut(text, ": ")
	if w := u.rule(head); w != "" {
		if rest == "" {
			return w
		}
		return w + ": " + rest
	}
	if kind, cause, ok := strings.Cut(rest, ": "); ok && part(head) {
		return head + ": " + u.kind(kind) + ": " + u.cause(cause)
	}
	if rest != "" && part(head) {
		return head + ": " + u.kind(rest)
	}
	return u.cause(text)
}

// part reports whether s is the path of a part, such as 1.2.
func part(s string) bool { return s != "" && strings.Trim(s, "0123456789.!/") == "" }

// answer words what the gateway said of an act that it did not carry out, with
// a hint where there is one.
func (u *ui) answer(e *client.Error) (text, hint string) {
	if v, ok := matched("uid %s has no account; somebody who has one can add it with: sekisho account add NAME --uid %s: not allowed", e.Text); ok {
		return u.tr("uid "+v[0]+" にはアカウントがありません", "uid "+v[0]+" has no account"),
			u.tr("アカウントのある人が次で追加できます: sekisho account add NAME --uid "+v[1], "somebody who has one can add it: sekisho account add NAME --uid "+v[1])
	}
	lists := [][]sentence{plainer}
	if u.ja {
		lists = [][]sentence{answers, causes}
	}
	if text, ok := known(e.Text, lists...); ok {
		return text, ""
	}
	switch exitStatus(e) {
	case exitNotFound:
		return u.tr("見つかりません: ", "") + e.Text, ""
	case exitNotAllowed:
		return u.tr("許可されていません: ", "") + e.Text, ""
	case exitUsage:
		return u.tr("できません: ", "") + e.Text, ""
	default:
		return u.tr("ゲートウェイで失敗しました: ", "the gateway failed: ") + e.Text, u.tr("詳しくは sekishod のログにあります", "the log of sekishod has more")
	}
}
