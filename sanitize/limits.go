package sanitize

// Limits is what one message may spend, all its parts together. A zero field
// allows nothing, so a worker that was told no limits treats nothing.
type Limits struct {
	Expanded      int64 `json:"expanded"`       // bytes expanded by all decoders
	RatioFloor    int64 `json:"ratio_floor"`    // bytes after which the ratio counts
	Ratio         int64 `json:"ratio"`          // expanded : stored
	Depth         int   `json:"depth"`          // containers in containers
	Entries       int   `json:"entries"`        // members of one archive
	XMLDepth      int   `json:"xml_depth"`      // elements in elements
	MIMEDepth     int   `json:"mime_depth"`     // multiparts in multiparts
	MIMEParts     int   `json:"mime_parts"`     // parts of a message
	HeaderBytes   int   `json:"header_bytes"`   // of one header block
	HeaderFields  int   `json:"header_fields"`  // of one header block
	PicturePixels int64 `json:"picture_pixels"` // of one picture
	Pixels        int64 `json:"pixels"`         // of all pictures
	NameBytes     int   `json:"name_bytes"`     // of a file name written out, UTF-8
	OutputBytes   int64 `json:"output_bytes"`   // written by one run
}

// DefaultLimits are the limits a message has unless configured otherwise.
func DefaultLimits() Limits {
	return Limits{
		Expanded:      500 << 20, // a 200 MB sheet passes, the bombs seen do not
		RatioFloor:    10 << 20,  // small files of one repeated byte are no bombs
		Ratio:         200,       // DEFLATE can do 1,032:1, office sheets stay far under
		Depth:         5,         // archives in archives, files in files, forwarded mail
		Entries:       5000,      // real archives stay under; the bomb seen has 20,000
		XMLDepth:      256,       // documents nest some dozens deep, a bomb tens of thousands
		MIMEDepth:     30,        // other filters stop at 64 and 100; real mail stays under 10
		MIMEParts:     1000,      // the bomb seen has 12,000
		HeaderBytes:   256 << 10, // above every legal mail seen
		HeaderFields:  2000,      // likewise
		PicturePixels: 100e6,     // decoded they are 400 MB
		Pixels:        500e6,     // a message of five such pictures
		NameBytes:     255,       // what file systems take; 120 bytes would be 40 kanji
		OutputBytes:   256 << 20, // RLIMIT_FSIZE of the sandbox
	}
}
