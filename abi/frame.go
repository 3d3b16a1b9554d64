package abi

import (
	"encoding/binary"
)

// Version is the frame version that this package reads and writes, and the major version in the prefix of every export (cr1_).
const Version = 1

// Minor is the minor version of the ABI that this package speaks; a manifest names the minor it needs.
const Minor = 0

// Mode says where the state of a reduce comes from.
type Mode uint8

// The modes of a reduce.
const (
	Fresh     Mode = iota // no state exists: start from the initial state, whatever the slot held
	WithState             // the state's bytes follow: they replace what the slot held
	Resident              // the slot holds the state under this ticket; if it does not, answer NoSuchSlot and change nothing
)

var modeNames = [...]string{"FRESH", "STATE", "RESIDENT"}

func (m Mode) String() string { return nameOf(modeNames[:], uint8(m)) }

// Status is the outcome that a guest reports.
type Status uint8

// The statuses of an output frame.
const (
	OK         Status = iota // done
	Rejected                 // the business said no; code and text say why
	BadAction                // the action's bytes are not what its type takes; text says why
	BadState                 // the state's bytes are not a state of this schema; text says why
	NoSuchSlot               // the slot does not hold the ticket; nothing was changed
)

var statusNames = [...]string{"OK", "REJECTED", "BAD_ACTION", "BAD_STATE", "NO_SUCH_SLOT"}

func (s Status) String() string { return nameOf(statusNames[:], uint8(s)) }

// Flags refine a status.
type Flags uint8

// The flags of an output frame.
const (
	StateChanged Flags = 1 << iota // a hint for caches only: when it is not set with OK, the state's bytes are as before
	Clean                          // not OK, and the slot holds exactly what it held before the call

	knownFlags = StateChanged | Clean
)

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return format("%d", int(i))
}

// Header lengths, in bytes.
const (
	ReduceHeaderLen = 72
	BytesHeaderLen  = 16
	OutputHeaderLen = 32
)

// ReduceInput is one reduce, as the host asks for it.
type ReduceInput struct {
	Mode   Mode
	Action uint16 // index into the manifest's actions
	Slot   uint32
	Ticket uint64
	Seq    uint64   // the seq that the action has if it is accepted
	Now    int64    // unix time, ns
	Seed   [16]byte // for everything random in this call
	State  []byte   // mode STATE only
	Body   []byte   // the action: a msgpack map with its type
	Meta   []byte   // see Meta
}

// Size is the length of the frame, in bytes.
func (in *ReduceInput) Size() int {
	return ReduceHeaderLen + len(in.State) + len(in.Body) + len(in.Meta)
}

// Encode writes the frame to the start of dst and returns its length.
//
// REQUIRES: len(dst) >= in.Size().
func (in *ReduceInput) Encode(dst []byte) int {
	h := dst[:ReduceHeaderLen:ReduceHeaderLen]
	binary.LittleEndian.PutUint64(h[0:], Version|ReduceHeaderLen<<16|uint64(in.Mode)<<32|uint64(in.Action)<<48)
	binary.LittleEndian.PutUint64(h[8:], uint64(in.Slot)<<32)
	binary.LittleEndian.PutUint64(h[16:], in.Ticket)
	binary.LittleEndian.PutUint64(h[24:], in.Seq)
	binary.LittleEndian.PutUint64(h[32:], uint64(in.Now))
	copy(h[40:56], in.Seed[:])
	binary.LittleEndian.PutUint64(h[56:], uint64(len(in.State))|uint64(len(in.Body))<<32)
	binary.LittleEndian.PutUint64(h[64:], uint64(len(in.Meta)))
	n := ReduceHeaderLen
	if len(in.State) > 0 { // RESIDENT, mostly: no bytes cost a call too
		n += copy(dst[n:], in.State)
	}
	n += copy(dst[n:], in.Body)
	n += copy(dst[n:], in.Meta)
	return n
}

// Decode reads a frame; the slices of in alias b. A guest answers an error by trapping: a host that sends such a frame is broken.
// Errors are *FrameError.
func (in *ReduceInput) Decode(b []byte) error {
	h, _, err := ReduceHeaderOf(b)
	if err != nil {
		return err
	}
	state, body, meta := h.Sections(b)
	*in = ReduceInput{
		Mode: h.Mode(), Action: h.Action(), Slot: h.Slot(), Ticket: h.Ticket(), Seq: h.Seq(), Now: h.Now(), Seed: h.Seed(),
		State: state, Body: body, Meta: meta,
	}
	return nil
}

// ReduceHeader is the header of a reduce frame, read in place: for guests, which want few of its fields and want them fast.
type ReduceHeader [ReduceHeaderLen]byte

// ReduceHeaderOf returns the header of the frame b and its action, which both alias b, after checking the frame whole. Errors are *FrameError.
func ReduceHeaderOf(b []byte) (h *ReduceHeader, body []byte, err error) {
	if len(b) >= ReduceHeaderLen {
		h := (*ReduceHeader)(b)
		lengths := h.word(56)
		start := ReduceHeaderLen + lengths&0xffffffff
		end := start + lengths>>32
		// What this package writes passes here; what is wrong, and a longer header, is told apart below.
		if h.word(0)&0xff00_ffffffff == Version|ReduceHeaderLen<<16 && uint32(h.word(8)) == 0 && h[4] <= uint8(Resident) &&
			end+h.word(64)&0xffffffff <= uint64(len(b)) {
			return h, b[start:end], nil
		}
	}
	if h, err = checkReduce(b); err == nil {
		_, body, _ = h.Sections(b)
	}
	return h, body, err
}

func checkReduce(b []byte) (*ReduceHeader, error) {
	if _, err := header("reduce input", b, ReduceHeaderLen); err != nil {
		return nil, err
	}
	h := (*ReduceHeader)(b)
	if h.Mode() > Resident {
		return nil, frameError("reduce input", "unknown mode %d", int(h.Mode()))
	}
	if flags := uint64(h[5])<<32 | h.word(8)&0xffffffff; flags != 0 {
		return nil, frameError("reduce input", "unknown flags 0x%x", flags)
	}
	if _, _, _, end := h.sections(); end > uint64(len(b)) {
		return nil, frameError("reduce input", "header and sections have %d bytes, the frame %d", end, len(b))
	}
	return h, nil
}

// word reads 8 bytes; at is a constant.
func (h *ReduceHeader) word(at int) uint64 { return binary.LittleEndian.Uint64(h[at:]) }

// Mode is ReduceInput.Mode; so are the others the fields of their names.
func (h *ReduceHeader) Mode() Mode     { return Mode(h[4]) }
func (h *ReduceHeader) Action() uint16 { return binary.LittleEndian.Uint16(h[6:]) }
func (h *ReduceHeader) Slot() uint32   { return binary.LittleEndian.Uint32(h[12:]) }
func (h *ReduceHeader) Ticket() uint64 { return binary.LittleEndian.Uint64(h[16:]) }
func (h *ReduceHeader) Seq() uint64    { return binary.LittleEndian.Uint64(h[24:]) }
func (h *ReduceHeader) Now() int64     { return int64(binary.LittleEndian.Uint64(h[32:])) }
func (h *ReduceHeader) Seed() [16]byte { return [16]byte(h[40:56]) }

// sections tells where the sections of the frame end, in bytes from its start. They follow one another, the first begins after the header.
func (h *ReduceHeader) sections() (start, state, body, meta uint64) {
	start = uint64(binary.LittleEndian.Uint16(h[2:]))
	state = start + uint64(binary.LittleEndian.Uint32(h[56:]))
	body = state + uint64(binary.LittleEndian.Uint32(h[60:]))
	return start, state, body, body + uint64(binary.LittleEndian.Uint32(h[64:]))
}

// Sections returns the sections of b, the frame that the header is of, which they alias.
func (h *ReduceHeader) Sections(b []byte) (state, body, meta []byte) {
	start, s, a, m := h.sections()
	return b[start:s:s], b[s:a:a], b[a:m:m]
}

// BytesInput is the input of cr1_configure (Body is the config) and of the migrations (Body is a state of schema From, wanted in schema To).
type BytesInput struct {
	From, To uint32
	Body     []byte
}

// Size is the length of the frame, in bytes.
func (in *BytesInput) Size() int { return BytesHeaderLen + len(in.Body) }

// Encode writes the frame to the start of dst and returns its length.
//
// REQUIRES: len(dst) >= in.Size().
func (in *BytesInput) Encode(dst []byte) int {
	binary.LittleEndian.PutUint64(dst[0:], Version|BytesHeaderLen<<16|uint64(len(in.Body))<<32)
	binary.LittleEndian.PutUint64(dst[8:], uint64(in.From)|uint64(in.To)<<32)
	return BytesHeaderLen + copy(dst[BytesHeaderLen:], in.Body)
}

// Decode reads a frame; Body aliases b. Errors are *FrameError.
func (in *BytesInput) Decode(b []byte) error {
	h, err := header("bytes input", b, BytesHeaderLen)
	if err != nil {
		return err
	}
	in.From = binary.LittleEndian.Uint32(b[8:])
	in.To = binary.LittleEndian.Uint32(b[12:])
	in.Body, _, err = section("bytes input", "body", b[h:], binary.LittleEndian.Uint32(b[4:]))
	return err
}

// Output is what a guest answers to any call. Which sections mean what is listed in the package doc.
type Output struct {
	Status   Status
	Flags    Flags
	SizeHint uint64 // of the encoded state, in bytes; 0 = unknown
	Body     []byte // effects, state or manifest
	Code     []byte // of a rejection: lower case, [a-z0-9_.]{1,64}
	Text     []byte // of anything but OK, for people
}

// Size is the length of the frame, in bytes.
func (out *Output) Size() int {
	return OutputHeaderLen + len(out.Body) + len(out.Code) + len(out.Text)
}

// Append appends the frame to dst. The frame is aligned to 8 bytes if the end of dst is.
func (out *Output) Append(dst []byte) []byte {
	var h [OutputHeaderLen]byte
	PutOutputHeader(h[:], out.Status, out.Flags, out.SizeHint, len(out.Body), len(out.Code), len(out.Text))
	dst = append(dst, h[:]...)
	dst = append(dst, out.Body...)
	dst = append(dst, out.Code...)
	return append(dst, out.Text...)
}

// PutOutputHeader writes the header of an output frame to the start of dst, for writers that put the sections behind it themselves. body, code
// and text are their lengths, in bytes.
//
// REQUIRES: len(dst) >= OutputHeaderLen.
func PutOutputHeader(dst []byte, status Status, flags Flags, sizeHint uint64, body, code, text int) {
	h := (*[OutputHeaderLen]byte)(dst)
	binary.LittleEndian.PutUint64(h[0:], Version|OutputHeaderLen<<16|uint64(status)<<32|uint64(flags)<<40)
	binary.LittleEndian.PutUint64(h[8:], sizeHint)
	binary.LittleEndian.PutUint64(h[16:], uint64(body)|uint64(code)<<32)
	binary.LittleEndian.PutUint64(h[24:], uint64(text))
}

// Decode reads a frame; the slices of out alias b. Errors are *FrameError.
func (out *Output) Decode(b []byte) error {
	if len(b) >= OutputHeaderLen {
		// What this package writes without a body passes here; everything else, and what is wrong, is told apart below.
		h := (*[OutputHeaderLen]byte)(b)
		first, lengths, text := binary.LittleEndian.Uint64(h[0:]), binary.LittleEndian.Uint64(h[16:]), binary.LittleEndian.Uint32(h[24:])
		if flags := Flags(first >> 40); first&(1<<40-1) == Version|OutputHeaderLen<<16|uint64(OK)<<32 && flags&^StateChanged == 0 &&
			lengths == 0 && text == 0 && len(b) == OutputHeaderLen {
			*out = Output{Flags: flags, SizeHint: binary.LittleEndian.Uint64(h[8:])}
			return nil
		}
	}
	h, err := header("output", b, OutputHeaderLen)
	if err != nil {
		return err
	}
	if b[4] > uint8(NoSuchSlot) {
		return frameError("output", "unknown status %d", int(b[4]))
	}
	if unknown := Flags(b[5]) &^ knownFlags; unknown != 0 {
		return frameError("output", "unknown flags 0x%x", int(unknown))
	}
	out.Status, out.Flags = Status(b[4]), Flags(b[5])
	if out.Status == OK && out.Flags&Clean != 0 {
		return frameError("output", "flag CLEAN with status OK")
	}
	out.SizeHint = binary.LittleEndian.Uint64(b[8:])
	rest := b[h:]
	if out.Body, rest, err = section("output", "body", rest, binary.LittleEndian.Uint32(b[16:])); err != nil {
		return err
	}
	if out.Code, rest, err = section("output", "code", rest, binary.LittleEndian.Uint32(b[20:])); err != nil {
		return err
	}
	if out.Text, rest, err = section("output", "text", rest, binary.LittleEndian.Uint32(b[24:])); err != nil {
		return err
	}
	if len(rest) != 0 {
		return frameError("output", "%d bytes after the last section", len(rest))
	}
	return nil
}

// header checks the first words of a frame and returns the length of its header. Readers skip header fields that they do not know.
func header(frame string, b []byte, known int) (int, error) {
	if len(b) < known {
		return 0, frameError(frame, "%d bytes are fewer than its header of %d", len(b), known)
	}
	version, h := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
	if version != Version {
		return 0, frameError(frame, "frame version %d, want %d", int(version), Version)
	}
	if h < known || h%8 != 0 || h > len(b) {
		return 0, frameError(frame, "header length %d, want a multiple of 8 from %d to the frame's %d bytes", h, known, len(b))
	}
	return h, nil
}

func section(frame, name string, rest []byte, n uint32) (body, after []byte, err error) {
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, frameError(frame, "%s of %d bytes, %d are left", name, int(n), len(rest))
	}
	return rest[:n:n], rest[n:], nil
}

// FrameError says that bytes are not a frame of this ABI.
type FrameError struct {
	Frame string // which frame
	What  string // what is wrong with it
}

func (e *FrameError) Error() string { return e.Frame + " frame: " + e.What }

func frameError(frame, f string, args ...any) error {
	return &FrameError{Frame: frame, What: format(f, args...)}
}

// Span packs the place of an output frame in guest memory into the result of a call.
func Span(ptr, n uint32) uint64 { return uint64(ptr)<<32 | uint64(n) }

// SpanOf takes a result of a call apart.
func SpanOf(result uint64) (ptr, n uint32) { return uint32(result >> 32), uint32(result) }
