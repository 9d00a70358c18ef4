package metafile

// Size is how large a drawing wants to be shown, in millimetres; zero when it
// does not say. b is what RewriteEMF or RewriteWMF returned.
func Size(b []byte) (width, height float64) {
	switch {
	case IsEMF(b):
		// [MS-EMF] 2.2.9: the frame, in hundredths.
		side := func(at int) float64 { return float64(int32(le.Uint32(b[at+8:]))-int32(le.Uint32(b[at:]))) / 100 }
		return side(24), side(28)
	case !IsWMF(b):
		return 0, 0
	case le.Uint32(b) == 0x9AC6CDD7:
		// [MS-WMF] 2.3.2.3: the box, and how many units are an inch.
		unit := float64(le.Uint16(b[14:]))
		if unit == 0 {
			return 0, 0
		}
		side := func(at int) float64 {
			return float64(int(int16(le.Uint16(b[at+4:])))-int(int16(le.Uint16(b[at:])))) * 25.4 / unit
		}
		return abs(side(6)), abs(side(8))
	default:
		return window(b)
	}
}

// unnamed is how long, in millimetres, the longer side is of a drawing that
// names its proportions only.
const unnamed = 160.0

// window reads the proportions of a drawing without a size: its first
// META_SETWINDOWEXT. [MS-WMF] 2.3.5.30.
func window(b []byte) (width, height float64) {
	for i := int64(18); i+6 <= int64(len(b)); {
		n, t := 2*int64(le.Uint32(b[i:])), le.Uint16(b[i+4:])
		if n < 6 || n > int64(len(b))-i {
			break
		}
		if t == 0x020C && n >= 10 {
			h, w := abs(float64(int16(le.Uint16(b[i+6:])))), abs(float64(int16(le.Uint16(b[i+8:]))))
			longer := max(w, h)
			if longer == 0 {
				break
			}
			return unnamed * w / longer, unnamed * h / longer
		}
		i += n
	}
	return 0, 0
}

func abs(v float64) float64 { return max(v, -v) }
