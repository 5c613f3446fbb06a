package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"xwire/appliance/kernel"
	"xwire/config/importer"
)

const fromKernel = "kernel"

func (e *env) importCommand() *cobra.Command {
	var from, local, write string
	var ports []string
	var o importer.Options
	cmd := &cobra.Command{
		Use:   "import [FILE|-]",
		Short: "Make a configuration of what other systems call their tunnels",
		Long: `Make a configuration of what other systems call their static L2TPv3 tunnels: a script or batch
file with "ip l2tp" commands, "set interfaces l2tpv3" or the same in braces of VyOS, "xconnect ...
encapsulation l2tpv3 manual" of Cisco IOS, or, with --from kernel, the tunnels that the kernel has
now in this network namespace.

The result is that of the same machine: xwire takes the place of what it was. It holds cookies in
clear. What has no counterpart is told in comments.`,
		Example: `  xwire import /etc/network/l2tp.sh -w /etc/xwire/xwire.toml
  xwire import --from kernel --port core0=ens1f0
  xwire import router.conf --port core0=ens1f0 --port GigabitEthernet0/1=ens1f1`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, p := range ports {
				name, iface, ok := strings.Cut(p, "=")
				if !ok || name == "" || iface == "" {
					return usageError{fmt.Errorf("--port %q: must be NAME=INTERFACE", p)}
				}
				o.Ports = append(o.Ports, importer.Port{From: name, Interface: iface})
			}
			if local != "" {
				var err error
				if o.Local, err = netip.ParseAddr(local); err != nil {
					return usageError{fmt.Errorf("--local %q: must be an IP address", local)}
				}
			}
			text, err := e.imported(from, args, o)
			if err != nil {
				return err
			}
			if write == "" || write == "-" {
				_, err = e.stdout.Write(text)
				return err
			}
			return writeSecret(write, text)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "auto", "`KIND` of FILE: auto, ip-l2tp, vyos or cisco; or kernel, without a FILE")
	f.StringArrayVar(&ports, "port", nil, "`NAME=INTERFACE`: write a port; if NAME is an interface of FILE, its circuits are put on it; may be repeated")
	f.StringVar(&local, "local", "", "local `ADDRESS` of tunnels that do not tell theirs")
	f.BoolVar(&o.OtherEnd, "other-end", false, "write the configuration of the peers instead")
	f.StringVarP(&write, "write", "w", "", "write to `FILE`, of mode 0600, instead of standard output")
	words(cmd, "from", "auto", string(importer.IPL2TP), string(importer.VyOS), string(importer.Cisco), fromKernel)
	value(cmd, "port", "local")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

func (e *env) imported(from string, args []string, o importer.Options) ([]byte, error) {
	if from == fromKernel {
		if len(args) > 0 {
			return nil, usageError{errors.New("--from kernel reads no FILE")}
		}
		tunnels, sessions, err := kernel.Read()
		if err != nil {
			return nil, err
		}
		return importer.Kernel(tunnels, sessions, o)
	}
	if len(args) == 0 {
		return nil, usageError{errors.New("name a FILE, or - for standard input, or say --from kernel")}
	}
	name, text := args[0], []byte(nil)
	var err error
	if name == "-" {
		name = "standard input"
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read what to import: %w", err)
	}
	kind := importer.Kind(from)
	switch kind {
	case "auto":
		if kind, err = importer.Detect(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	case importer.IPL2TP, importer.VyOS, importer.Cisco:
	default:
		return nil, usageError{fmt.Errorf("--from %q: use auto, %s, %s, %s or %s", from, importer.IPL2TP, importer.VyOS, importer.Cisco, fromKernel)}
	}
	return importer.Text(kind, name, text, o)
}

// writeSecret writes a file that is there whole or not at all, and that only its owner reads.
func writeSecret(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // once renamed there is nothing of that name
	_, err = io.Copy(f, bytes.NewReader(text))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return os.Rename(f.Name(), path)
}
