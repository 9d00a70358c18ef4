package message

// plain reports whether a message is nothing but text to be read: a single
// part, or a few of them, without a name and not meant as a file.
func (w *work) plain(n *node) bool {
	if !n.multi {
		return n.media == "text/plain" && w.isBody(n)
	}
	if n.media != "multipart/mixed" {
		return false
	}
	for _, c := range n.children {
		if !w.plain(c) {
			return false
		}
	}
	return true
}

// simple reports whether a text has no octet that no text has. Every container
// that detection would look into has some, so none is opened where only plain
// text may be treated.
func simple(head []byte) bool {
	for _, c := range head {
		switch {
		case c >= ' ' && c != 0x7f, c == '\t', c == '\n', c == '\r', c == '\f':
		case c == 0x1b: // RFC 1468: ISO-2022-JP
		default:
			return false
		}
	}
	return true
}
