package main

// The closed sets of the gateway, worded. Codes stay in the output beside
// their words: they are what rules, logs and the other language call it.

import (
	"strings"

	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// language is what notices are asked for in.
func (u *ui) language() notice.Language {
	if u.ja {
		return notice.Japanese
	}
	return notice.English
}

// word gives the word of a table for a code; a code that has none stays as it
// is.
func (u *ui) word(table map[string]text, code string) string {
	if t, ok := table[code]; ok {
		return u.pick(t)
	}
	return safe(code)
}

// outcomes, fates, states: contract.md, Words.
var outcomes = map[string]text{
	"clean":    {"無害", "clean"},
	"disarmed": {"無害化済", "disarmed"},
	"refused":  {"不可", "refused"},
}

var fates = map[string]text{
	"delivered": {"配送", "delivered"},
	"removed":   {"削除", "removed"},
	"kept back": {"添付保留", "kept back"},
}

var states = map[string]text{
	"Received": {"受信済", "received"},
	"Queued":   {"配送待ち", "queued"},
	"Held":     {"保留", "held"},
	"Done":     {"完了", "done"},
	"Gone":     {"消去済み（監査にだけ残る）", "gone, known to the audit only"},
}

var treatments = map[string]text{
	"rebuild": {"無害化して送る", "is rebuilt"},
	"pass":    {"検査済みとしてそのまま送る", "passes as scanned"},
}

var networks = map[string]text{
	"lgwan":    {"LGWAN", "lgwan"},
	"local":    {"庁内", "local"},
	"internet": {"インターネット", "internet"},
}

var zones = map[string]text{
	"internet":         {"インターネット", "internet"},
	"internet-segment": {"インターネット接続系", "internet-segment"},
	"lgwan":            {"LGWAN 接続系", "lgwan"},
}

var marks = map[string]text{
	"pass": {"合格", "pass"},
	"warn": {"注意", "warn"},
	"fail": {"不合格", "FAIL"},
}

// classes say why something of a class waits.
var classes = map[string]text{
	string(sanitize.ClassText):         {"テキスト", "a text"},
	string(sanitize.ClassCSV):          {"CSV", "a table of values"},
	string(sanitize.ClassHTML):         {"HTML 文書", "an HTML document"},
	string(sanitize.ClassImage):        {"画像", "a picture"},
	string(sanitize.ClassOffice):       {"Office 文書", "an Office document"},
	string(sanitize.ClassMessage):      {"添付されたメール", "an attached mail"},
	string(sanitize.ClassLegacyOffice): {"旧形式の Office 文書", "an Office document of the old format"},
	string(sanitize.ClassPDF):          {"PDF 文書", "a PDF document"},
	string(sanitize.ClassArchive):      {"圧縮ファイル", "an archive"},
	string(sanitize.ClassCalendar):     {"予定または連絡先", "a calendar or contact file"},
	string(sanitize.ClassExecutable):   {"プログラムを実行できるファイルが含まれる", "it contains a file that can start a program"},
	string(sanitize.ClassEncrypted):    {"パスワードまたは暗号化により中身を確認できない", "it is encrypted and cannot be examined"},
	string(sanitize.ClassIchitaro):     {"一太郎文書", "an Ichitaro document"},
	string(sanitize.ClassUnknown):      {"形式の分からない、または扱えないファイル", "a file of unknown format, or of one that is not treated"},
	string(sanitize.ClassAmbiguous):    {"読み取り方によって内容が変わるメール", "programs could read this mail in different ways"},
	string(sanitize.ClassLimit):        {"大きさまたは構造が上限を超える", "it is larger or more deeply nested than can be treated"},
	string(sanitize.ClassFailed):       {"無害化できなかった", "treating it failed"},
	string(sanitize.ClassSpoofed):      {"差出人が偽られている", "the sender is not who he says"},
	string(sanitize.ClassMalware):      {"ウイルスが見つかった（ウイルス対策が無害と判定するまで解放できません）", "malware was found in it; it cannot be released until a scanner calls it clean"},
	string(sanitize.ClassSpam):         {"迷惑メールと判定された", "a scanner calls it spam"},
	string(sanitize.ClassUnscanned):    {"検査プログラムが応答せず、検査できていない", "a scanner did not answer about it"},
	string(sanitize.ClassTampered):     {"保管中に改ざんされた（解放できません）", "it was changed while it was stored; it cannot be released"},
	string(sanitize.ClassPoison):       {"処理中にゲートウェイが何度も停止した", "the gateway stopped several times while it had it in hand"},
}

// rules say which rule held a message; those of the structure of a mail are
// worded by package notice.
var rules = map[string]text{
	"seal":               {"封印が一致しない", "a seal does not match"},
	"poison":             {"処理のたびに停止する", "it stops the gateway"},
	"worker":             {"隔離された処理が失敗した", "the isolated worker failed"},
	"queue":              {"配送待ちにできなかった", "it could not be queued"},
	"release":            {"解放しようとしたが、無害な形を作れなかった", "it was to be released, but no harmless form could be made"},
	"refused":            {"無害な形を作れなかった", "no harmless form could be made"},
	"profile":            {"プロファイルが設定にない", "its profile is not in the configuration"},
	"treatment":          {"扱いが不明", "nobody knows how to treat it"},
	"no-envelope":        {"宛先の情報がない", "it has no envelope"},
	"qr":                 {"画像またはページに QR コードがある", "a picture or page shows a QR code"},
	"hold_message":       {"設定 hold_message により、メール全体を保留", "by hold_message the whole message waits"},
	"kept-back":          {"メールは配送し、このファイルだけを保留", "the mail went on, this file was kept back"},
	"own-domain":         {"自団体のドメインを名乗る外部からのメールで、確認できない", "it comes from the internet under a domain of ours, without proof"},
	"dmarc":              {"送信ドメイン認証（DMARC）に失敗し、差出人のドメインが隔離または拒否を求めている", "DMARC fails, and the sender's domain asks for quarantine or rejection"},
	"lgwan-name":         {"LGWAN の名前を名乗る外部からのメールで、確認できない", "it comes from the internet under a name of LGWAN, without proof"},
	"several-authors":    {"差出人欄に複数のドメインがある", "its From names several domains"},
	"sender-rate":        {"内部の差出人が一分間に送りすぎている（アカウントの乗っ取りを疑う）", "a sender inside sends too many messages a minute; the account may be stolen"},
	"visible-recipients": {"宛先欄とCcに、全員に見える外部のアドレスが多すぎる", "To and Cc show too many addresses outside to all"},
	"header":             {"ヘッダが大きすぎて差出人を確認できない", "its header is too large to tell who sent it"},
	"malware":            {"ウイルス対策がウイルスを見つけた", "a scanner found malware"},
	"spam":               {"迷惑メールと判定された", "a scanner calls it spam"},
	"unscanned":          {"検査プログラムが応答しない", "a scanner does not answer"},
	"line-end":           {"行末が正しくない", "its line ends cannot be sent"},
	"mime.malformed":     {"メールの構造が壊れている", "the structure of the mail is broken"},
	"limit":              {"処理できる上限を超えた", "it is over a limit"},
	"treated":            {"無害化した", "it was treated"},
}

// rule words a rule, or the code of a hold.
func (u *ui) rule(code string) string {
	if t, ok := rules[code]; ok {
		return u.pick(t)
	}
	// A code that the notices do not know comes back, cleaned.
	if w := notice.Held(u.language(), code); w != notice.Name(code) {
		return strings.TrimSuffix(w, "。")
	}
	return ""
}

// acts are what the audit tells of.
var acts = map[string]text{
	"received":             {"受信", "received"},
	"examined":             {"検査", "examined"},
	"queued":               {"配送待ち", "queued"},
	"held":                 {"保留", "held"},
	"sent":                 {"送信", "sent"},
	"deferred":             {"再送待ち", "deferred"},
	"failed":               {"配送失敗", "failed"},
	"bounced":              {"不達通知", "bounced"},
	"rerouted":             {"経路変更", "rerouted"},
	"shrunk":               {"大きすぎるため再処理", "examined again, too big"},
	"released":             {"解放", "released"},
	"deleted":              {"削除", "deleted"},
	"expired":              {"期限切れ", "expired"},
	"shown":                {"閲覧", "shown"},
	"given-up":             {"配送中止", "given-up"},
	"exported":             {"書き出し", "exported"},
	"traced":               {"追跡", "traced"},
	"retried":              {"再送指示", "retried"},
	"original-refused":     {"原本請求拒否", "original-refused"},
	"delayed":              {"遅延通知", "delayed"},
	"trimmed":              {"期限前消去", "trimmed"},
	"tls-report":           {"TLS 報告", "tls-report"},
	"configuration":        {"設定適用", "configuration"},
	"account-added":        {"アカウント追加", "account-added"},
	"recipients-imported":  {"宛先取込", "recipients-imported"},
	"recipients-restored":  {"宛先復元", "recipients-restored"},
	"recipients-cancelled": {"宛先取消", "recipients-cancelled"},
	"account-removed":      {"アカウント削除", "account-removed"},
	"tampered":             {"改ざん", "tampered"},
	"damaged":              {"破損", "damaged"},
	"audit-damaged":        {"監査破損", "audit-damaged"},
}

// faultWords say what is wrong with a line of a list of recipients, and so
// what to do.
var faultWords = map[string]text{
	"empty":      {"アドレスのある行がありません。ファイルを確かめてください", "no line has an address: is it the right file?"},
	"size":       {"一覧としては大きすぎます。ファイルを確かめてください", "too large for a list of people: is it the right file?"},
	"heading":    {"1 行目に列名がありません。address（またはメールアドレス）の列が必要です", "the first line must name the columns, one of them address"},
	"twice":      {"同じ意味の列が二つあります。一方を取り除いてください", "two columns mean the same: take one out"},
	"csv":        {"引用符が合いません。CSV として保存し直してください", "a quotation mark is missing or too many: save the file again as CSV"},
	"letters":    {"読めない文字があります。UTF-8 または Shift_JIS で保存してください", "some characters cannot be read: save the file as UTF-8 or Shift_JIS"},
	"address":    {"はアドレスではありません（例: soumu@town.example.lg.jp）", "is no address such as soumu@town.example.lg.jp"},
	"full-width": {"に全角文字があります。半角で書いてください", "has full-width characters: write it with half-width ones"},
	"domain":     {"はこの団体のドメインではありません", "is in none of this tenant's domains"},
	"date":       {"は日付ではありません（例: 2027-04-01、令和9年4月1日）", "is no day such as 2027-04-01"},
	"order":      {"は終了日が開始日より前です", "ends before it begins"},
	"too-many":   {"ほかにも誤った行があります", "further lines are wrong, too"},
	"wildcard":   {"は範囲の指定です。一覧には完全なアドレスだけを書けます", "is a pattern: a list has whole addresses only"},
}

// actions are what was done to the thing a finding speaks of.
var actions = map[string]text{
	string(sanitize.Removed):     {"削除", "removed"},
	string(sanitize.Rewritten):   {"書き直し", "written anew"},
	string(sanitize.Neutralised): {"無効化", "neutralised"},
	string(sanitize.Replaced):    {"表示結果に置き換え", "replaced by what it showed"},
	string(sanitize.Reported):    {"報告のみ", "reported only"},
}

// findings name the thing that each rule of the sanitizers speaks of.
var findings = map[string]text{
	"archive.junk":   {"ファイル管理用の付加ファイル", "files of a file manager"},
	"archive.member": {"不正な名前または種類の中身", "members with an illegal name or type"},

	"convert.converter": {"登録された変換コマンド", "converter of the administrator"},
	"convert.font":      {"ここにない書体（別の書体で表示）", "font that is not here, shown in another"},
	"convert.macro":     {"マクロ", "macros"},
	"convert.object":    {"埋め込みオブジェクト", "embedded objects"},

	"ichitaro.macro":     {"一太郎のマクロ", "Ichitaro macros"},
	"ichitaro.leftover":  {"以前の保存の残り", "what an earlier save left"},
	"ichitaro.storage":   {"不明な要素", "unknown storage"},
	"ichitaro.stream":    {"OLE またはほかの形式のデータ", "stream of OLE or of another format"},
	"ichitaro.object":    {"埋め込みオブジェクト", "embedded objects"},
	"doc.vba":            {"VBA マクロ", "VBA macros"},
	"doc.object":         {"埋め込みオブジェクト", "embedded objects"},
	"doc.object-beside":  {"埋め込みファイル（別の添付にしました）", "embedded files, attached to the mail"},
	"doc.object-field":   {"埋め込みオブジェクトのフィールド", "fields of objects"},
	"doc.object-shape":   {"オブジェクトの図形", "shapes of objects"},
	"doc.control":        {"ActiveX コントロール", "ActiveX controls"},
	"doc.control-table":  {"コントロールの一覧", "lists of controls"},
	"doc.dde":            {"DDE フィールド", "DDE fields"},
	"doc.field":          {"動作するフィールド", "active fields"},
	"doc.property-field": {"プロパティのフィールド", "property fields"},
	"doc.link":           {"危険なリンク", "dangerous links"},
	"doc.template":       {"テンプレートの参照", "references to templates"},
	"doc.menu":           {"独自のメニューとキー割り当て", "custom menus and keys"},
	"doc.macro-name":     {"マクロの名前", "macro names"},
	"doc.mail-merge":     {"差し込み印刷の接続", "mail-merge sources"},
	"doc.routing":        {"回覧の設定", "routing slips"},
	"doc.frameset":       {"フレーム", "frames"},
	"doc.subdocument":    {"サブ文書", "subdocuments"},
	"doc.script":         {"スクリプト", "scripts"},
	"doc.linked-image":   {"外部の画像への参照", "pictures from elsewhere"},
	"doc.picture":        {"読み取れない画像", "illegible pictures"},
	"doc.shape-copy":     {"新しい版のための複製", "copies for newer versions"},
	"doc.shape":          {"図形の知らない要素", "unknown parts of shapes"},
	"doc.font":           {"埋め込みフォント", "embedded fonts"},
	"doc.variables":      {"文書変数", "document variables"},
	"doc.saved-by":       {"保存者の履歴", "lists of who saved it"},
	"doc.custom-xml":     {"独自データ", "custom XML"},
	"doc.properties":     {"ユーザー定義のプロパティ", "user-defined properties"},
	"doc.signature":      {"電子署名", "digital signatures"},
	"doc.stream":         {"余分なストリーム", "further streams"},
	"doc.storage":        {"余分なストレージ", "further storages"},
	"doc.more":           {"そのほかの箇所", "further places"},

	"ppt.comments":          {"コメント", "comments"},
	"ppt.vba":               {"VBA マクロ", "VBA macros"},
	"ppt.object":            {"埋め込みオブジェクト", "embedded objects"},
	"ppt.object-beside":     {"埋め込みファイル（別の添付にしました）", "embedded files, attached to the mail"},
	"ppt.linked-object":     {"リンクされたオブジェクト", "linked objects"},
	"ppt.control":           {"ActiveX コントロール", "ActiveX controls"},
	"ppt.action":            {"何かを実行する動作設定", "actions that run something"},
	"ppt.link":              {"危険なリンク", "dangerous links"},
	"ppt.sound":             {"音声", "sounds"},
	"ppt.media":             {"音声・動画", "sound and film"},
	"ppt.animation-command": {"命令を送るアニメーション", "animations that command"},
	"ppt.script":            {"スクリプト", "scripts"},
	"ppt.linked-picture":    {"外部の画像への参照", "pictures from elsewhere"},
	"ppt.picture":           {"読み取れない画像", "illegible pictures"},
	"ppt.damaged":           {"壊れた部分", "damaged parts"},
	"ppt.dead":              {"使われていない過去の内容", "earlier content that is not used"},
	"ppt.font":              {"埋め込みフォント", "embedded fonts"},
	"ppt.tags":              {"アドインのタグ", "tags of add-ins"},
	"ppt.publishing":        {"Web 公開や回覧の設定", "settings for publishing and routing"},
	"ppt.newer-copy":        {"新しい版のための複製", "copies for newer versions"},
	"ppt.record":            {"知らない記録", "unknown records"},
	"ppt.stream":            {"余分なストリーム", "further streams"},
	"ppt.properties":        {"ユーザー定義のプロパティ", "user-defined properties"},
	"ppt.more":              {"そのほかの箇所", "further places"},

	"csv.formula": {"数式になりうるセル", "cells that could act as formulas"},

	"detect.malformed":     {"壊れた構造", "broken structure"},
	"detect.name-mismatch": {"内容と合わないファイル名", "a name that does not fit the content"},
	"detect.polyglot":      {"二つの形式を兼ねるファイル", "a file of two formats at once"},
	"detect.prefix":        {"先頭の余分なデータ", "data before the beginning"},

	"header.duplicate-from": {"二つの差出人", "two senders"},

	"html.event":         {"自動実行の指定", "event handlers"},
	"html.form":          {"入力フォーム", "forms"},
	"html.frame":         {"埋め込み枠", "frames"},
	"html.hidden":        {"隠された文字", "hidden text"},
	"html.link":          {"危険なリンク", "dangerous links"},
	"html.link-mismatch": {"表示と行き先が異なるリンク", "links that lead elsewhere than they say"},
	"html.refresh":       {"自動転送", "automatic redirections"},
	"html.remote":        {"外部から読み込むもの", "remote references"},
	"html.script":        {"スクリプト", "scripts"},
	"html.svg":           {"図形", "drawings"},
	"html.url":           {"URL", "URLs"},

	"image.animation":   {"動画の 2 枚目以降", "further frames"},
	"image.colour":      {"色の情報", "colour information"},
	"image.metadata":    {"画像の付加情報", "metadata of the picture"},
	"image.qr-code":     {"QR コードのリンク先", "address of a QR code"},
	"image.orientation": {"画像の向き", "orientation of the picture"},
	"image.trailing":    {"画像の後ろの余分なデータ", "data behind the picture"},

	"message.withheld": {"保留または削除された添付", "attachments kept back or removed"},

	"mime.alternative": {"同じ内容の別形式", "another form of the same text"},
	"mime.applefile":   {"Macintosh の付加情報", "Macintosh data"},
	"mime.encoded-run": {"本文中の符号化データ", "encoded data in the text"},
	"mime.epilogue":    {"メールの後書き", "text behind the last part"},
	"mime.preamble":    {"メールの前書き", "text before the first part"},
	"mime.signature":   {"メールの電子署名", "digital signature of the mail"},
	"mime.uuencode":    {"本文に埋め込まれたファイル", "files embedded in the text"},

	"name.bidi":      {"ファイル名の表示を偽装する文字", "characters that disguise the name"},
	"name.extension": {"内容と合わない拡張子", "an extension that does not fit"},
	"name.mismatch":  {"内容と合わないファイル名", "a name that does not fit the content"},

	"odf.command":        {"動作を呼ぶアニメーション", "animations that run something"},
	"odf.comment":        {"コメント", "comments"},
	"odf.tracked-change": {"変更履歴", "tracked changes"},
	"odf.custom-ui":      {"独自のメニュー", "custom menus"},
	"odf.dangling":       {"行き先のない参照", "references to nothing"},
	"odf.database":       {"データベース接続", "database connections"},
	"odf.dde":            {"DDE リンク", "DDE links"},
	"odf.dialog":         {"マクロのダイアログ", "dialogs of macros"},
	"odf.event-listener": {"イベントで動く設定", "what runs at an event"},
	"odf.external-cache": {"他の文書の写し", "copies of other documents"},
	"odf.external-range": {"他の文書のセル範囲", "ranges in other documents"},
	"odf.field":          {"実行されるフィールド", "active fields"},
	"odf.font":           {"埋め込みフォント", "embedded fonts"},
	"odf.foreign-xml":    {"他のプログラムの XML", "XML of other programs"},
	"odf.form":           {"フォームの送信先", "where forms are sent"},
	"odf.form-control":   {"フォームの部品", "parts of forms"},
	"odf.formula":        {"外部に作用する数式", "active formulas"},
	"odf.frame":          {"ページを読み込む枠", "frames that load pages"},
	"odf.hidden-sheet":   {"非表示のシート", "hidden sheets"},
	"odf.link":           {"危険なリンク", "dangerous links"},
	"odf.linked-image":   {"外部から読み込む画像", "pictures loaded from elsewhere"},
	"odf.macro":          {"マクロ", "macros"},
	"odf.media":          {"音声と動画", "sound and film"},
	"odf.member":         {"文書に属さないファイル", "files that belong to no document"},
	"odf.more":           {"その他の項目", "further findings"},
	"odf.ole":            {"埋め込みオブジェクト", "embedded objects"},
	"odf.part":           {"読み取れない部品", "illegible parts"},
	"odf.picture":        {"読み取れない画像", "illegible pictures"},
	"odf.plugin":         {"プラグイン", "plugins"},
	"odf.property-field": {"文書情報のフィールド", "fields of properties"},
	"odf.signature":      {"電子署名", "digital signatures"},
	"odf.source":         {"外部ファイルから読み込む設定", "sources in other files"},

	"ooxml.action":             {"クリックで動く設定", "actions on click"},
	"ooxml.active-xml":         {"動作を持つ XML", "active XML"},
	"ooxml.activex":            {"ActiveX コントロール", "ActiveX controls"},
	"ooxml.alt-chunk":          {"開くときに取り込まれる文書", "documents imported when opened"},
	"ooxml.auto-run":           {"自動実行の名前", "names that run by themselves"},
	"ooxml.branch":             {"二通りに書かれた箇所の一方", "second ways of writing one thing"},
	"ooxml.calc-chain":         {"計算順の記録", "order of calculation"},
	"ooxml.comment-details":    {"コメントの詳細", "details of comments"},
	"ooxml.comments":           {"コメント", "comments"},
	"ooxml.connection":         {"データ接続", "data connections"},
	"ooxml.custom-ui":          {"独自のメニュー", "custom menus"},
	"ooxml.custom-xml":         {"独自の XML データ", "custom XML data"},
	"ooxml.dangling":           {"行き先のない参照", "references to nothing"},
	"ooxml.data-binding":       {"外部データとの結び付け", "bindings to data"},
	"ooxml.dde":                {"DDE リンク", "DDE links"},
	"ooxml.dialog-sheet":       {"ダイアログシート", "dialog sheets"},
	"ooxml.external-link":      {"外部ブックへのリンク", "links to other workbooks"},
	"ooxml.external-reference": {"外部への参照", "external references"},
	"ooxml.field":              {"実行されるフィールド", "active fields"},
	"ooxml.font":               {"埋め込みフォント", "embedded fonts"},
	"ooxml.foreign-xml":        {"知らない XML", "unknown XML"},
	"ooxml.form-control":       {"フォームコントロール", "form controls"},
	"ooxml.formula":            {"外部に作用する数式", "active formulas"},
	"ooxml.frameset":           {"フレーム", "frames"},
	"ooxml.glossary":           {"定型句", "building blocks"},
	"ooxml.ink":                {"手書き", "ink"},
	"ooxml.legacy-text":        {"旧形式の図の文字", "text of old diagrams"},
	"ooxml.link":               {"危険なリンク", "dangerous links"},
	"ooxml.linked-image":       {"外部の画像", "linked pictures"},
	"ooxml.long-code":          {"長すぎるフィールドコード", "overlong field codes"},
	"ooxml.macro":              {"マクロの呼び出し", "calls of macros"},
	"ooxml.macro-name":         {"マクロの名前", "names of macros"},
	"ooxml.macro-sheet":        {"Excel 4.0 マクロシート", "Excel 4.0 macro sheets"},
	"ooxml.macro-type":         {"マクロ付きの形式", "macro-enabled format"},
	"ooxml.mail-merge":         {"差し込み印刷の接続", "mail merge"},
	"ooxml.media":              {"音声・動画", "sound and video"},
	"ooxml.member":             {"知らない部品", "unknown members"},
	"ooxml.value":              {"数式", "formulas"},
	"ooxml.more":               {"その他の所見", "further findings"},
	"ooxml.ole":                {"埋め込みオブジェクト", "embedded objects"},
	"ooxml.package":            {"埋め込みファイル", "embedded files"},
	"ooxml.part":               {"知らない部品", "unknown parts"},
	"ooxml.picture":            {"扱えない画像", "pictures that cannot be treated"},
	"ooxml.picture-original":   {"画像の元データ", "originals of pictures"},
	"ooxml.pivot":              {"外部データのピボットテーブル", "pivot tables of outside data"},
	"ooxml.printer-settings":   {"プリンター設定", "printer settings"},
	"ooxml.properties":         {"文書のプロパティ", "document properties"},
	"ooxml.property-field":     {"プロパティのフィールド", "fields of properties"},
	"ooxml.refresh-on-load":    {"開くときの自動更新", "refresh when opened"},
	"ooxml.revisions":          {"変更履歴", "revision records"},
	"ooxml.rich-value":         {"外部のデータ型", "rich values from outside"},
	"ooxml.rich-value-store":   {"データ型の控え", "store of rich values"},
	"ooxml.rtd":                {"リアルタイムデータ", "real-time data"},
	"ooxml.sheet":              {"知らない形式のシート", "sheets of unknown kind"},
	"ooxml.signature":          {"電子署名", "digital signatures"},
	"ooxml.slicer":             {"スライサー", "slicers"},
	"ooxml.slide-update":       {"スライドの更新元", "sources of slides"},
	"ooxml.subdocument":        {"サブ文書", "subdocuments"},
	"ooxml.svg":                {"SVG 画像", "SVG pictures"},
	"ooxml.tags":               {"アドインのタグ", "tags of add-ins"},
	"ooxml.template":           {"外部テンプレート", "attached templates"},
	"ooxml.thumbnail":          {"縮小版の画像", "thumbnails"},
	"ooxml.timing":             {"動作を伴うアニメーション", "animations that act"},
	"ooxml.tracked-change":     {"変更履歴", "tracked changes"},
	"ooxml.vba":                {"VBA マクロ", "VBA macros"},
	"ooxml.hidden-sheet":       {"非表示のシート", "hidden sheets"},
	"ooxml.package-beside":     {"埋め込みファイル（別の添付にしました）", "embedded files, attached to the mail"},
	"ooxml.very-hidden-sheet":  {"表示できない隠しシート", "sheets hidden for good"},
	"ooxml.web-video":          {"Web の動画", "videos from the web"},
	"ooxml.vml":                {"VML 図形", "VML drawings"},
	"ooxml.web-extension":      {"Web アドイン", "web add-ins"},
	"ooxml.xslt":               {"XSLT 変換", "XSLT transforms"},
	"xls.vba":                  {"VBA マクロ", "VBA macros"},
	"xls.macro-sheet":          {"Excel 4.0 マクロシート", "Excel 4.0 macro sheets"},
	"xls.dialog-sheet":         {"ダイアログシート", "dialog sheets"},
	"xls.auto-run":             {"自動実行の名前", "names that run by themselves"},
	"xls.macro-name":           {"マクロの名前", "names of macros"},
	"xls.macro-function":       {"マクロ関数", "macro functions"},
	"xls.user-function":        {"独自の関数", "functions of macros or add-ins"},
	"xls.external-function":    {"外部から取得する関数", "functions that fetch"},
	"xls.external-link":        {"外部ブックへのリンク", "links to other workbooks"},
	"xls.dde":                  {"DDE リンク", "DDE links"},
	"xls.hyperlink":            {"危険なリンク", "dangerous links"},
	"xls.hyperlink-formula":    {"危険なリンクの数式", "formulas with dangerous links"},
	"xls.formula":              {"不正な数式", "broken formulas"},
	"xls.connection":           {"データ接続", "data connections"},
	"xls.pivot":                {"ピボットテーブル", "pivot tables"},
	"xls.control":              {"ActiveX コントロール", "ActiveX controls"},
	"xls.control-macro":        {"マクロの呼び出し", "calls of macros"},
	"xls.object":               {"埋め込みオブジェクト", "embedded objects"},
	"xls.object-beside":        {"埋め込みファイル（別の添付にしました）", "embedded files, attached to the mail"},
	"xls.linked-picture":       {"リンクされた画像", "linked pictures"},
	"xls.picture":              {"扱えない画像", "pictures that cannot be treated"},
	"xls.background":           {"シートの背景画像", "backgrounds of sheets"},
	"xls.script":               {"図形のスクリプト", "scripts of shapes"},
	"xls.signature":            {"電子署名", "digital signatures"},
	"xls.stream":               {"知らない部品", "unknown streams"},
	"xls.very-hidden-sheet":    {"表示できない隠しシート", "sheets hidden for good"},
	"xls.record":               {"知らないレコード", "unknown records"},
	"xls.shape-copy":           {"新しい形式の図形の控え", "newer copies of shapes"},
	"xls.table":                {"リストの枠", "frames of lists"},
	"xls.theme":                {"独自のテーマ", "own themes"},
	"xls.comments":             {"コメント", "comments"},
	"xls.value":                {"数式", "formulas"},
	"xls.more":                 {"その他の所見", "further findings"},
	"rtf.comment":              {"コメント", "comments"},
	"rtf.tracked-change":       {"変更履歴", "tracked changes"},
	"rtf.object-beside":        {"埋め込みファイル（別の添付にしました）", "embedded files, attached to the mail"},
	"rtf.object":               {"埋め込みオブジェクト", "embedded objects"},
	"rtf.dde":                  {"DDE のフィールド", "DDE fields"},
	"rtf.field":                {"フィールド", "fields"},
	"rtf.property-field":       {"ファイル情報のフィールド", "fields of properties"},
	"rtf.link":                 {"リンク", "links"},
	"rtf.template":             {"外部テンプレート", "attached templates"},
	"rtf.linked-file":          {"外部ファイルの参照", "references to other files"},
	"rtf.mail-merge":           {"差し込み印刷", "mail merge"},
	"rtf.form-macro":           {"フォームのマクロ", "macros of forms"},
	"rtf.font":                 {"埋め込みフォント", "embedded fonts"},
	"rtf.picture":              {"画像", "pictures"},
	"rtf.shape-property":       {"図形の設定", "settings of shapes"},
	"rtf.data":                 {"表示されないデータ", "hidden data"},
	"rtf.unknown":              {"不明な要素", "unknown elements"},
	"rtf.trailing":             {"文書の後ろのデータ", "octets behind the end"},
	"rtf.unfinished":           {"途中で切れた文書", "unfinished document"},

	"pdf.pages":              {"画像にしたページ", "pages made pictures"},
	"pdf.private-characters": {"外字（画像でのみ表示）", "characters of private use, shown in the picture only"},
	"pdf.action":             {"実行・送信の動作", "actions that run or send"},
	"pdf.annotation":         {"不明な種類の注釈", "annotations of unknown kinds"},
	"pdf.attachment":         {"埋め込みファイル", "embedded files"},
	"pdf.attachment-beside":  {"埋め込みファイル（別の添付にしました）", "embedded files, attached to the mail"},
	"pdf.decrypted":          {"閲覧パスワードなしの暗号化", "encryption without a password"},
	"pdf.external":           {"外部ファイルの参照", "references to other files"},
	"pdf.font":               {"壊れた埋め込みフォント", "broken embedded fonts"},
	"pdf.history":            {"以前の版の記録", "earlier versions"},
	"pdf.javascript":         {"スクリプト", "scripts"},
	"pdf.lead":               {"文書の前の余分なデータ", "data before the document"},
	"pdf.link":               {"危険なリンク", "dangerous links"},
	"pdf.media":              {"音声・動画・3D", "sound, video, 3D"},
	"pdf.metadata":           {"文書の付加情報", "metadata"},
	"pdf.more":               {"そのほかの箇所", "further places"},
	"pdf.page-size":          {"大きすぎるページ", "pages that are too large"},
	"pdf.unjudged":           {"他のプログラムでの確認を省略", "not looked at by other programs"},
	"pdf.picture":            {"扱えない画像", "pictures that cannot be decoded"},
	"pdf.postscript":         {"PostScript プログラム", "PostScript programs"},
	"pdf.repaired":           {"壊れた構造の修復", "a damaged structure, repaired"},
	"pdf.signature":          {"電子署名", "digital signatures"},
	"pdf.trail":              {"文書の後ろの余分なデータ", "data behind the document"},
	"pdf.xfa":                {"XFA フォーム", "XFA forms"},

	"text.bidi":          {"文字の向きを変える文字", "characters that turn the reading direction"},
	"text.charset":       {"表示と異なる文字コード", "another charset than declared"},
	"text.control":       {"制御文字", "control characters"},
	"text.encoded-run":   {"文章中の符号化データ", "encoded data in a text"},
	"text.gaiji":         {"外字（〓で表示）", "user-defined characters, shown as 〓"},
	"text.illegal-bytes": {"読み取れない文字", "illegible characters"},
	"text.undecodable":   {"読み取れない文字", "illegible characters"},
	"text.user-defined":  {"外字（〓で表示）", "user-defined characters, shown as 〓"},
}

// kind words a kind as mails do.
func (u *ui) kind(k string) string {
	f := sanitize.Kind(k).Facts()
	if w := u.tr(f.JA, f.EN); w != "" {
		return w
	}
	return safe(k)
}

// finding words one finding: what, done how, where, its code last.
func (u *ui) finding(rule, action, where, detail string) string {
	s := u.word(findings, rule)
	if s == safe(rule) {
		s = u.tr("所見", "finding")
	}
	s += ": " + u.word(actions, action)
	most := 100
	if strings.HasSuffix(rule, ".vba") {
		// Who compares macros needs all of the hash, and the words behind it.
		detail, most = u.module(detail), 400
	}
	for _, x := range []string{where, detail} {
		if x != "" {
			s += "  " + cut(safe(x), most)
		}
	}
	return s + "  [" + safe(rule) + "]"
}

// module words what is said of a module of macros.
func (u *ui) module(detail string) string {
	if !u.ja {
		return detail
	}
	if detail == "source that cannot be unpacked" {
		return "展開できないソース"
	}
	return strings.NewReplacer(" bytes, SHA-256 ", " バイト、SHA-256 ", ", runs by itself: ", "、自動実行: ", ", uses: ", "、使用: ").Replace(detail)
}
