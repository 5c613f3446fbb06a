package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// CreateTunnel adds a tunnel that ends with the process. keys may have "session", a table of session
// names with the keys of each: all stand, or none does.
func (c *Client) CreateTunnel(ctx context.Context, name string, keys Keys) (Tunnel, error) {
	var v Tunnel
	err := c.send(ctx, http.MethodPost, "/v1/tunnels", named(name, keys), &v)
	return v, err
}

// Tunnel asks for one tunnel with its configuration.
func (c *Client) Tunnel(ctx context.Context, name string) (Tunnel, error) {
	var v Tunnel
	err := c.get(ctx, tunnelPath(name), nil, &v)
	return v, err
}

// ModifyTunnel changes keys of a tunnel and leaves the others as they are. Counters go on.
func (c *Client) ModifyTunnel(ctx context.Context, name string, keys Keys) (Tunnel, error) {
	var v Tunnel
	err := c.send(ctx, http.MethodPatch, tunnelPath(name), keys, &v)
	return v, err
}

// DeleteTunnel removes a tunnel with its sessions. One that the file has comes back at a reload.
func (c *Client) DeleteTunnel(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, tunnelPath(name), nil, nil)
}

// CreateSession adds a session to a tunnel, of the file or not.
func (c *Client) CreateSession(ctx context.Context, tunnel, name string, keys Keys) (Session, error) {
	var v Session
	err := c.send(ctx, http.MethodPost, tunnelPath(tunnel)+"/sessions", named(name, keys), &v)
	return v, err
}

// TunnelSession asks for one session with its configuration, cookies only if asked for.
func (c *Client) TunnelSession(ctx context.Context, tunnel, name string, cookies bool) (Session, error) {
	var v Session
	err := c.get(ctx, sessionPath(tunnel, name), SessionQuery{Cookies: cookies}.values(), &v)
	return v, err
}

// ModifySession changes keys of a session and leaves the others as they are. Counters go on.
func (c *Client) ModifySession(ctx context.Context, tunnel, name string, keys Keys) (Session, error) {
	var v Session
	err := c.send(ctx, http.MethodPatch, sessionPath(tunnel, name), keys, &v)
	return v, err
}

// DeleteSession removes a session. One that the file has comes back at a reload.
func (c *Client) DeleteSession(ctx context.Context, tunnel, name string) error {
	return c.send(ctx, http.MethodDelete, sessionPath(tunnel, name), nil, nil)
}

// Config asks for what runs as a TOML file that loads, cookies in clear.
func (c *Client) Config(ctx context.Context) ([]byte, error) {
	res, err := c.do(ctx, http.MethodGet, "/v1/config", nil, c.http)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// Reload has the configuration file read again. A file with errors changes nothing and is answered
// with an Error of code CodeInvalidConfig.
func (c *Client) Reload(ctx context.Context, r ReloadRequest) (Reload, error) {
	var v Reload
	patient := *c
	patient.http = c.endless()
	err := patient.send(ctx, http.MethodPost, "/v1/reload", r, &v)
	return v, err
}

// Confirm keeps what the last reload did, which would be rolled back otherwise.
func (c *Client) Confirm(ctx context.Context) error {
	return c.send(ctx, http.MethodPost, "/v1/confirm", nil, nil)
}

// Events calls each for every event from now on, until it returns false, ctx ends or the connection
// does.
func (c *Client) Events(ctx context.Context, each func(Event) bool) error {
	res, err := c.do(ctx, http.MethodGet, "/v1/events", nil, c.endless())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for dec := json.NewDecoder(res.Body); ; {
		var e Event
		switch err := dec.Decode(&e); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("follow events of %s: xwire has ended", c.socket)
		case err != nil:
			return fmt.Errorf("follow events of %s: %w", c.socket, err)
		}
		if !each(e) {
			return nil
		}
	}
}

// endless is the client for what takes as long as it takes: ctx ends it.
func (c *Client) endless() *http.Client {
	h := *c.http
	h.Timeout = 0
	return &h
}

func tunnelPath(name string) string { return "/v1/tunnels/" + url.PathEscape(name) }

func sessionPath(tunnel, name string) string {
	return tunnelPath(tunnel) + "/sessions/" + url.PathEscape(name)
}

func named(name string, keys Keys) Keys {
	body := Keys{}
	for k, v := range keys {
		body[k] = v
	}
	body["name"] = name
	return body
}

// send asks for a change and decodes the answer into v.
func (c *Client) send(ctx context.Context, method, path string, body, v any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write request %s %s: %w", method, path, err)
		}
	}
	res, err := c.do(ctx, method, path, text, c.http)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if v == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return fmt.Errorf("read answer to %s: %w", path, err)
	}
	return nil
}

// do sends a request. An answer that is no success is the error, an *Error where xwire wrote it.
func (c *Client) do(ctx context.Context, method, path string, body []byte, by *http.Client) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://xwire"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := by.Do(req)
	if err != nil {
		return nil, c.refused(err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	e := new(Error)
	if json.NewDecoder(res.Body).Decode(e) != nil || e.Text == "" {
		return nil, fmt.Errorf("ask xwire for %s: status %s", path, res.Status)
	}
	return nil, e
}
