package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

func (e *env) captureCommand() *cobra.Command {
	s := &shower{e: e}
	var q api.CaptureQuery
	var write string
	cmd := &cobra.Command{
		Use:   "capture [SESSION|PORT] -w FILE",
		Short: "Capture frames, with what becomes of each",
		Long: `Capture frames of a session, of a port, or all, as pcapng, until interrupted or there are enough.
tcpdump does not see them: they are redirected before it looks.

Each frame appears where it was received and where it was sent, so mostly twice: with the outer
headers and without. Its comment says which way it goes, its session, and why it was dropped if it
was. --inner, --outer and --drops narrow that; several of them add up. With a PORT, it is what
passes that port.

While nothing is captured this costs nothing. Frames that are captured slow their worker down; what
the reader does not take in time is lost, and counted at the end.

Not seen: frames that are left to the kernel or that the kernel drops. Outer fragments are of no
session until they are put together.`,
		Example: `  xwire capture paris/customer-a -w a.pcapng
  xwire capture --drops -w - | tshark -r - -T fields -e frame.comment
  xwire capture core0 -c 100 -w core0.pcapng`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if write == "" {
				return usageError{errors.New("say where to write: -w FILE, or -w - for standard output")}
			}
			if len(args) > 0 {
				q.Of = args[0]
			}
			var out io.Writer = e.stdout
			path := "standard output"
			file := captureFile{path: write}
			if write != "-" {
				out, path = &file, write
			}
			done, err := s.client().Capture(cmd.Context(), q, out)
			err = errors.Join(err, file.close())
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stderr, "%s captured to %s, %d lost because they came too fast\n", counted(done.Frames, "frame"), path, done.Lost)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&write, "write", "w", "", "write to `FILE`, or - for standard output")
	f.BoolVar(&q.Inner, "inner", false, "frames without outer headers: before encap, after decap")
	f.BoolVar(&q.Outer, "outer", false, "frames with outer headers: after encap, before decap")
	f.BoolVar(&q.Drops, "drops", false, "frames that were dropped")
	f.Uint64VarP(&q.Count, "count", "c", 0, "end after `N` frames")
	f.IntVarP(&q.Snaplen, "snaplen", "s", 0, "keep the first `BYTES` of each frame; 0: all")
	f.StringVar(&s.control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	value(cmd, "count", "snaplen")
	cmd.ValidArgsFunction = s.circuitNames
	return cmd
}

// captureFile is made when the first bytes come: a capture that is refused leaves an older file as it was.
type captureFile struct {
	path string
	file *os.File
}

func (c *captureFile) Write(b []byte) (int, error) {
	if c.file == nil {
		// Customers' frames are nobody else's.
		f, err := os.OpenFile(c.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, fmt.Errorf("open capture file: %w", err)
		}
		c.file = f
	}
	return c.file.Write(b)
}

func (c *captureFile) close() error {
	if c.file == nil {
		return nil
	}
	if err := c.file.Close(); err != nil {
		return fmt.Errorf("close capture file: %w", err)
	}
	return nil
}
