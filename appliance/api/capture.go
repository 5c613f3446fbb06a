package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// CaptureQuery says which frames are wanted. The zero value asks for all, received, sent and dropped.
type CaptureQuery struct {
	Of                  string // a port, tunnel/session, or a session's bare name where that is unique
	Inner, Outer, Drops bool   // only these; none: all
	Count               uint64 // frames after which it ends; 0: when told
	Snaplen             int    // bytes of each frame; 0: all
}

func (q CaptureQuery) values() url.Values {
	v := url.Values{}
	if q.Of != "" {
		v.Set("of", q.Of)
	}
	for name, on := range map[string]bool{"inner": q.Inner, "outer": q.Outer, "drops": q.Drops} {
		if on {
			v.Set(name, "1")
		}
	}
	if q.Count > 0 {
		v.Set("count", strconv.FormatUint(q.Count, 10))
	}
	if q.Snaplen > 0 {
		v.Set("snaplen", strconv.Itoa(q.Snaplen))
	}
	return v
}

// Captured is how a capture ended.
type Captured struct {
	Frames, Lost uint64
}

// endCapture is how long the rest of a capture may take when it has been told to end.
const endCapture = 10 * time.Second

// Capture writes frames to w as pcapng until there are enough or ctx ends, which is no error.
func (c *Client) Capture(ctx context.Context, q CaptureQuery, w io.Writer) (done Captured, err error) {
	endless := *c.http
	endless.Timeout = 0
	reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	path := "/v1/capture"
	if v := q.values(); len(v) > 0 {
		path += "?" + v.Encode()
	}
	res, err := c.do(reading, http.MethodGet, path, nil, &endless)
	if err != nil {
		return done, err
	}
	defer res.Body.Close()
	stop := context.AfterFunc(ctx, func() {
		ending, cancelEnding := context.WithTimeout(reading, endCapture)
		defer cancelEnding()
		// What cannot be told to end is cut off below.
		if c.send(ending, http.MethodDelete, "/v1/captures/"+url.PathEscape(res.Header.Get("Xwire-Capture")), nil, nil) != nil {
			cancel()
		}
		time.AfterFunc(endCapture, cancel)
	})
	defer stop()
	if _, err := io.Copy(w, res.Body); err != nil {
		return done, fmt.Errorf("read capture of %s: %w", c.socket, err)
	}
	done.Frames, _ = strconv.ParseUint(res.Trailer.Get("Xwire-Frames"), 10, 64)
	done.Lost, _ = strconv.ParseUint(res.Trailer.Get("Xwire-Lost"), 10, 64)
	return done, nil
}
