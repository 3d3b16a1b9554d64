package arrows_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/internal/arrows"
)

// list asks go list about packages of this module, given as patterns from its root.
func list(t *testing.T, env []string, patterns ...string) []arrows.Package {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps"}, patterns...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var packages []arrows.Package
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p arrows.Package
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		packages = append(packages, p)
	}
	require.NotEmpty(t, packages)
	return packages
}

func TestFaults(t *testing.T) { require.Empty(t, arrows.Faults(list(t, nil, "./..."))) }

func TestTestLibraries(t *testing.T) { require.Empty(t, arrows.TestLibraries(list(t, nil, "./..."))) }

func TestOutsiders(t *testing.T) {
	wasm := []string{"GOOS=wasip1", "GOARCH=wasm"}
	require.Empty(t, arrows.Outsiders(list(t, wasm, "./sdk", "./plugins/...")))
}

// The table's rows may only name rows above them, so that there can be no circle of rooms.
func TestRooms_downward(t *testing.T) {
	var above []string
	for _, r := range arrows.Rooms() {
		for _, u := range r.Uses {
			if !strings.Contains(strings.Split(u, "/")[0], ".") {
				require.Contains(t, above, u, "room %s uses %s", r.Path, u)
			}
		}
		require.False(t, slices.Contains(above, r.Path), "room %s is there twice", r.Path)
		above = append(above, r.Path)
	}
}

// Houses that break a rule, each in one place.
func TestMutants(t *testing.T) {
	pkg := func(name string, uses ...string) arrows.Package {
		for i, u := range uses {
			if after, ok := strings.CutPrefix(u, "~"); ok {
				uses[i] = arrows.Module + "/" + after
			}
		}
		return arrows.Package{ImportPath: arrows.Module + "/" + name, Imports: uses, Deps: uses}
	}
	for name, c := range map[string]struct {
		check func([]arrows.Package) []string
		house arrows.Package
		want  string
	}{
		"upward": {
			arrows.Faults, pkg("host/shard", "~host/deploy"),
			"host/shard imports host/deploy, and room host/shard has no such arrow",
		},
		"a room below the one that is named": {
			arrows.Faults, pkg("host/shard", "~host/observe", "~host/observe/otel"),
			"host/shard imports host/observe/otel, and room host/shard has no such arrow",
		},
		"wazero outside the engine": {
			arrows.Faults, pkg("host/shard", "github.com/tetratelabs/wazero/api"),
			"host/shard imports github.com/tetratelabs/wazero/api, and room host/shard has no such arrow",
		},
		"pebble outside its journal": {
			arrows.Faults, pkg("host", "github.com/cockroachdb/pebble/v2"),
			"host imports github.com/cockroachdb/pebble/v2, and room host has no such arrow",
		},
		"host side knows the sdk": {
			arrows.Faults, pkg("host", "~sdk"),
			"host imports sdk, and room host has no such arrow",
		},
		"no room": {
			arrows.Faults, pkg("util/strings"),
			"util/strings stands in no room",
		},
		"the assembler in a program": {
			arrows.Faults, pkg("host/engine", "~internal/wat"),
			"host/engine imports internal/wat, and room host/engine has no such arrow",
		},
		"a test library in a program": {
			arrows.TestLibraries, pkg("cmd/crhost", "fmt", "github.com/stretchr/testify/require"),
			arrows.Module + "/cmd/crhost links github.com/stretchr/testify/require",
		},
		"a kit for tests in a program": {
			arrows.TestLibraries, pkg("cmd/crhost", "~host/engine/enginetest"),
			arrows.Module + "/cmd/crhost links " + arrows.Module + "/host/engine/enginetest",
		},
		"reflection msgpack in a guest": {
			arrows.Outsiders, pkg("plugins/counter", "~sdk", "~abi/pack", "github.com/vmihailenco/msgpack/v5"),
			arrows.Module + "/plugins/counter links github.com/vmihailenco/msgpack/v5",
		},
		"a guest knows the host": {
			arrows.Outsiders, pkg("plugins/counter", "~host/journal"),
			arrows.Module + "/plugins/counter links " + arrows.Module + "/host/journal",
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, []string{c.want}, c.check([]arrows.Package{c.house})) })
	}
}
