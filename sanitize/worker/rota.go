package worker

// A rota says whose turn it is of several tenants that wait: of the one that was
// served longest ago. A tenant whose mail comes by the thousand waits for itself
// and keeps nobody else waiting.
type rota struct {
	turns  uint64
	served map[string]uint64 // tenant to the number of its last turn
}

// last returns when a tenant was served, 0 when never.
func (r *rota) last(tenant string) uint64 { return r.served[tenant] }

// serve notes that it is a tenant's turn.
func (r *rota) serve(tenant string) {
	if r.served == nil {
		r.served = map[string]uint64{}
	}
	r.turns++
	r.served[tenant] = r.turns
}
