package outbox

// Queued is how many tasks a target's queue holds, those that were cancelled included.
func (o *Outbox) Queued(tenant, target string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.tenants[tenant].targets[target].queue)
}
