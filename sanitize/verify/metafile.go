package verify

// checkMetafile walks the records of an EMF or WMF: sizes fit, and none is one
// that runs or carries another format.
func checkMetafile(where string, b []byte) error {
	u32 := func(i int) int64 {
		return int64(b[i]) | int64(b[i+1])<<8 | int64(b[i+2])<<16 | int64(b[i+3])<<24
	}
	if len(b) >= 88 && u32(0) == 1 && string(b[40:44]) == " EMF" {
		for i := int64(0); ; {
			if i+8 > int64(len(b)) {
				return notAllowed(where, "EMF ends without its end record")
			}
			kind, n := u32(int(i)), u32(int(i)+4)
			if n < 8 || n%4 != 0 || i+n > int64(len(b)) {
				return notAllowed(where, "EMF record of %d octets", n)
			}
			if kind > 122 || kind == 105 || kind == 106 || kind == 0 { // DRAWESCAPE, EXTESCAPE: [MS-EMF] 2.3.6
				return notAllowed(where, "EMF record %d", kind)
			}
			if kind == 70 { // a comment: EMF+ or the marks of groups, no other format. [MS-EMF] 2.3.3
				c := b[i+8 : i+n]
				plus := len(c) >= 8 && string(c[4:8]) == "EMF+"
				group := len(c) >= 12 && string(c[4:8]) == "GDIC" && (u32(int(i)+16) == 2 || u32(int(i)+16) == 3)
				if !plus && !group {
					return notAllowed(where, "EMF comment")
				}
			}
			i += n
			if kind == 14 {
				if i != int64(len(b)) {
					return notAllowed(where, "EMF: octets behind its end")
				}
				return nil
			}
		}
	}
	i := 0
	if len(b) >= 22 && u32(0) == 0x9ac6cdd7 {
		i = 22
	}
	if len(b) < i+18 || b[i] != 1 && b[i] != 2 || b[i+2] != 9 {
		return notAllowed(where, "neither EMF nor WMF")
	}
	for i += 18; ; {
		if i+6 > len(b) {
			return notAllowed(where, "WMF ends without its end record")
		}
		n := u32(i) * 2
		kind := int(b[i+4]) | int(b[i+5])<<8
		if n < 6 || int64(i)+n > int64(len(b)) {
			return notAllowed(where, "WMF record of %d octets", n)
		}
		if kind == 0x0626 { // META_ESCAPE, of which SETABORTPROC runs: [MS-WMF] 2.3.6
			return notAllowed(where, "WMF record that speaks to a printer")
		}
		if kind == 0 {
			return nil
		}
		i += int(n)
	}
}
