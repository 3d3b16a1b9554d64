package abitest

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/crhost/crhost/abi"
)

// firstTicket is large, so that a guest that keeps half of a ticket is seen.
const firstTicket = 0xa5a5_0000_0000_0001

// The calls that answer with a frame, as findings name them.
const (
	callDescribe = "cr1_describe"
	callReduce   = "cr1_reduce"
	callState    = "cr1_state"
)

// idleBudget is the fuel of one cr1_idle.
const idleBudget = 1_000_000_000

// An instance drives a guest as a host does: it asks for a larger buffer only when a frame needs one, and copies what it is given.
// Its errors are breaches of the rules "answers", "buffer", "output" and "status".
type instance struct {
	guest Guest
	ptr   uint32 // of the input buffer
	size  uint32 // that was asked for
	calls *int
}

func trapped(call string, err error) *breach {
	return broken(ruleAnswers, "%s: %v", call, err)
}

// write puts an input frame into the guest's buffer.
func (i *instance) write(frame []byte) error {
	n := uint32(len(frame))
	if n > i.size || i.size == 0 {
		ptr, err := i.guest.Buffer(n)
		if err != nil {
			return trapped(fmt.Sprintf("cr1_buffer(%d)", n), err)
		}
		i.ptr, i.size = ptr, n
	}
	memory := i.guest.Memory()
	if end := uint64(i.ptr) + uint64(n); end > uint64(len(memory)) {
		return broken(ruleBuffer, "the buffer [%d, %d) is outside memory of %d bytes", i.ptr, end, len(memory))
	}
	copy(memory[i.ptr:], frame)
	return nil
}

// read copies and decodes the output frame of a call, and checks that the call may answer so.
func (i *instance) read(call string, span uint64) (abi.Output, error) {
	out, err := i.output(call, span)
	if err != nil {
		return out, err
	}
	wrong := func(format string, args ...any) error { return broken(ruleStatus, call+" answers "+format, args...) }
	switch {
	case call == callDescribe && out.Status != abi.OK, call == callState && out.Status != abi.OK && out.Status != abi.NoSuchSlot:
		return out, wrong("%s", out.Status)
	case out.Status != abi.OK && len(out.Body) > 0:
		return out, wrong("%s with a body of %d bytes", out.Status, len(out.Body))
	case out.Status == abi.Rejected && !abi.ValidCode(out.Code):
		return out, wrong("REJECTED with the code %q, want 1 to %d of a-z, 0-9, _ and .", out.Code[:min(len(out.Code), abi.MaxNameBytes)], abi.MaxNameBytes)
	case out.Status != abi.Rejected && len(out.Code) > 0:
		return out, wrong("%s with the code %q", out.Status, out.Code[:min(len(out.Code), abi.MaxNameBytes)])
	case len(out.Text) > abi.MaxTextBytes:
		return out, wrong("a text of %d bytes, the limit is %d", len(out.Text), abi.MaxTextBytes)
	}
	return out, nil
}

// output copies and decodes the output frame of a call.
func (i *instance) output(call string, span uint64) (abi.Output, error) {
	ptr, n := abi.SpanOf(span)
	memory := i.guest.Memory()
	switch end := uint64(ptr) + uint64(n); {
	case ptr%8 != 0:
		return abi.Output{}, broken(ruleOutput, "%s: the output at %d is not 8-aligned", call, ptr)
	case end > uint64(len(memory)):
		return abi.Output{}, broken(ruleOutput, "%s: the output [%d, %d) is outside memory of %d bytes", call, ptr, end, len(memory))
	}
	frame := bytes.Clone(memory[ptr : ptr+n])
	var out abi.Output
	if err := out.Decode(frame); err != nil {
		return abi.Output{}, broken(ruleOutput, "%s: %v", call, err)
	}
	if binary.LittleEndian.Uint16(frame[6:]) != 0 || binary.LittleEndian.Uint32(frame[28:]) != 0 {
		return abi.Output{}, broken(ruleOutput, "%s: a reserved field of the header is not zero", call)
	}
	return out, nil
}

func (i *instance) describe() (abi.Output, error) {
	span, err := i.guest.Describe()
	if err != nil {
		return abi.Output{}, trapped(callDescribe, err)
	}
	return i.read(callDescribe, span)
}

func (i *instance) reduce(in *abi.ReduceInput) (abi.Output, error) {
	frame := make([]byte, in.Size())
	in.Encode(frame)
	out, err := i.send(frame)
	if b, ok := err.(*breach); ok {
		return out, b.by("%s", describe(in))
	}
	return out, err
}

// send reduces a frame as it is.
func (i *instance) send(frame []byte) (abi.Output, error) {
	span, err := i.sendRaw(frame)
	if err != nil {
		return abi.Output{}, err
	}
	return i.read(callReduce, span)
}

func (i *instance) sendRaw(frame []byte) (span uint64, err error) {
	if err := i.write(frame); err != nil {
		return 0, err
	}
	*i.calls++
	span, err = i.guest.Reduce(uint32(len(frame)))
	if err != nil {
		return 0, trapped(callReduce, err)
	}
	return span, nil
}

// state returns the encoded state of a slot, and false when the slot does not hold the ticket.
func (i *instance) state(slot uint32, ticket uint64) ([]byte, bool, error) {
	span, err := i.guest.State(slot, ticket)
	if err != nil {
		return nil, false, trapped(callState, err).by("slot %d ticket %#x", slot, ticket)
	}
	out, err := i.read(callState, span)
	return out.Body, err == nil && out.Status == abi.OK, err
}

func (i *instance) evict(slot uint32, ticket uint64) error {
	if err := i.guest.Evict(slot, ticket); err != nil {
		return trapped(fmt.Sprintf("cr1_evict(%d, %#x)", slot, ticket), err)
	}
	return nil
}

func (i *instance) idle() error {
	if err := i.guest.Idle(idleBudget); err != nil {
		return trapped("cr1_idle", err)
	}
	return nil
}

// describe says what a reduce asked for, so that a finding can be seen again.
func describe(in *abi.ReduceInput) string {
	s := fmt.Sprintf("%s slot %d ticket %#x seq %d: %s", in.Mode, in.Slot, in.Ticket, in.Seq, text(in.Body))
	if in.Mode == abi.WithState {
		s += ", state " + text(in.State)
	}
	return s
}
