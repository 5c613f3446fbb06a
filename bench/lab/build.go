package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BinaryEnv names the variable that gives a ready-made xwire to Build, for
// places without a Go tool chain.
const BinaryEnv = "XWIRE_BINARY"

// Build compiles cmd/xwire into dir and returns the program's path. Call it once
// a test run, from inside the module. race builds with the race detector.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		return path, nil
	}
	path := filepath.Join(dir, "xwire")
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "xwire/cmd/xwire")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build xwire: %w: %s", err, out)
	}
	return path, nil
}
