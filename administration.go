package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"miniaws/awsapi"
	"miniaws/awsapi/sigv4"
	"miniaws/iam"
)

// administration is what lies under /_mini and is not open: every request is signed by the installation's root user, with
// the service name mini-aws.
type administration struct {
	worker *worker
	routes *http.ServeMux
}

// administrationService is the signing name.
const administrationService = "mini-aws"

// maxAdministration bounds a body.
const maxAdministration = 64 << 10

// refused is an answer other than success.
type refused struct {
	status  int
	message string
}

func (r *refused) Error() string { return r.message }

func newAdministration(w *worker) *administration {
	a := &administration{worker: w, routes: http.NewServeMux()}
	for pattern, handle := range map[string]func(*http.Request) (any, error){
		"POST /_mini/reset":                  a.reset,
		"POST /_mini/accounts":               a.createAccount,
		"GET /_mini/accounts/{id}":           a.account,
		"POST /_mini/revoke":                 a.revoke,
		"POST /_mini/root-device":            a.rootDevice,
		"GET /_mini/explain/{id}":            a.explain,
		"GET /_mini/look":                    a.look,
		"POST /_mini/instances/{id}/notices": a.notice,
	} {
		a.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := handle(r)
			if err != nil {
				writeError(w, err)
				return
			}
			writeJSON(w, answer)
		})
	}
	a.routes.HandleFunc("GET /_mini/events", a.events)
	return a
}

// ServeHTTP lets the root user through.
func (a *administration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxAdministration)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, &refused{http.StatusRequestEntityTooLarge, err.Error()})
		return
	}
	if err := a.authenticate(r, body); err != nil {
		writeError(w, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.routes.ServeHTTP(w, r)
}

// authenticate answers nil for the root user of the installation's account.
func (a *administration) authenticate(r *http.Request, body []byte) error {
	no := func(why string) error { return &refused{http.StatusForbidden, why} }
	signature, err := sigv4.Parse(r)
	if err != nil {
		return no("sign the request as the root user, with the service name " + administrationService + ": " + err.Error())
	}
	secret, owner, err := a.worker.world.Load().cloud.identities.Find(r.Context(), signature.AccessKeyID, signature.SessionToken)
	switch {
	case errors.Is(err, awsapi.ErrUnknownAccessKey), errors.Is(err, awsapi.ErrInvalidToken), errors.Is(err, awsapi.ErrExpiredToken):
		return no(err.Error())
	case err != nil:
		return err
	}
	options := sigv4.Options{Now: a.worker.now(), Service: administrationService, Body: body, Keys: &a.worker.keys}
	if err := signature.Verify(r, secret, options); err != nil {
		return no(err.Error())
	}
	if !owner.Root || owner.Account != a.worker.command.AccountID {
		return no("only the root user of account " + a.worker.command.AccountID + " may do this")
	}
	return nil
}

// reset forgets everything, or everything of one account.
func (a *administration) reset(r *http.Request) (any, error) {
	if !a.worker.command.Ephemeral {
		return nil, &refused{http.StatusConflict, "this installation keeps what it has: only serve --ephemeral can be reset"}
	}
	account := r.URL.Query().Get("account")
	if account == "" {
		return struct{}{}, a.worker.reset(r.Context())
	}
	if !accountPattern.MatchString(account) {
		return nil, &refused{http.StatusBadRequest, "account takes twelve digits"}
	}
	return struct{}{}, a.worker.resetAccount(r.Context(), account)
}

// newAccount is what POST /_mini/accounts takes; all of it may be left out.
type newAccount struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	Email   string `json:"email"`
}

// accountKey is what the root user of an account signs with.
type accountKey struct {
	Account         string `json:"account"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// createAccount makes an account, and answers its root user's key.
func (a *administration) createAccount(r *http.Request) (any, error) {
	var in newAccount
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
		return nil, &refused{http.StatusBadRequest, "the body is not what this takes: " + err.Error()}
	}
	if in.Account != "" && !accountPattern.MatchString(in.Account) {
		return nil, &refused{http.StatusBadRequest, "account takes twelve digits"}
	}
	made, key, err := a.worker.world.Load().cloud.identities.CreateAccount(r.Context(), iam.AccountInput{ID: in.Account, Name: in.Name, Email: in.Email})
	if errors.Is(err, iam.ErrAccountExists) || errors.Is(err, iam.ErrEmailTaken) {
		return nil, &refused{http.StatusConflict, err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return accountKey{made.ID, key.AccessKeyID, key.SecretAccessKey}, nil
}

// account answers the root user's key of an account.
func (a *administration) account(r *http.Request) (any, error) {
	id := r.PathValue("id")
	key, err := a.worker.world.Load().cloud.identities.AccountRootKey(r.Context(), id)
	if errors.Is(err, iam.ErrNoAccount) {
		return nil, &refused{http.StatusNotFound, "there is no account " + id}
	}
	if err != nil {
		return nil, err
	}
	return accountKey{id, key.AccessKeyID, key.SecretAccessKey}, nil
}

// writeError answers an error as JSON. What is not a refusal is logged.
func writeError(w http.ResponseWriter, err error) {
	var known *refused
	if !errors.As(err, &known) {
		slog.Error("administration", "error", err)
		known = &refused{http.StatusInternalServerError, err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(known.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": known.message}) // a client that is gone needs no answer
}
