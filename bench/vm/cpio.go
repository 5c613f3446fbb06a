package vm

import (
	"bufio"
	"fmt"
	"io"
)

// cpioWriter writes the newc format that the kernel unpacks as initramfs.
type cpioWriter struct {
	w     *bufio.Writer
	inode int
}

func newCpioWriter(w io.Writer) *cpioWriter { return &cpioWriter{w: bufio.NewWriter(w)} }

// Modes of cpio entries, as in stat(2).
const (
	cpioDir  = 0o040755
	cpioExec = 0o100755
	cpioFile = 0o100644
)

func (c *cpioWriter) add(name string, mode int, data []byte) {
	c.inode++
	links := 1
	if mode == cpioDir {
		links = 2
	}
	// magic, ino, mode, uid, gid, nlink, mtime, size, device (4), name size, check
	n, _ := fmt.Fprintf(c.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	c.pad(n)
	c.w.Write(data)
	c.pad(len(data))
}

func (c *cpioWriter) pad(n int) { c.w.Write(make([]byte, -n&3)) }

// close writes the trailer and returns the first error of any write.
func (c *cpioWriter) close() error {
	c.inode = -1
	c.add("TRAILER!!!", 0, nil)
	return c.w.Flush()
}
