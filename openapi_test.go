package house

import (
	"encoding/json"
	"testing"

	"xwire/appliance/api"
	"xwire/config"
)

// TestOpenAPIHasEveryKey: a key that is added or changed is told of in the API's description too. The rest
// of it is compared in package api.
func TestOpenAPIHasEveryKey(t *testing.T) {
	var d struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Description string }
			}
		}
	}
	if err := json.Unmarshal([]byte(api.OpenAPI()), &d); err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Keys() {
		schema, ok := map[string]string{"tunnel": "TunnelKeys", "session": "SessionKeys"}[k.Table]
		if ok && k.Name != "cookie_file" && d.Components.Schemas[schema].Properties[k.Name].Description != k.Doc {
			t.Fatalf("appliance/api/openapi.json does not tell of %s.%s as config does: run go test ./appliance/api -update", k.Table, k.Name)
		}
	}
}
