// Command crhost serves modules and talks to a host that does.
//
// Every subcommand but serve, inspect and bench --in-process is one request to a host over HTTP; --url says which. What a command prints on
// standard output is its result, as text or (-o json) as the host's own JSON; what goes wrong is said on standard error, with a hint at what
// to type next, and in the exit code: see exit.go. Each flag may also be given by the environment: --url by CRHOST_URL, and so on.
package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
)

// process is what a command may touch of the world outside: nothing else in this package does.
type process struct {
	name           string // as it was typed
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one
	getenv         func(string) string
	readFile       func(string) ([]byte, error)
	stat           func(string) (fs.FileInfo, error)
}

func main() {
	// The first signal asks politely, a second one ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, theProcess()))
}

func theProcess() process {
	info, err := os.Stderr.Stat()
	return process{
		name: os.Args[0], args: os.Args[1:],
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		getenv:   os.Getenv, readFile: os.ReadFile, stat: os.Stat,
	}
}
