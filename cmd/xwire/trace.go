package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

func (e *env) traceCommand() *cobra.Command {
	s := &shower{e: e}
	var frame, port string
	var count int
	cmd := &cobra.Command{
		Use:   "trace SESSION|PORT",
		Short: "Tell the way of a frame step by step",
		Long: `Tell step by step what is looked at and done on a frame's way: of the next frames of a session or
port, or of a frame that is given in hexadecimal digits, as PORT would receive it. A frame that is
given is not sent, and touches no counter: what is told is what would become of it, as the first of
its session where sequence numbers or rates count.

Frames that are left to the kernel, or that it drops, are not seen.`,
		Example: `  xwire trace paris/customer-a
  xwire trace core0 -c 10
  xwire trace --port core0 --frame 020000000001...`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case frame == "" && port != "":
				return usageError{errors.New("--port is for --frame; name the port as the argument")}
			case frame == "" && len(args) == 0:
				return usageError{errors.New("name a session or a port, or give --port and --frame")}
			case frame != "" && (len(args) > 0 || port == ""):
				return usageError{errors.New("--frame needs --port, and no other argument")}
			case count < 1:
				return usageError{fmt.Errorf("--count %d: must be 1 or more", count)}
			}
			if frame != "" {
				text, err := frameText(frame)
				if err != nil {
					return err
				}
				v, err := s.client().TraceFrame(cmd.Context(), api.TraceRequest{Port: port, Frame: text})
				if err != nil {
					return err
				}
				return s.print(v, func() string { return traceText(&v) })
			}
			return s.client().Trace(cmd.Context(), args[0], count, func(v api.Trace) bool {
				if s.json {
					return json.NewEncoder(e.stdout).Encode(v) == nil // a line each, as they come
				}
				_, err := io.WriteString(e.stdout, traceText(&v))
				return err == nil
			})
		},
	}
	f := cmd.Flags()
	f.IntVarP(&count, "count", "c", 1, "end after `N` frames")
	f.StringVar(&frame, "frame", "", "`HEX` digits of a frame, or - for standard input")
	f.StringVar(&port, "port", "", "the `PORT` that is to have received --frame")
	f.StringVar(&s.control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	f.BoolVar(&s.json, "json", false, "print JSON, a line each")
	value(cmd, "count", "frame")
	_ = cmd.RegisterFlagCompletionFunc("port", s.portNames)
	cmd.ValidArgsFunction = s.circuitNames
	return cmd
}

// frameText reads digits as other tools print them: with spaces, colons, dashes or 0x.
func frameText(text string) (string, error) {
	if text == "-" {
		all, err := io.ReadAll(os.Stdin)
		if err != nil {
			return "", fmt.Errorf("read frame: %w", err)
		}
		text = string(all)
	}
	text = strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "", ":", "", "-", "").Replace(text)
	return strings.TrimPrefix(text, "0x"), nil
}

func traceText(v *api.Trace) string {
	var b strings.Builder
	outcome := v.Outcome
	switch {
	case v.Reason != "" && v.Worker < 0:
		outcome = "would be dropped: " + v.Reason
	case v.Reason != "":
		outcome = "dropped: " + v.Reason
	case v.Worker < 0:
		outcome = "would be " + outcome
	}
	who := ""
	if v.Session != "" {
		who = " " + v.Session
	}
	fmt.Fprintf(&b, "%s %s%s: %s\n", v.Time.Format("15:04:05.000000"), v.Way, who, outcome)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if v.Worker < 0 {
		fmt.Fprintf(w, "  received\tport %s\n", v.Port)
	} else {
		fmt.Fprintf(w, "  received\tport %s, worker %d\n", v.Port, v.Worker)
	}
	for _, s := range v.Steps {
		bad := ""
		if !s.OK {
			bad = "DROP: "
		}
		fmt.Fprintf(w, "  %s\t%s%s\n", s.Step, bad, s.Text)
	}
	w.Flush()
	return b.String()
}
