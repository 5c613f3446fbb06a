package api

import "time"

// Keys are keys of a [tunnel.NAME] or [tunnel.NAME.session.NAME] table with the values that the file
// takes: strings, booleans, whole numbers, arrays. Where they change something, null takes a key back
// to its default.
type Keys map[string]any

// What an object comes from: Tunnel.Origin and Session.Origin.
const (
	OriginFile = "file" // the configuration file: it is as the file says after each reload
	OriginAPI  = "api"  // created at run time: it stays as it is over reloads, and ends with the process
)

// Why the configuration file does not run: Status.Instead.
const (
	InsteadErrors      = "errors"
	InsteadUnconfirmed = "not confirmed"
)

// Fault is one thing wrong with a configuration, as `xwire check --json` prints it. In answers to
// requests File is "api" for what is asked, "running" for what is there, and Line 0.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// Effects of a Change on traffic.
const (
	Hitless     = "hitless"      // no frame is lost
	SessionBlip = "session blip" // frames under way on this session, or on the tunnel's sessions, may be lost
	PortReset   = "port reset"   // the port is closed and opened again: its sessions stand still meanwhile
	Restart     = "restart"      // has no effect before the next start
)

// Change is one difference between what runs and what is asked for.
type Change struct {
	Kind   string   `json:"kind"`           // appliance | port | tunnel | session
	Name   string   `json:"name,omitempty"` // of a session: tunnel/session
	Action string   `json:"action"`         // added | changed | removed
	Keys   []string `json:"keys,omitempty"` // of changed: those with another value
	Effect string   `json:"effect"`
	Origin string   `json:"origin,omitempty"` // file | api
	Reason string   `json:"reason,omitempty"` // where it does not follow from the keys
}

// ReloadRequest is the body of POST /v1/reload.
type ReloadRequest struct {
	DryRun        bool    `json:"dry_run,omitempty"`
	ConfirmWithin float64 `json:"confirm_within_seconds,omitempty"` // 0: no confirmation is waited for
}

// Reload tells what a reload did, or with DryRun would do.
type Reload struct {
	File      string     `json:"file"`
	DryRun    bool       `json:"dry_run"`
	Changes   []Change   `json:"changes"`
	Warnings  []Fault    `json:"warnings,omitempty"`
	Waiting   []string   `json:"waiting,omitempty"`        // sessions among them that the host did not let come up, and why; of very many, the first
	Confirm   *time.Time `json:"confirm_before,omitempty"` // it is rolled back then, unless confirmed
	Confirmed bool       `json:"confirmed,omitempty"`      // with it, one before that waited for its confirmation
	Seconds   float64    `json:"seconds"`                  // that it took
}

// Types of Event.
const (
	EventCreated         = "created"
	EventDeleted         = "deleted"
	EventModified        = "modified"
	EventUp              = "up"
	EventDown            = "down"
	EventPeerUnreachable = "peer_unreachable" // a tunnel has no route, or its peer does not answer
	EventNeighbourLost   = "neighbour_lost"   // a tunnel's next hop has no address any more
	EventReloaded        = "reloaded"
	EventConfirmed       = "confirmed"
	EventRolledBack      = "rolled_back"
	EventLost            = "lost" // events were left out, because the reader was too slow; Count of them
)

// Event is one line of GET /v1/events.
type Event struct {
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Kind    string    `json:"kind,omitempty"` // appliance | port | tunnel | session
	Tunnel  string    `json:"tunnel,omitempty"`
	Session string    `json:"session,omitempty"`
	Port    string    `json:"port,omitempty"`
	Keys    []string  `json:"keys,omitempty"` // of modified
	Origin  string    `json:"origin,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Count   int       `json:"count,omitempty"`
}
