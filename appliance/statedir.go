package appliance

import (
	"os"
	"path/filepath"

	"xwire/appliance/api"
)

// stateDir is where the journal of host settings and the state of local interfaces are kept: beside the
// control socket, and where that has another name than the default, in a folder of its own, for several
// xwires (of several network namespaces) may have their sockets in one folder.
func stateDir(control string) string {
	if filepath.Base(control) == filepath.Base(api.DefaultSocket) {
		return filepath.Dir(control)
	}
	return control + ".d"
}

// leaveStateDir removes a folder of our own that has nothing in it. One that has is for the next start.
func leaveStateDir(control string) {
	if dir := stateDir(control); dir != filepath.Dir(control) {
		_ = os.Remove(dir)
	}
}
