package charset

// Pairs reports whether b looks like characters of two octets: those whose second
// is no ASCII outnumber the others, so that a quotation mark before a letter is
// none.
func Pairs(b []byte) bool {
	both, one := 0, 0
	for i := 0; i < len(b); i++ {
		if b[i] < 0x81 {
			continue
		}
		if i+1 < len(b) && b[i+1] >= 0x80 {
			both++
		} else {
			one++
		}
		i++
	}
	return both > one
}
