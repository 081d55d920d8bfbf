package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"miniaws/backend/node/initbinary"
	"miniaws/backend/session"
	"miniaws/ec2"
	"miniaws/iam"
	"miniaws/ssm"
)

// instanceInit is the program that is PID 1 of instances.
func instanceInit() (ec2.InitBinary, error) {
	binary, err := initbinary.Load()
	return ec2.InitBinary{ID: binary.ID, Files: binary.Files, Name: binary.Name, Args: binary.Args}, err
}

// findProfile answers instance profiles to EC2.
func findProfile(identities *iam.Service) func(context.Context, string, string) (ec2.Profile, error) {
	return func(ctx context.Context, account, name string) (ec2.Profile, error) {
		found, ok, err := identities.InstanceProfile(ctx, account, name)
		if !ok || err != nil {
			return ec2.Profile{}, err
		}
		return ec2.Profile{ARN: found.ARN, ID: found.ID, RoleARN: found.RoleARN}, nil
	}
}

// ec2Principal is the service to which the roles of instances are handed.
const ec2Principal = "ec2.amazonaws.com"

// roleSession begins sessions of instances' roles, with what policies can know of the instance.
// AWS: "AWS global condition context keys": aws:Ec2InstanceSourceVpc; "Actions, resources, and condition keys for Amazon
// EC2": ec2:RoleDelivery, ec2:SourceInstanceARN.
func roleSession(identities *iam.Service) func(context.Context, string, ec2.RoleHolder) (ec2.RoleCredentials, error) {
	return func(ctx context.Context, roleARN string, who ec2.RoleHolder) (ec2.RoleCredentials, error) {
		made, err := identities.BeginServiceSession(ctx, iam.ServiceSession{Service: ec2Principal, RoleARN: roleARN, Name: who.Instance, Claims: map[string][]string{
			"ec2:RoleDelivery":                 {strconv.Itoa(who.Version) + ".0"},
			"ec2:SourceInstanceARN":            {who.ARN},
			"aws:SourceInstanceARN":            {who.ARN},
			"aws:Ec2InstanceSourceVpc":         {who.VPC},
			"aws:Ec2InstanceSourcePrivateIPv4": {who.Private.String()},
		}})
		if err != nil {
			return ec2.RoleCredentials{}, err
		}
		return ec2.RoleCredentials{
			AccessKeyID: *made.AccessKeyId, SecretAccessKey: *made.SecretAccessKey, Token: *made.SessionToken, Expires: *made.Expiration,
		}, nil
	}
}

// managedMachines answers instances to Systems Manager.
func managedMachines(machines *ec2.Service) func(context.Context, string, string) ([]ssm.Machine, error) {
	return func(ctx context.Context, account, region string) ([]ssm.Machine, error) {
		found, err := machines.Managed(ctx, account, region)
		var all []ssm.Machine
		for _, m := range found {
			all = append(all, ssm.Machine(m))
		}
		return all, err
	}
}

// managedMachine answers one of them.
func managedMachine(machines *ec2.Service) func(context.Context, string, string, string) (ssm.Machine, bool, error) {
	return func(ctx context.Context, account, region, id string) (ssm.Machine, bool, error) {
		m, ok, err := machines.ManagedBy(ctx, account, region, id)
		return ssm.Machine(m), ok, err
	}
}

// channels puts the data channels of sessions beside the API. Their path is no bucket's: a name has three letters.
func (c *cloud) channels(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, session.Path) && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			c.sessions.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}
