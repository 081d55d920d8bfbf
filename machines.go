package main

import (
	"context"

	"miniaws/backend/node/initbinary"
	"miniaws/ec2"
	"miniaws/iam"
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
