package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLastWords(t *testing.T) {
	for output, want := range map[string]string{
		"":                                    "",
		"\n\n":                                "",
		"one\ntwo\n\n":                        "two",
		"said\npanic: oops\n\ngoroutine":      "panic: oops",
		"fatal error: out of memory\n[stack]": "fatal error: out of memory",
		"thread 'main' panicked at src/lib.rs:3:5\nnote: run": "thread 'main' panicked at src/lib.rs:3:5",
		"first\n\x1b[31mred\xff\n":                            "\\x1b[31mred\ufffd",
	} {
		require.Equal(t, want, lastWords([]byte(output)), "%q", output)
	}
	require.Less(t, len(lastWords([]byte(strings.Repeat("x", 5000)))), 300)
}

func TestInnermost(t *testing.T) {
	for stack, want := range map[string]string{
		"":                                 "",
		".f()":                             "f",
		".$3(i32,i64) i64":                 "$3",
		"guest.main.(*T).f(i32) (i32,i64)": "main.(*T).f",
		"wasi_snapshot_preview1.proc_exit(i32)\n\t.runtime.exit()\n\t.main.increment(i32)": "main.increment",
		".runtime.abort()\n\t.runtime.wasm()":                                              "runtime.abort",
		"... maybe followed by omitted frames":                                             "",
	} {
		require.Equal(t, want, innermost(errors.New("wasm error: x"+stackHeader+stack)), stack)
	}
}
