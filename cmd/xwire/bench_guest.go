package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"xwire/bench/vm"
)

// inGuest runs the same command line, without --vm, in a virtual machine. What it prints on standard
// output is printed here once the guest is off.
func (b *benchVeth) inGuest(cmd *cobra.Command) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench veth: %w", err)
	}
	if err := vm.Prepare(cmd.Context()); err != nil {
		return fmt.Errorf("bench veth: %w", err)
	}
	// Both outputs of a guest are one: progress is told only when it fails.
	command := []string{"/bin/sh", "-c", `"$0" "$@" 2>/run/progress || { s=$?; cat /run/progress; exit $s; }`, self, "bench", "veth"}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "vm" {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				command = append(command, "--"+f.Name+"="+v)
			}
			return
		}
		command = append(command, "--"+f.Name+"="+f.Value.String())
	})
	b.e.progress("booting the virtual machine; its CPU is emulated")
	// The emulation makes starts slow; windows are as long as elsewhere.
	r, err := vm.Run(cmd.Context(), vm.Config{Command: command, Limit: 5*b.cfg.Estimate() + 5*time.Minute, Output: io.Discard})
	if err != nil {
		return failed(cmd.Context(), "veth", err)
	}
	if r.Status != 0 {
		return fmt.Errorf("bench veth: status %d in the virtual machine:\n%s", r.Status, r.Output)
	}
	if !b.json {
		fmt.Fprintln(b.e.stdout, "# in a virtual machine whose CPU is emulated: compare within this run only")
	}
	_, err = b.e.stdout.Write(r.Output)
	return err
}
