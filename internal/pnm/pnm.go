// Package pnm reads pictures in the portable formats in which tools hand them
// over (netpbm, pnm(5)).
package pnm

import (
	"bytes"
	"fmt"
	"image"
	"strconv"
)

// Picture is one as a tool drew it: rows of samples of eight bits, with nothing
// that could be read in two ways.
type Picture struct {
	Width, Height, Samples int
	Pix                    []byte // of the file that was read
}

// Read reads a portable pixmap (P5, P6) or arbitrary map (P7) of eight bits,
// which must be width x height pixels, or so many more or fewer, and end behind
// them. Every number in it is the tool's.
func Read(b []byte, width, height, slack int) (Picture, error) {
	bad := func(what string) (Picture, error) {
		return Picture{}, fmt.Errorf("no picture: %s", what)
	}
	const longest = 512 // a header, with the name of who wrote it
	head := b[:min(len(b), longest)]
	r := Picture{}
	var numbers []int
	at := 0
	line := func() (string, bool) {
		i := bytes.IndexByte(head[at:], '\n')
		if i < 0 {
			return "", false
		}
		l := string(head[at : at+i])
		at += i + 1
		return l, true
	}
	magic, ok := line()
	if !ok {
		return bad("no header")
	}
	switch magic {
	case "P5":
		r.Samples = 1
	case "P6":
		r.Samples = 3
	case "P7":
	default:
		return bad("no magic")
	}
	for magic == "P7" || len(numbers) < 3 {
		l, ok := line()
		if !ok {
			return bad("header cut short")
		}
		if len(l) > 0 && l[0] == '#' {
			continue
		}
		if magic != "P7" {
			for _, f := range bytes.Fields([]byte(l)) {
				n, err := strconv.Atoi(string(f))
				if err != nil {
					return bad("header")
				}
				numbers = append(numbers, n)
			}
			continue
		}
		if l == "ENDHDR" {
			break
		}
		key, value, _ := bytes.Cut([]byte(l), []byte(" "))
		if string(key) == "TUPLTYPE" {
			continue
		}
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 1 {
			return bad("header")
		}
		switch string(key) {
		case "WIDTH", "HEIGHT", "MAXVAL":
		case "DEPTH":
			r.Samples = n
			continue
		default:
			return bad("header")
		}
		numbers = append(numbers, n)
	}
	if len(numbers) != 3 || numbers[2] != 255 || r.Samples < 1 || r.Samples > 4 {
		return bad("header")
	}
	r.Width, r.Height, r.Pix = numbers[0], numbers[1], b[at:]
	if r.Width < 1 || r.Height < 1 || r.Width > width+slack || r.Width < width-slack || r.Height > height+slack || r.Height < height-slack {
		return bad(fmt.Sprintf("%d x %d pixels, not %d x %d", r.Width, r.Height, width, height))
	}
	if int64(len(r.Pix)) != int64(r.Width)*int64(r.Height)*int64(r.Samples) {
		return bad("pixels cut short")
	}
	return r, nil
}

// Image is the picture with its samples taken for grey, grey and cover, colour,
// colour and cover.
func (r Picture) Image() image.Image {
	if r.Samples == 1 {
		return &image.Gray{Pix: r.Pix, Stride: r.Width, Rect: image.Rect(0, 0, r.Width, r.Height)}
	}
	m := image.NewNRGBA(image.Rect(0, 0, r.Width, r.Height))
	if r.Samples == 4 {
		m.Pix = r.Pix
		return m
	}
	for i, j := 0, 0; i < len(m.Pix); i, j = i+4, j+r.Samples {
		p, q := m.Pix[i:i+4], r.Pix[j:j+r.Samples]
		if r.Samples == 2 {
			p[0], p[1], p[2], p[3] = q[0], q[0], q[0], q[1]
			continue
		}
		p[0], p[1], p[2], p[3] = q[0], q[1], q[2], 255
	}
	return m
}
