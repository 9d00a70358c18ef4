package pdf

import (
	"bytes"

	"sekisho/internal/pdf"
)

// calculator writes the program of a PostScript calculator function anew
// (7.10.5): numbers, braces and the operators of table 42, nothing else.
func (c *cleaner) calculator(st *pdf.Stream) ([]byte, bool) {
	in, ok := c.bytes(st)
	const longest = 1 << 20 // real ones have some hundred octets
	if !ok || len(in) > longest {
		return nil, false
	}
	var out bytes.Buffer
	lex := pdf.NewLexer(in)
	depth := 0
	const nesting = 32 // annex C has no number; readers are recursive
	for {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			return nil, false
		case pdf.BraceOpen:
			if depth++; depth > nesting {
				return nil, false
			}
			out.WriteByte('{')
		case pdf.BraceClose:
			out.WriteByte('}')
			if depth--; depth == 0 {
				return out.Bytes(), true
			}
			if depth < 0 {
				return nil, false
			}
		case pdf.Int, pdf.Num:
			if depth == 0 {
				return nil, false
			}
			writeNumber(&out, in, t)
			out.WriteByte(' ')
		case pdf.Word:
			switch string(t.Text) {
			case "abs", "add", "atan", "ceiling", "cos", "cvi", "cvr", "div", "exp", "floor", "idiv", "ln", "log", "mod", "mul", "neg",
				"round", "sin", "sqrt", "sub", "truncate", "and", "bitshift", "eq", "false", "ge", "gt", "le", "lt", "ne", "not", "or",
				"true", "xor", "if", "ifelse", "copy", "dup", "exch", "index", "pop", "roll":
				if depth == 0 {
					return nil, false
				}
				out.Write(t.Text)
				out.WriteByte(' ')
			default:
				return nil, false
			}
		default:
			return nil, false
		}
	}
}
