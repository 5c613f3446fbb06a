package trunk

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

func (v vlan) before(o vlan) bool { return v.s < o.s || v.s == o.s && v.c < o.c }

// state is what the file has: the record of each interface, by its name.
type state struct {
	records map[string]record
	byPlace map[vlan]string
	byIndex map[int]string
	free    vlan // no place before it is

	path   string
	dirty  map[string]bool // what the file does not have yet
	behind int             // changes in the file behind its first document
	anew   bool            // the file is not to be appended to
}

// document is the file's: the first has every interface, each of the others has what has changed, so
// that one interface more is a line more.
type document struct {
	Interfaces map[string]record `json:"interfaces,omitempty"`
	Gone       []string          `json:"gone,omitempty"`
}

// load returns an empty state, ready for use, also with an error.
func load(path string) (*state, error) {
	empty := newState(path)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	defer f.Close()
	s := newState(path)
	for dec := json.NewDecoder(f); ; {
		var d document
		if err := dec.Decode(&d); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return empty, fmt.Errorf("read %s: %w", path, err)
		}
		for _, name := range d.Gone {
			s.remove(name)
		}
		for name, r := range d.Interfaces {
			s.set(name, r)
		}
	}
	for name, r := range s.records {
		if other := s.byPlace[r.vlan()]; other != name || r.CVLAN == 0 || r.CVLAN > maxVLAN || r.SVLAN > maxVLAN {
			return empty, fmt.Errorf("read %s: VLAN %d.%d of %s is no VLAN or also that of %q", path, r.SVLAN, r.CVLAN, name, other)
		}
	}
	clear(s.dirty)
	return s, nil
}

func newState(path string) *state {
	return &state{path: path, anew: true, free: vlan{c: 1},
		records: map[string]record{}, byPlace: map[vlan]string{}, byIndex: map[int]string{}, dirty: map[string]bool{}}
}

func (s *state) set(name string, r record) {
	if old, ok := s.records[name]; ok {
		if old == r {
			return
		}
		s.remove(name)
	}
	s.records[name], s.dirty[name] = r, true
	s.byPlace[r.vlan()] = name
	if r.Ifindex != 0 {
		s.byIndex[r.Ifindex] = name
	}
}

func (s *state) remove(name string) {
	r, ok := s.records[name]
	if !ok {
		return
	}
	delete(s.records, name)
	s.dirty[name] = true
	if s.byPlace[r.vlan()] == name {
		delete(s.byPlace, r.vlan())
	}
	if s.byIndex[r.Ifindex] == name {
		delete(s.byIndex, r.Ifindex)
	}
	if r.vlan().before(s.free) {
		s.free = r.vlan()
	}
}

// save writes what has changed. Nothing is synced: the devices do not outlive the kernel either.
func (s *state) save() error {
	if len(s.dirty) == 0 && !s.anew {
		return nil
	}
	var err error
	if s.anew || s.behind+len(s.dirty) > max(len(s.records), 100) {
		err = s.replace()
	} else {
		err = s.add()
	}
	if s.anew = err != nil; err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	clear(s.dirty)
	return nil
}

// replace writes all: after a crash there is the old file or the new one.
func (s *state) replace() error {
	b, err := json.MarshalIndent(document{Interfaces: s.records}, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), ".trunk-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	s.behind = 0
	return os.Rename(f.Name(), s.path)
}

func (s *state) add() error {
	d := document{Interfaces: make(map[string]record)}
	for name := range s.dirty {
		if r, ok := s.records[name]; ok {
			d.Interfaces[name] = r
		} else {
			d.Gone = append(d.Gone, name)
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	s.behind += len(s.dirty)
	return errors.Join(err, f.Close())
}

// randomMAC is a locally administered unicast address.
func randomMAC() string {
	var m [6]byte
	_, _ = rand.Read(m[:]) // never fails
	m[0] = m[0]&^1 | 2
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
