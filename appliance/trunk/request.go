package trunk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Requests that the netlink library has no call for.

// request goes by a socket of the trunk's namespace, whatever thread it is made on.
func (t *Trunk) request(kind, flags int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: t.socket}
	return r
}

// netnsaNSID is NETNSA_NSID of linux/net_namespace.h.
const netnsaNSID = 1

func (t *Trunk) deleteGroup(group uint32) error {
	req := t.request(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// namespaces are the ids of the other network namespaces that this one knows. A device that is
// moved makes its target known.
func (t *Trunk) namespaces() ([]int32, error) {
	req := t.request(unix.RTM_GETNSID, unix.NLM_F_DUMP)
	req.AddData(&nl.RtGenMsg{RtGenmsg: unix.RtGenmsg{Family: unix.AF_UNSPEC}})
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNSID)
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var ids []int32
	for _, m := range msgs {
		if len(m) < 4 {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[4:]) // struct rtgenmsg, padded
		if err != nil {
			return nil, fmt.Errorf("list network namespaces: %w", err)
		}
		for _, a := range attrs {
			if a.Attr.Type == netnsaNSID && len(a.Value) >= 4 {
				ids = append(ids, int32(binary.NativeEndian.Uint32(a.Value)))
			}
		}
	}
	return ids, nil
}

// linksIn lists the devices of another namespace.
func (t *Trunk) linksIn(nsid int32) ([]netlink.Link, error) {
	req := t.request(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(nsid))))
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("list interfaces of namespace %d: %w", nsid, err)
	}
	var links []netlink.Link
	for _, m := range msgs {
		l, err := netlink.LinkDeserialize(nil, m)
		if err != nil {
			return nil, fmt.Errorf("list interfaces of namespace %d: %w", nsid, err)
		}
		links = append(links, l)
	}
	return links, nil
}

// deleteElsewhere deletes the device of a record in the namespace that it was moved to. It is
// known by its place over the trunk, its alias and its MAC address.
func (t *Trunk) deleteElsewhere(r record, s scan) error {
	parent := t.stack
	if r.SVLAN != 0 {
		parent = s.service[r.SVLAN]
	}
	ids, err := t.namespaces()
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		links, err := t.linksIn(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, l := range links {
			v, ok := l.(*netlink.Vlan)
			if !ok || v.NetNsID < 0 || v.ParentIndex != parent || v.VlanId != int(r.CVLAN) || v.Alias != alias(r.Session) || v.HardwareAddr.String() != r.MAC {
				continue
			}
			req := t.request(unix.RTM_DELLINK, unix.NLM_F_ACK)
			msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
			msg.Index = int32(v.Index)
			req.AddData(msg)
			req.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(id))))
			_, err := req.Execute(unix.NETLINK_ROUTE, 0)
			return err
		}
	}
	return errors.Join(errs...) // not found: it went with its namespace
}
