package trunk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"xwire/appliance/trunk/splice"
)

const (
	// tagRoom is what the trunk's own MTU is larger than the largest interface's: the kernel
	// allows a frame one tag over the MTU, and a frame of a service VLAN has two.
	tagRoom = 4

	defaultStack = "xw-stack"
	defaultInner = "xw-port"
	defaultMTU   = 3500
	maxVLAN      = 4094

	aliasPrefix  = "xwire "
	trunkAlias   = aliasPrefix + "trunk"
	serviceAlias = aliasPrefix + "service"

	maxName = unix.IFNAMSIZ - 1
)

// Config says how the trunk is made.
type Config struct {
	Dir    string // state directory, made if missing
	Queues int    // of either end, one a worker; default 1
	Stack  string // name of the stack's end, at most 10 bytes; default "xw-stack". STACK.N are reserved names
	Inner  string // name of the end that xwire binds; default "xw-port"
	MTU    int    // the largest that an interface may have; default 3500, about what a port without XDP fragments can carry
	IDs    int    // VLAN ids to use, 1 to 4094 (the default), before and inside service VLANs
	Kind   Kind   // of the interfaces; default Auto
	Log    *slog.Logger
}

// Trunk is the veth pair with its interfaces. Its methods may be called from any goroutine of a
// process that is in the trunk's network namespace.
type Trunk struct {
	config Config
	handle *netlink.Handle
	socket *nl.SocketHandle // for what handle has no words
	tool   *ethtool.Ethtool
	claim  int // a socket, see claim

	mu      sync.Mutex
	stack   int // ifindex
	inner   int
	queues  int
	state   *state
	splice  *splice.Splice  // nil with VLAN devices
	fresh   map[string]bool // see offloadsOffNew
	scanned bool            // the state has all of the trunk's devices
	looks   map[string]look // of interfaces that went while they were watched, by name
	watch   *watch          // nil before Watch
	leaving leaving
}

// Open makes the pair, or takes over the one that is there, and reads the state file.
func Open(config Config) (*Trunk, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	t := &Trunk{config: config, looks: map[string]look{}, leaving: leaving{names: map[string]bool{}}}
	if t.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		t.handle.Close()
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	t.socket = &nl.SocketHandle{Socket: socket}
	if t.tool, err = ethtool.NewEthtool(); err != nil {
		t.handle.Close()
		t.socket.Close()
		return nil, fmt.Errorf("open ethtool socket: %w", err)
	}
	if t.claim, err = claim(t.config.Stack); err == nil {
		err = t.open()
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (c Config) complete() (Config, error) {
	if c.Stack == "" {
		c.Stack = defaultStack
	}
	if c.Inner == "" {
		c.Inner = defaultInner
	}
	if c.Queues < 1 {
		c.Queues = 1
	}
	if c.MTU == 0 {
		c.MTU = defaultMTU
	}
	if c.IDs <= 0 || c.IDs > maxVLAN {
		c.IDs = maxVLAN
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	switch {
	case c.Dir == "":
		return c, errors.New("open trunk: no state directory")
	case len(c.Stack)+len(".4094") > maxName || len(c.Inner) > maxName || c.Stack == c.Inner:
		return c, fmt.Errorf("open trunk: names %q and %q are too long or equal", c.Stack, c.Inner)
	}
	return c, nil
}

func (t *Trunk) open() error {
	if err := t.pair(); err != nil {
		return err
	}
	s, err := load(t.path())
	if err != nil {
		// The devices themselves tell nearly all; a broken file must not stop the box.
		t.config.Log.Warn("trunk state not read: rebuilt from the devices that are there", "file", t.path(), "err", err)
		_ = os.Rename(t.path(), t.path()+".bad")
	}
	t.state, t.scanned = s, false
	if err := t.choose(); err != nil {
		return err
	}
	return t.attach()
}

func (t *Trunk) path() string { return filepath.Join(t.config.Dir, "trunk.json") }

// InnerName is the device that xwire binds.
func (t *Trunk) InnerName() string { return t.config.Inner }

// InnerIndex is its interface index.
func (t *Trunk) InnerIndex() int { return t.inner }

// Queues is how many queues the inner end really has. It is less than asked for when the pair was
// made by a process with fewer workers: only making it anew, with all interfaces, adds queues.
func (t *Trunk) Queues() int { return t.queues }

// Remake makes a pair again that somebody deleted, or takes over the one that is there. Ensure makes
// its interfaces, in their places.
func (t *Trunk) Remake() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unsplice()
	t.fresh = nil
	return t.open()
}

// Widen has the trunk carry interfaces of a larger MTU.
func (t *Trunk) Widen(mtu int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mtu <= t.config.MTU {
		return nil
	}
	for _, index := range []int{t.inner, t.stack} {
		l, err := t.handle.LinkByIndex(index)
		if err == nil {
			err = t.handle.LinkSetMTU(l, mtu+tagRoom)
		}
		if err != nil {
			return fmt.Errorf("set MTU %d on the trunk of local interfaces: %w", mtu+tagRoom, err)
		}
	}
	t.config.MTU = mtu
	return nil
}

// Close ends the programs of a spliced trunk, and Watch, and frees the sockets, once what was to be
// removed soon is. The other devices stay. It must not be called by what Watch calls.
func (t *Trunk) Close() {
	t.leaving.wait.Wait()
	t.mu.Lock()
	w := t.watch
	t.watch = nil
	t.mu.Unlock()
	if w != nil {
		w.stop()
		w.done.Wait()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unsplice()
	t.handle.Close()
	t.socket.Close()
	t.tool.Close()
	if t.claim >= 0 {
		unix.Close(t.claim)
		t.claim = -1
	}
}

func (t *Trunk) unsplice() {
	if t.splice == nil {
		return
	}
	if err := t.splice.Close(); err != nil {
		t.config.Log.Warn("end the programs of local interfaces", "err", err)
	}
	t.splice = nil
}

// pair makes or takes over the veth pair and sets it up.
func (t *Trunk) pair() error {
	stack, err := t.find(t.config.Stack)
	if err != nil {
		return err
	}
	inner, err := t.find(t.config.Inner)
	if err != nil {
		return err
	}
	switch {
	case stack == nil && inner == nil:
		if err := t.makePair(); err != nil {
			return err
		}
		if stack, err = t.handle.LinkByName(t.config.Stack); err != nil {
			return fmt.Errorf("find %s: %w", t.config.Stack, err)
		}
		if inner, err = t.handle.LinkByName(t.config.Inner); err != nil {
			return fmt.Errorf("find %s: %w", t.config.Inner, err)
		}
	case stack == nil:
		return fmt.Errorf("open trunk: %s exists without %s: remove it (ip link del %[1]s) or name another", t.config.Inner, t.config.Stack)
	case inner == nil:
		return fmt.Errorf("open trunk: %s exists without %s: remove it (ip link del %[1]s) or name another", t.config.Stack, t.config.Inner)
	case stack.Type() != "veth" || inner.Type() != "veth" || stack.Attrs().ParentIndex != inner.Attrs().Index || inner.Attrs().NetNsID >= 0:
		return fmt.Errorf("open trunk: %s and %s exist and are not one veth pair: name others", t.config.Stack, t.config.Inner)
	}
	t.stack, t.inner = stack.Attrs().Index, inner.Attrs().Index
	return t.prepare(stack, inner)
}

// find returns nil for a device that does not exist.
func (t *Trunk) find(name string) (netlink.Link, error) {
	l, err := t.handle.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	return l, nil
}

// makePair allocates a queue for each CPU, so that a later start may use more workers.
func (t *Trunk) makePair() error {
	queues := max(t.config.Queues, runtime.NumCPU())
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues, attrs.NumRxQueues, attrs.MTU = t.config.Stack, queues, queues, t.config.MTU+tagRoom
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: t.config.Inner, PeerNumTxQueues: uint32(queues), PeerNumRxQueues: uint32(queues), PeerMTU: uint32(attrs.MTU)}
	if err := t.handle.LinkAdd(veth); err != nil {
		return fmt.Errorf("make veth pair %s, %s: %w", t.config.Stack, t.config.Inner, err)
	}
	return nil
}

// prepare brings both ends into the state that frames need. It changes only what differs: a
// trunk that goes down and up would take every interface along.
func (t *Trunk) prepare(stack, inner netlink.Link) error {
	for _, l := range []netlink.Link{stack, inner} {
		name := l.Attrs().Name
		if l.Attrs().Alias != trunkAlias {
			if err := t.handle.LinkSetAlias(l, trunkAlias); err != nil {
				return fmt.Errorf("mark %s: %w", name, err)
			}
		}
		t.quiet(l)
		if mtu := t.config.MTU + tagRoom; l.Attrs().MTU != mtu {
			if err := t.handle.LinkSetMTU(l, mtu); err != nil {
				return fmt.Errorf("set MTU %d on %s: %w", mtu, name, err)
			}
		}
	}
	if err := t.channels(); err != nil {
		return err
	}
	if err := t.offloadsOff(t.config.Stack); err != nil {
		return err
	}
	for _, l := range []netlink.Link{stack, inner} {
		if l.Attrs().RawFlags&unix.IFF_UP == 0 {
			if err := t.handle.LinkSetUp(l); err != nil {
				return fmt.Errorf("set %s up: %w", l.Attrs().Name, err)
			}
		}
	}
	return nil
}

// quiet keeps the stack from talking on a device that only carries others: no address of its own,
// no router solicitations, no multicast reports. A kernel without IPv6 has nothing to be kept from.
func (t *Trunk) quiet(l netlink.Link) {
	const addrGenModeNone = 1
	if err := t.handle.LinkSetIP6AddrGenMode(l, addrGenModeNone); err != nil {
		t.config.Log.Debug("IPv6 address generation left as it is", "interface", l.Attrs().Name, "err", err)
	}
	file := "/proc/sys/net/ipv6/conf/" + strings.ReplaceAll(l.Attrs().Name, "/", ".") + "/disable_ipv6"
	if err := os.WriteFile(file, []byte("1"), 0); err != nil {
		t.config.Log.Debug("IPv6 left on", "interface", l.Attrs().Name, "err", err)
	}
}

// channels sets how many queues are in use. Kernels before 5.16 cannot change it for veth.
func (t *Trunk) channels() error {
	for _, name := range []string{t.config.Stack, t.config.Inner} {
		have, err := t.tool.GetChannels(name)
		if err != nil {
			return fmt.Errorf("read queues of %s: %w", name, err)
		}
		want := have
		want.RxCount = min(uint32(t.config.Queues), max(have.MaxRx, 1))
		want.TxCount = min(uint32(t.config.Queues), max(have.MaxTx, 1))
		if want != have {
			if got, err := t.tool.SetChannels(name, want); err == nil {
				have = got
				have.RxCount, have.TxCount = want.RxCount, want.TxCount
			} else {
				t.config.Log.Warn("queues left as they are", "interface", name, "queues", have.RxCount, "wanted", t.config.Queues, "err", err)
			}
		}
		t.queues = int(min(have.RxCount, have.TxCount))
	}
	if t.queues < t.config.Queues {
		t.config.Log.Warn("trunk has fewer queues than there are workers: it was made for fewer; delete it while xwire is stopped to have it made anew",
			"queues", t.queues, "workers", t.config.Queues, "command", "ip link del "+t.config.Stack)
	}
	return nil
}
