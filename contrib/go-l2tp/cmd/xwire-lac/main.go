// Command xwire-lac dials L2TPv2 tunnels as a LAC (the client's side) with go-l2tp, and has a
// running xwire carry their sessions.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"xwire/appliance/api"
	gol2tp "xwire/contrib/go-l2tp"
)

func main() {
	path := flag.String("config", "/etc/xwire/lac.toml", "configuration `FILE`, in kl2tpd's dialect with xwire's keys for sessions (attach, vlan, ...)")
	socket := flag.String("control", api.DefaultSocket, "control `SOCKET` of xwire")
	verbose := flag.Bool("verbose", false, "log control messages")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "xwire-lac: %s: unexpected argument\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*path, *socket, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "xwire-lac:", err)
		os.Exit(1)
	}
}

func run(path, socket string, verbose bool) error {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	tunnels, err := gol2tp.Load(path)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	client := api.NewClient(socket)
	if _, err := client.Status(ctx); err != nil {
		return err
	}
	d := gol2tp.Daemon{Client: client, Tunnels: tunnels, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	return d.Run(ctx)
}
