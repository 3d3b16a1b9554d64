package abitest

import "github.com/crhost/crhost/abi"

// A Rule is one sentence of the contract.
type Rule struct {
	Name      string `json:"name"`
	Statement string `json:"statement"`
}

// Rules lists the rules in the order in which they are checked.
func Rules() []Rule {
	list := make([]Rule, len(rules))
	for i, r := range rules {
		list[i] = r.Rule
	}
	return list
}

// Names of the rules that a check of another rule can run into.
const (
	ruleManifest = "manifest"
	ruleAnswers  = "answers"
	ruleBuffer   = "buffer"
	ruleOutput   = "output"
	ruleStatus   = "status"
	ruleHeld     = "held"
)

type rule struct {
	Rule
	applies func(*abi.Manifest) bool // nil: to every guest
	needs   []string                 // rules without which this one proves nothing
	check   func(*trial) error
}

// basic are the grounds of everything that follows stores: calls are answered, in frames, with states that can be brought back.
var basic = []string{"manifest", "answers", "output", "status", "coverage", "held", "state"}

func after(rules ...string) []string { return append(append([]string(nil), basic...), rules...) }

func keepsSlots(m *abi.Manifest) bool { return m.Residency == abi.ResidencySlots }

func keepsTwoSlots(m *abi.Manifest) bool { return keepsSlots(m) && m.Slots != 1 }

var rules = []rule{
	{
		Rule:  Rule{"manifest", "cr1_describe answers OK with a valid manifest, the same bytes each time and in each instance."},
		check: checkManifest,
	},
	{
		Rule:  Rule{"answers", "Calls that the contract allows are answered; none of them traps."},
		needs: []string{"manifest"},
		check: checkAnswers,
	},
	{
		Rule:  Rule{"output", "Every output frame lies 8-aligned inside memory, is as long as its sections, and has zero where it is reserved."},
		needs: []string{"manifest", "answers"},
		check: checkOutput,
	},
	{
		Rule:  Rule{"status", "Statuses, codes and texts are those that the call may answer with."},
		needs: []string{"manifest", "answers", "output"},
		check: checkStatus,
	},
	{
		Rule:  Rule{"coverage", "The samples reach every action type: each is accepted at least once."},
		needs: []string{"manifest", "answers", "output", "status"},
		check: checkCoverage,
	},
	{
		Rule:  Rule{"effects", "Effects are a tree within the bounds, of kinds and targets that the manifest declares."},
		needs: []string{"manifest", "answers", "output"},
		check: checkEffects,
	},
	{
		Rule:  Rule{"held", "After FRESH or STATE the slot holds the state under the frame's ticket, after a rejection too, until it is replaced or evicted."},
		needs: []string{"manifest", "answers", "output", "status", "coverage"},
		check: checkHeld,
	},
	{
		Rule:  Rule{"state", "cr1_state answers one well-formed msgpack value within the limit, and asking changes nothing."},
		needs: []string{"manifest", "answers", "output", "status", "coverage", "held"},
		check: checkState,
	},
	{
		Rule:  Rule{"nan", "A NaN in a state or in effects is written as 0x7ff8000000000000, or in a float 32 as 0x7fc00000."},
		needs: basic,
		check: checkNaN,
	},
	{
		Rule:  Rule{"twin", "Two instances answer the same calls with the same bytes."},
		needs: basic,
		check: checkTwin,
	},
	{
		Rule:  Rule{"buffer", "cr1_buffer returns an 8-aligned place inside memory that stays the input buffer until the next cr1_buffer."},
		needs: after("twin"),
		check: checkBuffer,
	},
	{
		Rule:  Rule{"header", "Header fields beyond those that the guest knows are skipped."},
		needs: after("twin"),
		check: checkHeader,
	},
	{
		Rule:  Rule{"unknown", "A frame version, mode or flag that the guest does not know traps."},
		needs: basic,
		check: checkUnknown,
	},
	{
		Rule:  Rule{"lengths", "A frame whose lengths reach beyond it traps or is refused; an action that ends early is BAD_ACTION."},
		needs: basic,
		check: checkLengths,
	},
	{
		Rule:  Rule{"fresh", "FRESH starts from the initial state, whatever the slot held."},
		needs: after("twin"),
		check: checkFresh,
	},
	{
		Rule:  Rule{"replace", "STATE replaces what the slot held."},
		needs: after("fresh"),
		check: checkReplace,
	},
	{
		Rule:  Rule{"hint", "OK without STATE_CHANGED means that the state's bytes are as before."},
		needs: after("replace"),
		check: checkHint,
	},
	{
		Rule:  Rule{"residency", "Going on resident and going on from the encoded state give the same bytes."},
		needs: after("replace"),
		check: checkResidency,
	},
	{
		Rule:  Rule{"clean", "After a refusal with CLEAN the slot holds exactly what it held before the call, or what the call brought."},
		needs: after("residency"),
		check: checkClean,
	},
	{
		Rule:  Rule{"tickets", "A ticket that the slot does not hold is NO_SUCH_SLOT, and changes nothing."},
		needs: after("residency"),
		check: checkTickets,
	},
	{
		Rule:    Rule{"evict", "cr1_evict empties the slot that holds the ticket, and no other."},
		applies: keepsTwoSlots,
		needs:   after("tickets"),
		check:   checkEvict,
	},
	{
		Rule:    Rule{"leak", "What is done in one slot does not show in another."},
		applies: keepsTwoSlots,
		needs:   after("residency", "evict"),
		check:   checkLeak,
	},
	{
		Rule:  Rule{"age", "An instance that has served many actions answers as a new one does."},
		needs: after("residency"),
		check: checkAge,
	},
	{
		Rule:  Rule{"bad_action", "An action with fields of the wrong type is answered, and leaves the instance in order."},
		needs: after("age"),
		check: checkBadAction,
	},
	{
		Rule:  Rule{"bad_state", "Bytes that are not a state are BAD_STATE, and leave the instance in order."},
		needs: after("age"),
		check: checkBadState,
	},
	{
		Rule:    Rule{"idle", "cr1_idle changes no slot's bytes and nothing that follows."},
		applies: keepsSlots,
		needs:   after("residency"),
		check:   checkIdle,
	},
	{
		Rule:  Rule{"memory", "Guest memory stays flat over many actions, with cr1_idle between them."},
		needs: basic,
		check: checkMemory,
	},
}
