package host

import (
	"fmt"
	"slices"
	"strings"
)

// QueueError is a choice of queues that would leave some of a port's frames to the kernel.
type QueueError struct {
	Interface string
	Problem   string
	Command   string // that mends it; may be two, one for each end of a veth
}

// Error says what is wrong and what to type.
func (e *QueueError) Error() string {
	if e.Command == "" {
		return fmt.Sprintf("use %s: %s", e.Interface, e.Problem)
	}
	return fmt.Sprintf("use %s: %s; run '%s', or choose all queues", e.Interface, e.Problem, e.Command)
}

// checkQueues compares the queues chosen with those on which frames arrive.
func (h *Host) checkQueues(i InterfaceInfo, r Request, p *Plan) error {
	chosen := slices.Clone(r.Queues)
	slices.Sort(chosen)
	if len(slices.Compact(chosen)) != len(r.Queues) {
		return &QueueError{i.Name, fmt.Sprintf("a queue is named twice in %v", r.Queues), ""}
	}
	if len(chosen) > 0 && int(chosen[len(chosen)-1]) >= i.RxQueues {
		return &QueueError{i.Name, fmt.Sprintf("queue %d is not there, it has %d: 0 to %d", chosen[len(chosen)-1], i.RxQueues, i.RxQueues-1), ""}
	}
	if len(chosen) == 0 || len(chosen) == i.RxQueues {
		return nil
	}
	table, err := h.ethtool.indirection(i.Name)
	if err != nil {
		return fmt.Errorf("read the RSS table of %s: %w", i.Name, err)
	}
	if len(table) == 0 {
		return h.noTable(i, chosen)
	}
	if over := overshoot(table, chosen); len(over) > 0 {
		return &QueueError{i.Name, fmt.Sprintf("its RSS table also spreads to queues %v, which are not chosen", over), equalCommand(i.Name, chosen)}
	}
	if chosen[0] != 0 && r.Role&Access != 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s: queue 0 is not chosen, and most NICs bring frames that are not IP there: they go to the kernel", i.Name))
	}
	return nil
}

// overshoot lists the queues of an RSS table that are not among the chosen, which are sorted.
func overshoot(table, chosen []uint32) []uint32 {
	var over []uint32
	for _, q := range table {
		if _, found := slices.BinarySearch(chosen, q); !found {
			over = append(over, q)
		}
	}
	slices.Sort(over)
	return slices.Compact(over)
}

// noTable is for devices that spread over all queues they have: these must be fewer.
func (h *Host) noTable(i InterfaceInfo, chosen []uint32) error {
	n := len(chosen)
	e := &QueueError{Interface: i.Name, Problem: fmt.Sprintf("it spreads over all of its %d queues, of which %d are chosen", i.RxQueues, n)}
	switch c, err := h.ethtool.channels(i.Name); {
	case err != nil:
	case c.combined > 0:
		e.Command = fmt.Sprintf("ethtool -L %s combined %d", i.Name, n)
	default:
		e.Command = fmt.Sprintf("ethtool -L %s rx %d", i.Name, n)
	}
	if i.Peer.Name != "" {
		// XDP on a veth wants at least as many RX queues as the other end has TX queues.
		e.Command += fmt.Sprintf(" && ethtool -L %s tx %d", i.Peer.Name, n)
	}
	if int(chosen[n-1]) != n-1 {
		e.Problem += fmt.Sprintf("; after the command below these are 0 to %d", n-1)
	}
	return e
}

// equalCommand spreads over the chosen queues alone.
func equalCommand(name string, chosen []uint32) string {
	first, last := chosen[0], chosen[len(chosen)-1]
	if int(last-first) == len(chosen)-1 {
		start := ""
		if first > 0 {
			start = fmt.Sprintf("start %d ", first)
		}
		return fmt.Sprintf("ethtool -X %s %sequal %d", name, start, len(chosen))
	}
	weights := make([]string, last+1)
	for q := range weights {
		weights[q] = "0"
		if slices.Contains(chosen, uint32(q)) {
			weights[q] = "1"
		}
	}
	return fmt.Sprintf("ethtool -X %s weight %s", name, strings.Join(weights, " "))
}
