// Package abitest checks a guest against the contract of package abi and returns what it found as values.
//
// It promises that a guest without a finding answered every call in the form that the contract asks for, kept its slots and tickets
// apart, obeyed the residency law, gave the same bytes in twin instances and in instances of different age, kept its memory flat
// and met hostile bytes with a status, over the samples tried. Samples come from the manifest's action types, with
// fields of the usual names in the forms that the guest turns out to take, and from [Config.Actions]. What they never reach is not checked;
// the rule "coverage" says when that is a whole action type. A run is deterministic: equal guests and equal Config give equal reports.
//
// It refuses to know an engine or a test framework: a guest is reached through [Guest], which host/engine and tests implement, and
// nothing here imports testing. Imports, exports, bounds and metering are the engine's to check, before there is a guest to run.
//
// Each rule has a name and one sentence; [Rules] lists them. A rule opens the instances that it needs and ends at its first breach.
// Some rules stand on others: one that compares encoded states proves nothing when states are not encoded well. When such a ground is
// missing the rule is reported as unproven and not as broken, so that a report names causes and not their shadows.
//
// [Run] uses one goroutine; several may run at the same time when their open functions allow it.
package abitest
