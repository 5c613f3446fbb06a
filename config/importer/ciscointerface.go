package importer

import (
	"net/netip"
	"strings"
)

// ciscoInterface is an interface, a subinterface, or a service instance, which is read as PHYSICAL.NUMBER.
type ciscoInterface struct {
	name, description string
	address           netip.Addr // as a tunnel's source
	vlan, vrf         string
	down              bool
	rest              []string // lines without a counterpart
}

func (v *ciscoInterface) physical() string {
	name, _, _ := strings.Cut(v.name, ".")
	return name
}

func (r *ciscoReader) interfaceCalled(name string) *ciscoInterface {
	key := strings.ToLower(name)
	if r.interfaces[key] == nil {
		r.interfaces[key] = &ciscoInterface{name: name}
	}
	return r.interfaces[key]
}

// line takes what an interface has beside its xconnect.
func (v *ciscoInterface) line(words []string) {
	line := strings.ToLower(strings.Join(words, " "))
	after := func(i int) string { return strings.Join(words[min(i, len(words)):], " ") }
	switch {
	case words[0] == "description":
		v.description = after(1)
	case strings.HasPrefix(line, "ip address "):
		if a, err := netip.ParseAddr(strings.Split(words[2], "/")[0]); err == nil && words[len(words)-1] != "secondary" {
			v.address = a
		}
	case strings.HasPrefix(line, "vrf forwarding "):
		v.vrf = after(2)
	case strings.HasPrefix(line, "ip vrf forwarding "):
		v.vrf = after(3)
	case strings.HasPrefix(line, "encapsulation dot1q ") && len(words) == 3:
		v.vlan = words[2]
	case strings.HasPrefix(line, "encapsulation dot1q ") && len(words) == 5 && strings.EqualFold(words[3], "second-dot1q"):
		v.vlan = words[2] + "." + words[4]
	case strings.HasPrefix(line, "encapsulation dot1q ") && len(words) == 4 && strings.EqualFold(words[3], "native"), line == "encapsulation untagged":
		v.vlan = "untagged"
	case line == "encapsulation default":
		v.vlan = "all"
	case line == "shutdown":
		v.down = true
	case line == "no ip address", line == "no shutdown":
	default:
		v.rest = append(v.rest, strings.Join(words, " "))
	}
}

// circuit gives a session what its interface says. What the physical one below says stands once, in the head of
// the result: it is for all that are on it.
func (r *ciscoReader) circuit(x *session) {
	v := r.interfaceCalled(x.circuit)
	x.description, x.disabled = v.description, v.down
	if v.vlan != "" {
		x.vlan = v.vlan
	}
	for _, line := range v.rest {
		x.yours = append(x.yours, "Not imported, of "+v.name+": "+line)
	}
	main := r.interfaces[strings.ToLower(v.physical())]
	if main == nil || main == v {
		return
	}
	x.disabled = x.disabled || main.down
	if !r.told[main] {
		r.told[main] = true
		for _, line := range main.rest {
			r.s.yours = append(r.s.yours, "Not imported, of "+main.name+": "+line)
		}
	}
}
