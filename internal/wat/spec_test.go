package wat

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompile_specSuite assembles the modules of the WebAssembly test suites, which lie in wazero's module directory as text and as
// the binary that the reference tools made of it, and wants the same bytes (but for custom sections).
func TestCompile_specSuite(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	require.NoError(t, err)
	suites := filepath.Join(strings.TrimSpace(string(out)), "internal/integration_test/spectest")
	for suite, least := range map[string]int{"v1": 730, "v2": 1042, "tail-call": 6} {
		t.Run(suite, func(t *testing.T) {
			scripts, err := filepath.Glob(filepath.Join(suites, suite, "testdata", "*.wast"))
			require.NoError(t, err)
			same := 0
			for _, script := range scripts {
				same += compareScript(t, script)
			}
			require.GreaterOrEqual(t, same, least, "modules assembled")
		})
	}
}

// compareScript returns how many modules of a script were assembled; those with what the package refuses do not count.
func compareScript(t *testing.T, script string) (same int) {
	binaries := modulesByLine(t, script)
	src, err := os.ReadFile(script)
	require.NoError(t, err)
	nodes, err := try(func() []node { return read(string(src)) })
	require.NoError(t, err, script)
	for _, n := range nodes {
		file := binaries[n.line]
		if n.head() != "module" || file == "" {
			continue
		}
		c := enter(n)
		c.name()
		if w := c.peekWord(); w == "binary" || w == "quote" {
			continue
		}
		got, err := try(func() []byte { return assemble(c.nodes) })
		if err != nil {
			continue
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, withoutCustom(want), withoutCustom(got), "%s:%d", script, n.line)
		same++
	}
	return same
}

// modulesByLine maps the line on which a module begins in a script to the file with its binary.
func modulesByLine(t *testing.T, script string) map[int]string {
	var index struct {
		Commands []struct {
			Type     string
			Line     int
			Filename string
		}
	}
	list, err := os.ReadFile(strings.TrimSuffix(script, ".wast") + ".json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(list, &index))
	files := map[int]string{}
	for _, c := range index.Commands {
		if c.Type == "module" {
			files[c.Line] = filepath.Join(filepath.Dir(script), c.Filename)
		}
	}
	return files
}

func try[T any](f func() T) (v T, err error) {
	defer func() {
		if thrown, ok := recover().(syntaxError); ok {
			err = thrown
		}
	}()
	return f(), nil
}

// withoutCustom drops the custom sections of a module.
func withoutCustom(binary []byte) []byte {
	out, rest := binary[:8:8], binary[8:]
	for len(rest) > 0 {
		size, n := uint64(0), 1
		for shift := 0; ; shift += 7 {
			b := rest[n]
			n++
			size |= uint64(b&0x7f) << shift
			if b < 0x80 {
				break
			}
		}
		end := n + int(size)
		if rest[0] != 0 {
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	return out
}
