package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

const module = "github.com/crhost/crhost"

// buildGuest builds a package as a reactor module to file.
func buildGuest(ctx context.Context, pkg, file string) error {
	return build(ctx, file, []string{"GOOS=wasip1", "GOARCH=wasm"}, "-buildmode=c-shared", "-ldflags=-w", pkg)
}

// buildProgram builds a package for this machine to file.
func buildProgram(ctx context.Context, pkg, file string) error { return build(ctx, file, nil, pkg) }

func build(ctx context.Context, file string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", file}, args...)...)
	cmd.Env = append(append(os.Environ(), "GOFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", args[len(args)-1], err, out)
	}
	return nil
}
