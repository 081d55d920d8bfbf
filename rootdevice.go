package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"miniaws/awsapi"
)

type rootDeviceCommand struct {
	Serial, FirstCode, SecondCode string
	administratorFlags
}

func (c *rootDeviceCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "root-device SERIAL FIRST-CODE SECOND-CODE", Short: "Give a virtual MFA device to the root user of its account.",
		Long: "Give a virtual MFA device to the root user of its account. SERIAL is the serial number of one that the account made\n" +
			"(aws iam create-virtual-mfa-device), FIRST-CODE a code of it, and SECOND-CODE the code after that.",
		Args: exactly(3),
		RunE: func(command *cobra.Command, arguments []string) error {
			c.Serial, c.FirstCode, c.SecondCode = arguments[0], arguments[1], arguments[2]
			return c.Run(command.Context())
		},
	}
	c.addAdministratorFlags(command.Flags())
	return command
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
