// Package arrows checks which package may import which.
//
// The table [Rooms] is the drawing of the house: each package stands in the room with the longest path that it starts with, and imports only its
// own room and what the room's row names. Whoever adds an arrow adds it there, where a reader sees it. A package in no room is a fault, and so is
// a test library, or the assembler for tests, in anything that is not a test.
//
// It is a test, written as functions over what go list says so that mutants of the house can be shown to it. Nothing else imports it.
package arrows

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Module is the path of the module.
const Module = "github.com/crhost/crhost"

// Package is what go list -json says of one.
type Package struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string // all that is linked with it
}

// Room is a row of the table.
type Room struct {
	Path string   // below the module
	Uses []string // rooms, and modules of others
}

// Rooms are the rooms of the house from the ground up. Arrows go to rows above, never to one below.
func Rooms() []Room {
	return []Room{
		{"abi", nil},

		// The guest side.
		{"sdk", []string{"abi"}},
		{"plugins", []string{"sdk"}},

		// The host side.
		{"effects/retry", nil},
		{"effects/breaker", nil},
		{"effects", []string{"abi", "effects/retry"}},
		{"effects/httpcall", []string{"abi", "effects", "effects/retry", "golang.org/x/net/http/httpguts"}},
		{"effects/keyspace", []string{"github.com/cespare/xxhash/v2"}},
		{"effects/eventstore", []string{"abi"}},
		{"effects/eventstore/rows", []string{"effects/eventstore", "effects/keyspace"}},
		{"effects/eventbus", []string{"abi"}},
		{"effects/projection", []string{"abi", "effects/eventstore"}},
		{"effects/projection/rows", []string{"effects/projection", "effects/keyspace"}},
		{"effects/projection/orders", []string{"abi", "effects/eventstore", "effects/projection"}},
		{"effects/events", []string{"abi", "effects/retry", "effects", "effects/eventstore", "effects/eventbus", "effects/projection"}},
		{"host/observe", nil},
		{"host/observe/slog", []string{"host/observe"}},
		{"host/observe/prometheus", []string{"host/observe", "github.com/prometheus/client_golang"}},
		{"host/observe/otel", []string{"abi", "host/observe", "go.opentelemetry.io/otel"}},
		{"host/journal", []string{"abi", "github.com/cespare/xxhash/v2"}},
		{"host/journal/pebble", []string{"host/journal", "github.com/cockroachdb/pebble/v2", "github.com/cespare/xxhash/v2"}},
		{"host/engine/meter", nil},
		{"host/engine", []string{"abi", "host/observe", "host/engine/meter", "github.com/tetratelabs/wazero"}},
		{"host/ledger", []string{"abi", "effects", "host/journal"}},
		{"host/outbox", []string{"abi", "effects", "effects/retry", "effects/breaker", "host/journal", "host/ledger"}},
		{"host/shard", []string{"abi", "effects", "host/observe", "host/journal", "host/engine", "host/ledger"}},
		{"host/deploy", []string{"abi", "host/observe", "host/journal", "host/engine", "host/ledger", "host/shard"}},
		{"host", []string{
			"abi", "effects", "effects/breaker", "effects/httpcall", "effects/keyspace", "effects/eventstore", "effects/eventstore/rows", "effects/eventbus", "effects/projection", "effects/projection/rows", "effects/events", "host/observe", "host/journal", "host/engine", "host/engine/meter", "host/ledger", "host/outbox", "host/shard",
			"host/deploy", "github.com/vmihailenco/msgpack/v5",
		}},
		{"host/httpapi/jsonpack", []string{"abi"}},
		{"host/httpapi", []string{
			"abi", "effects/retry", "effects/breaker", "host", "host/httpapi/jsonpack", "github.com/danielgtaylor/huma/v2", "github.com/coder/websocket",
		}},
		{"cmd", []string{
			"abi", "effects/projection", "effects/projection/orders", "host/observe", "host/observe/slog", "host/observe/prometheus", "host/observe/otel", "host/journal", "host/journal/pebble", "host/engine", "host", "host/httpapi/jsonpack",
			"host/httpapi", "github.com/spf13/cobra", "github.com/spf13/pflag", "go.opentelemetry.io/otel",
		}},

		// Support of tests.
		{"internal/wat", nil},
		{"internal/guests", []string{"abi", "sdk", "github.com/tinylib/msgp"}},
		{"internal/conformance", nil},
		{"internal/arrows", nil},
		{"internal/bank", nil},
		{"docs", nil},
	}
}

// testLibraries are what only tests, and packages that support them, may import. Of go-internal it is testscript: Pebble links a part that sorts maps.
func testLibraries() []string {
	return []string{
		"testing", "net/http/httptest", Module + "/internal/wat", Module + "/internal/conformance", "github.com/stretchr/testify", "pgregory.net/rapid", "go.uber.org/goleak",
		"github.com/anishathalye/porcupine", "github.com/rogpeppe/go-internal/testscript",
	}
}

// Faults are the arrows of our own packages that the table does not have, one sentence each.
func Faults(packages []Package) []string {
	var faults []string
	for _, p := range packages {
		name, ours := strings.CutPrefix(p.ImportPath, Module+"/")
		if !ours {
			continue
		}
		room, ok := roomOf(name)
		if !ok {
			faults = append(faults, name+" stands in no room")
			continue
		}
		for _, i := range p.Imports {
			if !foreign(i) && !strings.HasPrefix(i, Module+"/") {
				continue // the standard library
			}
			if ForTests(p.ImportPath) && isTestLibrary(i) {
				continue
			}
			if target := strings.TrimPrefix(i, Module+"/"); !room.allows(target) {
				faults = append(faults, fmt.Sprintf("%s imports %s, and room %s has no such arrow", name, target, room.Path))
			}
		}
	}
	return faults
}

// TestLibraries are the test libraries that packages which are not for tests would link into a program, one sentence each.
func TestLibraries(packages []Package) []string {
	var faults []string
	for _, p := range packages {
		if !strings.HasPrefix(p.ImportPath, Module+"/") || ForTests(p.ImportPath) {
			continue
		}
		for _, d := range p.Deps {
			if isTestLibrary(d) || strings.HasPrefix(d, Module+"/") && ForTests(d) && d != Module+"/abi/abitest" {
				faults = append(faults, fmt.Sprintf("%s links %s", p.ImportPath, d))
			}
		}
	}
	return faults
}

// Outsiders are the packages that guests link besides the standard library, their own and those of rooms abi and sdk, one sentence each.
func Outsiders(guests []Package) []string {
	var faults []string
	for _, p := range guests {
		for _, d := range p.Deps {
			name, ours := strings.CutPrefix(d, Module+"/")
			if ours && (within(name, "abi") || within(name, "sdk")) {
				continue
			}
			if ours || foreign(d) {
				faults = append(faults, fmt.Sprintf("%s links %s", p.ImportPath, d))
			}
		}
	}
	return faults
}

// ForTests reports whether a package exists for tests: its name ends in test, or it is internal support of theirs.
func ForTests(importPath string) bool {
	return strings.HasSuffix(path.Base(importPath), "test") || strings.HasPrefix(importPath, Module+"/internal/")
}

func roomOf(name string) (room Room, ok bool) {
	for _, r := range Rooms() {
		if within(name, r.Path) && len(r.Path) >= len(room.Path) {
			room, ok = r, true
		}
	}
	return room, ok
}

// allows reports whether the room may import target: something of its own, or what its row names.
func (r Room) allows(target string) bool {
	if room, ok := roomOf(target); ok {
		return room.Path == r.Path || slices.Contains(r.Uses, room.Path)
	}
	return slices.ContainsFunc(r.Uses, func(u string) bool { return within(target, u) })
}

// within reports whether name is dir or below it.
func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

func isTestLibrary(importPath string) bool {
	return slices.ContainsFunc(testLibraries(), func(l string) bool { return within(importPath, l) })
}

// foreign reports whether a path belongs to somebody else's module: its first element has a dot.
func foreign(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return strings.Contains(first, ".") && !strings.HasPrefix(importPath, Module+"/")
}
