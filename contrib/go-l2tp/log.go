package gol2tp

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Log is go-l2tp's logger. It writes to a slog.Logger, and notes what the keepalive must know and
// go-l2tp tells nobody else: when a tunnel's last control message came, and the last numbers that it
// sent.
type Log struct {
	To    *slog.Logger
	Ended func(tunnel string) // called when a tunnel is gone, by name

	mu      sync.Mutex
	tunnels map[string]heard // by go-l2tp's name of the tunnel
}

// heard is what was seen of one tunnel's control channel.
type heard struct {
	at     time.Time
	ns, nr uint16 // of the last message that took a number
	dying  bool   // it ends by itself now
}

// Log is the method of a go-kit logger: keys and values in turn.
func (l *Log) Log(pairs ...any) error {
	level, message, tunnel := slog.LevelInfo, "", ""
	values := make(map[string]any, len(pairs)/2)
	var rest []any
	for i := 0; i+1 < len(pairs); i += 2 {
		key := fmt.Sprint(pairs[i])
		values[key] = pairs[i+1]
		switch key {
		case "level":
			_ = level.UnmarshalText(fmt.Append(nil, pairs[i+1])) // another word is Info
		case "message":
			message = fmt.Sprint(pairs[i+1])
		case "tunnel_name":
			tunnel = fmt.Sprint(pairs[i+1])
			rest = append(rest, "tunnel", tunnel)
		case "function":
		default:
			rest = append(rest, key, fmt.Sprint(pairs[i+1]))
		}
	}
	l.note(tunnel, message, values)
	if message == "close" && values["session_name"] == nil && l.Ended != nil {
		l.Ended(tunnel)
	}
	if values["error"] == nil && level == slog.LevelError && message != "" {
		level = slog.LevelInfo // go-l2tp logs some successes as errors
	}
	l.To.Log(context.Background(), level, message, rest...)
	return nil
}

func (l *Log) note(tunnel, message string, values map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.tunnels[tunnel]
	switch message {
	case "socket recv":
		h.at = time.Now()
	case "send complete":
		if values["error"] == nil {
			return
		}
		h.dying = true
	case "socket read failed", "transport down", "pending for stopccn retransmit period":
		h.dying = true
	case "send":
		ns, numbered := values["ns"].(uint16)
		nr, _ := values["nr"].(uint16)
		if !numbered || fmt.Sprint(values["message_type"]) == "avpMsgTypeAck" {
			return
		}
		h.ns, h.nr = ns, nr
	default:
		return
	}
	if l.tunnels == nil {
		l.tunnels = make(map[string]heard)
	}
	l.tunnels[tunnel] = h
}

func (l *Log) heard(tunnel string) heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tunnels[tunnel]
}

func (l *Log) forget(tunnel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tunnels, tunnel)
}
