package trunk

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// record is what is remembered of one interface. It is written before the device is made, so that
// a device is never without its record.
type record struct {
	Session string `json:"session"`
	SVLAN   uint16 `json:"svlan,omitempty"`
	CVLAN   uint16 `json:"cvlan"`
	MAC     string `json:"mac"`
	Ifindex int    `json:"ifindex,omitempty"` // 0: not made yet; may be of another namespace
}

func (r record) vlan() vlan { return vlan{s: r.SVLAN, c: r.CVLAN} }

// vlan is a place on the trunk.
type vlan struct{ s, c uint16 }

// state is the file: name of interface to record.
type state struct {
	Interfaces map[string]record `json:"interfaces"`
}

// load returns an empty state, ready for use, also with an error.
func load(path string) (state, error) {
	s := state{Interfaces: map[string]record{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var read state
	if err := json.Unmarshal(b, &read); err != nil {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	used := map[vlan]string{}
	for name, r := range read.Interfaces {
		if other, ok := used[r.vlan()]; ok || r.CVLAN == 0 || r.CVLAN > maxVLAN || r.SVLAN > maxVLAN {
			return s, fmt.Errorf("read %s: VLAN %d.%d of %s is no VLAN or also that of %q", path, r.SVLAN, r.CVLAN, name, other)
		}
		used[r.vlan()] = name
		s.Interfaces[name] = r
	}
	return s, nil
}

// save replaces the file as a whole: after a crash there is the old one or the new one.
func (s state) save(path string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".trunk-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// randomMAC is a locally administered unicast address.
func randomMAC() string {
	var m [6]byte
	_, _ = rand.Read(m[:]) // never fails
	m[0] = m[0]&^1 | 2
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
