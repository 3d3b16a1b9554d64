package outbox

// Queued is how many tasks a target's queue holds.
func (o *Outbox) Queued(tenant, target string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tenants[tenant].targets[target].queue.len
}
