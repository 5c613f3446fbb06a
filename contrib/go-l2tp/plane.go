package gol2tp

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/katalix/go-l2tp/l2tp"
	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

// requestTime is how long a request to xwire may take.
const requestTime = 10 * time.Second

// Plane has an xwire carry what go-l2tp sets up. Make it with NewPlane, name tunnels and sessions
// before go-l2tp does them, and give it to l2tp.NewContext.
type Plane struct {
	client *api.Client

	mu      sync.Mutex
	names   map[l2tp.ControlConnID]Name
	tunnels map[l2tp.ControlConnID]*tunnel
}

// Name is what go-l2tp does not tell a data plane of a tunnel: its name, and keys of xwire's for it
// and for its sessions.
type Name struct {
	Tunnel   string
	Keys     api.Keys           // of the tunnel; they go before what go-l2tp says
	Sessions map[uint32]Session // by session id
}

// Session is the same of a session.
type Session struct {
	Name string
	Keys api.Keys // attach, vlan, ...
}

// NewPlane returns a plane that asks the xwire of a client.
func NewPlane(c *api.Client) *Plane {
	return &Plane{client: c, names: make(map[l2tp.ControlConnID]Name), tunnels: make(map[l2tp.ControlConnID]*tunnel)}
}

// SetName names a tunnel by its id. One without a name is called gol2tp-ID.
func (p *Plane) SetName(tid l2tp.ControlConnID, n Name) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names[tid] = n
}

// NameSession names a session of a tunnel. One without a name is called by its id.
func (p *Plane) NameSession(tid, sid l2tp.ControlConnID, s Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.names[tid]
	if n.Sessions == nil {
		n.Sessions = make(map[uint32]Session)
	}
	n.Sessions[uint32(sid)] = s
	p.names[tid] = n
}

// Forget forgets a tunnel's name.
func (p *Plane) Forget(tid l2tp.ControlConnID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.names, tid)
}

func (p *Plane) name(tid l2tp.ControlConnID) Name {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.names[tid]
	if n.Tunnel == "" {
		n.Tunnel = fmt.Sprintf("gol2tp-%d", tid)
	}
	return n
}

// NewTunnel creates the tunnel in xwire. fd is go-l2tp's control socket, -1 for static tunnels: it
// tells the addresses that are in use.
func (p *Plane) NewTunnel(c *l2tp.TunnelConfig, local, peer unix.Sockaddr, fd int) (l2tp.TunnelDataPlane, error) {
	n := p.name(c.TunnelID)
	if fd >= 0 {
		if sa, err := unix.Getsockname(fd); err == nil {
			local = sa
		}
		if sa, err := unix.Getpeername(fd); err == nil {
			peer = sa
		}
	}
	keys, err := tunnelKeys(n.Keys, c, local, peer)
	if err != nil {
		return nil, fmt.Errorf("create tunnel %s: %w", n.Tunnel, err)
	}
	if err := p.create(n.Tunnel, keys); err != nil {
		return nil, fmt.Errorf("create tunnel %s: %w", n.Tunnel, err)
	}
	t := &tunnel{plane: p, name: n.Tunnel, id: c.TunnelID, peer: c.PeerTunnelID, version: uint8(c.Version), control: -1}
	if fd >= 0 {
		if t.control, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.control = -1
		}
	}
	p.mu.Lock()
	p.tunnels[c.TunnelID] = t
	p.mu.Unlock()
	return t, nil
}

// create replaces what a process that was killed has left in xwire. What the configuration file has
// is not touched.
func (p *Plane) create(name string, keys api.Keys) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	_, err := p.client.CreateTunnel(ctx, name, keys)
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Code != api.CodeTunnelExists {
		return err
	}
	old, err := p.client.Tunnel(ctx, name)
	if err != nil {
		return err
	}
	if old.Origin != api.OriginAPI {
		return fmt.Errorf("xwire's configuration file has a tunnel of that name: rename one of them")
	}
	if err := p.client.DeleteTunnel(ctx, name); err != nil {
		return err
	}
	_, err = p.client.CreateTunnel(ctx, name, keys)
	return err
}

// NewSession creates the session in xwire.
func (p *Plane) NewSession(tid, _ l2tp.ControlConnID, c *l2tp.SessionConfig) (l2tp.SessionDataPlane, error) {
	n := p.name(tid)
	s := n.Sessions[uint32(c.SessionID)]
	if s.Name == "" {
		s.Name = fmt.Sprint(c.SessionID)
	}
	p.mu.Lock()
	t := p.tunnels[tid]
	p.mu.Unlock()
	if t == nil {
		return nil, fmt.Errorf("create session %s: there is no tunnel %d", s.Name, tid)
	}
	keys, err := sessionKeys(s.Keys, c, t.version)
	if err != nil {
		return nil, fmt.Errorf("create session %s/%s: %w", t.name, s.Name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	if _, err := p.client.CreateSession(ctx, t.name, s.Name, keys); err != nil {
		return nil, fmt.Errorf("create session %s/%s: %w", t.name, s.Name, err)
	}
	return &session{plane: p, tunnel: t.name, name: s.Name}, nil
}

// Close does nothing: tunnels and sessions end with their own Down.
func (p *Plane) Close() {}

func clone(k api.Keys) api.Keys {
	out := api.Keys{}
	for key, v := range k {
		out[key] = v
	}
	return out
}

func tunnelKeys(extra api.Keys, c *l2tp.TunnelConfig, local, peer unix.Sockaddr) (api.Keys, error) {
	keys := clone(extra)
	from, err := endpoint(local)
	if err != nil {
		return nil, fmt.Errorf("local address: %w", err)
	}
	to, err := endpoint(peer)
	if err != nil {
		return nil, fmt.Errorf("peer's address: %w", err)
	}
	keys["local"], keys["peer"] = from.String(), to.String()
	keys["tid"], keys["ptid"] = uint32(c.TunnelID), uint32(c.PeerTunnelID)
	keys["version"], keys["encap"] = "l2tpv3", "udp"
	if c.Version == l2tp.ProtocolVersion2 {
		keys["version"] = "l2tpv2"
	}
	if c.Encap == l2tp.EncapTypeIP {
		keys["encap"] = "ip"
		keys["local"], keys["peer"] = from.Addr().String(), to.Addr().String()
	}
	return keys, nil
}

func endpoint(sa unix.Sockaddr) (netip.AddrPort, error) {
	var a netip.AddrPort
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	case *unix.SockaddrL2TPIP:
		a = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), 0)
	case *unix.SockaddrL2TPIP6:
		a = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), 0)
	default:
		return a, fmt.Errorf("%T is none that xwire knows", sa)
	}
	if a.Addr().IsUnspecified() {
		return a, errors.New("it is not known: name one with local")
	}
	return a, nil
}

func sessionKeys(extra api.Keys, c *l2tp.SessionConfig, version uint8) (api.Keys, error) {
	keys := clone(extra)
	keys["sid"], keys["psid"] = uint32(c.SessionID), uint32(c.PeerSessionID)
	switch c.Pseudowire {
	case l2tp.PseudowireTypeEth:
		keys["pseudowire"] = "eth"
	case l2tp.PseudowireTypePPP:
		keys["pseudowire"] = "ppp"
	case l2tp.PseudowireTypePPPAC:
		keys["pseudowire"] = "pppac"
	default:
		return nil, fmt.Errorf("pseudowire type %d is none that xwire carries", c.Pseudowire)
	}
	if c.PPPoESessionId != 0 {
		keys["pppoe_session_id"] = c.PPPoESessionId
		if c.PPPoEPeerMac != [6]byte{} {
			keys["pppoe_peer_mac"] = net.HardwareAddr(c.PPPoEPeerMac[:]).String()
		}
	}
	if c.SeqNum {
		keys["seqnum"] = true
	}
	if c.ReorderTimeout > 0 {
		keys["reorder_timeout"] = c.ReorderTimeout.Milliseconds()
	}
	if c.InterfaceName != "" {
		keys["interface_name"] = c.InterfaceName
	}
	if version == 2 {
		return keys, nil
	}
	keys["l2spec_type"] = "none"
	if c.L2SpecType == l2tp.L2SpecTypeDefault {
		keys["l2spec_type"] = "default"
	}
	if len(c.Cookie) > 0 {
		keys["tx_cookie"] = hex.EncodeToString(c.Cookie)
	}
	if len(c.PeerCookie) > 0 {
		keys["rx_cookie"] = hex.EncodeToString(c.PeerCookie)
	}
	return keys, nil
}
