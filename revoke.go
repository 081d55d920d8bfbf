package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"miniaws/iam"
)

type revokeCommand struct {
	ARN string
	administratorFlags
}

func (c *revokeCommand) command() *cobra.Command {
	command := onOne("revoke ARN", "End all sessions of a role, a user or a root user that began until now.",
		"ARN is that of a role or a user, or arn:aws:iam::ACCOUNT:root.", &c.ARN, c.Run)
	c.addAdministratorFlags(command.Flags())
	return command
}

// revocation is what POST /_mini/revoke takes and, with the moment, answers.
type revocation struct {
	ARN     string    `json:"arn"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// Run ends the sessions.
func (c *revokeCommand) Run(ctx context.Context) error {
	var done revocation
	if err := c.ask(ctx, http.MethodPost, "/_mini/revoke", revocation{ARN: c.ARN}, &done); err != nil {
		return err
	}
	_, err := fmt.Printf("sessions of %s that began before %s have ended\n", done.ARN, done.Revoked.Format(time.RFC3339Nano))
	return err
}

// revoke ends the sessions of a principal that began until now.
func (a *administration) revoke(r *http.Request) (any, error) {
	var in revocation
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &refused{http.StatusBadRequest, "the body is not what this takes: " + err.Error()}
	}
	at, err := a.worker.world.Load().cloud.identities.RevokeSessions(r.Context(), in.ARN)
	if errors.Is(err, iam.ErrNoSessions) {
		return nil, &refused{http.StatusNotFound, err.Error()}
	}
	return revocation{in.ARN, at}, err
}
