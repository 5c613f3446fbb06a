package capture

import (
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Names tells what numbers stand for. It may be asked for the same thing often.
type Names interface {
	// Port gives a port's name and interface.
	Port(index uint16) (name, iface string)
	// Session gives tunnel/session.
	Session(r *Record) string
}

// Writer writes records as pcapng: an interface for each port that one passes, what became of the
// frame as its comment, and received or sent as its flags.
type Writer struct {
	ng      *pcapgo.NgWriter
	w       io.Writer
	names   Names
	version string
	ids     map[uint16]int // interface by port
	start   time.Time
	clock   *Clock
	inbound pcapgo.NgEpbFlags
	out     pcapgo.NgEpbFlags
}

// NewWriter writes nothing yet.
func NewWriter(w io.Writer, names Names, version string) *Writer {
	return &Writer{
		w: w, names: names, version: version, ids: make(map[uint16]int), start: time.Now(), clock: NewClock(),
		inbound: pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound},
		out:     pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionOutbound},
	}
}

// port is the interface of a port, which is written when the first record needs it.
func (w *Writer) port(index uint16) (int, error) {
	if id, ok := w.ids[index]; ok {
		return id, nil
	}
	name, iface := w.names.Port(index)
	i := pcapgo.DefaultNgInterface
	i.Name, i.Description, i.LinkType = name, iface, layers.LinkTypeEthernet
	id, err := 0, error(nil)
	if w.ng == nil {
		o := pcapgo.DefaultNgWriterOptions
		o.SectionInfo.Application = "xwire " + w.version
		w.ng, err = pcapgo.NewNgWriterInterface(w.w, i, o)
	} else {
		id, err = w.ng.AddInterface(i)
	}
	if err != nil {
		return 0, fmt.Errorf("write pcapng interface: %w", err)
	}
	w.ids[index] = id
	return id, nil
}

// Begin writes the head of the file, with the first port as an interface: without one there is no file.
func (w *Writer) Begin() error {
	if _, err := w.port(0); err != nil {
		return err
	}
	return w.ng.Flush()
}

// Write writes a record.
func (w *Writer) Write(r *Record) error {
	id, err := w.port(r.Port)
	if err != nil {
		return err
	}
	flags := &w.inbound
	if r.Sent {
		flags = &w.out
	}
	info := gopacket.CaptureInfo{
		Timestamp: w.clock.Time(r.Time), CaptureLength: len(r.Data), Length: r.Length, InterfaceIndex: id,
	}
	return w.ng.WritePacketWithOptions(info, r.Data, pcapgo.NgPacketOptions{Comments: []string{w.comment(r)}, Flags: flags})
}

// comment tells in words: way, layer, direction, session, and what became of the frame where that is
// not another record.
func (w *Writer) comment(r *Record) string {
	text := "inner"
	if r.Outer {
		text = "outer"
	}
	if r.Way != 0 {
		text = r.Way.String() + " " + text
	}
	if r.Sent {
		text += " sent"
	} else {
		text += " received"
	}
	if session := w.names.Session(r); session != "" {
		text += " " + session
	}
	switch {
	case r.Drop != "":
		text += ", dropped: " + r.Drop
	case r.Held:
		text += ", held"
	}
	return text
}

// Flush sends what was written on its way.
func (w *Writer) Flush() error { return w.ng.Flush() }

// End writes how many frames were lost.
func (w *Writer) End(lost uint64) error {
	now := time.Now()
	s := pcapgo.NgInterfaceStatistics{LastUpdate: now, StartTime: w.start, EndTime: now, PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: lost}
	if err := w.ng.WriteInterfaceStats(0, s); err != nil {
		return err
	}
	return w.ng.Flush()
}
