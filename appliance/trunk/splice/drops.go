package splice

import "fmt"

// Drops counts the frames that the programs dropped since Load. What a device could not take
// (an interface that is down, a full queue) is in the device's own statistics.
type Drops struct {
	NoPlace  uint64 // from xwire, with tags that no interface has
	Untagged uint64 // on the stack's end without the tags of a place: of the stack itself, say
	NoDevice uint64 // from a device that has no place, or the trunk is gone
	NoRoom   uint64 // no headroom for tags, or shorter than its headers
}

// ByReason names what was dropped; what never occurred is not there.
func (d Drops) ByReason() map[string]uint64 {
	m := make(map[string]uint64)
	for _, r := range []struct {
		name string
		n    uint64
	}{{"no_place", d.NoPlace}, {"untagged", d.Untagged}, {"no_device", d.NoDevice}, {"no_room", d.NoRoom}} {
		if r.n > 0 {
			m[r.name] = r.n
		}
	}
	return m
}

// Drops reads the counters, summed over CPUs.
func (s *Splice) Drops() (Drops, error) {
	var n [spliceDropDROPS]uint64
	for i := range n {
		var cpus []uint64
		if err := s.objs.Drops.Lookup(uint32(i), &cpus); err != nil {
			return Drops{}, fmt.Errorf("read the counters of %s: %w", s.name, err)
		}
		for _, c := range cpus {
			n[i] += c
		}
	}
	return Drops{
		NoPlace:  n[spliceDropNO_PLACE],
		Untagged: n[spliceDropUNTAGGED],
		NoDevice: n[spliceDropNO_DEVICE],
		NoRoom:   n[spliceDropNO_ROOM],
	}, nil
}
