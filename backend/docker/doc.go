// Package docker is the engine that runs containers through a Docker engine's API socket (version 1.41 and newer,
// negotiated).
//
// Names and labels derive from the installation and the resource id, so a container is found again after any crash:
//
//	name     mini-aws-<first 12 of the installation id>-<resource id>
//	labels   mini-aws.owner, mini-aws.account, mini-aws.region, mini-aws.id
//
// Every container is made without a health check of its image (a health check is an exec into the container, which
// would run beside the guards that PID 1 sets up), with no network (interfaces are wired from outside) and with
// bounded logs. Nothing here ever execs into a container or copies files into one.
package docker
