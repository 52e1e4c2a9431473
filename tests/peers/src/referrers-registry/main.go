// A registry with the OCI 1.1 referrers API (and without the OCI-Subject header), on ADDR.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	quiet := log.New(os.Stderr, "", 0)
	handler := registry.New(registry.WithReferrersSupport(true), registry.Logger(quiet))
	log.Fatal(http.ListenAndServe(os.Args[1], handler))
}
