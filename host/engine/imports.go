package engine

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/crhost/crhost/host/engine/meter"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The modules that a guest may import from.
const (
	hostModule = "crhost"
	wasiModule = "wasi_snapshot_preview1"
)

// hostFunc is a function that a guest may import. It takes its parameters from stack and leaves its result there; the charge for
// the call itself was made, and what it handles by length it charges before it does anything. It never calls the guest.
type hostFunc struct {
	module, name string
	signature
	call func(i *Instance, stack []uint64)
}

// The error numbers of WASI preview 1 that guests see.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoSpipe   = 70
)

var errno = []byte{i32}

// hostFuncs is all that a guest can reach.
var hostFuncs = []hostFunc{
	{hostModule, "log", signature{[]byte{i32, i32, i32}, nil}, guestLog},
	{wasiModule, "args_get", signature{[]byte{i32, i32}, errno}, answer(errnoSuccess)},
	{wasiModule, "args_sizes_get", signature{[]byte{i32, i32}, errno}, noStrings},
	{wasiModule, "environ_get", signature{[]byte{i32, i32}, errno}, answer(errnoSuccess)},
	{wasiModule, "environ_sizes_get", signature{[]byte{i32, i32}, errno}, noStrings},
	{wasiModule, "clock_time_get", signature{[]byte{i32, i64, i32}, errno}, clockTimeGet},
	{wasiModule, "clock_res_get", signature{[]byte{i32, i32}, errno}, clockResGet},
	{wasiModule, "random_get", signature{[]byte{i32, i32}, errno}, randomGet},
	{wasiModule, "fd_write", signature{[]byte{i32, i32, i32, i32}, errno}, fdWrite},
	{wasiModule, "fd_fdstat_get", signature{[]byte{i32, i32}, errno}, fdFdstatGet},
	{wasiModule, "fd_fdstat_set_flags", signature{[]byte{i32, i32}, errno}, onStdio(errnoSuccess)},
	{wasiModule, "fd_prestat_get", signature{[]byte{i32, i32}, errno}, answer(errnoBadf)},
	{wasiModule, "fd_prestat_dir_name", signature{[]byte{i32, i32, i32}, errno}, answer(errnoBadf)},
	{wasiModule, "fd_read", signature{[]byte{i32, i32, i32, i32}, errno}, answer(errnoBadf)},
	{wasiModule, "fd_filestat_get", signature{[]byte{i32, i32}, errno}, answer(errnoBadf)},
	{wasiModule, "fd_close", signature{[]byte{i32}, errno}, onStdio(errnoSuccess)},
	{wasiModule, "fd_seek", signature{[]byte{i32, i64, i32, i32}, errno}, onStdio(errnoSpipe)},
	{wasiModule, "poll_oneoff", signature{[]byte{i32, i32, i32, i32}, errno}, pollOneoff},
	{wasiModule, "sched_yield", signature{nil, errno}, answer(errnoSuccess)},
	{wasiModule, "proc_exit", signature{[]byte{i32}, nil}, procExit},
}

func hostFuncNamed(module, name string) (hostFunc, bool) {
	for _, f := range hostFuncs {
		if f.module == module && f.name == name {
			return f, true
		}
	}
	return hostFunc{}, false
}

// instantiateHost gives a runtime the modules that guests import.
func instantiateHost(ctx context.Context, r wazero.Runtime) error {
	for _, module := range []string{hostModule, wasiModule} {
		b := r.NewHostModuleBuilder(module)
		for _, f := range hostFuncs {
			if f.module != module {
				continue
			}
			call := func(ctx context.Context, _ api.Module, stack []uint64) {
				i := ctx.Value(instanceKey{}).(*Instance)
				i.charge(meter.HostCallCost)
				f.call(i, stack)
			}
			b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(call), f.params, f.results).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("instantiate host module %s: %w", module, err)
		}
	}
	return nil
}

// charge takes fuel from the call that is running, and ends it when there is not enough.
func (i *Instance) charge(fuel uint64) {
	left := int64(i.fuel.Get()) - int64(fuel)
	i.fuel.Set(uint64(left))
	if left < 0 {
		panic(&stop{cause: CauseFuel})
	}
}

func (i *Instance) chargeBytes(n uint32) { i.charge(uint64(n) / meter.HostBytesPerFuel) }

func answer(errno uint64) func(*Instance, []uint64) {
	return func(_ *Instance, stack []uint64) { stack[0] = errno }
}

// onStdio answers for the three descriptors that there are.
func onStdio(errno uint64) func(*Instance, []uint64) {
	return func(_ *Instance, stack []uint64) {
		if uint32(stack[0]) > 2 {
			stack[0] = errnoBadf
			return
		}
		stack[0] = errno
	}
}

// noStrings answers how many arguments or variables there are and how long they are: none.
func noStrings(i *Instance, stack []uint64) {
	ok := i.memory.WriteUint32Le(uint32(stack[0]), 0) && i.memory.WriteUint32Le(uint32(stack[1]), 0)
	stack[0] = faultUnless(ok)
}

func faultUnless(ok bool) uint64 {
	if ok {
		return errnoSuccess
	}
	return errnoFault
}

// The clocks of WASI preview 1.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

func clockTimeGet(i *Instance, stack []uint64) {
	var t int64
	switch uint32(stack[0]) {
	case clockRealtime:
		t = i.env.now
	case clockMonotonic:
		t = i.env.monotonic
	default:
		stack[0] = errnoInval
		return
	}
	stack[0] = faultUnless(i.memory.WriteUint64Le(uint32(stack[2]), uint64(t)))
}

func clockResGet(i *Instance, stack []uint64) {
	if uint32(stack[0]) > clockMonotonic {
		stack[0] = errnoInval
		return
	}
	stack[0] = faultUnless(i.memory.WriteUint64Le(uint32(stack[1]), 1))
}

// randomFuelPerByte keeps randomness as dear as instructions that take as long: it comes at one or two bytes a nanosecond.
const randomFuelPerByte = 2

func randomGet(i *Instance, stack []uint64) {
	i.charge(uint64(uint32(stack[1])) * randomFuelPerByte)
	b, ok := i.memory.Read(uint32(stack[0]), uint32(stack[1]))
	if ok {
		i.env.random(b)
	}
	stack[0] = faultUnless(ok)
}

func fdFdstatGet(i *Instance, stack []uint64) {
	if uint32(stack[0]) > 2 {
		stack[0] = errnoBadf
		return
	}
	b, ok := i.memory.Read(uint32(stack[1]), 24)
	if ok {
		clear(b)
		b[0] = 2                                        // a character device
		binary.LittleEndian.PutUint64(b[8:], 1<<6|1<<1) // that can be written to; reading is left for fd_read to refuse
	}
	stack[0] = faultUnless(ok)
}

// fdWrite takes what a guest prints: standard output as level info, standard error as a warning.
func fdWrite(i *Instance, stack []uint64) {
	fd, vectors, n, written := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	if fd != 1 && fd != 2 {
		stack[0] = errnoBadf
		return
	}
	i.charge(uint64(n)) // a vector may be empty, and they may be many
	var total uint32
	for ; n > 0; n, vectors = n-1, vectors+8 {
		v, ok := i.memory.ReadUint64Le(vectors)
		if !ok {
			stack[0] = errnoFault
			return
		}
		length := uint32(v >> 32)
		i.chargeBytes(length)
		b, ok := i.memory.Read(uint32(v), length)
		if !ok {
			stack[0] = errnoFault
			return
		}
		i.env.write(int(fd), b)
		total += length
	}
	stack[0] = faultUnless(i.memory.WriteUint32Le(written, total))
}

func guestLog(i *Instance, stack []uint64) {
	level, ptr, n := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	i.chargeBytes(n)
	b, ok := i.memory.Read(ptr, n)
	if !ok {
		panic(&stop{CauseTrap, "crhost.log of bytes outside memory"})
	}
	i.env.log(int(min(level, levelError)), b)
}

// maxNap is the longest wait that a guest is granted. Go's runtime polls, and naps for up to a millisecond on its way out of a panic.
const maxNap = 1_000_000 // ns

// pollOneoff answers one relative timer of up to maxNap at once, with the monotonic clock moved on as if it had been waited for. To
// wait for anything else would be to sleep.
func pollOneoff(i *Instance, stack []uint64) {
	subscription, event, n, count := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	const subscriptionBytes, eventBytes, typeClock = 48, 32, 0
	sub, ok := i.memory.Read(subscription, subscriptionBytes)
	if !ok {
		stack[0] = errnoFault
		return
	}
	timeout := binary.LittleEndian.Uint64(sub[24:])
	absolute := binary.LittleEndian.Uint16(sub[40:])&1 != 0
	if n != 1 || sub[8] != typeClock || absolute || timeout > maxNap {
		panic(&stop{CauseSleep, "a reducer must not sleep"})
	}
	ev, ok := i.memory.Read(event, eventBytes)
	if !ok || !i.memory.WriteUint32Le(count, 1) {
		stack[0] = errnoFault
		return
	}
	userdata := binary.LittleEndian.Uint64(sub)
	clear(ev)
	binary.LittleEndian.PutUint64(ev, userdata)
	i.env.monotonic += int64(timeout)
	stack[0] = errnoSuccess
}

func procExit(_ *Instance, stack []uint64) {
	panic(&stop{CauseExit, fmt.Sprintf("exit with status %d", uint32(stack[0]))})
}
