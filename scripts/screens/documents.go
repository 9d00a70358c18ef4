package main

import (
	"fmt"
	"strings"
)

const spaces = ` xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0"`

// flat is a document with these styles and this body; layout are further
// properties of its pages.
func flat(kind, layout, styles, body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><office:document` + spaces + ` office:mimetype="application/vnd.oasis.opendocument.` + kind + `" office:version="1.2">` +
		`<office:font-face-decls><style:font-face style:name="M" svg:font-family="'ＭＳ 明朝'"/><style:font-face style:name="G" svg:font-family="'ＭＳ ゴシック'"/></office:font-face-decls>` +
		`<office:styles><style:default-style style:family="paragraph"><style:text-properties style:font-name="M" style:font-name-asian="M" fo:font-size="10.5pt" style:font-size-asian="10.5pt" fo:language="en" fo:country="US" style:language-asian="ja" style:country-asian="JP"/></style:default-style></office:styles>` +
		`<office:automatic-styles><style:page-layout style:name="L"><style:page-layout-properties ` + layout + `/></style:page-layout>` +
		paragraph("h", "center", "G", 16, "bold") + paragraph("r", "end", "M", 10.5, "normal") + paragraph("c", "center", "M", 10.5, "normal") + paragraph("b", "start", "G", 11, "bold") + paragraph("p", "start", "M", 10.5, "normal") +
		`<style:style style:name="cell" style:family="table-cell"><style:table-cell-properties fo:border="0.5pt solid #000000" fo:padding="0.08cm"/></style:style>` +
		`<style:style style:name="head" style:family="table-cell"><style:table-cell-properties fo:border="0.5pt solid #000000" fo:padding="0.08cm" fo:background-color="#dde6f2"/></style:style>` +
		styles + `</office:automatic-styles><office:master-styles><style:master-page style:name="Standard" style:page-layout-name="L"/></office:master-styles><office:body>` + body + `</office:body></office:document>`
}

const (
	portrait  = `fo:page-width="21cm" fo:page-height="29.7cm" fo:margin="2.5cm"`
	landscape = `fo:page-width="29.7cm" fo:page-height="21cm" fo:margin="1.5cm" style:print-orientation="landscape"`
)

func paragraph(name, align, font string, size float64, weight string) string {
	return fmt.Sprintf(`<style:style style:name="%s" style:family="paragraph"><style:paragraph-properties fo:text-align="%s" fo:margin-bottom="0.15cm"/><style:text-properties style:font-name="%s" style:font-name-asian="%s" fo:font-size="%gpt" style:font-size-asian="%gpt" fo:font-weight="%s" style:font-weight-asian="%s"/></style:style>`,
		name, align, font, font, size, size, weight, weight)
}

// lines makes paragraphs: "style|text" each, style p where none is named.
func lines(all ...string) string {
	var b strings.Builder
	for _, l := range all {
		style, text, ok := strings.Cut(l, "|")
		if !ok {
			style, text = "p", l
		}
		fmt.Fprintf(&b, `<text:p text:style-name="%s">%s</text:p>`, style, text)
	}
	return b.String()
}

// rows is a table of texts; the first row is its head.
func rows(name string, columns int, all ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<table:table table:name="%s"><table:table-column table:number-columns-repeated="%d"/>`, name, columns)
	for i, row := range all {
		b.WriteString("<table:table-row>")
		style := "cell"
		if i == 0 {
			style = "head"
		}
		for _, c := range strings.Split(row, "|") {
			fmt.Fprintf(&b, `<table:table-cell table:style-name="%s" office:value-type="string"><text:p text:style-name="p">%s</text:p></table:table-cell>`, style, c)
		}
		b.WriteString("</table:table-row>")
	}
	return b.String() + "</table:table>"
}

func text(layout, body string) string {
	return flat("text", layout, "", "<office:text>"+body+"</office:text>")
}

func notice() string {
	return text(portrait, lines("r|例総第１２３号", "r|令和８年１１月２５日", "各行政区長　様", "r|例示町長　関　守", "", "h|防災行政無線の更新工事について（お知らせ）", "",
		"　晩秋の候、皆様におかれましてはますます御清栄のこととお慶び申し上げます。日頃より町政に御理解と御協力を賜り、厚く御礼申し上げます。",
		"　さて、このたび防災行政無線の屋外拡声子局を更新する工事を下記のとおり行います。工事の間、一部の地区で放送が聞こえにくくなることがありますので、御承知おきくださいますようお願いいたします。", "", "c|記", "",
		"１　期　　間　　令和８年１２月１日（火）から令和９年２月２６日（金）まで", "２　時　　間　　午前８時３０分から午後５時まで（土日祝日を除く。）", "３　対象地区　　中央、東、西、髙砂、﨑山の各地区",
		"４　そ の 他　　緊急の放送は、町のホームページ及び登録制メールでもお知らせします。", "", "r|以　上", "", "r|担当　総務課防災係（内線２１４）"))
}

func application() string {
	return text(portrait, lines("様式第１号（第４条関係）", "", "h|住宅用太陽光発電設備設置補助金交付申請書", "", "r|令和　　年　　月　　日", "例示町長　様", "", "　次のとおり補助金の交付を受けたいので、関係書類を添えて申請します。", "")+
		rows("申請", 2, "項目|記入欄", "申請者　氏名（フリガナ）|関所　花子（セキショ　ハナコ）", "住所|例示町中央一丁目２番３号", "電話番号|０１２３－４５－６７８９", "設置場所|□ 住所に同じ　　☑ その他（例示町東４５６）", "設備の最大出力|４.５６ｋＷ", "設置費用（税抜）|１，２３４，０００円", "補助金申請額|１００，０００円", "着工予定日|令和８年１２月１０日")+
		lines("", "b|添付書類", "（１）見積書の写し", "（２）設備の仕様が分かる書類", "（３）町税に滞納のないことの証明書", "", "※太枠の中を記入してください。"))
}

func grid() string {
	var b strings.Builder
	b.WriteString(`<office:spreadsheet><table:table table:name="方眼紙" table:style-name="t"><table:table-column table:style-name="sq" table:number-columns-repeated="36"/>`)
	cell := func(text string, wide, deep int, style string) string {
		return fmt.Sprintf(`<table:table-cell table:style-name="%s" table:number-columns-spanned="%d" table:number-rows-spanned="%d" office:value-type="string"><text:p>%s</text:p></table:table-cell>`, style, wide, deep, text) +
			fmt.Sprintf(`<table:covered-table-cell table:number-columns-repeated="%d"/>`, wide-1)
	}
	row := func(cells string) {
		b.WriteString(`<table:table-row table:style-name="rw">` + cells + `</table:table-row>`)
	}
	blank := func(n int) string { return fmt.Sprintf(`<table:table-cell table:number-columns-repeated="%d"/>`, n) }
	row(cell("時間外勤務命令簿（令和８年１１月分）", 36, 1, "title"))
	row(blank(36))
	row(cell("所属", 4, 1, "head") + cell("総務課　防災係", 12, 1, "cell") + cell("氏名", 4, 1, "head") + cell("関所　太郎", 12, 1, "cell") + cell("印", 4, 1, "cell"))
	row(blank(36))
	row(cell("日", 3, 1, "head") + cell("命令時間", 8, 1, "head") + cell("実績", 6, 1, "head") + cell("業務の内容", 15, 1, "head") + cell("確認", 4, 1, "head"))
	for i, w := range []string{"防災訓練の準備", "議会答弁書の作成", "台帳の突合", "防災無線の点検立会い", "避難所名簿の更新", "補助金の審査", "例規の改正案作成", "選挙事務の打合せ"} {
		row(cell(fmt.Sprint(2+3*i), 3, 1, "cell") + cell("17:15～"+fmt.Sprintf("%02d:30", 18+i%4), 8, 1, "cell") + cell(fmt.Sprintf("%d:15", 1+i%4), 6, 1, "cell") + cell(w, 15, 1, "cell") + cell("㊞", 4, 1, "cell"))
	}
	row(cell("合計", 11, 1, "head") + cell("19:00", 6, 1, "cell") + cell("うち深夜 0:00", 19, 1, "cell"))
	b.WriteString(`</table:table></office:spreadsheet>`)
	return flat("spreadsheet", portrait, `<style:style style:name="t" style:family="table" style:master-page-name="Standard"/><style:style style:name="sq" style:family="table-column"><style:table-column-properties style:column-width="0.44cm"/></style:style><style:style style:name="rw" style:family="table-row"><style:table-row-properties style:row-height="0.7cm" style:use-optimal-row-height="false"/></style:style>`+
		`<style:style style:name="title" style:family="table-cell"><style:table-cell-properties style:vertical-align="middle"/><style:paragraph-properties fo:text-align="center"/><style:text-properties style:font-name="G" style:font-name-asian="G" fo:font-size="14pt" style:font-size-asian="14pt" fo:font-weight="bold" style:font-weight-asian="bold"/></style:style>`, b.String())
}

func budget() string {
	return flat("spreadsheet", landscape, `<style:style style:name="t" style:family="table" style:master-page-name="Standard"/><style:style style:name="wide" style:family="table-column"><style:table-column-properties style:column-width="4.2cm"/></style:style>`, `<office:spreadsheet>`+
		strings.Replace(strings.Replace(rows("予算", 6, "款|項|目|本年度予算額（千円）|前年度予算額（千円）|比較（千円）", "２　総務費|１　総務管理費|１　一般管理費|１２３，４５６|１２０，０００|３，４５６", "|| ２　文書広報費|８，７６５|９，０００|△２３５", "|| ３　財産管理費|４５，６７８|４４，０００|１，６７８", "３　民生費|１　社会福祉費|１　社会福祉総務費|２３４，５６７|２３０，０００|４，５６７", "|| ２　老人福祉費|９８，７６５|９７，０００|１，７６５", "９　消防費|１　消防費|３　災害対策費|５６，７８９|３４，０００|２２，７８９", "合　　計|||５６８，０２０|５３４，０００|３４，０２０"), "<table:table ", `<table:table table:style-name="t" `, 1), "<table:table-column ", `<table:table-column table:style-name="wide" `, 1)+`</office:spreadsheet>`)
}

func slides() string {
	frame := func(style string, x, y, w, h float64, paragraphs string) string {
		return fmt.Sprintf(`<draw:frame draw:style-name="%s" svg:x="%gcm" svg:y="%gcm" svg:width="%gcm" svg:height="%gcm"><draw:text-box>%s</draw:text-box></draw:frame>`, style, x, y, w, h, paragraphs)
	}
	return flat("presentation", `fo:page-width="25.4cm" fo:page-height="19.05cm" fo:margin="0cm" style:print-orientation="landscape"`,
		`<style:style style:name="bar" style:family="graphic"><style:graphic-properties draw:fill="solid" draw:fill-color="#1f4e79" draw:stroke="none"/></style:style><style:style style:name="box" style:family="graphic"><style:graphic-properties draw:fill="none" draw:stroke="none"/></style:style><style:style style:name="mark" style:family="graphic"><style:graphic-properties draw:fill="solid" draw:fill-color="#e2a33c" draw:stroke="none"/></style:style>`+
			paragraph("s", "start", "G", 20, "normal")+strings.Replace(paragraph("w", "center", "G", 28, "bold"), `<style:text-properties `, `<style:text-properties fo:color="#ffffff" `, 1),
		`<office:presentation><draw:page draw:name="一" draw:master-page-name="Standard"><draw:rect draw:style-name="bar" svg:x="0cm" svg:y="0cm" svg:width="25.4cm" svg:height="3.4cm"/>`+
			frame("box", 1, 0.8, 23.4, 2, lines("w|職員研修　メールの安全な扱い方"))+
			frame("box", 2, 5, 14, 10, lines("s|１　差出人をよく見る", "s|２　急がせる文面を疑う", "s|３　添付は無害化されて届く", "s|４　保留の通知が来たら理由を読む", "s|５　困ったら情報係へ（内線３０１）"))+
			`<draw:rect draw:style-name="mark" svg:x="17.5cm" svg:y="6cm" svg:width="5.5cm" svg:height="5.5cm"/><draw:ellipse draw:style-name="bar" svg:x="18.6cm" svg:y="7.1cm" svg:width="3.3cm" svg:height="3.3cm"/></draw:page></office:presentation>`)
}

func minutes() string {
	return text(portrait, lines("h|第３回　窓口改善検討会　議事録", "", "b|日時", "令和８年１１月２０日（金）　午後１時３０分～午後３時", "b|場所", "役場３階　第２会議室", "b|出席者", "住民課長（座長）、税務課、福祉課、情報係　計７名", "b|議題",
		"１　書かない窓口の試行結果について", "　事務局から資料１により説明があった。待ち時間は平均１４分から９分に短縮された。", "２　質疑", "問　高齢の方の利用はどうか。", "答　職員が付き添い、７割の方が「また使いたい」と答えた。", "３　今後の予定", "　令和９年１月から税証明にも広げる。", "", "r|記録　住民課　﨑田"))
}

func vertical() string {
	p := "　春は、あけぼの。やうやう白くなりゆく山ぎは、少し明かりて、紫だちたる雲の細くたなびきたる。夏は、夜。月のころは、さらなり。闇もなほ、蛍の多く飛びちがひたる。また、ただ一つ二つなど、ほのかにうち光りて行くも、をかし。雨など降るも、をかし。"
	return text(portrait+` style:writing-mode="tb-rl"`, lines("h|町民文芸　十一月号", "", "b|枕草子を読む会", p, p, "", "b|俳句", "　木枯らしや　関所の跡の　石ひとつ", "　霜の朝　鐘の音遠く　届きけり", "", "（「ー」「、」「。」や（　）は縦に組まれます。）"))
}

func bulletin() string {
	return text(portrait, lines("h|例示町だより　第４５６号", "c|令和８年１２月１日発行", "", "b|年末年始のごみ収集", "　燃えるごみの年内の収集は１２月２８日（月）が最後です。年始は１月５日（火）から始まります。", "")+
		rows("収集", 4, "地区|年内最終|年始開始|備考", "中央|１２月２８日|１月５日|", "東・西|１２月２９日|１月６日|資源ごみは１月１２日から", "髙砂|１２月２８日|１月５日|", "﨑山|１２月２９日|１月６日|雪の日は午後になります")+
		lines("", "b|外字の例", "　人名の「&#xE000;」のように町が登録した文字（外字）は、□で示されます。", "", "b|図書館から", "　新しく入った本をお知らせします。貸出しは一人１０冊、２週間までです。"))
}

func report() string {
	return text(portrait, lines("h|令和７年度　公共施設点検報告書", "", "b|１　点検の概要", "　町内の公共施設４２か所について、建築基準法第１２条に準じた点検を行った。", "b|２　結果", "")+
		rows("結果", 4, "施設|築年数|判定|所見", "役場本庁舎|４１年|Ｂ|屋上防水に浮き", "中央公民館|３５年|Ｃ|外壁にひび割れ（幅０.４㎜）", "第一小学校|２８年|Ａ|異常なし", "町民体育館|３９年|Ｂ|照明の一部に不点灯")+
		lines("", "b|３　対応", "①　中央公民館は令和８年度に補修する。", "②　防水は長寿命化計画に合わせて更新する。", "③　㈱例示設備と保守契約を結ぶ。"))
}

func leaflet() string {
	return flat("text", portrait, `<style:style style:name="sky" style:family="graphic"><style:graphic-properties draw:fill="solid" draw:fill-color="#8cc4e8" draw:stroke="none" style:wrap="none" style:vertical-pos="from-top" style:vertical-rel="paragraph" style:horizontal-pos="center" style:horizontal-rel="paragraph"/></style:style><style:style style:name="hill" style:family="graphic"><style:graphic-properties draw:fill="solid" draw:fill-color="#3c8c50" draw:stroke="none" style:wrap="run-through" style:run-through="foreground"/></style:style>`,
		`<office:text>`+lines("h|もみじ祭り　二〇二六")+
			`<text:p text:style-name="c"><draw:rect draw:style-name="sky" text:anchor-type="as-char" svg:width="15cm" svg:height="5cm"/></text:p><text:p text:style-name="c"><draw:ellipse draw:style-name="hill" text:anchor-type="as-char" svg:width="12cm" svg:height="3cm"/></text:p>`+
			lines("c|１１月２８日（土）・２９日（日）　午前１０時から", "c|例示町　関所公園", "", "b|催し", "・町内太鼓の会による演奏（両日とも正午から）", "・地場野菜の直売、豚汁のふるまい（先着３００名）", "・関所跡めぐり　案内人と歩く一時間", "", "r|主催　例示町観光協会　電話０１２３－４５－０００１")+`</office:text>`)
}
