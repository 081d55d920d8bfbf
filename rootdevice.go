package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"miniaws/awsapi"
)

type rootDeviceCommand struct {
	Serial     string `arg:"" help:"Serial number of a virtual MFA device that the account made (aws iam create-virtual-mfa-device)."`
	FirstCode  string `arg:"" help:"A code of the device."`
	SecondCode string `arg:"" help:"The code after it."`
	administratorFlags
}

// rootDevice is what POST /_mini/root-device takes.
type rootDevice struct {
	Serial string    `json:"serial"`
	Codes  [2]string `json:"codes"`
}

// Run gives a device to an account's root user, which AWS does in its console alone.
func (c *rootDeviceCommand) Run(ctx context.Context) error {
	in := rootDevice{c.Serial, [2]string{c.FirstCode, c.SecondCode}}
	if err := c.ask(ctx, http.MethodPost, "/_mini/root-device", in, &struct{}{}); err != nil {
		return err
	}
	_, err := fmt.Printf("%s is the root user's\n", c.Serial)
	return err
}

// rootDevice gives a virtual MFA device to the root user of its account.
func (a *administration) rootDevice(r *http.Request) (any, error) {
	var in rootDevice
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &refused{http.StatusBadRequest, "the body is not what this takes: " + err.Error()}
	}
	err := a.worker.world.Load().cloud.identities.EnableRootDevice(r.Context(), in.Serial, in.Codes[0], in.Codes[1])
	var known *awsapi.Error
	if errors.As(err, &known) {
		return nil, &refused{http.StatusBadRequest, known.Code + ": " + known.Message}
	}
	return struct{}{}, err
}
