package core

import (
	"fmt"
	"strings"

	"xwire/l2tp"
)

// Kind is what is measured.
type Kind string

// The kinds.
const (
	Encap Kind = "encap"
	Decap Kind = "decap"
	Pair  Kind = "pair" // encap, then decap of the same frame
)

// Setup is all that shapes a table.
type Setup struct {
	Encap    string        // "ip4", "udp4", "ip6" or "udp6"
	Checksum bool          // UDP checksums, sent and verified
	Cookie   int           // 0, 4 or 8 bytes
	Sublayer l2tp.Sublayer //
	VLAN     string        // "", or what becomes of the customer's tag: "keep", "none", "vid"
	Sessions int           // at each end
}

// Case is one thing to measure.
type Case struct {
	Kind Kind
	Setup
	Size   int // bytes of the customer's frame with FCS and tags
	Frames int // distinct frames, a multiple of 64
}

// String is the case as benchstat likes it.
func (c Case) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/encap=%s/size=%d/sessions=%d/frames=%d/cookie=%d", c.Kind, c.Encap, c.Size, c.Sessions, c.Frames, c.Cookie)
	if c.Checksum {
		b.WriteString("/checksum=on")
	}
	if c.Sublayer != l2tp.SublayerNone {
		b.WriteString("/l2spec=" + c.Sublayer.String())
	}
	if c.VLAN != "" {
		b.WriteString("/vlan=" + c.VLAN)
	}
	return b.String()
}

// contents are what a table holds.
type contents struct {
	Setup
	ends [2]int // sessions at each end
}

// contents are all sessions at the ends that are measured, and at another end the first one, which makes
// the packets and shows that what came of them is right.
func (c Case) contents() contents {
	ends := [2]int{c.Sessions, c.Sessions}
	switch c.Kind {
	case Encap:
		ends[1] = 1
	case Decap:
		ends[0] = 1
	}
	return contents{c.Setup, ends}
}

// MinSize and MaxSize bound Case.Size.
const (
	MinSize = 64
	MaxSize = 1518
)

func (c Case) check() error {
	switch {
	case c.Kind != Encap && c.Kind != Decap && c.Kind != Pair:
		return fmt.Errorf("case %q: not encap, decap or pair", c.Kind)
	case c.Encap != "ip4" && c.Encap != "udp4" && c.Encap != "ip6" && c.Encap != "udp6":
		return fmt.Errorf("encapsulation %q: not ip4, udp4, ip6 or udp6", c.Encap)
	case c.Checksum && !c.udp():
		return fmt.Errorf("encapsulation %s has no UDP checksum", c.Encap)
	case c.Cookie != 0 && c.Cookie != 4 && c.Cookie != 8:
		return fmt.Errorf("cookie of %d bytes: not 0, 4 or 8", c.Cookie)
	case c.Size < MinSize || c.Size > MaxSize:
		return fmt.Errorf("size %d: not from %d to %d", c.Size, MinSize, MaxSize)
	case c.Frames < batchSize || c.Frames%batchSize != 0:
		return fmt.Errorf("%d frames: not a multiple of %d", c.Frames, batchSize)
	case c.Sessions < 1 || c.Sessions > maxSessions:
		return fmt.Errorf("%d sessions: not from 1 to %d", c.Sessions, maxSessions)
	case c.VLAN != "" && (c.Sessions != 1 || c.Kind != Pair):
		return fmt.Errorf("vlan %s: tags are rewritten in place, so only a pair of one session puts them back", c.VLAN)
	}
	return nil
}

func (s Setup) ip6() bool { return strings.HasSuffix(s.Encap, "6") }
func (s Setup) udp() bool { return strings.HasPrefix(s.Encap, "udp") }

// Selection narrows the list of cases; an empty list stands for the default.
type Selection struct {
	Kinds    []Kind
	Encaps   []string
	Sizes    []int
	Sessions []int
	Frames   []int
	Quick    bool // fewer cases by default
}

// Sizes are those of RFC 2544 for Ethernet.
var Sizes = []int{64, 128, 256, 512, 1024, 1280, 1518}

// Cases lists what is measured: every encapsulation by size with one session; the checksums, which
// cover the payload; many sessions at random; and what each feature adds at the smallest size.
func (s Selection) Cases() ([]Case, error) {
	kinds := or(s.Kinds, Pair, Encap, Decap)
	encaps := or(s.Encaps, "ip4", "udp4", "ip6", "udp6")
	frames := or(s.Frames, 4096, 128)
	sizes := or(s.Sizes, Sizes...)
	many := or(s.Sessions, 1, 100_000, 1_000_000)
	if s.Quick {
		sizes = or(s.Sizes, 64, 1518)
		many = or(s.Sessions, 1, 100_000)
	}
	var all []Case
	add := func(c Case) {
		for _, c.Kind = range kinds {
			if c.VLAN == "" || c.Kind == Pair {
				all = append(all, c)
			}
		}
	}
	for _, sessions := range many {
		for _, encap := range encaps {
			setup := Setup{Encap: encap, Cookie: 8, Sessions: sessions}
			if sessions > 1 && s.Quick && encap != encaps[0] {
				continue
			}
			for _, size := range sizes {
				for _, n := range frames {
					// With many sessions it is the tables that count.
					if sessions == 1 || size == sizes[0] && n == frames[0] {
						add(Case{Setup: setup, Size: size, Frames: n})
					}
				}
			}
			if setup.Checksum = true; sessions == 1 && setup.udp() {
				for _, size := range sizes {
					add(Case{Setup: setup, Size: size, Frames: frames[0]})
				}
			}
		}
		for _, f := range [...]Setup{{}, {Cookie: 4}, {Cookie: 8, Sublayer: l2tp.SublayerDefault},
			{Cookie: 8, VLAN: "keep"}, {Cookie: 8, VLAN: "none"}, {Cookie: 8, VLAN: "vid"}} {
			if f.Encap, f.Sessions = encaps[0], 1; sessions == 1 {
				add(Case{Setup: f, Size: sizes[0], Frames: frames[len(frames)-1]})
			}
		}
	}
	for _, c := range all {
		if err := c.check(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func or[T any](given []T, otherwise ...T) []T {
	if len(given) > 0 {
		return given
	}
	return otherwise
}
