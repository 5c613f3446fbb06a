// Package config turns the TOML configuration into values, or into the list of everything that is
// wrong with it. It opens no socket and touches no NIC: `xwire check` needs no privilege.
//
//	file.toml ── split at table headers ── decode each (BurntSushi/toml) ── tables ── drafts
//	    └ include: more files                                              defaults ──┘
//	                          Config  ◀── names given ◀── clashes ◀── each object by itself
//
// The dialect is that of ql2tpd (go-l2tp), whose files load unchanged, plus ports and attachment
// circuits. Every key, its default and its meaning stand in one table in defaults.go. Nothing is
// ignored in silence: unknown keys are errors, and keys of ql2tpd's that have no effect are Warnings.
//
// # Files
//
// include names more files, relative to the file it stands in. A tunnel (with its sessions), a
// port and a key of [appliance] or [defaults] may stand in one file only. Defaults hold for all
// files, wherever they stand.
//
// A session's cookie_file is TOML too: the same [tunnel.NAME.session.NAME] headers with tx_cookie
// and rx_cookie below them, nothing else. It must not be accessible to group or others.
//
// # Errors
//
// All errors of all files come at once, each with file, line and key. An object in which one key
// is wrong is still checked against the others. Nothing that has an error is run: that one bad
// port or tunnel does not stop the others is a promise of run time, not of the file.
//
// # Why sections
//
// The decoder stops at its first error, gives no positions of keys, and takes 6 s for 100,000
// sessions decoded as one text. Each section (a header and what follows it) is therefore decoded
// by itself: a third of the time, memory that does not grow with the file, and an error for every
// broken section. Positions come from a small scanner and only when an error needs one.
package config
