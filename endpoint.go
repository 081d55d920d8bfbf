package main

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
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

// writePatience is how long a client may take none of an answer's bytes.
const writePatience = time.Minute

// patientListener makes connections that end when the other side stops reading.
type patientListener struct{ net.Listener }

// Accept is net.Listener's.
func (l patientListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if tcp, ok := connection.(*net.TCPConn); ok {
		return &patientConnection{tcp}, err
	}
	return connection, err
}

// patientConnection gives every write its own deadline, however long the whole answer is.
type patientConnection struct{ *net.TCPConn }

// maxPatientWrite is written with one deadline at most.
const maxPatientWrite = 4 << 20

// Write is net.Conn's.
func (c *patientConnection) Write(b []byte) (written int, err error) {
	for {
		part := b[written:min(len(b), written+maxPatientWrite)]
		if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return written, err
		}
		n, err := c.TCPConn.Write(part)
		if written += n; err != nil || written == len(b) {
			return written, err
		}
	}
}

// ReadFrom is io.ReaderFrom's: the kernel copies a file to the socket by itself.
func (c *patientConnection) ReadFrom(from io.Reader) (written int64, err error) {
	limited, bounded := from.(*io.LimitedReader)
	if !bounded {
		limited = &io.LimitedReader{R: from, N: 1<<63 - 1}
	}
	for limited.N > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return written, err
		}
		part := &io.LimitedReader{R: limited.R, N: min(limited.N, maxPatientWrite)}
		wanted := part.N
		n, err := c.TCPConn.ReadFrom(part)
		written, limited.N = written+n, limited.N-n
		if err != nil || n < wanted {
			return written, err
		}
	}
	return written, nil
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
