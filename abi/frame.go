package abi

import (
	"encoding/binary"
	"fmt"
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
	return fmt.Sprintf("%d", i)
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
	n += copy(dst[n:], in.State)
	n += copy(dst[n:], in.Body)
	n += copy(dst[n:], in.Meta)
	return n
}

// Decode reads a frame; the slices of in alias b. A guest answers an error by trapping: a host that sends such a frame is broken.
// Errors are *FrameError.
func (in *ReduceInput) Decode(b []byte) error {
	f := ReduceFrame(b)
	if err := f.Check(); err != nil {
		return err
	}
	*in = ReduceInput{
		Mode: f.Mode(), Action: f.Action(), Slot: f.Slot(), Ticket: f.Ticket(), Seq: f.Seq(), Now: f.Now(), Seed: f.Seed(),
		State: f.State(), Body: f.Body(), Meta: f.Meta(),
	}
	return nil
}

// ReduceFrame is an encoded ReduceInput, read in place: for readers that want few of its fields.
// But for Check, the methods REQUIRE that Check has found no fault. The slices that they return alias the frame.
type ReduceFrame []byte

// Check finds what is wrong with the frame. Errors are *FrameError.
func (f ReduceFrame) Check() error {
	// One test for what this package writes, and the precise ones only when it fails.
	if len(f) < ReduceHeaderLen || binary.LittleEndian.Uint32(f) != Version|ReduceHeaderLen<<16 {
		if _, err := header("reduce input", f, ReduceHeaderLen); err != nil {
			return err
		}
	}
	if f[4] > uint8(Resident) {
		return frameError("reduce input", "unknown mode %d", f[4])
	}
	if flags := binary.LittleEndian.Uint32(f[8:]); f[5] != 0 || flags != 0 {
		return frameError("reduce input", "unknown flags %#x", uint64(f[5])<<32|uint64(flags))
	}
	if need, left := f.bodyEnd()+uint64(f.length(64)), uint64(len(f)); need > left {
		return frameError("reduce input", "header and sections of %d bytes, the frame has %d", need, left)
	}
	return nil
}

func (f ReduceFrame) length(at int) uint32 { return binary.LittleEndian.Uint32(f[at:]) }

func (f ReduceFrame) stateStart() uint64 { return uint64(binary.LittleEndian.Uint16(f[2:])) }
func (f ReduceFrame) bodyStart() uint64  { return f.stateStart() + uint64(f.length(56)) }
func (f ReduceFrame) bodyEnd() uint64    { return f.bodyStart() + uint64(f.length(60)) }

// Mode is ReduceInput.Mode; so are the others the fields of their names.
func (f ReduceFrame) Mode() Mode     { return Mode(f[4]) }
func (f ReduceFrame) Action() uint16 { return binary.LittleEndian.Uint16(f[6:]) }
func (f ReduceFrame) Slot() uint32   { return binary.LittleEndian.Uint32(f[12:]) }
func (f ReduceFrame) Ticket() uint64 { return binary.LittleEndian.Uint64(f[16:]) }
func (f ReduceFrame) Seq() uint64    { return binary.LittleEndian.Uint64(f[24:]) }
func (f ReduceFrame) Now() int64     { return int64(binary.LittleEndian.Uint64(f[32:])) }
func (f ReduceFrame) Seed() [16]byte { return [16]byte(f[40:56]) }

func (f ReduceFrame) State() []byte {
	end := f.bodyStart()
	return f[f.stateStart():end:end]
}

func (f ReduceFrame) Body() []byte {
	end := f.bodyEnd()
	return f[f.bodyStart():end:end]
}

func (f ReduceFrame) Meta() []byte {
	start := f.bodyEnd()
	end := start + uint64(f.length(64))
	return f[start:end:end]
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
	h, err := header("output", b, OutputHeaderLen)
	if err != nil {
		return err
	}
	if b[4] > uint8(NoSuchSlot) {
		return frameError("output", "unknown status %d", b[4])
	}
	if unknown := Flags(b[5]) &^ knownFlags; unknown != 0 {
		return frameError("output", "unknown flags %#x", uint8(unknown))
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
		return 0, frameError(frame, "frame version %d, want %d", version, Version)
	}
	if h < known || h%8 != 0 || h > len(b) {
		return 0, frameError(frame, "header length %d, want a multiple of 8 from %d to the frame's %d bytes", h, known, len(b))
	}
	return h, nil
}

func section(frame, name string, rest []byte, n uint32) (body, after []byte, err error) {
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, frameError(frame, "%s of %d bytes, %d are left", name, n, len(rest))
	}
	return rest[:n:n], rest[n:], nil
}

// FrameError says that bytes are not a frame of this ABI.
type FrameError struct {
	Frame string // which frame
	What  string // what is wrong with it
}

func (e *FrameError) Error() string { return e.Frame + " frame: " + e.What }

func frameError(frame, format string, args ...any) error {
	return &FrameError{Frame: frame, What: fmt.Sprintf(format, args...)}
}

// Span packs the place of an output frame in guest memory into the result of a call.
func Span(ptr, n uint32) uint64 { return uint64(ptr)<<32 | uint64(n) }

// SpanOf takes a result of a call apart.
func SpanOf(result uint64) (ptr, n uint32) { return uint32(result >> 32), uint32(result) }
