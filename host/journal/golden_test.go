package journal

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files of the present formats")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// format is one kind of kept bytes, for the tests that hold for all of them.
type format struct {
	name   string
	sample any                                        // with every field set
	encode func(v any) []byte                         // of what decode returns
	decode func(key, value []byte) (v any, err error) // key is only told in errors
}

var (
	life   = Incarnation{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}
	digest = Digest{0xd0, 0xd1, 31: 0xdf}
	action = Record{
		Kind: KindAction, Cause: CauseCommand, Schema: 0x01020304, Life: life, Seq: 7, Time: 1_700_000_000_000_000_001,
		Seed: [16]byte{0x20, 0x21, 15: 0x2f}, Revision: 5, Fuel: 321, ActionIndex: 2,
		Action: []byte("\x81\xa4type\xa9increment"), Meta: []byte("meta"), Effects: []byte{0x90}, State: []byte{},
	}
)

func formats() []format {
	adopt := action
	adopt.Kind, adopt.Cause, adopt.Seq, adopt.State = KindAdopt, CauseTimer, 8, []byte("state before")
	record := func(seq uint64) func([]byte, []byte) (any, error) {
		return func(_, b []byte) (any, error) {
			var r Record
			err := r.Decode(life, seq, b)
			return r, err
		}
	}
	encodeRecord := func(v any) []byte { r := v.(Record); return r.Encode() }
	return []format{
		{"record", hashed(action), encodeRecord, record(7)},
		{"record-adopt", hashed(adopt), encodeRecord, record(8)},
		{"checkpoint", Checkpoint{Seq: 7, Revision: 5, Schema: 3, Time: -1, State: []byte("state")},
			func(v any) []byte { c := v.(Checkpoint); return c.encode() },
			func(k, b []byte) (any, error) { return decodeCheckpoint(k, b) }},
		{"store", Store{Life: life, Created: 9, HaltCode: "trapped", HaltReason: "three times", HaltedAt: 10, HaltedBy: 3, ParkedBy: 4, ParkReason: "junk"},
			func(v any) []byte { s := v.(Store); return s.encode() },
			func(k, b []byte) (any, error) { return decodeStore(k, b) }},
		{"stopped", StoreID{Tenant: "t", Module: "m", Key: "key"},
			func(v any) []byte {
				var b Batch
				PutStore(&b, v.(StoreID), &Store{HaltCode: "trapped"})
				return b.rows[1].Value
			},
			func(k, b []byte) (any, error) {
				return StoreID{Tenant: "t", Module: "m", Key: "key"}, newReader("stopped store", stoppedVersion, k, b).close()
			}},
		{"module", Module{Active: 3, Latest: 4, Plugin: digest},
			func(v any) []byte { m := v.(Module); return m.encode() },
			func(k, b []byte) (any, error) { return decodeModule(k, b) }},
		{"revision", Revision{Digest: digest, Created: 11, Schema: 2, Config: []byte("config"), Grants: []byte("grants"), Manifest: []byte("manifest")},
			func(v any) []byte { r := v.(Revision); return r.encode() },
			func(k, b []byte) (any, error) { return decodeRevision(k, b) }},
		{"effect", EffectRow{
			Effect: Effect{Key: "key", Time: -1, Depth: 2, Correlation: "correlation", Trace: "trace", Tree: []byte{0x90}}, Leaves: []Standing{{Ran: true, Drive: 1, Due: 5}},
		},
			func(v any) []byte {
				e := v.(EffectRow)
				return written(func(b *Batch) { PutEffect(b, ModuleID{}, life, 7, &e.Effect, e.Leaves) })
			},
			func(k, b []byte) (any, error) {
				var row EffectRow
				err := row.read(Row{k, b}, effectRow, nil)
				return row, err
			}},
		{"standings", []Standing{
			{Outcome: 3, Ran: true, Letter: true, Overtaken: true, Apart: true, Drive: 4, Due: -5, Emitted: 6, Token: []byte("token"), Again: []byte("again")},
			{Drive: 1},
		},
			func(v any) []byte {
				return written(func(b *Batch) { PutStandings(b, ModuleID{}, life, 7, v.([]Standing)) })
			},
			func(k, b []byte) (any, error) {
				var row EffectRow
				err := row.read(Row{k, b}, standingRow, nil)
				return row.Leaves, err
			}},
		{"dispatched", []byte("result"),
			func(v any) []byte {
				return written(func(b *Batch) { PutDispatched(b, ModuleID{}, life, 7, 2, v.([]byte)) })
			},
			func(k, b []byte) (any, error) {
				var row EffectRow
				err := row.read(Row{k, b}, dispatchedRow, []byte{0, 2})
				return row.Dispatched[2], err
			}},
		{"keyed", Keyed{Seq: 7, Time: -1, Hash: [16]byte{1, 15: 2}, Revision: "r1-0123abcd", Correlation: "correlation"},
			func(v any) []byte {
				k := v.(Keyed)
				return written(func(b *Batch) { PutKeyed(b, ModuleID{}, life, "key", &k) })
			},
			func(k, b []byte) (any, error) { return decodeKeyed(k, b) }},
		{"keyed-seq", KeyedSeq{Seq: 7, Key: "key"},
			func(v any) []byte {
				k := v.(KeyedSeq)
				var b Batch
				PutKeyed(&b, ModuleID{}, life, k.Key, &Keyed{Seq: k.Seq})
				return b.rows[1].Value
			},
			func(_, b []byte) (any, error) {
				return decodeKeyedSeq(keyedSeqKey(ModuleID{}, life, 7), b, len(keyedPrefix(ModuleID{}, life, keyedSeqRow)))
			}},
		{"letter", DeadLetter{
			Key: "key", Reason: "exhausted", Time: -1, Drive: 2, Correlation: "correlation", Trace: "trace", Effect: []byte{0x80}, Action: []byte("action"), Fed: true,
			Attempts: []Attempt{{Time: -2, Error: "first"}, {Error: "second"}},
		},
			func(v any) []byte {
				l := v.(DeadLetter)
				return written(func(b *Batch) { PutLetter(b, ModuleID{}, LetterID{Life: life, Seq: 7, Index: 2}, &l) })
			},
			func(k, b []byte) (any, error) {
				key := letterKey(ModuleID{}, LetterID{Life: life, Seq: 7, Index: 2})
				row, err := decodeLetter(Row{key, b}, len(moduleKey(prefixLetter, ModuleID{})))
				return row.DeadLetter, err
			}},
	}
}

// written is the value of the one row that put writes.
func written(put func(*Batch)) []byte {
	var b Batch
	put(&b)
	return b.rows[0].Value
}

// hashed is a record as decoding gives it.
func hashed(r Record) Record {
	r.EffectsHash = HashEffects(r.Effects)
	return r
}

// goldenPath holds the samples in format version 1. A new version gets a new file; the old one must be readable as long as journals in it exist.
const goldenPath = "testdata/v1.txtar"

func golden(t testing.TB) map[string][]byte {
	t.Helper()
	archive, err := txtar.ParseFile(goldenPath)
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, f := range archive.Files {
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(f.Data)), ""))
		require.NoError(t, err)
		files[f.Name] = b
	}
	return files
}

func TestGolden_S8(t *testing.T) {
	if *update {
		archive := txtar.Archive{Comment: []byte("Kept bytes in format version 1, in hexadecimal.\n")}
		for _, f := range formats() {
			var text strings.Builder
			for b := f.encode(f.sample); len(b) > 0; b = b[min(16, len(b)):] {
				fmt.Fprintf(&text, "% x\n", b[:min(16, len(b))])
			}
			archive.Files = append(archive.Files, txtar.File{Name: f.name, Data: []byte(text.String())})
		}
		require.NoError(t, os.WriteFile(goldenPath, txtar.Format(&archive), 0o644))
	}
	files := golden(t)
	for _, f := range formats() {
		t.Run(f.name, func(t *testing.T) {
			require.Equal(t, hex.Dump(files[f.name]), hex.Dump(f.encode(f.sample)))
			got, err := f.decode(nil, files[f.name])
			require.NoError(t, err)
			require.Equal(t, f.sample, got)
		})
	}
}

func TestDecode_refusesWhatWasNotWritten(t *testing.T) {
	for _, f := range formats() {
		t.Run(f.name, func(t *testing.T) {
			written := f.encode(f.sample)
			for bit := range 8 * len(written) {
				damaged := append([]byte(nil), written...)
				damaged[bit/8] ^= 1 << (bit % 8)
				_, err := f.decode([]byte("key"), damaged)
				if bit < 8 {
					require.ErrorIs(t, err, ErrFormat)
				} else {
					require.ErrorIs(t, err, ErrCorrupt, "bit %d", bit)
				}
			}
			for n := range written {
				_, err := f.decode([]byte("key"), written[:n])
				require.ErrorIs(t, err, ErrCorrupt, "the first %d bytes", n)
			}
			_, err := f.decode([]byte("key"), append(append([]byte(nil), written...), 0))
			require.ErrorIs(t, err, ErrCorrupt)

			// Bytes that a broken writer sealed: the checksum is right, the content is not.
			_, err = f.decode([]byte("key"), sealed(append(written[:len(written)-checksumSize:len(written)-checksumSize], 0)))
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// sealed adds the checksum.
func sealed(b []byte) []byte {
	w := writer{b}
	return w.seal()
}

// fuzzFormat checks that what a decoder accepts is exactly what its encoder writes. The checksum is added here, so that the fuzzer gets past it.
func fuzzFormat(f *testing.F, names ...string) {
	files := golden(f)
	var of []format
	for _, known := range formats() {
		for _, name := range names {
			if known.name == name {
				of = append(of, known)
				f.Add(files[name][:len(files[name])-checksumSize])
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range of {
			_, _ = format.decode(nil, body)
			b := sealed(body)
			if v, err := format.decode(nil, b); err == nil {
				require.Equal(t, b, format.encode(v))
			}
		}
	})
}

func FuzzRecord(f *testing.F)     { fuzzFormat(f, "record", "record-adopt") }
func FuzzCheckpoint(f *testing.F) { fuzzFormat(f, "checkpoint") }
func FuzzStore(f *testing.F)      { fuzzFormat(f, "store") }
func FuzzModule(f *testing.F)     { fuzzFormat(f, "module") }
func FuzzRevision(f *testing.F)   { fuzzFormat(f, "revision") }
func FuzzEffect(f *testing.F)     { fuzzFormat(f, "effect") }
func FuzzStandings(f *testing.F)  { fuzzFormat(f, "standings") }
func FuzzDispatched(f *testing.F) { fuzzFormat(f, "dispatched") }
func FuzzLetter(f *testing.F)     { fuzzFormat(f, "letter") }
