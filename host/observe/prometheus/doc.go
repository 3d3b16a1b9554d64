// Package prometheus turns what a host reports into Prometheus metrics.
//
// # Promise
//
// The seed's metrics keep their names: actions_total, effects_total, effect_failures_total, dlq_size, reducer_duration_seconds and
// effect_duration_seconds, each behind Config.Prefix. The others are what operators need to find out why an action was slow or refused.
// Every series of a module, of each action type, effect kind and reason of dead letters, exists with value 0 from the moment the module is
// loaded, so that rates and alerts work from the first event, and is gone after it is unloaded. (Codes and causes are not in a manifest:
// their series begin with the first event.)
//
// # Metrics
//
//	sends    actions_total{action,outcome} refusals_total{code} fuel_total{action}
//	         reducer_duration_seconds{action} lock_wait_seconds send_duration_seconds
//	effects  effects_total{kind} effect_failures_total{kind} effect_retries_total{kind} effect_duration_seconds{kind}
//	         open_leaves running_leaves timed_leaves parked_leaves dlq_size dead_letters_total{reason} redrives_total
//	         dead_letters_discarded_total feedback_refused_total
//	         without module: breakers{state} breaker_changes_total{state}
//	journal  watermark_lag; and, at 0 with the host's own journal in memory: commit_latency_seconds commit_batch_actions
//	         commit_bytes_total commit_failures_total
//	guests   traps_total{cause} rebuilds_total{cause} rebuild_actions_total rebuild_duration_seconds guest_memory_bytes residents
//	         guest_log_lines_total
//	stores   stores shards halted_stores halts_total{code} resumes_total queue_depth
//	readers  subscribers gaps_total gap_actions_total
//	deploys  swap_pause_seconds
//	         without tenant and module: deploys_total{outcome} deploy_duration_seconds{outcome} compile_duration_seconds{cached}
//	         compile_failures_total
//
// # Labels
//
// Labels are bounded by what operators deploy: tenant, module, and an action type or effect kind of the module's manifest. Action types
// that the manifest does not know are counted together under action="(unknown)". Codes and causes are the host's words; should more than
// 64 of them turn up in a module, or one that is not [a-z0-9_.], they are counted under "(other)". No label holds a store's key, nor
// an effect's target: which breaker is open is for Host.Targets and the log to say.
//
// # Cost
//
// Labels are resolved when the module is loaded. A finished send adds to the cell of its action and shard and allocates nothing. Cells are
// kept per shard and summed when somebody scrapes, because two shards that add to one cache line wait for each other: with the histograms
// of client_golang, sends on two shards took 200 ns longer, and 65 ns on one. So are batches, of which there may be one per send.
// Everything rarer, attempts at effects included, is a plain metric of client_golang. Gauges are read from Module.Stats when somebody scrapes.
//
// Three durations are kept per send, those that cannot be had otherwise: reducer_duration_seconds by action (the guest's share),
// lock_wait_seconds (contention) and send_duration_seconds (what the caller sees). The journal's share is observed once per batch.
//
// # Concurrency and failure
//
// A Metrics is safe for concurrent use. Names already taken in the registry are an error of [New]; after that nothing fails.
package prometheus
