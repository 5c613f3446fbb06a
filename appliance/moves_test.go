package appliance

import (
	"slices"
	"testing"

	"xwire/config"
	"xwire/l2tp"
	"xwire/rings/steer"
)

// Two clients may have one PPPoE session id; that one of them goes is no matter to the other.
func TestPPPoESessionsMove(t *testing.T) {
	session := func(id uint16, client byte, vlan config.VLAN) *config.Session {
		return &config.Session{Attach: "ac", Pseudowire: l2tp.PWPPP, PPPoESession: id, PPPoEPeer: l2tp.MAC{2, 5: client}, VLAN: vlan}
	}
	untagged, pair := config.VLAN{Kind: config.VLANUntagged}, config.VLAN{Kind: config.VLANQinQ, Lo: 100, Hi: 100, C: 20}
	one, two, three := session(7, 1, untagged), session(7, 2, untagged), session(7, 1, pair)
	seven, paired := steer.PPPoE{C: steer.AnyVLAN, Session: 7}, steer.PPPoE{S: 100, C: 20, Session: 7}
	p := &port{}
	p.Name = "ac"
	a := &Appliance{ports: []*port{p}}
	for _, step := range []struct {
		name        string
		leave, come []*config.Session
		want        []steer.PPPoE
	}{
		{"two come", nil, []*config.Session{one, two}, []steer.PPPoE{seven, seven}},
		{"one goes", []*config.Session{one}, nil, []steer.PPPoE{seven}},
		{"the other becomes one and another", []*config.Session{two}, []*config.Session{one, three}, []steer.PPPoE{seven, paired}},
		{"all go", []*config.Session{one, three}, nil, nil},
	} {
		m := &circuitMove{newShare(), newShare()}
		for _, s := range step.leave {
			m.leave.add(s)
		}
		for _, s := range step.come {
			m.come.add(s)
		}
		m.settle()
		moves := circuitMoves{"ac": m}
		moves.leave(a)
		moves.come(a)
		if !slices.Equal(p.pppoes, step.want) {
			t.Errorf("%s: %+v, want %+v", step.name, p.pppoes, step.want)
		}
	}
}
