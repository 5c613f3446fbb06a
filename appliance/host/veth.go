package host

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where 'ip netns' keeps the names of namespaces.
const netnsDir = "/run/netns"

// planVeth deals with what the stack at the other end leaves to a NIC that is not there.
func (h *Host) planVeth(i InterfaceInfo, p *Plan) error {
	h.checkPeerQueues(i, p)
	if i.Peer.Name == "" {
		return h.planElsewhere(i, p)
	}
	known, err := h.ethtool.features(i.Peer.Name)
	if err != nil {
		return fmt.Errorf("read the features of %s, the other end of %s: %w", i.Peer.Name, i.Name, err)
	}
	for _, n := range slices.Sorted(maps.Keys(known.byName)) {
		if f, ok := peerFeature(n); ok {
			h.switchOff(i.Peer.Name, n, known.byName[n], f, p)
		}
	}
	return nil
}

func (f *offload) is(name string) bool {
	return strings.HasPrefix(name, f.name) && strings.HasSuffix(name, f.suffix)
}

func peerFeature(name string) (offload, bool) {
	for _, f := range peerFeatures {
		if f.is(name) {
			return f, true
		}
	}
	return offload{}, false
}

// checkPeerQueues warns of what the kernel refuses with ENOSPC when a native program comes.
func (h *Host) checkPeerQueues(i InterfaceInfo, p *Plan) {
	if i.Peer.Name == "" {
		return
	}
	if c, err := h.ethtool.channels(i.Peer.Name); err == nil && int(c.tx) > i.RxQueues {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s takes no native XDP program while it has %d RX queues and %s has %d TX queues: run 'ethtool -L %s tx %d'",
			i.Name, i.RxQueues, i.Peer.Name, c.tx, i.Peer.Name, i.RxQueues))
	}
}

// planElsewhere looks at an other end that is in another namespace, if that has a name and we may
// enter it. What is not ours by name is not changed: the plan tells the command.
func (h *Host) planElsewhere(i InterfaceInfo, p *Plan) error {
	name, ifname, on, err := h.lookInto(i.Peer)
	if err != nil || ifname == "" {
		on = peerFeatures
	}
	settings, arrives := remedy(on)
	why := "else what the stack there sends arrives " + arrives
	switch {
	case err != nil:
		needs := ""
		if errors.Is(err, unix.EPERM) {
			needs = ", which needs CAP_SYS_ADMIN"
		}
		p.Warnings = append(p.Warnings, fmt.Sprintf("the other end of %s is interface %d in network namespace %s, whose settings cannot be looked at (%v%s): "+
			"if that is not done yet, run 'ip netns exec %s ethtool -K NAME %s' with its name; %s", i.Name, i.Peer.Ifindex, name, err, needs, name, settings, why))
	case ifname == "":
		p.Warnings = append(p.Warnings, fmt.Sprintf("the other end of %s is interface %d of another network namespace (link-netnsid %d): "+
			"run 'ethtool -K NAME %s' there with its name; %s", i.Name, i.Peer.Ifindex, i.Peer.NetNsID, settings, why))
	case len(on) > 0:
		p.Warnings = append(p.Warnings, fmt.Sprintf("the other end of %s is %s in network namespace %s: run 'ip netns exec %s ethtool -K %s %s'; %s",
			i.Name, ifname, name, name, ifname, settings, why))
	}
	return nil
}

// lookInto finds the name of a peer in another namespace, and which of its features are
// still on. The interface's name is empty if the namespace has none, and with an error, which says
// why nobody could look.
func (h *Host) lookInto(peer Peer) (namespace, ifname string, on []offload, err error) {
	for _, name := range namespaces() {
		ns, err := netns.GetFromPath(filepath.Join(netnsDir, name))
		if err != nil {
			continue
		}
		if id, err := h.links.GetNetNsIdByFd(int(ns)); err == nil && id == peer.NetNsID {
			ifname, on, err = lookAt(ns, peer.Ifindex)
			ns.Close()
			return name, ifname, on, err
		}
		ns.Close()
	}
	return "", "", nil, nil
}

func namespaces() []string {
	dir, err := os.ReadDir(netnsDir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range dir {
		names = append(names, e.Name())
	}
	return names
}

func lookAt(ns netns.NsHandle, ifindex int) (ifname string, on []offload, err error) {
	var links *netlink.Handle
	var e ethtool
	err = inside(ns, func() (err error) {
		if links, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		if e, err = openEthtool(); err != nil {
			links.Close()
		}
		return err
	})
	if err != nil {
		return "", nil, err
	}
	defer links.Close()
	defer e.close()
	l, err := links.LinkByIndex(ifindex)
	if err != nil {
		return "", nil, err
	}
	known, err := e.features(l.Attrs().Name)
	if err != nil {
		return "", nil, err
	}
	for _, p := range peerFeatures {
		for n, f := range known.byName {
			if p.is(n) && f.wanted && f.changeable {
				on = append(on, p)
				break
			}
		}
	}
	return l.Attrs().Name, on, nil
}

// inside runs f in a namespace. Sockets made there stay there when it returns.
func inside(ns netns.NsHandle, f func() error) error {
	runtime.LockOSThread()
	own, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer own.Close()
	if err := netns.Set(ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter it: %w", err)
	}
	err = f()
	if back := netns.Set(own); back != nil {
		// The thread stays locked, so that it ends with its goroutine and serves nobody else.
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}
