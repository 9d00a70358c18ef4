package main

import "strings"

// details are what the audit has beside an act. It is written in English, once
// and for good; a Japanese reader is shown the same in Japanese. Reasons that
// people typed, addresses and answers of servers stay as they are.
var details = []sentence{
	{"zone %s, %s recipients, %s bytes, sha256 %s", "区域 $1、宛先 $2 件、$3 バイト、SHA-256 $4"},
	{"class %s, rule %s: %s", "分類 $1、規則 $2: $3"},
	{"kept back from %s: %s", "$1 から添付を保留: $2"},
	{"to %s, hop %s, host %s: %s", "宛先 $1、hop $2、相手 $3: $4"},
	{"reason: %s; to %s of %s recipients as %s", "理由: $1。宛先 $3 件のうち $2 件へ、$4 として"},
	{"reason: %s", "理由: $1"},
	{"requested, %s", "請求、$1"},
	{"approved, %s", "承認、$1"},
	{"denied, %s", "却下、$1"},
	{"requested,", "請求"},
	{"approved,", "承認"},
	{"denied,", "却下"},
	{"held since %s", "$1 から保留"},
	{"the originals have their share of the disk", "原本の保管量が上限に達したため"},
	{"the row was changed outside of the gateway; it is examined again", "管理表の行がゲートウェイの外で変えられています。検査し直します"},
	{"the row cannot be read and was moved aside", "管理表の行が読めないため、別に移しました"},
	{"the mark of the end of the audit is missing", "監査の終わりの印がありません"},
	{"the mark of the end of the audit was changed", "監査の終わりの印が変えられています"},
	{"the audit ended with record %s and now ends with %s", "監査は $1 番で終わっていましたが、今は $2 番で終わっています"},
	{"%s, uid %s, at first start", "$1、uid $2、最初の起動時"},
	{"%s, uid %s", "$1、uid $2"},
	{"at start, sha256 %s", "起動時、SHA-256 $1"},
	{"reload, sha256 %s; changed: nothing in this file", "再読込、SHA-256 $1。このファイルに変更なし"},
	{"reload, sha256 %s; changed: %s", "再読込、SHA-256 $1。変更: $2"},
	{"version %s from %s on: %s addresses, %s added, %s removed, %s changed; %s", "第 $1 版、$2 から: アドレス $3 件、追加 $4、削除 $5、変更 $6。$7"},
	{"version %s from %s on: anybody is reached; %s", "第 $1 版、$2 から: どの宛先も受け付ける。$3"},
	{"version %s", "第 $1 版"},
	{"of %s to %s", "$1 について $2 へ"},
	{`"%s": %s messages`, "$1: $2 通"},
}

// pieces stand beside each other where a message was decided about.
var pieces = []sentence{
	{"treated", "無害化済"},
	{"passed", "検査済みとして通過"},
	{"ours", "関所自身のメール"},
	{"as received", "受け取ったまま"},
	{"%s clean", "無害 $1"},
	{"%s disarmed", "無害化済 $1"},
	{"%s removed", "削除 $1"},
	{"%s kept back", "添付保留 $1"},
}

// event words what the audit has beside an act.
func (u *ui) event(detail string) string {
	if !u.ja || detail == "" {
		return detail
	}
	if values, ok := matched("class %s, rule %s: %s", detail); ok {
		detail = "class " + values[0] + ", rule " + values[1] + ": " + u.reason(values[2])
	}
	if values, ok := matched("kept back from %s: %s", detail); ok {
		detail = "kept back from " + values[0] + ": " + u.reason(values[1])
	}
	if ja, ok := known(detail, details); ok {
		return ja
	}
	head, rest, more := strings.Cut(detail, "; ")
	words := strings.Split(head, ", ")
	for i, w := range words {
		ja, ok := known(w, pieces)
		if !ok {
			return detail
		}
		words[i] = ja
	}
	out := strings.Join(words, "、")
	if more {
		out += "; " + rest
	}
	return out
}
