package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultSocket is where xwire listens when the configuration says nothing else.
const DefaultSocket = "/run/xwire/control.sock"

// Client asks a running xwire. It is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the xwire that listens on the unix socket. Nothing is dialed yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{
		Transport: &http.Transport{DialContext: dial, MaxIdleConns: 1},
		Timeout:   60 * time.Second,
	}}
}

// get decodes the answer to path into v.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	res, err := c.do(ctx, http.MethodGet, path, nil, c.http)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return fmt.Errorf("read answer to %s: %w", path, err)
	}
	return nil
}

// refused tells what to do about a request that got no answer. The request's address, which HTTP puts
// into its errors, is none that anyone has seen.
func (c *Client) refused(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	hint := "is it running? --control names its socket"
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "the socket is its owner's and control_group's: be root, or join that group"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		hint = "it did not answer in time"
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		err = dial.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return fmt.Errorf("ask xwire on %s: %w (%s)", c.socket, err, hint)
}

// Status asks for the process as a whole.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var v Status
	err := c.get(ctx, "/v1/status", nil, &v)
	return v, err
}

// Tunnels asks for all tunnels, in the order of the configuration.
func (c *Client) Tunnels(ctx context.Context) ([]Tunnel, error) {
	var v []Tunnel
	err := c.get(ctx, "/v1/tunnels", nil, &v)
	return v, err
}

// TunnelConfigs asks for all tunnels, each with its configuration.
func (c *Client) TunnelConfigs(ctx context.Context) ([]Tunnel, error) {
	var v []Tunnel
	err := c.get(ctx, "/v1/tunnels", url.Values{"config": {"1"}}, &v)
	return v, err
}

// SessionQuery narrows a list of sessions. The zero value asks for all, cookies redacted.
type SessionQuery struct {
	Tunnel  string // only of this tunnel
	Errors  bool   // only with errors, discards or suspicion
	Cookies bool   // with cookies in clear
	Config  bool   // each with its configuration
}

func (q SessionQuery) values() url.Values {
	v := url.Values{}
	if q.Tunnel != "" {
		v.Set("tunnel", q.Tunnel)
	}
	if q.Errors {
		v.Set("errors", "1")
	}
	if q.Cookies {
		v.Set("cookies", "1")
	}
	if q.Config {
		v.Set("config", "1")
	}
	return v
}

// Sessions asks for sessions, in the order of the configuration.
func (c *Client) Sessions(ctx context.Context, q SessionQuery) ([]Session, error) {
	var v []Session
	err := c.get(ctx, "/v1/sessions", q.values(), &v)
	return v, err
}

// Session asks for one session by "tunnel/session", or by its bare name where that is unique.
func (c *Client) Session(ctx context.Context, name string, cookies bool) (Session, error) {
	var v Session
	parts := strings.SplitN(name, "/", 2)
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	err := c.get(ctx, "/v1/sessions/"+strings.Join(parts, "/"), SessionQuery{Cookies: cookies}.values(), &v)
	return v, err
}

// Ports asks for all ports.
func (c *Client) Ports(ctx context.Context) ([]Port, error) {
	var v []Port
	err := c.get(ctx, "/v1/ports", nil, &v)
	return v, err
}

// Drops asks for every drop reason with its count.
func (c *Client) Drops(ctx context.Context) ([]Drop, error) {
	var v []Drop
	err := c.get(ctx, "/v1/drops", nil, &v)
	return v, err
}

// Workers asks for all workers.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	var v []Worker
	err := c.get(ctx, "/v1/workers", nil, &v)
	return v, err
}
