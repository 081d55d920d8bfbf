// Package sdktest helps tests that drive a server with the SDK's clients.
package sdktest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// maxWhole bounds the bodies that are sent in one piece, in bytes.
const maxWhole = 1 << 20

// HTTPClient is for the SDK's clients that do not retry. The SDK ends a request's body as soon as the answer begins. Where the
// server is as fast as one in the same process, net/http may not have asked for the body's end by then, takes that for a
// failure and closes the connection under the answer: "use of closed network connection", which the SDK otherwise tries
// again (https://github.com/aws/aws-sdk-go-v2/issues/2737). Here small bodies are sent in one piece with their headers.
func HTTPClient() *http.Client { return &http.Client{Transport: whole{}} }

type whole struct{}

func (whole) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.ContentLength > 0 && r.ContentLength <= maxWhole {
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultTransport.RoundTrip(r)
}
