package pdf

import (
	"bytes"
	"image"

	"sekisho/internal/pdf"
)

const (
	// mostSamples bounds what is made ready to be looked at for codes, in octets: a
	// page in colours at 400 dpi has 47 MB.
	mostSamples = 64 << 20
	// mostLooked is how many pixels a code is looked for in. Of more than that every
	// second is taken, or every third.
	mostLooked = 16e6
)

// look has a picture looked at for codes, whose samples are plain but for a
// predictor. Colours are not those of a screen: what is light and what is dark
// is all that a code needs, and either may be its ground, so that nothing here
// asks for Decode. Space is nil where the samples are levels.
func (c *cleaner) look(data []byte, predictor pdf.Dict, space pdf.Object, components, bits, w, h int) {
	if !c.s.Looks() || components < 1 || components > 4 || len(data) > mostSamples {
		return
	}
	if predictor != nil {
		var err error
		// The samples are written as they are.
		if data, err = pdf.Unpredict(bytes.Clone(data), predictor); err != nil {
			return
		}
	}
	step := 1
	for float64(w/step)*float64(h/step) > mostLooked {
		step++
	}
	lights := c.indexedLights(space)
	full := 1<<min(bits, 8) - 1
	m := image.NewGray(image.Rect(0, 0, w/step, h/step))
	stride := (w*components*bits + 7) / 8
	for y := range h / step {
		from := y * step * stride
		if from+stride > len(data) {
			break
		}
		row, out := data[from:from+stride], m.Pix[y*m.Stride:(y+1)*m.Stride]
		// Of 16 bits the first eight say enough.
		sample := func(i int) int {
			switch bits {
			case 8:
				return int(row[i])
			case 16:
				return int(row[2*i])
			default:
				return int(row[i*bits>>3]>>(8-bits-i*bits&7)) & full
			}
		}
		for x := range out {
			at := x * step * components
			switch {
			case lights != nil:
				if v := sample(at); v < len(lights) {
					out[x] = lights[v]
				}
			case components == 1:
				out[x] = byte(sample(at) * 255 / full)
			default:
				out[x] = light([4]int{sample(at) * 255 / full, sample(at+1) * 255 / full, sample(at+min(2, components-1)) * 255 / full, sample(at+components-1) * 255 / full}, components)
			}
		}
	}
	c.s.Look(m)
}

// light is how light a colour is, roughly: of red, green and blue, or of inks.
func light(v [4]int, components int) byte {
	most := (2*v[0] + 5*v[1] + v[2]) / 8
	if components == 4 {
		return byte(255 - min(most+v[3], 255))
	}
	return byte(most)
}

// indexedLights is how light the colours of an Indexed space are (ISO 32000-1,
// 8.6.6.3); nil for any other space.
func (c *cleaner) indexedLights(space pdf.Object) []byte {
	cs, _ := c.f.Resolve(space).(pdf.Array)
	if len(cs) != 4 || c.name(cs[0]) != "Indexed" && c.name(cs[0]) != "I" {
		return nil
	}
	var table []byte
	switch t := c.f.Resolve(cs[3]).(type) {
	case pdf.String:
		table = []byte(t)
	case *pdf.Stream:
		b, ok := c.bytes(t)
		if !ok {
			return nil
		}
		table = b
	}
	n := c.components(cs[1])
	if n < 1 || n > 4 {
		return nil
	}
	var lights []byte
	for i := 0; (i+1)*n <= len(table) && i < 256; i++ {
		v := table[i*n:]
		if n == 1 {
			lights = append(lights, v[0])
			continue
		}
		lights = append(lights, light([4]int{int(v[0]), int(v[1]), int(v[min(2, n-1)]), int(v[n-1])}, n))
	}
	return lights
}
