package veth

import (
	"context"
	"errors"
	"fmt"
	"net"

	"xwire/bench/lab"
	"xwire/bench/traffic"
	"xwire/l2tp"
)

// linkMTU has room for the largest frame in any encapsulation, and frames of a size that a chunk of
// 2048 bytes holds behind its headroom.
const linkMTU = 1700

// rig is the lab: the generator, the sink, and a box for each case.
type rig struct {
	config    Config
	lab       *lab.Lab
	from, to  *lab.Namespace
	generator *traffic.Generator
	sink      *traffic.Sink
	running   []*standing
	skipped   []Skipped
}

// standing is a case that has started.
type standing struct {
	path
	place   *place
	running running
}

// newRig builds the lab and starts every case. Close it, after an error too.
func newRig(ctx context.Context, c Config) (r *rig, err error) {
	r = &rig{config: c, skipped: []Skipped{}}
	if r.lab, err = lab.New(lab.Config{}); err != nil {
		return r, err
	}
	if r.from, err = r.lab.Quiet("gen"); err != nil {
		return r, err
	}
	if r.to, err = r.lab.Quiet("sink"); err != nil {
		return r, err
	}
	if r.generator, err = traffic.NewGenerator(c.Generator, r.from.Run); err != nil {
		return r, err
	}
	if r.sink, err = traffic.NewSink(c.Sink); err != nil {
		return r, err
	}
	for _, path := range paths {
		if !c.wants(path) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err := r.start(ctx, path); err != nil {
			if path.ours || ctx.Err() != nil {
				return r, fmt.Errorf("start %s: %w", path.name, err)
			}
			c.Progress(fmt.Sprintf("without %s: %v", path.name, err))
			r.skipped = append(r.skipped, Skipped{Case: path.name, Reason: err.Error()})
		}
	}
	return r, nil
}

// close ends everything, whatever state it is in.
func (r *rig) close() error {
	var errs []error
	for _, s := range r.running {
		errs = append(errs, s.running.close())
	}
	if r.sink != nil {
		errs = append(errs, r.sink.Close())
	}
	if r.generator != nil {
		errs = append(errs, r.generator.Close())
	}
	if r.lab != nil {
		errs = append(errs, r.lab.Close())
	}
	return errors.Join(errs...)
}

// start makes a place for a case, starts it there, and sees that it carries frames unharmed.
func (r *rig) start(ctx context.Context, path path) error {
	p, err := r.place(path.name)
	if err != nil {
		return err
	}
	run, err := path.start(ctx, p)
	if err != nil {
		return err
	}
	s := &standing{path: path, place: p, running: run}
	err = r.verify(ctx, s)
	run.pause()
	if err != nil {
		return errors.Join(err, run.close())
	}
	r.running = append(r.running, s)
	return nil
}

func (r *rig) place(name string) (*place, error) {
	box, err := r.lab.Quiet("box-" + name)
	if err != nil {
		return nil, err
	}
	i := len(r.running) + len(r.skipped)
	p := &place{config: r.config, dir: r.lab.Dir(), box: box, sinkName: fmt.Sprintf("s%d", i), sinkNamespace: r.to}
	generateName := fmt.Sprintf("g%d", i)
	end := func(n *lab.Namespace, name string, mac l2tp.MAC) lab.End {
		return lab.End{Namespace: n, Name: name, MAC: mac[:], MTU: linkMTU}
	}
	if err := r.lab.Connect(end(r.from, generateName, generatorMAC), end(box, inName, inMAC)); err != nil {
		return nil, err
	}
	if err := r.lab.Connect(end(box, outName, outMAC), end(r.to, p.sinkName, sinkMAC)); err != nil {
		return nil, err
	}
	for _, find := range [...]struct {
		in   *lab.Namespace
		name string
		to   *int
	}{{r.from, generateName, &p.generate}, {box, inName, &p.in}, {box, outName, &p.out}, {r.to, p.sinkName, &p.sink}} {
		if *find.to, err = ifindex(find.in, find.name); err != nil {
			return nil, err
		}
	}
	return p, r.to.Run(func() error {
		if err := gro(p.sinkName); err != nil { // receives what XDP redirects
			return err
		}
		return r.sink.Attach(p.sink)
	})
}

func ifindex(n *lab.Namespace, name string) (index int, err error) {
	err = n.Run(func() error {
		i, err := net.InterfaceByName(name)
		if err == nil {
			index = i.Index
		}
		return err
	})
	return index, err
}
