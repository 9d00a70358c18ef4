package notice

import "fmt"

func known(r Reason) Reason {
	if _, ok := reasonsJA[r]; ok {
		return r
	}
	return Failed
}

var reasonsJA = map[Reason]string{
	Policy:      "この種類のファイルは、組織の設定により配送されません。",
	Executable:  "プログラムを実行できるファイルのため、配送されません。",
	Encrypted:   "パスワードまたは暗号化により、中身を確認できません。",
	Unknown:     "形式を確認できないファイルのため、配送されません。",
	Unsupported: "この形式の無害化には対応していません。",
	Malformed:   "ファイルが壊れているか、正しい形式ではありません。",
	Ambiguous:   "読み取り方によって内容が変わるため、安全を確認できません。",
	Limit:       "大きさまたは構造が、処理できる上限を超えています。",
	External:    "添付ファイルの実体がメールの外にあるため、取得しません。",
	Failed:      "無害化の処理ができませんでした。",
}

var reasonsEN = map[Reason]string{
	Policy:      "the organisation's rules keep this kind of file back.",
	Executable:  "it can start a program.",
	Encrypted:   "it is protected by a password or encrypted and cannot be examined.",
	Unknown:     "its format is not known.",
	Unsupported: "this format cannot be disarmed here.",
	Malformed:   "it is damaged or not what it claims to be.",
	Ambiguous:   "programs could read it in different ways, so it cannot be trusted.",
	Limit:       "it is larger or more deeply nested than can be treated.",
	External:    "it is not in the mail but somewhere else, and is not fetched.",
	Failed:      "treating it failed.",
}

// words say what was done about one rule: with the count in the place of %d.
type words struct{ ja, en string }

// sentences has one line for every code that a treated file can carry. The
// packages below sanitize name the codes; a code missing here gets the general
// sentence, and the test of this package lists those in use.
var sentences = map[string]words{
	"html.script":        {"スクリプト %d 個を削除", "%d script(s) removed"},
	"html.event":         {"自動実行の指定 %d 個を削除", "%d event handler(s) removed"},
	"html.frame":         {"埋め込み枠 %d 個を削除", "%d frame(s) removed"},
	"html.form":          {"入力フォーム %d 個を無効化", "%d form(s) disabled"},
	"html.refresh":       {"自動転送 %d 個を削除", "%d automatic redirection(s) removed"},
	"html.link":          {"危険なリンク %d 個を削除", "%d dangerous link(s) removed"},
	"html.svg":           {"図形 %d 個を削除", "%d drawing(s) removed"},
	"html.remote":        {"外部から読み込む画像など %d 個を除外", "%d remote reference(s) left out"},
	"html.hidden":        {"隠された文字 %d 箇所を除外", "%d hidden text(s) left out"},
	"html.link-mismatch": {"表示と行き先が異なるリンク %d 個", "%d link(s) that show another address than they lead to"},
	"html.url":           {"URL %d 個を置き換え", "%d URL(s) rewritten"},

	"mime.signature":   {"電子署名 %d 個を取り外し（内容を作り直したため）", "%d digital signature(s) taken off, since the content was rebuilt"},
	"mime.preamble":    {"メールの前書き %d 箇所を除外", "%d preamble(s) left out"},
	"mime.epilogue":    {"メールの後書き %d 箇所を除外", "%d epilogue(s) left out"},
	"mime.alternative": {"同じ内容の別形式 %d 個を除外", "%d other form(s) of the same text left out"},
	"mime.encoded-run": {"本文に埋め込まれた符号化データ %d 個を削除", "%d encoded file(s) removed from the text"},
	"mime.uuencode":    {"本文に埋め込まれたファイル %d 個を取り出し", "%d file(s) embedded in the text taken out"},

	"mime.applefile":   {"Macintosh の付加情報 %d 個を除外", "%d block(s) of Macintosh data left out"},
	"message.withheld": {"添付ファイル %d 個を保留または削除", "%d attachment(s) kept back or removed"},

	"text.charset":       {"文字コードの表示が実際と不一致", "the text is in another charset than it says"},
	"text.user-defined":  {"外字 %d 文字を〓に置き換え", "%d user-defined character(s) replaced by 〓"},
	"text.illegal-bytes": {"読み取れない文字 %d 箇所を置き換え", "%d illegible character(s) replaced"},
	"text.control":       {"制御文字 %d 個を削除", "%d control character(s) removed"},
	"csv.formula":        {"数式になりうるセル %d 個を無効化", "%d cell(s) that could act as formulas neutralised"},

	"calendar.attach":     {"予定の添付 %d 個を削除", "%d attachment(s) of a calendar entry removed"},
	"calendar.alarm":      {"音・メール・プログラムを起動するアラーム %d 個を削除", "%d alarm(s) that play, mail or start something removed"},
	"calendar.reminder":   {"通知 %d 個を除外", "%d reminder(s) left out"},
	"calendar.html":       {"HTML の説明 %d 個をテキストに変換", "%d HTML description(s) turned into text"},
	"calendar.link":       {"危険なリンク %d 個を削除", "%d dangerous link(s) removed"},
	"calendar.address":    {"メールアドレスでない参加者 %d 人を除外", "%d participant(s) without a mail address left out"},
	"calendar.recurrence": {"扱えない繰り返しの指定 %d 個を削除", "%d recurrence rule(s) removed"},
	"calendar.value":      {"正しい形式でない値 %d 個を削除", "%d malformed value(s) removed"},
	"calendar.line":       {"読み取れない行 %d 行を削除", "%d illegible line(s) removed"},
	"calendar.component":  {"不明な構成要素 %d 個を削除", "%d unknown component(s) removed"},
	"calendar.property":   {"独自の項目 %d 個を除外", "%d private propert(ies) left out"},
	"calendar.url":        {"URL %d 個を置き換え", "%d URL(s) rewritten"},
	"vcard.media":         {"連絡先の写真・音声 %d 個を削除", "%d picture(s) or sound(s) of a contact removed"},
	"vcard.key":           {"連絡先の鍵 %d 個を削除", "%d key(s) of a contact removed"},
	"vcard.agent":         {"連絡先に含まれる別の連絡先 %d 個を削除", "%d contact(s) inside a contact removed"},

	"name.bidi":      {"ファイル名の表示を偽装する文字を削除", "characters that disguise the file name removed"},
	"name.extension": {"拡張子を内容に合わせて変更", "extension changed to match the content"},
	"name.mismatch":  {"ファイル名と内容が不一致", "name and content disagree"},

	"ooxml.vba":             {"マクロ %d 個を削除", "%d macro(s) removed"},
	"ooxml.macro":           {"マクロ %d 個を削除", "%d macro(s) removed"},
	"ooxml.xlm":             {"Excel 4.0 マクロシート %d 枚を無効化", "%d Excel 4.0 macro sheet(s) disabled"},
	"ooxml.macrosheet":      {"Excel 4.0 マクロシート %d 枚を無効化", "%d Excel 4.0 macro sheet(s) disabled"},
	"ooxml.activex":         {"ActiveX コントロール %d 個を削除", "%d ActiveX control(s) removed"},
	"ooxml.control":         {"コントロール %d 個を削除", "%d control(s) removed"},
	"ooxml.ole":             {"埋め込みオブジェクト %d 個を削除", "%d embedded object(s) removed"},
	"ooxml.embedding":       {"埋め込みファイル %d 個を削除", "%d embedded file(s) removed"},
	"ooxml.package":         {"埋め込みファイル %d 個を削除", "%d embedded file(s) removed"},
	"ooxml.external":        {"外部への参照 %d 個を削除", "%d external reference(s) removed"},
	"ooxml.externalLink":    {"外部ブックへのリンク %d 個を削除", "%d link(s) to other workbooks removed"},
	"ooxml.external-link":   {"外部ブックへのリンク %d 個を削除", "%d link(s) to other workbooks removed"},
	"ooxml.template":        {"外部テンプレートの参照 %d 個を削除", "%d reference(s) to remote templates removed"},
	"ooxml.hyperlink":       {"危険なリンク %d 個を削除", "%d dangerous link(s) removed"},
	"ooxml.field":           {"実行されるフィールド %d 個を結果に置き換え", "%d active field(s) replaced by their result"},
	"ooxml.formula":         {"外部に作用する数式 %d 個を値に置き換え", "%d active formula(s) replaced by their value"},
	"ooxml.dde":             {"DDE リンク %d 個を削除", "%d DDE link(s) removed"},
	"ooxml.connection":      {"データ接続 %d 個を削除", "%d data connection(s) removed"},
	"ooxml.customui":        {"独自メニュー %d 個を削除", "%d custom menu(s) removed"},
	"ooxml.action":          {"動作設定 %d 個を削除", "%d action setting(s) removed"},
	"ooxml.signature":       {"電子署名 %d 個を取り外し", "%d digital signature(s) taken off"},
	"ooxml.printerSettings": {"プリンター設定 %d 個を削除", "%d printer setting(s) removed"},
	"ooxml.metadata":        {"付加情報 %d 個を削除", "%d item(s) of metadata removed"},
	"ooxml.part":            {"不要な部品 %d 個を削除", "%d part(s) removed"},
	"ooxml.relationship":    {"参照 %d 個を削除", "%d reference(s) removed"},
	"ooxml.element":         {"要素 %d 個を削除", "%d element(s) removed"},
	"ooxml.font":            {"埋め込みフォント %d 個を削除", "%d embedded font(s) removed"},

	"image.metadata": {"画像の付加情報 %d 個を削除", "%d item(s) of picture metadata removed"},
	"image.trailing": {"画像の後ろの余分なデータ %d 個を削除", "%d block(s) of data behind the picture removed"},
	"image.frames":   {"動画の 2 枚目以降を除外", "further frames of an animation left out"},
}

// holds has one sentence for every code under which a whole message is held.
var holds = map[string]words{
	"mime.duplicate-content-type":              {"Content-Type が二つあり、内容が異なります。", "two Content-Type fields that differ"},
	"mime.duplicate-content-disposition":       {"Content-Disposition が二つあり、内容が異なります。", "two Content-Disposition fields that differ"},
	"mime.duplicate-content-transfer-encoding": {"Content-Transfer-Encoding が二つあり、内容が異なります。", "two Content-Transfer-Encoding fields that differ"},
	"header.duplicate-from":                    {"差出人 (From) が二つあります。", "two From fields"},
	"header.from-in-two-domains":               {"差出人 (From) に異なるドメインのアドレスが並んでいます。", "From names mailboxes in different domains"},
	"header.space-before-colon":                {"構造を決めるヘッダーの名前とコロンの間に空白があります。", "white space before the colon of a structural field"},
	"header.line-without-colon":                {"ヘッダーの途中に、ヘッダーでない行があります。", "a line that is no field stands in the header"},
	"header.control-character":                 {"構造や差出人を決めるヘッダーに制御文字があります。", "a control character in a structural field or in From"},
	"mime.nul":                                 {"NUL 文字が含まれています。", "a NUL octet"},
	"mime.bare-cr":                             {"LF の続かない CR が含まれています。", "a CR without LF"},
	"mime.content-type-syntax":                 {"Content-Type の書式が正しくありません。", "a Content-Type that is not well formed"},
	"mime.content-type-not-ascii":              {"Content-Type に ASCII 以外の文字があります。", "a Content-Type that is not ASCII"},
	"mime.duplicate-boundary":                  {"boundary が二つ指定されています。", "two boundaries for one multipart"},
	"mime.duplicate-charset":                   {"charset が二つ指定されています。", "two charsets for one text"},
	"mime.duplicate-file-name":                 {"同じ形のファイル名が二つ指定されています。", "two file names of the same form"},
	"mime.boundary-in-rfc2231":                 {"boundary が RFC 2231 形式で書かれています。", "a boundary in the form of RFC 2231"},
	"mime.boundary-invalid":                    {"boundary に使えない文字または長さがあります。", "a boundary of illegal characters or length"},
	"mime.multipart-without-boundary":          {"multipart に boundary がありません。", "a multipart without boundary"},
	"mime.boundary-not-found":                  {"指定された boundary が本文にありません。", "the declared boundary does not occur"},
	"mime.boundary-like-outer":                 {"内側の boundary が外側と区別できません。", "an inner boundary that cannot be told from the outer"},
	"mime.boundary-with-junk":                  {"boundary の行に余分な文字があります。", "a delimiter line with other characters behind it"},
	"mime.inner-boundary-unclosed":             {"内側の multipart が閉じられていません。", "an inner multipart that is not closed"},
	"mime.transfer-encoding-unknown":           {"Content-Transfer-Encoding の値が不明です。", "an unknown Content-Transfer-Encoding"},
	"mime.transfer-encoding-on-container":      {"multipart 自体が符号化されています。", "a multipart that is itself encoded"},
	"mime.base64-junk":                         {"base64 に不正な文字があります。", "base64 with foreign characters"},
	"mime.base64-restart":                      {"base64 が途中で終わり、再び始まっています。", "base64 that ends and starts again"},
	"mime.base64-cut":                          {"base64 が途中で切れています。", "base64 that is cut off"},
	"mime.quoted-printable-illegal":            {"quoted-printable に不正な符号があります。", "illegal quoted-printable escapes"},
	"mime.uuencode-malformed":                  {"uuencode または yEnc の符号が途中で切れているか、余分なデータがあります。", "uuencoded or yEnc data that is cut off or goes on"},
	"mime.message-partial":                     {"分割されたメールの一部です。", "a piece of a split message"},
	"mime.part-in-preamble":                    {"最初の区切りより前に、隠れたパートがあります。", "something hidden before the first part"},
	"mime.part-in-epilogue":                    {"最後の区切りより後に、隠れたパートがあります。", "something hidden behind the last part"},
	"mime.hidden-structure":                    {"通常の読み取りでは見えない構造があります。", "structure that a regular reader does not see"},
	"mime.encoded-file-in-text":                {"本文に符号化されたファイルが埋め込まれています。", "an encoded file inside a text"},
	"limit.mime-depth":                         {"multipart の入れ子が深すぎます。", "multiparts nested too deep"},
	"limit.mime-parts":                         {"パートの数が多すぎます。", "too many parts"},
	"limit.header-bytes":                       {"ヘッダーが大きすぎます。", "a header that is too large"},
	"limit.header-fields":                      {"ヘッダーの数が多すぎます。", "too many header fields"},
}

func sentenceJA(c Count) string {
	if w, ok := sentences[c.Rule]; ok {
		return counted(w.ja, c.N)
	}
	return fmt.Sprintf("危険となりうる要素 %d 個を処理（%s）", max(c.N, 1), Name(c.Rule))
}

func sentenceEN(c Count) string {
	if w, ok := sentences[c.Rule]; ok {
		return counted(w.en, c.N)
	}
	return fmt.Sprintf("%d potentially dangerous item(s) treated (%s)", max(c.N, 1), Name(c.Rule))
}

func counted(format string, n int) string {
	for i := 0; i+1 < len(format); i++ {
		if format[i] == '%' && format[i+1] == 'd' {
			return fmt.Sprintf(format, max(n, 1))
		}
	}
	return format
}
