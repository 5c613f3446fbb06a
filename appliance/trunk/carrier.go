package trunk

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Values of IFLA_LINKMODE, of linux/if.h.
const (
	modeDefault = 0
	modeDormant = 1
)

// ErrElsewhere is about an interface that was moved to another network namespace.
var ErrElsewhere = errors.New("it is in another network namespace")

// SetCarrier takes the carrier of an interface away, or gives it back: bridges, bonds and routing
// daemons treat it as a cable that was pulled, and its addresses and routes stay. A spliced
// interface loses it by its other end; a VLAN device, whose carrier is the trunk's, is made
// dormant (RFC 2863), which clears IFF_RUNNING too. Ensure gives it back.
func (t *Trunk) SetCarrier(name string, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.state.records[name]
	if !ok {
		return fmt.Errorf("set the carrier of %s: it is no interface of the trunk", name)
	}
	err := t.setCarrier(r, on)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		err = ErrElsewhere
	}
	if err != nil {
		return fmt.Errorf("set the carrier of %s: %w", name, err)
	}
	return nil
}

func (t *Trunk) setCarrier(r record, on bool) error {
	if t.splice == nil {
		l, err := t.handle.LinkByIndex(r.Ifindex)
		if err != nil {
			return err
		}
		if session, ours := sessionOf(l); !ours || session != r.Session {
			return ErrElsewhere
		}
		return t.setDormant(l, !on)
	}
	end, err := t.handle.LinkByName(endName(r.vlan()))
	if err != nil {
		return err
	}
	if on {
		return t.handle.LinkSetUp(end)
	}
	return t.handle.LinkSetDown(end)
}

// setDormant has an interface wait for an event from outside, or not any more. Into dormancy the
// kernel takes mode and state in any order, out of it the mode first.
func (t *Trunk) setDormant(l netlink.Link, dormant bool) error {
	mode, state := byte(modeDefault), byte(netlink.OperUp)
	if dormant {
		mode, state = modeDormant, byte(netlink.OperDormant)
	}
	for _, attr := range []*nl.RtAttr{nl.NewRtAttr(unix.IFLA_LINKMODE, []byte{mode}), nl.NewRtAttr(unix.IFLA_OPERSTATE, []byte{state})} {
		req := t.request(unix.RTM_SETLINK, unix.NLM_F_ACK)
		msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
		msg.Index = int32(l.Attrs().Index)
		req.AddData(msg)
		req.AddData(attr)
		if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			return err
		}
	}
	return nil
}
