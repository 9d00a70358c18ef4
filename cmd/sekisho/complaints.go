package main

import "strings"

// complaints are what the daemon says of a configuration. A suggestion behind
// it ("; did you mean", "; known here") is worded apart.
var complaints = []sentence{
	// The file as text.
	{"the file cannot be read: open %s: no such file or directory", "ファイルがありません"},
	{"the file cannot be read: open %s: permission denied", "ファイルを読む権限がありません"},
	{"the file cannot be read: read %s: is a directory", "ファイルではなくディレクトリーです"},
	{"the file cannot be read: %s", "ファイルを読めません: $1"},
	{"the file is empty; a first one is in deploy/sekisho.yaml", "ファイルが空です。最初の設定は deploy/sekisho.yaml にあります"},
	{"the file has more than 16MiB: is it the right one?", "ファイルが 16MiB を超えています。設定ファイルかどうか確かめてください"},
	{"not in UTF-8: save the file as UTF-8; some editors of Windows write Shift_JIS", "UTF-8 ではありません。UTF-8 で保存し直してください（Windows のエディターには Shift_JIS で保存するものがあります）"},
	{"not in UTF-8 but in UTF-16: save the file as UTF-8", "UTF-8 ではなく UTF-16 です。UTF-8 で保存し直してください"},
	{"a control character: take it out", "制御文字があります。取り除いてください"},
	{"a tab at the start of the line: indent with spaces", "行頭にタブがあります。字下げには空白を使ってください"},
	{"a second document begins behind ---: only one is read; take the line out", "--- の後から二つ目の文書が始まっています。読むのは一つだけです。この行を取り除いてください"},
	{"more than %s values, anchors written out", "値が $1 を超えています（別名 * の繰り返しを含む）"},
	{"a tag (%s) says what a value is; write the value alone", "値に種類の指定（$1）は付けられません。値だけを書いてください"},
	// Keys and values in general.
	{"unknown key", "そのキーはありません"},
	{"stands twice", "二度書かれています"},
	{"cannot be set", "設定できません"},
	{"want text", "文字列が必要です"},
	{"want text, got %s; put it in quotes", "文字列が必要です。$1 を引用符で囲んでください"},
	{`want true or false, got "%s"`, "true または false が必要です（$1 ではなく）"},
	{"want a list of words", "語の一覧が必要です"},
	{"want a list, such as %s", "一覧が必要です（例: $1）"},
	{"want keys below it, got a list", "下位のキーが必要です（一覧ではなく）"},
	{"want keys below it, got %s", "下位のキーが必要です（$1 ではなく）"},
	{"want one value", "値は一つだけです"},
	{"want a step such as rebuild, or a list of steps", "段階（例: rebuild）またはその一覧が必要です"},
	{"want between %s and %s", "$1 から $2 までの値が必要です"},
	{"want at least %s", "$1 以上が必要です"},
	{"want at most %s", "$1 以下が必要です"},
	{"want a number above zero", "0 より大きい数が必要です"},
	{`want a number, got "%s"`, "数が必要です（$1 ではなく）"},
	{`"%s" is no share; write for instance 40%`, "$1 は割合ではありません（例: 40%）"},
	{`"%s" is no size; write for instance 20MiB`, "$1 は大きさではありません（例: 20MiB）"},
	{`"%s" is too large`, "$1 は大きすぎます"},
	{`"%s" is no time; write for instance 14d, 12h or 30s`, "$1 は時間ではありません（例: 14d、12h、30s）"},
	{"want an absolute path", "絶対パスが必要です"},
	{`want an absolute path, got "%s"`, "絶対パスが必要です（$1 ではなく）"},
	{`want ADDRESS:PORT of a DNS server, such as 127.0.0.1:53, got "%s"`, "DNS サーバーの アドレス:ポート（例: 127.0.0.1:53）が必要です（$1 ではなく）"},
	{`want ADDRESS:PORT, got "%s"`, "アドレス:ポート が必要です（$1 ではなく。名前ではなくアドレスで書きます）"},
	{`want HOST:PORT or unix:PATH, got "%s"`, "ホスト:ポート または unix:パス が必要です（$1 ではなく）"},
	{`want HOST:PORT, got "%s"`, "ホスト:ポート が必要です（$1 ではなく）"},
	{`want unix: and an absolute path, got "%s"`, "unix: の後に絶対パスが必要です（$1 ではなく）"},
	{`want lower-case letters, digits and hyphens, got "%s"`, "英小文字、数字、ハイフンで書いてください（$1 ではなく）"},
	{`zone "%s" is none of %s`, "区域 $1 はありません。使えるもの: $2"},
	{`network "%s" is none of %s`, "網 $1 はありません。使えるもの: $2"},
	{`"%s" is no network such as %s`, "$1 は網ではありません（例: $2）"},
	{`"%s" has bits beyond its length`, "$1 には網の長さより後のビットがあります"},
	{`"%s" is no domain: write it as DNS has it, in letters, digits and hyphens (xn--...)`, "$1 はドメインではありません。DNS の形（英数字とハイフン、xn--...）で書いてください"},
	{`"%s" is no domain: write it as DNS has it, in letters, digits and hyphens (xn--...); all names below it are meant, too`, "$1 はドメインではありません。DNS の形（英数字とハイフン、xn--...）で書いてください。下位の名前もすべて含みます"},
	{`"%s" is no domain; all names below it are meant, too`, "$1 はドメインではありません。* は要りません（下位の名前もすべて含みます）"},
	{`"%s" is no domain`, "$1 はドメインではありません"},
	{`address "%s" has no local part or no domain`, "アドレス $1 に @ の前または後がありません"},
	{`address "%s" has two @`, "アドレス $1 に @ が二つあります"},
	{`address "%s" has a space or control character`, "アドレス $1 に空白または制御文字があります"},
	{"open %s: no such file or directory", "$1 がありません"},
	{"open %s: permission denied", "$1 を読む権限がありません"},
	{"read %s: is a directory", "$1 はファイルではなくディレクトリーです"},
	{`want %s, %s or %s, got "%s" (ambiguous and tampered always hold)`, "$1、$2、$3 のどれかが必要です（$4 ではなく。ambiguous と tampered は必ず保留します）"},
	{`nothing passes without an answer: want %s or %s, got "%s"`, "検査結果のないまま通すことはできません。$1 または $2 が必要です（$3 ではなく）"},
	// The words of one key.
	{`want any, got "%s"`, "書けるのは any だけです（$1 ではなく）"},
	{`want tenants or nothing, got "%s"`, "tenants と書くか、書かずにおきます（$1 ではなく）"},
	// The gateway.
	{`"%s" is no full host name, such as %s`, "$1 は完全なホスト名ではありません（例: $2）"},
	{"required: the full name of this gateway, such as %s", "必須です。このゲートウェイの完全な名前（例: $1）を書いてください"},
	{"required: at least one ADDRESS:PORT", "必須です。アドレス:ポート が少なくとも一つ必要です"},
	{"required: at least one listener", "必須です。リスナーが少なくとも一つ必要です"},
	{"required: at least one tenant", "必須です。団体が少なくとも一つ必要です"},
	{"required: at least one domain", "必須です。ドメインが少なくとも一つ必要です"},
	{"required: at least one hop", "必須です。hop が少なくとも一つ必要です"},
	{"required: at least one route", "必須です。経路が少なくとも一つ必要です"},
	{"only the embedded store exists so far; leave it empty", "内蔵のデータベースだけが使えます。空のままにしてください"},
	{"only files in data_dir exist so far; leave it empty", "data_dir のファイルだけが使えます。空のままにしてください"},
	{"originals are never delivered so far; only off is allowed", "原本は配送しません。書けるのは off だけです"},
	{"there is no console yet; leave it empty", "Web の管理画面はまだありません。空のままにしてください"},
	{"what is held would end at once; write for instance 14d", "保留したものがすぐに終わってしまいます（例: 14d）"},
	{`cannot change from "%s" to "%s" while the gateway runs: restart it, or put the old value back; nothing was changed`, "動作中は $1 から $2 に変えられません。再起動するか、元の値に戻してください。何も変わっていません"},
	// Listeners.
	{"every listener needs a name of its own", "リスナーごとに別々の名前が必要です"},
	{"%s is taken by %s (%s)", "$1 は $2（$3）が使っています"},
	{"cert and key go together", "cert と key は両方とも書いてください"},
	{"certificate %s: open %s: no such file or directory", "証明書のファイル $2 がありません"},
	{"certificate %s: open %s: permission denied", "証明書のファイル $2 を読む権限がありません"},
	{"certificate %s: %s", "証明書 $1 が使えません: $2"},
	{"%s is too wide: name the balancers, at most a %s", "$1 は広すぎます。負荷分散装置を名指ししてください（$2 まで）"},
	{"%s is too wide for zone %s, whose peers are trusted: name your own networks", "$1 は広すぎます。区域 $2 の接続元は信頼されます。自分の網だけを書いてください"},
	{"a listener of zone %s knows its peers by their networks; name them", "区域 $1 のリスナーには、接続元の networks が必要です"},
	// Tenants.
	{`tenant "%s" stands twice`, "団体 $1 が二度書かれています"},
	{`tenant "%s" needs an id and at least one domain`, "団体 $1 には id とドメインが必要です"},
	{"no tenant", "団体がありません"},
	{`domain "%s" stands twice`, "ドメイン $1 が二度書かれています"},
	{`domain "%s" belongs to tenant "%s" already`, "ドメイン $1 はすでに団体 $2 のものです"},
	{`domain "%s" belongs to tenants "%s" and "%s"`, "ドメイン $1 が団体 $2 と $3 の両方にあります"},
	{"accept and file exclude each other", "accept と file は一方だけを書いてください"},
	{"%s is too wide: name the servers that may use your domains", "$1 は広すぎます。自団体のドメインを名乗ってよいサーバーだけを書いてください"},
	{`want a network, an address or a domain that signs with DKIM, got "%s"`, "網、アドレス、または DKIM で署名するドメインが必要です（$1 ではなく）"},
	// Profiles.
	{"every profile needs a name", "プロファイルには名前が必要です"},
	{`profile "%s" stands twice`, "プロファイル $1 が二度書かれています"},
	{`profile "%s" does not exist`, "プロファイル $1 がありません"},
	{"%s is not built for this class; allowed here: %s", "$1 はこの種類には使えません。使えるもの: $2"},
	{`unknown step "%s"`, "$1 という段階はありません"},
	{"remove stands alone", "remove は単独で書いてください"},
	{"hold is the last step", "hold の後に段階は書けません"},
	{"flatten stands out of its order: it is the first step of this class, or its only one", "flatten の順が違います。この種類では最初の段階か、ただ一つの段階です"},
	{"rebuild stands out of its order: after flatten comes text, or hold", "rebuild の順が違います。flatten の後は text か hold です"},
	{"%s stands out of its order: rebuild, convert, flatten, text, hold", "$1 の順が違います。rebuild、convert、flatten、text、hold の順に書いてください"},
	// Hops and routes.
	{"every hop needs a name of its own", "hop ごとに別々の名前が必要です"},
	{"hop without a name", "hop に名前がありません"},
	{`hop "%s" stands twice`, "hop $1 が二度書かれています"},
	{`hop "%s" has no network`, "hop $1 に network がありません"},
	{`hop "%s" does not exist`, "hop $1 がありません"},
	{`hop "%s" needs either hosts or mx`, "hop $1 には hosts か mx のどちらか一方が必要です"},
	{`hop "%s": mx is for hops of network internet`, "hop $1: mx を使えるのは網 internet の hop だけです"},
	{`%s is this gateway's own listener "%s": mail would go round in a circle`, "$1 はこのゲートウェイ自身のリスナー $2 です。メールが循環します"},
	{"route without a domain", "経路にドメインがありません"},
	{`route "%s" stands twice`, "経路 $1 が二度書かれています"},
	{`route "%s": hop "%s" does not exist`, "経路 $1 の hop $2 がありません"},
	{`route "%s": write a domain, with subdomains: true for all names below it, or "*"`, "経路 $1: ドメインを書き、下位の名前も含めるなら subdomains: true を付けてください。すべてなら \"*\" です"},
	{`route "%s" to hop "%s": a name of lgwan.domains may not leave by the internet`, "経路 $1 は lgwan.domains の名前をインターネットの hop $2 に出します"},
	{`route "%s" to hop "%s": a tenant's domain is never sent out to the internet`, "経路 $1 は団体のドメインをインターネットの hop $2 に出します"},
	{`tenant's domain "%s" has no route`, "団体のドメイン $1 への経路がありません"},
	{`tenant's domain "%s" would be sent to the internet by route "%s": give it a route to its own hop`, "団体のドメイン $1 が経路 $2 でインターネットに出てしまいます。専用の hop への経路を書いてください"},
	// Senders, keys, reports.
	{`needs resolver to be a DNS server on this machine that validates DNSSEC, such as 127.0.0.1:53, got "%s"`, "この機械にある DNSSEC 検証つきの DNS サーバーを resolver に書く必要があります（例: 127.0.0.1:53。$1 ではなく）"},
	{`required: the domain whose mail the key signs, got "%s"`, "必須です。この鍵で署名するドメインを書いてください（$1 ではなく）"},
	{"%s is no tenant's domain and above none: nothing would be signed with this key", "$1 はどの団体のドメインでも、その上位でもありません。この鍵は何にも使われません"},
	{"required: the name under _domainkey.%s that has the public key", "必須です。公開鍵を置いた _domainkey.$1 の下の名前を書いてください"},
	{"required: a private key in PEM, RSA of 2048 bits or more, or Ed25519", "必須です。秘密鍵の PEM ファイル（2048 ビット以上の RSA、または Ed25519）を書いてください"},
	{"%s holds no PEM block", "$1 は PEM ファイルではありません"},
	{"%s holds a %s, not a private key", "$1 の中身は秘密鍵ではなく $2 です"},
	{"%s: an RSA key of %s bits; want 2048 or more", "$1: RSA 鍵が $2 ビットです。2048 ビット以上が必要です"},
	{"%s: want an RSA or Ed25519 key", "$1: RSA または Ed25519 の鍵が必要です"},
	{"required where the others are set: without it nothing is reported", "ほかの項目を書くときは必須です。これがなければ何も報告しません"},
	{"want an address: %s", "メールアドレスが必要です（$1）"},
	{"%s is no tenant's domain", "$1 はどの団体のドメインでもありません"},
	{"needs a key in dkim that signs for %s", "$1 の署名に使う鍵を dkim に書く必要があります"},
	// Scanners and converters.
	{`scanner "%s" stands twice`, "検査プログラム $1 が二度書かれています"},
	{"command and paths belong to a scanner of kind command", "command と paths を書けるのは kind: command のときだけです"},
	{"a command has none", "kind: command に address はありません"},
	{"it would be asked about nothing; take the scanner out", "何も検査しないことになります。この検査プログラムを取り除いてください"},
	{"%s holds %s, which no scanner may read", "$1 には検査プログラムに見せられない $2 があります"},
	{"want a list with an absolute path first", "絶対パスで始まる一覧が必要です"},
	{`"%s": want absolute paths below /`, "$1: / より下の絶対パスが必要です"},
	{"more than %s", "$1 を超えています"},
	{"every converter needs a name of its own, of letters, digits, dots and dashes", "変換コマンドごとに、英数字と . - _ からなる別々の名前が必要です"},
	{`no converter may treat "%s"`, "$1 に変換コマンドは使えません"},
	{"want a list with the absolute path of a program first", "プログラムの絶対パスで始まる一覧が必要です"},
	{"word %s has a zero octet", "$1 語目に制御文字（0）があります"},
	{"no word behind the program says {in}, where the name of the file is to stand", "プログラムの後のどこにも、ファイル名の入る {in} がありません"},
	{"%s lies neither below /usr nor below one of paths, so its sandbox does not have it", "$1 は /usr にも paths にもないため、隔離した中から見えません"},
	{`"%s" is no absolute path below /`, "$1 は / より下の絶対パスではありません"},
	{`"%s" cannot be shown: the sandbox has a %s of its own`, "$1 は見せられません。隔離した中には別の $2 があります"},
	{"%s would be shown to the converter with %s", "$2 を見せると、変換コマンドに $1 も見えてしまいます"},
	{`no converter has the name "%s"`, "変換コマンド $1 はありません"},
	{"%s and %s are both for %s; name the one that is to be used", "$1 と $2 はどちらも $3 用です。使うほうを指定してください"},
	// Files of wording for notices.
	{"there is no section %s", "節 $1 はありません"},
	{"the section %s stands twice", "節 $1 が二度書かれています"},
	{"the section %s has no {%s}; it has none", "節 $1 に {$2} は使えません"},
	{"the section %s has no {%s}; it has %s", "節 $1 に {$2} は使えません。使えるもの: $3"},
	{"the section %s is empty", "節 $1 が空です"},
	{"the section %s has one line, not %s", "節 $1 は一行です（$2 行あります）"},
	{"the section %s has more than %s lines", "節 $1 が $2 行を超えています"},
	{"the section %s does not show {%s} when only what is always known is known; give it a line of its own", "節 $1 は、ほかの値がないとき {$2} を示しません。独立した行に書いてください"},
	{"the section %s says nothing", "節 $1 は何も示しません"},
	{"a { without }", "{ に対応する } がありません"},
	{"a } without {", "} に対応する { がありません"},
	{"text before the first section; a section begins with @NAME", "最初の節より前に文があります。節は @名前 で始めます"},
	{"not in UTF-8", "UTF-8 ではありません"},
	{"the character %s, which nobody sees, may not stand in a notice", "見えない文字 $1 は通知文に使えません"},
	{"the file has more than %s octets", "ファイルが $1 バイトを超えています"},
	// Warnings.
	{"store.key_file is in data_dir: keep a copy apart from the backup, a lost key file is lost mail", "store.key_file が data_dir にあります。バックアップとは別に写しを保管してください。鍵を失うとメールを失います"},
	{"tenant %s accepts any recipient: import a list or name a recipients file, or mail to people who do not exist is accepted and fails later", "団体 $1 はどの宛先も受け付けます。宛先一覧を取り込むか、ファイルを指定してください。存在しない人宛てのメールを受け取ってから失敗することになります"},
	{"tenant %s accepts no recipient but postmaster: no list of its recipients is as the gateway wrote it; import it anew", "団体 $1 は postmaster 以外の宛先を受け付けません。どの宛先一覧もゲートウェイの書いたものと異なります。取り込み直してください"},
	{"limits.connections is %s, but only %s files may be open (LimitNOFILE, ulimit -n): %s connections are taken", "limits.connections は $1 ですが、開けるファイルは $2 個です（LimitNOFILE、ulimit -n）。接続は $3 本まで受け付けます"},
	{"limits.connections is %s, but the daemon's half of the memory is %s MiB (MemoryMax, memory.max): %s connections are taken", "limits.connections は $1 ですが、デーモンの分のメモリは $2 MiB（MemoryMax、memory.max の半分）です。接続は $3 本まで受け付けます"},
	{"quarantine.retention is under a day: what is held ends before somebody can look at it", "quarantine.retention が 1 日より短いため、保留したものを誰も見ないうちに期限が切れます"},
	{"metrics.listen is reached from other machines, without TLS or login", "metrics.listen に、ほかの機械から TLS もログインもなしで接続できます"},
	{"lgwan.domains is empty: no name of LGWAN is kept from the internet", "lgwan.domains が空です。LGWAN の名前がインターネットへ出るのを防げません"},
	{"senders.check is off: mail from the internet may bear any sender, your own domains included", "senders.check が off です。インターネットからのメールは、自団体のドメインも含めて誰でも名乗れます"},
	{"no antivirus looks at mail of zone %s", "区域 $1 のメールはウイルス対策の検査を受けません"},
	{"listener %s has no certificate: what comes from the internet cannot be encrypted on its way", "リスナー $1 に証明書がないため、インターネットからのメールは経路上で暗号化できません"},
	{"converter %s: %s cannot be found: what needs it is kept back", "変換コマンド $1 の $2 がありません。必要とするファイルは保留になります"},
	// One of some words, in general; last, since it fits much.
	{`want %s, got "%s"`, "$1 のどれかが必要です（$2 ではなく）"},
}

// grammar is what the YAML library says of a text that is none.
var grammar = []sentence{
	{"unknown anchor '%s' referenced", "別名 *$1 の元（&$1）がありません"},
	{"exceeded max depth of %s", "入れ子が深すぎます（$1 段まで）"},
	{"exceeded max flow depth of %s", "入れ子が深すぎます（$1 段まで）"},
	{"found character that cannot start any token", "この位置に書けない文字があります（値に記号があれば引用符で囲んでください）"},
	{"mapping values are not allowed in this context", "この位置に「:」は書けません。字下げ、または値の引用符を確かめてください"},
	{"did not find expected key", "キーが必要です。この行か前の行の字下げを確かめてください"},
	{"could not find expected ':'", "キーの後の「:」がありません"},
	{"did not find expected ',' or ']'", "[ ] の中の「,」または閉じる「]」がありません"},
	{"did not find expected ',' or '}'", "{ } の中の「,」または閉じる「}」がありません"},
	{"did not find expected node content", "値がありません。括弧や「-」の後を確かめてください"},
	{"did not find expected '-' indicator", "一覧の「-」がありません。字下げを確かめてください"},
	{"did not find expected <document start>", "ここには何も書けません。前の行の括弧や字下げを確かめてください"},
	{"found unexpected end of stream", "引用符または括弧が閉じていません"},
	{"found unexpected document indicator", "引用符が閉じないまま --- があります"},
	{"block sequence entries are not allowed in this context", "この位置に「-」は書けません。字下げを確かめてください"},
	{"found unknown escape character", "引用符の中の \\ の使い方が違います。' ' で囲めば \\ をそのまま書けます"},
}

// suggestions stand behind a complaint.
var suggestions = []sentence{
	{`; did you mean %s?`, "。もしかして $1"},
	{`; known here: %s`, "。使えるもの: $1"},
}

// complaint words one line that the daemon says of a configuration:
// FILE:LINE: key: what is wrong, or the last alone.
func (u *ui) complaint(line string) string {
	if !u.ja {
		return line
	}
	// FILE:LINE may hold anything, what is wrong may hold ": ".
	return worded(line, complained)
}

// complained words what is wrong, with the suggestion behind it.
func complained(text string) (string, bool) {
	for _, s := range suggestions {
		if i := strings.LastIndex(text, s.en[:strings.Index(s.en, "%s")]); i > 0 {
			head, ok := complained(text[:i])
			tail, fits := known(text[i:], []sentence{s})
			if ok && fits {
				return head + tail, true
			}
		}
	}
	ja, ok := known(text, complaints, grammar)
	if strings.HasPrefix(text, "want ") {
		ja = strings.ReplaceAll(ja, " or ", "、")
	}
	return ja, ok
}
