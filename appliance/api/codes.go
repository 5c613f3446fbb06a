package api

// Codes of Error, each with the status of its answer. They never change; more may come.
const (
	CodeInvalidRequest   = "invalid-request"    // 400: not JSON, not of the shape, or a parameter that is none
	CodeUnknownParameter = "unknown-parameter"  // 400: a query parameter that is none of this path's; text names those known
	CodeInvalidConfig    = "invalid-config"     // 422: keys or values that the file would not take either; errors has each
	CodeNoSuchPath       = "no-such-path"       // 404: nothing is served there
	CodeNoSuchTunnel     = "no-such-tunnel"     // 404
	CodeNoSuchSession    = "no-such-session"    // 404
	CodeNoSuchPort       = "no-such-port"       // 404
	CodeNoSuchCapture    = "no-such-capture"    // 404: it never was, or has ended
	CodeMethodNotAllowed = "method-not-allowed" // 405: another method is served there; header Allow has which
	CodeTunnelExists     = "tunnel-exists"      // 409
	CodeSessionExists    = "session-exists"     // 409
	CodeAmbiguousSession = "ambiguous-session"  // 409: several tunnels have a session of that name
	CodeClash            = "clash"              // 409: ids, circuits or names that another object has; errors has each
	CodeInterface        = "interface"          // 409: the local interface cannot be made
	CodeSessionWaits     = "session-waits"      // 409: it does not carry frames now; text says why
	CodeNothingWaits     = "nothing-waits"      // 409: there is no reload to confirm
	CodeTooManyCaptures  = "too-many-captures"  // 429: as many captures and traces run as can
	CodeFailed           = "failed"             // 500: the host did not do it; text says what
	CodeStopping         = "stopping"           // 503: the process ends
)
