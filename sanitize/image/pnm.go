package image

import (
	"bytes"
	"fmt"
	"image"
	"strconv"

	"sekisho/sanitize"
)

// raw is a picture as a tool drew it: rows of samples of eight bits, with
// nothing that could be read in two ways. Every number in it is the tool's.
type raw struct {
	width, height, samples int
	pix                    []byte
}

// readPNM reads a portable pixmap (P5, P6) or arbitrary map (P7) of eight bits,
// which must be width x height pixels, or so many more or fewer, and end behind
// them.
func readPNM(b []byte, width, height, slack int) (raw, error) {
	bad := func(what string) (raw, error) {
		return raw{}, fmt.Errorf("no picture: %s: %w", what, sanitize.ErrTool)
	}
	const longest = 512 // a header, with the name of who wrote it
	head := b[:min(len(b), longest)]
	r := raw{}
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
		r.samples = 1
	case "P6":
		r.samples = 3
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
			r.samples = n
			continue
		default:
			return bad("header")
		}
		numbers = append(numbers, n)
	}
	if len(numbers) != 3 || numbers[2] != 255 || r.samples < 1 || r.samples > 4 {
		return bad("header")
	}
	r.width, r.height, r.pix = numbers[0], numbers[1], b[at:]
	if r.width < 1 || r.height < 1 || r.width > width+slack || r.width < width-slack || r.height > height+slack || r.height < height-slack {
		return bad(fmt.Sprintf("%d x %d pixels, not %d x %d", r.width, r.height, width, height))
	}
	if int64(len(r.pix)) != int64(r.width)*int64(r.height)*int64(r.samples) {
		return bad("pixels cut short")
	}
	return r, nil
}

// image is the picture with its samples taken for grey, grey and cover, colour,
// colour and cover.
func (r raw) image() image.Image {
	if r.samples == 1 {
		return &image.Gray{Pix: r.pix, Stride: r.width, Rect: image.Rect(0, 0, r.width, r.height)}
	}
	m := image.NewNRGBA(image.Rect(0, 0, r.width, r.height))
	if r.samples == 4 {
		m.Pix = r.pix
		return m
	}
	for i, j := 0, 0; i < len(m.Pix); i, j = i+4, j+r.samples {
		p, q := m.Pix[i:i+4], r.pix[j:j+r.samples]
		if r.samples == 2 {
			p[0], p[1], p[2], p[3] = q[0], q[0], q[0], q[1]
			continue
		}
		p[0], p[1], p[2], p[3] = q[0], q[1], q[2], 255
	}
	return m
}
