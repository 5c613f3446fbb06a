package rings

import (
	"testing"

	"golang.org/x/sys/unix"
)

// goneMeanwhile is a kernel whose interface disappears, as a worker notices, while the watcher asks.
type goneMeanwhile struct {
	kernel
	port *Port
}

func (k *goneMeanwhile) wakeTX() unix.Errno {
	k.port.fail(stateGone, errGone)
	return 0
}

func TestPortThatIsGoneStaysGone(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	p := f.port(PortConfig{Index: 0}, nil).Port
	s := p.queues[0].sockets[0]
	s.kernel = &goneMeanwhile{s.kernel, p}
	p.fail(stateDown, unix.ENETDOWN)
	p.probe()
	if state := p.Status().State; state != "gone" {
		t.Errorf("the port is %s", state)
	}
}
