package api

import _ "embed"

//go:embed openapi.json
var openAPI string

// OpenAPI is what this package says as an OpenAPI 3.1 document in JSON, as GET /openapi.json gives it. It
// is written by a test from the types, codes and keys: go test ./appliance/api -update.
func OpenAPI() string { return openAPI }
