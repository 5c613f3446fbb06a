package appliance

import (
	"strings"
	"unique"

	"xwire/config"
	"xwire/l2tp"
)

// packed is a session's configuration in a third of the bytes: what nearly every session has its own of
// stands here, the rest is shared with all sessions that have the same. It is immutable.
type packed struct {
	rest      unique.Handle[config.Session]
	text      string // name, interface name and description, one after the other
	sid, psid uint32
	vlan      config.VLAN
	tx        l2tp.Cookie
	rx        [2]l2tp.Cookie
	nameLen   uint8
	ifnameLen uint8
}

// packer packs many: sessions that follow each other mostly share the rest, and many small texts would
// hold more memory than they fill.
type packer struct {
	last config.Session
	rest unique.Handle[config.Session]
	text string // of those that are not packed yet
}

// newPacker is for a list that is packed whole, in its order.
func newPacker(list []config.Session) *packer {
	var all strings.Builder
	for i := range list {
		all.WriteString(list[i].Name + list[i].InterfaceName + list[i].Description)
	}
	return &packer{text: all.String()}
}

func pack(c *config.Session) packed {
	p := packer{text: c.Name + c.InterfaceName + c.Description}
	return p.pack(c)
}

// pack forgets where in its file the session stands.
func (k *packer) pack(c *config.Session) packed {
	n := len(c.Name) + len(c.InterfaceName) + len(c.Description)
	p := packed{
		text: k.text[:n], nameLen: uint8(len(c.Name)), ifnameLen: uint8(len(c.InterfaceName)),
		sid: c.SID, psid: c.PSID, vlan: c.VLAN, tx: c.TxCookie, rx: c.RxCookies,
	}
	k.text = k.text[n:]
	rest := *c
	rest.Name, rest.InterfaceName, rest.Description = "", "", ""
	rest.SID, rest.PSID, rest.VLAN, rest.Pos = 0, 0, config.VLAN{}, config.Pos{}
	rest.TxCookie, rest.RxCookies = l2tp.Cookie{}, [2]l2tp.Cookie{}
	if rest != k.last || k.rest == (unique.Handle[config.Session]{}) {
		k.last, k.rest = rest, unique.Make(rest)
	}
	p.rest = k.rest
	return p
}

func (p *packed) name() string { return p.text[:p.nameLen] }

func (p *packed) config() config.Session {
	c := p.rest.Value()
	ifname := int(p.nameLen) + int(p.ifnameLen)
	c.Name, c.InterfaceName, c.Description = p.name(), p.text[p.nameLen:ifname], p.text[ifname:]
	c.SID, c.PSID, c.VLAN, c.TxCookie, c.RxCookies = p.sid, p.psid, p.vlan, p.tx, p.rx
	return c
}

// ifname is the name of the session's local interface, "" without one.
func (p *packed) ifname() string { return p.text[p.nameLen : int(p.nameLen)+int(p.ifnameLen)] }
