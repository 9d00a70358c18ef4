package odf

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"sekisho/internal/xmlscan"
)

// lostErrors is what is remembered while a sheet is read, so that the errors of
// formulas that go stay errors. OpenDocument has no value that is one: Excel writes a
// zero, LibreOffice an empty text, and the error stands only in the paragraph, which
// no program reads for the value. Without a formula such a cell would show a zero, and
// what counts with it another result.
type lostErrors struct {
	gone     bool   // the formula of the cell in the scanner went
	at       int    // where in out a formula of the open cell would stand; 0 when none is wanted
	depth    int    // of what is in that cell
	matrices []area // of which the formula went and cells are still to come
	row      int64  // of the cell that comes
	column   int64
}

// area is the cells a matrix fills.
type area struct{ row, column, rows, columns int64 }

func (a area) holds(row, column int64) bool {
	return row >= a.row && row-a.row < a.rows && column >= a.column && column-a.column < a.columns
}

// nextRow counts on to the row whose tag is in the scanner.
func (l *lostErrors) nextRow(before int64) {
	l.row += max(before, 1)
	l.column = 0
	l.matrices = slices.DeleteFunc(l.matrices, func(a area) bool { return a.row+a.rows <= l.row })
}

// errorCell looks, once the tag of a cell is written, whether the cell may have to be
// given its error.
func (f *filter) errorCell() {
	l := &f.errors
	column := l.column
	l.column += f.repeated("table:number-columns-repeated")
	gone := l.gone
	l.gone = false
	if gone {
		const most = 1000 // beside each other; more is no sheet that anybody wrote
		if a := (area{l.row, column, f.repeated("table:number-matrix-rows-spanned"), f.repeated("table:number-matrix-columns-spanned")}); (a.rows > 1 || a.columns > 1) && len(l.matrices) < most {
			l.matrices = append(l.matrices, a)
		}
	} else if _, has := f.attribute("table:formula"); has || !slices.ContainsFunc(l.matrices, func(a area) bool { return a.holds(l.row, column) }) {
		return
	}
	if f.s.Empty || f.holding > 0 || len(f.changes.open) > 0 || len(f.out) == 0 || f.out[len(f.out)-1] != '>' {
		return
	}
	own, _ := f.attribute("calcext:value-type")
	typ, _ := f.attribute("office:value-type")
	value, _ := f.attribute("office:value")
	if own == "error" || typ == "float" && value == "0" {
		l.at, l.depth = len(f.out)-1, len(f.frames)
	}
}

// errorText gives the open cell the error that the text in the scanner says, if it is
// the text of the cell and says one.
func (f *filter) errorText() {
	l := &f.errors
	if len(f.frames) != l.depth+1 || f.frames[len(f.frames)-1].canon != "text:p" {
		return
	}
	text := f.s.Text
	if !f.s.Escape {
		text = xmlscan.AppendDecoded(nil, text)
	}
	if name := errorNames()[string(bytes.TrimSpace(text))]; name != "" {
		f.out = slices.Insert(f.out, l.at, []byte(` table:formula="of:=`+name+`"`)...)
	}
	l.at = 0
}

// errorNames are the errors of OpenDocument 1.3 part 4, 5.12 by what Excel and
// LibreOffice show for them in the languages of their readers.
var errorNames = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, l := range []struct{ name, shown string }{
		{"#NULL!", "#NULL! #NUL! #¡NULO! #NULLO! #NULO! #LEEG! #NOLLA! #ПУСТО! #TYHJÄ!"},
		{"#DIV/0!", "#DIV/0! #¡DIV/0! #DIV/0 #DEL/0! #ДЕЛ/0! #SAYI/0! #DĚLENÍ_NULOU! #ZÉRÓOSZTÓ! #JAKO/0!"},
		{"#VALUE!", "#VALUE! #WERT! #VALEUR! #¡VALOR! #VALORE! #WAARDE! #VALOR! #VÆRDI! #VÄRDEFEL! #VERDI! #ARVO! #ARG! #ЗНАЧ! #HODNOTA! #DEĞER! #ÉRTÉK!"},
		{"#REF!", "#REF! #BEZUG! #¡REF! #RIF! #VERW! #REFERENCE! #REFERENS! #VIITTAUS! #ADR! #ССЫЛКА! #ODKAZ! #BAŞV! #HIV!"},
		{"#NAME?", "#NAME? #NOM? #¿NOMBRE? #NOME? #NAAM? #NAVN? #NAMN? #NIMI? #NAZWA? #ИМЯ? #NÁZEV? #AD? #NÉV?"},
		{"#NUM!", "#NUM! #ZAHL! #NOMBRE! #¡NUM! #GETAL! #NÚM! #OGILTIGT! #LUKU! #LICZBA! #ЧИСЛО! #ČÍSLO! #SAYI! #SZÁM!"},
		{"#N/A", "#N/A #NV #N/D #N/B #I/T #SAKNAS! #N/D! #Н/Д #PUUTTUU! #NENÍ_K_DISPOZICI #YOK #HIÁNYZIK"},
	} {
		for shown := range strings.FieldsSeq(l.shown) {
			m[shown] = l.name
		}
	}
	return m
})
