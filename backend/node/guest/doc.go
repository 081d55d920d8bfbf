// Package guest is the init of an instance: the program that runs as PID 1 of every instance's container, whatever its
// image is, as "mini-aws init". It is one static binary on a read-only volume, needs nothing of the image and mounts
// nothing.
//
// The story of one boot:
//
//	engine starts the container        environment: MINI_AWS_INIT_CONFIG={...}, see [Config]
//	  stage 1   (enter.go)             reads nothing of the root file system; moves the configuration into a sealed
//	                                   memory file; the node agent's guards will be installed here; execs itself
//	  stage 2   (boot.go)              users -> host keys -> environment -> power commands -> [cloud-init init]
//	                                   -> SSH (the image's sshd, else the built-in server) -> user data
//	  until the end (processes.go)     every child, and every orphan, is reaped
//	  shutdown  (shutdown.go)          close SSH, TERM to all, grace, KILL, exit with a status of status.go
//
// Everything that init prints, and what user data prints, is the instance's console: GetConsoleOutput reads it from the
// engine's log.
//
// What outlives a stop and a start, in the root file system:
//
//	/etc/ssh/ssh_host_{ed25519,ecdsa}_key     made once for an instance id, new in a copy of the instance
//	/var/lib/mini-aws/instance-id             the instance id of the last boot
//	/var/lib/mini-aws/instances/<id>/         mark that user data has run, and its scripts
//	/home/<user>/.ssh/authorized_keys         the configuration's keys are added, none is taken away
//	/usr/local/sbin/{poweroff,reboot,halt,shutdown}   unless the image has a file there
//
// Not here yet: the seccomp filter and the drop of SYS_ADMIN (with the node agent), waiting for network interfaces, the
// metadata service, remote forwarding and agent forwarding of SSH, systemd.
package guest
