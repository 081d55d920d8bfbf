package boot

import "os"

// StartGOGC is the garbage collector's target while a worker starts: what a start allocates lives on, so that collections
// in between find nothing and take a core from it. The first one comes at 32 MiB.
const StartGOGC = "800"

// startEnvironment is a worker's environment. A target that the user has set stays.
func startEnvironment() []string {
	environment := os.Environ()
	if _, set := os.LookupEnv("GOGC"); !set {
		environment = append(environment, "GOGC="+StartGOGC)
	}
	return environment
}
