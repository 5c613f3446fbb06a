package config

import (
	"fmt"
	"strconv"
	"strings"
)

// VLANKind says how a session chooses frames of its port.
type VLANKind uint8

const (
	VLANAbsent   VLANKind = iota // no vlan: a local interface
	VLANAll                      // the whole port
	VLANUntagged                 // frames without a tag
	VLANSingle                   // outer tag Lo
	VLANRange                    // outer tag from Lo to Hi
	VLANQinQ                     // outer tag Lo, inner tag C
)

// VLAN is the value of a session's vlan key. Tag numbers are 1 to 4094.
type VLAN struct {
	Kind      VLANKind
	Lo, Hi, C uint16 // Hi == Lo but for a range
}

// ParseVLAN reads "all", "untagged", "100", "100-199" or "100.20".
func ParseVLAN(s string) (VLAN, error) {
	switch s {
	case "all":
		return VLAN{Kind: VLANAll}, nil
	case "untagged":
		return VLAN{Kind: VLANUntagged}, nil
	}
	if a, b, ok := strings.Cut(s, "-"); ok {
		lo, err := parseTag(a)
		if err != nil {
			return VLAN{}, err
		}
		hi, err := parseTag(b)
		if err != nil {
			return VLAN{}, err
		}
		if lo >= hi {
			return VLAN{}, fmt.Errorf("range %q is empty; write the lower VLAN first", s)
		}
		return VLAN{Kind: VLANRange, Lo: lo, Hi: hi}, nil
	}
	if a, b, ok := strings.Cut(s, "."); ok {
		sv, err := parseTag(a)
		if err != nil {
			return VLAN{}, err
		}
		cv, err := parseTag(b)
		if err != nil {
			return VLAN{}, err
		}
		return VLAN{Kind: VLANQinQ, Lo: sv, Hi: sv, C: cv}, nil
	}
	n, err := parseTag(s)
	if err != nil {
		return VLAN{}, err
	}
	return VLAN{Kind: VLANSingle, Lo: n, Hi: n}, nil
}

func parseTag(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || s[0] == '+' {
		return 0, fmt.Errorf(`%q is not a VLAN; write "all", "untagged", 100, "100-199" or "100.20"`, s)
	}
	return checkTag(int64(n))
}

func checkTag(n int64) (uint16, error) {
	if n < 1 || n > 4094 {
		return 0, fmt.Errorf("VLAN %d is out of range; use 1 to 4094", n)
	}
	return uint16(n), nil
}

func (v VLAN) String() string {
	switch v.Kind {
	case VLANAll:
		return "all"
	case VLANUntagged:
		return "untagged"
	case VLANSingle:
		return strconv.Itoa(int(v.Lo))
	case VLANRange:
		return fmt.Sprintf("%d-%d", v.Lo, v.Hi)
	case VLANQinQ:
		return fmt.Sprintf("%d.%d", v.Lo, v.C)
	}
	return ""
}

// tags is how many tags the matched frames are sure to have.
func (v VLAN) tags() int {
	switch v.Kind {
	case VLANSingle, VLANRange:
		return 1
	case VLANQinQ:
		return 2
	}
	return 0
}

// PWKind says what becomes of the matched tags inside the pseudowire.
type PWKind uint8

const (
	PWKeep PWKind = iota // they stay
	PWNone               // they are taken off, and put back on the way out
	PWVID                // they are replaced by one tag
)

// PWVLAN is the value of a session's pw_vlan key.
type PWVLAN struct {
	Kind PWKind
	VID  uint16 // 1 to 4094, with PWVID
}

func (p PWVLAN) String() string {
	switch p.Kind {
	case PWNone:
		return "none"
	case PWVID:
		return strconv.Itoa(int(p.VID))
	}
	return "keep"
}

// Tags returns how many service tags a frame carries inside the pseudowire: what the path's MTU
// loses to them.
func (s *Session) Tags() int {
	switch s.PWVLAN.Kind {
	case PWNone:
		return 0
	case PWVID:
		return 1
	}
	return s.VLAN.tags()
}

func (r *reader) vlan(key string, v any) (VLAN, bool) {
	switch v := v.(type) {
	case string:
		m, err := ParseVLAN(v)
		if err != nil {
			r.errorf(key, "%v%s", err, suggest(v, []string{"all", "untagged"}))
		}
		return m, err == nil
	case int64:
		n, err := checkTag(v)
		if err != nil {
			r.errorf(key, "%v", err)
			return VLAN{}, false
		}
		return VLAN{Kind: VLANSingle, Lo: n, Hi: n}, true
	case float64:
		r.errorf(key, `must be in quotes: "S-VLAN.C-VLAN" without them is a number that has lost its zeros`)
		return VLAN{}, false
	}
	r.errorf(key, `must be "all", "untagged", 100, "100-199" or "100.20", is %s`, describe(v))
	return VLAN{}, false
}

func (r *reader) pwVLAN(key string, v any) (PWVLAN, bool) {
	var (
		n   uint16
		err error
	)
	switch v := v.(type) {
	case string:
		switch v {
		case "keep":
			return PWVLAN{Kind: PWKeep}, true
		case "none":
			return PWVLAN{Kind: PWNone}, true
		}
		if _, perr := strconv.ParseUint(v, 10, 32); perr != nil {
			r.errorf(key, `%q is not known; write "keep", "none" or a VLAN such as 300%s`, v, suggest(v, []string{"keep", "none"}))
			return PWVLAN{}, false
		}
		n, err = parseTag(v)
	case int64:
		n, err = checkTag(v)
	default:
		r.errorf(key, `must be "keep", "none" or a VLAN such as 300, is %s`, describe(v))
		return PWVLAN{}, false
	}
	if err != nil {
		r.errorf(key, "%v", err)
		return PWVLAN{}, false
	}
	return PWVLAN{Kind: PWVID, VID: n}, true
}
