package boot

import "os"

// startEnvironment is a worker's environment. While a worker starts, its garbage collector waits until there are 32 MiB: what
// a start allocates lives on, so that collections in between find nothing and take a core from it. A target that the user has
// set stays.
func startEnvironment() []string {
	environment := os.Environ()
	if _, set := os.LookupEnv("GOGC"); !set {
		environment = append(environment, "GOGC=800", putOff+"=1")
	}
	return environment
}

// putOff tells a worker that the target is its parent's.
const putOff = "MINI_AWS_COLLECTOR_WAITS"

// CollectorWaits tells, once, whether this process is a worker whose garbage collector waits for the end of the start. What
// it starts itself inherits nothing of that.
func CollectorWaits() bool {
	if os.Getenv(putOff) == "" {
		return false
	}
	// A name without "=" is always unset.
	_, _ = os.Unsetenv(putOff), os.Unsetenv("GOGC")
	return true
}
