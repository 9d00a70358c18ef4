package envelope

// AuthResult is the outcome of one way of telling who sent a message, in the
// words of RFC 8601, 2.7. The zero value says nothing good.
type AuthResult string

// The results.
const (
	AuthNone      AuthResult = "none" // nothing published, nothing signed
	AuthPass      AuthResult = "pass"
	AuthFail      AuthResult = "fail"
	AuthSoftFail  AuthResult = "softfail" // SPF only
	AuthNeutral   AuthResult = "neutral"
	AuthTempError AuthResult = "temperror" // DNS did not say
	AuthPermError AuthResult = "permerror" // what is published or signed is wrong
)

// Disposition is what a domain's owner asks for when DMARC fails.
type Disposition uint8

// The dispositions. Zero is no wish: there is no record.
const (
	DispositionNone       Disposition = 1
	DispositionQuarantine Disposition = 2
	DispositionReject     Disposition = 3
)

func (d Disposition) String() string {
	switch d {
	case DispositionNone:
		return "none"
	case DispositionQuarantine:
		return "quarantine"
	case DispositionReject:
		return "reject"
	default:
		return ""
	}
}

// Signature is one DKIM signature that was looked at. The names are what the
// signature claims unless it passed; all are plain ASCII domain names.
type Signature struct {
	Domain   string     `json:"domain,omitempty"`
	Selector string     `json:"selector,omitempty"`
	Result   AuthResult `json:"result"`
	Aligned  bool       `json:"aligned,omitempty"` // its domain is the author's organisation
	Reason   string     `json:"reason,omitempty"`  // why it did not pass
}

// Auth is the sender's authentication as package senderauth found it.
type Auth struct {
	From    string   `json:"from,omitempty"`    // the address in the header From, as it came
	Domains []string `json:"domains,omitempty"` // every domain the header From could be read as

	SPF        AuthResult  `json:"spf,omitempty"`
	SPFDomain  string      `json:"spf_domain,omitempty"`
	SPFAligned bool        `json:"spf_aligned,omitempty"`
	DKIM       []Signature `json:"dkim,omitempty"`
	DMARC      AuthResult  `json:"dmarc,omitempty"`
	Policy     Disposition `json:"policy,omitempty"` // asked for by the author's domain

	// Own is the tenant whose domain the header From has, which this message
	// gives no proof of. Empty: no tenant's, or proved, or a trusted sender.
	Own TenantID `json:"own,omitempty"`
	// LGWANName is a name of lgwan.domains in the header From, without proof.
	LGWANName string `json:"lgwan_name,omitempty"`
	// Trusted is the entry of trusted_senders that the source stands under.
	Trusted string `json:"trusted,omitempty"`
	// Silent says that DNS did not answer something the verdict needed.
	Silent bool `json:"silent,omitempty"`
	// Unread says that the header block was too large to be read whole, so that
	// another From may stand in it.
	Unread bool `json:"unread,omitempty"`
	// Marks are what a reader may want to know and nothing is judged by:
	// display-name, reply-to, sender (a tenant's domain stands there),
	// look-alike (the author's domain is drawn like a tenant's), from
	// (the header From is not one plain address).
	Marks []string `json:"marks,omitempty"`
}
