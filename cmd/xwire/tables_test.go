package main

import (
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
)

// What runs is not always what the file says; show tells.
func TestInsteadText(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.Local)
	for _, c := range []struct {
		status api.Status
		want   string
	}{
		{api.Status{}, ""},
		{api.Status{Instead: api.InsteadErrors, Kept: "/k"}, "x.toml HAS ERRORS: the kept configuration /k runs instead"},
		{api.Status{Instead: api.InsteadUnconfirmed, Kept: "/k"}, "x.toml WAS NOT CONFIRMED: the kept configuration /k runs instead"},
		{api.Status{Instead: api.InsteadUnconfirmed}, "x.toml WAS NOT CONFIRMED: what ran before it runs instead"},
		{api.Status{Confirm: &at}, "rolled back at 09:00:00 unless"},
	} {
		c.status.Config = "x.toml"
		got := statusText(c.status)
		if !strings.Contains(got, c.want) || (c.want == "") != (strings.Count(got, "\n") == 3) {
			t.Errorf("%+v: %s", c.status, got)
		}
	}
}
