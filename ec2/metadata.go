package ec2

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"miniaws/backend"
	"miniaws/backend/store"
)

// metadataVersions are those that answer, as "GET /" lists them. What they answer is the same for all.
// AWS: "Instance metadata categories", "Configure the Instance Metadata Service options".
var metadataVersions = []string{
	"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01",
	"2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28",
	"2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24", "2024-04-11", "latest",
}

// The headers of the second version of the service. AWS: "Use the Instance Metadata Service to access instance metadata".
const (
	tokenHeader    = "X-Aws-Ec2-Metadata-Token"
	lifetimeHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	// maxTokenLifetime is six hours, in seconds.
	maxTokenLifetime = 21600
)

// metadataError is an answer other than 200.
type metadataError int

func (e metadataError) Error() string { return strconv.Itoa(int(e)) + " - " + http.StatusText(int(e)) }

// errNoMetadata: there is nothing at that path.
const errNoMetadata metadataError = http.StatusNotFound

// Metadata is the instance metadata service: whoever asks is known by [backend.OriginFrom], and whoever is none of the
// interfaces of a running instance gets nothing.
//
// Each request reads the instance's records anew, so that what the API changes shows at once.
func (s *Service) Metadata() http.Handler { return http.HandlerFunc(s.serveMetadata) }

func (s *Service) serveMetadata(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "EC2ws")
	g, err := s.askerOf(r.Context())
	if err != nil {
		failMetadata(w, r, err)
		return
	}
	if g.inst.Metadata.Endpoint == "disabled" {
		failMetadata(w, r, metadataError(http.StatusForbidden))
		return
	}
	switch {
	case r.Method == http.MethodPut && path.Clean(r.URL.Path) == "/latest/api/token":
		err = s.giveToken(w, r, g.inst)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		err = s.answerMetadata(w, r, g)
	default:
		w.Header().Set("Allow", "OPTIONS, GET, HEAD")
		err = metadataError(http.StatusMethodNotAllowed)
	}
	if err != nil {
		failMetadata(w, r, err)
	}
}

// failMetadata answers an error as the service words it.
func failMetadata(w http.ResponseWriter, r *http.Request, err error) {
	var known metadataError
	if !errors.As(err, &known) {
		slog.Error("ec2: an answer of the metadata service", "path", r.URL.Path, "error", err)
		known = http.StatusInternalServerError
	}
	title := known.Error()
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(int(known))
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>%[1]s</title>
 </head>
 <body>
  <h1>%[1]s</h1>
 </body>
</html>
`, title)
	}
}

// asker is an instance that asks, as its records are now.
type asker struct {
	scope store.Scope
	inst  *instance
	// eni is the interface that the question came through.
	eni string
}

// askerOf answers who asks; 404 for whoever is no instance's.
func (s *Service) askerOf(ctx context.Context) (*asker, error) {
	origin, ok := backend.OriginFrom(ctx)
	if !ok {
		return nil, errNoMetadata
	}
	g := &asker{eni: origin.ENI}
	err := s.config.DB.View(ctx, func(raw store.Tx) error {
		known, err := knownNetworks.In(raw, store.Scope{}).Find(origin.VPC)
		if err != nil {
			return err
		}
		if known == nil {
			return errNoMetadata
		}
		g.scope = store.Scope{Account: known.Account, Region: known.Region}
		t := s.tx(raw, g.scope)
		e, err := interfaces.find(t, origin.ENI)
		if err != nil {
			return err
		}
		if e == nil || e.Attachment == nil || e.Attachment.Instance == "" {
			return errNoMetadata
		}
		g.inst, err = instances.find(t, e.Attachment.Instance)
		if err == nil && (g.inst == nil || g.inst.State == stateTerminated) {
			err = errNoMetadata
		}
		return err
	})
	return g, err
}

// GuestOf answers which instance a request from inside a VPC comes from; ok is false where it comes from none.
func (s *Service) GuestOf(ctx context.Context) (account, region, id string, ok bool) {
	g, err := s.askerOf(ctx)
	if err != nil {
		return "", "", "", false
	}
	return g.scope.Account, g.scope.Region, g.inst.ID, true
}

// giveToken answers PUT /latest/api/token: a token that is worth something in this instance alone. It is sealed, so that
// nothing needs to be kept and it outlives a restart.
func (s *Service) giveToken(w http.ResponseWriter, r *http.Request, inst *instance) error {
	// AWS: "How Instance Metadata Service Version 2 works": a request that came through a proxy gets no token.
	if r.Header.Get("X-Forwarded-For") != "" {
		return metadataError(http.StatusForbidden)
	}
	asked := r.Header.Get(lifetimeHeader)
	seconds, err := strconv.Atoi(asked)
	if err != nil || seconds < 1 || seconds > maxTokenLifetime {
		return metadataError(http.StatusBadRequest)
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()+int64(seconds)))
	token := base64.URLEncoding.EncodeToString(s.tokens.Seal(plain, inst.ID))
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set(lifetimeHeader, strconv.Itoa(seconds))
	_, _ = w.Write([]byte(token))
	return nil
}

// tokenLeft answers how many seconds the token is good for in the instance; 401 for any other.
func (s *Service) tokenLeft(token string, inst *instance) (int64, error) {
	box, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return 0, metadataError(http.StatusUnauthorized)
	}
	plain, err := s.tokens.Open(box, inst.ID)
	if err != nil || len(plain) != 8 {
		return 0, metadataError(http.StatusUnauthorized)
	}
	left := int64(binary.BigEndian.Uint64(plain)) - time.Now().Unix()
	if left <= 0 {
		return 0, metadataError(http.StatusUnauthorized)
	}
	return left, nil
}

// answerMetadata answers GET and HEAD.
func (s *Service) answerMetadata(w http.ResponseWriter, r *http.Request, g *asker) error {
	version := 1
	if tokens := r.Header.Values(tokenHeader); len(tokens) > 0 {
		left, err := s.tokenLeft(tokens[0], g.inst)
		if err != nil {
			return err
		}
		w.Header().Set(lifetimeHeader, strconv.FormatInt(left, 10))
		version = 2
	} else if g.inst.Metadata.Tokens == "required" {
		return metadataError(http.StatusUnauthorized)
	}
	content, kind, err := s.lookUp(r.Context(), g, r.URL.Path, version)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Accept-Ranges", "none")
	w.Header().Set("Last-Modified", g.inst.Launched.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(content)
	}
	return nil
}

// lookUp answers what is at a path, and its media type.
func (s *Service) lookUp(ctx context.Context, g *asker, asked string, version int) ([]byte, string, error) {
	parts := slices.DeleteFunc(strings.Split(asked, "/"), func(part string) bool { return part == "" })
	if len(parts) == 0 {
		return []byte(strings.Join(metadataVersions, "\n")), "text/plain", nil
	}
	if !slices.Contains(metadataVersions, parts[0]) {
		return nil, "", errNoMetadata
	}
	if len(parts) == 2 && parts[1] == "user-data" {
		var data *userData
		err := s.viewIn(ctx, g.scope, func(t tx) (err error) {
			data, err = userDatas.In(t, g.scope).Find(g.inst.ID)
			return err
		})
		if err == nil && data == nil {
			err = errNoMetadata
		}
		if err != nil {
			return nil, "", err
		}
		return data.Data, "application/octet-stream", nil
	}
	tree, err := s.metadataTree(ctx, g, version)
	if err != nil {
		return nil, "", err
	}
	text, err := tree.find(parts[1:])
	return []byte(text), "text/plain", err
}

// metadataFolder is a folder of the tree: its entries are strings, functions that make one, or folders.
type metadataFolder map[string]any

// madeLater is content that takes some making.
type madeLater func() (string, error)

// labelled is a folder that is listed by another text than its names.
type labelled struct {
	label string
	metadataFolder
}

// find answers what is at a path below the folder: a value, or the names in a folder.
func (f metadataFolder) find(parts []string) (string, error) {
	var here any = f
	for _, part := range parts {
		if l, ok := here.(labelled); ok {
			here = l.metadataFolder
		}
		folder, ok := here.(metadataFolder)
		if !ok {
			return "", errNoMetadata
		}
		if here, ok = folder[part]; !ok {
			return "", errNoMetadata
		}
	}
	switch found := here.(type) {
	case string:
		return found, nil
	case madeLater:
		return found()
	case labelled:
		return found.list(), nil
	case metadataFolder:
		return found.list(), nil
	}
	return "", errNoMetadata
}

// list are the names in a folder, folders with a slash at their end.
func (f metadataFolder) list() string {
	var names []string
	for name, entry := range f {
		switch found := entry.(type) {
		case metadataFolder:
			name += "/"
		case labelled:
			name = found.label
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}
