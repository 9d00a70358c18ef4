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
	Misplaced:   "ファイルとして取り出せない名前または種類のため、除外しました。",
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
	Misplaced:   "nothing with its name or of its type may become a file.",
	Failed:      "treating it failed.",
}

// words say what was done about one rule: with the count in the place of %d.
type words struct{ ja, en string }

// sentences has one line for every code that a treated file can carry. The
// packages below sanitize name the codes; a code missing here gets the general
// sentence, and the test of this package lists those in use.
var sentences = map[string]words{
	"archive.member": {"不正な名前または種類の中身 %d 個を削除", "%d member(s) with an illegal name or type removed"},
	"archive.junk":   {"管理用の付加ファイル %d 個を除外", "%d file(s) of a file manager left out"},

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

	"mime.resource-fork": {"Macintosh のリソース %d 個を除外", "%d Macintosh resource fork(s) left out"},
	"mime.applefile":     {"Macintosh の付加情報 %d 個を除外", "%d block(s) of Macintosh data left out"},
	"message.withheld":   {"添付ファイル %d 個を保留または削除", "%d attachment(s) kept back or removed"},

	"header.own-domain-name": {"自団体のドメインを表示名に含む外部の差出人に【外部】を付加", "a stranger's display name that shows a domain of ours marked"},
	"text.charset":           {"文字コードの表示が実際と不一致", "the text is in another charset than it says"},
	"text.user-defined":      {"外字 %d 文字を〓に置き換え", "%d user-defined character(s) replaced by 〓"},
	"text.illegal-bytes":     {"読み取れない文字 %d 箇所を置き換え", "%d illegible character(s) replaced"},
	"text.control":           {"制御文字 %d 個を削除", "%d control character(s) removed"},
	"csv.formula":            {"数式になりうるセル %d 個を無効化", "%d cell(s) that could act as formulas neutralised"},

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

	"ooxml.vba":           {"マクロ %d 個を削除", "%d macro(s) removed"},
	"ooxml.macro":         {"マクロ %d 個を削除", "%d macro(s) removed"},
	"ooxml.activex":       {"ActiveX コントロール %d 個を削除", "%d ActiveX control(s) removed"},
	"ooxml.ole":           {"埋め込みオブジェクト %d 個を削除", "%d embedded object(s) removed"},
	"ooxml.package":       {"埋め込みファイル %d 個を削除", "%d embedded file(s) removed"},
	"ooxml.external-link": {"外部ブックへのリンク %d 個を削除", "%d link(s) to other workbooks removed"},
	"ooxml.template":      {"外部テンプレートの参照 %d 個を削除", "%d reference(s) to remote templates removed"},
	"ooxml.field":         {"実行されるフィールド %d 個を結果に置き換え", "%d active field(s) replaced by their result"},
	"ooxml.formula":       {"外部に作用する数式 %d 個を値に置き換え", "%d active formula(s) replaced by their value"},
	"ooxml.dde":           {"DDE リンク %d 個を削除", "%d DDE link(s) removed"},
	"ooxml.connection":    {"データ接続 %d 個を削除", "%d data connection(s) removed"},
	"ooxml.action":        {"動作設定 %d 個を削除", "%d action setting(s) removed"},
	"ooxml.signature":     {"電子署名 %d 個を取り外し", "%d digital signature(s) taken off"},
	"ooxml.part":          {"不要な部品 %d 個を削除", "%d part(s) removed"},
	"ooxml.font":          {"埋め込みフォント %d 個を削除", "%d embedded font(s) removed"},

	"image.metadata":           {"画像の付加情報 %d 個を削除", "%d item(s) of picture metadata removed"},
	"image.trailing":           {"画像の後ろの余分なデータ %d 個を削除", "%d block(s) of data behind the picture removed"},
	"detect.malformed":         {"ファイルの構造が壊れています", "the structure of the file is damaged"},
	"detect.name-mismatch":     {"ファイル名と内容が不一致", "name and content disagree"},
	"detect.polyglot":          {"二つの形式を兼ねるファイル", "the file is of two kinds at once"},
	"detect.prefix":            {"書庫の前に余分なデータがあります", "data before the archive"},
	"image.animation":          {"動画の 2 枚目以降を除外", "further frames of an animation left out"},
	"image.colour":             {"色を sRGB に変換", "colours converted to sRGB"},
	"image.orientation":        {"画像の向きを修正", "picture turned upright"},
	"ooxml.active-xml":         {"実行・読み込みの要素 %d 個を削除", "%d element(s) that run or load removed"},
	"ooxml.alt-chunk":          {"取り込まれる文書 %d 個を削除", "%d imported document(s) removed"},
	"ooxml.auto-run":           {"自動実行の名前 %d 個を削除", "%d auto-run name(s) removed"},
	"ooxml.calc-chain":         {"計算順序の情報 %d 個を除外", "%d calculation chain(s) left out"},
	"ooxml.comment-details":    {"コメントの付加情報 %d 個を除外", "details of %d comment(s) left out"},
	"ooxml.comments":           {"コメント %d 個を削除", "%d comment(s) removed"},
	"ooxml.custom-ui":          {"独自メニュー %d 個を削除", "%d custom menu(s) removed"},
	"ooxml.custom-xml":         {"独自データ %d 個を除外", "%d block(s) of custom XML left out"},
	"ooxml.dangling":           {"行き先のない参照 %d 個を除外", "%d reference(s) that led nowhere left out"},
	"ooxml.data-binding":       {"データの関連付け %d 個を解除", "%d data binding(s) taken off"},
	"ooxml.dialog-sheet":       {"Excel 5 ダイアログシート %d 枚を無効化", "%d Excel 5 dialog sheet(s) disabled"},
	"ooxml.external-reference": {"外部ブックを参照する数式 %d 個を値に置き換え", "%d formula(s) that read other workbooks replaced by their value"},
	"ooxml.foreign-xml":        {"他のプログラムの要素 %d 個を除外", "%d element(s) of other programs left out"},
	"ooxml.form-control":       {"フォーム部品の設定 %d 個を無効化", "settings of %d form control(s) disabled"},
	"ooxml.frameset":           {"フレーム %d 個を削除", "%d frame(s) removed"},
	"ooxml.glossary":           {"定型句の文書 %d 個を除外", "%d glossary document(s) left out"},
	"ooxml.ink":                {"手書き %d 個を削除", "%d ink drawing(s) removed"},
	"ooxml.legacy-text":        {"旧形式の図の文字 %d 個を除外", "%d block(s) of legacy diagram text left out"},
	"ooxml.link":               {"危険なリンク %d 個を無効化", "%d dangerous link(s) disabled"},
	"ooxml.linked-image":       {"外部から読み込む画像 %d 個を削除", "%d remote picture(s) removed"},
	"ooxml.macro-name":         {"マクロの名前 %d 個を削除", "%d macro name(s) removed"},
	"ooxml.macro-sheet":        {"Excel 4.0 マクロシート %d 枚を無効化", "%d Excel 4.0 macro sheet(s) disabled"},
	"ooxml.macro-type":         {"マクロ付きの形式をマクロなしの形式に変換", "the format with macros changed to the one without"},
	"ooxml.mail-merge":         {"差し込み印刷の接続 %d 個を削除", "%d mail-merge source(s) removed"},
	"ooxml.media":              {"音声・動画 %d 個を削除", "%d sound(s) or film(s) removed"},
	"ooxml.member":             {"不正な名前の内部ファイル %d 個を削除", "%d member(s) with an illegal name removed"},
	"ooxml.model3d":            {"3D モデル %d 個を削除", "%d 3D model(s) removed"},
	"ooxml.more":               {"そのほかの要素 %d 個を処理", "%d further item(s) treated"},
	"ooxml.picture":            {"読み取れない画像 %d 個を置き換え", "%d illegible picture(s) replaced"},
	"ooxml.picture-original":   {"加工前の画像 %d 個を除外", "%d picture(s) before their effects left out"},
	"ooxml.pivot":              {"外部データのピボットテーブル %d 個を値に置き換え", "%d pivot table(s) of outside data turned into values"},
	"ooxml.printer-settings":   {"プリンター設定 %d 個を除外", "%d printer setting(s) left out"},
	"ooxml.properties":         {"文書のプロパティ %d 個を除外", "%d document propert(ies) left out"},
	"ooxml.property-field":     {"プロパティを示すフィールド %d 個を結果に置き換え", "%d property field(s) replaced by their result"},
	"ooxml.refresh-on-load":    {"自動更新の指定 %d 個を無効化", "%d refresh(es) on opening disabled"},
	"ooxml.revisions":          {"変更履歴 %d 個を削除", "%d revision record(s) removed"},
	"ooxml.rich-value":         {"外部から取得する値 %d 個を置き換え", "%d fetched value(s) replaced"},
	"ooxml.rich-value-store":   {"外部から取得する値の保存領域 %d 個を除外", "%d store(s) of fetched values left out"},
	"ooxml.rtd":                {"リアルタイムデータの関数 %d 個を削除", "%d real-time data function(s) removed"},
	"ooxml.sheet":              {"存在しないシート %d 枚を空のシートに置き換え", "%d missing sheet(s) replaced by empty ones"},
	"ooxml.slicer":             {"スライサー %d 個を削除", "%d slicer(s) removed"},
	"ooxml.slide-update":       {"スライドの自動更新 %d 個を削除", "%d slide update(s) removed"},
	"ooxml.subdocument":        {"サブ文書 %d 個を削除", "%d subdocument(s) removed"},
	"ooxml.svg":                {"SVG 図形 %d 個を画像に置き換え", "%d SVG drawing(s) replaced by their picture"},
	"ooxml.tags":               {"タグ %d 個を除外", "%d tag(s) left out"},
	"ooxml.thumbnail":          {"縮小版の画像 %d 個を除外", "%d thumbnail(s) left out"},
	"ooxml.timing":             {"再生・実行を伴うアニメーション %d 個を削除", "%d animation(s) that play or run something removed"},
	"ooxml.very-hidden-sheet":  {"通常の操作では表示できないシート %d 枚", "%d sheet(s) that only a program can show"},
	"ooxml.vml":                {"旧形式の図形 %d 個を削除", "%d old drawing(s) removed"},
	"ooxml.web-extension":      {"Web アドイン %d 個を削除", "%d web add-in(s) removed"},
	"ooxml.web-video":          {"Web 動画の埋め込み %d 個を削除", "%d embedded web video(s) removed"},
	"ooxml.xslt":               {"保存時の変換の指定 %d 個を削除", "%d transformation(s) on saving removed"},
	"text.bidi":                {"文字の並びを偽装する文字 %d 個を削除", "%d character(s) that turn the direction of text removed"},
	"text.gaiji":               {"外字 %d 文字を〓に置き換え", "%d user-defined character(s) replaced by 〓"},
	"text.undecodable":         {"読み取れない文字 %d 箇所を置き換え", "%d illegible character(s) replaced"},
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
	"limit":                                    {"処理できる上限を超えています。", "over a limit of one message"},
	"mime.malformed":                           {"メールの構造が正しくありません。", "a message that is not well formed"},
	"mime.uuencode-malformed":                  {"uuencode または yEnc の符号が途中で切れているか、余分なデータがあります。", "uuencoded or yEnc data that is cut off or goes on"},
	"mime.message-partial":                     {"分割されたメールの一部です。", "a piece of a split message"},
	"mime.part-in-preamble":                    {"最初の区切りより前に、隠れたパートがあります。", "something hidden before the first part"},
	"mime.part-in-epilogue":                    {"最後の区切りより後に、隠れたパートがあります。", "something hidden behind the last part"},
	"mime.hidden-structure":                    {"通常の読み取りでは見えない構造があります。", "structure that a regular reader does not see"},
	"mime.binhex-malformed":                    {"BinHex の形式が正しくないか、検査合計が一致しません。", "BinHex that is not well formed, or whose sums do not fit"},
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
