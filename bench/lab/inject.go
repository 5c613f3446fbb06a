package lab

import "fmt"

// SendFrames sends hand-made frames out of an interface, one after the other.
func (n *Namespace) SendFrames(iface string, frames ...[]byte) error {
	sock, err := n.openPacket(iface, false)
	if err != nil {
		return err
	}
	defer sock.Close()
	for i, f := range frames {
		if err := sock.write(f); err != nil {
			return fmt.Errorf("send hand-made frame %d of %d bytes to %s: %w", i, len(f), iface, err)
		}
	}
	return nil
}
