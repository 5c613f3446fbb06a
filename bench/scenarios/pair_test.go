package scenarios

import (
	"fmt"
	"testing"

	"xwire/bench/lab"
)

// pairConfig is the configuration of box i of a world with one pseudowire over IPv4 and IP, the
// whole access port at both ends.
func pairConfig(i int) string {
	return corePort + accessPort + fmt.Sprintf(`
[tunnel.t]
encap = "ip"
local = "%v"
peer  = "%v"
tid   = %d
ptid  = %d
[tunnel.t.session.s]
sid  = %d
psid = %d
l2spec_type = "none"
attach = "ac0"
vlan   = "all"
`, core4[i], core4[1-i], 1+i, 2-i, 100+i, 101-i)
}

func TestPing(t *testing.T) {
	w := pair(t, shape{})
	w.start(t, 0, pairConfig(0))
	w.start(t, 1, pairConfig(1))
	r, err := w.sites[0].Ping(t.Context(), siteAddr[1], lab.PingConfig{Count: 5, Size: 1472, DontFragment: true, Timeout: soon})
	must(t, err)
	if r.Lost()+r.Duplicates+r.Damaged != 0 {
		t.Errorf("ping: %+v", r)
	}
}
