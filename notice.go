package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"miniaws/ec2"
)

type noticeCommand struct {
	ID          string `arg:"" help:"Id of an instance."`
	Kind        string `arg:"" enum:"spot-interruption,rebalance,event,cancel" help:"One of spot-interruption, rebalance, event, cancel."`
	Code        string `default:"system-reboot" help:"An event's code."`
	Description string `help:"An event's words."`
	Seconds     int    `help:"How far off it is; 0 is AWS's own notice."`
	administratorFlags
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
