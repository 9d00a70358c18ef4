package client

import "time"

// Event is one record of a message's life.
type Event struct {
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor"`
	Act    string    `json:"act"`
	Detail string    `json:"detail"`
}

// Trace is the whole life of one message, as journal and audit have it.
type Trace struct {
	ID        string    `json:"id"`
	Parent    string    `json:"parent,omitempty"` // the message it comes from
	Time      time.Time `json:"time"`
	Tenant    string    `json:"tenant"`
	State     string    `json:"state"` // Received, Queued, Held, Done; Gone: only the audit knows it
	Zone      string    `json:"zone"`
	Peer      string    `json:"peer"`
	Helo      string    `json:"helo"`
	TLS       string    `json:"tls,omitempty"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Pending   []string  `json:"pending,omitempty"` // of those, who waits
	Subject   string    `json:"subject"`
	MessageID string    `json:"message_id"`
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"`
	Treatment string    `json:"treatment"`
	Class     string    `json:"class,omitempty"` // why it is held
	Rule      string    `json:"rule,omitempty"`
	Reasons   []string  `json:"reasons"`
	Parts     []string  `json:"parts"` // names of the parts kept back; empty: the whole message
	Attempts  int       `json:"attempts"`
	Due       time.Time `json:"due,omitzero"`
	Err       string    `json:"err"`
	Expires   time.Time `json:"expires,omitzero"`
	Treated   []Part    `json:"treated,omitempty"` // what was found in it: parts that are not as they came
	Events    []Event   `json:"events"`
}

// Traces is what was found.
type Traces struct {
	Messages []Trace `json:"messages"`
	More     bool    `json:"more"` // there are more than are shown
}

// QueuedRecipient is one recipient of a queued message.
type QueuedRecipient struct {
	Address string `json:"address"`
	Waits   bool   `json:"waits"` // not delivered yet
	Hop     string `json:"hop"`
	Network string `json:"network"`
	Err     string `json:"err,omitempty"` // why there is no hop
}

// QueuedShown is one entry of the queue whole.
type QueuedShown struct {
	Trace
	Kind       string            `json:"kind"` // treated, passed, ours; "": not examined yet
	Recipients []QueuedRecipient `json:"recipients"`
}

// Exported is a held entry for another system: no byte of the original is in
// it.
type Exported struct {
	Shown
	MessageID string  `json:"message_id"`
	Audit     []Event `json:"audit"`
	Gateway   Version `json:"gateway"`
}
