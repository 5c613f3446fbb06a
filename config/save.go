package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"xwire/l2tp"
)

// WriteTOML writes the configuration as one file that loads to the same values: includes, defaults
// and cookie files are resolved, keys without effect are gone. It holds the cookies in clear.
func (c *Config) WriteTOML(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	o := tomlWriter{b}
	a := &c.Appliance
	o.table("appliance")
	if a.CPUs != nil {
		o.raw("cpus", strings.ReplaceAll(fmt.Sprint(a.CPUs), " ", ", "))
	}
	o.str("control", a.Control)
	o.str("metrics", a.Metrics)
	if !a.MetricsSessions {
		o.str("metrics_sessions", "none")
	}
	if a.Strict {
		o.str("start", "strict")
	}
	for i := range c.Ports {
		p := &c.Ports[i]
		o.table("port", p.Name)
		o.str("description", p.Description)
		o.str("interface", p.Interface)
		if p.Queues != nil {
			o.raw("queues", strings.ReplaceAll(fmt.Sprint(p.Queues), " ", ", "))
		}
		o.str("mode", p.Mode.String())
		o.str("spread", p.Spread.String())
		if p.BusyPoll {
			o.raw("busy_poll", "true")
		}
		o.str("l2cp", p.L2CP.String())
		o.raw("qinq_tpid", fmt.Sprintf("%#04x", p.QinQTPID))
	}
	for i := range c.Tunnels {
		o.tunnel(&c.Tunnels[i])
	}
	return b.Flush()
}

// tomlWriter writes tables and keys; the bufio.Writer keeps the first error.
type tomlWriter struct{ *bufio.Writer }

func (o tomlWriter) table(path ...string) { fmt.Fprintf(o, "\n[%s]\n", joinPath(path)) }

func (o tomlWriter) raw(key, value string) {
	o.WriteString(key)
	o.WriteString(" = ")
	o.WriteString(value)
	o.WriteByte('\n')
}

// str leaves out an empty value.
func (o tomlWriter) str(key, value string) {
	if value != "" {
		o.raw(key, strconv.Quote(value))
	}
}

func (o tomlWriter) id(key string, n uint32) { o.raw(key, strconv.FormatUint(uint64(n), 10)) }

func (o tomlWriter) tunnel(t *Tunnel) {
	o.table("tunnel", t.Name)
	o.str("description", t.Description)
	if !t.Enabled {
		o.raw("enabled", "false")
	}
	o.str("encap", t.Encap.String())
	if t.Encap == l2tp.EncapIP {
		o.str("local", t.Local.Addr().String())
		o.str("peer", t.Peer.Addr().String())
	} else {
		o.str("local", t.Local.String())
		o.str("peer", t.Peer.String())
		if t.UDPChecksum {
			o.raw("udp_checksum", "true")
		}
		if !t.UDP6ChecksumTx {
			o.raw("udp6_checksum_tx", "false")
		}
		if t.UDP6ZeroChecksumRx {
			o.raw("udp6_zero_checksum_rx", "true")
		}
	}
	o.id("tid", t.TID)
	o.id("ptid", t.PTID)
	o.str("vrf", t.VRF)
	for i := range t.Sessions {
		o.session(t, &t.Sessions[i])
	}
}

func (o tomlWriter) session(t *Tunnel, s *Session) {
	o.table("tunnel", t.Name, "session", s.Name)
	o.str("description", s.Description)
	if !s.Enabled {
		o.raw("enabled", "false")
	}
	o.str("pseudowire", s.Pseudowire.String())
	o.id("sid", s.SID)
	o.id("psid", s.PSID)
	o.str("tx_cookie", s.TxCookie.Hex())
	switch s.RxCookieCount {
	case 1:
		o.str("rx_cookie", s.RxCookies[0].Hex())
	case 2:
		o.raw("rx_cookie", fmt.Sprintf("[%q, %q]", s.RxCookies[0].Hex(), s.RxCookies[1].Hex()))
	}
	if s.L2SpecGiven {
		o.str("l2spec_type", s.L2Spec.String())
	}
	if s.Oversize != OversizeDrop {
		o.str("oversize", s.Oversize.String())
	}
	switch {
	case s.MSSClamp == MSSByPath:
		o.raw("mss_clamp", "true")
	case s.MSSClamp != 0:
		o.id("mss_clamp", uint32(s.MSSClamp))
	}
	if s.Local() {
		o.str("interface_name", s.InterfaceName)
		if s.MTU != 0 {
			o.id("mtu", uint32(s.MTU))
		}
		return
	}
	o.str("attach", s.Attach)
	if s.Switched() {
		return
	}
	o.str("vlan", s.VLAN.String())
	if s.PWVLAN.Kind != PWKeep {
		o.str("pw_vlan", s.PWVLAN.String())
	}
}

// Save keeps the configuration in one file of mode 0600, which is there whole or not at all.
// LoadSaved reads it back.
func (c *Config) Save(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // once renamed there is nothing of that name
	err = c.WriteTOML(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return os.Rename(f.Name(), path)
}

// LoadSaved is Load for a file that Save has written.
func LoadSaved(path string) (*Config, error) { return Load(path) }
