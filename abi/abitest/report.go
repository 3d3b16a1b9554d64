package abitest

import (
	"fmt"
	"strings"

	"github.com/crhost/crhost/abi"
)

// Severity says what a finding means for the guest.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the guest breaks the contract: a host may lose or refuse its stores
	Warning Severity = "warning" // the run could not see enough, or the guest is slower than it need be
)

// A Finding is one breach of one rule.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // what was seen, and what was wanted
	Detail   string   `json:"detail"`  // how to see it again: the calls that led there; may be empty
}

func (f Finding) String() string {
	s := fmt.Sprintf("%s: %s: %s", f.Severity, f.Rule, f.Message)
	if f.Detail != "" {
		s += " (" + f.Detail + ")"
	}
	return s
}

// A Report is what one run found. Every rule is in Passed, has a finding, or is in Unproven or Inapplicable.
type Report struct {
	Manifest     *abi.Manifest `json:"-"` // nil when there is none that can be read
	Findings     []Finding     `json:"findings"`
	Passed       []string      `json:"passed"`
	Unproven     []string      `json:"unproven"`     // what they stand on has a finding
	Inapplicable []string      `json:"inapplicable"` // the guest's manifest leaves nothing to check
	Calls        int           `json:"calls"`        // of cr1_reduce
}

// OK reports whether the guest keeps the contract as far as the run could see: warnings do not count.
func (r *Report) OK() bool {
	for _, f := range r.Findings {
		if f.Severity == Error {
			return false
		}
	}
	return true
}

// Finding returns the finding of a rule, or nil.
func (r *Report) Finding(rule string) *Finding {
	for i := range r.Findings {
		if r.Findings[i].Rule == rule {
			return &r.Findings[i]
		}
	}
	return nil
}

// String is the report for people: a line for each finding and one with the counts.
func (r *Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	fmt.Fprintf(&b, "%d rules passed, %d findings, %d unproven, %d inapplicable, %d calls of cr1_reduce\n",
		len(r.Passed), len(r.Findings), len(r.Unproven), len(r.Inapplicable), r.Calls)
	return b.String()
}

// A breach is the error with which a check ends. It names the rule that was broken, which may be another one than the rule being checked.
type breach struct {
	rule     string
	severity Severity
	message  string
	detail   string
}

func (b *breach) Error() string { return b.message }

func broken(rule, format string, args ...any) *breach {
	return &breach{rule: rule, severity: Error, message: fmt.Sprintf(format, args...)}
}

// by adds how the breach was provoked.
func (b *breach) by(format string, args ...any) *breach {
	b.detail = fmt.Sprintf(format, args...)
	return b
}
