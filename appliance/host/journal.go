package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// journalFile is the journal's name in the state directory.
const journalFile = "host.json"

// journal is what was changed on the host and by whom it is needed, on disk before it is done.
type journal struct {
	dir  string
	book book
}

// book is the file.
type book struct {
	Changes []entry `json:"changes"`
}

// entry is one setting that is not as it was found.
type entry struct {
	Interface string   `json:"interface"`
	Ifindex   int      `json:"ifindex"`
	Setting   string   `json:"setting"`
	From      string   `json:"from"`
	To        string   `json:"to"`
	Ports     []string `json:"ports"` // interfaces for whose sake
}

func openJournal(dir string) (journal, error) {
	j := journal{dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return j, fmt.Errorf("read the journal of host settings: %w", err)
	}
	if err := json.Unmarshal(raw, &j.book); err != nil {
		return j, fmt.Errorf("read the journal of host settings %s: %w; look at the settings it names, then remove it",
			filepath.Join(dir, journalFile), err)
	}
	return j, nil
}

// entries is a copy, so that it may be walked while the journal changes.
func (j *journal) entries() []entry { return slices.Clone(j.book.Changes) }

// ports are all that have an entry.
func (j *journal) ports() []string {
	var all []string
	for _, e := range j.book.Changes {
		all = append(all, e.Ports...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (j *journal) find(ifname, setting string, ifindex int) int {
	return slices.IndexFunc(j.book.Changes, func(e entry) bool {
		return e.Interface == ifname && e.Setting == setting && e.Ifindex == ifindex
	})
}

// note enters a change for a port. What was found first stays what is put back.
func (j *journal) note(c Change, port string, ifindex int) {
	i := j.find(c.Interface, c.Setting, ifindex)
	if i < 0 {
		j.book.Changes = append(j.book.Changes, entry{c.Interface, ifindex, c.Setting, c.From, c.To, []string{port}})
		return
	}
	if e := &j.book.Changes[i]; !e.user(port) {
		e.Ports = append(slices.Clip(e.Ports), port)
	}
}

// leave takes a port off an entry, and the entry out if it was the last.
func (j *journal) leave(e entry, port string) {
	i := j.find(e.Interface, e.Setting, e.Ifindex)
	if i < 0 {
		return
	}
	ports := slices.DeleteFunc(slices.Clone(e.Ports), func(p string) bool { return p == port })
	if len(ports) == 0 {
		j.book.Changes = slices.Delete(j.book.Changes, i, i+1)
		return
	}
	j.book.Changes[i].Ports = ports
}

// save replaces the file in one step, or removes it when nothing is changed.
func (j *journal) save() error {
	if err := j.write(); err != nil {
		return fmt.Errorf("write the journal of host settings: %w", err)
	}
	return nil
}

func (j *journal) write() error {
	path := filepath.Join(j.dir, journalFile)
	if len(j.book.Changes) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	raw, err := json.MarshalIndent(j.book, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return err
	}
	if err := writeSynced(path+".new", append(raw, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(j.dir)
}

func writeSynced(path string, raw []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(raw); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (e entry) user(port string) bool { return slices.Contains(e.Ports, port) }

// of tells whether the entry is one of these changes.
func (e entry) of(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Interface == e.Interface && c.Setting == e.Setting })
}
