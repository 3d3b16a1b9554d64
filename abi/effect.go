package abi

import (
	"time"

	"github.com/crhost/crhost/abi/pack"
)

// Kind is the kind of an effect.
type Kind string

// The kinds of effects.
const (
	KindNone       Kind = "none"       // nothing
	KindCall       Kind = "call"       // a named operation with arguments; it may feed back several actions over time
	KindDelay      Kind = "delay"      // feed an action back later
	KindParallel   Kind = "parallel"   // all children at once
	KindSequential Kind = "sequential" // one child after the other
	KindPublish    Kind = "publish"    // an event to a topic
	KindAppend     Kind = "append"     // events to an event stream
	KindLoad       Kind = "load"       // events from an event stream
	KindProject    Kind = "project"    // one event to a projection
	KindDispatch   Kind = "dispatch"   // an action to another store of the tenant
	KindCancel     Kind = "cancel"     // cancel the effect with this id
)

// Kinds lists every kind, in the order of the table in the package doc.
func Kinds() []Kind {
	return []Kind{KindNone, KindCall, KindDelay, KindParallel, KindSequential, KindPublish, KindAppend, KindLoad, KindProject, KindDispatch, KindCancel}
}

// Leaf reports whether an effect of kind k does something itself.
func (k Kind) Leaf() bool { return k != KindNone && k != KindParallel && k != KindSequential }

// Effect is one node of an effect tree. Encoded it is a msgpack map of the fields that are not zero; which kinds take which is
// listed in the package doc.
type Effect struct {
	Kind     Kind          // kind
	ID       string        // id: names the leaf in its store, for cancel
	Target   string        // target: operation, topic, event stream, projection or address
	OK       string        // ok: action type fed back with the result
	Err      string        // err: action type fed back with the final error
	Retry    string        // retry: name of a policy
	Timeout  time.Duration // timeout, ns: per attempt
	After    time.Duration // after, ns: of a delay
	Key      string        // key: of a publish, the order key
	Expect   *int64        // expect: of an append, the version that the stream must have; absent = any
	From     uint64        // from: of a load, the first version
	Body     []byte        // body: any msgpack value: arguments, event, action
	Events   [][]byte      // events: of an append, msgpack maps
	Children []Effect      // children: of parallel and sequential
}

// Append appends the encoding of e. Guests pay for each call, so that keys are written as bytes and nothing is called for what is absent. There are at
// most 15 fields: their number, known at the end, fits the first byte.
func (e *Effect) Append(b []byte) []byte {
	head, n := len(b), byte(1)
	b = appendText(append(b, 0x80, 0xa4, 'k', 'i', 'n', 'd'), string(e.Kind))
	if e.ID != "" {
		b = appendText(append(b, 0xa2, 'i', 'd'), e.ID)
		n++
	}
	if e.Target != "" {
		b = appendText(append(b, 0xa6, 't', 'a', 'r', 'g', 'e', 't'), e.Target)
		n++
	}
	if e.OK != "" {
		b = appendText(append(b, 0xa2, 'o', 'k'), e.OK)
		n++
	}
	if e.Err != "" {
		b = appendText(append(b, 0xa3, 'e', 'r', 'r'), e.Err)
		n++
	}
	if e.Retry != "" {
		b = appendText(append(b, 0xa5, 'r', 'e', 't', 'r', 'y'), e.Retry)
		n++
	}
	if e.Key != "" {
		b = appendText(append(b, 0xa3, 'k', 'e', 'y'), e.Key)
		n++
	}
	if e.Timeout != 0 {
		b = pack.AppendInt(append(b, 0xa7, 't', 'i', 'm', 'e', 'o', 'u', 't'), int64(e.Timeout))
		n++
	}
	if e.After != 0 {
		b = pack.AppendInt(append(b, 0xa5, 'a', 'f', 't', 'e', 'r'), int64(e.After))
		n++
	}
	if e.Expect != nil {
		b = pack.AppendInt(append(b, 0xa6, 'e', 'x', 'p', 'e', 'c', 't'), *e.Expect)
		n++
	}
	if e.From != 0 {
		b = pack.AppendUint(append(b, 0xa4, 'f', 'r', 'o', 'm'), e.From)
		n++
	}
	if e.Body != nil {
		b = append(append(b, 0xa4, 'b', 'o', 'd', 'y'), e.Body...)
		n++
	}
	if e.Events != nil {
		b = pack.AppendArrayLen(append(b, 0xa6, 'e', 'v', 'e', 'n', 't', 's'), len(e.Events))
		for _, event := range e.Events {
			b = append(b, event...)
		}
		n++
	}
	if e.Children != nil {
		b = AppendEffects(append(b, 0xa8, 'c', 'h', 'i', 'l', 'd', 'r', 'e', 'n'), e.Children)
		n++
	}
	b[head] |= n
	return b
}

// appendText is pack.AppendString in one call.
func appendText(b []byte, text string) []byte {
	if len(text) > 31 {
		return pack.AppendString(b, text)
	}
	return append(append(b, 0xa0|byte(len(text))), text...)
}

// AppendEffects appends a list of effects as a msgpack array.
func AppendEffects(b []byte, effects []Effect) []byte {
	b = pack.AppendArrayLen(b, len(effects))
	for i := range effects {
		b = effects[i].Append(b)
	}
	return b
}

// EffectError says that bytes are not an effect list of this ABI.
type EffectError struct {
	Offset int    // in the effects section, bytes
	What   string // what is wrong
}

func (e *EffectError) Error() string { return format("effects at byte %d: %s", e.Offset, e.What) }

// DecodeEffects reads an effects section: nothing, or a msgpack array of effects. It checks the bounds on leaves and depth and that each
// kind has the fields it needs; Body and Events alias b, texts do not. Errors are *EffectError.
func DecodeEffects(b []byte) ([]Effect, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := effectDecoder{Reader: pack.NewReader(b), all: b}
	effects := d.list(1)
	d.End()
	if err, ok := d.Err().(*pack.SyntaxError); ok {
		return nil, &EffectError{Offset: err.Offset, What: err.What}
	}
	return effects, nil
}

// DecodeEffect reads one effect, as Append writes it. The rest is as of DecodeEffects; offsets in errors count from the array of one around it.
func DecodeEffect(b []byte) (Effect, error) {
	list, err := DecodeEffects(append(pack.AppendArrayLen(make([]byte, 0, len(b)+1), 1), b...))
	if err != nil {
		return Effect{}, err
	}
	return list[0], nil
}

type effectDecoder struct {
	pack.Reader
	all    []byte // what is read
	copied string // of all, from the offset at: texts are parts of it
	at     int
	leaves int
	others int // none and the combinators: a tree of nothing else would be bounded by its bytes alone
}

func (d *effectDecoder) list(depth int) []Effect {
	n := d.ArrayLen()
	if depth > MaxEffectDepth && n > 0 {
		d.Fail(format("the tree is more than %d deep", MaxEffectDepth))
	}
	effects := make([]Effect, 0, min(n, MaxLeaves))
	for i := 0; i < n && d.OK(); i++ {
		if len(effects) == MaxLeaves {
			d.Fail(format("more than %d effects in one list", MaxLeaves))
			break
		}
		effects = append(effects, Effect{})
		d.effect(&effects[i], depth)
	}
	return effects
}

func (d *effectDecoder) effect(e *Effect, depth int) {
	var r *rule
	for i := d.MapLen(); i > 0 && d.OK(); i-- {
		name := d.Str()
		switch string(name) {
		case "kind":
			e.Kind, r = d.kind()
		case "id":
			e.ID = d.text()
		case "target":
			e.Target = d.text()
		case "ok":
			e.OK = d.text()
		case "err":
			e.Err = d.text()
		case "retry":
			e.Retry = d.text()
		case "key":
			e.Key = d.text()
		case "timeout":
			e.Timeout = d.duration()
		case "after":
			e.After = d.duration()
		case "expect":
			v := d.Int()
			e.Expect = &v
		case "from":
			e.From = d.Uint()
		case "body":
			e.Body = d.Raw()
		case "events":
			e.Events = d.events()
		case "children":
			e.Children = d.list(depth + 1)
		default:
			d.Fail(format("unknown field %q", clip(string(name), MaxNameBytes)))
		}
	}
	if d.OK() {
		d.check(e, r)
	}
}

// kind reads a kind, and finds its rule.
func (d *effectDecoder) kind() (Kind, *rule) {
	name := d.Str()
	if r := ruleOf(Kind(name)); r != nil {
		return r.kind, r
	}
	return Kind(name), nil
}

// copyBytes is how much is copied at once for texts. They mostly lie together, before the body; a text keeps no more than this from being freed.
const copyBytes = 96

func (d *effectDecoder) text() string {
	s := d.Str()
	if len(s) > MaxMetaBytes {
		d.Fail(format("a text of %d bytes, the limit is %d", len(s), MaxMetaBytes))
	}
	end := d.Pos()
	start := end - len(s)
	if len(s) == 0 {
		return ""
	}
	if end > d.at+len(d.copied) {
		d.at, d.copied = start, string(d.all[start:max(end, min(start+copyBytes, len(d.all)))])
	}
	return d.copied[start-d.at : end-d.at]
}

func (d *effectDecoder) duration() time.Duration {
	v := d.Int()
	if v < 0 {
		d.Fail("a negative duration")
	}
	return time.Duration(v)
}

func (d *effectDecoder) events() [][]byte {
	n := d.ArrayLen()
	events := make([][]byte, 0, min(n, MaxLeaves))
	for i := 0; i < n && d.OK(); i++ {
		if d.Peek() != pack.Map {
			d.Fail("an event is not a map")
			break
		}
		events = append(events, d.Raw())
	}
	return events
}

// rule says which fields a kind cannot do without.
type rule struct {
	kind                               Kind
	target, body, children, events, id bool
}

var rules = [...]rule{
	{kind: KindNone},
	{kind: KindCall, target: true},
	{kind: KindDelay, body: true},
	{kind: KindParallel, children: true},
	{kind: KindSequential, children: true},
	{kind: KindPublish, target: true, body: true},
	{kind: KindAppend, target: true, events: true},
	{kind: KindLoad, target: true},
	{kind: KindProject, target: true, body: true},
	{kind: KindDispatch, target: true, body: true},
	{kind: KindCancel, id: true},
}

// ruleOf is the rule of a kind; nil = there is no such kind.
func ruleOf(kind Kind) *rule {
	for i := range rules {
		if rules[i].kind == kind {
			return &rules[i]
		}
	}
	return nil
}

// check checks what was read against the rule of its kind.
func (d *effectDecoder) check(e *Effect, r *rule) {
	missing := func(field string) { d.Fail(format("a %s without %s", string(e.Kind), field)) }
	switch {
	case e.Kind == "":
		d.Fail("an effect without kind")
	case r == nil:
		d.Fail(format("unknown kind %q", clip(string(e.Kind), MaxNameBytes)))
	case r.target && e.Target == "":
		missing("target")
	case r.body && e.Body == nil:
		missing("body")
	case r.children && e.Children == nil:
		missing("children")
	case !r.children && e.Children != nil:
		d.Fail(format("a %s with children", string(e.Kind)))
	case r.events && len(e.Events) == 0:
		missing("events")
	case r.id && e.ID == "":
		missing("id")
	}
	if e.Kind.Leaf() {
		if d.leaves++; d.leaves > MaxLeaves {
			d.Fail(format("more than %d leaves", MaxLeaves))
		}
	} else if d.others++; d.others > MaxLeaves {
		d.Fail(format("more than %d effects that are not leaves", MaxLeaves))
	}
}
