package main

import (
	"net/http"
	"net/netip"
	"strings"
)

// endpoint puts what lies under /_mini beside the AWS side. The path is taken as it was sent: cleaning it, as
// http.ServeMux does, would break S3's keys and every signature over them.
func (w *worker) endpoint() http.Handler {
	open := http.NewServeMux()
	open.Handle("GET /_mini/health", &health{engine: w.engine, stats: w.storeStats})
	open.Handle("GET /_mini/metrics", w.metrics.handler())
	open.HandleFunc("GET /_mini/coverage", func(out http.ResponseWriter, _ *http.Request) {
		writeJSON(out, w.world.Load().cloud.api.Coverage())
	})
	open.HandleFunc("GET /_mini/instance-identity.pem", w.identityCertificate)
	signed := newAdministration(w)
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.idler.requests.Add(1)
		if !strings.HasPrefix(r.URL.Path, "/_mini/") {
			w.world.Load().cloud.front.ServeHTTP(out, r)
			return
		}
		// Everybody on this machine may look at what is open; from elsewhere it takes a signature like the rest.
		if _, pattern := open.Handler(r); pattern != "" && fromLoopback(r) {
			open.ServeHTTP(out, r)
			return
		}
		signed.ServeHTTP(out, r)
	})
}

func fromLoopback(r *http.Request) bool {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && address.Addr().Unmap().IsLoopback()
}

// identityCertificate answers the certificate with which identity documents of instances are verified.
func (w *worker) identityCertificate(out http.ResponseWriter, r *http.Request) {
	certificate, err := w.world.Load().cloud.machines.IdentityCertificate(r.Context())
	if err != nil {
		writeError(out, err)
		return
	}
	out.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = out.Write(certificate)
}
