package abitest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/crhost/crhost/abi"
)

// Defaults of Config.
const (
	DefaultSteps  = 64
	DefaultRounds = 200_000
)

// Config says what a run tries. The zero value tries what can be derived from the manifest.
type Config struct {
	Actions [][]byte // further sample actions: msgpack maps whose type is in the manifest
	Seed    uint64   // of everything random
	Steps   int      // actions in one walk through a store. Defaults to DefaultSteps
	Rounds  int      // actions that age an instance and that memory must stay flat over. Defaults to DefaultRounds
}

// Run opens instances of one guest and checks every rule. open returns a new instance, configured as the revision would be.
//
// An error says that the run itself could not be made: open failed, a sample is not an action of the guest, or ctx was done (it is
// looked at between rules; endless loops are for the Guest to cut off). What is wrong with the guest is in the report.
func Run(ctx context.Context, open func(context.Context) (Guest, error), cfg Config) (*Report, error) {
	if cfg.Steps <= 0 {
		cfg.Steps = DefaultSteps
	}
	if cfg.Rounds <= 0 {
		cfg.Rounds = DefaultRounds
	}
	r := &runner{cfg: cfg, open: open, broken: map[string]bool{}}
	for _, rule := range rules {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("abitest: %w", err)
		}
		if err := r.check(ctx, rule); err != nil {
			return nil, fmt.Errorf("abitest: rule %s: %w", rule.Name, err)
		}
	}
	slices.SortStableFunc(r.report.Findings, func(a, b Finding) int { return position(a.Rule) - position(b.Rule) })
	return &r.report, nil
}

func position(name string) int {
	return slices.IndexFunc(rules, func(r rule) bool { return r.Name == name })
}

type runner struct {
	cfg     Config
	open    func(context.Context) (Guest, error)
	report  Report
	samples []sample
	broken  map[string]bool // rules that are broken or unproven
}

func (r *runner) check(ctx context.Context, rule rule) error {
	if r.broken[rule.Name] {
		return nil // another rule's check ran into it
	}
	if slices.ContainsFunc(rule.needs, func(ground string) bool { return r.broken[ground] }) {
		r.unproven(rule.Name)
		return nil
	}
	if rule.applies != nil && !rule.applies(r.report.Manifest) {
		r.report.Inapplicable = append(r.report.Inapplicable, rule.Name)
		return nil
	}
	t := &trial{runner: r, ctx: ctx}
	err := rule.check(t)
	if closing := t.close(); err == nil {
		err = closing
	}
	var b *breach
	switch {
	case err == nil:
		r.report.Passed = append(r.report.Passed, rule.Name)
	case !errors.As(err, &b):
		return err
	default:
		r.found(b)
		if b.rule != rule.Name {
			r.unproven(rule.Name)
		}
	}
	return nil
}

func (r *runner) unproven(rule string) {
	r.broken[rule] = true
	r.report.Unproven = append(r.report.Unproven, rule)
}

// found takes down a breach, once for each rule. A rule that had passed by its own samples has not.
func (r *runner) found(b *breach) {
	r.report.Passed = slices.DeleteFunc(r.report.Passed, func(rule string) bool { return rule == b.rule })
	r.broken[b.rule] = r.broken[b.rule] || b.severity == Error
	if r.report.Finding(b.rule) == nil {
		r.report.Findings = append(r.report.Findings, Finding{Rule: b.rule, Severity: b.severity, Message: b.message, Detail: b.detail})
	}
}

// A trial is the check of one rule: it opens instances and closes them at its end.
type trial struct {
	*runner
	ctx    context.Context
	opened []Guest
}

func (t *trial) instance() (*instance, error) {
	g, err := t.open(t.ctx)
	if err != nil {
		return nil, fmt.Errorf("open an instance: %w", err)
	}
	t.opened = append(t.opened, g)
	return &instance{guest: g, calls: &t.report.Calls}, nil
}

// store opens an instance for one store, in slot 0.
func (t *trial) store(resident bool) (*store, error) {
	i, err := t.instance()
	if err != nil {
		return nil, err
	}
	return t.storeOn(i, 0, resident), nil
}

func (t *trial) storeOn(i *instance, slot uint32, resident bool) *store {
	return &store{on: i, slot: slot, ticket: firstTicket + uint64(slot), resident: resident && t.slots()}
}

// slots says whether the guest keeps states in slots.
func (t *trial) slots() bool { return t.report.Manifest.Residency == abi.ResidencySlots }

func (t *trial) close() error {
	var errs []error
	for _, g := range t.opened {
		errs = append(errs, g.Close())
	}
	return errors.Join(errs...)
}
