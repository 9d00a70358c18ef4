package client

import "time"

// Tenant is one of the bodies the gateway serves.
type Tenant struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	Domains        []string `json:"domains"`
	Profile        string   `json:"profile"`
	Administrators []string `json:"administrators"`
	Recipients     string   `json:"recipients"`          // any, file, imported; doubted: no list is as the gateway wrote it, and nobody is accepted
	File           string   `json:"file,omitempty"`      // of the list
	Version        int64    `json:"version,omitempty"`   // of the imported list
	Addresses      int      `json:"addresses,omitempty"` // in the list
	Reached        int      `json:"reached,omitempty"`   // of them, today
}

// TenantShown is a tenant whole.
type TenantShown struct {
	Tenant
	Trusted   []string           `json:"trusted_senders"`
	Entries   map[string]int     `json:"entries"` // by state
	Scheduled []RecipientVersion `json:"scheduled,omitempty"`
}

// Imported says what a list of recipients changes.
type Imported struct {
	Tenant    string    `json:"tenant"`
	Version   int64     `json:"version"` // 0: nothing was kept
	DryRun    bool      `json:"dry_run"`
	Effective time.Time `json:"effective"`
	Before    int64     `json:"before"`        // version whose place it takes, 0: none
	Any       bool      `json:"any,omitempty"` // there is no list: anybody is reached
	Addresses int       `json:"addresses"`
	Reaches   int       `json:"reaches"` // of them, on the first day
	Added     []string  `json:"added"`
	Removed   []string  `json:"removed"`
	Changed   []string  `json:"changed"` // other days
	Same      int       `json:"same"`
	Reached   int       `json:"reached_before"` // by the list before, on that day
	Lost      int       `json:"lost"`           // of those, by this one no longer
	Allowed   int       `json:"allowed_percent"`
	TooMany   bool      `json:"too_many"`  // refused: more are lost than allowed
	Unchanged bool      `json:"unchanged"` // the same list is in force already
	Later     []int64   `json:"later,omitempty"`
}

// RecipientVersion is one version of a list.
type RecipientVersion struct {
	Tenant    string    `json:"tenant"`
	Version   int64     `json:"version"`
	Made      time.Time `json:"made"`
	Effective time.Time `json:"effective"`
	By        string    `json:"by"`
	Source    string    `json:"source"`
	Any       bool      `json:"any,omitempty"`
	Addresses int       `json:"addresses"`
	Cancelled bool      `json:"cancelled"`
	InForce   bool      `json:"in_force"`
}

// RecipientList is a list whole.
type RecipientList struct {
	Tenant  string      `json:"tenant"`
	Version int64       `json:"version"`
	File    string      `json:"file,omitempty"`
	Any     bool        `json:"any"`
	Lines   []Recipient `json:"lines"`
}

// Recipient is one line of a list.
type Recipient struct {
	Address string `json:"address"`
	From    string `json:"from"`
	Until   string `json:"until"`
	Reached bool   `json:"reached"` // on the day asked for
}

// Fault is one thing wrong with a file, and where.
type Fault struct {
	Line  int    `json:"line"`
	Code  string `json:"code"`
	Value string `json:"value"`
	Text  string `json:"text"`
}
