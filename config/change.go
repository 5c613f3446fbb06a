package config

// Change is one object's difference for people and programs to read.
type Change struct {
	Kind      string // appliance | port | tunnel | session
	Name      string // of a session: tunnel/session
	Action    string // added | changed | removed
	Keys      []string
	Effect    Effect
	Requested bool // the object was created by a request
}

// Changes lists a difference: the appliance, ports, tunnels and sessions, what is removed of each before
// what is changed or added.
func (d *Difference) Changes() []Change {
	list := make([]Change, 0, 1+len(d.Ports)+len(d.Tunnels)+len(d.Sessions))
	if d.Appliance.Keys != nil {
		list = append(list, Change{Kind: "appliance", Action: "changed", Keys: d.Appliance.Keys, Effect: ApplianceEffect(d.Appliance.Keys)})
	}
	for i := range d.Ports {
		p := &d.Ports[i]
		c := Change{Kind: "port", Action: p.action(), Keys: p.Keys, Effect: PortEffect(p)}
		c.Name = p.either().Name
		list = append(list, c)
	}
	for i := range d.Tunnels {
		t := &d.Tunnels[i]
		c := Change{Kind: "tunnel", Action: t.action(), Keys: t.Keys, Effect: TunnelEffect(t)}
		c.Name, c.Requested = t.either().Name, t.either().Requested
		list = append(list, c)
	}
	for i := range d.Sessions {
		s := &d.Sessions[i]
		c := Change{Kind: "session", Action: s.action(), Keys: s.Keys, Effect: s.Effect()}
		c.Name, c.Requested = s.Tunnel.Name+"/"+s.either().Name, s.either().Requested
		list = append(list, c)
	}
	return list
}

// Empty tells whether nothing differs.
func (d *Difference) Empty() bool {
	return d.Appliance.Keys == nil && len(d.Ports)+len(d.Tunnels)+len(d.Sessions) == 0
}

func (d *Delta[T]) either() *T {
	if d.New != nil {
		return d.New
	}
	return d.Old
}

func (d *Delta[T]) action() string {
	switch {
	case d.Old == nil:
		return "added"
	case d.New == nil:
		return "removed"
	}
	return "changed"
}
