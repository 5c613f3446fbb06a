package appliance

import (
	"net/http"
	"time"
)

// clientPatience is how long a client may take none of an answer, or send none of a request, before it is
// let go. It holds up nobody meanwhile.
const clientPatience = 10 * time.Second

// patient writes an answer to a client as long as that goes on reading.
type patient struct {
	http.ResponseWriter
	out *http.ResponseController
}

func newPatient(w http.ResponseWriter) patient { return patient{w, http.NewResponseController(w)} }

func (p patient) Write(b []byte) (n int, err error) {
	const piece = 64 << 10
	for err == nil && n < len(b) {
		p.wait()
		var m int
		m, err = p.ResponseWriter.Write(b[n:min(n+piece, len(b))])
		n += m
	}
	return n, err
}

// wait begins the client's time anew. A writer that knows no time does not wait either.
func (p patient) wait() { _ = p.out.SetWriteDeadline(time.Now().Add(clientPatience)) }

func (p patient) flush() error {
	p.wait()
	return p.out.Flush()
}

// close sends the rest, and gives the connection back for further requests.
func (p patient) close() {
	if p.flush() == nil {
		_ = p.out.SetWriteDeadline(time.Time{})
	}
}

// expect has a request's body come soon, or not at all. Call what it returns once it is read.
func expect(w http.ResponseWriter) (read func()) {
	in := http.NewResponseController(w)
	_ = in.SetReadDeadline(time.Now().Add(clientPatience))
	return func() { _ = in.SetReadDeadline(time.Time{}) }
}
