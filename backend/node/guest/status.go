package guest

// The exit statuses of init, by which the gateway tells why an instance ended. Any other status, and any signal, means
// that init failed or was killed.
const (
	// StatusStopped: somebody outside asked for it (SIGTERM, SIGINT or SIGPWR to PID 1, as an engine's stop sends).
	StatusStopped = 0
	// StatusConfig: the configuration is missing or wrong; nothing was started.
	StatusConfig = 78
	// StatusPoweredOff: somebody inside asked to power off or to halt. AWS: the instance's
	// InstanceInitiatedShutdownBehavior decides between stop and terminate, and halt counts as power off.
	StatusPoweredOff = 90
	// StatusReboot: somebody inside asked to reboot; starting the container again completes it.
	StatusReboot = 91
)
