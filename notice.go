package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"miniaws/ec2"
)

type noticeCommand struct {
	ID, Kind          string
	Code, Description string
	Seconds           int
	administratorFlags
}

func (c *noticeCommand) command() *cobra.Command {
	kinds := []string{"spot-interruption", "rebalance", "event", "cancel"}
	command := &cobra.Command{
		Use: "notice INSTANCE KIND", Short: "Announce an interruption, a recommendation or a maintenance to an instance.",
		Long:      "Announce an interruption, a recommendation or a maintenance to an instance. KIND is one of " + strings.Join(kinds, ", ") + ".",
		Args:      exactly(2),
		ValidArgs: kinds,
		RunE: func(command *cobra.Command, arguments []string) error {
			c.ID, c.Kind = arguments[0], arguments[1]
			if err := oneOf(c.Kind, kinds); err != nil {
				return fmt.Errorf("KIND %w", err)
			}
			return c.Run(command.Context())
		},
	}
	flags := command.Flags()
	flags.StringVar(&c.Code, "code", "system-reboot", "An event's code.")
	flags.StringVar(&c.Description, "description", "", "An event's words.")
	flags.IntVar(&c.Seconds, "seconds", 0, "How far off it is; 0 is AWS's own notice.")
	c.addAdministratorFlags(flags)
	return command
}

// Run announces something to an instance, so that what its programs do about it can be tested.
func (c *noticeCommand) Run(ctx context.Context) error {
	notice := ec2.Notice{Kind: c.Kind, Seconds: c.Seconds}
	if c.Kind == "event" {
		notice.Code, notice.Description = c.Code, c.Description
	}
	return c.ask(ctx, http.MethodPost, "/_mini/instances/"+url.PathEscape(c.ID)+"/notices", notice, &struct{}{})
}

// notice answers POST /_mini/instances/ID/notices.
func (a *administration) notice(r *http.Request) (any, error) {
	var in ec2.Notice
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return nil, &refused{http.StatusBadRequest, "the body is not what this takes: " + err.Error()}
	}
	err := a.worker.world.Load().cloud.machines.Announce(r.Context(), r.PathValue("id"), in)
	if errors.Is(err, ec2.ErrNotice) {
		return nil, &refused{http.StatusConflict, err.Error()}
	}
	return struct{}{}, err
}
