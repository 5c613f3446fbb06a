package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// TraceStep is one thing that is looked at or done on a frame's way. The first that is not OK is why
// the frame is dropped.
type TraceStep struct {
	Step string `json:"step"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Trace is a frame's way. Of a frame that came, Outcome is what became of it; of one that was given,
// what would.
type Trace struct {
	Time    time.Time   `json:"time"`
	Port    string      `json:"port"`
	Worker  int         `json:"worker"` // -1: it was given
	Way     string      `json:"way"`    // encap | decap | none
	Session string      `json:"session,omitempty"`
	Frame   string      `json:"frame"` // hex
	Steps   []TraceStep `json:"steps"`
	Outcome string      `json:"outcome"`          // sent | dropped | held
	Reason  string      `json:"reason,omitempty"` // of dropped
}

// TraceRequest is the body of POST /v1/trace: a frame that a port is to have received.
type TraceRequest struct {
	Port  string `json:"port"`
	Frame string `json:"frame"` // hex
}

// TraceFrame asks what would become of a frame. Nothing is sent.
func (c *Client) TraceFrame(ctx context.Context, r TraceRequest) (Trace, error) {
	var v Trace
	err := c.send(ctx, http.MethodPost, "/v1/trace", r, &v)
	return v, err
}

// Trace calls each for the next count frames of a session or port, until it returns false or ctx ends.
func (c *Client) Trace(ctx context.Context, of string, count int, each func(Trace) bool) error {
	endless := *c.http
	endless.Timeout = 0
	q := url.Values{"of": {of}, "count": {strconv.Itoa(count)}}
	res, err := c.do(ctx, http.MethodGet, "/v1/trace?"+q.Encode(), nil, &endless)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for dec := json.NewDecoder(res.Body); ; {
		var v Trace
		switch err := dec.Decode(&v); {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("trace frames of %s: %w", c.socket, err)
		}
		if !each(v) {
			return nil
		}
	}
}
